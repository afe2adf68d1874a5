//! `onramp pr list`

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::Desk;
use crate::cli::output::{Report, Verdict};
use crate::forge::PullRequest;
use crate::text::{age, neutral_line, table};

/// List the open pull requests, newest first.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr list
  onramp pr list --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct Pulls {
    pulls: Vec<PullRequest>,
    #[serde(skip)]
    now: Timestamp,
}

impl Arguments {
    /// Asks the forge.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let pulls = Desk::open(cx).await?.forge.list().await?;
        cx.report(&Pulls { pulls, now: Timestamp::now() });
        Ok(Verdict::Ok)
    }
}

impl Report for Pulls {
    fn text(&self) -> String {
        if self.pulls.is_empty() {
            return "no open pull requests\n".to_owned();
        }
        let row = |pull: &PullRequest| {
            vec![
                format!("#{}", pull.number),
                neutral_line(&pull.title, 70),
                neutral_line(&pull.author.name, 24),
                age(pull.updated, self.now),
                match pull.approved_by_others().count() {
                    0 => String::new(),
                    1 => "1 approval".to_owned(),
                    n => format!("{n} approvals"),
                },
                if pull.draft { "draft".to_owned() } else { String::new() },
            ]
        };
        table(&self.pulls.iter().map(row).collect::<Vec<_>>())
    }
}
