//! `onramp pr ready`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::{Desk, headline};
use crate::cli::output::{Report, Verdict};
use crate::forge::{PullRequest, Words};

/// Make a draft ready: people may approve and merge it from now on.
///
/// What it proposes stays the same commit, so that approvals and checks of it hold. It is not merged: `onramp pr merge` does that.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr ready 3
")]
pub struct Arguments {
    /// Its number
    number: u64,
}

#[derive(Serialize)]
struct Ready {
    pull: PullRequest,
    /// Whether it was a draft.
    was_draft: bool,
    #[serde(skip)]
    done: bool,
}

impl Arguments {
    /// Says the same of it, but that it is a draft.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let pull = desk.open_pull(self.number).await?;
        let was_draft = pull.draft;
        if !cx.proceed(&Ready { pull: pull.clone(), was_draft, done: false }) {
            return Ok(Verdict::Ok);
        }
        let words = Words { title: pull.title.clone(), body: pull.body.clone(), draft: false };
        let pull = if was_draft { desk.forge.update(pull.number, words).await?.turned(false)? } else { pull };
        cx.report(&Ready { pull, was_draft, done: true });
        Ok(Verdict::Ok)
    }
}

impl Report for Ready {
    fn text(&self) -> String {
        let verb = match (self.was_draft, self.done) {
            (false, _) => "Ready already",
            (true, false) => "Make ready",
            (true, true) => "Ready",
        };
        format!("{verb}: {}\n", headline(&self.pull))
    }
}
