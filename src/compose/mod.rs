//! Compose files: one is read into a project's `onramp.toml`, and a sandbox is written as one.
//!
//! [`read`] takes what a project can say, each subject in a file of its own, and names the rest with its line;
//! [`manifest`] writes that as `onramp.toml`, [`init`] plans and does it. [`write`] makes a Compose file of a sandbox's
//! services.

mod build;
mod declared;
mod dockerfile;
mod dotenv;
mod environment;
mod health;
mod image;
pub mod init;
mod interpolate;
mod keys;
mod left;
mod limits;
mod manifest;
mod network;
mod place;
mod ports;
mod program;
mod read;
mod secret;
mod service;
mod volumes;
mod words;
pub mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use declared::declared;
pub use image::whole as image_of;
pub use left::{Left, Standing};
pub use read::{Read, Taken, read};

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::files::FileError;

/// What can go wrong with a Compose file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A project is there already.
    #[error("{} is there already, and stays as it is", path.display())]
    Project {
        /// Its manifest.
        path: PathBuf,
        /// The Compose file, as it was given.
        from: String,
    },
    /// A Compose file that is not in the directory that becomes the project.
    #[error("{} is not in {}, and its paths lead elsewhere", file.display(), directory.display())]
    Elsewhere {
        /// The file.
        file: PathBuf,
        /// The directory.
        directory: PathBuf,
    },
    /// Nothing of the file can be run here.
    #[error("{file} has no service that a project can have")]
    Nothing {
        /// The file.
        file: String,
        /// Where and why the first is none.
        why: Option<String>,
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
            Self::Project { .. } => Class::Conflict,
            Self::Elsewhere { .. } => Class::Usage,
            Self::Nothing { .. } => Class::Config,
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Project { .. } => Some("--dry-run shows what would be read, to be taken over by hand".to_owned()),
            Self::Nothing { why, .. } => why.clone(),
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::Elsewhere { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Project { from, .. } => vec![format!("onramp init --from {from} --dry-run")],
            Self::Elsewhere { file, .. } => {
                let directory = file.parent().unwrap_or(file).display();
                let name = file.file_name().unwrap_or_default().display();
                vec![format!("onramp -C {directory} init --from {name}")]
            }
            Self::File(error) => error.next(),
            Self::Nothing { .. } | Self::Document(_) => Vec::new(),
        }
    }
}
