//! Images: what a project's tags are locked to, what is pulled, what the company's registry offers.

pub mod about;
pub mod catalogue;
pub mod lock;
pub mod name;
pub mod outdated;
pub mod pull;
pub mod store;
pub mod tag;
pub mod tree;

use crate::engine;
use crate::error::{Class, Fault};
use crate::reference::{Digest, ImageRef};
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
    /// Nothing may be asked, and nobody asked before.
    #[error("nothing is known of {what} in {host}, and --offline forbids to ask")]
    Forgotten {
        /// `host[:port]`.
        host: String,
        /// What was wanted.
        what: String,
    },
    /// The registry no longer has what is locked.
    #[error("{image} is locked to {}, which its registry no longer has; the tag {}", locked.short(), match now {
        Some(now) => format!("is {} now", now.short()),
        None => "is gone, too".to_owned(),
    })]
    Gone {
        /// The reference, by tag.
        image: Box<ImageRef>,
        /// What the lock holds.
        locked: Digest,
        /// What the tag means now.
        now: Option<Digest>,
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
            Self::NotLocked { .. } | Self::Gone { .. } => Class::Config,
            Self::Offline { .. } | Self::Forgotten { .. } => Class::Net,
            Self::NotProven { .. } => Class::Security,
            Self::Registry(error) => error.class(),
            Self::Engine(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotLocked { .. } => Some("run it once without that option, and commit onramp.lock".into()),
            Self::NotProven { .. } => Some("the registry or a mirror behind the engine served something else".into()),
            Self::Gone { now: Some(_), .. } => Some(
                "onramp never takes another image for it by itself: look at what changed, then lock it again".into(),
            ),
            Self::Gone { now: None, .. } => Some("choose a tag that there is, in onramp.toml".into()),
            Self::Offline { .. } | Self::Forgotten { .. } => None,
            Self::Registry(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NotLocked { .. } | Self::Offline { .. } => vec!["onramp image pull".into()],
            Self::Forgotten { .. } => vec!["onramp image list".into()],
            Self::Gone { image, now: Some(_), .. } => vec![format!("onramp image lock --update {image}")],
            Self::Gone { image, now: None, .. } => vec![format!("onramp image list --tags {}", image.short_name())],
            Self::NotProven { image, .. } => vec![format!("docker image inspect {image}")],
            Self::Registry(error) => error.next(),
            Self::Engine(error) => error.next(),
        }
    }
}
