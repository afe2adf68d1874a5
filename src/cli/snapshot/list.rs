//! `onramp snapshot list`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::sandbox::data::Inventory;
use crate::sandbox::data::snapshot::{self, Snapshot};
use crate::sandbox::view;
use crate::text;

/// List the project's snapshots on this machine, the newest first.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot list
  onramp snapshot list --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct List {
    snapshots: Vec<Snapshot>,
}

impl Arguments {
    /// Looks and reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let inventory = Inventory::read(&cx.engine().await?).await?;
        cx.report(&List { snapshots: snapshot::list(&inventory, &id) });
        Ok(Verdict::Ok)
    }
}

impl Report for List {
    fn text(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let row = |snapshot: &Snapshot| {
            let services: Vec<String> = snapshot.services.iter().map(ToString::to_string).collect();
            let (name, made, of) = (snapshot.name.clone(), snapshot.made.clone(), snapshot.origin());
            vec![name, made, services.join(", "), of]
        };
        text::table(&self.snapshots.iter().map(row).collect::<Vec<_>>())
    }
}
