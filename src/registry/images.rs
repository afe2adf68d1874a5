//! One image: through an index to a platform, with its config.

use std::collections::BTreeMap;

use super::Error;
use super::client::{Registry, shown_path};
use super::config::Config;
use super::manifest::{Content, Descriptor, Manifest};
use crate::reference::{Digest, ImageRef};

/// One image: its manifest and config, each verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest that the reference names: of an index, or of the one manifest.
    pub top: Digest,
    /// The config's digest: what engines call the image by.
    pub id: Digest,
    /// Its own manifest.
    pub manifest: Manifest,
    /// Its config.
    pub config: Config,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The platforms that the reference is there for.
    pub platforms: BTreeMap<String, Digest>,
}

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

    /// Facts about an image, from its manifest and config: for this machine's platform where it is there.
    pub async fn facts(&self, image: &ImageRef) -> Result<Facts, Error> {
        let top = self.manifest(image).await?;
        let there = top.platforms();
        let ours = here();
        let chosen = there.get_key_value(&ours).or_else(|| there.first_key_value()).map(|(platform, _)| platform);
        let found = self.image_of(image, top, chosen.map(String::as_str)).await?;
        let labels = found.config.config.as_ref().map(|runtime| runtime.labels.clone()).unwrap_or_default();
        let layers = found.layers.into_iter().map(|layer| (layer.digest, layer.size)).collect();
        let (digest, id, platforms, platform) = (found.top, found.id, found.platforms, found.config.platform.name());
        Ok(Facts { digest, id, platforms, platform, config: found.config, layers, labels })
    }

    /// The image for a platform (`linux/amd64`), through an index if there is one. What is no image, or has layers that
    /// onramp does not know, is named.
    pub async fn image(&self, image: &ImageRef, platform: &str) -> Result<Image, Error> {
        let top = self.manifest(image).await?;
        let found = self.image_of(image, top, Some(platform)).await?;
        if found.platforms.contains_key(platform) {
            return Ok(found);
        }
        let there = found.platforms.into_keys().collect();
        Err(self.no_platform(image, platform, there))
    }

    /// The image of a manifest: itself, or what an index has for a platform.
    async fn image_of(&self, image: &ImageRef, top: Manifest, platform: Option<&str>) -> Result<Image, Error> {
        let (digest, mut platforms, what) =
            (top.digest.clone(), top.platforms(), format!("image {}", shown_path(image)));
        let own = match &top.content {
            Content::Image { .. } => top,
            Content::Index(_) => {
                let empty = || self.transport().wrong(&what, "an index without images");
                let platform = platform.filter(|_| !platforms.is_empty()).ok_or_else(empty)?;
                let there = || platforms.keys().cloned().collect();
                let chosen = platforms.get(platform).ok_or_else(|| self.no_platform(image, platform, there()))?;
                self.manifest(&image.at(chosen.clone())).await?
            }
        };
        let Content::Image { config, layers } = &own.content else {
            return Err(self.transport().wrong(&what, "an index inside an index"));
        };
        let no_image = |detail| Error::NoImage { host: self.host().to_owned(), what: shown_path(image), detail };
        own.is_runnable().map_err(no_image)?;
        let (id, layers) = (config.digest.clone(), layers.clone());
        let config = self.config(image.path(), &id).await?;
        if config.rootfs.diff_ids.len() != layers.len() && !config.rootfs.diff_ids.is_empty() {
            let told = format!("its config speaks of {} layers, it has {}", config.rootfs.diff_ids.len(), layers.len());
            return Err(self.transport().wrong(&what, &told));
        }
        if platforms.is_empty() {
            platforms.insert(config.platform.name(), own.digest.clone());
        }
        Ok(Image { top: digest, id, manifest: own, config, layers, platforms })
    }

    fn no_platform(&self, image: &ImageRef, platform: &str, there: Vec<String>) -> Error {
        let (host, what) = (self.host().to_owned(), shown_path(image));
        Error::NoPlatform { host, what, platform: crate::text::neutral_line(platform, 60), there }
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
