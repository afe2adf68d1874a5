//! Freezing a data volume that no container uses: what it holds stays for good, and its sandbox goes on with a clone.

use super::carrier::{Carrier, Root};
use super::clone::{Lower, copy, lower, over, upper};
use super::{DataVolume, Maker};
use crate::engine::{Backing, Error, Volume, VolumeSpec, label};

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
    let mut labels: Vec<(String, String)> = maker.marks().into_iter().chain(what.marks.iter().cloned()).collect();
    labels.extend([
        (label::PROJECT.to_owned(), maker.id.home()),
        (label::SERVICE.to_owned(), data.service.to_string()),
        (label::ROOT.to_owned(), root.label()),
    ]);
    labels.extend(data.seed.iter().map(|seed| (label::SEED.to_owned(), seed.clone())));
    let cloned = |how: &str| (label::CLONE.to_owned(), how.to_owned());

    let deep = data.layers.len() >= DEEPEST;
    if !deep && !data.layers.is_empty() {
        let below = lower(maker, &data.layers, &data.name).await?;
        let highest = upper(maker, &root).await?;
        if lays(maker, next, &highest, below.clone()).await? {
            over(maker, next, what.labels, &highest, Some(below)).await?;
            labels.extend([cloned("overlay"), (label::LAYERS.to_owned(), data.layers.join(","))]);
            // Nobody mounts it: what it lies on is all that it has to say.
            let frozen = VolumeSpec { name: Some((*name).to_owned()), labels, backing: Backing::Own };
            maker.engine.create_volume(&frozen).await?;
            maker.engine.remove_volume(&data.name).await?;
            return Ok((*next).to_owned());
        }
    }
    // So many layers are there only where they can be laid over each other.
    labels.push(cloned(if deep { "overlay" } else { "copy" }));
    over(maker, name, &labels, &copy(maker, &data.name).await?, None).await?;
    Ok(data.name.clone())
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
    let trial = format!("{next}.trial");
    let labels: Vec<(String, String)> =
        maker.marks().into_iter().chain([(label::LAYER.to_owned(), "trial".to_owned())]).collect();
    over(maker, &trial, &labels, highest, Some(below)).await?;
    let mounted = root(maker, &trial).await;
    maker.engine.remove_volume(&trial).await?;
    match mounted {
        Ok(_) => Ok(true),
        Err(Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
