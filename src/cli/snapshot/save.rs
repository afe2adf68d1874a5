//! `onramp snapshot save`

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::cli::up;
use crate::name::Name;
use crate::sandbox::data::snapshot::{self, SavePlan};
use crate::sandbox::plan::Begin;
use crate::sandbox::{on, turn_on, view};
use crate::turn::Turn;

/// Save the data of the sandbox.
///
/// Services with data end cleanly for it and are started again.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot save before-migration
  onramp snapshot save before-migration --dry-run    which services have data
")]
pub struct Arguments {
    /// What to call it
    name: Name,
    /// The environment that the sandbox is brought up from again
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
}

/// Why not what a swarm runs.
const SAVING: &str = "no data is saved: its services do not stop and start with what is copied of them";

impl Arguments {
    /// Plans, saves, and brings the sandbox up again if it was up.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let engine = cx.engine().await?;
        let mut turn = Turn::take(&cx.paths.state, &turn_on(id.as_str()))?;
        let was_there = cx.settle(&engine, id.as_str(), &mut turn).await?;
        let _names = Turn::take(&cx.paths.state, &format!("snapshots {}", id.home()))?;
        on::refuse(&engine, &id, None, SAVING).await?;
        let plan = snapshot::plan_save(&engine, &id, &self.name).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        let saved = turn.during(snapshot::save(&engine, &plan)).await;
        drop(turn);
        // Its services start again also where nothing was saved.
        let up = if was_there || !plan.stop.is_empty() {
            up::bring_up(cx, &self.environment, &Begin::AsItWas, None).await.map(|_| ())
        } else {
            Ok(())
        };
        saved?;
        up?;
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for SavePlan {
    fn text(&self) -> String {
        let services: Vec<String> = self.services.iter().map(ToString::to_string).collect();
        format!("snapshot {} of sandbox {}\n  save    {}\n", self.snapshot, self.sandbox, services.join(", "))
    }
}
