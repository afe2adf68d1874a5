//! What a registry's tag means to a definition: whether this machine made what is there, and of what.
//!
//! Anybody who may push can write our labels. They are believed of images alone that this machine built, by their ids, or that
//! a key signed which the user accepted.

use super::Error;
use super::definition::Definition;
use super::labels;
use super::workshop::{Target, Workshop, place};
use crate::images::signature;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Content};

/// What a tag means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Nothing.
    Nothing,
    /// An image of exactly this definition, on the parent that it has now.
    Same(Digest),
    /// An image of ours, of another definition or another parent.
    Earlier,
    /// What neither this machine made nor an accepted key signed.
    Foreign(Digest),
}

impl Workshop<'_> {
    /// What the definition's tag means in the registry.
    pub(super) async fn remote(
        &self,
        target: &Target<'_>,
        definition: &Definition,
        parent: Option<&Digest>,
    ) -> Result<Remote, Error> {
        let image = place(target.registry.host(), definition);
        // A mirror may be behind: what another pushed meanwhile must not be taken for what was there before.
        let there = match target.registry.alone().manifest(&image).await {
            Err(registry::Error::NotFound { .. }) => return Ok(Remote::Nothing),
            there => there?,
        };
        let top = there.digest;
        let image = image.at(top.clone());
        // What lacks a part, or is no image at all, is something nevertheless.
        let facts = target.registry.find(&image).await?;
        let ours = match &facts {
            Some(facts) => {
                // That one image of an index is ours tells nothing about the others.
                let alone = matches!(there.content, Content::Image { .. });
                let ids = [Some(top.as_str()), alone.then_some(facts.id.as_str())];
                self.built(&ids.into_iter().flatten().collect::<Vec<_>>())? || signed(target, &image).await?
            }
            None => self.records.is_none(),
        };
        Ok(match facts {
            _ if !ours => Remote::Foreign(top),
            Some(facts) if labels::is_of(&facts.labels, definition, parent) => Remote::Same(top),
            _ => Remote::Earlier,
        })
    }

    /// Refuses to go on where a tag is not ours to move.
    pub(super) fn refuse(target: &Target<'_>, definition: &Definition, foreign: Digest) -> Result<(), Error> {
        if target.replace.contains(&definition.name) {
            return Ok(());
        }
        let image = Box::new(place(target.registry.host(), definition));
        Err(Error::Foreign { name: definition.name.clone(), image, digest: foreign })
    }
}

/// Whether a key that the user accepted signed the image.
async fn signed(target: &Target<'_>, image: &ImageRef) -> Result<bool, Error> {
    let demand = target.policy.and_then(|policy| policy.demand(image));
    let Some(demand) = demand.filter(|demand| !demand.keys.is_empty()) else { return Ok(false) };
    let found = signature::find(target.registry, image, &demand.keys, &|identity| demand.names(identity)).await?;
    Ok(!found.signed.is_empty())
}
