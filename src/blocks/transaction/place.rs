//! The directory beside a project's files in which new ones are made and old ones are kept, and the moves between them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, linkat, mkdirat, openat, renameat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use super::Operation;
use super::journal::Journal;
use crate::directory::{self, Directory, Facts, Found};
use crate::files::FileError;
use crate::tree::{Entry, TreePath};

/// Its name in the project, where git's directory is not one of its own or on another file system.
pub(super) const BESIDE: &str = ".onramp-change";
/// Its path where git's directory can hold it: git does not look there.
const IN_GIT: &str = ".git/onramp-change";
/// What will be moved.
const JOURNAL: &str = "journal";
/// The journal once all is in place.
const DONE: &str = "done";
/// The largest journal, in bytes.
const JOURNAL_CAP: u64 = 256 * 1024 * 1024;

/// More files than this are synced together.
const MANY: usize = 16;

/// The directory.
pub(super) struct Staging {
    path: PathBuf,
    handle: OwnedFd,
}

/// How far a killed onramp came.
pub(super) enum Left {
    /// Nothing was moved yet.
    Nothing,
    /// Some things may be moved.
    Begun(Journal),
    /// Everything is moved.
    Done(Journal),
}

impl Staging {
    /// The one that a killed onramp left.
    pub fn find(root: &Directory) -> Result<Option<Self>, FileError> {
        for name in [IN_GIT, BESIDE] {
            let name: TreePath = name.parse().expect("a constant path");
            if matches!(root.find(&name), Ok(Found::Directory)) {
                return Ok(Some(Self::open(root.place(&name))?));
            }
        }
        Ok(None)
    }

    /// A new one.
    pub fn create(root: &Directory) -> Result<Self, FileError> {
        let name = if is_git_at_home(root) { IN_GIT } else { BESIDE };
        let path = root.path().join(name);
        fs::create_dir(&path).map_err(FileError::io("create", &path))?;
        Self::open(path)
    }

    fn open(path: PathBuf) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&path, flags, Mode::empty());
        let handle = handle.map_err(|error| FileError::io("open", &path)(error.into()))?;
        Ok(Self { path, handle })
    }

    /// Writes what an operation brings.
    pub fn write(&self, index: usize, operation: &Operation, replaced: Option<Facts>) -> io::Result<()> {
        let name = new(index);
        match &operation.after {
            None => Ok(()),
            Some(Entry::Link { target }) => Ok(symlinkat(target.as_str(), &self.handle, &name)?),
            Some(Entry::File { contents, executable }) => {
                let mode = Mode::from_raw_mode(if *executable { 0o777 } else { 0o666 });
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(openat(&self.handle, &name, flags, mode)?);
                file.write_all(&contents.bytes())?;
                let replaced = replaced.filter(|_| matches!(operation.before, Some(Entry::File { .. })));
                if let Some(facts) = replaced {
                    keep_owner(&file, facts)?;
                }
                let bits = operation.mode.or_else(|| replaced.map(|facts| with_execution(facts.mode, *executable)));
                if let Some(bits) = bits {
                    fchmod(&file, Mode::from_raw_mode(bits & 0o777))?;
                }
                Ok(())
            }
        }
    }

    /// Has everything that was written on the disk, then says what will be moved.
    pub fn begin(&self, journal: &Journal) -> Result<(), FileError> {
        self.sync(journal)?;
        crate::files::write_by(&self.path.join(JOURNAL), |out| Ok(serde_json::to_writer(out, journal)?))
    }

    /// A few files are waited for one by one. For many of them the disk would be asked as many times, so it is asked once,
    /// for all that it has not yet.
    fn sync(&self, journal: &Journal) -> Result<(), FileError> {
        let moves = journal.moves.iter().enumerate();
        let written: Vec<String> = moves.filter(|(_, m)| m.after.is_some()).map(|(index, _)| new(index)).collect();
        if written.len() > MANY && sync_file_system(&self.handle) {
            return Ok(());
        }
        for name in written {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let synced = match openat(&self.handle, &name, flags, Mode::empty()) {
                Ok(file) => File::from(file).sync_all(),
                // A symbolic link, which the directory itself holds; or a file that its owner may not read.
                Err(Errno::LOOP | Errno::ACCESS) => Ok(()),
                Err(error) => Err(error.into()),
            };
            synced.map_err(FileError::io("write", &self.path.join(name)))?;
        }
        Ok(())
    }

    /// Says that all is in place.
    pub fn done(&self) -> Result<(), FileError> {
        let moved = renameat(&self.handle, JOURNAL, &self.handle, DONE);
        moved.map_err(|error| FileError::io("write", &self.path.join(DONE))(error.into()))?;
        self.flush().map_err(FileError::io("write", &self.path))
    }

    /// Has its names on the disk.
    pub fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// How far its onramp came.
    pub fn left(&self) -> Result<Left, super::Error> {
        let read = |name: &str| -> Result<Option<Journal>, super::Error> {
            let path = self.path.join(name);
            let text = match crate::files::read(&path, JOURNAL_CAP) {
                Ok(text) => text,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            // A clone may bring one: it says nothing about git's own files, or what no project may hold.
            let journal: Result<Journal, String> = serde_json::from_slice(&text).map_err(|error| error.to_string());
            let checked = journal.and_then(|journal| {
                let bad = journal.paths().find_map(|path| path.check().err());
                bad.map_or(Ok(journal), |bad| Err(bad.to_string()))
            });
            Ok(Some(checked.map_err(|why| super::Error::Journal { journal: path, why })?))
        };
        if let Some(journal) = read(DONE)? {
            return Ok(Left::Done(journal));
        }
        Ok(read(JOURNAL)?.map_or(Left::Nothing, Left::Begun))
    }

    /// Removes it and all that it holds, what speaks of moves first. What cannot be removed now is removed by the next.
    pub fn remove(&self) {
        for name in [JOURNAL, DONE] {
            let _ = unlinkat(&self.handle, name, AtFlags::empty());
        }
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Moves what stands at a path aside, if it is what it was when it was checked.
    pub fn take(&self, index: usize, at: &OwnedFd, path: &TreePath, before: Option<&Entry>) -> io::Result<()> {
        renameat(at, path.file_name(), &self.handle, old(index))?;
        self.is(index, before)
    }

    /// Whether what was kept is what was checked: somebody may have saved a file since.
    fn is(&self, index: usize, before: Option<&Entry>) -> io::Result<()> {
        match directory::find(&self.handle, &old(index))? {
            Found::Entry(entry, _) if Some(&entry) == before => Ok(()),
            _ => Err(io::Error::other("somebody changed it meanwhile")),
        }
    }

    /// Puts what was written where nothing stands.
    pub fn put(&self, index: usize, at: &OwnedFd, path: &TreePath) -> io::Result<()> {
        // A rename would silently replace what appeared this moment.
        if statat(at, path.file_name(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        Ok(renameat(&self.handle, new(index), at, path.file_name())?)
    }

    /// Puts what was written in the place of what stands there, which is kept. At no moment is there nothing.
    pub fn replace(&self, index: usize, at: &OwnedFd, path: &TreePath, before: Option<&Entry>) -> io::Result<()> {
        if linkat(at, path.file_name(), &self.handle, old(index), AtFlags::empty()).is_err() {
            // Not every file system has hard links, and not every file may get one.
            renameat(at, path.file_name(), &self.handle, old(index))?;
        }
        self.is(index, before)?;
        Ok(renameat(&self.handle, new(index), at, path.file_name())?)
    }

    /// Whether what an operation brings is still here.
    pub fn has_new(&self, index: usize) -> bool {
        self.has(&new(index))
    }

    /// Whether what an operation replaces or removes is here.
    pub fn has_old(&self, index: usize) -> bool {
        self.has(&old(index))
    }

    fn has(&self, name: &str) -> bool {
        statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Puts what was kept at a name, in the place of what stands there.
    pub fn give_back(&self, index: usize, at: &OwnedFd, name: &str) -> io::Result<()> {
        Ok(renameat(&self.handle, old(index), at, name)?)
    }
}

fn new(index: usize) -> String {
    format!("new-{index}")
}

fn old(index: usize) -> String {
    format!("old-{index}")
}

/// Whether the system could have a whole file system on its disk.
fn sync_file_system(handle: &OwnedFd) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::syncfs(handle).is_ok();
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Whether git's directory is in the project and can take files from there by renaming.
fn is_git_at_home(root: &Directory) -> bool {
    let device = |name| statat(root.handle(), name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| stat.st_dev);
    matches!(directory::find(root.handle(), ".git"), Ok(Found::Directory))
        && device(".git").is_ok_and(|git| device(".") == Ok(git))
        && rustix::fs::accessat(root.handle(), ".git", rustix::fs::Access::WRITE_OK, AtFlags::empty()).is_ok()
}

/// A file that replaces another one belongs to the same user and group; where that cannot be, it is not replaced.
fn keep_owner(file: &File, facts: Facts) -> io::Result<()> {
    let stat = fstat(file)?;
    if stat.st_uid != facts.owner {
        fchown(file, Some(Uid::from_raw(facts.owner)), None)?;
    }
    if stat.st_gid != facts.group {
        fchown(file, None, Some(Gid::from_raw(facts.group)))?;
    }
    Ok(())
}

/// Permission bits with those to run it set for whoever may read it, or for nobody.
fn with_execution(mode: u32, executable: bool) -> u32 {
    match (mode & 0o100 != 0, executable) {
        (true, true) | (false, false) => mode,
        (false, true) => mode | ((mode & 0o444) >> 2),
        (true, false) => mode & !0o111,
    }
}

/// Makes a directory; with these permission bits, where they are known.
pub(super) fn make_directory(at: &OwnedFd, path: &TreePath, mode: Option<u32>) -> io::Result<()> {
    mkdirat(at, path.file_name(), Mode::from_raw_mode(mode.unwrap_or(0o777)))?;
    if let Some(mode) = mode {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fchmod(openat(at, path.file_name(), flags, Mode::empty())?, Mode::from_raw_mode(mode & 0o777))?;
    }
    Ok(())
}

/// Removes an empty directory.
pub(super) fn remove_directory(at: &OwnedFd, path: &TreePath) -> io::Result<()> {
    Ok(unlinkat(at, path.file_name(), AtFlags::REMOVEDIR)?)
}

/// Removes a file or link.
pub(super) fn remove_file(at: &OwnedFd, path: &TreePath) -> io::Result<()> {
    Ok(unlinkat(at, path.file_name(), AtFlags::empty())?)
}

/// Has the names in a directory on the disk.
pub(super) fn flush(directory: &OwnedFd, place: &Path) -> Result<(), FileError> {
    rustix::fs::fsync(directory).map_err(|error| FileError::io("write", place)(error.into()))
}
