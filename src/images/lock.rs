//! What tags are locked to: compared with what the registry says now; a moved tag is named, never silently taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::future::try_join_all;
use serde::Serialize;

use super::Error;
use crate::project::Lock;
use crate::project::lock::LockedImage;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Access, Registry};

/// How locked tags stand to the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Not locked yet.
    pub new: BTreeMap<ImageRef, LockedImage>,
    /// Locked to something else than the tag means now.
    pub moved: BTreeMap<ImageRef, Moved>,
}

/// A tag that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// What the lock holds.
    pub locked: Digest,
    /// What the tag means now.
    pub now: LockedImage,
}

/// A lock that has every needed reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Complete {
    /// All of it.
    pub lock: Lock,
    /// What of it is new, and not written yet.
    pub new: BTreeMap<ImageRef, LockedImage>,
}

impl Complete {
    /// Writes what is new into the project's lock as it stands there by now: whatever another changed in it meanwhile stays.
    pub fn keep(&self, root: &Path) -> Result<(), Error> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut lock = Lock::load(root)?;
        for (image, locked) in &self.new {
            lock.images.entry(image.clone()).or_insert_with(|| locked.clone());
        }
        lock.save(root)?;
        Ok(())
    }
}

/// Whether moved tags are taken into the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// They stay as they are locked.
    Keep,
    /// The lock follows them.
    Take,
}

/// Compares the lock with what the registry says about these references.
pub fn compare(lock: &Lock, now: &BTreeMap<ImageRef, LockedImage>) -> Standing {
    let mut standing = Standing::default();
    for (image, now) in now {
        match lock.images.get(image) {
            None => {
                standing.new.insert(image.clone(), now.clone());
            }
            Some(locked) if locked.digest != now.digest => {
                let moved = Moved { locked: locked.digest.clone(), now: now.clone() };
                standing.moved.insert(image.clone(), moved);
            }
            Some(_) => {}
        }
    }
    standing
}

/// The lock with what is new in it, and with what moved where that was asked for. References that nobody needs any more
/// leave it only then, too.
pub fn take(lock: &Lock, standing: &Standing, needed: &BTreeSet<ImageRef>, update: Update) -> Lock {
    let mut lock = lock.clone();
    lock.images.extend(standing.new.clone());
    if update == Update::Take {
        lock.images.extend(standing.moved.iter().map(|(image, moved)| (image.clone(), moved.now.clone())));
        lock.images.retain(|image, _| needed.contains(image));
    }
    lock
}

/// Asks the registries what these references mean now, all at once.
pub async fn resolve(
    images: &BTreeSet<ImageRef>,
    access: impl Into<Access>,
) -> Result<BTreeMap<ImageRef, LockedImage>, Error> {
    let access = &access.into();
    let hosts: BTreeSet<&str> = images.iter().map(ImageRef::registry).collect();
    let open =
        hosts.into_iter().map(|host| async move { Ok::<_, Error>((host, Registry::of_user(host, access).await?)) });
    let registries: BTreeMap<&str, Registry> = try_join_all(open).await?.into_iter().collect();
    let ask = images.iter().map(|image| {
        let registry = &registries[image.registry()];
        async move {
            let resolved = registry.resolve(image).await?;
            let locked = LockedImage { digest: resolved.digest, platforms: resolved.platforms };
            Ok::<_, Error>((image.clone(), locked))
        }
    });
    Ok(try_join_all(ask).await?.into_iter().collect())
}

/// The lock with every needed reference in it. Asks a registry only about what is missing, and not at all where
/// `forbidden` says why the lock may not change.
pub async fn complete(
    lock: &Lock,
    needed: &BTreeSet<ImageRef>,
    forbidden: Option<&'static str>,
    access: impl Into<Access>,
) -> Result<Complete, Error> {
    let missing: BTreeSet<ImageRef> =
        needed.iter().filter(|image| !lock.images.contains_key(*image)).cloned().collect();
    if missing.is_empty() {
        return Ok(Complete { lock: lock.clone(), new: BTreeMap::new() });
    }
    if let Some(why) = forbidden {
        return Err(Error::NotLocked { images: missing.into_iter().collect(), why });
    }
    let standing = compare(lock, &resolve(&missing, access).await?);
    Ok(Complete { lock: take(lock, &standing, needed, Update::Keep), new: standing.new })
}

/// What to say of an image that its registry does not have: which tag was locked to it, and what that means now. None where
/// no tag is.
pub async fn gone(lock: &Lock, absent: &ImageRef, access: &Access) -> Option<Error> {
    let locked = lock
        .images
        .iter()
        .find(|(image, locked)| image.repository() == absent.repository() && Some(&locked.digest) == absent.digest());
    let (image, locked) = locked?;
    let registry = Registry::of_user(image.registry(), access).await.ok()?;
    let now = match registry.manifest(image).await {
        Ok(manifest) => Some(manifest.digest),
        Err(registry::Error::NotFound { .. }) => None,
        Err(_) => return None,
    };
    Some(Error::Gone { image: Box::new(image.clone()), locked: locked.digest.clone(), now })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(of: &[u8]) -> LockedImage {
        LockedImage { digest: Digest::of(of), platforms: BTreeMap::new() }
    }

    #[test]
    fn a_moved_tag_is_named_and_taken_only_when_asked() {
        let image = |name: &str| -> ImageRef { format!("r.test/base/{name}:1").parse().unwrap() };
        let mut lock = Lock::default();
        lock.images.insert(image("same"), locked(b"1"));
        lock.images.insert(image("moved"), locked(b"1"));
        lock.images.insert(image("gone"), locked(b"1"));
        let now: BTreeMap<ImageRef, LockedImage> =
            [(image("same"), locked(b"1")), (image("moved"), locked(b"2")), (image("new"), locked(b"3"))].into();
        let needed: BTreeSet<ImageRef> = now.keys().cloned().collect();
        let standing = compare(&lock, &now);
        assert_eq!(standing.new.keys().collect::<Vec<_>>(), [&image("new")]);
        assert_eq!(standing.moved[&image("moved")].locked, Digest::of(b"1"));

        let kept = take(&lock, &standing, &needed, Update::Keep);
        assert_eq!(kept.images[&image("moved")], locked(b"1"));
        assert_eq!(kept.images[&image("new")], locked(b"3"));
        let taken = take(&lock, &standing, &needed, Update::Take);
        assert_eq!(taken.images[&image("moved")], locked(b"2"));
        assert!(!taken.images.contains_key(&image("gone")));
    }

    #[tokio::test]
    async fn what_is_new_is_written_beside_what_another_changed_meanwhile() {
        let project = tempfile::tempdir().unwrap();
        let image = |name: &str| -> ImageRef { format!("r.test/base/{name}:1").parse().unwrap() };
        let mut theirs = Lock::default();
        theirs.images.insert(image("ours"), locked(b"1"));
        let old = complete(&theirs, &[image("ours")].into(), None, std::time::Duration::from_secs(1)).await.unwrap();

        theirs.images.insert(image("ours"), locked(b"2"));
        theirs.images.insert(image("theirs"), locked(b"2"));
        theirs.save(project.path()).unwrap();
        old.keep(project.path()).unwrap();
        assert_eq!(Lock::load(project.path()).unwrap(), theirs, "nothing was new");

        let new = [(image("ours"), locked(b"3")), (image("new"), locked(b"3"))].into();
        Complete { new, ..old }.keep(project.path()).unwrap();
        theirs.images.insert(image("new"), locked(b"3"));
        assert_eq!(Lock::load(project.path()).unwrap(), theirs);
    }
}
