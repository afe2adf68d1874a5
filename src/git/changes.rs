//! What each commit of a mirror's default branch changed, by file.

use git2::Repository;

use super::mirror::changed_paths;
use super::{Commit, Error, Mirror};

/// A commit, and the files under the directory that it changed.
pub type Changed = (Commit, Vec<String>);

impl Mirror {
    /// The commits that changed something under a directory (empty: anywhere), newest first, following first parents, looking at `most` commits.
    pub fn changes(&self, from: &Commit, directory: &str, most: usize) -> Result<Vec<Changed>, Error> {
        let repository = self.open()?;
        walk(&repository, from, directory, most).map_err(|e| self.library(e))
    }
}

fn walk(repository: &Repository, from: &Commit, directory: &str, most: usize) -> Result<Vec<Changed>, git2::Error> {
    let mut found = Vec::new();
    let mut options = git2::DiffOptions::new();
    if !directory.is_empty() {
        options.pathspec(directory).disable_pathspec_match(true);
    }
    let mut current = repository.find_commit(from.oid())?;
    for _ in 0..most {
        let parent = current.parent(0).ok();
        let before = parent.as_ref().map(git2::Commit::tree).transpose()?;
        let diff = repository.diff_tree_to_tree(before.as_ref(), Some(&current.tree()?), Some(&mut options))?;
        let paths = changed_paths(&diff);
        if !paths.is_empty() {
            found.push((current.id().into(), paths));
        }
        match parent {
            Some(parent) => current = parent,
            None => break,
        }
    }
    Ok(found)
}
