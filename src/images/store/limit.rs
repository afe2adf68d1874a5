//! How large the cache of images may become: what was used longest ago goes, never what is in use.
//!
//! One limit holds for all of it: blobs, what was read of layers, manifests and configs, what tags meant, signatures, what
//! registries listed. All of it but signatures can be had again for the asking.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Error, Store, partial};
use crate::files::FileError;
use crate::reference::Digest;
use crate::turn::Lock;

/// How many bytes the cache may hold where nothing else is set.
pub const LIMIT: u64 = 10_000_000_000;
/// The directories beside the blobs: files that are written whole and read whole.
const BESIDE: [&str; 5] = ["catalogue", "documents", "layers", "signatures", "tags"];
/// How a file is called while it is written.
const UNDER_WAY: &str = ".onramp-";
/// How long one may be under way. What is older a killed process left.
const WRITING: Duration = Duration::from_hours(1);

/// What the cache holds and what of it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Bytes of what is over the limit.
    pub over: u64,
    /// Bytes by directory.
    pub by_kind: BTreeMap<String, u64>,
}

struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    /// Whether a lock or a sandbox needs it.
    kept: bool,
}

impl Store {
    /// What the cache holds, and how much of it `evict` would take away. What is about one of these digests stays, unless it
    /// is a blob.
    pub fn usage(&self, limit: u64, kept: &BTreeSet<Digest>) -> Result<Usage, Error> {
        let entries = self.entries(kept)?;
        let mut usage = Usage { bytes: sum(&entries), ..Usage::default() };
        usage.over = excess(&entries, limit).map(|entry| entry.bytes).sum();
        for entry in &entries {
            let kind = entry.path.parent().and_then(|parent| parent.file_name()).unwrap_or_default();
            *usage.by_kind.entry(kind.to_string_lossy().into_owned()).or_default() += entry.bytes;
        }
        Ok(usage)
    }

    /// Takes away what was used longest ago until no more than `limit` bytes are left, or only what is in use or kept; how
    /// many bytes went.
    pub fn evict(&self, limit: u64, kept: &BTreeSet<Digest>) -> Result<u64, Error> {
        evict(&self.entries(kept)?, limit)
    }

    /// The same for blobs alone, where nobody knows what is needed of the rest.
    pub fn evict_blobs(&self, limit: u64) -> Result<u64, Error> {
        let mut entries = self.entries(&BTreeSet::new())?;
        for entry in &mut entries {
            entry.kept = entry.path.parent() != Some(&self.root);
        }
        evict(&entries, limit)
    }

    /// What the cache holds, what was used longest ago first.
    fn entries(&self, kept: &BTreeSet<Digest>) -> Result<Vec<Entry>, Error> {
        use std::os::unix::fs::MetadataExt;
        let mut entries = Vec::new();
        let blobs = std::fs::read_dir(&self.root).map_err(FileError::io("read", &self.root))?;
        for found in blobs {
            let found = found.map_err(FileError::io("read", &self.root))?;
            let path = found.path();
            // A journal is its part's. What vanished meanwhile is not here.
            let journal = path.extension().is_some_and(|extension| extension == "journal");
            let Some(data) = found.metadata().ok().filter(|data| data.is_file() && !journal) else { continue };
            let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry { path, bytes: data.blocks() * 512, used, kept: false });
        }
        let kept: BTreeSet<String> = kept.iter().map(|digest| digest.hex().to_string()).collect();
        let beside = BESIDE.iter().filter_map(|name| std::fs::read_dir(self.root.with_file_name(name)).ok());
        for found in beside.flatten().flatten() {
            let Some(data) = found.metadata().ok().filter(std::fs::Metadata::is_file) else { continue };
            // Their readers leave no mark but the kernel's, which is as good as a day.
            let used = data.accessed().ok().max(data.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
            let name = found.file_name().to_string_lossy().into_owned();
            let new = used.elapsed().is_ok_and(|age| age < WRITING);
            if name.starts_with(UNDER_WAY) && new {
                continue;
            }
            let kept = kept.contains(&name);
            entries.push(Entry { path: found.path(), bytes: data.blocks() * 512, used, kept });
        }
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        Ok(entries)
    }
}

/// Takes away those that are not kept, in their order, until no more than `limit` bytes are left; how many bytes went.
fn evict(entries: &[Entry], limit: u64) -> Result<u64, Error> {
    let before = sum(entries);
    let mut left = before;
    for entry in entries.iter().filter(|entry| !entry.kept) {
        if left <= limit {
            break;
        }
        let Ok(file) = File::open(&entry.path) else { continue };
        // Whoever fetches it or uses it has a lock on it.
        let Ok(_alone) = Lock::take(file) else { continue };
        if entry.path.extension().is_some_and(|extension| extension == "part") {
            partial::discard(&entry.path);
        } else {
            match std::fs::remove_file(&entry.path) {
                // Another onramp took it away between the opening and the lock.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.map_err(FileError::io("remove", &entry.path))?,
            }
        }
        left -= entry.bytes;
    }
    Ok(before - left)
}

fn sum(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.bytes).sum()
}

/// Those of the entries that must go for the rest to be within the limit.
fn excess(entries: &[Entry], limit: u64) -> impl Iterator<Item = &Entry> {
    let mut left = sum(entries);
    entries.iter().filter(|entry| !entry.kept).take_while(move |entry| {
        let over = left > limit;
        left = left.saturating_sub(entry.bytes);
        over
    })
}
