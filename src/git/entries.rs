//! Commits made of files and links, each with its mode, in any repository: no work tree, index or HEAD is touched, and no
//! hook runs.

use git2::{FileMode, Oid, Repository, Signature, build::TreeUpdateBuilder};

use super::{Commit, Error, Identity, Mirror};
use crate::tree::{Entry, TreePath};

/// What stands at a path then; none: nothing.
pub type Placed = (TreePath, Option<Entry>);

/// Makes a commit with the parent's tree and these changes. No ref moves.
pub(super) fn commit(
    repository: &Repository,
    parent: &Commit,
    changes: &[Placed],
    message: &str,
    author: &Identity,
) -> Result<Commit, git2::Error> {
    let parent = repository.find_commit(parent.oid())?;
    let tree = repository.find_tree(tree(repository, &parent.tree()?, changes)?)?;
    let signature = Signature::now(&author.name, &author.email)?;
    repository.commit(None, &signature, &signature, message, &tree, &[&parent]).map(Commit::from)
}

pub(super) fn tree(repository: &Repository, base: &git2::Tree<'_>, changes: &[Placed]) -> Result<Oid, git2::Error> {
    let mut update = TreeUpdateBuilder::new();
    for (path, entry) in changes {
        let (contents, mode) = match entry {
            None => {
                if base.get_path(std::path::Path::new(path.as_str())).is_ok() {
                    update.remove(path.as_str());
                }
                continue;
            }
            Some(entry @ Entry::File { executable: false, .. }) => (entry.bytes(), FileMode::Blob),
            Some(entry @ Entry::File { executable: true, .. }) => (entry.bytes(), FileMode::BlobExecutable),
            Some(entry @ Entry::Link { .. }) => (entry.bytes(), FileMode::Link),
        };
        update.upsert(path.as_str(), repository.blob(&contents)?, mode);
    }
    update.create_updated(repository, base)
}

impl Mirror {
    /// Makes a commit in memory: the parent's tree with these changes, modes and links too. Nothing is pushed.
    pub fn commit_entries(
        &self,
        parent: &Commit,
        changes: &[Placed],
        message: &str,
        author: &Identity,
    ) -> Result<Commit, Error> {
        let repository = self.open()?;
        commit(&repository, parent, changes, message, author).map_err(|cause| self.library(cause))
    }

    /// The id of a commit's tree: equal trees hold the same files.
    pub fn tree_of(&self, commit: &Commit) -> Result<String, Error> {
        let repository = self.open()?;
        let found = repository.find_commit(commit.oid()).map_err(|cause| self.library(cause))?;
        Ok(found.tree_id().to_string())
    }
}
