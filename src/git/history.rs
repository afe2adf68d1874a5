//! A work tree's past: its tags, the files of any commit, and which commits touched what.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ObjectType, TreeWalkMode, TreeWalkResult};
use jiff::Timestamp;

use super::worktree::{Worktree, open};
use super::{Commit, Error};
use crate::files::{self, FileError};

/// A file of a commit: its path below the directory that was asked for, its git mode, its contents.
pub type File = (String, i32, Vec<u8>);

/// A commit, as a changelog tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub commit: Commit,
    /// The first line of its message, as it is.
    pub summary: String,
    /// Its author's name, as it is.
    pub author: String,
    /// When it was made.
    pub time: Timestamp,
}

impl Worktree {
    /// The repository's tags by name, with the commits that they lead to.
    pub fn tags(&self) -> Result<BTreeMap<String, Commit>, Error> {
        const PREFIX: &str = "refs/tags/";
        let repository = open(&self.root)?;
        let mut tags = BTreeMap::new();
        for reference in repository.references_glob(&format!("{PREFIX}*")).map_err(|e| self.library(e))? {
            let reference = reference.map_err(|e| self.library(e))?;
            if let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) {
                tags.insert(name[PREFIX.len()..].to_owned(), commit.id().into());
            }
        }
        Ok(tags)
    }

    /// The files under a directory (empty: all) at a commit, `cap` bytes together at most. Empty where there is none.
    pub fn files_at(&self, commit: &Commit, directory: &str, cap: u64) -> Result<Vec<File>, Error> {
        let repository = open(&self.root)?;
        let walk = || -> Result<Option<Vec<File>>, git2::Error> {
            let mut tree = repository.find_commit(commit.oid())?.tree()?;
            if !directory.is_empty() {
                let Ok(entry) = tree.get_path(Path::new(directory)) else { return Ok(Some(Vec::new())) };
                let Ok(below) = repository.find_tree(entry.id()) else { return Ok(Some(Vec::new())) };
                tree = below;
            }
            let odb = repository.odb()?;
            let (mut files, mut total, mut failed) = (Vec::new(), 0_u64, None);
            tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
                if entry.kind() != Some(ObjectType::Blob) {
                    return TreeWalkResult::Ok;
                }
                total = total.saturating_add(odb.read_header(entry.id()).map_or(0, |(size, _)| size as u64));
                if total > cap {
                    return TreeWalkResult::Abort;
                }
                match repository.find_blob(entry.id()) {
                    Ok(blob) => {
                        let path = format!("{parent}{}", String::from_utf8_lossy(entry.name_bytes()));
                        files.push((path, entry.filemode(), blob.content().to_vec()));
                        TreeWalkResult::Ok
                    }
                    Err(error) => {
                        failed = Some(error);
                        TreeWalkResult::Abort
                    }
                }
            })
            .or_else(|error| if total > cap { Ok(()) } else { Err(error) })?;
            match failed {
                Some(error) => Err(error),
                None => Ok((total <= cap).then_some(files)),
            }
        };
        walk().map_err(|e| self.library(e))?.ok_or_else(|| Error::TooLarge {
            url: self.root.display().to_string(),
            path: directory.to_owned(),
            cap,
        })
    }

    /// The files that git knows or would add, under a directory: what is ignored and not tracked is not there. Sorted.
    pub fn listed(&self, directory: &str) -> Result<Vec<String>, Error> {
        let repository = open(&self.root)?;
        let list = || -> Result<Vec<String>, git2::Error> {
            let mut paths: Vec<String> = repository
                .index()?
                .iter()
                .filter(|entry| !matches!(entry.mode, 0o160_000))
                .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
                .collect();
            let mut options = git2::StatusOptions::new();
            options.include_untracked(true).recurse_untracked_dirs(true);
            if !directory.is_empty() {
                options.pathspec(directory).disable_pathspec_match(true);
            }
            let statuses = repository.statuses(Some(&mut options))?;
            let new = statuses.iter().filter(|entry| entry.status().is_wt_new());
            paths.extend(new.map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned()));
            let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
            paths.retain(|path| path.starts_with(&prefix) && self.root.join(path).symlink_metadata().is_ok());
            paths.sort_unstable();
            paths.dedup();
            Ok(paths)
        };
        list().map_err(|e| self.library(e))
    }

    /// Those files, as they are now, by their paths below the directory; `cap` bytes together at most.
    pub fn files(&self, directory: &str, cap: u64) -> Result<Vec<File>, Error> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let (mut found, mut total): (Vec<File>, u64) = (Vec::new(), 0);
        for path in self.listed(directory)? {
            let at = self.root.join(&path);
            let about = at.symlink_metadata().map_err(FileError::io("read", &at))?;
            let (mode, contents) = if about.is_symlink() {
                let target = std::fs::read_link(&at).map_err(FileError::io("read", &at))?;
                (0o120_000, std::os::unix::ffi::OsStringExt::into_vec(target.into_os_string()))
            } else {
                let executable = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
                (if executable { 0o100_755 } else { 0o100_644 }, files::read(&at, cap)?)
            };
            total += contents.len() as u64;
            if total > cap {
                return Err(FileError::TooLarge { path: self.root.join(directory), cap }.into());
            }
            found.push((path[prefix.len()..].to_owned(), mode, contents));
        }
        Ok(found)
    }

    /// The commits reachable from the checked-out one that changed something under a directory (empty: anything), and that
    /// `since` does not hold; newest first, merges that only bring others' changes left out, `most` of them at most.
    pub fn log(&self, directory: &str, since: Option<&Commit>, most: usize) -> Result<Vec<Entry>, Error> {
        let Some(head) = &self.head else { return Ok(Vec::new()) };
        let repository = open(&self.root)?;
        let walk = || -> Result<Vec<Entry>, git2::Error> {
            let mut walk = repository.revwalk()?;
            walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
            walk.push(head.oid())?;
            if let Some(since) = since {
                walk.hide(since.oid())?;
            }
            let mut found = Vec::new();
            for id in walk {
                let commit = repository.find_commit(id?)?;
                let here = below(&commit, directory)?;
                let mut parents = commit.parents().map(|parent| below(&parent, directory)).peekable();
                let changed = match parents.peek() {
                    None => here.is_some(),
                    Some(_) => parents.all(|parent| parent.is_ok_and(|parent| parent != here)),
                };
                if !changed {
                    continue;
                }
                found.push(Entry {
                    commit: commit.id().into(),
                    summary: commit
                        .summary_bytes()
                        .map(|s| String::from_utf8_lossy(s).into_owned())
                        .unwrap_or_default(),
                    author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
                    time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
                });
                if found.len() >= most {
                    break;
                }
            }
            Ok(found)
        };
        walk().map_err(|e| self.library(e))
    }

    /// When a commit was made.
    pub fn time(&self, commit: &Commit) -> Result<Timestamp, Error> {
        let repository = open(&self.root)?;
        let found = repository.find_commit(commit.oid()).map_err(|e| self.library(e))?;
        Ok(Timestamp::from_second(found.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The address of a remote (`origin`); none where there is no such remote.
    pub fn remote(&self, name: &str) -> Result<Option<String>, Error> {
        let repository = open(&self.root)?;
        let remote = repository.find_remote(name).ok();
        Ok(remote.map(|remote| String::from_utf8_lossy(remote.url_bytes()).into_owned()))
    }

    pub(super) fn library(&self, cause: git2::Error) -> Error {
        Error::Library { path: self.root.clone(), cause }
    }
}

/// What stands at a directory of a commit.
fn below(commit: &git2::Commit<'_>, directory: &str) -> Result<Option<git2::Oid>, git2::Error> {
    let tree = commit.tree()?;
    if directory.is_empty() {
        return Ok(Some(tree.id()));
    }
    Ok(tree.get_path(Path::new(directory)).ok().map(|entry| entry.id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{Identity, initialise};

    fn ada() -> Identity {
        Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() }
    }

    #[test]
    fn only_what_touched_a_directory_is_in_its_history() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| crate::files::write(&dir.path().join(path), text.as_bytes()).unwrap();
        write("blocks/web/a", "1");
        write("README.md", "1");
        let first = initialise(dir.path(), "First", &ada()).unwrap();
        write("README.md", "2");
        let tree = Worktree::find(dir.path()).unwrap();
        tree.record(&["README.md".to_owned()], "Only the README", &ada()).unwrap();
        write("blocks/web/a", "2");
        let third = tree.record(&["blocks/web/a".to_owned()], "Second of web\n\nwith words", &ada()).unwrap();
        let tree = Worktree::find(dir.path()).unwrap();
        let told = |since| -> Vec<String> {
            tree.log("blocks/web", since, 10).unwrap().into_iter().map(|entry| entry.summary).collect()
        };
        assert_eq!(told(None), ["Second of web", "First"]);
        assert_eq!(told(Some(&first)), ["Second of web"]);
        assert_eq!(tree.log("", Some(&first), 10).unwrap().len(), 2);
        assert_eq!(tree.files_at(&first, "blocks/web", 9).unwrap(), [("a".to_owned(), 0o100_644, b"1".to_vec())]);
        assert_eq!(tree.files_at(&third, "blocks/none", 9).unwrap(), []);
        assert!(matches!(tree.files_at(&third, "", 1), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn what_is_ignored_is_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| crate::files::write(&dir.path().join(path), text.as_bytes()).unwrap();
        write(".gitignore", "*.log\n");
        write("blocks/web/a", "1");
        initialise(dir.path(), "First", &ada()).unwrap();
        write("blocks/web/new", "1");
        write("blocks/web/x.log", "1");
        write("blocks/webby/b", "1");
        std::fs::remove_file(dir.path().join("blocks/web/a")).unwrap();
        write("blocks/web/deep/c", "1");
        let tree = Worktree::find(dir.path()).unwrap();
        assert_eq!(tree.listed("blocks/web").unwrap(), ["blocks/web/deep/c", "blocks/web/new"]);
    }
}
