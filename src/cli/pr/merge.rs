//! `onramp pr merge`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::{Desk, headline};
use crate::cli::output::{Report, Verdict};
use crate::forge::{Error, PullRequest, Standing};
use crate::git::Commit;
use crate::release::gate;

/// Merge a pull request that lacks nothing its environments' policy asks for.
///
/// The policy is the one in state.toml on the base branch. Refused as SECURITY, naming what is missing and the command
/// that would satisfy it.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr show 3
  onramp pr merge 3
")]
pub struct Arguments {
    /// Its number
    number: u64,
}

#[derive(Serialize)]
struct Merge {
    merge: PullRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
}

impl Arguments {
    /// Examines, then merges exactly what was examined.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let pull = desk.forge.get(self.number).await?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number: pull.number, state: pull.state }.into());
        }
        let gate = desk.examine(&pull).await?;
        gate.require(pull.number)?;
        if !cx.proceed(&Merge { merge: pull.clone(), commit: None }) {
            return Ok(Verdict::Ok);
        }
        let commit = gate::merge(&*desk.forge, &pull, &gate).await?;
        let pull = PullRequest { state: Standing::Merged, ..pull };
        cx.report(&Merge { merge: pull, commit: Some(commit) });
        Ok(Verdict::Ok)
    }
}

impl Report for Merge {
    fn text(&self) -> String {
        match &self.commit {
            Some(commit) => format!("Merged as {}: {}\n", commit.short(), headline(&self.merge)),
            None => format!("Merge {} of {}\n", self.merge.head_commit.short(), headline(&self.merge)),
        }
    }
}
