//! `onramp playground up`

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::playground::{Playground, up};
use crate::turn::Turn;

/// Build and start the practice company; what is there and whole stays, what is broken is made anew.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp playground up
  onramp playground up --dry-run
")]
pub struct Arguments {}

impl Arguments {
    /// Plans, shows, makes, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let _turn = Turn::take(&cx.paths.state, "the playground")?;
        let playground = Playground::find_or_choose(&cx.paths)?;
        let plan = up::plan(&engine, &playground).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.report(&up::apply(&engine, &plan, &cx.observer).await?);
        Ok(Verdict::Ok)
    }
}

impl Report for up::Plan {
    fn text(&self) -> String {
        let mut out = format!("playground {}\n", self.playground.home.display());
        for image in &self.build {
            out.push_str(&format!("  build  {image}\n"));
        }
        if self.start_registry {
            out.push_str(&format!("  start  registry at {}\n", self.playground.registry()));
        }
        for repository in &self.repositories {
            out.push_str(&format!("  create {repository}\n"));
        }
        out
    }
}

impl Report for up::Report {
    fn text(&self) -> String {
        format!(
            "registry {} with {} images\ncatalog  {} with {}\nstate    {}\nNext: onramp playground tour\n      onramp join {}\n",
            self.playground.registry(),
            self.images.len(),
            self.playground.catalog().display(),
            self.blocks.join(", "),
            self.playground.state().display(),
            self.playground.catalog().display(),
        )
    }
}
