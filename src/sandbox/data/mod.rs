//! Data: what services keep, in volumes made of layers, so that a copy of any size is made at once.
//!
//! A *data volume* is what a container mounts. It lies on *layers*, volumes that nothing mounts: one layer as it is, or
//! several laid over each other by the kernel, of which only the highest is written to. A *frozen* volume is mounted by
//! nobody: nothing writes to its layers any more, and any number of data volumes are cloned from it. The *golden copy* of
//! a service is frozen when its seeds are in ([`golden`]), a *snapshot* when somebody asks ([`snapshot`]), or pulled from a registry ([`share`]). A layer that no
//! data volume and no frozen volume lies on is swept ([`sweep`]). All of this is written on the volumes themselves, in
//! labels, and whatever is made counts from the moment that its last volume is there.

mod carrier;
mod clone;
mod freeze;
pub mod golden;
mod inventory;
pub mod share;
pub mod snapshot;
mod sweep;

pub(super) use carrier::Carrier;
pub use clone::{clone, fresh};
pub use freeze::{Freezing, freeze};
pub use golden::Golden;
pub use inventory::{DataVolume, Frozen, Inventory, layers};
pub use sweep::{LEFT_BEHIND, sweep};

use jiff::Timestamp;

use super::SandboxId;
use crate::engine::{Engine, label};

/// What data volumes are made with.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The sandbox that they are made for, whose turn is held.
    pub id: &'a SandboxId,
    /// Any image that is there, for containers that never run.
    pub image: &'a str,
}

impl Maker<'_> {
    /// What is written on whatever outlives the sandbox: who made it, and when.
    fn marks(&self) -> [(String, String); 4] {
        [
            (label::MADE_FOR.to_owned(), self.id.as_str().to_owned()),
            (label::PROJECT_DIR.to_owned(), self.id.directory.display().to_string()),
            (label::REPOSITORY.to_owned(), self.id.repository.display().to_string()),
            (label::MADE.to_owned(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        ]
    }
}
