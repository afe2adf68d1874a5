//! Which files a project has, without what git ignores and what is onramp's own; compared with what it had before.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ignore::WalkBuilder;
use serde::{Deserialize, Serialize};

use crate::files::FileError;
use crate::project::{ARTIFACTS, HOME};

/// How coarse a file system's clock may be: what changes twice within it has the same time both times.
const COARSE: Duration = Duration::from_millis(20);

/// The files of a directory as they stood at one moment, by their paths from it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The files, links among them.
    pub files: BTreeMap<PathBuf, Stamp>,
    /// The directories that they are in, absolute.
    pub directories: BTreeSet<PathBuf>,
}

/// By what a file that was written is told from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    inode: u64,
    /// In bytes.
    pub size: u64,
    mode: u32,
    written: (i64, i64),
    changed: (i64, i64),
    /// Whether it had been left alone for long enough that its times tell the next change.
    settled: bool,
}

/// Which files are looked at. What is git's and onramp's own never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that git does not ignore.
    NotIgnored,
}

impl Stamp {
    /// Whether a file with this stamp is what it was with that one.
    pub fn is(&self, then: &Self) -> bool {
        then.settled && Self { settled: true, ..*self } == *then
    }
}

impl Listing {
    /// Looks at every file. What goes while it looks is not there. Blocking.
    pub fn read(root: &Path, which: Which) -> Result<Self, FileError> {
        std::fs::read_dir(root).map_err(FileError::io("read", root))?;
        let began =
            SystemTime::now().checked_sub(COARSE).and_then(|then| then.duration_since(SystemTime::UNIX_EPOCH).ok());
        let young = began.map_or(i64::MAX, |began| i64::try_from(began.as_nanos()).unwrap_or(i64::MAX));
        let mut listing = Self::default();
        let mut walk = WalkBuilder::new(root);
        let ignored = which == Which::NotIgnored;
        walk.git_ignore(ignored)
            .git_exclude(ignored)
            .hidden(false)
            .parents(false)
            .ignore(false)
            .git_global(false)
            .require_git(false)
            .follow_links(false);
        walk.filter_entry(|entry| {
            let own = [".git", HOME].iter().any(|name| entry.file_name() == *name);
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            !(own || (is_dir && entry.path().join(ARTIFACTS).exists()))
        });
        for found in walk.build().flatten() {
            let Ok(meta) = found.path().symlink_metadata() else { continue };
            if meta.is_dir() {
                listing.directories.insert(found.into_path());
                continue;
            }
            let changed = (meta.ctime(), meta.ctime_nsec());
            let stamp = Stamp {
                inode: meta.ino(),
                size: meta.size(),
                mode: meta.mode(),
                written: (meta.mtime(), meta.mtime_nsec()),
                changed,
                settled: changed.0.saturating_mul(1_000_000_000).saturating_add(changed.1) < young,
            };
            let path = found.path().strip_prefix(root).expect("a walk stays under its top").to_owned();
            listing.files.insert(path, stamp);
        }
        Ok(listing)
    }

    /// The files that are not as they were: written, new, or gone.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<PathBuf> {
        let same = |path: &PathBuf, stamp: &Stamp| before.files.get(path).is_some_and(|then| stamp.is(then));
        let written = self.files.iter().filter(|(path, stamp)| !same(path, stamp)).map(|(path, _)| path);
        let gone = before.files.keys().filter(|path| !self.files.contains_key(*path));
        written.chain(gone).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same files, all of them left alone for long.
    fn settled(root: &Path) -> Listing {
        let mut listing = Listing::read(root, Which::NotIgnored).unwrap();
        listing.files.values_mut().for_each(|stamp| stamp.settled = true);
        listing
    }

    fn names(paths: &BTreeSet<PathBuf>) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn written_new_and_gone_files_are_told_and_ignored_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let place = |path: &str| dir.path().join(path);
        for path in ["src/deep/a", "src/b", "logs/x", ".git/HEAD", ".onramp/y", "out/.onramp-artifacts", "gone/c"] {
            std::fs::create_dir_all(place(path).parent().unwrap()).unwrap();
            std::fs::write(place(path), "1").unwrap();
        }
        std::fs::write(place(".gitignore"), "logs\n").unwrap();
        let before = settled(dir.path());
        assert!(settled(dir.path()).changed_since(&before).is_empty());
        for path in ["src/b", "logs/x", ".git/HEAD", ".onramp/y", "out/report"] {
            std::fs::write(place(path), "22").unwrap();
        }
        std::fs::rename(place("src/deep"), place("src/moved")).unwrap();
        std::fs::remove_dir_all(place("gone")).unwrap();
        let changed = settled(dir.path()).changed_since(&before);
        assert_eq!(names(&changed), ["gone/c", "src/b", "src/deep/a", "src/moved/a"]);
    }

    #[test]
    fn what_was_written_a_moment_ago_may_be_written_again_unseen_and_is_told_twice() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "1").unwrap();
        let mut before = settled(dir.path());
        before.files.values_mut().for_each(|stamp| stamp.settled = false);
        assert_eq!(names(&settled(dir.path()).changed_since(&before)), ["a"]);
    }

    #[test]
    fn a_project_that_is_gone_is_no_project_whose_files_are() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Listing::read(&dir.path().join("gone"), Which::All).unwrap_err().is_not_found());
    }
}
