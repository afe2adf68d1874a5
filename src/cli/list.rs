//! `onramp list`

use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::many::{self, Found, Gone};
use crate::text;

/// List the sandboxes on this engine, of all projects.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp list
  onramp list --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct List {
    sandboxes: Vec<Found>,
}

impl Arguments {
    /// Asks the engine once.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        cx.report(&List { sandboxes: many::list(&cx.engine().await?, &cx.paths.state).await? });
        Ok(Verdict::Ok)
    }
}

impl Report for List {
    fn text(&self) -> String {
        if self.sandboxes.is_empty() {
            return "no sandboxes\n".to_owned();
        }
        let mut out = text::table(&self.sandboxes.iter().map(row).collect::<Vec<_>>());
        for url in self.sandboxes.iter().flat_map(|found| &found.named) {
            out.push_str(&format!("  {url}\n"));
        }
        out
    }
}

/// A sandbox in a line: its name, what is of it, how old that is, where it belongs.
pub fn row(found: &Found) -> Vec<String> {
    let services = match (found.running, found.containers) {
        (_, 0) => "data only".to_owned(),
        (running, all) if running == all => format!("{running} up"),
        (running, all) => format!("{running} of {all} up"),
    };
    let services = match found.gate {
        Some(gate) if gate.listens.is_none() => format!("{services}, its gate is gone"),
        _ => services,
    };
    let with: Vec<&str> = found.with.iter().map(String::as_str).collect();
    let services = if with.is_empty() { services } else { format!("{services}, with {}", with.join(", ")) };
    let age = found.last.map(|last| text::age(last, Timestamp::now())).unwrap_or_default();
    let directory = text::neutral_line(&found.directory.display().to_string(), 200);
    let place = match found.gone {
        None => directory,
        Some(Gone::Directory) => format!("{directory} (gone)"),
        Some(Gone::Branch) => format!("{directory} (its branch is gone)"),
        Some(Gone::Process) => format!("{directory} (the process that it should end with is gone)"),
    };
    vec![text::neutral_line(&found.sandbox, 120), services, age, place]
}
