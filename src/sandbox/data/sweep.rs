//! Taking away what nothing needs any more: layers that nothing lies on, and parts of snapshots that were cut off.

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use super::{Inventory, snapshot};
use crate::engine::{Engine, Error, Volume, label};

/// What was made so long ago and belongs to nothing was left behind by whoever made it. A golden copy that has just lost its
/// name may be in another sandbox's plan all the same: making the clone looks again, and fails.
pub const LEFT_BEHIND: SignedDuration = SignedDuration::from_hours(24);

/// Sweeps what was made for this sandbox, whose turn is held; what the volumes that were just removed lay on; and what was
/// left behind for long. What another sandbox made lately may be about to be used.
pub async fn sweep(engine: &Engine, sandbox: &str, freed: &[String]) -> Result<(), Error> {
    let inventory = Inventory::read(engine).await?;
    let now = Timestamp::now();
    let ours = |volume: &Volume| {
        let made = volume.labels.get(label::MADE).and_then(|made| made.parse::<Timestamp>().ok());
        volume.labels.get(label::MADE_FOR).is_some_and(|made_for| made_for == sandbox)
            || freed.contains(&volume.name)
            || made.is_none_or(|made| now.duration_since(made) > LEFT_BEHIND)
    };
    let cut_off: Vec<&Volume> = snapshot::cut_off(&inventory).into_iter().filter(|volume| ours(volume)).collect();
    remove(engine, &cut_off).await?;
    let inventory = if cut_off.is_empty() { inventory } else { Inventory::read(engine).await? };
    let strays: Vec<&Volume> = inventory.strays().into_iter().filter(|volume| ours(volume)).collect();
    remove(engine, &strays).await
}

async fn remove(engine: &Engine, volumes: &[&Volume]) -> Result<(), Error> {
    try_join_all(volumes.iter().map(|volume| engine.remove_volume(&volume.name))).await.map(drop)
}
