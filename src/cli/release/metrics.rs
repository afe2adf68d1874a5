//! `onramp release metrics`

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::Span;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::files::{self, FileError};
use crate::name::Name;
use crate::release::history::{self, Filter};
use crate::release::metrics::{self, Metrics, Spread};
use crate::release::page;
use crate::task::blocking;
use crate::text::{lasting, table};

/// Show DORA's four figures: deployment frequency, lead time for changes, change failure rate, time to restore.
///
/// From the state repository's history alone. A deployment is a change of an app's images; it failed if a rollback or a hotfix of
/// the app came next.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp release metrics
  onramp release metrics shop --since 30d
  onramp release metrics --html deliveries.html
")]
pub struct Arguments {
    /// Only this app
    app: Option<Name>,
    /// The environment; where none is named, the last one in state.toml
    #[arg(long = "env", value_name = "ENV")]
    environment: Option<Name>,
    /// How far back: 30d, 12w
    #[arg(long, value_name = "TIME", default_value = "90d")]
    since: Span,
    /// Write one self-contained page with plots there, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Serialize)]
struct Told {
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<PathBuf>,
}

impl Arguments {
    /// Reads the history, counts, writes the page.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let state = crate::cli::state::open(cx).await?;
        let until = Timestamp::now();
        let since = until.checked_sub(self.since.0).map_err(|_| Failure::usage("`--since` goes back too far"))?;
        let (app, environment) = (self.app, self.environment);
        let counted = blocking(move || -> Result<Metrics, Failure> {
            let head = state.head()?;
            let rules = state.rules(&head)?;
            let environment = match environment {
                Some(name) => rules.environment(&name)?.name.clone(),
                None => match rules.environments.last() {
                    Some(last) => last.name.clone(),
                    None => return Err(Failure::usage("state.toml names no environment")),
                },
            };
            // All of it: what was deployed before may have failed since.
            let filter = Filter { app: app.clone(), environment: Some(environment.clone()), ..Filter::default() };
            let entries = history::read(&state, &head, &filter)?;
            Ok(metrics::of(&environment, app.as_ref(), &entries, since, until))
        });
        let metrics = cx.waiting("read the history", counted).await?;
        let html = self.html.map(|file| cx.dir.join(file));
        if let Some(file) = html.clone().filter(|_| !cx.dry_run) {
            let page = page::render(&metrics);
            blocking(move || -> Result<(), FileError> { files::write(&file, page.as_bytes()) }).await?;
        }
        cx.report(&Told { metrics, html });
        Ok(Verdict::Ok)
    }
}

impl Report for Told {
    fn text(&self) -> String {
        let Metrics { deployment_frequency, lead_time, change_failure_rate, time_to_restore, .. } = &self.metrics;
        let rate = change_failure_rate.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
        let row = |name: &str, value: String, more: String| vec![name.to_owned(), value, more];
        let spread = |spread: &Spread| {
            let value = spread.median.map_or_else(|| "-".to_owned(), lasting);
            let more = spread.p90.map(|p90| format!("median of {}; nine of ten within {}", spread.known, lasting(p90)));
            (value, more.unwrap_or_else(|| "nothing is known".to_owned()))
        };
        let (lead, lead_more) = spread(lead_time);
        let (restore, restore_more) = spread(time_to_restore);
        let mut text = format!(
            "{} in {}, {} to {}\n",
            self.metrics.app.as_ref().map_or("all apps", Name::as_str),
            self.metrics.environment,
            self.metrics.since.strftime("%F"),
            self.metrics.until.strftime("%F")
        );
        text.push_str(&table(&[
            row(
                "deployment frequency",
                format!("{} a week", deployment_frequency.per_week),
                format!("{} in all", deployment_frequency.count),
            ),
            row("lead time for changes", lead, lead_more),
            row("change failure rate", rate, format!("{} failed", change_failure_rate.failed)),
            row("time to restore", restore, restore_more),
        ]));
        if let Some(file) = &self.html {
            text.push_str(&format!("page: {}\n", file.display()));
        }
        text
    }
}
