//! How large the store may become: what was used longest ago goes, never what is in use.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{Error, Store, partial};
use crate::files::FileError;
use crate::turn::Lock;

/// How many bytes the store may hold where nothing else is set.
pub const LIMIT: u64 = 10_000_000_000;

/// What the store holds and what of it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes of what is over the limit.
    pub over: u64,
}

struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Store {
    /// What the store holds, and how much of it `evict` would take away.
    pub fn usage(&self, limit: u64) -> Result<Usage, Error> {
        let entries = self.entries()?;
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        Ok(Usage { bytes, over: excess(&entries, limit).iter().map(|entry| entry.bytes).sum() })
    }

    /// Takes away what was used longest ago until no more than `limit` bytes are left, or only what is in use; how many
    /// bytes went.
    pub fn evict(&self, limit: u64) -> Result<u64, Error> {
        let entries = self.entries()?;
        let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let before = left;
        for entry in &entries {
            if left <= limit {
                break;
            }
            let Ok(file) = File::open(&entry.path) else { continue };
            // Whoever fetches it or uses it has a lock on it.
            let Ok(_alone) = Lock::take(file) else { continue };
            if entry.path.extension().is_some() {
                partial::discard(&entry.path);
            } else if let Err(error) = std::fs::remove_file(&entry.path) {
                return Err(FileError::io("remove", &entry.path)(error).into());
            }
            left -= entry.bytes;
        }
        Ok(before - left)
    }

    /// Blobs and parts of blobs, what was used longest ago first.
    fn entries(&self) -> Result<Vec<Entry>, Error> {
        use std::os::unix::fs::MetadataExt;
        let mut entries = Vec::new();
        for found in std::fs::read_dir(&self.root).map_err(FileError::io("read", &self.root))? {
            let found = found.map_err(FileError::io("read", &self.root))?;
            let path = found.path();
            // A journal is its part's. What vanished meanwhile is not here.
            let journal = path.extension().is_some_and(|extension| extension == "journal");
            let Some(data) = found.metadata().ok().filter(|data| data.is_file() && !journal) else { continue };
            let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry { path, bytes: data.blocks() * 512, used });
        }
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        Ok(entries)
    }
}

/// Those of the entries that must go for the rest to be within the limit.
fn excess(entries: &[Entry], limit: u64) -> &[Entry] {
    let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut count = 0;
    for entry in entries {
        if left <= limit {
            break;
        }
        left -= entry.bytes;
        count += 1;
    }
    &entries[..count]
}
