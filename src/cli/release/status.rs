//! `onramp release status`

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::forge::Desk;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::release::overview::{self, Entry};
use crate::task::blocking;
use crate::text::{age, table};

/// Show what every environment runs: app, digests, source commit, age, open pull requests.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp release status
  onramp release status --env production
")]
pub struct Arguments {
    /// Only this environment
    #[arg(long = "env", value_name = "ENV")]
    environment: Option<Name>,
}

#[derive(Serialize)]
struct Status {
    releases: Vec<Entry>,
    #[serde(skip)]
    now: Timestamp,
}

impl Arguments {
    /// Reads the state repository and asks the forge for what is proposed.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let desk = Desk::open(cx).await?;
        let pulls = desk.forge.list().await?;
        let (state, head) = (desk.state.clone(), desk.head()?);
        let read = move || overview::read(&state, &head, self.environment.as_ref(), &pulls);
        cx.report(&Status { releases: blocking(read).await?, now: Timestamp::now() });
        Ok(Verdict::Ok)
    }
}

impl Report for Status {
    fn text(&self) -> String {
        if self.releases.is_empty() {
            return "nothing is declared\n".to_owned();
        }
        let head = ["app", "environment", "images", "source", "age", "open"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        for entry in &self.releases {
            let digests: Vec<String> = entry.digests.iter().map(|(s, d)| format!("{s} {}", d.short())).collect();
            let pulls: Vec<String> = entry.pulls.iter().map(|number| format!("#{number}")).collect();
            rows.push(vec![
                entry.app.to_string(),
                entry.environment.to_string(),
                digests.join(", "),
                entry.source.as_ref().map_or_else(|| "-".to_owned(), |source| source.short().to_owned()),
                entry.since.map_or_else(|| "-".to_owned(), |since| age(since, self.now)),
                pulls.join(" "),
            ]);
        }
        table(&rows)
    }
}
