//! What onramp itself writes into a developer's repository: a commit of some files, a tag, and their push. No hook runs;
//! what else is staged or changed stays as it is.

use std::path::Path;

use git2::Signature;

use super::worktree::{Worktree, open};
use super::{Commit, Error, Identity, RepoUrl, program};

/// The largest file that is committed, in bytes.
const FILE_CAP: u64 = 64 * 1024 * 1024;

impl Worktree {
    /// Commits the present contents of these files, and only them, onto the checked-out branch. In the index only their
    /// entries change.
    pub fn record(&self, paths: &[String], message: &str, author: &Identity) -> Result<Commit, Error> {
        let repository = open(&self.root)?;
        let mut contents = Vec::new();
        for path in paths {
            contents.push((path, crate::files::read(&self.root.join(path), FILE_CAP)?));
        }
        let make = || -> Result<git2::Oid, git2::Error> {
            let parent = repository.head()?.peel_to_commit()?;
            let base = parent.tree()?;
            let mut update = git2::build::TreeUpdateBuilder::new();
            for (path, contents) in &contents {
                let mode = match base.get_path(Path::new(path)) {
                    Ok(entry) if entry.filemode() == 0o100_755 => git2::FileMode::BlobExecutable,
                    _ => git2::FileMode::Blob,
                };
                update.upsert(path.as_str(), repository.blob(contents)?, mode);
            }
            let tree = repository.find_tree(update.create_updated(&repository, &base)?)?;
            let signature = Signature::now(&author.name, &author.email)?;
            let commit = repository.commit(Some("HEAD"), &signature, &signature, message, &tree, &[&parent])?;
            let mut index = repository.index()?;
            for path in paths {
                index.add_path(Path::new(path))?;
            }
            index.write()?;
            Ok(commit)
        };
        make().map(Commit::from).map_err(|e| self.library(e))
    }

    /// Makes an annotated tag; one of that name that is there already is an error.
    pub fn tag(&self, name: &str, commit: &Commit, message: &str, author: &Identity) -> Result<(), Error> {
        let repository = open(&self.root)?;
        let make = || -> Result<(), git2::Error> {
            let object = repository.find_object(commit.oid(), None)?;
            let signature = Signature::now(&author.name, &author.email)?;
            repository.tag(name, &object, &signature, message, false).map(drop)
        };
        make().map_err(|e| self.library(e))
    }

    /// Pushes the checked-out branch and tags to a remote, all or none, forcing nothing.
    pub fn push(&self, remote: &str, tags: &[String]) -> Result<(), Error> {
        let address = self.remote(remote)?.ok_or_else(|| Error::NoRemote { name: remote.to_owned() })?;
        let url = RepoUrl::from_argument(&address, &self.root)?;
        let branch = self.branch.as_deref().ok_or_else(|| Error::NoCommit { what: "a branch at HEAD".to_owned() })?;
        let mut arguments = vec!["--quiet".to_owned(), "--atomic".to_owned(), "--no-verify".to_owned()];
        arguments.push("--".to_owned());
        arguments.push(url.as_str().to_owned());
        arguments.push(format!("refs/heads/{branch}:refs/heads/{branch}"));
        arguments.extend(tags.iter().map(|tag| format!("refs/tags/{tag}:refs/tags/{tag}")));
        let repository = open(&self.root)?;
        program::run(repository.path(), "push", &arguments, &url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::initialise;

    #[test]
    fn only_the_named_files_are_committed_and_what_is_staged_stays_staged() {
        let dir = tempfile::tempdir().unwrap();
        let author = Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
        let write = |path: &str, text: &str| crate::files::write(&dir.path().join(path), text.as_bytes()).unwrap();
        write("a", "1");
        write("b", "1");
        initialise(dir.path(), "First", &author).unwrap();
        let hook = dir.path().join(".git/hooks/pre-commit");
        crate::files::write(&hook, b"#!/bin/sh\ntouch fired\nexit 1\n").unwrap();
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        write("a", "2");
        write("b", "2");
        let repository = git2::Repository::open(dir.path()).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("b")).unwrap();
        index.write().unwrap();
        let tree = Worktree::find(dir.path()).unwrap();
        let commit = tree.record(&["a".to_owned()], "Release", &author).unwrap();
        let files = tree.files_at(&commit, "", 100).unwrap();
        let told: Vec<(&str, &[u8])> = files.iter().map(|(path, _, contents)| (path.as_str(), &contents[..])).collect();
        assert_eq!(told, [("a", &b"2"[..]), ("b", &b"1"[..])]);
        let staged = repository.statuses(None).unwrap();
        let staged: Vec<_> = staged.iter().map(|entry| (entry.path().unwrap().to_owned(), entry.status())).collect();
        assert_eq!(staged, [("b".to_owned(), git2::Status::INDEX_MODIFIED)]);
        assert!(!dir.path().join("fired").exists());
        tree.tag("web/v1.0.0", &commit, "web 1.0.0", &author).unwrap();
        assert!(tree.tag("web/v1.0.0", &commit, "again", &author).is_err());
        assert_eq!(tree.tags().unwrap()["web/v1.0.0"], commit);
    }
}
