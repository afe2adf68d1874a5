//! Whether images have the signatures that the policy wants: from what was found before, else from their registry.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::{Change, Demand, Policy, Scope};
use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::images::signature::{self, Evidence, Found, Signed};
use crate::reference::ImageRef;
use crate::registry::{Access, Registry};
use crate::task::blocking;

/// How many images are looked at at once.
const AT_ONCE: usize = 8;

/// An image that may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// By digest.
    pub image: ImageRef,
    /// The signature that lets it in; none where it needs none.
    pub signed: Option<Signed>,
}

/// Why images may not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image lacks the signature that the policy wants.
    #[error("{image} is refused: {scope} must be signed, and {found}")]
    Unsigned {
        /// The image, by digest.
        image: ImageRef,
        /// The rule's scope.
        scope: Scope,
        /// What was found instead.
        found: Found,
        /// Keys of the catalog for it that the user did not accept.
        unaccepted: Vec<String>,
        /// What the catalog wants beyond what was accepted.
        changes: Vec<Change>,
        /// The catalog.
        catalog: String,
    },
    /// The signature is not here, and the network may not be used.
    #[error("{image} must be signed ({scope}); its signature is not here, and --offline forbids to ask for it")]
    Offline {
        /// The image, by digest.
        image: ImageRef,
        /// The rule's scope.
        scope: Scope,
    },
    /// Signatures could not be read.
    #[error(transparent)]
    Signature(#[from] signature::Error),
    /// The file with what was accepted is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Unsigned { .. } => Class::Security,
            Self::Offline { .. } => Class::Net,
            Self::Signature(error) => error.class(),
            Self::Document(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned { unaccepted, changes, .. } if !unaccepted.is_empty() || !changes.is_empty() => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                Some(format!("you have not accepted what the catalog says now: {}", changes.join("; ")))
            }
            Self::Unsigned { .. } => Some("the catalog's catalog.toml says whose signatures count".to_owned()),
            Self::Offline { .. } => {
                Some("run it once without --offline: signatures that were found are kept".to_owned())
            }
            Self::Signature(error) => error.hint(),
            Self::Document(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Unsigned { unaccepted, changes, catalog, .. } if !unaccepted.is_empty() || !changes.is_empty() => {
                vec![format!("onramp join {catalog} --accept-keys")]
            }
            Self::Unsigned { image, .. } => {
                vec![format!("onramp image verify {image}"), format!("onramp image sign {image} --key cosign.key")]
            }
            Self::Offline { image, .. } => vec![format!("onramp image verify {image}")],
            Self::Signature(error) => error.next(),
            Self::Document(error) => error.next(),
        }
    }
}

impl Policy {
    /// Checks an image, by digest. What was found once is kept, and proved again each time; the registry is asked for the
    /// rest.
    pub async fn check(&self, registry: &Registry, image: &ImageRef) -> Result<Checked, Error> {
        let Some(demand) = self.demanded(image) else { return Ok(Checked { image: image.clone(), signed: None }) };
        match self.known(image, &demand).await? {
            Some(checked) => Ok(checked),
            None => self.ask(registry, image, &demand).await,
        }
    }

    /// Checks images, all by digest, at once. Without one of them that needs to be asked for, no registry is spoken to.
    pub async fn check_all(
        &self,
        images: &[ImageRef],
        offline: bool,
        access: impl Into<Access>,
    ) -> Result<Vec<Checked>, Error> {
        let access = &access.into();
        let mut checked = Vec::new();
        let mut unknown: BTreeMap<&str, Vec<(&ImageRef, Demand<'_>)>> = BTreeMap::new();
        for image in images {
            let Some(demand) = self.demanded(image) else {
                checked.push(Checked { image: image.clone(), signed: None });
                continue;
            };
            match self.known(image, &demand).await? {
                Some(known) => checked.push(known),
                None if offline => {
                    return Err(Error::Offline { image: image.clone(), scope: demand.scope.clone() });
                }
                None => unknown.entry(image.registry()).or_default().push((image, demand)),
            }
        }
        for (host, images) in unknown {
            let registry = &Registry::of_user(host, access).await.map_err(signature::Error::from)?;
            let asks =
                stream::iter(images).map(|(image, demand)| async move { self.ask(registry, image, &demand).await });
            checked.extend(asks.buffered(AT_ONCE).try_collect::<Vec<_>>().await?);
        }
        Ok(checked)
    }

    fn demanded(&self, image: &ImageRef) -> Option<Demand<'_>> {
        self.demand(image).filter(|demand| demand.required)
    }

    /// What was found before, proved again.
    async fn known(&self, image: &ImageRef, demand: &Demand<'_>) -> Result<Option<Checked>, Error> {
        let Some(digest) = image.digest().cloned() else { return Ok(None) };
        let cache = self.cache.clone();
        let evidence = blocking(move || Evidence::load(&cache, &digest)).await;
        let signed = evidence.and_then(|evidence| evidence.proves(&demand.keys, &|identity| demand.names(identity)));
        Ok(signed.map(|signed| Checked { image: image.clone(), signed: Some(signed) }))
    }

    /// Asks the registry, and keeps what was found.
    async fn ask(&self, registry: &Registry, image: &ImageRef, demand: &Demand<'_>) -> Result<Checked, Error> {
        let found = signature::find(registry, image, &demand.keys, &|identity| demand.names(identity)).await?;
        let Some(signed) = found.signed.first().cloned() else {
            return Err(Error::Unsigned {
                image: image.clone(),
                scope: demand.scope.clone(),
                found,
                unaccepted: demand.unaccepted.iter().map(|key| key.fingerprint().to_string()).collect(),
                changes: self.changes.clone(),
                catalog: self.catalog.clone(),
            });
        };
        let (cache, evidence) = (self.cache.clone(), found.evidence);
        blocking(move || evidence.save(&cache)).await.map_err(signature::Error::from)?;
        Ok(Checked { image: image.clone(), signed: Some(signed) })
    }
}
