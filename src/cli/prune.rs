//! `onramp prune`

use super::Span;
use super::context::Context;
use super::failure::Failure;
use super::list::row;
use super::output::{Report, Verdict};
use crate::sandbox::many::{self, PrunePlan};
use crate::text;

/// Remove sandboxes whose directory, branch or process is gone, with their data, and the golden copies and snapshots of
/// repositories that are gone.
///
/// Only what carries onramp's labels is touched. Images go with `onramp image prune`.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp prune --dry-run             what nobody can come back to
  onramp prune --older-than 7d
  onramp prune --golden              and all golden copies of seeded data
  onramp prune --yes                 do not ask
")]
pub struct Arguments {
    /// Only what nothing was made for since so long: 12h, 7d
    #[arg(long, value_name = "TIME")]
    older_than: Option<Span>,
    /// Golden copies, too, of all projects: the next sandbox without data is seeded, and makes a new one
    #[arg(long)]
    golden: bool,
}

impl Arguments {
    /// Plans, asks, removes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let age = self.older_than.and_then(|span| span.0.try_into().ok());
        let plan = many::plan_prune(&engine, &cx.paths.state, age, self.golden).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        if !plan.sandboxes.is_empty() || !plan.frozen.is_empty() {
            cx.confirm("Remove all of this?")?;
            for busy in many::prune(&engine, &cx.paths.state, &plan).await? {
                cx.observer.note(&format!("sandbox {busy} stays: somebody is at work on it"));
            }
        }
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for PrunePlan {
    fn text(&self) -> String {
        if self.sandboxes.is_empty() && self.frozen.is_empty() {
            return "nothing to remove\n".to_owned();
        }
        let mut out = String::new();
        if !self.sandboxes.is_empty() {
            out.push_str(&text::table(&self.sandboxes.iter().map(row).collect::<Vec<_>>()));
        }
        for name in &self.frozen {
            out.push_str(&format!("{name}\n"));
        }
        out
    }
}
