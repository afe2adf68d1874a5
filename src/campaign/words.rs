//! What a campaign says in commits and pull requests. Pure.

use std::fmt::Write;

use super::{Clash, Command, When, changelog};
use crate::blocks::{Block, BlockId};
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
    /// What an update runs. A campaign runs nothing.
    pub commands: &'a [Command],
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
            let count = self.clashes.len();
            let places = if count == 1 { "place" } else { "places" };
            let _ = writeln!(message, "Conflicts are left in {count} {places}.\n");
        }
        if !self.commands.is_empty() {
            message.push_str("Not run, and left to you:\n");
            for Command { when, words, directory, .. } in self.commands {
                let place = if directory.is_empty() { String::new() } else { format!(" in {}", quiet(directory)) };
                let _ = writeln!(message, "- {}{place}: {}", when.word(), quiet(words));
            }
            message.push('\n');
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
        body.push_str(&self.to_run());
        let _ = write!(
            body,
            "\n### How to undo it\n\nBefore it is merged: close this pull request. Afterwards: `git revert {}`, or `{}`.\n",
            &commit[..commit.len().min(12)],
            self.way_back()
        );
        shorten(&body, BODY_MAX)
    }

    /// What is left to those who merge it: what an update in the repository would run.
    fn to_run(&self) -> String {
        let mut out = String::new();
        if self.commands.is_empty() {
            return out;
        }
        out.push_str("\n### Not run\n\nOnly files came. What `onramp update` would also run here is left to you:\n");
        for (when, title) in [(When::Before, "Before this is merged:"), (When::After, "With these files in place:")] {
            let mut commands = self.commands.iter().filter(|command| command.when == when).peekable();
            if commands.peek().is_some() {
                let _ = writeln!(out, "\n{title}\n");
            }
            for Command { words, directory, place, .. } in commands {
                let directory = if directory.is_empty() { String::new() } else { format!(" in {}", code(directory)) };
                let _ = writeln!(out, "- {}{directory} ({})", code(words), quiet(place));
            }
        }
        out
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

/// Text in Markdown that is shown as it is: its fence is longer than any in it.
fn code(text: &str) -> String {
    let text = neutral_line(text, 1000);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest == 0 { "" } else { " " };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Somebody's words, unable to call other people: a mention needs its `@` right before the name.
fn quiet(words: &str) -> String {
    words.replace('@', "@\u{200b}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_shown_as_it_is() {
        for (text, shown) in [
            ("make setup", "`make setup`"),
            ("echo `date`", "`` echo `date` ``"),
            ("``", "``` `` ```"),
            ("a\nb\u{1b}", "`a b\\u{1b}`"),
        ] {
            assert_eq!(code(text), shown);
        }
    }
}
