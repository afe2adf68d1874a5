//! What can go wrong in the keeping of a catalog.

use std::path::PathBuf;

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::name::Name;
use crate::{blocks, document, git, template};

/// What can go wrong with a catalog that somebody keeps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] document::DocumentError),
    /// A block is wrong.
    #[error(transparent)]
    Block(#[from] blocks::Error),
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] template::Error),
    /// The repository is neither a catalog nor a template.
    #[error("{} is no catalog: it has no blocks/<name>/, and is no template itself", path.display())]
    NoCatalog {
        /// Its top.
        path: PathBuf,
    },
    /// There is no such block in it.
    #[error("there is no block `{}` in {}", crate::text::neutral_line(name, 60), path.display())]
    NoBlock {
        /// What was asked for.
        name: String,
        /// The catalog.
        path: PathBuf,
        /// The nearest name that there is.
        meant: Option<String>,
    },
    /// A directory of `blocks/` has a name that no block may have.
    #[error("blocks/{}: {cause}", crate::text::neutral_line(directory, 80))]
    BadName {
        /// It.
        directory: String,
        /// What is wrong with it.
        cause: crate::name::NotAName,
    },
    /// A release that cannot be made.
    #[error("{block} cannot be released: {why}")]
    NoRelease {
        /// The block.
        block: Name,
        /// Why not.
        why: String,
        /// Where the decision must be taken, how it is cured.
        hint: Option<String>,
        /// Commands that cure it.
        next: Vec<String>,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::Block(error) => error.class(),
            Self::Template(error) => error.class(),
            Self::NoCatalog { .. } | Self::NoBlock { .. } => Class::Usage,
            Self::BadName { .. } => Class::Config,
            Self::NoRelease { .. } => Class::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::Block(error) => error.hint(),
            Self::Template(error) => error.hint(),
            Self::NoBlock { meant, .. } => meant.as_ref().map(|meant| format!("did you mean `{meant}`?")),
            Self::NoRelease { hint, .. } => hint.clone(),
            Self::NoCatalog { .. } | Self::BadName { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::Block(error) => error.next(),
            Self::NoRelease { next, .. } => next.clone(),
            _ => Vec::new(),
        }
    }
}
