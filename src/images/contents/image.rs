//! What an image is: its manifest for one platform and its config, from the cache where they were seen before.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Error;
use super::documents::{CAP, Documents};
use super::reader::Reader;
use crate::reference::{Digest, ImageRef};
use crate::registry::{Config, Content, Descriptor, Manifest, Runtime};

/// The most layers that an engine takes.
const LAYERS: usize = 127;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    /// As it was asked for.
    pub reference: ImageRef,
    /// The digest that the reference names: of an index, or of the one manifest.
    pub top: Digest,
    /// The manifest of this platform.
    pub manifest: Digest,
    /// The platform.
    pub platform: String,
    /// All that there are.
    pub platforms: BTreeMap<String, Digest>,
    /// How it runs.
    pub config: Config,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// When the tag meant this, where the registry was not asked now.
    pub remembered: Option<Timestamp>,
}

impl Image {
    /// How its containers run.
    pub fn runtime(&self) -> Runtime {
        self.config.config.clone().unwrap_or_default()
    }

    /// Bytes of its layers, packed.
    pub fn packed(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Reader {
    /// An image for a platform (`linux/arm64`); without one for this machine's, or the first that there is.
    pub async fn image(&self, image: &ImageRef, platform: Option<&str>) -> Result<Image, Error> {
        let documents = Documents::of(self.cache());
        let (top, remembered) = self.top(&documents, image).await?;
        let digest = top.digest.clone();
        let mut platforms = top.platforms();
        let own = match &top.content {
            Content::Image { .. } => top,
            Content::Index(_) => {
                let chosen = choose(&platforms, platform).ok_or_else(|| not_there(image, platform, &platforms))?;
                self.listed(&documents, image, &top, chosen).await?
            }
        };
        let Content::Image { config, layers } = own.content else {
            return Err(Error::TooMuch { image: image.clone(), what: "more indexes in each other" });
        };
        if layers.len() > LAYERS {
            return Err(Error::TooMuch { image: image.clone(), what: "more layers" });
        }
        let config = self.config(&documents, image, &config).await?;
        let name = config.platform.name();
        if platforms.is_empty() {
            platforms.insert(name.clone(), own.digest.clone());
        }
        if choose(&platforms, platform).is_none() {
            return Err(not_there(image, platform, &platforms));
        }
        Ok(Image {
            reference: image.clone(),
            top: digest,
            manifest: own.digest,
            platform: name,
            platforms,
            config,
            layers,
            remembered,
        })
    }

    /// The manifest that a reference names; by a tag that could not be asked for, the one that it named then.
    async fn top(&self, documents: &Documents, image: &ImageRef) -> Result<(Manifest, Option<Timestamp>), Error> {
        if let Some(digest) = image.digest() {
            return Ok((self.manifest(documents, &image.at(digest.clone())).await?, None));
        }
        if self.offline() {
            let meaning = documents.meaning(image);
            let (digest, seen) = meaning.ok_or_else(|| Error::Offline { image: image.clone(), what: "the tag" })?;
            return Ok((self.manifest(documents, &image.at(digest)).await?, Some(seen)));
        }
        let manifest = self.registry(image).await?.manifest(image).await?;
        documents.keep(&manifest.digest, &manifest.bytes)?;
        documents.remember(image, &manifest.digest)?;
        Ok((manifest, None))
    }

    /// The manifest that an index lists. What the cache has of it was compared with this index, or another one, before.
    async fn listed(
        &self,
        documents: &Documents,
        image: &ImageRef,
        index: &Manifest,
        digest: &Digest,
    ) -> Result<Manifest, Error> {
        if self.offline() || documents.find(digest).is_some() {
            return self.manifest(documents, &image.at(digest.clone())).await;
        }
        let manifest = self.registry(image).await?.listed(image, index, digest).await?;
        documents.keep(&manifest.digest, &manifest.bytes)?;
        Ok(manifest)
    }

    async fn manifest(&self, documents: &Documents, image: &ImageRef) -> Result<Manifest, Error> {
        let known = image.digest().and_then(|digest| documents.find(digest));
        if let Some(Ok(manifest)) = known.map(Manifest::of) {
            return Ok(manifest);
        }
        if self.offline() {
            return Err(Error::Offline { image: image.clone(), what: "the manifest" });
        }
        let manifest = self.registry(image).await?.manifest(image).await?;
        documents.keep(&manifest.digest, &manifest.bytes)?;
        Ok(manifest)
    }

    async fn config(&self, documents: &Documents, image: &ImageRef, blob: &Descriptor) -> Result<Config, Error> {
        let known = documents.find(&blob.digest).map(|bytes| Config::of(&bytes));
        if let Some(Ok(config)) = known {
            return Ok(config);
        }
        if self.offline() {
            return Err(Error::Offline { image: image.clone(), what: "the config" });
        }
        let registry = self.registry(image).await?;
        let bytes = registry.small_blob(image.path(), &blob.digest, CAP).await?;
        let config = registry.read_config(image.path(), &bytes)?;
        documents.keep(&blob.digest, &bytes)?;
        Ok(config)
    }
}

/// What an index has for a platform. `linux/arm64` is `linux/arm64/v8`, too: the variant is what it means.
fn choose<'a>(platforms: &'a BTreeMap<String, Digest>, wanted: Option<&str>) -> Option<&'a Digest> {
    let find = |wanted: &str| {
        platforms.get(wanted).or_else(|| {
            let variants = format!("{wanted}/");
            let mut found = platforms.iter().filter(|(name, _)| name.starts_with(&variants));
            found.next().map(|(_, digest)| digest)
        })
    };
    match wanted {
        Some(wanted) => find(wanted),
        None => find(&crate::registry::here()).or_else(|| platforms.values().next()),
    }
}

fn not_there(image: &ImageRef, wanted: Option<&str>, platforms: &BTreeMap<String, Digest>) -> Error {
    let platform = crate::text::neutral_line(wanted.unwrap_or("any platform"), 60);
    Error::Platform { image: image.clone(), platform, there: platforms.keys().cloned().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_chosen_as_people_name_it() {
        let digest = |name: &str| Digest::of(name.as_bytes());
        let platforms: BTreeMap<String, Digest> =
            ["linux/amd64", "linux/arm/v7", "linux/arm64/v8"].map(|name| (name.to_owned(), digest(name))).into();
        for (wanted, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm64", Some("linux/arm64/v8")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/s390x", None),
            ("", None),
        ] {
            assert_eq!(choose(&platforms, Some(wanted)), expected.map(digest).as_ref(), "{wanted}");
        }
        let only = [("linux/riscv64".to_owned(), digest("x"))].into();
        assert_eq!(choose(&only, None), Some(&digest("x")));
    }
}
