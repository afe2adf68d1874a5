//! What a registry said before, kept in the cache: what a digest holds for good, what a tag meant for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::about::About;
use crate::files::{self, FileError};
use crate::reference::Digest;
use crate::registry::Facts;

/// The form of the file; another one is forgotten.
const FORM: u32 = 2;
/// The largest file, in bytes.
const CAP: u64 = 64 * 1024 * 1024;
/// How many images are remembered. Those that were not looked at for longest go.
const IMAGES: usize = 20_000;

/// What is known of an image, by digest: nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The manifest for each platform.
    pub platforms: BTreeMap<String, Digest>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes of its layers, packed.
    pub size: u64,
    /// Its layers, lowest first, by what they unpack to: whoever builds on an image may pack its layers anew.
    pub layers: Vec<Digest>,
    /// What its labels say.
    pub about: About,
    /// Where it was seen, `path:tag`.
    pub names: BTreeSet<String>,
    /// When it was last looked at.
    seen: Timestamp,
}

impl Known {
    /// What of an image's facts is kept.
    pub fn of(facts: Facts, now: Timestamp) -> Self {
        Self {
            platforms: facts.platforms,
            created: facts.config.created,
            size: facts.layers.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size)),
            layers: facts.config.rootfs.diff_ids,
            about: About::of(&facts.labels),
            names: BTreeSet::new(),
            seen: now,
        }
    }

    /// One for tests.
    #[cfg(test)]
    pub fn sample(layers: Vec<Digest>, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (platforms, about) = (BTreeMap::new(), About::default());
        Self { platforms, created: None, size: 1, layers, about, names, seen: Timestamp::UNIX_EPOCH }
    }
}

/// An answer, and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: T,
}

/// The memory of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    form: u32,
    /// The repositories of base images.
    pub repositories: Option<Answer<Vec<String>>>,
    /// The tags of a repository.
    pub tags: BTreeMap<String, Answer<Vec<String>>>,
    /// What a tag means, by `path:tag`; none where it is gone.
    pub heads: BTreeMap<String, Answer<Option<Digest>>>,
    /// The images.
    pub images: BTreeMap<Digest, Known>,
}

impl Memory {
    /// Where the memory of a registry lies in the cache.
    pub fn path(cache: &Path, host: &str) -> PathBuf {
        cache.join("catalogue").join(format!("{}.json", host.replace(':', "_")))
    }

    /// Reads it. One that is missing, damaged or of another form is empty: everything in it can be asked for again.
    pub fn load(path: &Path) -> Self {
        let text = files::read(path, CAP).unwrap_or_default();
        let read: Option<Self> = serde_json::from_slice(&text).ok();
        read.filter(|memory| memory.form == FORM).unwrap_or_default()
    }

    /// Writes it. Of two at once the last one stays, which is as good as the other.
    pub fn save(mut self, path: &Path) -> Result<(), FileError> {
        self.form = FORM;
        self.forget();
        let directory = path.parent().expect("it lies in the cache");
        files::private_directory(directory)?;
        files::write(path, &serde_json::to_vec(&self).expect("a memory is plain data"))
    }

    fn forget(&mut self) {
        if self.images.len() > IMAGES {
            let mut seen: Vec<Timestamp> = self.images.values().map(|known| known.seen).collect();
            seen.sort_unstable();
            let oldest = seen[seen.len() - IMAGES];
            self.images.retain(|_, known| known.seen >= oldest);
        }
    }

    /// What is known of an image, which is looked at now under this name.
    pub fn look(&mut self, digest: &Digest, name: Option<&str>, now: Timestamp) -> Option<Known> {
        let known = self.images.get_mut(digest)?;
        known.seen = now;
        known.names.extend(name.map(str::to_owned));
        Some(known.clone())
    }
}

/// How old an answer about what changes may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The registry is asked.
    Now,
    /// An answer of the last minutes will do.
    Within(SignedDuration),
    /// Nothing is asked; any answer will do.
    Remembered,
}

impl Freshness {
    /// Whether an answer will do.
    pub fn takes<T>(self, answer: &Answer<T>, now: Timestamp) -> bool {
        match self {
            Self::Now => false,
            // One from the future is of a clock that was wrong.
            Self::Within(age) => answer.at <= now && now.duration_since(answer.at) <= age,
            Self::Remembered => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(seen: Timestamp) -> Known {
        Known { seen, ..Known::sample(Vec::new(), &[]) }
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_damaged_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = Memory::path(dir.path(), "registry.test:5000");
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let mut memory = Memory::load(&path);
        assert_eq!(memory, Memory::default());
        memory.images.insert(Digest::of(b"a"), known(now));
        memory.heads.insert("base/a:1".to_owned(), Answer { at: now, what: Some(Digest::of(b"a")) });
        memory.clone().save(&path).unwrap();
        let read = Memory::load(&path);
        assert_eq!((&read.images, &read.heads), (&memory.images, &memory.heads));
        let (older, unknown) = (format!(r#"{{"form":{}}}"#, FORM - 1), format!(r#"{{"form":{FORM},"x":1}}"#));
        for damaged in ["", "{", "[]", older.as_str(), unknown.as_str()] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Memory::load(&path), Memory::default(), "{damaged}");
        }
    }

    #[test]
    fn what_was_not_looked_at_for_longest_is_forgotten() {
        let mut memory = Memory::default();
        let at = |second: usize| Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        for number in 0..=IMAGES {
            memory.images.insert(Digest::of(&number.to_le_bytes()), known(at(number)));
        }
        memory.look(&Digest::of(&0_usize.to_le_bytes()), None, at(IMAGES + 1)).unwrap();
        memory.forget();
        assert_eq!(memory.images.len(), IMAGES);
        assert!(memory.images.contains_key(&Digest::of(&0_usize.to_le_bytes())));
        assert!(!memory.images.contains_key(&Digest::of(&1_usize.to_le_bytes())));
    }

    #[test]
    fn an_answer_from_the_future_is_none() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let minute = SignedDuration::from_mins(1);
        let within = Freshness::Within(minute);
        assert!(within.takes(&Answer { at: now - minute, what: () }, now));
        assert!(!within.takes(&Answer { at: now - minute * 2, what: () }, now));
        assert!(!within.takes(&Answer { at: now + minute, what: () }, now));
        assert!(!Freshness::Now.takes(&Answer { at: now, what: () }, now));
        assert!(Freshness::Remembered.takes(&Answer { at: now - minute * 999, what: () }, now));
    }
}
