//! What the overview found before, kept beside the mirror: a state repository can have fifty thousand declarations, and between two looks
//! a few of them change. Nothing is lost with it: it is made anew where it is not there or does not fit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::git::{Commit, Mirror};
use crate::name::Name;
use crate::reference::Digest;
use crate::release::Error;
use crate::state::{Listed, RULES, State};

/// The largest index that is read, in bytes: room for a million declarations.
const CAP: u64 = 512 * 1024 * 1024;
/// How many commits of the default branch are looked at for a declaration's last change.
const DEPTH: usize = 10_000;
/// What it is called beside the mirror; another form of it has another number.
const NAME: &str = "overview-1.json";

/// What was found, and what is true of it still.
pub struct Index {
    place: PathBuf,
    kept: Kept,
    /// What is new in it: then it is kept again.
    changed: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// The commit that it is of.
    head: Option<Commit>,
    /// The `state.toml` that says how declarations are read.
    rules: Option<Digest>,
    files: BTreeMap<String, File>,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    stamp: String,
    /// The commit that last changed it.
    commit: Option<Commit>,
    /// A list, which takes a quarter of a map's room.
    digests: Vec<(Name, Digest)>,
}

impl Index {
    /// The index of the state repository at a commit: what was kept, with what changed since.
    pub fn open(state: &State, head: &Commit) -> Result<Self, Error> {
        let mirror = state.mirror();
        let place = mirror.beside(NAME);
        let text = files::read(&place, CAP).ok();
        let mut kept: Kept = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let rules = state.text(head, RULES)?.map(|text| Digest::of(text.as_bytes()));
        if kept.rules != rules {
            kept = Kept { rules, ..Kept::default() };
        }
        let changed = kept.head.as_ref() != Some(head);
        let mut index = Self { place, kept, changed };
        if changed {
            index.follow(mirror, state.rules(head)?.format.root(), head)?;
        }
        Ok(index)
    }

    /// Goes on to a commit from the one that it is of.
    fn follow(&mut self, mirror: &Mirror, root: &str, head: &Commit) -> Result<(), Error> {
        let known = self.kept.head.take();
        // A branch that was forced elsewhere has another past.
        let after = match known {
            Some(known) if mirror.is_before(&known, head, DEPTH).unwrap_or(false) => Some(known),
            _ => None,
        };
        if after.is_none() {
            self.kept.files.values_mut().for_each(|file| file.commit = None);
        }
        // Oldest first: the last change is the one that stays.
        for (commit, paths) in mirror.changes(head, after.as_ref(), root, DEPTH)?.into_iter().rev() {
            for path in paths {
                self.kept.files.entry(path).or_default().commit = Some(commit.clone());
            }
        }
        self.kept.head = Some(head.clone());
        Ok(())
    }

    /// The digests that a declaration has, where they were found before.
    pub fn digests(&self, listed: Listed<'_>) -> Option<BTreeMap<Name, Digest>> {
        let file = self.kept.files.get(listed.path).filter(|file| file.stamp == listed.stamp)?;
        Some(file.digests.iter().cloned().collect())
    }

    /// The commit that last changed a declaration.
    pub fn commit(&self, path: &str) -> Option<&Commit> {
        self.kept.files.get(path)?.commit.as_ref()
    }

    /// Remembers what a declaration has.
    pub fn found(&mut self, path: &str, stamp: String, digests: &BTreeMap<Name, Digest>) {
        let file = self.kept.files.entry(path.to_owned()).or_default();
        file.stamp = stamp;
        file.digests = digests.iter().map(|(name, digest)| (name.clone(), digest.clone())).collect();
        self.changed = true;
    }

    /// Keeps it for the next time. Where that fails the next time takes longer, and that is all.
    pub fn keep(self) {
        if self.changed
            && let Ok(text) = serde_json::to_vec(&self.kept)
        {
            let _ = files::write(&self.place, &text);
        }
    }
}
