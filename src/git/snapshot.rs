//! A commit's files, read one by one as they are asked for, and new commits beside it: no work tree, index or HEAD is
//! touched, no hook or filter runs.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use git2::{ObjectType, Repository, TreeWalkMode, TreeWalkResult};

use super::{Commit, Error, Identity, Mirror, Placed, entries};
use crate::tree::{Entry, TreePath};

/// The largest file that is read, in bytes.
const FILE_CAP: u64 = 256 * 1024 * 1024;

/// A commit of a repository.
pub struct Snapshot {
    repository: Repository,
    tree: git2::Oid,
    /// The commit.
    pub commit: Commit,
    /// The branch that it is the tip of, where that is known.
    pub branch: Option<String>,
}

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Nothing,
    /// A file or link.
    Entry(Entry),
    /// A directory, or another repository's commit.
    Directory,
    /// A file or link stands where a directory above it would be.
    Blocked(TreePath),
}

impl Snapshot {
    /// What the repository in a directory has checked out, or would have: its HEAD. None of a directory that is no
    /// repository itself.
    pub fn open(directory: &Path) -> Result<Option<Self>, Error> {
        let library = |cause| Error::Library { path: directory.to_owned(), cause };
        let repository = match Repository::open(directory) {
            Ok(repository) => repository,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
            Err(cause) => return Err(library(cause)),
        };
        let (commit, branch) = {
            let head = repository.head().map_err(|_| Error::Unborn { path: directory.to_owned() })?;
            let branch = head.is_branch().then(|| head.shorthand().ok().map(str::to_owned)).flatten();
            (head.peel_to_commit().map_err(library)?.id().into(), branch)
        };
        Self::of(repository, commit, branch).map(Some).map_err(library)
    }

    /// A commit of the repository at a path.
    pub fn at(repository: &Path, commit: &Commit) -> Result<Self, Error> {
        let opened = Repository::open(repository).and_then(|opened| Self::of(opened, commit.clone(), None));
        opened.map_err(|cause| Error::Library { path: repository.to_owned(), cause })
    }

    /// Where the repository is, and the commit: what [`Snapshot::at`] takes.
    pub fn origin(&self) -> (PathBuf, Commit) {
        (self.repository.commondir().to_owned(), self.commit.clone())
    }

    fn of(repository: Repository, commit: Commit, branch: Option<String>) -> Result<Self, git2::Error> {
        let tree = repository.find_commit(commit.oid())?.tree_id();
        Ok(Self { repository, tree, commit, branch })
    }

    /// What stands at a path.
    pub fn look(&self, path: &TreePath) -> Result<Look, Error> {
        self.look_within(path, FILE_CAP)
    }

    /// The same, where a file may have no more than `cap` bytes.
    pub fn look_within(&self, path: &TreePath, cap: u64) -> Result<Look, Error> {
        let mut tree = self.repository.find_tree(self.tree).map_err(|e| self.library(e))?;
        let mut names = path.names().peekable();
        let mut so_far = 0;
        while let Some(name) = names.next() {
            so_far += name.len();
            let Some(found) = tree.get_name(name).map(|entry| (entry.id(), entry.kind(), entry.filemode())) else {
                return Ok(Look::Nothing);
            };
            let (id, kind, mode) = found;
            match (kind, names.peek()) {
                (Some(ObjectType::Tree), Some(_)) => {
                    tree = self.repository.find_tree(id).map_err(|e| self.library(e))?;
                    so_far += 1;
                }
                (Some(ObjectType::Blob), None) => return self.blob(path.as_str(), id, mode, cap).map(Look::Entry),
                (Some(ObjectType::Blob), Some(_)) => {
                    let blocked = path.as_str()[..so_far].parse().map_err(|_| self.not_there(path.as_str()))?;
                    return Ok(Look::Blocked(blocked));
                }
                _ => return Ok(Look::Directory),
            }
        }
        Ok(Look::Nothing)
    }

    /// The file or link at a path.
    pub fn get(&self, path: &TreePath) -> Result<Option<Entry>, Error> {
        Ok(match self.look(path)? {
            Look::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The names in a directory (none: at the top). None of what is no directory.
    pub fn names(&self, directory: Option<&TreePath>) -> Result<Vec<String>, Error> {
        let root = self.repository.find_tree(self.tree).map_err(|e| self.library(e))?;
        let tree = match directory {
            None => root,
            Some(path) => match root.get_path(Path::new(path.as_str())) {
                Ok(entry) if entry.kind() == Some(ObjectType::Tree) => {
                    self.repository.find_tree(entry.id()).map_err(|e| self.library(e))?
                }
                Ok(_) => return Ok(Vec::new()),
                Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(self.library(error)),
            },
        };
        Ok(tree.iter().filter_map(|entry| entry.name().ok().map(str::to_owned)).collect())
    }

    /// The files and links under a directory (none: everywhere), in git's order, with their sizes.
    pub fn walk(
        &self,
        under: Option<&TreePath>,
        wanted: &dyn Fn(&TreePath) -> bool,
    ) -> Result<Vec<(TreePath, u64)>, Error> {
        let root = self.repository.find_tree(self.tree).map_err(|e| self.library(e))?;
        let (tree, prefix) = match under {
            None => (root, String::new()),
            Some(path) => {
                let entry = root.get_path(Path::new(path.as_str())).map_err(|e| self.library(e))?;
                (self.repository.find_tree(entry.id()).map_err(|e| self.library(e))?, format!("{path}/"))
            }
        };
        let odb = self.repository.odb().map_err(|e| self.library(e))?;
        let mut found = Vec::new();
        let walked = tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
            let path = entry.name().ok().and_then(|name| format!("{prefix}{parent}{name}").parse::<TreePath>().ok());
            if let Some(path) = path.filter(|path| entry.kind() == Some(ObjectType::Blob) && wanted(path)) {
                found.push((path, odb.read_header(entry.id()).map_or(u64::MAX, |(size, _)| size as u64)));
            }
            TreeWalkResult::Ok
        });
        walked.map(|()| found).map_err(|e| self.library(e))
    }

    /// Makes a commit on top of this one. No ref moves.
    pub fn make(&self, changes: &[Placed], message: &str, author: &Identity) -> Result<Commit, Error> {
        entries::commit(&self.repository, &self.commit, changes, message, author).map_err(|e| self.library(e))
    }

    /// Where a branch of the repository stands, and what its tip says.
    pub fn tip(&self, branch: &str) -> Result<Option<(Commit, String)>, Error> {
        let Ok(reference) = self.repository.find_reference(&format!("refs/heads/{branch}")) else { return Ok(None) };
        let commit = reference.peel_to_commit().map_err(|e| self.library(e))?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        Ok(Some((commit.id().into(), message)))
    }

    /// Whether two commits hold the same files on top of the same commit.
    pub fn alike(&self, one: &Commit, other: &Commit) -> Result<bool, Error> {
        let of = |commit: &Commit| -> Result<_, Error> {
            let commit = self.repository.find_commit(commit.oid()).map_err(|e| self.library(e))?;
            Ok((commit.tree_id(), commit.parent_ids().collect::<Vec<_>>()))
        };
        Ok(of(one)? == of(other)?)
    }

    /// Moves a branch, or makes it, if it is where it was seen. One that somebody has checked out stays. The branch is one
    /// that only onramp makes, one process at a time: a lock of it is what a killed one left.
    pub fn set_branch(&self, branch: &str, expected: Option<&Commit>, target: &Commit) -> Result<(), Error> {
        let name = format!("refs/heads/{branch}");
        let moved = |detail: &str| Error::Moved { url: self.shown(), detail: detail.to_owned() };
        if self.is_checked_out(&name) {
            return Err(moved(&format!("{branch} is checked out there")));
        }
        let log = "onramp campaign";
        let set = || match expected {
            None => self.repository.reference(&name, target.oid(), false, log).map(drop),
            Some(seen) => self.repository.reference_matching(&name, target.oid(), true, seen.oid(), log).map(drop),
        };
        let set = match set() {
            Err(error) if error.code() == git2::ErrorCode::Locked => {
                let lock = self.repository.commondir().join(format!("{name}.lock"));
                if std::fs::remove_file(lock).is_ok() { set() } else { Err(error) }
            }
            done => done,
        };
        set.map_err(|error| match error.code() {
            git2::ErrorCode::Exists | git2::ErrorCode::Modified => moved(&format!("{branch} moved")),
            _ => self.library(error),
        })
    }

    /// Whether the repository, or one of its linked work trees, stands on a branch.
    fn is_checked_out(&self, name: &str) -> bool {
        let stands = |repository: &Repository| repository.head().is_ok_and(|head| head.name() == Ok(name));
        let linked = self.repository.worktrees().ok();
        let linked = linked.iter().flat_map(|names| names.iter()).flatten().flatten();
        let mut linked = linked.filter_map(|name| {
            let worktree = self.repository.find_worktree(name).ok()?;
            Repository::open_from_worktree(&worktree).ok()
        });
        (!self.repository.is_bare() && stands(&self.repository)) || linked.any(|repository| stands(&repository))
    }

    /// The address of the remote that its branches are pushed to.
    pub fn remote(&self) -> Option<String> {
        let origin = self.repository.find_remote("origin").ok()?;
        origin.url().ok().map(str::to_owned)
    }

    fn blob(&self, path: &str, id: git2::Oid, mode: i32, cap: u64) -> Result<Entry, Error> {
        let odb = self.repository.odb().map_err(|e| self.library(e))?;
        let (size, _) = odb.read_header(id).map_err(|e| self.library(e))?;
        if size as u64 > cap {
            return Err(Error::TooLarge { url: self.shown(), path: path.to_owned(), cap });
        }
        let blob = self.repository.find_blob(id).map_err(|e| self.library(e))?;
        let contents = Bytes::copy_from_slice(blob.content());
        if mode == 0o120_000 {
            let target = String::from_utf8(contents.to_vec()).map_err(|_| self.not_there(path))?;
            return Ok(Entry::Link { target });
        }
        Ok(Entry::File { contents: contents.into(), executable: mode == 0o100_755 })
    }

    fn not_there(&self, path: &str) -> Error {
        Error::NoCommit { what: format!("{} in {}", crate::text::neutral_line(path, 120), self.shown()) }
    }

    fn shown(&self) -> String {
        self.repository.workdir().unwrap_or_else(|| self.repository.path()).display().to_string()
    }

    fn library(&self, cause: git2::Error) -> Error {
        Error::Library { path: self.repository.path().to_owned(), cause }
    }
}

impl Mirror {
    /// A commit of the mirrored repository.
    pub fn snapshot(&self, commit: &Commit) -> Result<Snapshot, Error> {
        Snapshot::of(self.open()?, commit.clone(), None).map_err(|cause| self.library(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::initialise;

    #[test]
    fn a_branch_is_made_without_touching_what_is_checked_out() {
        let dir = tempfile::tempdir().unwrap();
        let me = Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/x"), "1").unwrap();
        initialise(dir.path(), "first", &me).unwrap();
        std::fs::write(dir.path().join("d/x"), "mine").unwrap();
        let hook = dir.path().join(".git/hooks/reference-transaction");
        std::fs::write(&hook, "#!/bin/sh\ntouch \"$GIT_DIR/fired\"\n").unwrap();
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let index = std::fs::read(dir.path().join(".git/index")).unwrap();

        let snapshot = Snapshot::open(dir.path()).unwrap().unwrap();
        let path = |text: &str| text.parse::<TreePath>().unwrap();
        assert_eq!(snapshot.look(&path("d/x")).unwrap(), Look::Entry(Entry::file("1")));
        assert_eq!(snapshot.look(&path("d")).unwrap(), Look::Directory);
        assert_eq!(snapshot.look(&path("d/x/y")).unwrap(), Look::Blocked(path("d/x")));
        assert_eq!(snapshot.look(&path("e/x")).unwrap(), Look::Nothing);
        assert_eq!(snapshot.walk(Some(&path("d")), &|_| true).unwrap(), [(path("d/x"), 1)]);

        let changes =
            [(path("d/x"), None), (path("e/run"), Some(Entry::File { contents: "2".into(), executable: true }))];
        let commit = snapshot.make(&changes, "second", &me).unwrap();
        // What a killed one left.
        std::fs::create_dir_all(dir.path().join(".git/refs/heads/onramp")).unwrap();
        std::fs::write(dir.path().join(".git/refs/heads/onramp/x-1.lock"), "").unwrap();
        snapshot.set_branch("onramp/x-1", None, &commit).unwrap();
        assert!(matches!(snapshot.set_branch("onramp/x-1", None, &commit), Err(Error::Moved { .. })));
        let head = snapshot.branch.clone().unwrap();
        let there = snapshot.commit.clone();
        assert!(matches!(snapshot.set_branch(&head, Some(&there), &commit), Err(Error::Moved { .. })));
        assert_eq!(std::fs::read_to_string(dir.path().join("d/x")).unwrap(), "mine");
        assert_eq!(std::fs::read(dir.path().join(".git/index")).unwrap(), index);
        assert!(!dir.path().join(".git/fired").exists(), "no hook runs");
        let tree =
            std::process::Command::new("git").current_dir(dir.path()).args(["ls-tree", "-r", "onramp/x-1"]).output();
        let tree = String::from_utf8(tree.unwrap().stdout).unwrap();
        assert!(tree.starts_with("100755 blob") && tree.ends_with("\te/run\n"), "{tree}");
    }
}
