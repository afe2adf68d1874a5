//! `onramp release history`

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::release::history::{self, Entry, Filter};
use crate::task::blocking;
use crate::text::{lasting, neutral_line, table};

/// Show what was deployed: when, what, by whom, and how long it took from the commit.
///
/// Newest first, from the state repository's default branch alone: changes by hand are there, too.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp release history
  onramp release history shop production
  onramp release history shop --limit 200 --json
")]
pub struct Arguments {
    /// Only this app
    app: Option<Name>,
    /// Only this environment
    environment: Option<Name>,
    /// How many changes at most
    #[arg(short = 'n', long, value_name = "N", default_value = "50")]
    limit: usize,
}

#[derive(Serialize)]
struct History {
    history: Vec<Entry>,
}

impl Arguments {
    /// Reads the state repository's history.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let state = crate::cli::state::open(cx).await?;
        let filter = Filter { app: self.app, environment: self.environment, since: None, most: Some(self.limit) };
        let read = blocking(move || history::read(&state, &state.head()?, &filter));
        cx.report(&History { history: cx.waiting("read the history", read).await? });
        Ok(Verdict::Ok)
    }
}

impl Report for History {
    fn text(&self) -> String {
        if self.history.is_empty() {
            return "nothing was deployed\n".to_owned();
        }
        let head = ["when", "app", "environment", "what", "source", "took", "who", "pull"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        rows.extend(self.history.iter().map(row));
        table(&rows)
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let dash = || "-".to_owned();
    let what = match (&entry.from, &entry.reason) {
        (Some(from), _) => format!("{} from {from}", entry.kind.as_str()),
        (None, Some(reason)) => format!("{}: {}", entry.kind.as_str(), neutral_line(reason, 60)),
        (None, None) => entry.kind.as_str().to_owned(),
    };
    let who = match &entry.merged_by {
        Some(merged) => format!("{}, merged by {}", neutral_line(&entry.by, 40), neutral_line(merged, 40)),
        None => neutral_line(&entry.by, 40),
    };
    vec![
        minute(entry.at),
        entry.app.to_string(),
        entry.environment.to_string(),
        what,
        entry.source.as_ref().map_or_else(dash, |source| source.short().to_owned()),
        entry.lead.map_or_else(dash, lasting),
        who,
        entry.pull.map_or_else(dash, |number| format!("#{number}")),
    ]
}

/// In UTC, to the minute.
fn minute(at: Timestamp) -> String {
    at.strftime("%F %RZ").to_string()
}
