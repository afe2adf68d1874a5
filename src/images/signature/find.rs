//! Which of an image's signatures count: by a key that is trusted, about this very digest, naming this repository.
//!
//! An image may have any number of signatures, and anybody who may push may add some. All are tried; those of unknown keys
//! are passed over with a count. What is signed is a hash, and a signature's descriptor names the hash of its payload, so no
//! payload of an unknown key is ever fetched.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::store::{self, Candidate};
use super::{Error, Evidence, Fingerprint, Identity, Payload, PublicKey, payload};
use crate::reference::ImageRef;
use crate::registry::Registry;
use crate::task::blocking;

/// How many payloads that trusted keys signed are read: an image has a few.
const READ: usize = 64;

/// A signature that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// By which key.
    pub key: Fingerprint,
    /// Where the key was read.
    pub place: String,
    /// The repository that it names.
    pub identity: Identity,
    /// What the signer added.
    pub optional: serde_json::Map<String, serde_json::Value>,
}

impl Signed {
    pub(super) fn new(key: &PublicKey, payload: Payload) -> Self {
        let (identity, optional) = (payload.identity, payload.optional);
        Self { key: key.fingerprint().clone(), place: key.place.clone(), identity, optional }
    }
}

/// What an image's signatures say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Those that count.
    pub signed: Vec<Signed>,
    /// How many are by other keys.
    pub unknown: usize,
    /// How many cannot be read.
    pub damaged: usize,
    /// How many trusted ones are about another image.
    pub of_other_image: usize,
    /// The repositories that trusted ones about this image name instead.
    pub as_other: BTreeSet<Identity>,
    /// How many there are beyond what is looked at.
    pub left_out: usize,
    /// What counts, to be kept.
    #[serde(skip)]
    pub evidence: Evidence,
}

impl fmt::Display for Found {
    /// What was found where nothing counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.of_other_image > 0 {
            parts.push(format!("{} of a trusted key are about another image", self.of_other_image));
        }
        for identity in &self.as_other {
            parts.push(format!("a trusted one is for {identity}"));
        }
        if self.unknown > 0 {
            parts.push(format!("{} are by keys that do not count", self.unknown));
        }
        if self.damaged > 0 {
            parts.push(format!("{} are damaged", self.damaged));
        }
        if self.left_out > 0 {
            parts.push(format!("{} more were not looked at", self.left_out));
        }
        if parts.is_empty() {
            return f.write_str("it has no signature");
        }
        write!(f, "none of its signatures counts: {}", parts.join(", "))
    }
}

/// Looks at all signatures of an image, which must be named by digest. `named` says which repositories a signature may name.
pub async fn find(
    registry: &Registry,
    image: &ImageRef,
    keys: &[&PublicKey],
    named: &(dyn Fn(&Identity) -> bool + Sync),
) -> Result<Found, Error> {
    let Some(digest) = image.digest() else { return Err(Error::NotByDigest { image: image.to_string() }) };
    let stored = store::read(registry, image, digest).await?;
    let mut found = Found {
        signed: Vec::new(),
        unknown: 0,
        damaged: stored.damaged,
        of_other_image: 0,
        as_other: BTreeSet::new(),
        left_out: stored.left_out,
        evidence: Evidence::of(digest),
    };
    let trusted: Vec<PublicKey> = keys.iter().map(|key| (*key).clone()).collect();
    let candidates = stored.candidates;
    // Ten thousand curve operations are a second's work.
    let tried = blocking(move || {
        let by = |candidate: &Candidate| {
            trusted.iter().find(|key| key.signed(&candidate.payload.bytes(), &candidate.signature))
        };
        candidates.iter().map(|candidate| (candidate.clone(), by(candidate).cloned())).collect::<Vec<_>>()
    })
    .await;
    let (by_trusted, unknown): (Vec<_>, Vec<_>) = tried.into_iter().partition(|(_, key)| key.is_some());
    found.unknown = unknown.len();
    found.left_out += by_trusted.len().saturating_sub(READ);
    for (candidate, key) in by_trusted.into_iter().take(READ) {
        let Some(key) = key else { continue };
        let bytes = match registry.small_blob(image.path(), &candidate.payload, payload::CAP).await {
            Ok(bytes) => bytes,
            Err(error) if store::is_answer(&error) => {
                found.damaged += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match Payload::parse(&bytes) {
            Err(_) => found.damaged += 1,
            Ok(payload) if payload.digest != *digest => found.of_other_image += 1,
            Ok(payload) if !named(&payload.identity) => {
                found.as_other.insert(payload.identity);
            }
            Ok(payload) => {
                found.evidence.add(&bytes, &candidate.signature);
                found.signed.push(Signed::new(&key, payload));
            }
        }
    }
    Ok(found)
}
