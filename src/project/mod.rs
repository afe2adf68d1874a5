//! A project: its `onramp.toml`, its `onramp.lock`, and the service schema that environments share.

pub mod egress;
pub mod limits;
pub mod lock;
pub mod manifest;
pub mod safety;
pub mod scaffolded;
pub mod seed;
pub mod service;
pub mod test;

use std::path::PathBuf;

pub use lock::Lock;
pub use manifest::{Manifest, Project};
pub use scaffolded::Scaffolded;

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::files::FileError;

/// The directory of a project for what is onramp's own: git ignores it, and it is no part of the code.
pub const HOME: &str = ".onramp";

/// What stands in a directory that holds what a test left behind, wherever it is: a list of what onramp wrote there. Such a
/// directory is no part of the code either.
pub const ARTIFACTS: &str = ".onramp-artifacts";

/// What can be wrong with a project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `onramp.toml` here or above.
    #[error("{} is not in a project: no onramp.toml there or above", start.display())]
    NoProject {
        /// Where the search began.
        start: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoProject { .. } => Class::Usage,
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProject { .. } => None,
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoProject { .. } => vec!["onramp new php-web shop".to_owned(), "onramp -C <project> …".to_owned()],
            _ => Vec::new(),
        }
    }
}
