//! Making a directory all at once: built beside its target, then renamed onto it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;
use crate::files::FileError;
use crate::tree::{Entry, TreePath};
use crate::turn::Lock;

/// What staging directories are called, before a random end.
const PREFIX: &str = ".onramp-new-";
/// The file in them that their process holds locked for as long as it lives.
const MARKER: &str = "onramp-new.lock";
/// The directory in them that holds what becomes the target.
const TREE: &str = "tree";

/// A directory under construction. Dropped before [`Staging::publish`], it leaves nothing behind.
pub struct Staging {
    /// What becomes the target. It has the target's name: a script that runs there may ask for it.
    tree: PathBuf,
    // Order matters: the lock is held until the directory is gone.
    directory: tempfile::TempDir,
    made: Vec<PathBuf>,
    _lock: Lock,
}

impl Staging {
    /// Begins one beside `target`, and removes those that killed processes left there.
    pub fn begin(target: &Path) -> Result<Self, Error> {
        let parent = target.parent().unwrap_or(Path::new("/"));
        let made = create_missing(parent)?;
        let begin = || -> Result<(PathBuf, tempfile::TempDir, Lock), FileError> {
            // One at a time, so that nobody sweeps a directory that is not marked yet. Where a file system cannot lock
            // directories, nothing is swept.
            let turn = File::open(parent).map_err(FileError::io("read", parent))?;
            let turn = Lock::wait(turn);
            if turn.is_ok() {
                sweep(parent);
            }
            let directory = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(parent)
                .map_err(FileError::io("write to", parent))?;
            let marker = directory.path().join(MARKER);
            let lock = File::create_new(&marker).map_err(FileError::io("create", &marker))?;
            let lock = Lock::wait(lock).map_err(FileError::io("lock", &marker))?;
            let tree = directory.path().join(TREE).join(target.file_name().unwrap_or(TREE.as_ref()));
            fs::create_dir_all(&tree).map_err(FileError::io("create", &tree))?;
            Ok((tree, directory, lock))
        };
        match begin() {
            Ok((tree, directory, lock)) => Ok(Self { tree, directory, made, _lock: lock }),
            Err(error) => {
                remove_empty(&made);
                Err(error.into())
            }
        }
    }

    /// The directory that becomes the target.
    pub fn tree(&self) -> PathBuf {
        self.tree.clone()
    }

    /// Makes the tree the target, at once and for good. An empty directory there is replaced, anything else stays.
    pub fn publish(mut self, target: &Path) -> Result<(), Error> {
        let tree = self.tree();
        if let Ok(old) = fs::symlink_metadata(target) {
            fs::set_permissions(&tree, old.permissions()).map_err(FileError::io("write", &tree))?;
        }
        sync(&tree)?;
        match fs::rename(&tree, target) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(NOT_EMPTY | EXISTS | NOT_A_DIRECTORY)) => {
                return Err(Error::Occupied { target: target.to_owned(), what: "appeared meanwhile" });
            }
            Err(error) => return Err(FileError::io("create", target)(error).into()),
        }
        self.made.clear();
        let parent = target.parent().unwrap_or(Path::new("/"));
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        Ok(synced.map_err(FileError::io("write", parent))?)
    }
}

const EXISTS: i32 = rustix::io::Errno::EXIST.raw_os_error();
const NOT_EMPTY: i32 = rustix::io::Errno::NOTEMPTY.raw_os_error();
const NOT_A_DIRECTORY: i32 = rustix::io::Errno::NOTDIR.raw_os_error();

impl Drop for Staging {
    fn drop(&mut self) {
        // The staging directory stands in the last of them.
        let _ = fs::remove_dir_all(self.directory.path());
        remove_empty(&self.made);
    }
}

/// Whether something new can go there: nothing is there, or an empty directory.
pub fn vacant(target: &Path) -> Result<(), Error> {
    let occupied = |what| Err(Error::Occupied { target: target.to_owned(), what });
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.raw_os_error() == Some(NOT_A_DIRECTORY) => occupied("lies under a file"),
        Err(error) => Err(FileError::io("read", target)(error).into()),
        Ok(found) if !found.is_dir() => occupied("exists, and is no directory"),
        Ok(_) => {
            let mut entries = fs::read_dir(target).map_err(FileError::io("read", target))?;
            if entries.next().is_some() { occupied("exists, and is not empty") } else { Ok(()) }
        }
    }
}

/// Writes a file or link that must not be there yet, with its directories.
pub fn write_new(root: &Path, path: &TreePath, entry: &Entry) -> Result<(), FileError> {
    let path = root.join(path.as_str());
    let (contents, executable) = match entry {
        Entry::File { contents, executable } => (contents, *executable),
        Entry::Link { target } => {
            let link = || std::os::unix::fs::symlink(target, &path);
            return in_directory(&path, link).map_err(FileError::io("write", &path));
        }
    };
    let mode = if executable { 0o777 } else { 0o666 };
    let create = || fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
    let written = in_directory(&path, create).and_then(|mut open| open.write_all(&contents.bytes()));
    written.map_err(FileError::io("write", &path))
}

/// Makes something at a path; its directories only where they are missing, which most are not.
fn in_directory<T>(path: &Path, make: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
    match make() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            make()
        }
        other => other,
    }
}

/// Writes to the disk what the system still holds of a tree. The whole file system at once, since that waits once and not
/// for every file; where the system cannot, every file, then every directory.
fn sync(directory: &Path) -> Result<(), FileError> {
    #[cfg(target_os = "linux")]
    if let Ok(handle) = File::open(directory)
        && rustix::fs::syncfs(&handle).is_ok()
    {
        return Ok(());
    }
    sync_each(directory)
}

fn sync_each(directory: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(directory).map_err(FileError::io("read", directory))? {
        let entry = entry.map_err(FileError::io("read", directory))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(FileError::io("read", &path))?;
        if kind.is_dir() {
            sync_each(&path)?;
        } else if kind.is_file() {
            File::open(&path).and_then(|file| file.sync_all()).map_err(FileError::io("write", &path))?;
        }
    }
    File::open(directory).and_then(|dir| dir.sync_all()).map_err(FileError::io("write", directory))
}

/// Creates a directory and those above it; those that it made, topmost first.
pub fn create_missing(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut missing: Vec<PathBuf> = directory.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
    missing.reverse();
    fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
    Ok(missing)
}

/// Removes directories that were made for nothing; one that somebody uses by now stays.
pub fn remove_empty(made: &[PathBuf]) {
    for directory in made.iter().rev() {
        let _ = fs::remove_dir(directory);
    }
}

/// Removes the staging directories of this user whose process is gone: their marker is not locked. What cannot be
/// removed is no reason to stop.
fn sweep(parent: &Path) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.uid() == me);
        match File::open(path.join(MARKER)).map(Lock::take) {
            Ok(Ok(_)) if ours => {
                let _ = fs::remove_dir_all(&path);
            }
            // Killed before it was marked: it is empty, or it is none of ours and stays.
            Err(_) if ours => {
                let _ = fs::remove_dir(&path);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::begin(&dir.path().join("a/b/shop")).unwrap();
        fs::write(staging.tree().join("x"), "x").unwrap();
        assert!(dir.path().join("a/b").is_dir());
        drop(staging);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn what_is_published_is_all_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("shop");
        let staging = Staging::begin(&target).unwrap();
        fs::write(staging.tree().join("x"), "x").unwrap();
        staging.publish(&target).unwrap();
        assert_eq!(names(dir.path()), ["shop"]);
        assert_eq!(names(&target), ["x"]);
    }

    #[test]
    fn what_appears_meanwhile_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("shop");
        let staging = Staging::begin(&target).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(target.join("mine"), "mine").unwrap();
        assert!(matches!(staging.publish(&target), Err(Error::Occupied { .. })));
        assert_eq!(names(dir.path()), ["shop"]);
        assert_eq!(names(&target), ["mine"]);
    }

    #[test]
    fn only_what_dead_processes_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".onramp-new-early")).unwrap();
        for (name, marked) in [(".onramp-new-dead", true), (".onramp-new-foreign", false), ("other", true)] {
            fs::create_dir_all(dir.path().join(name).join(TREE)).unwrap();
            if marked {
                fs::write(dir.path().join(name).join(MARKER), "").unwrap();
            }
        }
        let alive = Staging::begin(&dir.path().join("one")).unwrap();
        let alive_name = alive.directory.path().file_name().unwrap().to_string_lossy().into_owned();
        let two = Staging::begin(&dir.path().join("two")).unwrap();
        drop(two);
        let mut expected = vec![alive_name, ".onramp-new-foreign".to_owned(), "other".to_owned()];
        expected.sort();
        assert_eq!(names(dir.path()), expected);
    }
}
