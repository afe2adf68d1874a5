//! What a pull request says of one app.

use std::fmt::Write;

use super::{code, picture, plain};
use crate::project::service::is_secret_name;
use crate::reference::ImageRef;
use crate::release::draft::{Draft, Kind, Section};
use crate::state::diff::Change;
use crate::text::{neutral_line, shorten, without_mentions};

/// What is told of images' insides, at most: the rest must have its place.
const IMAGES_MAX: usize = 24_000;
/// The most rows of a table, and lines of a list.
const ROWS: usize = 60;
/// The longest value of a setting, in characters.
const VALUE: usize = 120;

/// Everything about an app, in `room` characters: what does not fit goes from the insides of images first.
pub fn render(draft: &Draft, section: &Section, room: usize) -> String {
    let mut above = what(draft, section);
    above.push_str(&images(section));
    above.push_str(&settings(section));
    above.push_str(&commits(section));
    above.push_str(&tests(section));
    above.push_str(&migrations(section));
    above.push_str(&needed_by(section));
    let way = picture::render(&section.background.path, &draft.environment);
    if !way.is_empty() {
        let _ = write!(above, "\n### The way\n\n{way}");
    }
    let below = format!("\n### Rolling back\n\n{}", back(draft, section));
    let room = room.saturating_sub(below.chars().count());
    let inside = inside(section, room.saturating_sub(above.chars().count()).min(IMAGES_MAX));
    let mut text = whole_lines(&format!("{above}{inside}"), room);
    text.push_str(&below);
    text
}

/// At most so many characters, cut between lines, outside of a block of code.
fn whole_lines(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let (mut out, mut fenced, mut length) = (String::new(), false, 0);
    for line in text.lines() {
        length += line.chars().count() + 1;
        if length + 20 > room {
            break;
        }
        fenced ^= line.starts_with("```");
        let _ = writeln!(out, "{line}");
    }
    if fenced {
        out.push_str("```\n");
    }
    out.push_str("\n… and more.\n");
    out
}

fn what(draft: &Draft, section: &Section) -> String {
    let (app, environment) = (&section.app, &draft.environment);
    let source = section.source.as_ref();
    let of = source.map(|source| format!(", source commit `{source}`")).unwrap_or_default();
    let mut text = match &draft.kind {
        Kind::Deployment => match source {
            Some(source) => format!("Brings `{app}` in `{environment}` to source commit `{source}`.\n"),
            None => format!("Changes `{app}` in `{environment}`.\n"),
        },
        Kind::Promotion { from, at, .. } => {
            format!("Brings `{app}` in `{environment}` to what `{from}` declares at `{}`{of}.\n", at.short())
        }
        Kind::Rollback { to } => {
            format!("Puts `{app}` in `{environment}` back to exactly what it declared since `{}`{of}.\n", to.short())
        }
    };
    if let Some(reason) = &section.hotfix {
        let _ = writeln!(text, "\n**A hotfix, past the environment before**: {}\n", plain(reason, 400));
    }
    if let Some(previous) = &section.background.previous {
        let _ = match source {
            Some(source) if source == previous => writeln!(text, "It runs that source now."),
            Some(source) => {
                let range = format!("`git log {}..{}`", previous.short(), source.short());
                let pages = section.background.pages.as_ref();
                let link = pages.map(|pages| format!(", [compare]({})", pages.compare(previous, source)));
                writeln!(text, "It runs `{previous}` now ({range}{}).", link.unwrap_or_default())
            }
            None => writeln!(text, "It runs `{previous}` now."),
        };
    }
    text
}

fn images(section: &Section) -> String {
    if section.changes.is_empty() {
        return String::new();
    }
    let mut text = "\n| service | now | proposed |\n|---|---|---|\n".to_owned();
    for change in section.changes.iter().take(ROWS) {
        let image = |image: &ImageRef| code(&image.to_string(), 400);
        let from = change.from.as_ref().map_or_else(|| "not declared".to_owned(), image);
        let _ = writeln!(text, "| {} | {from} | {} |", change.service, image(&change.to));
    }
    text + &more(section.changes.len())
}

fn settings(section: &Section) -> String {
    let mut text = String::new();
    let table = |changes: &[Change], head: &str| {
        let mut text = format!("| service | setting | {head} |\n|---|---|---|---|\n");
        for change in changes.iter().take(ROWS) {
            let side = |side: &Option<String>| shown(&change.key, side.as_deref());
            let (from, to) = (side(&change.from), side(&change.to));
            let _ = writeln!(text, "| {} | {} | {from} | {to} |", change.service, code(&change.key, VALUE));
        }
        text + &more(changes.len())
    };
    if !section.settings.is_empty() {
        let _ = write!(text, "\n### Settings\n\n{}", table(&section.settings, "now | proposed"));
    }
    if !section.stays.is_empty() {
        let _ = write!(text, "\nThe environment's own, and stays:\n\n{}", table(&section.stays, "here | there"));
    }
    if !section.kept.is_empty() {
        let kept: Vec<String> = section.kept.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "\nNot declared there, and stays: {}.", kept.join(", "));
    }
    text
}

/// A value of a setting. What a variable is that looks like a secret, nobody is told.
fn shown(key: &str, value: Option<&str>) -> String {
    match value {
        None => "-".to_owned(),
        Some(_) if key.strip_prefix("env.").is_some_and(|name| !name.ends_with(".secret") && is_secret_name(name)) => {
            "(not shown)".to_owned()
        }
        Some(value) => code(value, VALUE),
    }
}

fn commits(section: &Section) -> String {
    let commits = &section.background.commits;
    if commits.is_empty() {
        return String::new();
    }
    let mut text = "\n### Commits since\n\n".to_owned();
    for entry in commits.iter().take(ROWS) {
        let short = entry.commit.short();
        let id = match &section.background.pages {
            Some(pages) => format!("[`{short}`]({})", pages.commit(&entry.commit)),
            None => format!("`{short}`"),
        };
        let _ = writeln!(text, "- {id} {} ({})", plain(&entry.summary, 120), plain(&entry.author, 60));
    }
    text + &more(commits.len())
}

fn tests(section: &Section) -> String {
    let evidence = &section.evidence;
    let mut text = "\n### Tests\n\n".to_owned();
    if evidence.tests.is_empty() {
        text.push_str("None ran on this commit.\n");
    } else {
        text.push_str("| test | result |\n|---|---|\n");
        for (test, passed) in evidence.tests.iter().take(ROWS) {
            let _ = writeln!(text, "| {test} | {} |", if *passed { "passed" } else { "**failed**" });
        }
        text.push_str(&more(evidence.tests.len()));
    }
    if let Some(mixed) = &evidence.mixed {
        let result = |(test, passed)| format!("{test} {}", if passed { "passed" } else { "**failed**" });
        let results: Vec<String> = mixed.tests.iter().map(|(test, passed)| result((test, *passed))).collect();
        let with = code(&mixed.with.join(", "), 500);
        let _ = writeln!(text, "\nTogether with {with}, which counts for no policy: {}.", results.join(", "));
    }
    if let Some(parity) = &evidence.parity {
        let _ = writeln!(text, "\nIn the sandbox: {}", without_mentions(&neutral_line(parity, 500)));
    }
    if let Some(commit) = &evidence.state_commit {
        let _ = writeln!(text, "\nTested against the state repository at `{commit}`.");
    }
    text
}

/// The programs that change data before what is proposed takes over.
fn migrations(section: &Section) -> String {
    let changed = |name: &str| section.changes.iter().any(|change| change.service.as_str() == name);
    let lines: String = section
        .services
        .iter()
        .filter(|(name, _)| changed(name.as_str()))
        .filter_map(|(name, service)| {
            let program = service.migrate.as_ref()?.join(" ");
            Some(format!("- `{name}` runs {} before the new image takes over\n", code(&program, 200)))
        })
        .take(ROWS)
        .collect();
    if lines.is_empty() { lines } else { format!("\n### Migrations\n\n{lines}") }
}

fn needed_by(section: &Section) -> String {
    let needed = &section.background.needed_by;
    let lines: String =
        needed.iter().map(|(who, what)| format!("- `{who}` needs `{}/{what}`\n", section.app)).collect();
    if lines.is_empty() { lines } else { format!("\n### Who needs it here\n\n{lines}") }
}

fn inside(section: &Section, room: usize) -> String {
    let mut out = String::new();
    for (service, difference) in &section.evidence.images {
        let _ = write!(out, "\n### Inside the image of {service}\n\n{difference}");
    }
    if out.chars().count() <= room { out } else { format!("{}\n", shorten(&out, room.saturating_sub(1))) }
}

fn back(draft: &Draft, section: &Section) -> String {
    let (app, environment) = (&section.app, &draft.environment);
    if section.changes.iter().all(|change| change.from.is_none()) && section.settings.is_empty() {
        return format!("Nothing ran here before. Remove what is added to `{}`.\n", section.file);
    }
    // A change of settings only is no deployment to go back by.
    let to = if section.changes.is_empty() { format!(" --to {}", draft.base.short()) } else { String::new() };
    let command = format!("onramp rollback {environment} {app}{to}");
    format!("Once it is merged; by digest, without a build:\n\n```sh\n{command}\n```\n")
}

fn more(count: usize) -> String {
    if count > ROWS { format!("\nAnd {} more.\n", count - ROWS) } else { String::new() }
}
