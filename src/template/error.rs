//! What can be wrong with a template, its answers or its rendering.

use super::question::QuestionId;
use super::resolve::NoReply;
use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::text::neutral_line;

/// What can go wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing there says that it is one.
    #[error("{label} is no template: it has no block.toml, copier.yml or cookiecutter.json")]
    NoTemplate {
        /// What was looked at.
        label: String,
    },
    /// Its `block.toml` says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The template itself is wrong.
    #[error("{label} is wrong: {place}: {message}")]
    Wrong {
        /// Its name and version.
        label: String,
        /// The file in the template, and the line where it is known.
        place: String,
        /// What is wrong there, made neutral.
        message: String,
    },
    /// The template tries what no template may.
    #[error("{label} was refused: {place}: {why}")]
    Refused {
        /// Its name and version.
        label: String,
        /// The file in the template.
        place: String,
        /// What it tried.
        why: String,
    },
    /// It needs Python, which runs only for those whom the user trusts.
    #[error("{label} needs Python: {place}: {what}")]
    NeedsPython {
        /// Its name and version.
        label: String,
        /// Where it says so.
        place: String,
        /// `the Jinja extension x.y`, `the hook hooks/post_gen_project.py`
        what: String,
    },
    /// An answer to a question that it does not ask.
    #[error("{label} does not ask `{}`", neutral_line(question, 60))]
    UnknownQuestion {
        /// Its name and version.
        label: String,
        /// What was answered.
        question: String,
        /// The nearest question that there is.
        meant: Option<String>,
        /// All that there are.
        known: Vec<QuestionId>,
    },
    /// The answer is not one that the question takes.
    #[error("`{}` is no answer to `{question}`: {problem}", neutral_line(answer, 60))]
    BadAnswer {
        /// The question.
        question: QuestionId,
        /// The answer; of a secret, stars.
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
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoTemplate { .. } | Self::Wrong { .. } => Class::Config,
            Self::Document(error) => error.class(),
            Self::Refused { .. } | Self::NeedsPython { .. } => Class::Security,
            Self::UnknownQuestion { .. } | Self::BadAnswer { .. } | Self::NoAnswer { .. } => Class::Usage,
            Self::NoReply(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Document(error) => error.hint(),
            Self::UnknownQuestion { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::UnknownQuestion { known, .. } if known.is_empty() => Some("it asks nothing".to_owned()),
            Self::UnknownQuestion { known, .. } => {
                let mut words: Vec<String> = known.iter().take(10).map(ToString::to_string).collect();
                if known.len() > words.len() {
                    words.push("…".to_owned());
                }
                Some(format!("it asks {}", words.join(", ")))
            }
            Self::NoAnswer { question, .. } | Self::BadAnswer { question, .. } => {
                Some(format!("answer it with --data {question}=…"))
            }
            Self::NeedsPython { .. } => {
                Some("nothing was changed; Python of a template runs only with your trust".to_owned())
            }
            Self::Wrong { .. } | Self::Refused { .. } => {
                Some("nothing was changed; the template's owner can correct it".to_owned())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Document(error) => error.next(),
            _ => Vec::new(),
        }
    }
}
