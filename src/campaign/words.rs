//! What a campaign says in commits and pull requests. Pure.

use std::fmt::Write;

use super::{Clash, changelog};
use crate::blocks::{Block, BlockId};
use crate::template::Command;
use crate::text::{neutral_line, shorten};
use crate::tree::Entry;
use crate::version::Version;

/// GitHub takes 65,536 characters.
const BODY_MAX: usize = 60_000;
/// Said in every commit of a campaign: a branch whose tip does not say it is somebody's own.
pub const TRAILER: &str = "Onramp-Campaign";
/// The most conflicts that are told one by one.
const CLASHES: usize = 100;

/// What a commit and a pull request of one repository say.
pub struct Words<'a> {
    /// The block as it will be.
    pub to: &'a Block,
    /// The version that the repository has.
    pub from: &'a Version,
    /// What a person must decide.
    pub clashes: &'a [Clash],
    /// How many files change.
    pub files: usize,
}

/// The branch that brings a block's version.
pub fn branch(block: &BlockId) -> String {
    // What git does not take in a branch's name is in no honest version.
    let version: String = block
        .version
        .to_string()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+') { c } else { '-' })
        .collect();
    format!("onramp/{}-{}", block.name, version.replace("..", "-").trim_matches('.'))
}

impl Words<'_> {
    /// The pull request's title, which is the commit's subject.
    pub fn title(&self) -> String {
        shorten(
            &neutral_line(&format!("Update {} from {} to {}", self.to.id.name, self.from, self.to.id.version), 200),
            120,
        )
    }

    /// The commit's message.
    pub fn commit_message(&self) -> String {
        let mut message = format!("{}\n\n", self.title());
        let changes = self.changelog();
        if !changes.is_empty() {
            let _ = writeln!(message, "{}\n", quiet(&changes));
        }
        if !self.clashes.is_empty() {
            let _ = writeln!(message, "Conflicts are left in {} places.\n", self.clashes.len());
        }
        let _ = writeln!(message, "To undo it: git revert this commit, or {}.\n", self.way_back());
        let _ = writeln!(message, "{TRAILER}: {}", neutral_line(&self.to.id.to_string(), 120));
        message
    }

    /// The pull request's body, in Markdown.
    pub fn body(&self, commit: &str) -> String {
        let mut body = format!(
            "Brings the building block `{}` from {} to {}: {} files change. What this repository changed itself stays.\n",
            self.to.id.name,
            code(&self.from.label("")),
            code(&self.to.id.version.label(&self.to.id.commit)),
            self.files
        );
        if !self.clashes.is_empty() {
            body.push_str("\n### Conflicts\n\nBoth the block and this repository changed the same places; both sides are kept:\n\n");
            for clash in self.clashes.iter().take(CLASHES) {
                let line = clash.line.map(|line| format!(":{line}")).unwrap_or_default();
                let _ = writeln!(
                    body,
                    "- {}: {}",
                    code(&format!("{}{line}", clash.path)),
                    quiet(&neutral_line(&clash.detail, 300))
                );
            }
            if self.clashes.len() > CLASHES {
                let _ = writeln!(body, "- and {} more", self.clashes.len() - CLASHES);
            }
        }
        let changes = self.changelog();
        if !changes.is_empty() {
            let _ = write!(
                body,
                "\n### What is new\n\n{}\n",
                quiet(&changes.replace("\n## ", "\n#### ").replacen("## ", "#### ", 1))
            );
        }
        let commands = self.commands();
        if !commands.is_empty() {
            body.push_str("\n### Not run\n\nA campaign runs nothing. After this update the block would run:\n\n");
            for command in commands {
                let _ = writeln!(body, "- {}", code(&command));
            }
        }
        let _ = write!(
            body,
            "\n### How to undo it\n\nBefore it is merged: close this pull request. Afterwards: `git revert {}`, or `{}`.\n",
            &commit[..commit.len().min(12)],
            self.way_back()
        );
        shorten(&body, BODY_MAX)
    }

    /// What the block's own update would run, as its texts stand.
    fn commands(&self) -> Vec<String> {
        let actions = &self.to.template.actions;
        let migrations = actions.migrations.iter().map(|migration| &migration.task);
        let shown = |command: &Command| match command {
            Command::Shell(line) => line.clone(),
            Command::Words(words) => words.join(" "),
        };
        actions.tasks.iter().chain(migrations).map(|task| shown(&task.command)).collect()
    }

    fn way_back(&self) -> String {
        neutral_line(&format!("onramp update {} --to {}", self.to.id.name, self.from), 160)
    }

    /// The block's own words about the versions between, without what a terminal or a mention would act on.
    fn changelog(&self) -> String {
        let text = self.to.template.source.get(changelog::FILE).and_then(Entry::text).unwrap_or_default();
        crate::text::neutral(&changelog::between(&text, self.from, &self.to.id.version))
    }
}

/// Text in Markdown that is shown as it is.
fn code(text: &str) -> String {
    format!("`{}`", neutral_line(text, 200).replace('`', "'"))
}

/// Somebody's words, unable to call other people: a mention needs its `@` right before the name.
fn quiet(words: &str) -> String {
    words.replace('@', "@\u{200b}")
}
