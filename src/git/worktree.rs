//! The developer's own repository: where it stands, and whether everything in it is committed.

use std::path::{Path, PathBuf};

use git2::{Repository, StatusOptions};

use super::{Commit, Error};
use crate::files::FileError;

/// Who a commit is by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Full name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

impl Identity {
    /// As git sees it: `GIT_AUTHOR_*` variables, then the repository's and the user's settings.
    pub fn find(directory: &Path) -> Result<Self, Error> {
        let config = match Repository::discover(directory) {
            Ok(repository) => repository.config(),
            Err(_) => git2::Config::open_default(),
        };
        let value = |variable: &str, key: &str| {
            let set = std::env::var(variable).ok().filter(|v| !v.is_empty());
            set.or_else(|| config.as_ref().ok().and_then(|c| c.get_string(key).ok()))
        };
        match (value("GIT_AUTHOR_NAME", "user.name"), value("GIT_AUTHOR_EMAIL", "user.email")) {
            (Some(name), Some(email)) => Ok(Self { name, email }),
            _ => Err(Error::NoIdentity),
        }
    }
}

/// The work tree that a directory lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktree {
    /// Its top directory.
    pub root: PathBuf,
    /// The repository's own directory, which all its work trees share.
    pub common: PathBuf,
    /// The checked-out branch; none when HEAD is detached.
    pub branch: Option<String>,
    /// The checked-out commit; none before the first one.
    pub head: Option<Commit>,
}

impl Worktree {
    /// Looks at the work tree around `directory`.
    pub fn find(directory: &Path) -> Result<Self, Error> {
        let repository = open(directory)?;
        let root = repository.workdir().ok_or_else(|| Error::NoRepository { path: directory.to_owned() })?.to_owned();
        let head = repository.head().ok();
        // Before the first commit HEAD already names the branch that will be born.
        let unborn =
            repository.find_reference("HEAD").ok().and_then(|r| r.symbolic_target().ok().flatten().map(str::to_owned));
        let branch = match &head {
            Some(head) => head.is_branch().then(|| head.shorthand().ok().map(str::to_owned)).flatten(),
            None => unborn.map(|name| name.trim_start_matches("refs/heads/").to_owned()),
        };
        let head = head.and_then(|head| head.peel_to_commit().ok()).map(|commit| commit.id().into());
        Ok(Self { root, common: repository.commondir().to_owned(), branch, head })
    }

    /// Whether the repository around `directory` has this branch, be it one that is not born yet; none without a repository.
    pub fn has_branch(directory: &Path, branch: &str) -> Option<bool> {
        let repository = open(directory).ok()?;
        let born = repository.find_branch(branch, git2::BranchType::Local).is_ok();
        Some(born || Self::find(directory).is_ok_and(|here| here.branch.as_deref() == Some(branch)))
    }

    /// The checked-out commit, or the error that says there is none yet.
    pub fn commit(&self) -> Result<&Commit, Error> {
        self.head.as_ref().ok_or_else(|| Error::Unborn { path: self.root.clone() })
    }

    /// Files under `directory` that differ from the checked-out commit or are unknown to it, at most 20 of them.
    pub fn changed(&self, directory: &Path) -> Result<Vec<String>, Error> {
        let repository = open(&self.root)?;
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
        if let Ok(inside) = directory.strip_prefix(&self.root)
            && !inside.as_os_str().is_empty()
        {
            options.pathspec(inside);
        }
        let statuses = repository
            .statuses(Some(&mut options))
            .map_err(|source| Error::Library { path: self.root.clone(), cause: source })?;
        let name =
            |entry: git2::StatusEntry<'_>| crate::text::neutral_line(&String::from_utf8_lossy(entry.path_bytes()), 120);
        Ok(statuses.iter().take(20).map(name).collect())
    }

    /// The files of a commit under `directory`, as an uncompressed tar: what git would check out, nothing that is ignored
    /// or not committed.
    pub fn archive(&self, commit: &Commit, directory: &Path) -> Result<Vec<u8>, Error> {
        let root = self.root.canonicalize().map_err(FileError::io("read", &self.root))?;
        let outside = || FileError::Outside { path: directory.to_owned(), root: root.clone() };
        let place = directory.canonicalize().map_err(FileError::io("read", directory))?;
        let inside = place.strip_prefix(&root).map_err(|_| outside())?;
        let tree = format!("{commit}:{}", inside.display());
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["archive", "--format=tar", &tree])
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(Error::NoProgram)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let detail = crate::text::neutral_line(&String::from_utf8_lossy(&output.stderr), 300);
        Err(Error::Program { verb: "archive", url: root.display().to_string(), detail })
    }
}

pub(super) fn open(directory: &Path) -> Result<Repository, Error> {
    Repository::discover(directory).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => Error::NoRepository { path: directory.to_owned() },
        _ => Error::Library { path: directory.to_owned(), cause: error },
    })
}
