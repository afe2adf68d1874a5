//! Golden copies: the data of a service right after its seeds went in. Every later sandbox begins with a clone.

use futures_util::future::try_join_all;

use super::{Freezing, Inventory, Maker, freeze};
use crate::engine::{ContainerSpec, Error, label};
use crate::reference::Digest;

/// How many golden copies of one service stay: branches with other seeds each have their own.
const KEPT: usize = 3;

/// The golden copy that a service is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// What it is made from: image, program, user, environment, place of the data and seeds.
    pub key: Digest,
    /// The labels of a sandbox's data.
    pub labels: Vec<(String, String)>,
    /// What the sandbox's data is called once its own volume is frozen.
    pub next: String,
}

impl Golden {
    /// The key of what decides what a seeded service holds.
    pub fn key(spec: &ContainerSpec, data: &str, seed: &str) -> Digest {
        let parts = serde_json::json!([spec.image, spec.command, spec.user, spec.env, data, seed]);
        Digest::of(parts.to_string().as_bytes())
    }

    /// Freezes the volume that a service seeded which then ended cleanly, and says where its sandbox goes on.
    pub async fn make(&self, maker: &Maker<'_>, volume: &str) -> Result<String, Error> {
        let name = format!("onramp.golden.{}.{}", maker.id.project, &self.key.hex()[..32]);
        let inventory = Inventory::read(maker.engine).await?;
        let seeded = inventory.of_sandbox(maker.id).into_iter().find(|data| data.name == volume);
        let (Some(seeded), None) = (&seeded, inventory.golden(&self.key)) else {
            // Another sandbox was first.
            return Ok(volume.to_owned());
        };
        if inventory.marked(label::GOLDEN).any(|golden| golden.name == name) {
            // It has lost what it lies on, and would keep its name.
            maker.engine.remove_volume(&name).await?;
        }
        let marks = [(label::GOLDEN.to_owned(), self.key.to_string())];
        let freezing = Freezing { data: seeded, labels: &self.labels, next: &self.next, name: &name, marks: &marks };
        let now = freeze(maker, &freezing).await?;
        let all = Inventory::read(maker.engine).await?.golden_of(&maker.id.home(), &seeded.service);
        let old = all.into_iter().skip(KEPT);
        try_join_all(old.map(|golden| async move { maker.engine.remove_volume(&golden.name).await })).await?;
        Ok(now)
    }
}
