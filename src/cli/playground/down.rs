//! `onramp playground down`

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::playground::{Error, Playground, down};
use crate::turn::Turn;

/// Remove the practice company: exactly what carries its label, and its directory.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp playground down
  onramp playground down --yes --keep-images    the next `up` is quick
")]
pub struct Arguments {
    /// Keep the built base images
    #[arg(long)]
    keep_images: bool,
}

impl Arguments {
    /// Plans, asks, removes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let _turn = Turn::take(&cx.paths.state, "the playground")?;
        let playground = Playground::find(&cx.paths)?.ok_or(Error::NotUp)?;
        let engine = cx.engine().await?;
        let plan = down::plan(&engine, &playground, self.keep_images).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.confirm("Remove the playground, its pull requests and its history?")?;
        down::apply(&engine, &plan).await?;
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for down::Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        let home = vec![self.playground.home.display().to_string()];
        for name in [&self.containers, &self.networks, &self.volumes, &self.images, &home].into_iter().flatten() {
            out.push_str(&format!("  remove {name}\n"));
        }
        out
    }
}
