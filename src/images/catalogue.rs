//! The company's base images, as its registry has them.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use crate::engine::Engine;
use crate::project::Lock;
use crate::reference::ImageRef;
use crate::registry::Registry;
use crate::text::neutral_line;

/// Under which path a registry holds the base images.
pub const BASE: &str = "base/";
/// How many tags of one repository are looked at.
const TAGS: usize = 20;
/// How many questions are asked at once.
const AT_ONCE: usize = 8;

/// A base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaseImage {
    /// The reference, by tag.
    pub image: String,
    /// What the tag means now.
    pub digest: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes of its layers, packed.
    pub size: u64,
    /// How this project uses it; none where it does not.
    pub used: Option<Use>,
    /// Whether the engine has it; none where no engine answers.
    pub present: Option<bool>,
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
pub async fn list(
    registry: &Registry,
    host: &str,
    lock: &Lock,
    engine: Option<&Engine>,
) -> Result<Vec<BaseImage>, Error> {
    let mut references: BTreeSet<ImageRef> = BTreeSet::new();
    for path in registry.repositories(BASE).await? {
        // A registry may list what it never let anybody push: names that are none are no images.
        let tags = registry.tags(&path).await?;
        references.extend(tags.iter().take(TAGS).filter_map(|tag| format!("{host}/{path}:{tag}").parse().ok()));
    }
    let looks = stream::iter(references).map(|image| look(registry, image, lock, engine));
    let found: Vec<Option<BaseImage>> = looks.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
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
        image: neutral_line(&image.to_string(), 200),
        digest: facts.digest.to_string(),
        created: facts.config.created,
        size: facts.layers.iter().map(|(_, size)| size).sum(),
        used,
        present,
    }))
}
