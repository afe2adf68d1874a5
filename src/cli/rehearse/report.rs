//! What `onramp rehearse deploy` shows: what it will play, and what came of it.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::output::Report;
use crate::name::Name;
use crate::reference::ImageRef;
use crate::release::rehearsal::{Played, Rehearsed, Standing, Step};
use crate::text::{neutral, neutral_line, table};

/// The result.
#[derive(Serialize)]
pub struct Told {
    /// What was played; none where there was nothing to play.
    #[serde(skip_serializing_if = "Option::is_none")]
    rehearsed: Option<Played>,
    #[serde(flatten)]
    came_to: Option<Rehearsed>,
    #[serde(skip)]
    text: String,
}

/// Where the deployment would change nothing.
pub fn nothing(app: &Name, environment: &Name) -> Told {
    let text = format!("{environment} declares {app} like that already; nothing to rehearse\n");
    Told { rehearsed: None, came_to: None, text }
}

/// What a rehearsal came to.
pub fn rehearsed(played: Played, came_to: Rehearsed) -> Told {
    let mut text = String::new();
    step(&mut text, "deployment", &came_to.deployment);
    step(&mut text, "rollback  ", &came_to.rollback);
    let why =
        |why: &Option<String>| why.as_ref().map(|why| format!(": {}", neutral_line(why, 200))).unwrap_or_default();
    for answer in &came_to.answers {
        let path = neutral_line(&answer.path, 200);
        let _ = writeln!(text, "  answers     {path} {}{}", word(answer.standing), why(&answer.why));
    }
    for data in &came_to.data {
        let _ = writeln!(text, "  data        {} {}{}", data.service, word(data.standing), why(&data.why));
    }
    if played.checks.is_empty() {
        text.push_str("  data        not checked: no service of onramp.toml has a `check`\n");
    }
    let verdict = if came_to.passed {
        console::style("the deployment can be made, and taken back").green()
    } else {
        console::style("not as it should be").red()
    };
    let _ = writeln!(text, "{verdict}");
    Told { rehearsed: Some(played), came_to: Some(came_to), text }
}

fn step(text: &mut String, name: &str, step: &Step) {
    let healthy = match (&step.failed, step.healthy_ms) {
        (Some(broken), _) => {
            console::style(format!("failed: {}", neutral_line(&broken.message, 300))).red().to_string()
        }
        (None, ms) => format!("healthy after {} ms", ms.unwrap_or_default()),
    };
    let probe = &step.probe;
    let _ = writeln!(text, "  {name}  {healthy}");
    for line in step.failed.iter().filter_map(|broken| broken.hint.as_deref()).flat_map(str::lines) {
        let _ = writeln!(text, "                {}", neutral(line));
    }
    let _ = writeln!(
        text,
        "              down {} ms, at most {} ms at once; {} of {} requests failed",
        probe.downtime_ms, probe.longest_ms, probe.failed, probe.requests
    );
}

fn word(standing: Standing) -> String {
    match standing {
        Standing::Same => console::style("as before").green().to_string(),
        Standing::Changed => console::style("not as before").red().to_string(),
        Standing::Unsteady => console::style("changes by itself, so nobody can tell").yellow().to_string(),
    }
}

impl Report for Played {
    fn text(&self) -> String {
        let short = |image: &ImageRef| image.digest().map_or_else(String::new, |digest| digest.short().to_owned());
        let mut rows = Vec::new();
        let mut row = |verb: &str, what: String, how: String| rows.push(vec![format!("  {verb}"), what, how]);
        for change in &self.changes {
            let from = change.from.as_ref().map_or_else(|| "new".to_owned(), short);
            let to = change.to.as_ref().map_or_else(|| format!("built from {}", self.source.short()), short);
            let verb = if change.from.is_some() { "replace" } else { "add" };
            row(verb, change.service.to_string(), format!("{from} -> {to}"));
        }
        for (service, command) in &self.migrations {
            row("migrate", service.to_string(), neutral_line(&command.join(" "), 120));
        }
        row("probe", self.probe.service.to_string(), neutral_line(&self.probe.paths.join(" "), 200));
        for service in &self.checks {
            row("check", service.to_string(), "before, and after the way back".to_owned());
        }
        let (app, source) = (&self.app, self.source.short());
        let place = format!("{}@{}", self.environment, self.state_commit.short());
        format!("Rehearse the deployment of {app} {source} to {place}\n{}", table(&rows))
    }
}

impl Report for Told {
    fn text(&self) -> String {
        self.text.clone()
    }
}
