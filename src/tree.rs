//! A file tree: what a template is, what it renders to, and what two versions of it are merged into.

mod contents;
pub mod disk;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use contents::{Contents, FileDigest, Spool, Text};

use crate::reference::Digest;

/// A path in a tree: relative, `/` between its names, none of them empty, `.` or `..`, no control characters.
/// Many hold the path of one file, so that they share it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct TreePath(Arc<str>);

/// Why a text is no path in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Empty, absolute, or with `.` or `..` in it.
    #[error("that leads out of the project")]
    Outside,
    /// More than 1000 bytes, or a name of more than 255.
    #[error("that is longer than a path may be")]
    Long,
    /// Line breaks, NUL and their kin.
    #[error("that holds control characters")]
    Control,
    /// What some file system takes for `.git`.
    #[error("that is git's own")]
    Git,
    /// A device, a drive or a name that Windows cannot hold.
    #[error("that is no file name on every system")]
    Unportable,
}

/// How much of a tree is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Files, links and directories.
    pub files: usize,
    /// Bytes in all files.
    pub bytes: u64,
}

impl Cap {
    /// What a template may hold.
    pub const TEMPLATE: Self = Self { files: 100_000, bytes: 512 * 1024 * 1024 };
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files or {}", self.files, crate::text::bytes(self.bytes))
    }
}

/// The most bytes of a path.
const PATH_CAP: usize = 1000;
/// The most bytes of one name in it, as file systems have it.
const NAME_CAP: usize = 255;

impl TreePath {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that it is made of.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its last name.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The same in memory of its own: it holds nothing of the tree that it is from.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.as_str().into())
    }

    /// The directory that it lies in; none at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Whether a project may be given a file of this name: not git's own, and a file name on every system.
    pub fn check(&self) -> Result<(), BadPath> {
        for name in self.names() {
            // As git does it: what some file systems take for `.git` is git's too.
            let plain: String = name.chars().filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{feff}')).collect();
            let plain = plain.trim_end_matches(['.', ' ']).to_ascii_lowercase();
            if plain == ".git" || plain == "git~1" || plain.starts_with(".git:") {
                return Err(BadPath::Git);
            }
            let stem = plain.split('.').next().unwrap_or_default().trim_end();
            let numbered = |prefix: &str| {
                stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
            };
            let device = matches!(stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt");
            let drive = name.len() >= 2 && name.as_bytes()[1] == b':' && name.as_bytes()[0].is_ascii_alphabetic();
            if device || drive || name.contains('\\') {
                return Err(BadPath::Unportable);
            }
        }
        Ok(())
    }
}

impl FromStr for TreePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        if text.chars().any(char::is_control) {
            return Err(BadPath::Control);
        }
        if text.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(BadPath::Outside);
        }
        if text.len() > PATH_CAP || text.split('/').any(|name| name.len() > NAME_CAP) {
            return Err(BadPath::Long);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        text.parse()
    }
}

impl Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for TreePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Its bytes, shared between the trees that hold it.
        contents: Contents,
        /// Whether it can be run.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as it was written.
        target: String,
    },
}

impl Entry {
    /// A file that is not to be run.
    pub fn file(contents: impl Into<Contents>) -> Self {
        Self::File { contents: contents.into(), executable: false }
    }

    /// A file's bytes; none of a link.
    pub fn contents(&self) -> Option<&Contents> {
        match self {
            Self::File { contents, .. } => Some(contents),
            Self::Link { .. } => None,
        }
    }

    /// What git keeps with this mode; the error says why it cannot be.
    pub fn of_git(mode: i32, contents: Vec<u8>) -> Result<Self, String> {
        Ok(match mode {
            0o120_000 => Self::Link { target: String::from_utf8(contents).map_err(|_| "its target is not UTF-8")? },
            mode => Self::File { contents: contents.into(), executable: mode == 0o100_755 },
        })
    }

    /// The same, its contents where a spool has them.
    #[must_use]
    pub fn kept(self, spool: &mut Spool) -> Self {
        match self {
            Self::File { contents, executable } => Self::File { contents: spool.keep(contents), executable },
            link @ Self::Link { .. } => link,
        }
    }

    /// A file's text; none of a link or of what is not UTF-8.
    pub fn text(&self) -> Option<Text> {
        self.contents().and_then(Contents::text)
    }

    /// Whether it is a file that can be run.
    pub fn executable(&self) -> bool {
        matches!(self, Self::File { executable: true, .. })
    }

    /// The digest of kind and contents: what `onramp.lock` says of a file.
    pub fn digest(&self) -> FileDigest {
        if let Self::File { contents, executable: false } = self {
            return contents.digest();
        }
        let mut hash = Sha256::new();
        self.hash(&mut hash, "");
        FileDigest::new(hash.finalize().into())
    }

    fn hash(&self, hash: &mut Sha256, path: &str) {
        let kind = match self {
            Self::File { executable: false, .. } => "file",
            Self::File { executable: true, .. } => "executable",
            Self::Link { .. } => "link",
        };
        let bytes = self.bytes();
        hash.update(format!("{kind} {} {path}\0", bytes.len()));
        hash.update(bytes);
    }

    /// How many bytes it is.
    pub fn size(&self) -> usize {
        match self {
            Self::File { contents, .. } => contents.len(),
            Self::Link { target } => target.len(),
        }
    }

    /// A file's bytes, or where a link leads.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::File { contents, .. } => contents.bytes(),
            Self::Link { target } => Bytes::copy_from_slice(target.as_bytes()),
        }
    }
}

/// Files and links by path. Directories are there because something is in them. Copies are one until one of them changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(Arc<BTreeMap<TreePath, Entry>>);

impl Tree {
    /// What stands at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// Puts something at a path; what stood there before.
    pub fn insert(&mut self, path: TreePath, entry: Entry) -> Option<Entry> {
        Arc::make_mut(&mut self.0).insert(path, entry)
    }

    /// Takes what stands at a path out of the tree.
    pub fn remove(&mut self, path: &str) -> Option<Entry> {
        if !self.0.contains_key(path) {
            return None;
        }
        Arc::make_mut(&mut self.0).remove(path)
    }

    /// The same in half the memory: what was put in one by one leaves room between, what is put in by path none.
    #[must_use]
    pub fn compact(self) -> Self {
        self.into_iter().collect()
    }

    /// Everything, by path.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&TreePath, &Entry)> {
        self.0.iter()
    }

    /// Everything, by path, to be changed where it is; nothing of a tree that others have, too.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&TreePath, &mut Entry)> {
        Arc::get_mut(&mut self.0).into_iter().flatten()
    }

    /// Everything whose path begins so, by path.
    pub fn below<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = (&'t TreePath, &'t Entry)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.0.range::<str, _>(from).take_while(move |(path, _)| path.as_str().starts_with(prefix))
    }

    /// Every path, in order.
    pub fn paths(&self) -> impl DoubleEndedIterator<Item = &TreePath> {
        self.0.keys()
    }

    /// What is in a directory, at any depth.
    pub fn inside(&self, directory: &str) -> impl Iterator<Item = (&TreePath, &Entry)> {
        let inside = format!("{directory}/");
        let after = (std::ops::Bound::Excluded(inside.as_str()), std::ops::Bound::Unbounded);
        self.0.range::<str, _>(after).take_while(move |(path, _)| path.as_str().starts_with(&inside))
    }

    /// How many files and links there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tree under a directory; its paths begin there. An empty path is the whole tree.
    #[must_use]
    pub fn under(&self, directory: &str) -> Self {
        if directory.is_empty() {
            return self.clone();
        }
        let inside = |path: &TreePath| {
            let rest = path.as_str().strip_prefix(directory)?.strip_prefix('/')?;
            Some(TreePath(rest.into()))
        };
        self.iter().filter_map(|(path, entry)| Some((inside(path)?, entry.clone()))).collect()
    }

    /// The digest of every path, kind and byte: where one file ends counts, too.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for (path, entry) in self.iter() {
            entry.hash(&mut hash, path.as_str());
        }
        Digest::from_hash(&hash.finalize())
    }

    /// A path that is both a file and the directory of another one, if there is one.
    pub fn file_and_directory(&self) -> Option<&TreePath> {
        self.0.keys().find_map(|path| {
            let ends = path.as_str().match_indices('/').map(|(end, _)| end);
            ends.filter_map(|end| self.0.get_key_value(&path.as_str()[..end])).map(|(parent, _)| parent).next()
        })
    }
}

impl FromIterator<(TreePath, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (TreePath, Entry)>>(entries: I) -> Self {
        Self(Arc::new(entries.into_iter().collect()))
    }
}

impl IntoIterator for Tree {
    type Item = (TreePath, Entry);
    type IntoIter = std::collections::btree_map::IntoIter<TreePath, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        entries.iter().map(|(path, entry)| (path.parse().unwrap(), entry.clone())).collect()
    }

    #[test]
    fn only_paths_inside_are_paths() {
        for good in ["a", "a/b.c", ".gitignore", ".github/x", "ü/ö", "...", "a b", "console/nulls.txt"] {
            assert_eq!(good.parse::<TreePath>().map(|path| path.check()), Ok(Ok(())), "{good}");
        }
        let long = "a".repeat(256);
        let deep = "a/".repeat(600);
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", "./a", "a\tb", "a\0", "a\n", &long, &deep] {
            assert!(bad.parse::<TreePath>().is_err(), "{bad:?}");
        }
        for git in [".git/x", "a/.Git", ".git./x", "git~1", "\u{200d}.git", ".git::$INDEX_ALLOCATION/x"] {
            assert_eq!(git.parse::<TreePath>().unwrap().check(), Err(BadPath::Git), "{git:?}");
        }
        for other in ["CON", "a/nul.txt", "com1", "C:/x", "c:x", "a\\..\\b", "aux "] {
            assert_eq!(other.parse::<TreePath>().unwrap().check(), Err(BadPath::Unportable), "{other:?}");
        }
    }

    #[test]
    fn the_digest_tells_everything_apart() {
        let run = |contents: &'static str| Entry::File { contents: contents.into(), executable: true };
        let one = tree(&[("a", Entry::file("bc"))]).digest();
        for other in [
            tree(&[("ab", Entry::file("c"))]),
            tree(&[("a", run("bc"))]),
            tree(&[("a", Entry::Link { target: "bc".into() })]),
            tree(&[("a", Entry::file("b")), ("b", Entry::file("c"))]),
            tree(&[]),
        ] {
            assert_ne!(other.digest(), one);
        }
    }

    #[test]
    fn a_file_cannot_be_a_directory() {
        assert_eq!(
            tree(&[("a", Entry::file("")), ("a-b", Entry::file("")), ("b/c", Entry::file(""))]).file_and_directory(),
            None
        );
        let both = tree(&[("a", Entry::file("")), ("a-b", Entry::file("")), ("a/b", Entry::file(""))]);
        assert_eq!(both.file_and_directory().unwrap().as_str(), "a");
        assert_eq!(
            tree(&[("a/b", Entry::file("x")), ("ab", Entry::file(""))]).under("a"),
            tree(&[("b", Entry::file("x"))])
        );
    }

    proptest::proptest! {
        #[test]
        fn a_path_never_leaves(text in "[a./\\\\:~ -]{0,12}|.{0,12}") {
            if let Ok(path) = text.parse::<TreePath>() {
                let inside = std::path::Path::new(path.as_str()).components()
                    .all(|c| matches!(c, std::path::Component::Normal(_)));
                proptest::prop_assert!(inside);
            }
        }
    }
}
