//! Putting something beside an image that refers to it: a signature, a bill of materials (distribution specification 1.1,
//! "Pushing Manifests with Subject").

use serde_json::{Value, json};

use super::Error;
use super::amend::Amended;
use super::client::Registry;
use super::manifest::{Content, INDEXES};
use crate::reference::{Digest, ImageRef};

impl Registry {
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
