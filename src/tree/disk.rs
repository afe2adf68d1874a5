//! A directory of this machine read as a tree. Links are kept as links and never followed.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{BadPath, Cap, Entry, Spool, Tree, TreePath};
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::text::neutral_line;

/// Why a directory cannot be read as a tree.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name that no tree can hold.
    #[error("{} cannot be taken: {why}", neutral_line(path, 200))]
    Path {
        /// From the directory.
        path: String,
        /// What is wrong with it.
        why: BadPath,
    },
    /// Neither a file nor a link nor a directory.
    #[error("{} is no file, link or directory", path.display())]
    Special {
        /// Where it is.
        path: PathBuf,
    },
    /// More than anybody's template holds.
    #[error("{} holds more than {cap}", path.display())]
    TooMuch {
        /// The directory.
        path: PathBuf,
        /// What was allowed.
        cap: Cap,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Path { .. } | Self::Special { .. } => Class::Config,
            Self::TooMuch { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMuch { .. } => Some("is it the right directory?".to_owned()),
            _ => None,
        }
    }
}

/// Reads a directory, everything in it but what is called `.git`.
pub fn read(root: &Path, cap: Cap) -> Result<Tree, Error> {
    let (mut tree, mut spool) = (Tree::default(), Spool::default());
    let mut used = Cap { files: 0, bytes: 0 };
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let place = root.join(&directory);
        for found in std::fs::read_dir(&place).map_err(FileError::io("read", &place))? {
            let found = found.map_err(FileError::io("read", &place))?;
            let name = found.file_name();
            if name == ".git" {
                continue;
            }
            let name = name.to_str().ok_or_else(|| {
                let source = std::io::Error::other("its name is not UTF-8");
                FileError::Io { verb: "take", path: found.path(), source }
            })?;
            let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            let parsed = path.parse::<TreePath>().map_err(|why| Error::Path { path: path.clone(), why })?;
            used.files += 1;
            if used.files > cap.files {
                return Err(Error::TooMuch { path: root.to_owned(), cap });
            }
            if found.file_type().map_err(FileError::io("read", &found.path()))?.is_dir() {
                open.push(path);
            } else if let Some(entry) = entry(&found.path(), cap.bytes - used.bytes)? {
                used.bytes += entry.contents().map_or(0, |contents| contents.len() as u64);
                tree.insert(parsed, entry.kept(&mut spool));
            }
        }
    }
    Ok(tree)
}

/// Reads what stands at one path, at most `cap` bytes of it. None where nothing is, or a directory.
pub fn entry(path: &Path, cap: u64) -> Result<Option<Entry>, Error> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(FileError::io("read", path)(error).into()),
    };
    if kind.is_dir() {
        return Ok(None);
    }
    if kind.is_symlink() {
        let target = std::fs::read_link(path).map_err(FileError::io("read", path))?;
        let target = target.into_os_string().into_string().map_err(|_| {
            let source = std::io::Error::other("where it leads is not UTF-8");
            FileError::Io { verb: "take", path: path.to_owned(), source }
        })?;
        return Ok(Some(Entry::Link { target }));
    }
    if !kind.is_file() {
        return Err(Error::Special { path: path.to_owned() });
    }
    // A link that was put there meanwhile is not followed, and a pipe not waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let open = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = open.map_err(FileError::io("read", path))?;
    let metadata = file.metadata().map_err(FileError::io("read", path))?;
    if !metadata.is_file() {
        return Err(Error::Special { path: path.to_owned() });
    }
    let mut contents = Vec::with_capacity(usize::try_from(metadata.len().min(cap)).unwrap_or(0) + 1);
    file.take(cap + 1).read_to_end(&mut contents).map_err(FileError::io("read", path))?;
    if contents.len() as u64 > cap {
        return Err(FileError::TooLarge { path: path.to_owned(), cap }.into());
    }
    Ok(Some(Entry::File { contents: contents.into(), executable: metadata.mode() & 0o100 != 0 }))
}

/// Writes a tree into an empty directory. Links come last, so that nothing is written through one.
pub fn write(tree: &Tree, root: &Path) -> Result<(), FileError> {
    for (path, entry) in tree.iter() {
        let Entry::File { contents, executable } = entry else { continue };
        let place = root.join(path.as_str());
        let parent = place.parent().unwrap_or(root);
        std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
        let mode = if *executable { 0o755 } else { 0o644 };
        let open = File::options().write(true).create_new(true).mode(mode).open(&place);
        let mut file = open.map_err(FileError::io("create", &place))?;
        std::io::Write::write_all(&mut file, &contents.bytes()).map_err(FileError::io("write", &place))?;
    }
    for (path, entry) in tree.iter() {
        let Entry::Link { target } = entry else { continue };
        let place = root.join(path.as_str());
        let parent = place.parent().unwrap_or(root);
        std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
        std::os::unix::fs::symlink(target, &place).map_err(FileError::io("create", &place))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("a/.git")).unwrap();
        std::fs::write(root.join("a/.git/config"), "x").unwrap();
        std::fs::write(root.join("a/run"), "#!").unwrap();
        std::fs::set_permissions(root.join("a/run"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(root.join("plain"), [0xff, 0]).unwrap();
        symlink("/etc", root.join("out")).unwrap();
        let tree = read(root, Cap::TEMPLATE).unwrap();
        let paths: Vec<&str> = tree.paths().map(TreePath::as_str).collect();
        assert_eq!(paths, ["a/run", "out", "plain"]);
        assert!(tree.get("a/run").unwrap().executable());
        assert_eq!(tree.get("out"), Some(&Entry::Link { target: "/etc".to_owned() }));
        let other = tempfile::tempdir().unwrap();
        write(&tree, other.path()).unwrap();
        assert_eq!(read(other.path(), Cap::TEMPLATE).unwrap(), tree);
    }

    #[test]
    fn what_no_template_holds_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a", "b", "c"] {
            std::fs::write(root.join(name), "12345").unwrap();
        }
        let cap = |files, bytes| Cap { files, bytes };
        assert!(read(root, cap(3, 15)).is_ok());
        assert!(matches!(read(root, cap(2, 15)), Err(Error::TooMuch { .. })));
        assert!(matches!(read(root, cap(3, 14)), Err(Error::File(FileError::TooLarge { .. }))));
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        assert!(matches!(read(root, Cap::TEMPLATE), Err(Error::Special { .. })));
        std::fs::remove_file(root.join("socket")).unwrap();
        std::fs::write(root.join("new\nline"), "").unwrap();
        assert!(matches!(read(root, Cap::TEMPLATE), Err(Error::Path { why: BadPath::Control, .. })));
    }
}
