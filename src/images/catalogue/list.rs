//! The company's base images, newest first.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

use super::super::about::About;
use super::super::{Error, tag};
use super::{AT_ONCE, Catalogue, Unreadable};
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};

/// How many tags of one repository are looked at: the last ones, as versions and dates sort.
const TAGS: usize = 50;
/// How many images are looked at in all. A listing of more is one that nobody reads.
const IMAGES: usize = 2_000;

/// A base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaseImage {
    /// The reference, by tag.
    pub image: ImageRef,
    /// What the tag means now.
    pub digest: Digest,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes of its layers, packed.
    pub size: u64,
    /// What it runs on.
    pub platforms: Vec<String>,
    /// The manifests of those platforms.
    #[serde(skip)]
    pub manifests: Vec<Digest>,
    /// What its labels say.
    #[serde(flatten)]
    pub about: About,
    /// How this project uses it; none where it does not.
    pub used: Option<Use>,
    /// Whether the engine has it; none where no engine answers.
    pub present: Option<bool>,
}

#[cfg(test)]
impl BaseImage {
    /// One for tests.
    pub fn sample(image: ImageRef) -> Self {
        let digest = Digest::of(image.to_string().as_bytes());
        let (platforms, manifests, about) = (Vec::new(), Vec::new(), About::default());
        Self { image, digest, created: None, size: 1, platforms, manifests, about, used: None, present: None }
    }
}

/// The base images of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The newest first; those whose age is not known last.
    pub images: Vec<BaseImage>,
    /// Those that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// How many tags were not looked at.
    pub hidden: usize,
    /// When the registry was asked for its repositories.
    pub as_of: Timestamp,
}

/// Which images are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only repositories whose path holds one of these texts.
    pub names: Vec<String>,
    /// Every tag, not only the one that stands for its repository.
    pub tags: bool,
}

/// How a project uses an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Locked to what the tag means now.
    Locked,
    /// Locked to another digest: the tag moved.
    Moved,
}

impl Catalogue {
    /// The base images, and how the project and the engine stand to them. `held` is what the engine has.
    pub async fn list(&self, which: &Which, lock: &Lock, held: Option<&BTreeSet<Digest>>) -> Result<Listing, Error> {
        let (mut paths, as_of) = self.repositories().await?;
        paths.retain(|path| which.names.is_empty() || which.names.iter().any(|name| path.contains(name.as_str())));
        let (wanted, hidden) = self.wanted(&paths, which.tags, lock).await?;
        let (found, unreadable) = self.images(wanted).await?;
        let mut images: Vec<BaseImage> = found
            .into_iter()
            .map(|(image, digest, known)| BaseImage {
                used: used(lock, &image, &digest),
                present: held.map(|held| held.contains(&digest)),
                created: known.created,
                size: known.size,
                platforms: known.platforms.keys().cloned().collect(),
                manifests: known.platforms.into_values().collect(),
                about: known.about,
                image,
                digest,
            })
            .collect();
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.cmp(&b.image)));
        Ok(Listing { images, unreadable, hidden, as_of })
    }

    /// The references that are looked at, and how many tags are not.
    async fn wanted(&self, paths: &[String], all: bool, lock: &Lock) -> Result<(Vec<ImageRef>, usize), Error> {
        let listings = stream::iter(paths).map(|path| async move { Ok::<_, Error>((path, self.tags(path).await?)) });
        let listings: Vec<(&String, Vec<String>)> = listings.buffered(AT_ONCE).try_collect().await?;
        let (mut wanted, mut hidden) = (BTreeSet::new(), 0);
        for (path, tags) in &listings {
            let reference = |tag: &str| format!("{}/{path}:{tag}", self.host()).parse::<ImageRef>().ok();
            // Signatures and what else hangs on an image by its tag are no images that one would build on.
            let mut tags: Vec<&str> =
                tags.iter().map(String::as_str).filter(|tag| !tag.starts_with("sha256-")).collect();
            let count = tags.len();
            if all {
                tags.sort_by(|a, b| tag::natural(b).cmp(&tag::natural(a)));
                tags.truncate(TAGS.min(IMAGES.saturating_sub(wanted.len())));
                hidden += count - tags.len();
            } else {
                // What this project uses is shown beside what stands for the repository.
                let used = |tag: &&str| reference(tag).is_some_and(|image| lock.images.contains_key(&image));
                let foremost = tag::foremost(&tags);
                tags.retain(|tag| Some(*tag) == foremost || used(tag));
            }
            wanted.extend(tags.into_iter().filter_map(reference));
        }
        Ok((wanted.into_iter().collect(), hidden))
    }
}

fn used(lock: &Lock, image: &ImageRef, digest: &Digest) -> Option<Use> {
    lock.images.get(image).map(|locked| if locked.digest == *digest { Use::Locked } else { Use::Moved })
}
