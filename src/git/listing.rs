//! What a commit of a mirror holds: names, files and links, directory by directory.

use std::path::Path;

use git2::ObjectType;

use super::{Commit, Error, Mirror};

impl Mirror {
    /// The names directly under a directory at a commit, directories with a final `/`. Empty where there is none.
    pub fn list(&self, commit: &Commit, directory: &str) -> Result<Vec<String>, Error> {
        let repository = self.open()?;
        let root = repository.find_commit(commit.oid()).and_then(|c| c.tree()).map_err(|e| self.library(e))?;
        let tree = if directory.is_empty() {
            root
        } else {
            let Ok(entry) = root.get_path(Path::new(directory)) else { return Ok(Vec::new()) };
            let Ok(tree) = repository.find_tree(entry.id()) else { return Ok(Vec::new()) };
            tree
        };
        let name = |entry: &git2::TreeEntry<'_>| {
            let slash = if entry.kind() == Some(ObjectType::Tree) { "/" } else { "" };
            entry.name().ok().map(|name| format!("{name}{slash}"))
        };
        Ok(tree.iter().filter_map(|entry| name(&entry)).collect())
    }

    /// Every file under a directory at a commit that is wanted by its path from there and by what git calls it, its mode and the id of
    /// its contents: path, mode, contents. At most `cap` bytes in all. An empty directory is all of it.
    pub fn files(
        &self,
        commit: &Commit,
        directory: &str,
        cap: u64,
        mut wanted: impl FnMut(&str, &str) -> bool,
    ) -> Result<Vec<(String, i32, Vec<u8>)>, Error> {
        let repository = self.open()?;
        let odb = repository.odb().map_err(|e| self.library(e))?;
        let mut found = Vec::new();
        let mut total = 0;
        self.each(commit, directory, |path, entry| {
            if !wanted(path, &format!("{:o} {}", entry.filemode(), entry.id())) {
                return Ok(());
            }
            total += odb.read_header(entry.id()).map_err(|e| self.library(e))?.0 as u64;
            if total > cap {
                return Err(Error::TooLarge { url: self.url().to_string(), path: directory.to_owned(), cap });
            }
            let blob = repository.find_blob(entry.id()).map_err(|e| self.library(e))?;
            found.push((path.to_owned(), entry.filemode(), blob.content().to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    /// The paths of every file under a directory at a commit, from there. An empty directory is all of it.
    pub fn paths(&self, commit: &Commit, directory: &str) -> Result<Vec<String>, Error> {
        let mut paths = Vec::new();
        self.each(commit, directory, |path, _| {
            paths.push(path.to_owned());
            Ok(())
        })?;
        Ok(paths)
    }

    /// Shows every file under a directory at a commit.
    fn each(
        &self,
        commit: &Commit,
        directory: &str,
        mut see: impl FnMut(&str, &git2::TreeEntry<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let repository = self.open()?;
        let root = repository.find_commit(commit.oid()).and_then(|c| c.tree()).map_err(|e| self.library(e))?;
        let tree = if directory.is_empty() {
            root
        } else {
            let Ok(entry) = root.get_path(Path::new(directory)) else { return Ok(()) };
            let Ok(tree) = repository.find_tree(entry.id()) else { return Ok(()) };
            tree
        };
        let mut failed = None;
        let walked = tree.walk(git2::TreeWalkMode::PreOrder, |parent, entry| {
            if entry.kind() != Some(ObjectType::Blob) {
                return git2::TreeWalkResult::Ok;
            }
            let seen =
                entry.name().map_err(|e| self.library(e)).and_then(|name| see(&format!("{parent}{name}"), entry));
            match seen {
                Ok(()) => git2::TreeWalkResult::Ok,
                Err(error) => {
                    failed = Some(error);
                    git2::TreeWalkResult::Abort
                }
            }
        });
        match failed {
            Some(error) => Err(error),
            None => walked.map_err(|e| self.library(e)),
        }
    }

    /// The symbolic link that stands on the way to a file at a commit, or in its place.
    pub fn link_on(&self, commit: &Commit, path: &str) -> Result<Option<String>, Error> {
        let repository = self.open()?;
        let tree = repository.find_commit(commit.oid()).and_then(|c| c.tree()).map_err(|e| self.library(e))?;
        let ends = path.match_indices('/').map(|(at, _)| at).chain(std::iter::once(path.len()));
        let is_link = |way: &&str| tree.get_path(Path::new(way)).is_ok_and(|entry| entry.filemode() == 0o120_000);
        Ok(ends.map(|end| &path[..end]).find(is_link).map(str::to_owned))
    }
}
