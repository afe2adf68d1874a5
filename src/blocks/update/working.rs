//! A project's files as an update reads and changes them in memory: those that are needed, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::blocks::Error;
use crate::blocks::held::{Held, Hidden};
use crate::git::Look;
use crate::merge::Change;
use crate::tree::{Entry, Spool, Tree, TreePath};

/// A file larger than this is not looked for when it was moved, in bytes.
const MOVED_CAP: u64 = 1024 * 1024;
/// The most that is read to find moved files, in bytes.
const MOVED_TOTAL: u64 = 64 * 1024 * 1024;

/// The project, as far as it was looked at, with what the update makes of it.
pub(super) struct Working<'a> {
    root: &'a dyn Held,
    /// What stands there.
    before: BTreeMap<TreePath, Option<Entry>>,
    /// What will stand there, where that is something else.
    after: BTreeMap<TreePath, Option<Entry>>,
    /// Where the contents go that no render has.
    spool: Spool,
}

impl<'a> Working<'a> {
    pub fn new(root: &'a dyn Held) -> Self {
        Self { root, before: BTreeMap::new(), after: BTreeMap::new(), spool: Spool::default() }
    }

    pub fn root(&self) -> &'a dyn Held {
        self.root
    }

    /// The file or link at a path.
    pub fn get(&mut self, path: &TreePath) -> Result<Option<Entry>, Error> {
        if let Some(known) = self.after.get(path).or_else(|| self.before.get(path)) {
            return Ok(known.clone());
        }
        let entry = match self.root.look(path)? {
            Look::Entry(entry) => Some(entry.kept(&mut self.spool)),
            Look::Nothing | Look::Directory | Look::Blocked(_) => None,
        };
        self.before.insert(path.clone(), entry.clone());
        Ok(entry)
    }

    /// Puts something at a path that was looked at.
    pub fn put(&mut self, path: TreePath, entry: Option<Entry>) {
        self.after.insert(path, entry.map(|entry| entry.kept(&mut self.spool)));
    }

    /// The paths at which something is new, and those at which nothing will be.
    pub fn came_and_went(&self) -> (Vec<TreePath>, BTreeSet<TreePath>) {
        let stood = |path: &TreePath| self.before.get(path).is_some_and(Option::is_some);
        let came = self.after.iter().filter(|(path, entry)| entry.is_some() && !stood(path));
        let went = self.after.iter().filter(|(path, entry)| entry.is_none() && stood(path));
        (came.map(|(path, _)| path.clone()).collect(), went.map(|(path, _)| path.clone()).collect())
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
    pub fn mine(&mut self, base: &Tree, theirs: &Tree, others: &BTreeSet<TreePath>) -> Result<Tree, Error> {
        let mut mine = Tree::default();
        let paths: BTreeSet<&TreePath> = base.paths().chain(theirs.paths()).collect();
        let mut gone = Vec::new();
        for path in paths {
            self.look(path, [base, theirs], &mut mine)?;
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
        Ok(mine.compact())
    }

    /// Puts into the tree what stands at a path; in its place a directory's contents, or the file that is in the way. What
    /// is as in one of the renders is the same there and here: most files are.
    fn look(&mut self, path: &TreePath, renders: [&Tree; 2], mine: &mut Tree) -> Result<(), Error> {
        let mut put = |this: &mut Self, path: TreePath| -> Result<(), Error> {
            if let Some(entry) = this.get(&path)? {
                mine.insert(path, entry);
            }
            Ok(())
        };
        if self.after.contains_key(path) {
            return put(self, path.clone());
        }
        match self.root.look(path)? {
            Look::Nothing => {
                self.before.insert(path.clone(), None);
                Ok(())
            }
            Look::Blocked(at) => put(self, at),
            Look::Entry(entry) => {
                let rendered = renders.into_iter().filter_map(|render| render.get(path.as_str()));
                let entry = match rendered.into_iter().find(|rendered| **rendered == entry) {
                    Some(rendered) => rendered.clone(),
                    None => entry.kept(&mut self.spool),
                };
                self.before.insert(path.clone(), Some(entry));
                put(self, path.clone())
            }
            Look::Directory => {
                let inside = self.root.walk(Some(path), Hidden::Too, &|_| true)?;
                inside.into_iter().try_for_each(|(path, _)| put(self, path))
            }
        }
    }

    /// The project's files that may be one of these, moved: of the same name, or the same kind by their names' ends.
    fn similar(&self, gone: &[&TreePath]) -> Result<Vec<TreePath>, Error> {
        let end = |name: &str| Path::new(name).extension().map(|end| end.to_string_lossy().into_owned());
        let names: BTreeSet<&str> = gone.iter().map(|path| path.file_name()).collect();
        let ends: BTreeSet<String> = gone.iter().filter_map(|path| end(path.file_name())).collect();
        let may_be = |path: &TreePath| {
            let name = path.file_name();
            names.contains(name) || end(name).is_some_and(|end| ends.contains(&end))
        };
        let mut left = MOVED_TOTAL;
        let mut found = Vec::new();
        for (path, size) in self.root.walk(None, Hidden::Ignored, &may_be)? {
            if size <= MOVED_CAP && size <= left {
                left -= size;
                found.push(path);
            }
        }
        Ok(found)
    }
}
