//! `onramp pr merge`

use serde::Serialize;

use super::Of;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::{Desk, headline};
use crate::cli::output::{Report, Verdict};
use crate::error::Class;
use crate::forge::checks;
use crate::forge::{Checked, Error, PullRequest, Standing};
use crate::git::Commit;
use crate::release::gate;
use crate::text::neutral_line;

/// Merge a pull request that lacks nothing its environments' policy asks for.
///
/// The policy is the one in state.toml on the base branch. Refused as SECURITY, naming what is missing and the command
/// that would satisfy it. What is judged and merged is the commit that was proposed when the command began: one that is
/// pushed meanwhile is a CONFLICT.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr show 3
  onramp pr merge 3
  onramp pr merge 3 --wait --timeout 30m
")]
pub struct Arguments {
    /// Its number
    number: u64,
    /// Wait until every check that the forge has of the proposed commit has passed, as long as --timeout says
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Merge {
    merge: PullRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
}

impl Arguments {
    /// Examines, then merges exactly what was examined.
    pub async fn run(self, cx: &Context, of: Of) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let mut pull = desk.forge.get(self.number).await?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number: pull.number, state: pull.state }.into());
        }
        if self.wait && !cx.dry_run {
            checks::wait(&*desk.forge, &pull, cx.timeout, &*cx.observer).await?;
            pull = desk.again(cx, &pull).await?;
        }
        let gate = match of {
            Of::State => Some(desk.examine(&pull).await?),
            Of::Catalog => None,
        };
        if let Some(gate) = &gate {
            gate.require(pull.number)?;
        } else {
            approved(&pull)?;
        }
        if !cx.proceed(&Merge { merge: pull.clone(), commit: None }) {
            return Ok(Verdict::Ok);
        }
        let commit = if let Some(gate) = gate {
            gate::merge(&*desk.forge, &pull, &gate).await?
        } else {
            let base = desk.state.mirror().resolve(&format!("refs/heads/{}", pull.base_branch))?;
            let message = format!("Merge pull request #{}\n\n{}\n", pull.number, neutral_line(&pull.title, 200));
            desk.forge.merge(pull.number, Checked { head: pull.head_commit.clone(), base, message }).await?
        };
        let pull = PullRequest { state: Standing::Merged, ..pull };
        cx.report(&Merge { merge: pull, commit: Some(commit) });
        Ok(Verdict::Ok)
    }
}

/// What a project contributes is merged when it is no draft, and somebody else agreed to it as it is now.
fn approved(pull: &PullRequest) -> Result<(), Failure> {
    let number = pull.number;
    if pull.draft {
        return Err(Failure::new(Class::Security, format!("pull request {number} is a draft"))
            .next(format!("onramp pr ready {number} --catalog")));
    }
    if pull.approved_by_others().next().is_some() {
        return Ok(());
    }
    Err(Failure::new(
        Class::Security,
        format!("nobody else approved {} of pull request {number}", pull.head_commit.short()),
    )
    .next(format!("onramp pr approve {number} --catalog")))
}

impl Report for Merge {
    fn text(&self) -> String {
        match &self.commit {
            Some(commit) => format!("Merged as {}: {}\n", commit.short(), headline(&self.merge)),
            None => format!("Merge {} of {}\n", self.merge.head_commit.short(), headline(&self.merge)),
        }
    }
}
