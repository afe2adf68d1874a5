//! `onramp state lint`

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::git::Reader;
use crate::state::lint::{self, Linted};
use crate::task::blocking;
use crate::text;
use crate::tree::{Cap, Tree, disk};

/// Check every declaration and the policy, and tell all that is wrong at once.
#[derive(clap::Args)]
#[command(
    before_help = "Examples:
  onramp state lint                 the company's, as its default branch has it
  onramp state lint --at v12        as it was there
  onramp state lint .               this checkout, with what is not committed yet
",
    after_help = "It ends with 0 where nothing is wrong, else with 1."
)]
pub struct Arguments {
    /// A checkout of a state repository on this machine
    #[arg(value_name = "DIR")]
    checkout: Option<PathBuf>,
    /// A commit, tag or branch of the company's state repository
    #[arg(long, value_name = "COMMIT", conflicts_with = "checkout")]
    at: Option<String>,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    #[serde(flatten)]
    linted: Linted,
}

impl Arguments {
    /// Reads all of it, checks, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let tree = if let Some(checkout) = self.checkout {
            let checkout = cx.dir.join(checkout);
            blocking(move || of_checkout(&checkout)).await?
        } else {
            let state = super::open(cx).await?;
            blocking(move || {
                let commit = self.at.map_or_else(|| state.head(), |at| state.find(&at))?;
                state.tree(&commit)
            })
            .await?
        };
        let linted = blocking(move || lint::lint(&tree)).await;
        let ok = linted.findings.is_empty();
        cx.report(&Checked { ok, linted });
        Ok(if ok { Verdict::Ok } else { Verdict::Failed })
    }
}

fn of_checkout(directory: &Path) -> Result<Tree, Failure> {
    let Some(repository) = Reader::open(directory)? else { return Ok(disk::read(directory, Cap::TEMPLATE)?) };
    if let Some(taken) = repository.take_uncommitted(Cap::TEMPLATE)? {
        return Ok(taken.tree);
    }
    let head = repository.head()?;
    Ok(repository.take(&head, "", Cap::TEMPLATE)?.tree)
}

impl Report for Checked {
    fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.linted.findings {
            let place = match (finding.line, finding.column) {
                (Some(line), Some(column)) => format!("{}:{line}:{column}", finding.path),
                _ => finding.path.clone(),
            };
            out.push_str(&text::neutral_line(&format!("{place}: {}", finding.message), 400));
            out.push('\n');
            if let Some(hint) = &finding.hint {
                out.push_str(&format!("  hint: {}\n", text::neutral_line(hint, 200)));
            }
        }
        let (declarations, wrong) = (self.linted.declarations, self.linted.findings.len());
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        out + &format!("{declarations} declaration{}, {wrong} finding{}\n", plural(declarations), plural(wrong))
    }
}
