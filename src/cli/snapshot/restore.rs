//! `onramp snapshot restore`

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Verdict;
use crate::cli::up;
use crate::name::Name;
use crate::sandbox::data::{Inventory, snapshot};
use crate::sandbox::plan::Begin;
use crate::sandbox::view;

/// Bring the sandbox up with the data of a snapshot.
///
/// The data it has is given up once its services answer with the other data; if they do not, it stays.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot restore before-migration
  onramp snapshot restore before-migration --yes    do not ask whether the data may be replaced
")]
pub struct Arguments {
    /// The snapshot
    name: Name,
    /// The environment to take the other services from
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
}

impl Arguments {
    /// Finds the snapshot and brings the sandbox up on it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let inventory = Inventory::read(&cx.engine().await?).await?;
        let snapshot = snapshot::find(&inventory, &id, &self.name)?;
        up::bring_up_and_report(cx, &self.environment, &Begin::Snapshot(snapshot), None).await
    }
}
