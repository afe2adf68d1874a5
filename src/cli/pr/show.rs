//! `onramp pr show`

use serde::Serialize;

use super::Of;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::{Desk, headline, missing};
use crate::cli::output::{Report, Verdict};
use crate::forge::{Comment, PullRequest, Standing};
use crate::release::{Finding, diff};
use crate::task::blocking;
use crate::text::{neutral, neutral_line};

/// Show a pull request: what it says, what was said about it, what it changes, what it lacks.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr show 3
")]
pub struct Arguments {
    /// Its number
    number: u64,
}

#[derive(Serialize)]
struct Shown {
    pull: PullRequest,
    comments: Vec<Comment>,
    diff: String,
    missing: Vec<Finding>,
    /// Why nothing can be said about what is missing.
    trouble: Option<String>,
    #[serde(skip)]
    lacks: String,
}

impl Arguments {
    /// Asks the forge, and the state repository for the change itself.
    pub async fn run(self, cx: &Context, of: Of) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let pull = desk.forge.get(self.number).await?;
        let comments = desk.forge.comments(self.number).await?;
        let (state, shown) = (desk.state.clone(), pull.clone());
        let diff = blocking(move || diff::of(&state, &shown)).await?;
        let (mut findings, mut lacks, mut trouble) = (Vec::new(), String::new(), None);
        if pull.state == Standing::Open && of == Of::State {
            // What cannot be judged is shown all the same, with the reason.
            match desk.examine(&pull).await {
                Ok(gate) if gate.is_open() => {
                    lacks = format!("  nothing is missing\n  next:    onramp pr merge {}\n", pull.number);
                }
                Ok(gate) => {
                    lacks = missing(pull.number, &gate);
                    findings = gate.findings;
                }
                Err(failure) => {
                    lacks = format!("  missing: {}\n", neutral(&failure.message));
                    trouble = Some(failure.message);
                }
            }
        }
        cx.report(&Shown { pull, comments, diff, missing: findings, trouble, lacks });
        Ok(Verdict::Ok)
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let pull = &self.pull;
        let approvals: Vec<String> = pull.approved_by().map(|person| neutral_line(&person.name, 40)).collect();
        let reviewers: Vec<String> = pull.reviewers.iter().map(|name| neutral_line(name, 60)).collect();
        let reviewers = if reviewers.is_empty() { String::new() } else { format!(", asked: {}", reviewers.join(", ")) };
        let labels: Vec<String> = pull.labels.iter().map(|label| neutral_line(label, 60)).collect();
        let labels = if labels.is_empty() { String::new() } else { format!(", labelled: {}", labels.join(", ")) };
        let approvals = if approvals.is_empty() { "nobody yet".to_owned() } else { approvals.join(", ") };
        format!(
            "{}\n  by {} from {} into {}\n  approved by {approvals}{reviewers}{labels}\n{}\n{}\n\n{}{}",
            headline(pull),
            neutral_line(&pull.author.name, 60),
            neutral_line(&pull.head_branch, 120),
            neutral_line(&pull.base_branch, 120),
            self.lacks,
            neutral(pull.body.trim_end()),
            self.comments.iter().map(said).collect::<String>(),
            neutral(&self.diff)
        )
    }
}

/// What somebody said, as long as it need be on a terminal.
fn said(comment: &Comment) -> String {
    const MOST: usize = 2000;
    let body: String = comment.body.trim_end().chars().take(MOST).collect();
    let more = if body.len() < comment.body.trim_end().len() { " …" } else { "" };
    format!("{} said:\n{}{more}\n\n", neutral_line(&comment.by.name, 60), neutral(&body))
}
