//! `onramp pr approve`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::{Desk, headline};
use crate::cli::output::{Report, Verdict};
use crate::forge::PullRequest;

/// Approve what a pull request proposes now, as the person that git or the forge's token says you are.
///
/// The approval is of one commit: a pull request that changes afterwards needs a new one. Its own author's approval does
/// not count.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr show 3
  onramp pr approve 3
")]
pub struct Arguments {
    /// Its number
    number: u64,
}

#[derive(Serialize)]
struct Approve {
    approve: PullRequest,
    done: bool,
}

impl Arguments {
    /// Approves the commit that is proposed at this moment.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let pull = desk.open_pull(self.number).await?;
        let commit = pull.head_commit.clone();
        if !cx.proceed(&Approve { approve: pull, done: false }) {
            return Ok(Verdict::Ok);
        }
        let approved = desk.forge.approve(self.number, &commit).await?;
        cx.report(&Approve { approve: approved, done: true });
        Ok(Verdict::Ok)
    }
}

impl Report for Approve {
    fn text(&self) -> String {
        let commit = self.approve.head_commit.short();
        let verb = if self.done { "Approved" } else { "Approve" };
        format!("{verb} {commit} of {}\n", headline(&self.approve))
    }
}
