//! `onramp state check`

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::forge::{self, Status};
use crate::git::{Commit, RepoUrl};
use crate::release::{Finding, gate, verdict};
use crate::settings::ForgeKind;
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
  onramp state check --base main --status        say it at the forge, too, as a status of that commit
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
    /// Set the status `onramp/policy` of that commit at the state repository's forge. Its token needs the right to
    #[arg(long)]
    status: bool,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    base: Commit,
    head: Commit,
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Said>,
}

/// What was said at the forge.
#[derive(Serialize)]
struct Said {
    #[serde(flatten)]
    status: Status,
    /// Whether it was said now: not in a dry run, and not where the commit has it already.
    set: bool,
    #[serde(skip)]
    how: &'static str,
}

impl Arguments {
    /// Reads both commits, holds the one against the other's policy, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if self.status && cx.settings.forge()?.kind == ForgeKind::Local {
            return Err(forge::Error::NoStatuses.into());
        }
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
        let found = gate::check(&state, &base, &head, &cx.registries, jiff::Timestamp::now()).await;
        let said = if self.status { Some(say(cx, &head, verdict::status(&found)).await) } else { None };
        let (status, untold) = match said.transpose() {
            Ok(status) => (status, None),
            Err(failure) => (None, Some(failure)),
        };
        // Of two failures the first is the command's.
        if let (Err(_), Some(untold)) = (&found, &untold) {
            cx.observer.note(&format!("the commit's status is not set: {}", neutral_line(&untold.message, 300)));
        }
        let findings = found?;
        let ok = findings.is_empty();
        // What was found is told, whatever becomes of telling the forge; of two documents only the failure's.
        if untold.is_none() || !cx.json {
            cx.report(&Checked { ok, base, head, findings, status });
        }
        match untold {
            Some(failure) => Err(failure),
            None => Ok(if ok { Verdict::Ok } else { Verdict::Failed }),
        }
    }
}

/// Says it at the forge of the state repository that the settings name.
async fn say(cx: &Context, head: &Commit, status: Status) -> Result<Said, Failure> {
    let url: RepoUrl = cx.settings.state()?.parse()?;
    let variable = |name: &str| std::env::var(name).ok();
    let forge = forge::server(cx.settings.forge()?, &url, cx.offline, cx.timeout, &variable).await?;
    if cx.dry_run {
        return Ok(Said { status, set: false, how: "would be set" });
    }
    let set = cx.waiting("set the commit's status", forge.say(head, &status)).await?;
    Ok(Said { status, set, how: if set { "is set" } else { "says so already" } })
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
        let said = self.status.as_ref();
        let said =
            said.map(|said| format!("status {} of {head} {}\n", said.status.context, said.how)).unwrap_or_default();
        format!("{missing}{head} into {base}: {last}\n{said}")
    }
}
