//! Images: what a project's tags are locked to, what is pulled, what the company's registry offers.

pub mod about;
pub mod build;
pub mod catalogue;
pub mod contents;
pub mod diff;
pub mod known;
pub mod lock;
pub mod name;
pub mod outdated;
pub mod policy;
pub mod prune;
pub mod pull;
pub mod signature;
pub mod store;
pub mod tag;
pub mod tree;

use std::path::PathBuf;

use crate::document::DocumentError;
use crate::engine;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::registry;
use crate::text;

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
    /// The registry does not have an image of this digest.
    #[error("{image} is not in its registry")]
    Absent {
        /// The reference, by digest.
        image: Box<ImageRef>,
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
    /// The engine does not take an image that was fetched and verified.
    #[error("the engine refused {image}: {detail}")]
    Refused {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// The engine's words.
        detail: String,
    },
    /// The engine's disk is full.
    #[error("the engine has no room for {image}{}: {detail}", root.as_ref().map(|root| format!(" in {}", root.display())).unwrap_or_default())]
    EngineFull {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// Where it keeps images, if that is on this machine.
        root: Option<PathBuf>,
        /// The engine's words.
        detail: String,
    },
    /// The engine went away, and did not come back.
    #[error("the engine went away while it took {image}: {detail}")]
    EngineGone {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// What the connection said.
        detail: String,
    },
    /// A part of an image could not be fetched into the store.
    #[error("cannot pull {image}: {error}")]
    Fetch {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// What the store or the registry says.
        error: store::Error,
    },
    /// The image is not there for this machine.
    #[error("{image} is there for {}, not for {platform}", there.join(", "))]
    Foreign {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// The platforms that it is there for.
        there: Vec<String>,
        /// What was asked for, or what the engine runs.
        platform: String,
    },
    /// A layer that this engine cannot unpack.
    #[error("{image} has layers packed with zstd, which this engine ({engine}) cannot unpack")]
    Zstd {
        /// The reference, by digest.
        image: Box<ImageRef>,
        /// Its version.
        engine: String,
    },
    /// The disk is too small for the pull.
    #[error("{} has {} free, and the pull of {} needs at least {}", path.display(), text::bytes(*free), images.join(", "), text::bytes(*bytes))]
    NoRoom {
        /// The paths of the images that are missing.
        images: Vec<String>,
        /// Some directory on that disk.
        path: PathBuf,
        /// Needed, in bytes.
        bytes: u64,
        /// Free, in bytes.
        free: u64,
    },
    /// A layer is what its digest names, and no honest layer.
    #[error(transparent)]
    Contents(Box<contents::Error>),
    /// The store of blobs failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
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
            Self::NotLocked { .. } | Self::Absent { .. } | Self::Gone { .. } | Self::Foreign { .. } => Class::Config,
            Self::Offline { .. } | Self::Forgotten { .. } => Class::Net,
            Self::NotProven { .. } => Class::Security,
            Self::Refused { detail, .. } if is_mismatch(detail) => Class::Security,
            Self::Refused { .. } | Self::EngineGone { .. } | Self::Zstd { .. } => Class::Env,
            Self::NoRoom { .. } | Self::EngineFull { .. } => Class::Io,
            Self::Store(error) | Self::Fetch { error, .. } => error.class(),
            Self::Contents(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Engine(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotLocked { .. } => Some("run it once without that option, and commit onramp.lock".into()),
            Self::NotProven { .. } => Some("the registry or a mirror behind the engine served something else".into()),
            Self::Refused { detail, .. } if is_mismatch(detail) => Some(
                "its layers do not unpack to what its config says, in whatever form the engine is given them".into(),
            ),
            Self::Gone { now: Some(_), .. } => Some(
                "onramp never takes another image for it by itself: look at what changed, then lock it again".into(),
            ),
            Self::Absent { .. } => Some("whoever declares it must push it again, or declare what there is".into()),
            Self::Gone { now: None, .. } => Some("choose a tag that there is, in onramp.toml".into()),
            Self::Foreign { .. } => {
                Some("with binfmt emulation (Debian: qemu-user-static) an engine runs foreign platforms, slowly".into())
            }
            Self::Zstd { .. } => {
                Some("Docker Engine 23 and newer unpacks zstd; or push the image with gzip layers".into())
            }
            Self::NoRoom { .. } => {
                Some("onramp's cache and the engine's images share the disk with everything else".into())
            }
            Self::EngineFull { .. } => {
                Some("what was fetched is in onramp's cache; the engine's own disk is the one that is full".into())
            }
            Self::EngineGone { .. } => Some("when it answers again, the pull goes on where it was".into()),
            Self::Refused { .. } | Self::Offline { .. } | Self::Forgotten { .. } => None,
            Self::Store(error) | Self::Fetch { error, .. } => error.hint(),
            Self::Contents(_) => Some("it does not unpack to its end, and was not used; who made this image?".into()),
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NotLocked { .. } | Self::Offline { .. } => vec!["onramp image pull".into()],
            Self::Forgotten { .. } => vec!["onramp image list".into()],
            Self::Gone { image, now: Some(_), .. } => vec![format!("onramp image lock --update {image}")],
            Self::Absent { image } | Self::Gone { image, now: None, .. } => {
                vec![format!("onramp image list --tags {}", image.short_name())]
            }
            Self::NotProven { image, .. } => vec![format!("docker image inspect {image}")],
            Self::Refused { image, detail } if is_mismatch(detail) => vec![format!("onramp image inspect {image}")],
            Self::Foreign { image, .. } => vec![format!("onramp image inspect {image}")],
            Self::Refused { .. } | Self::EngineGone { .. } | Self::Zstd { .. } => vec!["onramp doctor".into()],
            Self::NoRoom { .. } | Self::EngineFull { .. } => {
                vec!["onramp image prune".into(), "docker system df".into()]
            }
            // What came of it is kept: another try is worth it.
            Self::Fetch { image, error } if error.class() == Class::Net => {
                [format!("onramp image pull {image}")].into_iter().chain(error.next()).collect()
            }
            Self::Store(error) | Self::Fetch { error, .. } => error.next(),
            Self::Contents(error) => error.next(),
            Self::File(error) => error.next(),
            Self::Document(error) => error.next(),
            Self::Registry(error) => error.next(),
            Self::Engine(error) => error.next(),
        }
    }
}

/// Whether these are an engine's words for layers that are not those of the image's config.
fn is_mismatch(detail: &str) -> bool {
    ["don't match image configuration", "mismatched image rootfs", "wrong diff id"]
        .iter()
        .any(|words| detail.contains(words))
}
