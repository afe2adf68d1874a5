//! Images: what a project's tags are locked to, what is pulled, what the company's registry offers.

pub mod catalogue;
pub mod lock;
pub mod name;
pub mod pull;

use crate::engine;
use crate::error::{Class, Fault};
use crate::reference::ImageRef;
use crate::registry;

/// What can go wrong with images.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lock would have to change, and may not.
    #[error("onramp.lock does not pin {}, and {why}", images.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotLocked {
        /// The references.
        images: Vec<ImageRef>,
        /// Which option forbids it.
        why: &'static str,
    },
    /// What is wanted is not here, and the network may not be used.
    #[error("{} not in the engine, and --offline forbids to pull", images.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Offline {
        /// The references.
        images: Vec<ImageRef>,
    },
    /// After a pull the engine has another image.
    #[error("the engine pulled {image} and holds {} instead", if held.is_empty() { "nothing".to_owned() } else { held.join(", ") })]
    NotProven {
        /// The reference, by digest.
        image: ImageRef,
        /// What the engine has under that name.
        held: Vec<String>,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NotLocked { .. } => Class::Config,
            Self::Offline { .. } => Class::Net,
            Self::NotProven { .. } => Class::Security,
            Self::Registry(error) => error.class(),
            Self::Engine(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotLocked { .. } => Some("run it once without that option, and commit onramp.lock".into()),
            Self::NotProven { .. } => Some("the registry or a mirror behind the engine served something else".into()),
            Self::Offline { .. } => None,
            Self::Registry(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NotLocked { .. } | Self::Offline { .. } => vec!["onramp image pull".into()],
            Self::NotProven { image, .. } => vec![format!("docker image inspect {image}")],
            Self::Registry(error) => error.next(),
            Self::Engine(error) => error.next(),
        }
    }
}
