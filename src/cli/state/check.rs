//! `onramp state check`

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::git::Commit;
use crate::release::{Finding, gate};
use crate::state::State;
use crate::task::blocking;
use crate::text::neutral_line;

/// Hold a change to the state repository against the policy of its base branch, whoever wrote it and with whatever tool.
///
/// For CI on pull requests: it reads the checkout that it runs in, and asks registries where the policy wants to know something
/// of images. Who approved only the forge knows: its branch protection asks for that, and so does `onramp pr merge`.
#[derive(clap::Args)]
#[command(
    before_help = "Examples:
  onramp state check --base main                 the commit that is checked out
  onramp state check --base origin/main --json   where CI has no branch `main`
  onramp state check ../state --base main --head deploy/production/shop
",
    after_help = "It ends with 0 where nothing is missing, else with 1."
)]
pub struct Arguments {
    /// A checkout of the state repository
    #[arg(value_name = "DIR", default_value = ".")]
    checkout: PathBuf,
    /// What it is to be merged into: a branch, tag or commit. Its policy counts
    #[arg(long, value_name = "COMMIT")]
    base: String,
    /// What is to be merged
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    head: String,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    base: Commit,
    head: Commit,
    findings: Vec<Finding>,
}

impl Arguments {
    /// Reads both commits, holds the one against the other's policy, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let directory = cx.dir.join(&self.checkout);
        let (base, head) = (self.base, self.head);
        let found = blocking(move || {
            let Some(state) = State::in_place(&directory)? else { return Ok(None) };
            let commits = (state.mirror().resolve(&base)?, state.mirror().resolve(&head)?);
            Ok::<_, Failure>(Some((state, commits)))
        });
        let Some((state, (base, head))) = found.await? else {
            let place = neutral_line(&self.checkout.display().to_string(), 120);
            return Err(Failure::usage(format!("{place} is no git repository"))
                .hint("`state check` runs in a checkout of the state repository"));
        };
        let findings = gate::check(&state, &base, &head, &cx.registries, jiff::Timestamp::now()).await?;
        let ok = findings.is_empty();
        cx.report(&Checked { ok, base, head, findings });
        Ok(if ok { Verdict::Ok } else { Verdict::Failed })
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let (base, head) = (self.base.short(), self.head.short());
        let missing = self.findings.iter().flat_map(|finding| {
            let line = |unmet: &crate::state::Unmet| format!("{}: {}\n", finding.of, unmet.message);
            finding.unmet.iter().map(move |unmet| neutral_line(line(unmet).trim_end(), 500) + "\n")
        });
        let missing: String = missing.collect();
        let last = if self.ok { "nothing is missing" } else { "may not be merged" };
        format!("{missing}{head} into {base}: {last}\n")
    }
}
