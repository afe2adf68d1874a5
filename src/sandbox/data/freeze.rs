//! Freezing a data volume that no container uses: what it holds stays for good, and its sandbox goes on with a clone.

use super::carrier::{Carrier, Root};
use super::clone::{Lower, copy, lower, over, trial_labels, upper};
use super::{DataVolume, Maker};
use crate::engine::{Backing, Error, Volume, VolumeSpec, label};
use crate::sandbox::ServiceId;

/// How many layers a volume may lie on: the kernel takes their paths in one page. Above that, freezing copies.
const DEEPEST: usize = 16;

/// What is frozen, and as what.
pub struct Freezing<'a> {
    /// The data.
    pub data: &'a DataVolume,
    /// The labels of a sandbox's data, for the clone.
    pub labels: &'a [(String, String)],
    /// What the clone is called: the next generation.
    pub next: &'a str,
    /// What the frozen volume is called.
    pub name: &'a str,
    /// What is written on it beside what it holds.
    pub marks: &'a [(String, String)],
}

/// Freezes it, and says which volume holds the sandbox's data now. From when the frozen volume is there nobody writes to
/// what it lies on; whatever breaks off before leaves the data whole, in the clone or where it was.
pub async fn freeze(maker: &Maker<'_>, what: &Freezing<'_>) -> Result<String, Error> {
    let Freezing { data, name, next, .. } = what;
    let root = root(maker, &data.name).await?;
    let labels = |overlay: bool| {
        let labels = labels(maker, &data.service, &root, overlay).into_iter().chain(what.marks.iter().cloned());
        let seed = data.seed.iter().map(|seed| (label::SEED.to_owned(), seed.clone()));
        let secrets = data.secrets.iter().map(|secrets| (label::SECRETS.to_owned(), secrets.clone()));
        labels.chain(seed).chain(secrets).collect::<Vec<(String, String)>>()
    };

    let deep = data.layers.len() >= DEEPEST;
    if !deep && !data.layers.is_empty() {
        let below = lower(maker, &data.layers, &data.name).await?;
        let highest = upper(maker, &root).await?;
        if lays(maker, next, &highest, below.clone()).await? {
            over(maker, next, what.labels, &highest, Some(below)).await?;
            let mut labels = labels(true);
            labels.push((label::LAYERS.to_owned(), data.layers.join(",")));
            // Nobody mounts it: what it lies on is all that it has to say.
            let frozen = VolumeSpec { name: Some((*name).to_owned()), labels, backing: Backing::Own };
            maker.engine.create_volume(&frozen).await?;
            maker.engine.remove_volume(&data.name).await?;
            return Ok((*next).to_owned());
        }
    }
    // So many layers are there only where they can be laid over each other.
    over(maker, name, &labels(deep), &copy(maker, &data.name).await?, None).await?;
    Ok(data.name.clone())
}

/// What is written on every frozen volume.
pub(super) fn labels(maker: &Maker<'_>, service: &ServiceId, root: &Root, overlay: bool) -> Vec<(String, String)> {
    let mut labels = maker.marks().to_vec();
    labels.extend([
        (label::PROJECT.to_owned(), maker.id.home()),
        (label::SERVICE.to_owned(), service.to_string()),
        (label::ROOT.to_owned(), root.label()),
        (label::CLONE.to_owned(), if overlay { "overlay" } else { "copy" }.to_owned()),
    ]);
    labels
}

/// Whether others can be laid over a layer that was filled from elsewhere, before it is frozen under this name.
pub(super) async fn can_lie_under(maker: &Maker<'_>, base: &Volume, root: &Root, name: &str) -> Result<bool, Error> {
    let below = lower(maker, std::slice::from_ref(&base.name), name).await?;
    let highest = upper(maker, root).await?;
    lays(maker, name, &highest, below).await
}

async fn root(maker: &Maker<'_>, volume: &str) -> Result<Root, Error> {
    let carrier = Carrier::make(maker, volume).await?;
    let root = carrier.root().await;
    carrier.end().await?;
    root
}

/// Whether the engine's machine can lay a layer over others. It is tried under a name that is nobody's data, and goes as a
/// layer does on which nothing lies.
async fn lays(maker: &Maker<'_>, next: &str, highest: &Volume, below: Lower) -> Result<bool, Error> {
    // What such an engine reads there is what lies under the mountpoint.
    if maker.engine.place().plain {
        return Ok(false);
    }
    let trial = format!("{next}.trial");
    over(maker, &trial, &trial_labels(maker), highest, Some(below)).await?;
    let mounted = root(maker, &trial).await;
    maker.engine.remove_volume(&trial).await?;
    match mounted {
        Ok(_) => Ok(true),
        Err(Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
