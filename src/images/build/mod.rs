//! The company's base images, made from the catalog's definitions: in order of dependence, several at once, each only
//! where its content is new.
//!
//! What is in an image depends on its definition and its parent alone, and is found again under its key: in the engine, and
//! in the registry. Who made it, when and on what goes into labels that are put on it as it is published.

pub mod definition;
mod labels;
mod lent;
mod load;
mod publish;
mod remote;
mod rootfs;
mod sbom;
mod workshop;

use std::path::PathBuf;

pub use definition::Definition;
pub use labels::Origin;
pub use sbom::SPDX;
pub use workshop::{Made, Standing, Target, Workshop, place, published};

use crate::document::DocumentError;
use crate::engine;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::name::Name;
use crate::reference::{Digest, ImageRef};
use crate::{git, registry};

/// What the engine calls images before they are published, `<prefix>/<name>:<key>`; the playground has its own.
pub const PREFIX: &str = "onramp-image";

/// The turn that builds share: while somebody builds, no image of a build is pruned, for it may be the parent of what is being
/// built, or on its way to the registry.
pub const TURN: &str = "image builds";

/// What can go wrong while an image is made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither way to the first base image works.
    #[error("cannot make the file system of {image}: {why}")]
    NoBase {
        /// The image.
        image: String,
        /// Why.
        why: String,
    },
    /// debootstrap failed.
    #[error("debootstrap failed for {image}: {last}")]
    Bootstrap {
        /// The image.
        image: String,
        /// Its last line.
        last: String,
    },
    /// A definition's file is missing or cannot be one.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Definitions build on each other in a circle.
    #[error("images build on each other in a circle: {}", names.join(", "))]
    Circle {
        /// Their names, the first one again at the end.
        names: Vec<String>,
    },
    /// A parent is not among what is built.
    #[error("{image} builds on an image that is not among those that are built")]
    NoParent {
        /// The image.
        image: String,
    },
    /// There is no definition of this name.
    #[error("no image `{name}` is defined in this catalog")]
    NoDefinition {
        /// What was asked for.
        name: String,
        /// The one that was probably meant.
        meant: Option<String>,
    },
    /// A tag in the registry means what this machine did not make.
    #[error("{image} is {digest} in the registry, which this machine did not make and no accepted key signed")]
    Foreign {
        /// The definition.
        name: Name,
        /// The tag.
        image: Box<ImageRef>,
        /// What it means.
        digest: Digest,
    },
    /// What onramp remembers could not be read.
    #[error(transparent)]
    Known(Box<super::Error>),
    /// Signatures could not be looked at.
    #[error(transparent)]
    Signature(Box<super::signature::Error>),
    /// What is in an image could not be listed.
    #[error("the packages of {image} could not be listed: {why}")]
    Unlisted {
        /// The image.
        image: String,
        /// Why.
        why: String,
    },
    /// What is in an image could not be read.
    #[error(transparent)]
    Contents(Box<super::contents::Error>),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl From<super::contents::Error> for Error {
    fn from(error: super::contents::Error) -> Self {
        Self::Contents(Box::new(error))
    }
}

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Self {
        Self::Known(Box::new(error))
    }
}

impl From<super::signature::Error> for Error {
    fn from(error: super::signature::Error) -> Self {
        Self::Signature(Box::new(error))
    }
}

impl Error {
    /// The fault of another room that this passes on.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Contents(error) => Some(&**error),
            Self::Known(error) => Some(&**error),
            Self::Signature(error) => Some(&**error),
            Self::Engine(error) => Some(error),
            Self::Registry(error) => Some(error),
            Self::Git(error) => Some(error),
            Self::Disk(error) => Some(error),
            Self::Document(error) => Some(error),
            _ => None,
        }
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoBase { .. } | Self::Bootstrap { .. } => Class::Env,
            Self::File { .. } | Self::Circle { .. } => Class::Config,
            Self::NoDefinition { .. } => Class::Usage,
            Self::Foreign { .. } => Class::Conflict,
            Self::NoParent { .. } => Class::Bug,
            Self::Unlisted { .. } => Class::Io,
            _ => self.inner().map_or(Class::Bug, Fault::class),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoBase { .. } => Some("onramp needs it once; later builds use what was built".into()),
            Self::Bootstrap { .. } => Some("is the Debian mirror reachable, and is there room on the disk?".into()),
            Self::Foreign { name, .. } => {
                Some(format!("whoever pushed it may be right; `--replace {name}` moves the tag all the same"))
            }
            Self::NoDefinition { meant, .. } => meant.as_ref().map(|meant| format!("did you mean `{meant}`?")),
            _ => self.inner().and_then(Fault::hint),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoBase { .. } => vec!["sudo apt-get install debootstrap".into()],
            Self::Foreign { name, image, .. } => {
                vec![format!("onramp image inspect {image}"), format!("onramp image push --replace {name}")]
            }
            Self::Circle { .. } => vec!["onramp image build --dry-run".into()],
            _ => self.inner().map(Fault::next).unwrap_or_default(),
        }
    }
}
