//! What refers to a manifest: signatures, bills of materials (distribution specification 1.1, "Listing Referrers").

use std::collections::BTreeMap;

use super::Error;
use super::client::{DOCUMENT_CAP, Registry};
use super::manifest::{self, Content, Descriptor, IndexEntry};
use super::transport::Request;
use crate::reference::{Digest, ImageRef};

/// What refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its own manifest.
    pub descriptor: Descriptor,
    /// What it is.
    pub artifact_type: Option<String>,
    /// What its makers say about it.
    pub annotations: BTreeMap<String, String>,
}

impl Registry {
    /// What refers to a manifest (`GET /v2/<name>/referrers/<digest>`); where the registry has no such API, what the tag
    /// `sha256-<hex>` lists. The list is not verified by any digest: each entry's own content is.
    pub async fn referrers(
        &self,
        path: &str,
        of: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, Error> {
        let what = format!("what refers to {} in {}", of.short(), self.checked(path)?);
        let mut url = self.own.url(path, &format!("referrers/{of}"));
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        let scope = self.own.scope(path);
        let request = Request { accept: manifest::ACCEPT, ..Request::get(&what, url, &scope) };
        let content = match self.transport().get(&request, DOCUMENT_CAP).await {
            Ok(answer) => {
                let digest = Digest::of(&answer.body);
                let parsed = manifest::parse(answer.body, digest, None);
                parsed.map_err(|wrong| self.transport().bad(&what, wrong))?.content
            }
            Err(Error::NotFound { .. }) => {
                let tag = format!("{}/{path}:sha256-{}", self.host(), of.hex());
                let Ok(image) = tag.parse::<ImageRef>() else { return Ok(Vec::new()) };
                match self.manifest(&image).await {
                    Ok(found) => found.content,
                    Err(Error::NotFound { .. }) => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let Content::Index(entries) = content else {
            return Err(self.transport().wrong(&what, "no list of manifests"));
        };
        // The registry may leave the choice to us.
        let wanted = |entry: &IndexEntry| artifact_type.is_none() || entry.artifact_type.as_deref() == artifact_type;
        let chosen = entries.into_iter().filter(wanted).map(|entry| Referrer {
            annotations: entry.descriptor.annotations.clone(),
            descriptor: entry.descriptor,
            artifact_type: entry.artifact_type,
        });
        Ok(chosen.collect())
    }
}
