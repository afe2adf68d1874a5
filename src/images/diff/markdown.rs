//! A difference in Markdown, for a pull request: bounded, and unable to format, link or call anybody. Values of variables are
//! left out: images have secrets in them that a pull request must not show.

use std::fmt::Write;

use super::{Changed, Diff, Direction, PackageChange};
use crate::text::{self, without_mentions};

/// The most characters.
pub const MAX: usize = 8_000;
/// The most packages that are named.
const PACKAGES: usize = 40;
/// The most settings that are named.
const SETTINGS: usize = 20;

/// The difference, without a heading.
pub fn render(diff: &Diff) -> String {
    let mut out = format!("{}\n", summary(diff));
    if !diff.packages.is_empty() {
        out.push_str("\n| package | | now | proposed |\n|---|---|---|---|\n");
        for package in diff.packages.iter().take(PACKAGES) {
            out.push_str(&row(package));
        }
        more(&mut out, diff.packages.len(), PACKAGES, "packages");
    }
    let settings = settings(diff);
    if !settings.is_empty() {
        out.push('\n');
        for line in settings.iter().take(SETTINGS) {
            let _ = writeln!(out, "- {line}");
        }
        more(&mut out, settings.len(), SETTINGS, "settings");
    }
    for side in [&diff.from, &diff.to] {
        for unread in side.unread.iter().take(5) {
            let _ =
                writeln!(out, "\nNot read in {}: {} ({})", code(&side.image), code(&unread.path), plain(&unread.why));
        }
    }
    text::shorten(&out, MAX)
}

/// One line: how many packages, how many layers, how large.
pub fn summary(diff: &Diff) -> String {
    if diff.is_empty() {
        return "Nothing differs in them.".to_owned();
    }
    let count = |wanted: Direction| diff.packages.iter().filter(|package| package.change == wanted).count();
    let names = [
        (Direction::Newer, "newer"),
        (Direction::Older, "older"),
        (Direction::Changed, "changed"),
        (Direction::Added, "added"),
        (Direction::Removed, "removed"),
    ];
    let counted = names.map(|(direction, name)| (count(direction), name));
    let counted: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    let packages = if counted.is_empty() { "the same".to_owned() } else { counted.join(", ") };
    let layers = &diff.layers;
    let new: u64 = layers.added.iter().map(|layer| layer.size).sum();
    format!(
        "Packages: {packages}. Layers: {} shared, {} new ({}), {} gone. Size: {} now, {} proposed.",
        layers.shared.len(),
        layers.added.len(),
        text::bytes(new),
        layers.removed.len(),
        text::bytes(diff.from.packed),
        text::bytes(diff.to.packed),
    )
}

fn row(package: &PackageChange) -> String {
    let versions = |versions: &[String]| match versions {
        [] => String::new(),
        versions => code(&text::shorten(&versions.join(", "), 120)),
    };
    let what = match package.change {
        Direction::Added => "added",
        Direction::Removed => "removed",
        Direction::Newer => "newer",
        Direction::Older => "**older**",
        Direction::Changed => "changed",
    };
    let name = code(&format!("{} {}", package.ecosystem.name(), package.name));
    format!("| {name} | {what} | {} | {} |\n", versions(&package.from), versions(&package.to))
}

fn settings(diff: &Diff) -> Vec<String> {
    let settings = &diff.settings;
    let mut lines = Vec::new();
    let mut value = |what: &str, change: Option<(Option<String>, Option<String>)>| {
        if let Some((from, to)) = change {
            let shown = |value: Option<String>| value.map_or_else(|| "none".to_owned(), |value| code(&value));
            lines.push(format!("{what}: {} now, {} proposed", shown(from), shown(to)));
        }
    };
    let words = |change: &Changed<Vec<String>>| {
        let joined = |words: &Option<Vec<String>>| words.as_ref().map(|words| words.join(" "));
        (joined(&change.from), joined(&change.to))
    };
    let text = |change: &Changed<String>| (change.from.clone(), change.to.clone());
    value("entrypoint", settings.entrypoint.as_ref().map(words));
    value("command", settings.command.as_ref().map(words));
    value("user", settings.user.as_ref().map(text));
    value("working directory", settings.workdir.as_ref().map(text));
    for (name, change) in &settings.labels {
        value(&format!("label {}", code(name)), Some(text(change)));
    }
    for (name, change) in &settings.env {
        let what = match (&change.from, &change.to) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        lines.push(format!("variable {} {what}", code(name)));
    }
    for (what, members) in [("port", &settings.ports), ("volume", &settings.volumes)] {
        lines.extend(members.added.iter().map(|member| format!("{what} {} added", code(member))));
        lines.extend(members.removed.iter().map(|member| format!("{what} {} removed", code(member))));
    }
    lines
}

/// Says how many are not named.
pub fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        let _ = writeln!(out, "\nand {} more {what}", all - shown);
    }
}

/// Text of an image's, as code: nothing in it is formatted, and it ends neither the code nor a table's cell.
pub fn code(text: &str) -> String {
    let text = text.replace('`', "'").replace('|', "¦").replace(['\n', '\r'], " ");
    match text.trim() {
        "" => "(empty)".to_owned(),
        text => format!("`{}`", without_mentions(&text::shorten(text, 200))),
    }
}

/// Text of onramp's own that may repeat some of an image's.
fn plain(text: &str) -> String {
    without_mentions(&text.replace(['`', '|', '<', '>', '[', ']', '*', '_'], " "))
}
