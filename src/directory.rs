//! A directory whose paths are walked name by name. No symbolic link is followed on the way, so what is inside stays
//! inside, whoever changes the directory meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::files::FileError;
use crate::tree::{Entry, Spool, Tree, TreePath};

/// The largest file that is read from a project, in bytes.
pub const FILE_CAP: u64 = 256 * 1024 * 1024;

/// A directory, held open.
pub struct Directory {
    path: PathBuf,
    handle: OwnedFd,
}

/// What stands at a path.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// A file or link.
    Entry(Entry, Facts),
}

/// What a tree does not say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The permission bits.
    pub mode: u32,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
}

/// The directory in which a path's last name stands.
#[derive(Debug)]
pub enum Parent {
    /// It is there.
    There(OwnedFd),
    /// It, or a directory above it, is not: this one is the topmost that is missing.
    Missing(TreePath),
    /// A file or link stands where it, or a directory above it, would be.
    Blocked(TreePath),
}

/// How directories are opened.
const WALK: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Directory {
    /// Opens one.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty());
        let handle = handle.map_err(|error| FileError::io("open", path)(error.into()))?;
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its handle.
    pub fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// Where a path in it is, for messages.
    pub fn place(&self, path: &TreePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// The directory in which a path's last name stands.
    pub fn parent(&self, path: &TreePath) -> Result<Parent, FileError> {
        let text = path.as_str();
        let mut handle = None;
        for (end, _) in text.match_indices('/') {
            let walked = &text[..end];
            let name = walked.rsplit('/').next().unwrap_or(walked);
            let opened = openat(handle.as_ref().unwrap_or(&self.handle), name, WALK, Mode::empty());
            let so_far = || walked.parse().expect("the beginning of a path is one");
            match opened {
                Ok(next) => handle = Some(next),
                Err(Errno::NOENT) => return Ok(Parent::Missing(so_far())),
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Parent::Blocked(so_far())),
                Err(error) => return Err(FileError::io("open", &self.path.join(walked))(error.into())),
            }
        }
        let handle = match handle {
            Some(handle) => handle,
            None => openat(&self.handle, ".", WALK, Mode::empty())
                .map_err(|error| FileError::io("open", &self.path)(error.into()))?,
        };
        Ok(Parent::There(handle))
    }

    /// What stands at a path. Where a file or link blocks the way there, nothing does.
    pub fn find(&self, path: &TreePath) -> Result<Found, FileError> {
        match self.parent(path)? {
            Parent::There(parent) => find(&parent, path.file_name()).map_err(FileError::io("read", &self.place(path))),
            Parent::Missing(_) | Parent::Blocked(_) => Ok(Found::Nothing),
        }
    }

    /// The names in a directory of it (none: its own), those that are no UTF-8 apart. None of what is no directory.
    pub fn names(&self, directory: Option<&TreePath>) -> Result<Vec<String>, FileError> {
        let (parent, name) = match directory {
            None => (None, "."),
            Some(path) => match self.parent(path)? {
                Parent::There(parent) => (Some(parent), path.file_name()),
                Parent::Missing(_) | Parent::Blocked(_) => return Ok(Vec::new()),
            },
        };
        let wrong = |error: Errno| {
            let place = directory.map_or_else(|| self.path.clone(), |path| self.place(path));
            FileError::io("read", &place)(error.into())
        };
        let handle = match openat(parent.as_ref().unwrap_or(&self.handle), name, WALK, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut names = Vec::new();
        for entry in Dir::new(handle).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            names
                .extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
        }
        Ok(names)
    }

    /// The permission bits of a directory in it; none where it is none.
    pub fn mode(&self, path: &TreePath) -> Result<Option<u32>, FileError> {
        let Parent::There(parent) = self.parent(path)? else { return Ok(None) };
        match statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(Some(permissions(&stat))),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(FileError::io("read", &self.place(path))(error.into())),
        }
    }

    /// The files and links at these paths, and those that block the way to one. What is a directory is left out.
    pub fn read<'a>(&self, paths: impl IntoIterator<Item = &'a TreePath>) -> Result<Tree, FileError> {
        let (mut tree, mut spool) = (Tree::default(), Spool::default());
        for path in paths {
            match self.parent(path)? {
                Parent::There(parent) => {
                    let found = find(&parent, path.file_name());
                    if let Found::Entry(entry, _) = found.map_err(FileError::io("read", &self.place(path)))? {
                        tree.insert(path.clone(), entry.kept(&mut spool));
                    }
                }
                Parent::Missing(_) => {}
                Parent::Blocked(at) => {
                    if let Found::Entry(entry, _) = self.find(&at)? {
                        tree.insert(at, entry.kept(&mut spool));
                    }
                }
            }
        }
        Ok(tree)
    }
}

/// What stands under a name in an open directory. Pipes and devices are errors: nothing of a project is one.
pub fn find(parent: &OwnedFd, name: &str) -> io::Result<Found> {
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(error) => return Err(error.into()),
    };
    let entry = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => return Ok(Found::Directory),
        FileType::Symlink => {
            let target = readlinkat(parent, name, Vec::new())?;
            let target = target.into_string().map_err(|_| io::Error::other("it leads to what is no UTF-8 text"))?;
            Entry::Link { target }
        }
        FileType::RegularFile => {
            let contents = read_file(parent, name, &stat)?;
            Entry::File { contents: contents.into(), executable: stat.st_mode & 0o100 != 0 }
        }
        _ => return Err(io::Error::other("it is neither file, link nor directory")),
    };
    Ok(Found::Entry(entry, facts(&stat)))
}

fn facts(stat: &Stat) -> Facts {
    Facts { mode: permissions(stat), owner: stat.st_uid, group: stat.st_gid }
}

fn permissions(stat: &Stat) -> u32 {
    Mode::from_raw_mode(stat.st_mode as RawMode).bits() & 0o777
}

fn read_file(parent: &OwnedFd, name: &str, stat: &Stat) -> io::Result<Vec<u8>> {
    // Between the look and the opening it may have become a pipe, on which nobody shall wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(parent, name, flags, Mode::empty())?);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut contents = Vec::with_capacity(usize::try_from(size.min(FILE_CAP)).unwrap_or(0) + 1);
    file.take(FILE_CAP + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > FILE_CAP {
        return Err(io::Error::other(format!("it is larger than {}", crate::text::bytes(FILE_CAP))));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn no_link_is_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), "b").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink("a/b", dir.path().join("inner")).unwrap();
        let root = Directory::open(dir.path()).unwrap();
        assert!(matches!(root.find(&path("out/secret")).unwrap(), Found::Nothing));
        assert!(matches!(root.parent(&path("out/secret")).unwrap(), Parent::Blocked(at) if at == path("out")));
        assert!(matches!(root.parent(&path("a/b/c")).unwrap(), Parent::Blocked(at) if at == path("a/b")));
        assert!(matches!(root.parent(&path("x/y/z")).unwrap(), Parent::Missing(at) if at == path("x")));
        assert!(matches!(root.find(&path("a")).unwrap(), Found::Directory));
        let wanted = ["a/b", "inner", "out/secret", "nowhere/x", "a"].map(path);
        let tree = root.read(&wanted).unwrap();
        let expected = [
            (path("a/b"), Entry::file("b")),
            (path("inner"), Entry::Link { target: "a/b".into() }),
            (path("out"), Entry::Link { target: outside.path().display().to_string() }),
        ];
        assert_eq!(tree, expected.into_iter().collect());
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
        assert!(made.success());
        let root = Directory::open(dir.path()).unwrap();
        let error = root.find(&path("pipe")).unwrap_err();
        assert!(crate::error::chain(&error).ends_with("it is neither file, link nor directory"), "{error}");
    }
}
