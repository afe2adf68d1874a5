//! Why a template's source is not here.

use std::path::PathBuf;

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::git;
use crate::reference::Digest;
use crate::text::neutral_line;
use crate::tree::disk;
use crate::version::Version;

/// What can go wrong between a repository and its files here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A directory could not be read.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Asked for as one thing or another, and neither.
    #[error("`{}` is no version, version requirement or tag", neutral_line(requirement, 80))]
    BadRequirement {
        /// What was asked for.
        requirement: String,
    },
    /// No released version is what was asked for.
    #[error("no released version of {source_of} matches {}", neutral_line(requirement, 80))]
    NoVersion {
        /// The repository.
        source_of: String,
        /// What was asked for.
        requirement: String,
        /// What there is, newest first.
        released: Vec<Version>,
    },
    /// A version was asked for of what has none.
    #[error("{} is not a git repository, so it has no `{}`", path.display(), neutral_line(what, 80))]
    NoRepository {
        /// The directory.
        path: PathBuf,
        /// What was asked for.
        what: String,
    },
    /// A commit is not there, and nowhere to fetch it from.
    #[error("the commit {commit} is not there")]
    NoCommit {
        /// Its id.
        commit: String,
    },
    /// What a project's block was rendered from cannot be had any more.
    #[error(
        "what the project was rendered from is gone: {} {}{}: {}",
        neutral_line(source_of, 200), neutral_line(version, 60),
        if commit.is_empty() { String::new() } else { format!(" ({})", neutral_line(commit, 40)) },
        neutral_line(why, 300)
    )]
    Gone {
        /// Where it was from.
        source_of: String,
        /// Its version.
        version: String,
        /// Its commit.
        commit: String,
        /// Why it cannot be had.
        why: String,
    },
    /// What is found at the locked commit is not what was locked.
    #[error(
        "{} at {} is not what onramp.lock says: locked {locked}, found {found}",
        neutral_line(source_of, 200),
        neutral_line(commit, 40)
    )]
    Changed {
        /// Where it is from.
        source_of: String,
        /// The commit.
        commit: String,
        /// What was rendered.
        locked: Digest,
        /// What is there.
        found: Digest,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Disk(error) => error.class(),
            Self::BadRequirement { .. }
            | Self::NoVersion { .. }
            | Self::NoRepository { .. }
            | Self::NoCommit { .. } => Class::Usage,
            Self::Gone { .. } => Class::Net,
            Self::Changed { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::BadRequirement { .. } => Some("write it like >=1.2,<2 or 1.2 or v1.2.3".to_owned()),
            Self::NoVersion { released, .. } if released.is_empty() => {
                Some("it has no tag that is a version; --ref takes a branch or a commit".to_owned())
            }
            Self::NoVersion { released, .. } => {
                let mut words: Vec<String> = released.iter().take(10).map(ToString::to_string).collect();
                if released.len() > words.len() {
                    words.push("…".to_owned());
                }
                Some(format!("released: {}", neutral_line(&words.join(", "), 300)))
            }
            Self::Gone { .. } => Some(
                "nothing was changed. If the template moved, name its new place; if the commit is gone for good, \
                 `onramp adopt` finds the version that explains the project best"
                    .to_owned(),
            ),
            Self::Changed { .. } => Some(
                "nothing was changed. A commit cannot change, so the lock was edited or the repository was tampered with: \
                 look at who changed onramp.lock"
                    .to_owned(),
            ),
            Self::NoRepository { .. } | Self::NoCommit { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::Gone { source_of, .. } => vec![format!("onramp adopt {}", neutral_line(source_of, 200))],
            Self::Changed { .. } => vec!["git log -p -- onramp.lock".to_owned()],
            _ => Vec::new(),
        }
    }
}
