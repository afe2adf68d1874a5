//! `onramp logs`

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Report, Verdict};
use crate::engine::LogLine;
use crate::sandbox::status::{self, ServiceStatus};
use crate::sandbox::{Error, view};

/// Show what the sandbox's services wrote, merged.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp logs                the last lines of every service
  onramp logs web -f         follow one service
  onramp logs auth/api --tail 500
")]
pub struct Arguments {
    /// Only these services: `web`, or another app's `auth/api`
    services: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each service to begin with
    #[arg(long, value_name = "N", default_value_t = 100)]
    tail: u32,
}

#[derive(Serialize)]
struct Logs {
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    service: String,
    #[serde(flatten)]
    written: LogLine,
    #[serde(skip)]
    width: usize,
}

impl Line {
    fn text(&self) -> String {
        let name = format!("{:<width$}", self.service, width = self.width);
        format!("{} {}\n", console::style(name).cyan(), self.written.text)
    }
}

impl Arguments {
    /// Reads every service's output at once, in the order in which it comes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if self.follow && cx.json {
            return Err(Failure::usage("--follow never ends, and --json prints one document: use one of them"));
        }
        let id = view::id(&cx.project()?);
        let engine = cx.engine().await?;
        let mut chosen: Vec<ServiceStatus> = Vec::new();
        for service in &self.services {
            chosen.push(status::container(&engine, &id, service).await?);
        }
        if self.services.is_empty() {
            chosen = status::services(&engine, &id).await?;
        }
        if chosen.is_empty() {
            return Err(Error::NotUp { sandbox: id.to_string() }.into());
        }
        let width = chosen.iter().map(|service| service.service.len()).max().unwrap_or(0);
        let streams = chosen.into_iter().map(|service| {
            let lines = engine.logs(&service.container, Some(self.tail), self.follow);
            Box::pin(
                lines.map(move |line| line.map(|written| Line { service: service.service.clone(), written, width })),
            )
        });
        let mut merged = stream::select_all(streams);
        let mut all = Logs { lines: Vec::new() };
        while let Some(line) = merged.next().await {
            let line = line?;
            if cx.json {
                all.lines.push(line);
            } else if !output::print(&line.text()) {
                break;
            }
        }
        if cx.json {
            cx.report(&all);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for Logs {
    fn text(&self) -> String {
        self.lines.iter().map(Line::text).collect()
    }
}
