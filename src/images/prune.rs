//! Taking away images, and what the cache holds of images, that nobody needs any more: only what onramp pulled or made, and never what a lock file
//! or a sandbox on this machine uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::known::{self, Known};
use super::store::{Store, Usage};
use super::{Error, build};
use crate::engine::{Engine, ImageFacts, label};
use crate::event::Observer;
use crate::reference::{Digest, ImageRef};
use crate::turn::{self, Turn};

/// What goes.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Images, by the names that onramp gave them.
    pub images: Vec<Unneeded>,
    /// How many of our images are needed and stay.
    pub kept: usize,
    /// Whether somebody builds images now, so that none of those that were built goes.
    pub building: bool,
    /// Bytes of all our images, as the engine counts them: layers that two share count in both.
    pub images_bytes: u64,
    /// What the cache holds, and what of it is over the limit.
    pub cache: Usage,
    /// The limit, in bytes.
    pub limit: u64,
    #[serde(skip)]
    known: Known,
    /// What of the cache stays whatever the limit.
    #[serde(skip)]
    in_cache: BTreeSet<Digest>,
    /// Of pulled images that the engine no longer has.
    #[serde(skip)]
    vanished: Vec<ImageRef>,
}

/// An image that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unneeded {
    /// Its name in the engine.
    pub name: String,
    /// In bytes.
    pub bytes: u64,
    #[serde(skip)]
    id: String,
}

/// What was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// How many images went.
    pub images: usize,
    /// How many came into use meanwhile, and stayed.
    pub in_use: usize,
    /// Bytes of our images before.
    pub images_before: u64,
    /// Bytes of our images after.
    pub images_after: u64,
    /// Bytes of the cache before.
    pub cache_before: u64,
    /// Bytes of the cache after.
    pub cache_after: u64,
}

/// Looks for what onramp pulled or built and nobody needs.
pub async fn plan(engine: &Engine, cache: &Path, state: &Path, limit: u64) -> Result<Plan, Error> {
    let known = known::read(state)?;
    let running = engine.images_of_containers().await?;
    let in_cache = known.kept(cache);
    let mut plan = Plan {
        images: Vec::new(),
        kept: 0,
        building: false,
        images_bytes: 0,
        cache: Store::open(cache)?.usage(limit, &in_cache)?,
        in_cache,
        limit,
        vanished: Vec::new(),
        known: Known::default(),
    };
    let mut counted = BTreeSet::new();
    let mut judge = |name: String, facts: &ImageFacts, needed: bool| {
        if counted.insert(facts.id.clone()) {
            plan.images_bytes = plan.images_bytes.saturating_add(facts.size);
        }
        if needed || running.contains(&facts.id) {
            plan.kept += 1;
        } else {
            plan.images.push(Unneeded { name, bytes: facts.size, id: facts.id.clone() });
        }
    };
    let mut vanished = Vec::new();
    for image in &known.pulled {
        let name = image.to_string();
        let Some(facts) = engine.image(&name).await? else {
            vanished.push(image.clone());
            continue;
        };
        // Whoever gave it a tag wants it.
        let needed = image.digest().is_some_and(|digest| known.needed.contains(digest))
            || !facts.repo_tags.iter().all(|tag| is_made(tag));
        judge(name, &facts, needed);
    }
    for facts in engine.images_labelled(&[(label::SANDBOX, "")]).await? {
        let Some(sandbox) = facts.labels.get(label::SANDBOX) else { continue };
        let labels = [(label::SANDBOX, sandbox.as_str())];
        // Labels are inherited: an image that somebody built on ours, or named anew, is theirs.
        let prefix = format!("onramp-sandbox/{sandbox}.");
        let own: Vec<&String> = facts.repo_tags.iter().filter(|tag| tag.starts_with(&prefix)).collect();
        // Where the sandbox's data stays, its next start needs the image.
        let needed = own.len() < facts.repo_tags.len()
            || !engine.containers(&labels).await?.is_empty()
            || !engine.volumes(&labels).await?.is_empty();
        for tag in own {
            judge(tag.clone(), &facts, needed);
        }
    }
    let building = builds(state)?.is_none();
    for facts in engine.images_labelled(&[(label::DEFINITION, "")]).await? {
        // The names alone are ours: a sandbox's image that was built on such an image has its labels.
        let own: Vec<&String> = facts.repo_tags.iter().filter(|tag| is_made(tag)).collect();
        let mut digests = facts.repo_digests.iter().filter_map(|name| name.split_once('@')?.1.parse().ok());
        let needed =
            building || own.len() < facts.repo_tags.len() || digests.any(|digest| known.needed.contains(&digest));
        for tag in own {
            judge(tag.clone(), &facts, needed);
        }
    }
    plan.building = building;
    plan.vanished = vanished;
    plan.known = known;
    Ok(plan)
}

/// Whether this is what `image build` and `image push` call what they make.
fn is_made(tag: &str) -> bool {
    tag.strip_prefix(build::PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// The turn of those who build, where nobody does.
fn builds(state: &Path) -> Result<Option<Turn>, Error> {
    match Turn::take(state, build::TURN) {
        Ok(turn) => Ok(Some(turn)),
        Err(turn::Error::Busy { .. }) => Ok(None),
        Err(turn::Error::File(error)) => Err(error.into()),
    }
}

/// Takes away what the plan names.
pub async fn apply(engine: &Engine, cache: &Path, state: &Path, plan: &Plan) -> Result<Pruned, Error> {
    let mut gone = BTreeMap::new();
    let mut in_use = 0;
    // Whoever begins to build waits until we are done; what somebody builds on since the plan was made stays.
    let alone = builds(state)?;
    for image in &plan.images {
        if alone.is_none() && is_made(&image.name) {
            in_use += 1;
            continue;
        }
        if !engine.untag(&image.name).await? {
            in_use += 1;
            continue;
        }
        gone.insert(&image.id, image.bytes);
        if let Ok(pulled) = image.name.parse() {
            known::forget_pulled(state, &pulled);
        }
    }
    for image in &plan.vanished {
        known::forget_pulled(state, image);
    }
    plan.known.tidy();
    // An image with another name, or one that another image stands on, is still there.
    let mut removed: u64 = 0;
    for (id, bytes) in gone {
        if engine.image(id).await?.is_none() {
            removed = removed.saturating_add(bytes);
        }
    }
    let evicted = Store::open(cache)?.evict(plan.limit, &plan.in_cache)?;
    Ok(Pruned {
        images: plan.images.len() - in_use,
        in_use,
        images_before: plan.images_bytes,
        images_after: plan.images_bytes.saturating_sub(removed),
        cache_before: plan.cache.bytes,
        cache_after: plan.cache.bytes.saturating_sub(evicted),
    })
}

/// Keeps the cache within its limit. A lock that cannot be read keeps all that may be about its images, which no blob is.
pub fn limit(cache: &Path, state: &Path, limit: u64, observer: &dyn Observer) -> Result<u64, Error> {
    let store = Store::open(cache)?;
    let error = match known::read(state) {
        Ok(known) => return Ok(store.evict(limit, &known.kept(cache))?),
        Err(error) => error,
    };
    let gone = store.evict_blobs(limit)?;
    if store.usage(limit, &BTreeSet::new())?.over > 0 {
        observer
            .note(&format!("the cache of images stays over its limit, for what projects need is not known: {error}"));
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::event::Event;
    use crate::project::lock;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Observer for Notes {
        fn event(&self, event: Event) {
            let Event::Note { text } = event else { return };
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn a_lock_that_nobody_can_read_keeps_no_blob() {
        let (cache, state, project) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        known::note_project(state.path(), project.path(), &BTreeSet::new()).unwrap();
        let lock = project.path().join(lock::FILE);
        std::fs::write(&lock, "<<<<<<< ours\n").unwrap();
        let digest = Digest::of(b"a");
        let (blob, document) = (cache.path().join("blobs/a"), cache.path().join("documents").join(digest.hex()));
        for place in [&blob, &document] {
            crate::files::write(place, &vec![7; 100_000]).unwrap();
        }
        let notes = Notes::default();
        limit(cache.path(), state.path(), 150_000, &notes).unwrap();
        assert_eq!((blob.exists(), document.exists(), notes.0.lock().unwrap().len()), (false, true, 0));
        limit(cache.path(), state.path(), 0, &notes).unwrap();
        let told = notes.0.lock().unwrap().join("\n");
        assert!(document.exists() && told.contains(lock.to_str().unwrap()), "{told}");

        std::fs::remove_file(&lock).unwrap();
        limit(cache.path(), state.path(), 0, &notes).unwrap();
        assert!(!document.exists());
    }
}
