//! What `onramp deploy` shows: its plan before, and what came of it.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::forge::{headline, missing};
use crate::cli::output::Report;
use crate::forge::PullRequest;
use crate::release::deployment::{Change, Plan};
use crate::release::proposal::Outcome;
use crate::release::{Finding, gate};
use crate::text::table;

/// The result.
#[derive(Serialize)]
pub struct Proposed {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullRequest>,
    changes: Vec<Change>,
    missing: Vec<Finding>,
    next: Vec<String>,
    #[serde(skip)]
    text: String,
}

/// What a deployment came to.
pub fn proposed(plan: &Plan, outcome: Outcome) -> Proposed {
    let Plan { app, environment, source, .. } = plan;
    let Outcome::Proposed { pull, changes, new, gate, merged } = outcome else {
        let text =
            format!("{environment} declares {app} exactly as source {} has it; nothing to propose\n", source.short());
        return Proposed {
            outcome: "nothing",
            pull: None,
            changes: Vec::new(),
            missing: Vec::new(),
            next: Vec::new(),
            text,
        };
    };
    let mut next = gate::commands(pull.number, &gate.findings);
    let (outcome, verb) = match (&merged, new) {
        (Some(_), _) => ("merged", "merged"),
        (None, true) => ("opened", "opened"),
        (None, false) => ("updated", "up to date"),
    };
    let mut text = format!("{verb}: {}\n{}{}", headline(&pull), changed(&changes), missing(pull.number, &gate));
    if merged.is_none() && gate.is_open() {
        next.push(format!("onramp pr merge {}", pull.number));
        let _ = writeln!(text, "  next:    onramp pr merge {}", pull.number);
    }
    let _ = writeln!(text, "  see:     {}", crate::text::neutral_line(&pull.url, 300));
    Proposed { outcome, pull: Some(*pull), changes, missing: gate.findings, next, text }
}

fn changed(changes: &[Change]) -> String {
    let short = |image: &crate::reference::ImageRef| {
        image.digest().map(crate::reference::Digest::short).or(image.tag()).unwrap_or_default().to_owned()
    };
    let row = |change: &Change| {
        let from = change.from.as_ref().map_or_else(|| "new".to_owned(), short);
        vec![format!("  {}", change.service), format!("{from} -> {}", short(&change.to)), change.to.repository()]
    };
    table(&changes.iter().map(row).collect::<Vec<_>>())
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |verb: &str, what: String, how: String| rows.push(vec![format!("  {verb}"), what, how]);
        for build in &self.builds {
            row("build", build.image.to_string(), format!("on {}", build.base.repository()));
            row("push", build.image.to_string(), String::new());
        }
        for (service, image) in &self.reused {
            row("reuse", image.repository(), format!("for {service}, built from this commit before"));
        }
        for service in self.added.keys() {
            row("add", format!("services.{service}"), format!("{} does not declare it", self.environment));
        }
        row("edit", self.file.clone(), "in the state repository".to_owned());
        row("propose", self.branch.clone(), "as a pull request".to_owned());
        format!("Deploy {} {} to {}\n{}", self.app, self.source.short(), self.environment, table(&rows))
    }
}

impl Report for Proposed {
    fn text(&self) -> String {
        self.text.clone()
    }
}
