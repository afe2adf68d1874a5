//! How far what a project locked is behind: its registry's tags, an environment, and the images that its images build on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use super::catalogue::{Catalogue, Freshness, Known, Which};
use super::tag::{self, Step};
use super::tree::{self, By};
use crate::name::Name;
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Access, Registry};

/// One image of a project, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The reference that the project writes.
    pub image: ImageRef,
    /// What it is locked to; none where it is not locked yet.
    pub locked: Option<Digest>,
    /// When that was made.
    pub created: Option<Timestamp>,
    /// What is newer, or elsewhere.
    pub findings: Vec<Finding>,
}

/// Something that an image's user should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Finding {
    /// The registry no longer has what is locked.
    Gone {
        /// What the tag means now, if it is there.
        now: Option<Digest>,
    },
    /// The tag means another image than when it was locked.
    Moved {
        /// What it means now.
        now: Digest,
        /// When that was made.
        created: Option<Timestamp>,
    },
    /// The tag is gone; what it meant is still there.
    TagGone,
    /// There is a later version.
    Newer {
        /// The reference.
        image: ImageRef,
        /// How far away it is.
        step: Step,
    },
    /// The environment runs another image of this repository.
    Environment {
        /// Its name.
        environment: Name,
        /// The app's service that runs it, or builds on it.
        service: String,
        /// What it runs, or was built on.
        runs: Digest,
        /// Whether the environment's was made later than what is locked; none where that is not known.
        later: Option<bool>,
    },
    /// The image that this one builds on means something newer.
    Base {
        /// It, by tag.
        image: ImageRef,
        /// What this image was built on.
        built_on: Option<Digest>,
        /// What the tag means now.
        now: Digest,
        /// How the base is known.
        by: By,
    },
    /// The labels or a person say that it should be left.
    Warning {
        /// Neutral.
        text: String,
    },
    /// Something could not be found out.
    Unknown {
        /// Neutral.
        why: String,
    },
}

impl Finding {
    /// Whether the project is behind something. That an environment is behind the project, or that something is not known,
    /// is worth a line and no reason to stop.
    pub fn is_behind(&self) -> bool {
        match self {
            Self::Environment { later, .. } => *later != Some(false),
            Self::Unknown { .. } | Self::Warning { .. } => false,
            _ => true,
        }
    }
}

/// What an environment declares, as far as images go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The environment.
    pub environment: Name,
    /// Its services (`app/service`) and their images, by digest.
    pub images: BTreeMap<String, ImageRef>,
}

/// The registries that a project's images come from, each with its memory.
pub struct Catalogues(BTreeMap<String, Catalogue>);

impl Catalogues {
    /// Opens those of these hosts.
    pub async fn open<'a>(
        hosts: impl IntoIterator<Item = &'a str>,
        cache: &Path,
        freshness: Freshness,
        access: impl Into<Access>,
    ) -> Result<Self, registry::Error> {
        let access = &access.into();
        let hosts: BTreeSet<&str> = hosts.into_iter().collect();
        let opened = hosts.into_iter().map(|host| async move {
            let registry = Registry::of_user(host, access).await?;
            Ok::<_, registry::Error>((host.to_owned(), Catalogue::open(registry, host, cache, freshness)))
        });
        Ok(Self(try_join_all(opened).await?.into_iter().collect()))
    }

    /// The one that an image lies in. None for a registry that neither the project nor the company names: a label must not
    /// choose with whom onramp speaks.
    pub fn of(&self, image: &ImageRef) -> Option<&Catalogue> {
        self.0.get(image.registry())
    }

    /// Keeps what was learnt; that it could not be kept costs time only.
    pub fn remember(self) {
        for (_, catalogue) in self.0 {
            let _ = catalogue.remember();
        }
    }

    /// Looks at the base images of those registries whose images do not say what they build on: their layers tell.
    async fn learn(&self, lock: &Lock, needed: &BTreeSet<ImageRef>) -> Result<(), Error> {
        for catalogue in self.0.values() {
            let own = needed.iter().filter(|image| image.registry() == catalogue.host());
            let mut silent = false;
            for image in own {
                let pinned =
                    lock.images.get(image).map_or_else(|| image.clone(), |locked| image.at(locked.digest.clone()));
                silent |= catalogue.image(&pinned).await?.is_some_and(|(_, known)| known.about.base.is_none());
            }
            if silent {
                catalogue.list(&Which { tags: true, ..Which::default() }, lock, None).await?;
            }
        }
        Ok(())
    }

    /// What is known of an image; none where its registry is not asked or does not have it.
    async fn image(&self, image: &ImageRef) -> Result<Option<(Digest, Known)>, Error> {
        match self.of(image) {
            Some(catalogue) => catalogue.image(image).await,
            None => Ok(None),
        }
    }
}

/// How each of these references stands.
pub async fn find(
    catalogues: &Catalogues,
    lock: &Lock,
    needed: &BTreeSet<ImageRef>,
    declared: &Declared,
    today: jiff::civil::Date,
) -> Result<Vec<Standing>, Error> {
    let environment = running(catalogues, declared).await?;
    catalogues.learn(lock, needed).await?;
    let looks = needed.iter().map(|image| one(catalogues, lock, image, &environment, today));
    try_join_all(looks).await
}

/// An image that an environment runs, or one that it builds on.
struct Running {
    environment: Name,
    service: String,
    repository: String,
    digest: Digest,
    created: Option<Timestamp>,
}

async fn running(catalogues: &Catalogues, declared: &Declared) -> Result<Vec<Running>, Error> {
    let looks = declared.images.iter().map(|(service, image)| async move {
        let running = |repository: String, digest: Digest, created| Running {
            environment: declared.environment.clone(),
            service: service.clone(),
            repository,
            digest,
            created,
        };
        let Some((digest, known)) = catalogues.image(image).await? else { return Ok(Vec::new()) };
        let mut found = vec![running(image.repository(), digest, known.created)];
        if let (Some(base), Some(digest)) = (known.about.base, known.about.base_digest) {
            let made = catalogues.image(&base.at(digest.clone())).await?.and_then(|(_, known)| known.created);
            found.push(running(base.repository(), digest, made));
        }
        Ok::<_, Error>(found)
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

async fn one(
    catalogues: &Catalogues,
    lock: &Lock,
    image: &ImageRef,
    environment: &[Running],
    today: jiff::civil::Date,
) -> Result<Standing, Error> {
    let locked = lock.images.get(image).map(|locked| locked.digest.clone());
    let mut standing = Standing { image: image.clone(), locked: locked.clone(), created: None, findings: Vec::new() };
    let Some(catalogue) = catalogues.of(image) else { return Ok(standing) };
    let findings = &mut standing.findings;
    let now = catalogue.head(image).await?;
    let Some(locked) = locked.or_else(|| now.clone()) else {
        findings.push(Finding::TagGone);
        return Ok(standing);
    };
    let pinned = image.at(locked.clone());
    if now.as_ref() != Some(&locked) && !catalogue.has(&pinned).await? {
        findings.push(Finding::Gone { now });
    } else if let Some(now) = now {
        if now != locked {
            let created = catalogue.image(&image.at(now.clone())).await?.and_then(|(_, known)| known.created);
            findings.push(Finding::Moved { now, created });
        }
    } else {
        findings.push(Finding::TagGone);
    }
    let written = image.tag().unwrap_or_default();
    let tags = catalogue.tags(image.path()).await?;
    if let Some((tag, step)) = tag::newest(written, tags.iter().map(String::as_str))
        && let Ok(image) = image.tagged(tag)
    {
        findings.push(Finding::Newer { image, step });
    }
    // What is gone has no facts, unless they are remembered.
    let known = catalogue.image(&pinned).await?.map(|(_, known)| known);
    standing.created = known.as_ref().and_then(|known| known.created);
    for running in environment.iter().filter(|running| running.repository == image.repository()) {
        if running.digest != locked && !known.as_ref().is_some_and(|known| is_of(known, &running.digest)) {
            let later = standing.created.zip(running.created).map(|(ours, theirs)| theirs > ours);
            let (environment, service) = (running.environment.clone(), running.service.clone());
            findings.push(Finding::Environment { environment, service, runs: running.digest.clone(), later });
        }
    }
    if let Some(known) = known {
        findings.extend(known.about.warning(today).map(|text| Finding::Warning { text }));
        findings.extend(base(catalogues, catalogue, image, &known).await?);
    }
    Ok(standing)
}

/// Whether a digest is that of one of an image's platforms.
fn is_of(known: &Known, digest: &Digest) -> bool {
    known.platforms.values().any(|platform| platform == digest)
}

/// Whether the image that this one builds on moved on.
async fn base(
    catalogues: &Catalogues,
    own: &Catalogue,
    image: &ImageRef,
    known: &Known,
) -> Result<Option<Finding>, Error> {
    let Some(parent) = tree::parent(&own.seen(), own.host(), image, known) else { return Ok(None) };
    let Some(catalogue) = catalogues.of(&parent.image) else {
        let why = format!("whether its base {} moved: {} is not asked", parent.image, parent.image.registry());
        return Ok(Some(Finding::Unknown { why }));
    };
    let Some((now, latest)) = catalogue.image(&parent.image).await? else { return Ok(None) };
    let same = parent.digest.as_ref().is_none_or(|built_on| *built_on == now || is_of(&latest, built_on));
    let finding = Finding::Base { image: parent.image, built_on: parent.digest, now, by: parent.by };
    Ok((!same).then_some(finding))
}
