//! Signing an image: the payload and its signature go into the registry in both of cosign's forms, beside those that are
//! there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::store::{self, ARTIFACT, PAYLOAD, SIGNATURE};
use super::{Error, Identity, Payload, SigningKey};
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Amended, Content, Manifest, Registry, Upload};

const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What must lie under the tag of an image's signatures.
const SIGNATURES: &str = "a manifest with signatures";

/// What signing an image did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a new signature.
    Signed,
    /// It had one of this key already.
    Present,
}

/// The digests that a signature is made for: the image's own and, with `recursive`, those of each platform in an index.
pub async fn digests(registry: &Registry, image: &ImageRef, recursive: bool) -> Result<Vec<Digest>, Error> {
    let top = registry.manifest(image).await?;
    let mut digests = vec![top.digest.clone()];
    if recursive {
        digests.extend(top.platforms().into_values());
    }
    Ok(digests)
}

/// Signs an image, which must be named by digest, and which the registry must have.
pub async fn sign(registry: &Registry, image: &ImageRef, key: &SigningKey) -> Result<Outcome, Error> {
    let Some(digest) = image.digest() else { return Err(Error::NotByDigest { image: image.to_string() }) };
    let subject = registry.manifest(image).await?;
    let payload = Payload::bytes(&Identity::of(image), digest);
    let hash = Digest::of(&payload);
    let ours = |manifest: &Manifest| {
        let candidates = store::layers(manifest).iter().filter_map(store::candidate);
        candidates
            .into_iter()
            .any(|candidate| candidate.payload == hash && key.public().signed(&hash.bytes(), &candidate.signature))
    };
    let at = store::tag(image, digest);
    match existing(registry, &at).await? {
        Some(manifest) if ours(&manifest) => return Ok(Outcome::Present),
        Some(manifest) if raw_layers(&manifest).is_none() => return Err(registry.foreign(&at, SIGNATURES).into()),
        _ => {}
    }
    let layer = json!({
        "mediaType": PAYLOAD,
        "size": payload.len(),
        "digest": hash,
        "annotations": { SIGNATURE: STANDARD.encode(key.sign(&payload)) },
    });
    push(registry, image, &payload).await?;
    refer(registry, image, &subject, &layer).await?;
    registry
        .amend(&at, IMAGE_MANIFEST, |there| {
            let mut layers = match there {
                Some(manifest) if ours(manifest) => return Ok(None),
                Some(manifest) => raw_layers(manifest).ok_or_else(|| registry.foreign(&at, SIGNATURES))?,
                None => Vec::new(),
            };
            layers.push(layer.clone());
            let config = config(&layers);
            let manifest = manifest(&descriptor(IMAGE_CONFIG, &config), &layers, None);
            Ok(Some(Amended { blobs: vec![config], manifest }))
        })
        .await?;
    Ok(Outcome::Signed)
}

/// Puts a manifest into the registry that refers to the image and holds the one signature (OCI 1.1).
async fn refer(registry: &Registry, image: &ImageRef, subject: &Manifest, layer: &Value) -> Result<(), Error> {
    let layers = std::slice::from_ref(layer);
    let config = config(layers);
    push(registry, image, &config).await?;
    let subject = json!({
        "mediaType": subject.media_type,
        "size": subject.bytes.len(),
        "digest": subject.digest,
    });
    // cosign tells the type by the config's media type; the field of its own is what the specification has since.
    let bytes = manifest(&descriptor(ARTIFACT, &config), layers, Some(&subject));
    registry.attach(image, IMAGE_MANIFEST, bytes).await?;
    Ok(())
}

async fn existing(registry: &Registry, at: &ImageRef) -> Result<Option<Manifest>, Error> {
    match registry.alone().manifest(at).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(registry::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn push(registry: &Registry, image: &ImageRef, bytes: &[u8]) -> Result<(), Error> {
    let body = Upload::from(bytes.to_vec());
    Ok(registry.push_blob(image.path(), &Digest::of(bytes), bytes.len() as u64, body).await?)
}

/// The layers as they stand there, with all that others wrote into them; none of what holds no signatures.
fn raw_layers(manifest: &Manifest) -> Option<Vec<Value>> {
    let Content::Image { layers, .. } = &manifest.content else { return None };
    if !layers.is_empty() && layers.iter().all(|layer| layer.media_type != PAYLOAD) {
        return None;
    }
    let document: BTreeMap<String, Value> = serde_json::from_slice(&manifest.bytes).ok()?;
    document.get("layers")?.as_array().cloned()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "size": bytes.len(), "digest": Digest::of(bytes) })
}

/// The config that cosign gives to signatures: that of an image which runs nowhere.
fn config(layers: &[Value]) -> Vec<u8> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let history = vec![json!({ "created": NEVER }); layers.len()];
    let config = json!({
        "architecture": "",
        "created": NEVER,
        "history": history,
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": digests },
        "config": {},
    });
    serde_json::to_vec(&config).expect("a config is plain data")
}

fn manifest(config: &Value, layers: &[Value], subject: Option<&Value>) -> Vec<u8> {
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST });
    if subject.is_some() {
        manifest["artifactType"] = json!(ARTIFACT);
    }
    manifest["config"] = config.clone();
    manifest["layers"] = json!(layers);
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    serde_json::to_vec(&manifest).expect("a manifest is plain data")
}
