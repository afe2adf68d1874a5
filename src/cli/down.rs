//! `onramp down`

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::{beside, down, turn_on, view};
use crate::turn::Turn;

/// Stop and remove the sandbox; its data stays unless asked.
///
/// Only what carries this sandbox's label is touched.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp down            the data stays for the next `onramp up`
  onramp down --data     remove the data too; the next `onramp up` seeds anew
")]
pub struct Arguments {
    /// Remove the data too
    #[arg(long)]
    data: bool,
}

impl Arguments {
    /// Plans, asks where data would be lost, removes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let engine = cx.engine().await?;
        let _turn = Turn::take(&cx.paths.state, &turn_on(id.as_str()))?;
        let plan = down::plan(&engine, id.as_str(), self.data).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        if !plan.volumes.is_empty() {
            cx.confirm(&format!("Remove the data of sandbox {id}?"))?;
        }
        down::apply(&engine, &plan).await?;
        beside::sweep(&engine, &cx.paths.state, &id).await?;
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for down::Plan {
    fn text(&self) -> String {
        if self.is_empty() {
            return format!("sandbox {} is not up\n", self.sandbox);
        }
        let mut out = format!("sandbox {}\n", self.sandbox);
        let containers: Vec<String> = self.containers.iter().map(|removal| removal.name.clone()).collect();
        for (what, names) in [
            ("remove", containers.as_slice()),
            ("remove", &self.networks),
            ("remove", &self.volumes),
            ("remove", &self.images),
            ("keep  ", &self.kept),
        ] {
            for name in names {
                out.push_str(&format!("  {what} {name}\n"));
            }
        }
        out
    }
}
