//! What can go wrong between a catalog and a project.

use std::path::PathBuf;

use super::manifest::{Kind, QuestionId};
use super::questions::NoReply;
use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::git;
use crate::name::Name;

/// What can go wrong with building blocks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The catalog has no such block.
    #[error("there is no block `{}` in {catalog}", crate::text::neutral_line(name, 60))]
    NoBlock {
        /// What was asked for.
        name: String,
        /// Where.
        catalog: String,
        /// The nearest name that there is.
        meant: Option<String>,
    },
    /// No released version is what was asked for.
    #[error("no released version of `{name}` matches {requirement}")]
    NoVersion {
        /// The block.
        name: Name,
        /// What was asked for.
        requirement: semver::VersionReq,
        /// What there is, newest first.
        released: Vec<semver::Version>,
    },
    /// The block was asked to do what the other kind does.
    #[error("`{name}` is {}", match kind { Kind::App => "an app: it starts a project of its own", Kind::Part => "a part: it is added to a project" })]
    OtherKind {
        /// The block.
        name: Name,
        /// What it is.
        kind: Kind,
    },
    /// The block itself is wrong.
    #[error("block {block} is wrong: {place}: {message}")]
    Wrong {
        /// Its name and version.
        block: String,
        /// The file in the block, and the line where it is known.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// What the block renders is no project.
    #[error("block {block} is wrong")]
    Rendered {
        /// Its name and version.
        block: String,
        /// What is wrong with the rendered file.
        source: DocumentError,
    },
    /// The block tries what no block may.
    #[error("block {block} was refused: {place}: {why}")]
    Refused {
        /// Its name and version.
        block: String,
        /// The file in the block.
        place: String,
        /// What it tried.
        why: String,
    },
    /// An answer to a question that the block does not ask.
    #[error("block {block} does not ask `{}`", crate::text::neutral_line(question, 60))]
    UnknownQuestion {
        /// Its name and version.
        block: String,
        /// What was answered.
        question: String,
        /// The nearest question that there is.
        meant: Option<String>,
        /// All that there are.
        known: Vec<QuestionId>,
    },
    /// The answer is not one that the block takes.
    #[error("`{}` is no answer to `{question}`: {problem}", crate::text::neutral_line(answer, 60))]
    BadAnswer {
        /// The question.
        question: QuestionId,
        /// The answer.
        answer: String,
        /// What is wrong with it: the validator's words, made neutral, or ours.
        problem: String,
    },
    /// A question without a default, and nobody to ask.
    #[error("nobody answered `{question}`{}", if help.is_empty() { String::new() } else { format!(" ({help})") })]
    NoAnswer {
        /// The question.
        question: QuestionId,
        /// What it asks, made neutral.
        help: String,
    },
    /// The person who was asked did not answer.
    #[error(transparent)]
    NoReply(#[from] NoReply),
    /// Where the new project would go, something is.
    #[error("{} {what}", target.display())]
    Occupied {
        /// The target.
        target: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Files that the block brings are there already.
    #[error("the project has {}", paths.join(", "))]
    Present {
        /// The files.
        paths: Vec<String>,
    },
    /// A table that the block brings is there already.
    #[error("the project's onramp.toml already has [{table}]")]
    Taken {
        /// `services.cache`.
        table: String,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::NoReply(error) => error.class(),
            Self::NoBlock { .. }
            | Self::NoVersion { .. }
            | Self::OtherKind { .. }
            | Self::UnknownQuestion { .. }
            | Self::BadAnswer { .. }
            | Self::NoAnswer { .. } => Class::Usage,
            Self::Wrong { .. } | Self::Rendered { .. } => Class::Config,
            Self::Refused { .. } => Class::Security,
            Self::Occupied { .. } | Self::Present { .. } | Self::Taken { .. } => Class::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::NoBlock { meant, .. } => meant.as_ref().map(|meant| format!("did you mean `{meant}`?")),
            Self::NoVersion { released, .. } if released.is_empty() => {
                Some("it is not released yet: a release is a tag <name>/vX.Y.Z".to_owned())
            }
            Self::NoVersion { released, .. } => Some(format!("released: {}", list(released))),
            Self::UnknownQuestion { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::UnknownQuestion { known, .. } if known.is_empty() => Some("it asks nothing".to_owned()),
            Self::UnknownQuestion { known, .. } => Some(format!("it asks {}", list(known))),
            Self::NoAnswer { question, .. } => Some(format!("answer it with --data {question}=…")),
            Self::Rendered { source, .. } => source.hint(),
            Self::Wrong { .. } | Self::Refused { .. } => {
                Some("nothing was changed; the block's owner can correct it".to_owned())
            }
            Self::Occupied { .. } => {
                Some("onramp writes to a new or empty directory, and overwrites nothing".to_owned())
            }
            Self::Present { .. } => {
                Some("nothing was changed; move them away, or take what you need from the block by hand".to_owned())
            }
            Self::Taken { .. } => Some("nothing was changed".to_owned()),
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::File(error) => error.next(),
            Self::Document(error) => error.next(),
            Self::NoBlock { .. } => vec!["onramp catalog list".to_owned()],
            Self::NoVersion { name, .. } => vec![format!("onramp catalog show {name}")],
            Self::OtherKind { name, kind: Kind::App } => vec![format!("onramp new {name}")],
            Self::OtherKind { name, kind: Kind::Part } => vec![format!("onramp add {name}")],
            _ => Vec::new(),
        }
    }
}

fn list(values: &[impl ToString]) -> String {
    let mut words: Vec<String> = values.iter().take(10).map(ToString::to_string).collect();
    if values.len() > words.len() {
        words.push("…".to_owned());
    }
    words.join(", ")
}
