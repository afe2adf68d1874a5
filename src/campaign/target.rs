//! Which repositories a campaign visits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::git::{self, RepoUrl};

/// The largest list that is read, in bytes.
const LIST_CAP: u64 = 16 * 1024 * 1024;
/// The most repositories of one campaign.
const MOST: usize = 100_000;

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// What the campaign calls it: its path or URL.
    pub name: String,
    /// Where it is.
    #[serde(skip)]
    pub place: Place,
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a directory of this machine.
    Directory(PathBuf),
    /// Elsewhere.
    Remote(RepoUrl),
}

/// Why there is no list of repositories.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line of it is no repository.
    #[error("{}:{line}: {source}", list.display())]
    Line {
        /// The list.
        list: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: git::Error,
    },
    /// No repository at all.
    #[error("there is no repository in {0}")]
    None(String),
    /// More than anybody has.
    #[error("more than {MOST} repositories in {0}")]
    TooMany(String),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Line { .. } => Class::Config,
            Self::None(_) | Self::TooMany(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Line { .. } => Some("one path or URL a line; lines that begin with # are comments".to_owned()),
            _ => None,
        }
    }
}

/// The repositories of a file (one path or URL a line) or of a directory (those of its children that are one), by name.
pub fn of(path: &Path) -> Result<Vec<Target>, Error> {
    let shown = path.display().to_string();
    let mut targets = if path.is_dir() { of_directory(path)? } else { of_list(path)? };
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.name.clone()));
    match targets.len() {
        0 => Err(Error::None(shown)),
        1..=MOST => Ok(targets),
        _ => Err(Error::TooMany(shown)),
    }
}

/// A repository elsewhere.
pub fn remote(url: RepoUrl) -> Target {
    Target { name: url.to_string(), place: Place::Remote(url) }
}

fn directory(path: PathBuf) -> Target {
    Target { name: path.display().to_string(), place: Place::Directory(path) }
}

fn of_directory(path: &Path) -> Result<Vec<Target>, Error> {
    let path = path.canonicalize().map_err(FileError::io("read", path))?;
    let mut children = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(FileError::io("read", &path))? {
        let child = entry.map_err(FileError::io("read", &path))?.path();
        // A repository with a work tree, or a bare one.
        if child.join(".git").exists() || (child.join("HEAD").is_file() && child.join("objects").is_dir()) {
            children.push(child);
        }
    }
    children.sort();
    Ok(children.into_iter().map(directory).collect())
}

fn of_list(path: &Path) -> Result<Vec<Target>, Error> {
    let text = files::read_text(path, LIST_CAP)?;
    let here = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let here = here.canonicalize().map_err(FileError::io("read", here))?;
    let mut targets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = here.join(line);
        if place.is_dir() {
            targets.push(directory(place.canonicalize().map_err(FileError::io("read", &place))?));
            continue;
        }
        let url = line.parse().map_err(|source| Error::Line { list: path.to_owned(), line: index + 1, source })?;
        targets.push(remote(url));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_directories_name_repositories() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["b", "a"] {
            std::fs::create_dir_all(root.join(name).join(".git")).unwrap();
        }
        std::fs::create_dir_all(root.join("bare.git/objects")).unwrap();
        std::fs::write(root.join("bare.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::create_dir_all(root.join("no-repository")).unwrap();
        let names = |path: &Path| -> Vec<String> {
            let strip = |target: Target| target.name.replace(&format!("{}/", root.display()), "");
            of(path).unwrap().into_iter().map(strip).collect()
        };
        assert_eq!(names(&root), ["a", "b", "bare.git"]);
        let list = root.join("list.txt");
        std::fs::write(&list, "# ours\n a \nhttps://git.acme.test/x.git\na\n").unwrap();
        assert_eq!(names(&list), ["a", "https://git.acme.test/x.git"]);
        for (text, message) in [("\n#\n", "there is no repository in"), ("a\n--upload-pack=x\n", "list.txt:2: ")] {
            std::fs::write(&list, text).unwrap();
            let error = of(&list).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
