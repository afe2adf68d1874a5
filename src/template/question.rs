//! What a template asks, and what was answered.

pub mod cast;
mod choices;

use std::fmt;

use serde::{Deserialize, Serialize};

/// An answer or a default: what JSON can hold, since every dialect's values are that.
pub type Value = serde_json::Value;

/// Answers by question, in the order of the questions.
pub type Values = serde_json::Map<String, Value>;

/// What a question's answer is called in templates: letters, digits and underscores; Copier takes blanks, dots and dashes
/// between them, too. 80 at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuestionId(String);

impl QuestionId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for QuestionId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let ok = text.len() <= 80
            && text.starts_with(word)
            && text.ends_with(word)
            && text.chars().all(|c| word(c) || matches!(c, ' ' | '.' | '-'));
        if ok {
            Ok(Self(text))
        } else {
            let text = crate::text::neutral_line(&text, 60);
            Err(format!("`{text}` is no question: use at most 80 letters, digits and underscores"))
        }
    }
}

impl From<QuestionId> for String {
    fn from(id: QuestionId) -> Self {
        id.0
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What its answer is called.
    pub id: QuestionId,
    /// The type of its answer.
    pub kind: Kind,
    /// A template of the type's name, where only the answers before tell it.
    pub kind_template: Option<String>,
    /// What a person is asked; a template.
    pub help: String,
    /// The answer of those who say nothing. Texts in it are templates, which see the answers before.
    pub default: Option<Value>,
    /// An example, shown and never taken; a template.
    pub placeholder: String,
    /// The only answers there are.
    pub choices: Choices,
    /// Whether several choices may be taken: the answer is a list.
    pub multiselect: bool,
    /// Whether the answer may have several lines.
    pub multiline: When,
    /// Whether the answer is shown and kept nowhere.
    pub secret: bool,
    /// Whether a person is asked at all; else the answer before or the default is taken, and kept (Copier's `ask`).
    pub ask: When,
    /// Whether the question is asked. One that is not has its default as a computed value, which is not kept.
    pub when: When,
    /// A template. What it says is wrong with the answer; nothing, if the answer is right.
    pub validator: Option<String>,
    /// Where the template asks it: `copier.yml:12`.
    pub place: String,
}

impl Question {
    /// A question for any text, without a default.
    pub fn new(id: QuestionId, place: impl Into<String>) -> Self {
        Self {
            id,
            kind: Kind::Str,
            kind_template: None,
            help: String::new(),
            default: None,
            placeholder: String::new(),
            choices: Choices::Any,
            multiselect: false,
            multiline: When::Fixed(false),
            secret: false,
            ask: When::Fixed(true),
            when: When::Fixed(true),
            validator: None,
            place: place.into(),
        }
    }
}

/// The type of an answer, as Copier names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text.
    Str,
    /// A whole number of 64 bits.
    Int,
    /// A number.
    Float,
    /// Yes or no.
    Bool,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A path.
    Path,
}

/// The answers that a question takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Choices {
    /// Any of its type.
    #[default]
    Any,
    /// One of these.
    Listed(Vec<Choice>),
    /// One of what this template renders to, as YAML.
    Computed(String),
}

/// One of the answers that a question takes. Its texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What a person sees.
    pub label: String,
    /// What it stands for.
    pub value: Value,
    /// Why it cannot be taken, if it renders to something.
    pub disabled: Option<String>,
}

/// Whether a question is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a template")]
pub enum When {
    /// Always or never.
    Fixed(bool),
    /// As this template says.
    Template(String),
}

/// The answers to a template's questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Those that are kept: of questions that were asked and are not secret, in the order of the questions.
    pub kept: Values,
    /// Those that are not kept: computed values and secrets.
    pub passing: Values,
    /// Given on the command line to questions that are not asked.
    pub unused: Vec<QuestionId>,
    /// Files that the template reads in the project, and that are not there.
    pub missing: Vec<String>,
}

impl Answers {
    /// Every answer that templates see.
    pub fn all(&self) -> Values {
        let mut all = self.kept.clone();
        all.extend(self.passing.iter().map(|(id, value)| (id.clone(), value.clone())));
        all
    }
}
