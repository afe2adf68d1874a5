//! One image: through an index to a platform, with its config.

use std::collections::BTreeMap;

use super::Error;
use super::client::{Registry, shown_path};
use super::config::Config;
use super::manifest::Content;
use crate::reference::{Digest, ImageRef};

/// Facts about an image, without pulling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The digest that the reference names: of an index, or of the one manifest.
    pub digest: Digest,
    /// The config's: what engines call the image by.
    pub id: Digest,
    /// The platforms that it is there for.
    pub platforms: BTreeMap<String, Digest>,
    /// The platform that the facts below are about: this machine's where it is there, else the first.
    pub platform: String,
    /// Its config.
    pub config: Config,
    /// Its layers, lowest first: digest and bytes, packed.
    pub layers: Vec<(Digest, u64)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Registry {
    /// Facts about an image; none where the registry has no such image.
    pub async fn find(&self, image: &ImageRef) -> Result<Option<Facts>, Error> {
        match self.facts(image).await {
            Ok(facts) => Ok(Some(facts)),
            Err(Error::NotFound { .. } | Error::NoImage { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Facts about an image, from its manifest and config, each verified: for this machine's platform where it is there. What
    /// is no image, or has layers that onramp does not know, is named.
    pub async fn facts(&self, image: &ImageRef) -> Result<Facts, Error> {
        let top = self.manifest(image).await?;
        let (digest, mut platforms, what) =
            (top.digest.clone(), top.platforms(), format!("image {}", shown_path(image)));
        let own = match &top.content {
            Content::Image { .. } => top,
            Content::Index(_) => {
                let chosen = platforms.get(&here()).or_else(|| platforms.values().next());
                let chosen = chosen.ok_or_else(|| self.transport().wrong(&what, "an index without images"))?;
                self.listed(image, &top, chosen).await?
            }
        };
        let Content::Image { config, layers } = &own.content else {
            return Err(self.transport().wrong(&what, "an index inside an index"));
        };
        let no_image = |detail| Error::NoImage { host: self.host().to_owned(), what: shown_path(image), detail };
        own.is_runnable().map_err(no_image)?;
        let id = config.digest.clone();
        let layers: Vec<(Digest, u64)> = layers.iter().map(|layer| (layer.digest.clone(), layer.size)).collect();
        let config = self.config(image.path(), &id).await?;
        if config.rootfs.diff_ids.len() != layers.len() && !config.rootfs.diff_ids.is_empty() {
            let told = format!("its config speaks of {} layers, it has {}", config.rootfs.diff_ids.len(), layers.len());
            return Err(self.transport().wrong(&what, &told));
        }
        let platform = config.platform.name();
        if platforms.is_empty() {
            platforms.insert(platform.clone(), own.digest);
        }
        let labels = config.config.as_ref().map(|runtime| runtime.labels.clone()).unwrap_or_default();
        Ok(Facts { digest, id, platforms, platform, config, layers, labels })
    }
}

/// The platform of this machine's images, in Go's words: `linux/amd64`.
pub fn here() -> String {
    format!("linux/{}", architecture())
}

/// This machine's architecture, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
