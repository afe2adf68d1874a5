//! What the commands that propose a change of the state repository show: what they plan, and what came of it.

use std::fmt::Write;

use serde::Serialize;

use super::asking::Asking;
use super::context::Context;
use super::failure::Failure;
use super::forge::{Desk, headline, missing};
use super::output::{Report, Verdict};
use crate::forge::PullRequest;
use crate::git::Commit;
use crate::images::contents::Reader;
use crate::reference::ImageRef;
use crate::release::deployment::Plan;
use crate::release::draft::{Draft, Kind, Section};
use crate::release::proposal::{self, Changed, Merging, Outcome};
use crate::release::{Finding, contents, gate};
use crate::text::{neutral_line, table};

/// The result.
#[derive(Serialize)]
struct Proposed {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullRequest>,
    /// Whether the open one that was brought up to date was a draft before.
    #[serde(skip_serializing_if = "Option::is_none")]
    was_draft: Option<bool>,
    changes: Vec<Changed>,
    superseded: Vec<u64>,
    missing: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
    next: Vec<String>,
    #[serde(skip)]
    text: String,
}

/// Proposes a draft that was shown, and reports. With [`Merging::Now`] what is not let through is an error, and stays proposed.
pub async fn propose(
    cx: &Context,
    desk: &Desk,
    mut draft: Draft,
    merging: Merging,
    asking: &Asking,
) -> Result<Verdict, Failure> {
    let reader = Reader::new(&cx.paths.cache, false, &cx.registries, cx.observer.clone());
    cx.waiting("compare images", contents::compare(&reader, &mut draft)).await;
    let nothing = nothing(&draft);
    let files = draft.sections.iter().map(|section| section.file.clone()).collect();
    // What is waited for comes before a merge.
    let first = if asking.waits() { Merging::Later } else { merging };
    let mut outcome = proposal::propose(&desk.place(), draft, first).await?;
    if let Outcome::Proposed { pull, gate, merged, .. } = &mut outcome
        && merged.is_none()
    {
        **pull = asking.about(cx, desk, (**pull).clone(), files).await?;
        if asking.waits() {
            **pull = asking.waited(cx, desk, pull).await?;
            *gate = desk.examine(pull).await?;
            if merging.merges(gate) {
                *merged = Some(gate::merge(&*desk.forge, pull, gate).await?);
            }
        }
    }
    let refused = match &outcome {
        Outcome::Proposed { pull, gate, merged: None, .. } if merging == Merging::Now => gate.require(pull.number),
        _ => Ok(()),
    };
    if let Err(error) = refused {
        if !cx.json {
            cx.report(&told(outcome, nothing));
        }
        return Err(error.into());
    }
    cx.report(&told(outcome, nothing));
    Ok(Verdict::Ok)
}

/// What is said where nothing changes.
fn nothing(draft: &Draft) -> String {
    let apps: Vec<&str> = draft.unchanged.iter().map(crate::name::Name::as_str).collect();
    let apps = apps.join(", ");
    match &draft.kind {
        Kind::Deployment => {
            format!("{} declares {apps} exactly as this commit has it; nothing to propose\n", draft.environment)
        }
        Kind::Promotion { from, .. } if apps.is_empty() => {
            format!("{from} and {} declare no app both; nothing to propose\n", draft.environment)
        }
        Kind::Promotion { from, .. } => {
            format!("{} declares already what {from} has of {apps}; nothing to propose\n", draft.environment)
        }
        Kind::Rollback { .. } => format!("{} declares {apps} exactly so; nothing to propose\n", draft.environment),
    }
}

fn told(outcome: Outcome, nothing: String) -> Proposed {
    let Outcome::Proposed { pull, changes, before, superseded, gate, merged } = outcome else {
        return Proposed {
            outcome: "nothing",
            pull: None,
            was_draft: None,
            changes: Vec::new(),
            superseded: Vec::new(),
            missing: Vec::new(),
            commit: None,
            next: Vec::new(),
            text: nothing,
        };
    };
    let mut next = gate::commands(pull.number, &gate.findings);
    let (outcome, verb) = match (&merged, &before) {
        (Some(_), _) => ("merged", "merged"),
        (None, None) => ("opened", "opened"),
        (None, Some(_)) => ("updated", "up to date"),
    };
    let mut text = format!("{verb}: {}\n{}", headline(&pull), changed(&changes));
    let was_draft = before.map(|before| before.draft);
    if let Some(was_draft) = was_draft.filter(|was_draft| *was_draft != pull.draft) {
        text.push_str(if was_draft { "  it was a draft, and is ready now\n" } else { "  it is a draft now\n" });
    }
    if !superseded.is_empty() {
        let numbers: Vec<String> = superseded.iter().map(|number| format!("#{number}")).collect();
        let _ = writeln!(text, "  takes the place of {}", numbers.join(", "));
    }
    text.push_str(&missing(pull.number, &gate));
    if merged.is_none() && gate.is_open() {
        next.push(format!("onramp pr merge {}", pull.number));
        let _ = writeln!(text, "  next:    onramp pr merge {}", pull.number);
    }
    let _ = writeln!(text, "  see:     {}", neutral_line(&pull.url, 300));
    let missing = gate.findings;
    Proposed { outcome, pull: Some(*pull), was_draft, changes, superseded, missing, commit: merged, next, text }
}

fn short(image: &ImageRef) -> String {
    image.digest().map_or_else(String::new, |digest| digest.short().to_owned())
}

/// The images that change, with their apps where there are several.
fn changed(changes: &[Changed]) -> String {
    let several = changes.windows(2).any(|pair| pair[0].app != pair[1].app);
    let row = |Changed { app, change }: &Changed| {
        let from = change.from.as_ref().map_or_else(|| "new".to_owned(), short);
        let service = if several { format!("  {app}/{}", change.service) } else { format!("  {}", change.service) };
        vec![service, format!("{from} -> {}", short(&change.to)), change.to.repository()]
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
        row("propose", self.branch.clone(), format!("as {}", pull_request(self.unready)));
        let hotfix = self.hotfix.as_ref().map(|reason| format!(", a hotfix: {}", neutral_line(reason, 300)));
        let hotfix = hotfix.unwrap_or_default();
        format!("Deploy {} {} to {}{hotfix}\n{}", self.app, self.source.short(), self.environment, table(&rows))
    }
}

impl Report for Draft {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for section in &self.sections {
            rows_of(section, &mut rows);
        }
        let mut text = match &self.kind {
            Kind::Deployment => format!("Deploy to {}\n", self.environment),
            Kind::Promotion { from, at, .. } => {
                format!("Promote from {from} as of {} to {}\n", at.short(), self.environment)
            }
            Kind::Rollback { to } => {
                format!("Put {} back to what it declared since {}\n", self.environment, to.short())
            }
        };
        text.push_str(&table(&rows));
        let names =
            |names: &[crate::name::Name]| names.iter().map(crate::name::Name::as_str).collect::<Vec<_>>().join(", ");
        if !self.unchanged.is_empty() {
            let _ = writeln!(text, "  nothing to change: {}", names(&self.unchanged));
        }
        if !self.new_ones.is_empty() {
            let _ =
                writeln!(text, "  not in {} yet, to be promoted by name: {}", self.environment, names(&self.new_ones));
        }
        if !self.sections.is_empty() {
            let _ = writeln!(text, "  propose {} as {}", self.branch, pull_request(self.unready));
        }
        text
    }
}

fn pull_request(unready: bool) -> &'static str {
    if unready { "a draft of a pull request" } else { "a pull request" }
}

/// What is shown of an app.
fn rows_of(section: &Section, rows: &mut Vec<Vec<String>>) {
    let app = &section.app;
    for change in &section.changes {
        let from = change.from.as_ref().map_or_else(|| "new".to_owned(), short);
        rows.push(vec![
            format!("  {app}/{}", change.service),
            "image".to_owned(),
            format!("{from} -> {}", short(&change.to)),
        ]);
    }
    let side = |side: &Option<String>| side.as_deref().map_or_else(|| "-".to_owned(), |text| neutral_line(text, 60));
    for change in &section.settings {
        rows.push(vec![
            format!("  {app}/{}", change.service),
            neutral_line(&change.key, 60),
            format!("{} -> {}", side(&change.from), side(&change.to)),
        ]);
    }
    for change in &section.stays {
        rows.push(vec![
            format!("  {app}/{}", change.service),
            neutral_line(&change.key, 60),
            format!("stays {} (there {})", side(&change.from), side(&change.to)),
        ]);
    }
    for service in &section.kept {
        rows.push(vec![format!("  {app}/{service}"), String::new(), "stays (not there)".to_owned()]);
    }
}

impl Report for Proposed {
    fn text(&self) -> String {
        self.text.clone()
    }
}
