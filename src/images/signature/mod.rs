//! Signatures on images, as cosign makes them with a key: ECDSA P-256 over a simple-signing payload that names the
//! repository and the digest. No certificate, no log and no trust root is looked at, so nothing is fetched but signatures.
//!
//! A signature covers the digest that it names, and what that digest leads to. One over an index covers the image of every
//! platform in it when the image is reached through the index; a platform's manifest that is named by its own digest needs
//! a signature of its own (`image sign --recursive`), as with cosign.

pub mod envelope;
mod evidence;
mod find;
pub mod key;
mod payload;
mod sealed;
pub mod sign;
mod store;

pub use envelope::Envelope;
pub use evidence::Evidence;
pub use find::{Found, Signed, find};
pub use key::{Fingerprint, PublicKey, SigningKey};
pub use payload::{Identity, Payload};
pub use store::is_answer;

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::reference::ImageRef;
use crate::registry;

/// What can go wrong with keys and signatures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that should hold a key does not.
    #[error("{place} is no {wanted}: {why}")]
    NoKey {
        /// The file.
        place: String,
        /// What it should be.
        wanted: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// An image is named by its tag alone, and a tag can mean anything.
    #[error("{image} has no digest: a signature is about one")]
    NotByDigest {
        /// The reference.
        image: String,
    },
    /// A key is encrypted, and the passphrase does not open it.
    #[error("the passphrase does not open {place}")]
    Passphrase {
        /// The file.
        place: String,
    },
    /// No signature of an image counts.
    #[error("{image} is not signed by these keys: {found}")]
    NotSigned {
        /// The image, by digest.
        image: ImageRef,
        /// What was found instead.
        found: Box<Found>,
    },
    /// No signature of an image is kept, and the network may not be used.
    #[error("no signature of {image} that counts is here, and --offline forbids to ask for one")]
    NotHere {
        /// The image, by digest.
        image: ImageRef,
    },
    /// A key's file is there already.
    #[error("{place} is there already, and a key is never overwritten")]
    Exists {
        /// The file.
        place: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoKey { .. } => Class::Config,
            Self::NotByDigest { .. } => Class::Usage,
            Self::NotSigned { .. } => Class::Security,
            Self::NotHere { .. } => Class::Net,
            Self::Passphrase { .. } => Class::Auth,
            Self::Exists { .. } => Class::Conflict,
            Self::Registry(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKey { .. } => Some(
                "ECDSA P-256 in PEM: a public key (SPKI), or a private one (PKCS#8, or encrypted by cosign)".into(),
            ),
            Self::Registry(error) => error.hint(),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoKey { .. } => vec!["onramp image sign --generate-key".into()],
            Self::NotSigned { image, .. } => vec![format!("onramp image sign {image} --key cosign.key")],
            Self::NotHere { image } => vec![format!("onramp image verify {image}")],
            Self::Registry(error) => error.next(),
            _ => Vec::new(),
        }
    }
}
