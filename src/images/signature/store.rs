//! Where an image's signatures lie in its registry, as cosign puts them: layers of the manifest tagged `sha256-<hex>.sig`,
//! and layers of manifests that refer to the image (OCI 1.1, artifact type [`ARTIFACT`]).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Error, payload};
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Content, Descriptor, Manifest, Registry};

/// The media type of a payload.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with the signature: base64 of its DER.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The artifact type of a manifest with signatures that refers to an image.
pub const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// How many signatures are tried, and how many manifests that refer to an image are read.
const MOST: usize = 10_000;
const REFERRERS: usize = 50;
/// The longest DER of an ECDSA P-256 signature has 72 bytes; in base64, with room for line ends, less than this.
const LONGEST: usize = 128;

/// A signature that nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The digest of its payload: what was signed.
    pub payload: Digest,
    /// DER.
    pub signature: Vec<u8>,
}

/// What a registry has for an image.
#[derive(Debug, Default)]
pub struct Stored {
    /// Each once, the newest of each manifest first.
    pub candidates: Vec<Candidate>,
    /// How many cannot be read.
    pub damaged: usize,
    /// How many are beyond what is tried.
    pub left_out: usize,
}

/// The tag that cosign gives to an image's signatures.
pub fn tag(image: &ImageRef, digest: &Digest) -> ImageRef {
    image.tagged(&format!("sha256-{}.sig", digest.hex())).expect("a digest makes a tag")
}

/// All signatures of an image.
pub async fn read(registry: &Registry, image: &ImageRef, digest: &Digest) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    let mut seen = BTreeSet::new();
    if let Some(manifest) = manifest(registry, &tag(image, digest), &mut stored.damaged).await? {
        take(&manifest, &mut stored, &mut seen);
    }
    let referrers = match registry.referrers(image.path(), digest, Some(ARTIFACT)).await {
        Ok(referrers) => referrers,
        Err(error) if is_answer(&error) => {
            stored.damaged += 1;
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    stored.left_out += referrers.len().saturating_sub(REFERRERS);
    for referrer in referrers.iter().rev().take(REFERRERS) {
        if let Some(manifest) =
            manifest(registry, &image.at(referrer.descriptor.digest.clone()), &mut stored.damaged).await?
        {
            take(&manifest, &mut stored, &mut seen);
        }
    }
    Ok(stored)
}

/// A manifest with signatures. One that cannot be read is counted: anybody who may push can put one there, and another may
/// hold the signature that counts.
async fn manifest(registry: &Registry, at: &ImageRef, damaged: &mut usize) -> Result<Option<Manifest>, Error> {
    match registry.manifest(at).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(registry::Error::NotFound { .. }) => Ok(None),
        Err(error) if is_answer(&error) => {
            *damaged += 1;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the registry answered, and has not what it should: nothing that another try or another registry would change.
pub fn is_answer(error: &registry::Error) -> bool {
    matches!(
        error,
        registry::Error::Protocol { .. }
            | registry::Error::TooLarge { .. }
            | registry::Error::Digest { .. }
            | registry::Error::NotFound { .. }
    )
}

fn take(manifest: &Manifest, stored: &mut Stored, seen: &mut BTreeSet<Candidate>) {
    if matches!(manifest.content, Content::Index(_)) {
        stored.damaged += 1;
    }
    for layer in layers(manifest).iter().rev().filter(|layer| layer.media_type == PAYLOAD) {
        let Some(candidate) = candidate(layer) else {
            stored.damaged += 1;
            continue;
        };
        if seen.contains(&candidate) {
            continue;
        }
        if stored.candidates.len() == MOST {
            stored.left_out += 1;
            continue;
        }
        seen.insert(candidate.clone());
        stored.candidates.push(candidate);
    }
}

/// The layers of an image's manifest; an index has none.
pub fn layers(manifest: &Manifest) -> &[Descriptor] {
    match &manifest.content {
        Content::Image { layers, .. } => layers,
        Content::Index(_) => &[],
    }
}

/// The signature that a layer holds; none where it cannot be one.
pub fn candidate(layer: &Descriptor) -> Option<Candidate> {
    let text = layer.annotations.get(SIGNATURE)?;
    if layer.size > payload::CAP || text.len() > LONGEST {
        return None;
    }
    // cosign itself reads over line ends.
    let signature = STANDARD.decode(text.replace(['\n', '\r'], "")).ok()?;
    Some(Candidate { payload: layer.digest.clone(), signature })
}
