//! Questions get their answers: given, kept from before, asked of a person, or by default. An answer is checked the same
//! way wherever it came from.

use std::collections::BTreeMap;

use super::question::Values;
use super::{Answers, Engine, Error, Template};
use crate::error::{Class, Fault};

/// Where answers come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Typed on the command line or in the environment: `--data k=v`.
    pub typed: BTreeMap<String, String>,
    /// From `--data-file`, or an answer that another block of the project shares: already of a type.
    pub given: Values,
    /// The answers of the version before: kept where they are still right, and not asked again unless `reask`.
    pub before: Values,
    /// Ask every question again, with the answer of before as its default.
    pub reask: bool,
}

/// A question as a person sees it. All its texts are neutral.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What the answer is called: `--data <id>=…` answers it.
    pub id: String,
    /// What it asks.
    pub help: String,
    /// An example.
    pub placeholder: String,
    /// What kind of answer it takes.
    pub kind: super::question::Kind,
    /// What is taken when the person only presses Enter; of several choices, each on a line.
    pub default: Option<String>,
    /// The only answers there are; empty: any.
    pub choices: Vec<Offer>,
    /// Whether several choices may be taken.
    pub multiselect: bool,
    /// Whether the answer may have several lines.
    pub multiline: bool,
    /// Whether the answer is not shown.
    pub secret: bool,
    /// What was wrong with the answer before.
    pub problem: Option<String>,
    /// Whether there is a question to go back to.
    pub back: bool,
}

/// A choice as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it is called.
    pub label: String,
    /// Why it cannot be taken.
    pub disabled: Option<String>,
}

/// What a person says to a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This, as it was typed.
    Typed(String),
    /// These choices, by index.
    Chosen(Vec<usize>),
    /// Back to the question before.
    Back,
}

/// The seam where the domain asks a person. The terminal and the tests implement it.
pub trait Ask {
    /// The person's answer.
    fn ask(&mut self, prompt: &Prompt) -> Result<Reply, NoReply>;
}

/// Why a person did not answer.
#[derive(Debug, thiserror::Error)]
pub enum NoReply {
    /// They pressed Ctrl-C.
    #[error("interrupted; nothing was changed")]
    Interrupted,
    /// The terminal failed.
    #[error("cannot ask at the terminal")]
    Terminal(#[source] std::io::Error),
}

impl Fault for NoReply {
    fn class(&self) -> Class {
        match self {
            Self::Interrupted => Class::Signal(2),
            Self::Terminal(_) => Class::Io,
        }
    }
}

/// Answers a template's questions. The engine learns the answers as they come, since later questions see earlier ones.
pub fn resolve(
    _template: &Template,
    _sources: &Sources,
    _person: Option<&mut dyn Ask>,
    _engine: &mut Engine,
) -> Result<Answers, Error> {
    unimplemented!("skeleton")
}
