//! Git: repositories read and written in our words.
//!
//! Trees, commits and merges are made in memory with libgit2; clone, fetch and push are the `git` program's, which brings
//! the user's ssh settings, credential helpers and proxies.

pub mod bare;
mod changes;
mod entries;
pub mod history;
mod initial;
mod listing;
mod mirror;
mod patch;
mod program;
mod reader;
mod record;
mod snapshot;
mod url;
mod worktree;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use entries::Placed;
pub use initial::initialise;
pub use mirror::{Mirror, Wanted};
pub use patch::patch;
pub use program::version;
pub use reader::{Reader, Taken};
pub use snapshot::{Look, Snapshot};
pub use url::{RepoUrl, without_credentials};
pub use worktree::{Identity, Worktree};
pub use write::{Change, RefUpdate};

use crate::error::{Class, Fault};
use crate::files::FileError;

/// Whether git takes this as the name of a branch.
pub fn is_branch_name(text: &str) -> bool {
    !text.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{text}"))
}

/// A commit's full id: 40 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    /// All 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }

    fn oid(&self) -> git2::Oid {
        git2::Oid::from_str(&self.0).expect("a commit id was checked when it was parsed")
    }
}

impl From<git2::Oid> for Commit {
    fn from(oid: git2::Oid) -> Self {
        Self(oid.to_string())
    }
}

impl FromStr for Commit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::NoCommit { what: crate::text::neutral_line(text, 80) })
        }
    }
}

impl TryFrom<String> for Commit {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can go wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no `git` to run.
    #[error("git is not installed, or not on the PATH")]
    NoProgram(#[source] std::io::Error),
    /// The text is no URL that onramp gives to git.
    #[error("`{url}` is no repository that onramp talks to: {why}")]
    BadUrl {
        /// Neutral, without credentials.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server or path did not answer.
    #[error("cannot reach {url}: {detail}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// The server refused us.
    #[error("{url} refused access: {detail}")]
    Refused {
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// Somebody else moved a ref that we wanted to move.
    #[error("{url} changed meanwhile: {detail}")]
    Moved {
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// git failed otherwise.
    #[error("git {verb} failed for {url}: {detail}")]
    Program {
        /// `fetch`, `push`.
        verb: &'static str,
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// `--offline` and nothing fetched before.
    #[error("{url} was never fetched, and --offline forbids it now")]
    NeverFetched {
        /// The repository.
        url: String,
    },
    /// Nothing is there under that name.
    #[error("no commit `{what}`")]
    NoCommit {
        /// The name.
        what: String,
    },
    /// The directory is in no repository.
    #[error("{} is not in a git repository", path.display())]
    NoRepository {
        /// The directory.
        path: PathBuf,
    },
    /// The repository has no commit yet.
    #[error("the repository at {} has no commit yet", path.display())]
    Unborn {
        /// Its directory.
        path: PathBuf,
    },
    /// There is no remote of that name.
    #[error("the repository has no remote `{name}`")]
    NoRemote {
        /// The name.
        name: String,
    },
    /// Nobody to sign a commit as.
    #[error("git does not know who you are")]
    NoIdentity,
    /// A file in a repository is larger than any honest one.
    #[error("{path} in {url} is larger than {}", crate::text::bytes(*cap))]
    TooLarge {
        /// The repository.
        url: String,
        /// The file.
        path: String,
        /// The cap in bytes.
        cap: u64,
    },
    /// A commit holds more than any honest one.
    #[error("{url} holds more than {cap}")]
    TooMuch {
        /// The repository.
        url: String,
        /// What was allowed.
        cap: crate::tree::Cap,
    },
    /// A commit holds what no file may be called.
    #[error("{} in {url} cannot be taken: {why}", crate::text::neutral_line(path, 200))]
    BadPath {
        /// The repository.
        url: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        why: crate::tree::BadPath,
    },
    /// A work tree could not be read.
    #[error(transparent)]
    Disk(#[from] crate::tree::disk::Error),
    /// Two changes touch the same lines.
    #[error("the two sides change the same lines of {}", paths.join(", "))]
    MergeConflict {
        /// The files.
        paths: Vec<String>,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// libgit2 failed.
    #[error("git repository at {}: {}", path.display(), cause.message())]
    Library {
        /// The repository.
        path: PathBuf,
        /// libgit2's reason. Not its `source`: the message above says it already.
        cause: git2::Error,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            // A disk that is full, a directory that may not be written.
            Self::Library { cause, .. } if cause.class() == git2::ErrorClass::Os => Class::Io,
            Self::NoProgram(_) | Self::NoIdentity | Self::Library { .. } | Self::Program { .. } => Class::Env,
            Self::BadUrl { .. } | Self::TooLarge { .. } | Self::TooMuch { .. } | Self::BadPath { .. } => {
                Class::Security
            }
            Self::Disk(error) => error.class(),
            Self::Unreachable { .. } | Self::NeverFetched { .. } => Class::Net,
            Self::Refused { .. } => Class::Auth,
            Self::Moved { .. } | Self::MergeConflict { .. } => Class::Conflict,
            Self::NoCommit { .. } | Self::NoRepository { .. } | Self::NoRemote { .. } | Self::Unborn { .. } => {
                Class::Usage
            }
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some("is the network up, and is the URL right?".to_owned()),
            Self::Refused { .. } => {
                Some("git uses your ssh keys and credential helpers; onramp never asks for them".to_owned())
            }
            Self::Moved { .. } => Some("somebody else pushed first; nothing of theirs was overwritten".to_owned()),
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoProgram(_) => vec!["apt-get install git".to_owned()],
            Self::Unreachable { url, .. } | Self::Refused { url, .. } => vec![format!("git ls-remote {url}")],
            Self::NoRemote { name } => vec![format!("git remote add {name} <url>")],
            Self::NoIdentity => vec![
                "git config --global user.name 'Your Name'".to_owned(),
                "git config --global user.email you@example.org".to_owned(),
            ],
            Self::NoRepository { .. } => vec!["git init && git add -A && git commit -m 'First commit'".to_owned()],
            Self::Unborn { .. } => vec!["git add -A && git commit -m 'First commit'".to_owned()],
            _ => Vec::new(),
        }
    }
}
