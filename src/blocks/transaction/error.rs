//! Why a project's files were not changed.

use std::path::PathBuf;

use crate::error::{Class, Fault, chain};
use crate::files::FileError;
use crate::tree::{BadPath, TreePath};

/// Why a project's files were not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody changed a file after the plan was made.
    #[error("{path} was changed meanwhile")]
    Changed {
        /// The file.
        path: TreePath,
    },
    /// Another onramp changes the project.
    #[error("another onramp is at work on {}", root.display())]
    Busy {
        /// The project.
        root: PathBuf,
    },
    /// A symbolic link of the project would lead the change elsewhere.
    #[error("{path} is not written: {link} is a symbolic link, and what it leads to is not the project's own")]
    Link {
        /// What would have been written.
        path: TreePath,
        /// The link.
        link: TreePath,
    },
    /// No file of a project may have that name.
    #[error("{path} is not written: {why}")]
    Refused {
        /// The name.
        path: TreePath,
        /// Why.
        why: BadPath,
    },
    /// What a killed onramp left says nothing that can be followed.
    #[error("{} is damaged: {why}", journal.display())]
    Journal {
        /// The journal.
        journal: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something failed, and so did putting everything back.
    #[error("{}; and putting it back failed: {}", chain(first), chain(second))]
    Stuck {
        /// What failed first.
        first: Box<Error>,
        /// What failed then.
        second: Box<Error>,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Changed { .. } | Self::Busy { .. } => Class::Conflict,
            Self::Link { .. } | Self::Refused { .. } => Class::Security,
            Self::Journal { .. } => Class::Io,
            Self::Stuck { first, .. } => first.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint().or_else(|| Some("nothing was changed".to_owned())),
            Self::Changed { .. } => Some("nothing was changed; run it again to plan with what is there now".to_owned()),
            Self::Busy { .. } => Some("when it has ended, run this again".to_owned()),
            Self::Link { .. } | Self::Refused { .. } => Some("nothing was changed".to_owned()),
            Self::Journal { journal, .. } => Some(format!(
                "an onramp that was killed left it; the files it moved lie beside it, in {}. Put back what you miss, then remove that directory",
                journal.parent().unwrap_or(journal).display()
            )),
            Self::Stuck { .. } => {
                Some("what is left is remembered: the next onramp in this project tries again".to_owned())
            }
        }
    }
}
