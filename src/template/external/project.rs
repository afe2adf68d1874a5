//! The project whose files a template may read: a directory, or a commit that nobody has checked out. Links are followed
//! where they stay in it.

use std::path::{Path, PathBuf};

use super::CAP;
use crate::error::chain;
use crate::files::{self, FileError};
use crate::git::{self, Commit, Look, Snapshot};
use crate::tree::{Entry, TreePath};

/// The most links that one path leads through, as on the disk.
const MOST_LINKS: usize = 40;

/// Where a template's data is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// A directory.
    Directory(PathBuf),
    /// A commit.
    Commit {
        /// The repository that has it.
        repository: PathBuf,
        /// Which it is.
        commit: Commit,
    },
}

/// Why a file is not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is outside the project.
    Outside,
    /// It is larger than [`CAP`].
    TooLarge,
    /// Something else.
    Other(String),
}

impl Project {
    /// What a file holds; nothing where there is none, or a directory.
    pub fn text(&self, path: &str) -> Result<Option<String>, Unread> {
        match self {
            Self::Directory(root) => on_disk(root, path),
            Self::Commit { repository, commit } => committed(&Snapshot::at(repository, commit)?, path),
        }
    }
}

impl From<FileError> for Unread {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Outside { .. } => Self::Outside,
            FileError::TooLarge { .. } => Self::TooLarge,
            FileError::NotText { .. } => not_text(),
            error @ FileError::Io { .. } => Self::Other(format!("cannot be read: {}", chain(&error))),
        }
    }
}

impl From<git::Error> for Unread {
    fn from(error: git::Error) -> Self {
        match error {
            git::Error::TooLarge { .. } => Self::TooLarge,
            error => Self::Other(format!("cannot be read: {}", chain(&error))),
        }
    }
}

fn not_text() -> Unread {
    Unread::Other("is not UTF-8 text".to_owned())
}

fn no_file() -> Unread {
    Unread::Other("is no file".to_owned())
}

fn on_disk(root: &Path, path: &str) -> Result<Option<String>, Unread> {
    let place = match files::confined(root, Path::new(path)) {
        Err(error) if error.is_not_found() => return Ok(None),
        place => place?,
    };
    match place.metadata() {
        Ok(found) if found.is_dir() => Ok(None),
        Ok(found) if found.is_file() => Ok(Some(files::read_text(&place, CAP)?)),
        // A pipe would be waited for.
        _ => Err(no_file()),
    }
}

fn committed(snapshot: &Snapshot, path: &str) -> Result<Option<String>, Unread> {
    // The last is the next.
    let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut behind: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                behind.pop().ok_or(Unread::Outside)?;
                continue;
            }
            _ => behind.push(name),
        }
        // What no tree can hold is not there.
        let Ok(place) = behind.join("/").parse::<TreePath>() else { return Ok(None) };
        match snapshot.look_within(&place, CAP)? {
            Look::Nothing => return Ok(None),
            Look::Directory => {}
            Look::Entry(Entry::File { contents, .. }) if ahead.is_empty() => {
                return String::from_utf8(contents.bytes().to_vec()).map(Some).map_err(|_| not_text());
            }
            Look::Entry(Entry::File { .. }) | Look::Blocked(_) => return Err(no_file()),
            Look::Entry(Entry::Link { target }) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Unread::Other("cannot be read: its links lead in a circle".to_owned()));
                }
                if target.starts_with('/') {
                    return Err(Unread::Outside);
                }
                behind.pop();
                ahead.extend(target.rsplit('/').map(str::to_owned));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::git::{Identity, initialise};

    #[test]
    fn a_commit_is_read_as_the_directory_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        std::fs::create_dir_all(root.join("data/deep")).unwrap();
        std::fs::write(dir.path().join("secret.yml"), "outside").unwrap();
        std::fs::write(root.join("data/deep/one.yml"), "one").unwrap();
        std::fs::write(root.join("latin.yml"), b"\xe9").unwrap();
        let large = std::fs::File::create(root.join("large.yml")).unwrap();
        large.set_len(CAP + 1).unwrap();
        for (target, link) in [
            ("data/deep", "short"),
            ("../deep/one.yml", "data/deep/own.yml"),
            ("short/../../latin.yml", "round.yml"),
            ("../secret.yml", "out.yml"),
            ("data/../../secret.yml", "far.yml"),
            ("/etc/hostname", "absolute.yml"),
            ("circle.yml", "circle.yml"),
            ("nowhere", "dangling.yml"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let me = Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
        initialise(&root, "first", &me).unwrap();
        let snapshot = Snapshot::open(&root).unwrap().unwrap();
        let (repository, commit) = snapshot.origin();
        let commit = Project::Commit { repository, commit };
        let directory = Project::Directory(root.clone());
        for (path, expected) in [
            ("data/deep/one.yml", Ok(Some("one"))),
            ("./short/one.yml", Ok(Some("one"))),
            ("short/own.yml", Ok(Some("one"))),
            ("data", Ok(None)),
            ("none.yml", Ok(None)),
            ("none/none.yml", Ok(None)),
            ("dangling.yml", Ok(None)),
            ("round.yml", Err(not_text())),
            ("large.yml", Err(Unread::TooLarge)),
            ("out.yml", Err(Unread::Outside)),
            ("far.yml", Err(Unread::Outside)),
            ("absolute.yml", Err(Unread::Outside)),
        ] {
            let expected = expected.map(|text| text.map(str::to_owned));
            assert_eq!(directory.text(path), expected, "{path}");
            assert_eq!(commit.text(path), expected, "{path}");
        }
        for path in ["circle.yml", "latin.yml/x"] {
            assert!(matches!(directory.text(path), Err(Unread::Other(_))), "{path}");
            assert!(matches!(commit.text(path), Err(Unread::Other(_))), "{path}");
        }
        // What counts is what is committed.
        std::fs::write(root.join("data/deep/one.yml"), "two").unwrap();
        assert_eq!(commit.text("data/deep/one.yml"), Ok(Some("one".to_owned())));
    }
}
