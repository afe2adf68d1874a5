//! A project's files, wherever they are held: in a directory, or in a commit that nobody has checked out.

use std::path::PathBuf;

use ignore::WalkBuilder;

use super::Error;
use crate::directory::{self, Directory, Found, Parent};
use crate::files::FileError;
use crate::git::{Look, Snapshot};
use crate::tree::TreePath;

/// Whether files that git ignores are seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// They are.
    Too,
    /// They are not.
    Ignored,
}

/// A project's files.
pub trait Held {
    /// What stands at a path.
    fn look(&self, path: &TreePath) -> Result<Look, Error>;

    /// The files and links in a directory of the project (none: everywhere) that are wanted, in order, with their sizes;
    /// git's own are not seen.
    fn walk(
        &self,
        directory: Option<&TreePath>,
        hidden: Hidden,
        wanted: &dyn Fn(&TreePath) -> bool,
    ) -> Result<Vec<(TreePath, u64)>, Error>;

    /// The names in a directory of the project (none: its own).
    fn names(&self, directory: Option<&TreePath>) -> Result<Vec<String>, Error>;

    /// What errors call a path.
    fn place(&self, path: &TreePath) -> PathBuf;
}

impl Held for Directory {
    fn look(&self, path: &TreePath) -> Result<Look, Error> {
        let parent = match self.parent(path)? {
            Parent::Missing(_) => return Ok(Look::Nothing),
            Parent::Blocked(at) => return Ok(Look::Blocked(at)),
            Parent::There(parent) => parent,
        };
        let found = directory::find(&parent, path.file_name());
        Ok(match found.map_err(FileError::io("read", &self.place(path)))? {
            Found::Nothing => Look::Nothing,
            Found::Directory => Look::Directory,
            Found::Entry(entry, _) => Look::Entry(entry),
        })
    }

    fn walk(
        &self,
        directory: Option<&TreePath>,
        hidden: Hidden,
        wanted: &dyn Fn(&TreePath) -> bool,
    ) -> Result<Vec<(TreePath, u64)>, Error> {
        let start = directory.map_or_else(|| self.path().to_owned(), |directory| self.place(directory));
        let mut builder = WalkBuilder::new(start);
        if hidden == Hidden::Too {
            builder.standard_filters(false);
        } else {
            builder.hidden(false).parents(false).git_global(false).require_git(false);
        }
        builder.filter_entry(|entry| entry.file_name() != ".git").sort_by_file_name(Ord::cmp);
        let path = |entry: &ignore::DirEntry| -> Option<TreePath> {
            entry.path().strip_prefix(self.path()).ok()?.to_str()?.parse().ok()
        };
        let is_file =
            |entry: &ignore::DirEntry| entry.file_type().is_some_and(|kind| kind.is_file() || kind.is_symlink());
        let files = builder.build().filter_map(Result::ok).filter(is_file);
        let sized = |entry: ignore::DirEntry| {
            let path = path(&entry).filter(wanted)?;
            Some((path, entry.metadata().map_or(0, |metadata| metadata.len())))
        };
        Ok(files.filter_map(sized).collect())
    }

    fn names(&self, directory: Option<&TreePath>) -> Result<Vec<String>, Error> {
        Ok(Directory::names(self, directory)?)
    }

    fn place(&self, path: &TreePath) -> PathBuf {
        Directory::place(self, path)
    }
}

impl Held for Snapshot {
    fn look(&self, path: &TreePath) -> Result<Look, Error> {
        Ok(Snapshot::look(self, path)?)
    }

    /// Nothing that is ignored is in a commit.
    fn walk(
        &self,
        directory: Option<&TreePath>,
        _hidden: Hidden,
        wanted: &dyn Fn(&TreePath) -> bool,
    ) -> Result<Vec<(TreePath, u64)>, Error> {
        Ok(Snapshot::walk(self, directory, wanted)?)
    }

    fn names(&self, directory: Option<&TreePath>) -> Result<Vec<String>, Error> {
        Ok(Snapshot::names(self, directory)?)
    }

    fn place(&self, path: &TreePath) -> PathBuf {
        PathBuf::from(path.as_str())
    }
}
