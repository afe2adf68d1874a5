//! Reading with a cap and writing whole: a file onramp writes is the old one or the new one, never half of it.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use crate::error::{Class, Fault};

/// What can go wrong with a file or directory.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, …
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Larger than any honest file of its kind.
    #[error("{} is larger than {}", path.display(), crate::text::bytes(*cap))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The cap in bytes.
        cap: u64,
    },
    /// Not text.
    #[error("{} is not UTF-8 text (byte {offset})", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the first bad byte is, from 0.
        offset: usize,
    },
    /// A path that leads out of the directory it must stay in.
    #[error("{} leads outside {}", path.display(), root.display())]
    Outside {
        /// The path as it was written.
        path: PathBuf,
        /// The directory it must stay in.
        root: PathBuf,
    },
}

impl Fault for FileError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Class::Io,
            Self::TooLarge { .. } | Self::NotText { .. } => Class::Config,
            Self::Outside { .. } => Class::Security,
        }
    }
}

impl FileError {
    /// Names the path that an I/O error is about.
    pub fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }

    /// Whether this says that the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// The whole of a file of at most `cap` bytes.
pub fn read(path: &Path, cap: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(cap + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > cap { Err(FileError::TooLarge { path: path.to_owned(), cap }) } else { Ok(bytes) }
}

/// The same of a text file.
pub fn read_text(path: &Path, cap: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, cap)?)
        .map_err(|error| FileError::NotText { path: path.to_owned(), offset: error.utf8_error().valid_up_to() })
}

/// Replaces a file's contents at once: temporary file beside it, fsync, rename, fsync of the directory.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    write_by(path, |out| out.write_all(contents))
}

/// The same of contents that are written piece by piece.
pub fn write_by(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let directory = directory_of(path)?;
    let failed = FileError::io("write", path);
    let attempt = || -> std::io::Result<()> {
        // A temporary file is private; what replaces an existing file keeps that file's mode.
        let mode = match std::fs::metadata(path) {
            Ok(old) => old.permissions(),
            Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
        };
        staged(directory, mode, contents)?.persist(path)?;
        File::open(directory)?.sync_all()
    };
    attempt().map_err(failed)
}

/// Writes a file that must not be there yet, whole or not at all. Tells whether it did: what is there stays.
pub fn write_new(path: &Path, contents: &[u8]) -> Result<bool, FileError> {
    write_new_as(path, contents, 0o644)
}

/// The same of a file that its user alone may read.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<bool, FileError> {
    write_new_as(path, contents, 0o600)
}

fn write_new_as(path: &Path, contents: &[u8], mode: u32) -> Result<bool, FileError> {
    let directory = directory_of(path)?;
    let failed = FileError::io("write", path);
    let attempt = || -> std::io::Result<bool> {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        match staged(directory, mode, |out| out.write_all(contents))?.persist_noclobber(path) {
            Ok(_) => File::open(directory)?.sync_all().map(|()| true),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    attempt().map_err(failed)
}

/// The directory of a file, which is there now.
fn directory_of(path: &Path) -> Result<&Path, FileError> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
    Ok(directory)
}

/// A file of no name yet, complete and synced.
fn staged(
    directory: &Path,
    mode: std::fs::Permissions,
    contents: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> std::io::Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new().prefix(".onramp-").tempfile_in(directory)?;
    let mut out = BufWriter::new(file.as_file());
    contents(&mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a directory that its user alone may look into, with those above it that are missing. One that is there stays as
/// it is.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::io("create", path))
}

/// Makes a directory, whole or not at all: `write` fills it aside, and its name is the last step. One that is there is whole, and
/// stays.
pub fn directory_once<E: From<FileError>>(place: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    if place.is_dir() {
        return Ok(());
    }
    let parent = place.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
    let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
    let aside = aside.map_err(FileError::io("create", place))?;
    write(aside.path())?;
    match std::fs::rename(aside.path(), place) {
        Ok(()) => {
            // It has another name by now.
            let _ = aside.keep();
            Ok(())
        }
        // Another onramp came first.
        Err(_) if place.is_dir() => Ok(()),
        Err(error) => Err(FileError::io("create", place)(error).into()),
    }
}

/// The place that a relative path from a project file means, proven to lie inside `root`, symbolic links followed.
pub fn confined(root: &Path, relative: &Path) -> Result<PathBuf, FileError> {
    let outside = || FileError::Outside { path: relative.to_owned(), root: root.to_owned() };
    if relative.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let root = root.canonicalize().map_err(FileError::io("read", root))?;
    let joined = root.join(relative);
    let place = joined.canonicalize().map_err(FileError::io("read", &joined))?;
    if place.starts_with(&root) { Ok(place) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_whole_and_keeps_the_mode() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.toml");
        write(&path, b"one").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_new_file_is_never_written_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        assert!(write_new(&path, b"one").unwrap());
        assert!(!write_new(&path, b"two").unwrap());
        assert_eq!(read_text(&path, 10).unwrap(), "one");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn huge_and_binary_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"12345").unwrap();
        assert!(matches!(read_text(&path, 4), Err(FileError::TooLarge { cap: 4, .. })));
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(matches!(read_text(&path, 4), Err(FileError::NotText { offset: 2, .. })));
    }

    #[test]
    fn paths_cannot_leave_their_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        assert!(confined(&root, Path::new("./src")).is_ok());
        for bad in ["../x", "/etc/passwd", "src/../../x", "link/passwd"] {
            assert!(matches!(confined(&root, Path::new(bad)), Err(FileError::Outside { .. })), "{bad}");
        }
    }
}
