//! What `onramp update` shows: a line a file, the diff of a dry run, what is left to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

use serde::Serialize;

use super::commands::Commands;
use super::diff;
use crate::blocks::update::{Plan, Updated};
use crate::cli::output;
use crate::cli::permission::{declared_lines, run_lines};
use crate::merge::{Change, Conflict};
use crate::project::{Scaffolded, lock};
use crate::template::run::Shown;
use crate::text;
use crate::tree::TreePath;
use crate::trust::Capability;

/// The most lines of a list that a person is shown.
const MOST: usize = 40;
/// The most lines of a diff that a terminal is shown.
const MOST_LINES: usize = 400;

/// What will be updated, and after that what was.
#[derive(Serialize)]
pub struct Report {
    project: String,
    blocks: Vec<Updated>,
    files: Vec<File>,
    conflicts: Vec<Conflict>,
    /// What the blocks run, in order.
    runs: Vec<Shown>,
    /// What that reads outside and sends, as its authors say.
    declares: Vec<Capability>,
    /// Whether that was left out, because conflicts are left.
    not_run: bool,
    done: bool,
    next: Vec<String>,
    #[serde(skip)]
    dry_run: bool,
}

/// One file that changes.
#[derive(Serialize)]
struct File {
    path: TreePath,
    change: What,
    /// Where it was, if it moved.
    from: Option<TreePath>,
    diff: String,
}

/// What becomes of a file.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Added,
    Modified,
    Deleted,
    Moved,
}

impl What {
    fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified => 'M',
            Self::Deleted => 'D',
            Self::Moved => 'R',
        }
    }
}

impl Report {
    /// Of a project that has nothing to follow.
    pub fn up_to_date(place: &Scaffolded) -> Self {
        Self {
            project: place.name(),
            blocks: Vec::new(),
            files: Vec::new(),
            conflicts: Vec::new(),
            runs: Vec::new(),
            declares: Vec::new(),
            not_run: false,
            done: true,
            next: Vec::new(),
            dry_run: false,
        }
    }

    /// Of a plan. The diffs are made for dry runs only.
    pub fn new(place: &Scaffolded, plan: &Plan, commands: &Commands, dry_run: bool) -> Self {
        let moved_to: BTreeMap<&TreePath, &TreePath> = plan.moved.iter().map(|(from, to)| (to, from)).collect();
        let moved_from: BTreeSet<&TreePath> = plan.moved.iter().map(|(from, _)| from).collect();
        let entry = |path: &TreePath| plan.changes.iter().find(|change| change.path == *path);
        let file = |change: &Change| {
            let from = moved_to.get(&change.path).copied();
            let what = match (&change.before, &change.after) {
                (None, _) if from.is_some() => What::Moved,
                (None, _) => What::Added,
                (_, None) => What::Deleted,
                _ => What::Modified,
            };
            let before = match from.and_then(entry) {
                Some(source) if change.before.is_none() => source.before.clone(),
                _ => change.before.clone(),
            };
            let shown = Change { path: change.path.clone(), before, after: change.after.clone() };
            let diff = if dry_run { diff::unified(&shown, from) } else { String::new() };
            File { path: change.path.clone(), change: what, from: from.cloned(), diff }
        };
        let gone = |change: &&Change| !(change.after.is_none() && moved_from.contains(&change.path));
        Self {
            project: place.name(),
            blocks: plan.blocks.clone(),
            files: plan.changes.iter().filter(gone).map(file).collect(),
            conflicts: plan.conflicts.clone(),
            runs: commands.shown(),
            declares: commands.declared(),
            not_run: false,
            done: false,
            next: Vec::new(),
            dry_run,
        }
    }

    /// It is done; with or without what was to run at the end.
    pub fn done(&mut self, commands: &Commands) {
        self.done = true;
        let last = commands.last();
        self.not_run = !last.is_empty() && !self.conflicts.is_empty();
        if self.not_run {
            self.runs = last;
        }
        let diff = if self.conflicts.is_empty() { "git diff" } else { "git diff --check" };
        self.next = vec![diff.to_owned(), "onramp update --undo".to_owned()];
    }

    fn title(&self) -> String {
        if self.blocks.is_empty() {
            return "what other tools rendered is taken over".to_owned();
        }
        let blocks = self.blocks.iter().map(|block| {
            let (from, to) = (block.from.to_string(), block.to.to_string());
            let came = if from == to { String::new() } else { format!("{} → ", version(&from)) };
            format!("{} {came}{}", block.name, version(&to))
        });
        blocks.collect::<Vec<_>>().join(", ")
    }

    fn conflict_lines(&self) -> Vec<String> {
        let line = |conflict: &Conflict| {
            let place = conflict.line.map_or_else(String::new, |line| format!(":{line}"));
            let path = text::neutral_line(conflict.path.as_str(), 200);
            format!("  C {path}{place}: {}", text::neutral_line(&conflict.detail, 300))
        };
        capped(self.conflicts.iter().map(line).collect(), "conflicts")
    }

    fn file_lines(&self) -> Vec<String> {
        let shown = |path: &TreePath| text::neutral_line(path.as_str(), 200);
        let line = |file: &File| match &file.from {
            Some(from) => format!("  {} {} → {}", file.change.letter(), shown(from), shown(&file.path)),
            None => format!("  {} {}", file.change.letter(), shown(&file.path)),
        };
        capped(self.files.iter().map(line).collect(), "files")
    }

    fn diff(&self) -> String {
        let files = self.files.iter().filter(|file| file.path.as_str() != lock::FILE);
        let all = files.map(|file| format!("\n{}", file.diff)).collect::<Vec<_>>().concat();
        let terminal = std::io::stdout().is_terminal();
        let mut lines: Vec<&str> = all.split_inclusive('\n').collect();
        let left = if terminal { lines.len().saturating_sub(MOST_LINES) } else { 0 };
        lines.truncate(lines.len() - left);
        let mut shown = lines.concat();
        if console::colors_enabled() {
            shown = diff::coloured(&shown);
        }
        if left > 0 {
            shown.push_str(&format!("\n… {left} more lines: onramp update --dry-run --color always | less -R\n"));
        }
        shown
    }
}

impl output::Report for Report {
    fn text(&self) -> String {
        if self.files.is_empty() {
            return format!("{} is up to date\n", text::neutral_line(&self.project, 80));
        }
        let (title, project) = (self.title(), text::neutral_line(&self.project, 80));
        if self.done {
            let files = text::neutral_line(&format!("{title} in {project}: {} files changed", self.files.len()), 300);
            let mut lines = match self.conflicts.len() {
                0 => vec![format!("{files}; nothing is committed yet")],
                count => vec![format!("{files}; {count} conflicts are for you to decide")],
            };
            lines.extend(self.conflict_lines());
            if self.not_run {
                lines.push("  because of the conflicts these were not run; run them once you have decided:".to_owned());
                lines.extend(run_lines(self.runs.iter()));
            }
            lines.extend(self.next.iter().map(|next| format!("  next: {next}")));
            return lines.join("\n") + "\n";
        }
        let mut lines = vec![text::neutral_line(&format!("{title} in {project}"), 300)];
        for block in &self.blocks {
            let answers = block.answers.iter().map(|(id, value)| {
                format!("  {} = {}", text::neutral_line(id, 80), text::neutral_line(&value.to_string(), 120))
            });
            lines.extend(answers);
        }
        lines.extend(self.file_lines());
        lines.extend(self.conflict_lines());
        lines.extend(run_lines(self.runs.iter()));
        lines.extend(declared_lines(&self.declares));
        let mut text = lines.join("\n") + "\n";
        if self.dry_run {
            text.push_str(&self.diff());
        }
        text
    }
}

fn version(text: &str) -> &str {
    if text.is_empty() { "(not versioned)" } else { text }
}

fn capped(mut lines: Vec<String>, what: &str) -> Vec<String> {
    let left = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if left > 0 {
        lines.push(format!("  … and {left} more {what}; --json names all"));
    }
    lines
}
