//! Putting something beside an image that refers to it: a signature, a bill of materials (distribution specification 1.1,
//! "Pushing Manifests with Subject").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Error;
use super::amend::Amended;
use super::client::Registry;
use super::manifest::{Content, INDEXES};
use super::upload::Upload;
use crate::reference::{Digest, ImageRef};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The config of what has none (OCI image specification 1.1, "Guidance for an Empty Descriptor").
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");

/// One document about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its media type, and the type of what refers to the image with it.
    pub media_type: &'static str,
    /// Its text.
    pub bytes: Vec<u8>,
    /// What its list entry says.
    pub annotations: BTreeMap<String, String>,
}

impl Registry {
    /// Puts a document beside an image, which must be named by digest.
    pub async fn attach_document(&self, image: &ImageRef, document: Document) -> Result<Digest, Error> {
        let subject = self.manifest(image).await?;
        let Document { media_type, bytes, annotations } = document;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": media_type,
            "config": { "mediaType": EMPTY.0, "digest": Digest::of(EMPTY.1), "size": EMPTY.1.len() },
            "layers": [{ "mediaType": media_type, "digest": Digest::of(&bytes), "size": bytes.len() }],
            "subject": { "mediaType": subject.media_type, "digest": subject.digest, "size": subject.bytes.len() },
            "annotations": annotations,
        });
        for blob in [EMPTY.1.to_vec(), bytes] {
            let (digest, size) = (Digest::of(&blob), blob.len() as u64);
            self.push_blob(image.path(), &digest, size, Upload::from(blob)).await?;
        }
        let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
        self.attach(&image.at(subject.digest), MANIFEST, manifest).await
    }

    /// Pushes a manifest whose `subject` is the image, which must be named by digest, and makes sure that
    /// [`Registry::referrers`] lists it: a registry without that API leaves the list, a tag, to its clients.
    pub async fn attach(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Digest, Error> {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        self.push_manifest(&image.at(digest.clone()), media_type, bytes).await?;
        let Some(subject) = image.digest() else { return Ok(digest) };
        let mut entry = json!({ "mediaType": media_type, "digest": digest, "size": size });
        for key in ["artifactType", "annotations"] {
            if let Some(value) = manifest.get(key) {
                entry[key] = value.clone();
            }
        }
        let listed = self.referrers(image.path(), subject, None).await?;
        if !listed.iter().any(|referrer| referrer.descriptor.digest == digest) {
            self.list(image, subject, &entry).await?;
        }
        Ok(digest)
    }

    /// Adds an entry to the list that lies under a tag.
    async fn list(&self, image: &ImageRef, subject: &Digest, entry: &Value) -> Result<(), Error> {
        let tag = format!("sha256-{}", subject.hex());
        let at = image.tagged(&tag).map_err(|error| self.transport().wrong(&tag, &error.to_string()))?;
        self.amend(&at, INDEXES[0], |there| {
            let mut entries = match there {
                Some(found) if matches!(found.content, Content::Index(_)) => {
                    let document: Value = serde_json::from_slice(&found.bytes).unwrap_or_default();
                    document["manifests"].as_array().cloned().unwrap_or_default()
                }
                // Somebody's own tag of that name is not ours to replace.
                Some(_) => return Err(self.foreign(&at, "a list of what refers to an image")),
                None => Vec::new(),
            };
            if entries.iter().any(|listed| listed["digest"] == entry["digest"]) {
                return Ok(None);
            }
            entries.push(entry.clone());
            let index = json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": entries });
            let manifest = serde_json::to_vec(&index).expect("a list is plain data");
            Ok(Some(Amended { blobs: Vec::new(), manifest }))
        })
        .await
    }
}
