//! What images a registry has, as far as anybody asks: answered from memory where that will do, from bounded requests
//! where not.

mod list;
mod memory;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

pub use list::{BaseImage, Listing, Use, Which};
pub use memory::{Freshness, Known};

use super::Error;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Registry};
use memory::{Answer, Memory};

/// Under which path a registry holds the base images.
pub const BASE: &str = "base/";
/// How many questions are asked at once.
const AT_ONCE: usize = 16;

/// An image that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Which.
    pub image: ImageRef,
    /// Why, neutral.
    pub why: String,
}

/// A registry, and what it said before.
pub struct Catalogue {
    registry: Registry,
    host: String,
    freshness: Freshness,
    file: PathBuf,
    memory: Mutex<Memory>,
}

impl Catalogue {
    /// A registry's catalogue, with its memory in the cache.
    pub fn open(registry: Registry, host: &str, cache: &Path, freshness: Freshness) -> Self {
        let file = Memory::path(cache, host);
        let memory = Mutex::new(Memory::load(&file));
        Self { registry, host: host.to_owned(), freshness, file, memory }
    }

    /// `host[:port]`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The registry itself.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Keeps what was learnt. A full disk is no reason to hide an answer, so callers may drop the error.
    pub fn remember(self) -> Result<(), FileError> {
        self.memory.into_inner().unwrap_or_else(PoisonError::into_inner).save(&self.file)
    }

    /// The repositories of base images, by name, and when the registry said so.
    pub async fn repositories(&self) -> Result<(Vec<String>, Timestamp), Error> {
        let known = self.memory().repositories.clone();
        if let Some(answer) = self.take(known, || "the list of repositories".to_owned())? {
            return Ok((answer.what, answer.at));
        }
        let answer = Answer { at: Timestamp::now(), what: self.registry.repositories(BASE).await? };
        self.memory().repositories = Some(answer.clone());
        Ok((answer.what, answer.at))
    }

    /// The tags of a repository; none where there is no such repository.
    pub async fn tags(&self, path: &str) -> Result<Vec<String>, Error> {
        let known = self.memory().tags.get(path).cloned();
        if let Some(answer) = self.take(known, || format!("the tags of {path}"))? {
            return Ok(answer.what);
        }
        let tags = match self.registry.tags(path).await {
            Err(registry::Error::NotFound { .. }) => Vec::new(),
            other => other?,
        };
        let answer = Answer { at: Timestamp::now(), what: tags.clone() };
        self.memory().tags.insert(path.to_owned(), answer);
        Ok(tags)
    }

    /// What a reference by tag means; none where the registry has no such tag.
    pub async fn head(&self, image: &ImageRef) -> Result<Option<Digest>, Error> {
        let name = name(image);
        let known = self.memory().heads.get(&name).cloned();
        if let Some(answer) = self.take(known, || image.to_string())? {
            return Ok(answer.what);
        }
        let digest = match self.registry.manifest(image).await {
            Err(registry::Error::NotFound { .. }) => None,
            other => Some(other?.digest),
        };
        self.memory().heads.insert(name, Answer { at: Timestamp::now(), what: digest.clone() });
        Ok(digest)
    }

    /// What is known of an image, by tag or digest; none where the registry does not have it.
    pub async fn image(&self, image: &ImageRef) -> Result<Option<(Digest, Known)>, Error> {
        let digest = match image.digest() {
            Some(digest) => digest.clone(),
            None => match self.head(image).await? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let tagged = image.tag().map(|_| name(image));
        if let Some(known) = self.memory().look(&digest, tagged.as_deref(), Timestamp::now()) {
            return Ok(Some((digest, known)));
        }
        if self.freshness == Freshness::Remembered {
            return Err(Error::Forgotten { host: self.host.clone(), what: image.to_string() });
        }
        let Some(facts) = self.registry.find(&image.at(digest.clone())).await? else { return Ok(None) };
        let now = Timestamp::now();
        let mut memory = self.memory();
        memory.images.insert(digest.clone(), Known::of(facts, now));
        let known = memory.look(&digest, tagged.as_deref(), now);
        Ok(known.map(|known| (digest, known)))
    }

    /// Whether the registry has an image under this digest now. Never answered from memory, unless nothing may be asked.
    pub async fn has(&self, image: &ImageRef) -> Result<bool, Error> {
        if self.freshness == Freshness::Remembered {
            return Ok(true);
        }
        match self.registry.manifest(image).await {
            Ok(_) => Ok(true),
            Err(registry::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Several images at once, in order; those that the registry does not have are left out, and those that cannot be read
    /// are named with the reason: one odd tag must not hide all others.
    pub async fn images(
        &self,
        images: Vec<ImageRef>,
    ) -> Result<(Vec<(ImageRef, Digest, Known)>, Vec<Unreadable>), Error> {
        let looks = stream::iter(images).map(|image| async move {
            match self.image(&image).await {
                Ok(found) => Ok(found.map(|(digest, known)| Ok((image, digest, known)))),
                Err(Error::Registry(error)) if !is_everywhere(&error) => {
                    Ok(Some(Err(Unreadable { image, why: error.to_string() })))
                }
                Err(error) => Err(error),
            }
        });
        let looked: Vec<Option<Result<_, Unreadable>>> = looks.buffered(AT_ONCE).try_collect().await?;
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for one in looked.into_iter().flatten() {
            match one {
                Ok(image) => found.push(image),
                Err(why) => unreadable.push(why),
            }
        }
        Ok((found, unreadable))
    }

    /// Every image that was ever seen here, with its digest: also what a tag meant before it moved.
    pub fn seen(&self) -> Vec<(Digest, Known)> {
        self.memory().images.iter().map(|(digest, known)| (digest.clone(), known.clone())).collect()
    }

    /// An answer from memory, if it will do; an error where nothing else may be asked.
    fn take<T>(&self, known: Option<Answer<T>>, what: impl Fn() -> String) -> Result<Option<Answer<T>>, Error> {
        let known = known.filter(|answer| self.freshness.takes(answer, Timestamp::now()));
        if known.is_none() && self.freshness == Freshness::Remembered {
            return Err(Error::Forgotten { host: self.host.clone(), what: what() });
        }
        Ok(known)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the next image would fail in the same way.
fn is_everywhere(error: &registry::Error) -> bool {
    matches!(error.class(), Class::Auth | Class::Env)
        || matches!(error, registry::Error::Unreachable { .. } | registry::Error::TimedOut { .. })
}

/// What a registry calls a reference by tag: `path:tag`.
fn name(image: &ImageRef) -> String {
    format!("{}:{}", image.path(), image.tag().unwrap_or_default())
}
