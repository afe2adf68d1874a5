//! The company's base images, as its registry has them.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use crate::engine::Engine;
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Registry};

/// Under which path a registry holds the base images.
pub const BASE: &str = "base/";
/// How many tags of one repository are looked at: the last ones, as versions and dates sort.
const TAGS: usize = 50;
/// How many questions are asked at once.
const AT_ONCE: usize = 8;

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
    /// How this project uses it; none where it does not.
    pub used: Option<Use>,
    /// Whether the engine has it; none where no engine answers.
    pub present: Option<bool>,
}

/// The base images of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// By name.
    pub images: Vec<BaseImage>,
    /// How many older tags were left out.
    pub hidden: usize,
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

/// The registry's base images, by name, and how the project and the engine stand to them.
pub async fn list(registry: &Registry, host: &str, lock: &Lock, engine: Option<&Engine>) -> Result<Listing, Error> {
    let paths = registry.repositories(BASE).await?;
    let listings = stream::iter(&paths).map(|path| async move {
        // A repository may be gone again since it was listed, or have lost its last tag.
        match registry.tags(path).await {
            Ok(tags) => Ok((path, tags)),
            Err(registry::Error::NotFound { .. }) => Ok((path, Vec::new())),
            Err(error) => Err(error),
        }
    });
    let listings: Vec<(&String, Vec<String>)> = listings.buffered(AT_ONCE).try_collect().await?;
    let mut references: BTreeSet<ImageRef> = BTreeSet::new();
    let mut hidden = 0;
    for (path, mut tags) in listings {
        tags.sort_by(|a, b| natural(a).cmp(&natural(b)));
        let first = tags.len().saturating_sub(TAGS);
        hidden += first;
        references.extend(tags[first..].iter().filter_map(|tag| format!("{host}/{path}:{tag}").parse().ok()));
    }
    let looks = stream::iter(references).map(|image| look(registry, image, lock, engine));
    let found: Vec<Option<BaseImage>> = looks.buffered(AT_ONCE).try_collect().await?;
    Ok(Listing { images: found.into_iter().flatten().collect(), hidden })
}

/// A key by which `8.10` comes after `8.9`: numbers by their value, texts between them as they are.
fn natural(tag: &str) -> Vec<(u128, &str)> {
    let mut key = Vec::new();
    let mut rest = tag;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let text = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        key.push((rest[..digits].parse().unwrap_or(0), &rest[digits..digits + text]));
        rest = &rest[digits + text..];
    }
    key
}

async fn look(
    registry: &Registry,
    image: ImageRef,
    lock: &Lock,
    engine: Option<&Engine>,
) -> Result<Option<BaseImage>, Error> {
    // A tag may be gone again since it was listed.
    let Some(facts) = registry.find(&image).await? else { return Ok(None) };
    let used =
        lock.images.get(&image).map(|locked| if locked.digest == facts.digest { Use::Locked } else { Use::Moved });
    let present = match engine {
        Some(engine) => Some(engine.image(&image.at(facts.digest.clone()).to_string()).await?.is_some()),
        None => None,
    };
    Ok(Some(BaseImage {
        image,
        digest: facts.digest,
        created: facts.config.created,
        size: facts.layers.iter().map(|(_, size)| size).sum(),
        used,
        present,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_their_numbers() {
        let mut tags = ["8.10", "8.9", "8.9-rc1", "10.0", "2026-01-09", "2026-01-10", "latest", "8"];
        tags.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(tags, ["latest", "8", "8.9", "8.9-rc1", "8.10", "10.0", "2026-01-09", "2026-01-10"]);
    }

    proptest::proptest! {
        #[test]
        fn every_tag_has_a_key_that_holds_all_its_text(tag in "[0-9A-Za-z_][0-9A-Za-z_.-]{0,60}") {
            let text: String = natural(&tag).iter().map(|(_, text)| *text).collect();
            let expected: String = tag.chars().filter(|c| !c.is_ascii_digit()).collect();
            proptest::prop_assert_eq!(text, expected);
        }
    }
}
