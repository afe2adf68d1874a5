//! A campaign: one version of a block brought to many repositories, in waves, each on a branch of its own.
//!
//! Nothing of a repository changes but that branch: no work tree, no index, no HEAD, no file of anybody's. What was done
//! is written down after each repository, so that a campaign goes on after a kill.

pub mod changelog;
pub mod journal;
pub mod report;
pub mod run;
pub mod target;
pub mod visit;
pub mod wave;
pub mod words;

use serde::{Deserialize, Serialize};

pub use journal::Journal;
pub use run::Run;
pub use target::{Place, Target};
pub use visit::{Doing, Goal};
pub use wave::{Stop, Waves};

use crate::template::run::Shown;
use crate::tree::TreePath;

/// What came of one repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The repository, as it was named.
    pub repository: String,
    /// The wave that it was in, from 1.
    pub wave: usize,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What can come of a repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It does not have the block.
    Without,
    /// It has this version already.
    Current,
    /// A branch holds the update.
    Branched(Branch),
    /// A person must decide something first.
    Conflicts {
        /// The version that it has.
        from: String,
        /// What must be decided.
        conflicts: Vec<Clash>,
        /// The branch with the conflicts in it, where it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<Branch>,
        /// What an update would run, where there is no branch that tells it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        commands: Vec<Command>,
    },
    /// It could not be done.
    Failed {
        /// Why.
        message: String,
    },
}

/// A branch with an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The version that the repository has.
    pub from: String,
    /// Its name.
    pub name: String,
    /// The commit that it stands on.
    pub commit: String,
    /// How many files the update changes.
    pub files: usize,
    /// What an update would run, and a campaign does not, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// Where its pull request is; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<String>,
}

/// What an update would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// When it would.
    pub when: When,
    /// The command, neutral, one line.
    pub words: String,
    /// Where it would run, from the project's directory; nothing: there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// Where the template says so: `copier.yml:12`.
    pub place: String,
}

/// When an update runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the files change.
    Before,
    /// Once they have.
    After,
}

impl When {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl Command {
    /// The commands of an update: those before the files change, and those once they have.
    pub fn all([before, after]: &[Vec<Shown>; 2]) -> Vec<Self> {
        let before = before.iter().map(|shown| (When::Before, shown));
        let after = after.iter().map(|shown| (When::After, shown));
        let command = |(when, shown): (When, &Shown)| Self {
            when,
            words: shown.words.clone(),
            directory: if shown.directory == "." { String::new() } else { shown.directory.clone() },
            place: shown.place.clone(),
        };
        before.chain(after).map(command).collect()
    }
}

/// What a person must decide in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clash {
    /// The file.
    pub path: TreePath,
    /// The line, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What each side did.
    pub detail: String,
}

impl Outcome {
    /// Whether it counts for the stop rule.
    pub fn is_trouble(&self) -> bool {
        matches!(self, Self::Conflicts { .. } | Self::Failed { .. })
    }

    /// Whether the repository has the block, as far as that is known.
    pub fn has_block(&self) -> bool {
        !matches!(self, Self::Without)
    }

    /// The branch that was made.
    pub fn branch(&self) -> Option<&Branch> {
        match self {
            Self::Branched(branch) => Some(branch),
            Self::Conflicts { branch, .. } => branch.as_ref(),
            _ => None,
        }
    }

    /// What an update would run.
    pub fn commands(&self) -> &[Command] {
        match self {
            Self::Branched(branch) | Self::Conflicts { branch: Some(branch), .. } => &branch.commands,
            Self::Conflicts { commands, .. } => commands,
            _ => &[],
        }
    }
}

/// How many repositories came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that were visited.
    pub visited: usize,
    /// Without the block.
    pub without: usize,
    /// Up to date.
    pub current: usize,
    /// With a branch and nothing to decide.
    pub branched: usize,
    /// With conflicts.
    pub conflicts: usize,
    /// That failed.
    pub failed: usize,
}

impl Counts {
    /// The counts of some visits.
    pub fn of<'a>(visits: impl IntoIterator<Item = &'a Visit>) -> Self {
        let mut counts = Self::default();
        for visit in visits {
            counts.visited += 1;
            *match visit.outcome {
                Outcome::Without => &mut counts.without,
                Outcome::Current => &mut counts.current,
                Outcome::Branched(_) => &mut counts.branched,
                Outcome::Conflicts { .. } => &mut counts.conflicts,
                Outcome::Failed { .. } => &mut counts.failed,
            } += 1;
        }
        counts
    }
}
