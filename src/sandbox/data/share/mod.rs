//! Snapshots in a registry, for other machines: pushed from the engine's volumes, pulled into new ones.
//!
//! A snapshot is one artifact ([`document`]): a config that says what it holds, and for each service a layer, the tar of its
//! data. Every tar is written anew on its way, in both directions ([`archive`]).

mod archive;
mod document;
mod pull;
mod push;

pub use document::{ARTIFACT, Contents, Part};
pub use pull::{Pull, PullPlan};
pub use push::{Packed, Push, PushPlan, Pushed, Wanted};

use crate::engine;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::images::store;
use crate::registry;

/// What can go wrong between a snapshot and a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What lies there is something else.
    #[error("{reference} is {what}, no snapshot")]
    NoSnapshotThere {
        /// The reference.
        reference: String,
        /// What it is.
        what: String,
    },
    /// It is the snapshot of another project.
    #[error("{reference} is a snapshot of project {theirs}, and this is {ours}")]
    OtherProject {
        /// The reference.
        reference: String,
        /// Its project.
        theirs: String,
        /// This project.
        ours: String,
    },
    /// A snapshot that no onramp wrote, or that would write outside of its place.
    #[error("snapshot {reference} is refused: {why}")]
    Damaged {
        /// The reference.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// Data that no other machine would take.
    #[error("the data of {service} cannot be pushed: {why}")]
    NotPushable {
        /// The service.
        service: String,
        /// What is in it.
        why: String,
    },
    /// Something else lies under the tag.
    #[error("{reference} is another snapshot already, saved {}", made.as_deref().unwrap_or("at another time"))]
    Taken {
        /// The reference.
        reference: String,
        /// When that one was saved.
        made: Option<String>,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store of blobs failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sandbox is not as it should be.
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::Error),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoSnapshotThere { .. } | Self::OtherProject { .. } => Class::Usage,
            Self::Damaged { .. } | Self::NotPushable { .. } => Class::Security,
            Self::Taken { .. } => Class::Conflict,
            Self::Registry(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Engine(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Sandbox(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSnapshotThere { .. } => Some("`onramp snapshot push` puts one into a registry".to_owned()),
            Self::OtherProject { .. } => Some("a snapshot is of the services of its own project".to_owned()),
            Self::Damaged { .. } => Some("nothing of it was kept; who pushed it can push it again".to_owned()),
            Self::NotPushable { .. } => Some("what could not be pulled again is not pushed".to_owned()),
            Self::Taken { .. } => Some("--replace moves the tag; or push it under another one".to_owned()),
            Self::Registry(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Sandbox(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoSnapshotThere { .. } | Self::OtherProject { .. } => vec!["onramp snapshot list".to_owned()],
            Self::Taken { .. } => vec!["onramp snapshot push NAME --replace".to_owned()],
            Self::Registry(error) => error.next(),
            Self::Store(error) => error.next(),
            Self::Engine(error) => error.next(),
            Self::File(error) => error.next(),
            Self::Sandbox(error) => error.next(),
            _ => Vec::new(),
        }
    }
}
