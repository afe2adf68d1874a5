//! What a pull request says about itself: its commit's message, its title and body. Pure.
//!
//! Values of declarations and words of commits are whatever somebody wrote: they stand in code spans or are escaped, and call nobody.

mod picture;
mod section;

use std::fmt::Write;

use super::Trailers;
use super::draft::{Draft, Kind, Section};
use crate::text::{neutral_line, shorten, without_mentions};

/// GitHub takes 65,536 characters.
const BODY_MAX: usize = 60_000;
const TITLE_MAX: usize = 200;
const MESSAGE_MAX: usize = 4_000;
/// The most apps that a train's table names.
const APPS_MAX: usize = 200;
/// Below so many characters a section says nothing that the table of apps does not say.
const SECTION_MIN: usize = 800;

/// The pull request's title, which is the commit's subject.
pub fn title(draft: &Draft) -> String {
    let environment = &draft.environment;
    let app = |section: &Section| match &section.source {
        Some(source) => format!("{} {}", section.app, source.short()),
        None => section.app.to_string(),
    };
    let what = match draft.sections.as_slice() {
        [section] => app(section),
        sections => format!("{} apps", sections.len()),
    };
    let hotfix = draft.sections.iter().any(|section| section.hotfix.is_some());
    let title = match &draft.kind {
        Kind::Deployment if hotfix => format!("Hotfix {what} to {environment}"),
        Kind::Deployment => format!("Deploy {what} to {environment}"),
        Kind::Promotion { from, .. } => format!("Promote {what} from {from} to {environment}"),
        Kind::Rollback { .. } => format!("Roll back {environment} to {what}"),
    };
    shorten(&title, TITLE_MAX)
}

/// The commit's message, trailers last.
pub fn commit_message(draft: &Draft) -> String {
    let mut message = format!("{}\n\n", title(draft));
    if let Some(words) = &draft.message {
        let _ = writeln!(message, "{}\n", shorten(words.trim(), MESSAGE_MAX));
    }
    message.extend(draft.sections.iter().map(|section| section.trailers.to_string()));
    message
}

/// The pull request's body, in Markdown.
pub fn body(draft: &Draft) -> String {
    let mut body = String::new();
    if let Some(words) = &draft.message {
        let _ = writeln!(body, "{}\n", without_mentions(&shorten(words.trim(), MESSAGE_MAX)));
    }
    match draft.sections.as_slice() {
        [section] if !draft.is_train() => body.push_str(&section::render(draft, section, BODY_MAX - MESSAGE_MAX * 2)),
        sections => body.push_str(&train(draft, sections, BODY_MAX - MESSAGE_MAX * 2)),
    }
    shorten(&body, BODY_MAX)
}

/// What a release train says: its apps in a table, then each in what room there is.
fn train(draft: &Draft, sections: &[Section], room: usize) -> String {
    let mut text = String::new();
    if let Kind::Promotion { from, at, .. } = &draft.kind {
        let _ = writeln!(
            text,
            "Brings {} to `{}` what `{from}` declares at `{}`. All of it is merged together, or nothing.\n",
            if sections.len() == 1 { "one app".to_owned() } else { format!("{} apps", sections.len()) },
            draft.environment,
            at.short()
        );
    }
    text.push_str("| app | source | images | settings | tests |\n|---|---|---|---|---|\n");
    for section in sections.iter().take(APPS_MAX) {
        let source = section.source.as_ref().map_or("-", |source| source.short());
        let tests = match (section.evidence.tests.len(), section.evidence.tests.values().filter(|ok| !**ok).count()) {
            (0, _) => "none".to_owned(),
            (all, 0) => format!("{all} passed"),
            (all, failed) => format!("**{failed} of {all} failed**"),
        };
        let (images, settings) = (section.changes.len(), section.settings.len());
        let _ = writeln!(text, "| {} | {source} | {images} | {settings} | {tests} |", section.app);
    }
    if sections.len() > APPS_MAX {
        let _ = writeln!(text, "\nAnd {} more.", sections.len() - APPS_MAX);
    }
    let each = room.saturating_sub(text.chars().count()) / sections.len().max(1);
    if each < SECTION_MIN {
        text.push_str("\nThe changes of each app are in the difference of its file.\n");
        return text;
    }
    for section in sections {
        let rendered = section::render(draft, section, each.saturating_sub(100));
        let _ = write!(text, "\n## {}\n\n{rendered}", section.app);
    }
    text
}

/// A text in a code span, also within a table: on one line, without what would end it. A table's cell ends at `|` whatever stands
/// before it, for some readers.
fn code(text: &str, max: usize) -> String {
    let inside = neutral_line(text, max).replace('`', "'").replace('|', "¦");
    if inside.trim().is_empty() { "(empty)".to_owned() } else { format!("`{inside}`") }
}

/// Words on one line that Markdown, a forge or a reader takes for nothing but words.
fn plain(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in neutral_line(text, max).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '!' | '&' | '$' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    without_mentions(&out)
}

/// The author's words in a commit message: what stands between its subject and its trailers.
pub fn words(commit_message: &str) -> Option<&str> {
    if Trailers::parse(commit_message).is_empty() {
        return None;
    }
    let (_, rest) = commit_message.split_once("\n\n")?;
    let (words, _) = rest.trim_end().rsplit_once("\n\n")?;
    Some(words.trim()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests;
