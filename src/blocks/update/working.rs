//! A project's files as an update reads and changes them in memory: those that are needed, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ignore::WalkBuilder;

use crate::directory::{Directory, Found, Parent, find};
use crate::files::FileError;
use crate::merge::Change;
use crate::tree::{Entry, Tree, TreePath};

/// A file larger than this is not looked for when it was moved, in bytes.
const MOVED_CAP: u64 = 1024 * 1024;
/// The most that is read to find moved files, in bytes.
const MOVED_TOTAL: u64 = 64 * 1024 * 1024;

/// The project, as far as it was looked at, with what the update makes of it.
pub(super) struct Working<'a> {
    root: &'a Directory,
    /// What stands there.
    before: BTreeMap<TreePath, Option<Entry>>,
    /// What will stand there, where that is something else.
    after: BTreeMap<TreePath, Option<Entry>>,
}

impl<'a> Working<'a> {
    pub fn new(root: &'a Directory) -> Self {
        Self { root, before: BTreeMap::new(), after: BTreeMap::new() }
    }

    pub fn root(&self) -> &Directory {
        self.root
    }

    /// The file or link at a path.
    pub fn get(&mut self, path: &TreePath) -> Result<Option<Entry>, FileError> {
        if let Some(known) = self.after.get(path).or_else(|| self.before.get(path)) {
            return Ok(known.clone());
        }
        let entry = match self.root.find(path)? {
            Found::Entry(entry, _) => Some(entry),
            Found::Nothing | Found::Directory => None,
        };
        self.before.insert(path.clone(), entry.clone());
        Ok(entry)
    }

    /// Puts something at a path that was looked at.
    pub fn put(&mut self, path: TreePath, entry: Option<Entry>) {
        self.after.insert(path, entry);
    }

    /// Everything that is not as it was, by path.
    pub fn changes(self) -> Vec<Change> {
        let mut before = self.before;
        let change = |(path, after)| {
            let before = before.remove(&path).flatten();
            Change { path, before, after }
        };
        self.after.into_iter().map(change).filter(|change| change.before != change.after).collect()
    }

    /// What the project has where two renders have something, what is in the way of it, and the files to which it may have
    /// moved one. Files of `others` are other blocks' and nobody moved them.
    pub fn mine(&mut self, base: &Tree, theirs: &Tree, others: &BTreeSet<TreePath>) -> Result<Tree, FileError> {
        let mut mine = Tree::default();
        let paths: BTreeSet<&TreePath> = base.paths().chain(theirs.paths()).collect();
        let mut gone = Vec::new();
        for path in paths {
            self.look(path, &mut mine)?;
            if base.get(path.as_str()).is_some() && mine.get(path.as_str()).is_none() {
                gone.push(path);
            }
        }
        if !gone.is_empty() {
            for path in self.similar(&gone)? {
                if !others.contains(&path)
                    && let Some(entry) = self.get(&path)?
                {
                    mine.insert(path, entry);
                }
            }
        }
        Ok(mine)
    }

    /// Puts into the tree what stands at a path; in its place a directory's contents, or the file that is in the way.
    fn look(&mut self, path: &TreePath, mine: &mut Tree) -> Result<(), FileError> {
        let mut put = |this: &mut Self, path: TreePath| -> Result<(), FileError> {
            if let Some(entry) = this.get(&path)? {
                mine.insert(path, entry);
            }
            Ok(())
        };
        if self.after.contains_key(path) {
            return put(self, path.clone());
        }
        match self.root.parent(path)? {
            Parent::Missing(_) => {
                self.before.insert(path.clone(), None);
                Ok(())
            }
            Parent::Blocked(at) => put(self, at),
            Parent::There(parent) => {
                let found = find(&parent, path.file_name());
                match found.map_err(FileError::io("read", &self.root.place(path)))? {
                    Found::Nothing => {
                        self.before.insert(path.clone(), None);
                        Ok(())
                    }
                    Found::Entry(entry, _) => {
                        self.before.insert(path.clone(), Some(entry.clone()));
                        put(self, path.clone())
                    }
                    Found::Directory => {
                        let inside = walk(self.root, Some(path), Hidden::Too, |_| true);
                        inside.into_iter().try_for_each(|(path, _)| put(self, path))
                    }
                }
            }
        }
    }

    /// The project's files that may be one of these, moved: of the same name, or the same kind by their names' ends.
    fn similar(&self, gone: &[&TreePath]) -> Result<Vec<TreePath>, FileError> {
        let end = |name: &str| Path::new(name).extension().map(|end| end.to_string_lossy().into_owned());
        let names: BTreeSet<&str> = gone.iter().map(|path| path.file_name()).collect();
        let ends: BTreeSet<String> = gone.iter().filter_map(|path| end(path.file_name())).collect();
        let may_be = |path: &TreePath| {
            let name = path.file_name();
            names.contains(name) || end(name).is_some_and(|end| ends.contains(&end))
        };
        let mut left = MOVED_TOTAL;
        let mut found = Vec::new();
        for (path, size) in walk(self.root, None, Hidden::Ignored, may_be) {
            if size <= MOVED_CAP && size <= left {
                left -= size;
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Whether files that git ignores are seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hidden {
    /// They are.
    Too,
    /// They are not.
    Ignored,
}

/// The files and links in a directory of the project, in order, with their sizes; git's own are not seen.
fn walk(
    root: &Directory,
    directory: Option<&TreePath>,
    hidden: Hidden,
    wanted: impl Fn(&TreePath) -> bool,
) -> Vec<(TreePath, u64)> {
    let start = directory.map_or_else(|| root.path().to_owned(), |directory| root.place(directory));
    let mut builder = WalkBuilder::new(start);
    if hidden == Hidden::Too {
        builder.standard_filters(false);
    } else {
        builder.hidden(false).parents(false).git_global(false).require_git(false);
    }
    builder.filter_entry(|entry| entry.file_name() != ".git").sort_by_file_name(Ord::cmp);
    let path = |entry: &ignore::DirEntry| -> Option<TreePath> {
        entry.path().strip_prefix(root.path()).ok()?.to_str()?.parse().ok()
    };
    let files = builder
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file() || kind.is_symlink()));
    files
        .filter_map(|entry| {
            Some((path(&entry).filter(&wanted)?, entry.metadata().map_or(0, |metadata| metadata.len())))
        })
        .collect()
}
