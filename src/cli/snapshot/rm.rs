//! `onramp snapshot rm`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::sandbox::data::Inventory;
use crate::sandbox::data::snapshot::{self, Snapshot};
use crate::sandbox::{turn_on, view};
use crate::turn::Turn;

/// Remove a snapshot. Sandboxes that were given it keep their data.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot rm before-migration
  onramp snapshot rm before-migration --yes    do not ask
")]
pub struct Arguments {
    /// The snapshot
    name: Name,
}

#[derive(Serialize)]
struct Removal {
    remove: Snapshot,
}

impl Arguments {
    /// Plans, asks, removes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (id, engine) = (view::id(&cx.project()?), cx.engine().await?);
        let _turn = Turn::take(&cx.paths.state, &turn_on(id.as_str()))?;
        let _names = Turn::take(&cx.paths.state, &format!("snapshots {}", id.home()))?;
        let found = snapshot::find(&Inventory::read(&engine).await?, &id, &self.name)?;
        let plan = Removal { remove: found };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.confirm(&format!("Remove snapshot {}?", self.name))?;
        snapshot::remove(&engine, &id, &plan.remove).await?;
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for Removal {
    fn text(&self) -> String {
        format!("remove snapshot {} of {}\n", self.remove.name, self.remove.sandbox)
    }
}
