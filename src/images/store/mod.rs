//! Our own store of blobs, one for all onramps of a user: what has its final name was verified.
//!
//! `<cache>/blobs/<hex>` is a blob, `<hex>.part` and `<hex>.journal` one under way. Whoever fetches a blob has the lock of
//! its part, whoever uses one shares the lock of the blob: nothing that is in use is evicted.

mod download;
mod limit;
mod partial;
mod ranges;
mod verified;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;

use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::reference::Digest;
use crate::registry::{self, Descriptor, Registry};
use crate::task::blocking;
use crate::turn::Lock;
use download::Download;
use partial::Partial;

pub use limit::{LIMIT, Usage};
pub use verified::Verified;

/// How many requests for blobs are under way at once. Links that are slow for one connection are the usual ones: a proxy
/// or a registry's storage limits each.
const CONNECTIONS: usize = 16;
/// How often is looked whether another process that fetches the same blob is done.
const LOOK: Duration = Duration::from_millis(50);

/// The store.
pub struct Store {
    root: PathBuf,
    connections: Semaphore,
    /// What this process uses, each with its share of the lock.
    held: Mutex<BTreeMap<Digest, Held>>,
}

struct Held {
    #[expect(dead_code, reason = "while it is there, nobody evicts the blob")]
    lock: Lock,
    /// Whether this process has read it whole and found it right.
    verified: bool,
}

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the store could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Registry(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) if is_full(error) => {
                Some("the disk is full; what was fetched of this blob is gone again".to_owned())
            }
            Self::File(error) => error.hint(),
            Self::Registry(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::File(error) if is_full(error) => vec!["onramp image prune".to_owned()],
            Self::File(error) => error.next(),
            Self::Registry(error) => error.next(),
        }
    }
}

fn is_full(error: &FileError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, FileError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
}

/// Takes a blob to fetch it; none where another process is at it, or was and is done.
fn claim(part: &Path, place: &Path, size: u64) -> Result<Option<Partial>, Error> {
    let claimed = Partial::claim(part, size).map_err(|error| full(error, part))?;
    Ok(claimed.filter(|partial| {
        let done = place.exists();
        if done {
            partial.discard();
        }
        !done
    }))
}

/// On a full disk what is here of the blob is of no use, and in the way of everybody.
fn full(error: FileError, part: &Path) -> Error {
    if is_full(&error) {
        partial::discard(part);
    }
    error.into()
}

impl Store {
    /// The store in a cache directory.
    pub fn open(cache: &Path) -> Result<Self, Error> {
        let root = cache.join("blobs");
        // Images may be secret.
        files::private_directory(&root)?;
        Ok(Self { root, connections: Semaphore::new(CONNECTIONS), held: Mutex::default() })
    }

    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A blob that is here, verified while it is read. It stays as long as this value lives.
    pub fn read(&self, blob: &Digest) -> Result<Option<Verified>, Error> {
        let file = self.hold(blob)?;
        Ok(file.map(|file| Verified::new(file, self.place(blob), blob.clone())))
    }

    /// How many bytes of a blob need not be fetched any more.
    pub fn known(&self, blob: &Descriptor) -> u64 {
        let place = self.place(&blob.digest);
        match std::fs::metadata(&place) {
            Ok(found) if found.len() == blob.size => blob.size,
            _ => Partial::peek(&place.with_extension("part"), blob.size),
        }
    }

    /// The blob's file: fetched where it is missing, verified, and kept as long as this value lives. Two processes that
    /// want the same one fetch it once.
    ///
    /// `progress` is told of every byte that comes from the registry.
    pub async fn fetch(
        &self,
        registry: &Registry,
        path: &str,
        blob: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<PathBuf, Error> {
        let place = self.place(&blob.digest);
        let part = place.with_extension("part");
        loop {
            if self.verified(blob).await? {
                return Ok(place);
            }
            // A blob that is there and cannot be held is becoming visible, or going away, at this moment.
            let claimed = if place.exists() { None } else { claim(&part, &place, blob.size)? };
            let Some(partial) = claimed else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let partial = Arc::new(partial);
            let (connections, mirrored) = (&self.connections, registry.has_mirror());
            let digest = Download { registry, path, blob, partial: &partial, connections, progress }.run().await;
            match digest {
                Ok(digest) if digest == blob.digest => partial.publish(&place)?,
                // What an earlier process left may be wrong; then all of it is fetched, once.
                Ok(_) if partial.resumed() => partial.discard(),
                Ok(_) if mirrored => {
                    registry.mirror_lied();
                    partial.discard();
                }
                Ok(received) => {
                    partial.discard();
                    let what = format!("blob {} of {path}", blob.digest.short());
                    let (host, expected) = (registry.host().to_owned(), blob.digest.clone());
                    return Err(registry::Error::Digest { host, what, expected, received }.into());
                }
                Err(Error::File(error)) => return Err(full(error, &part)),
                Err(error) => {
                    // Of what is refused no part is a beginning of anything.
                    if error.class() == Class::Security {
                        partial.discard();
                    }
                    return Err(error);
                }
            }
            // The lock of the part goes before the blob is held, so that it is free for the share.
            drop(partial);
            if self.hold(&blob.digest)?.is_some() {
                self.note_verified(&blob.digest);
            }
        }
    }

    fn place(&self, blob: &Digest) -> PathBuf {
        self.root.join(blob.hex())
    }

    /// Whether the blob is here, whole and right. One that was damaged goes.
    async fn verified(&self, blob: &Descriptor) -> Result<bool, Error> {
        let Some(file) = self.hold(&blob.digest)? else { return Ok(false) };
        let place = self.place(&blob.digest);
        if file.metadata().map_err(FileError::io("read", &place))?.len() != blob.size {
            self.drop_blob(&blob.digest)?;
            return Ok(false);
        }
        if self.held.lock().expect("no panic while held").get(&blob.digest).is_some_and(|held| held.verified) {
            return Ok(true);
        }
        let reader = Verified::new(file, place.clone(), blob.digest.clone());
        match blocking(move || reader.finish()).await {
            Ok(()) => {
                self.note_verified(&blob.digest);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.drop_blob(&blob.digest)?;
                Ok(false)
            }
            Err(error) => Err(FileError::io("read", &place)(error).into()),
        }
    }

    /// Opens a blob and keeps it from being evicted; none where it is not here, or is going away at this moment. What
    /// waiting would not mend is an error.
    fn hold(&self, blob: &Digest) -> Result<Option<File>, FileError> {
        let place = self.place(blob);
        let file = match File::open(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(FileError::io("open", &place))?,
        };
        let mut held = self.held.lock().expect("no panic while held");
        if !held.contains_key(blob) {
            let lock = match Lock::share(file.try_clone().map_err(FileError::io("open", &place))?) {
                Ok(lock) => lock,
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(FileError::io("lock", &place)(error)),
            };
            // It may have been evicted between the opening and the lock.
            if !partial::is_at(&file, &place).map_err(FileError::io("read", &place))? {
                return Ok(None);
            }
            held.insert(blob.clone(), Held { lock, verified: false });
        }
        // The time of last use, by which blobs are evicted.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(file))
    }

    fn note_verified(&self, blob: &Digest) {
        if let Some(held) = self.held.lock().expect("no panic while held").get_mut(blob) {
            held.verified = true;
        }
    }

    /// Takes away a blob that is not what its name says.
    fn drop_blob(&self, blob: &Digest) -> Result<(), FileError> {
        self.held.lock().expect("no panic while held").remove(blob);
        let place = self.place(blob);
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::io("remove", &place)(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob whose place is taken by what can be no blob, as `make` leaves it.
    async fn fetched(make: impl FnOnce(&Path)) -> String {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::open(cache.path()).unwrap();
        let digest = Digest::of(b"a blob");
        let place = store.place(&digest);
        make(&place);
        let text = serde_json::json!({ "mediaType": "x/y", "digest": digest.as_str(), "size": 6 });
        let blob: Descriptor = serde_json::from_value(text).unwrap();
        let registry = Registry::new("127.0.0.1:9", None, Duration::from_secs(1)).unwrap();
        let fetch = store.fetch(&registry, "base/a", &blob, &|_| {});
        let error =
            tokio::time::timeout(Duration::from_secs(20), fetch).await.expect("it waits for nobody").unwrap_err();
        assert_eq!(error.class(), Class::Io, "{error}");
        error.to_string().replace(place.to_str().unwrap(), "BLOB")
    }

    #[tokio::test]
    async fn what_waiting_does_not_mend_is_an_error() {
        // Too many links: as good as a missing permission, and root meets it too.
        let link = fetched(|place| std::os::unix::fs::symlink(place, place).unwrap()).await;
        assert_eq!(link, "cannot open BLOB");
        let directory = fetched(|place| std::fs::create_dir(place).unwrap()).await;
        assert_eq!(directory, "cannot remove BLOB");
        let part = fetched(|place| std::fs::create_dir(place.with_extension("part")).unwrap()).await;
        assert_eq!(part, "cannot write BLOB.part");
    }
}
