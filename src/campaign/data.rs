//! A repository's own data, for blocks that read it (`_external_data`): the files of its commit, on disk while it is visited,
//! since no work tree may be read.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::blocks::Error;
use crate::files::FileError;
use crate::git::Snapshot;
use crate::template::external;
use crate::tree::Entry;

/// The most that is put on disk, in bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// Puts a commit's files into a directory that goes when it is dropped. Of a file that is too large to be read as data there
/// is only its size, so that it is refused as it would be elsewhere.
pub fn unpacked(snapshot: &Snapshot) -> Result<TempDir, Error> {
    let directory = tempfile::Builder::new().prefix("onramp-campaign-").tempdir();
    let directory = directory.map_err(FileError::io("create", &std::env::temp_dir()))?;
    let mut links = Vec::new();
    let mut left = MOST;
    for (path, size) in snapshot.walk(None, &|_| true)? {
        let place = directory.path().join(path.as_str());
        let wrong = || FileError::io("write", &place);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(wrong())?;
        }
        if size > external::CAP {
            File::create_new(&place).and_then(|file| file.set_len(external::CAP + 1)).map_err(wrong())?;
            continue;
        }
        left = left.checked_sub(size).ok_or_else(|| FileError::TooLarge { path: path.as_str().into(), cap: MOST })?;
        match snapshot.get(&path)? {
            Some(Entry::File { contents, .. }) => {
                File::create_new(&place).and_then(|mut file| file.write_all(&contents.bytes())).map_err(wrong())?;
            }
            Some(Entry::Link { target }) => links.push((target, place)),
            None => {}
        }
    }
    // Links last: what is written goes through none.
    for (target, place) in links {
        symlink(target, &place).map_err(FileError::io("write", &place))?;
    }
    Ok(directory)
}
