//! `block.toml`: what a building block is and what it asks, read and checked.

use std::fmt;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::answer::{Answer, AnswerType};
use crate::document::{self, DocumentError};
use crate::name::Name;

/// The file's name.
pub const FILE: &str = "block.toml";
/// The most questions that a block may ask.
const MOST_QUESTIONS: usize = 100;

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It starts a project.
    App,
    /// It is added to a project.
    Part,
}

/// The contents of `block.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub schema: u32,
    /// The block's name, which is its directory's.
    pub name: Name,
    /// What it is for.
    pub kind: Kind,
    /// The version that this is, or that will be released next.
    pub version: semver::Version,
    /// One line on what it gives.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// What it asks, in the order in which it asks.
    #[serde(default, deserialize_with = "in_order")]
    pub questions: Vec<(QuestionId, Question)>,
    /// Of a part: the services that it adds. Their texts are templates, so they are no services yet.
    #[serde(default)]
    pub services: toml::Table,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The type of its answer.
    pub r#type: AnswerType,
    /// What a person is asked.
    #[serde(default)]
    pub help: String,
    /// The answer of those who say nothing. A text is a template, which sees the answers before it.
    pub default: Option<toml::Value>,
    /// The only answers there are.
    #[serde(default)]
    pub choices: Vec<toml::Value>,
    /// Whether the question applies: a truth, or a template of one.
    pub when: Option<When>,
    /// A template. What it says is wrong with the answer; nothing, if the answer is right.
    pub validator: Option<String>,
}

/// Whether a question applies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a template")]
pub enum When {
    /// Always or never.
    Fixed(bool),
    /// As this template says.
    Template(String),
}

/// What a question's answer is called in templates: a letter, then letters, digits and underscores; 40 at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
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
        // A leading underscore is for the variables that onramp gives.
        let ok = text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if ok {
            Ok(Self(text))
        } else {
            let text = crate::text::neutral_line(&text, 60);
            Err(format!("`{text}` is no question: use at most 40 letters, digits and underscores, a letter first"))
        }
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Question {
    /// The allowed answers; none: any of its type.
    pub fn choices(&self) -> Vec<Answer> {
        self.choices.iter().filter_map(|choice| self.r#type.take(choice)).collect()
    }
}

/// A map in the order of the file, because later questions see the answers of earlier ones.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(QuestionId, Question)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(QuestionId, Question)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of questions")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut questions = Vec::new();
            while let Some(entry) = map.next_entry()? {
                questions.push(entry);
            }
            Ok(questions)
        }
    }
    deserializer.deserialize_map(InOrder)
}

/// Parses and checks the text of a `block.toml`. `path` is what errors call it.
pub fn parse(path: &Path, text: &str) -> Result<Manifest, DocumentError> {
    let manifest: Manifest = document::parse(path, text)?;
    let wrong = |needle: &str, message: String| Err(document::wrong_at(path, text, needle, message));
    if manifest.kind == Kind::App && !manifest.services.is_empty() {
        let message = "services are a part's; an app writes them in its onramp.toml.jinja".to_owned();
        return wrong("[services.", message);
    }
    if manifest.questions.len() > MOST_QUESTIONS {
        return wrong("[questions.", format!("more than {MOST_QUESTIONS} questions"));
    }
    for (id, question) in &manifest.questions {
        let table = format!("[questions.{id}]");
        let kind = question.r#type;
        if let Some(choice) = question.choices.iter().find(|choice| kind.take(choice).is_none()) {
            return wrong(&table, format!("questions.{id}: choice {choice} is no {}", kind.name()));
        }
        match &question.default {
            // A template, whose outcome is checked when it is known.
            None | Some(toml::Value::String(_)) => {}
            Some(default) => match kind.take(default) {
                None => return wrong(&table, format!("questions.{id}: default {default} is no {}", kind.name())),
                Some(answer) if !question.choices.is_empty() && !question.choices().contains(&answer) => {
                    return wrong(&table, format!("questions.{id}: default {default} is none of its choices"));
                }
                Some(_) => {}
            },
        }
    }
    for name in manifest.services.keys() {
        if let Err(error) = name.parse::<Name>() {
            return wrong("[services.", error.to_string());
        }
        if !manifest.services[name].is_table() {
            return wrong("[services", format!("services.{name} is no table"));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "schema = 1\nname = \"x\"\nkind = \"app\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n";

    fn parsed(rest: &str) -> Result<Manifest, DocumentError> {
        parse(Path::new("block.toml"), &format!("{HEAD}{rest}"))
    }

    #[test]
    fn questions_keep_their_order() {
        let text =
            "[questions.zeta]\ntype = \"str\"\n[questions.alpha]\ntype = \"bool\"\n[questions.mid]\ntype = \"int\"\n";
        let ids: Vec<String> = parsed(text).unwrap().questions.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, ["zeta", "alpha", "mid"]);
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let cases = [
            ("[questions.a]\ntype = \"text\"\n", "block.toml:8:8: unknown value `text`"),
            ("[questions.a]\ntype = \"int\"\ndefault = true\n", "block.toml:7:1: questions.a: default true is no int"),
            (
                "[questions.a]\ntype = \"int\"\nchoices = [1, \"two\"]\n",
                "block.toml:7:1: questions.a: choice \"two\" is no int",
            ),
            (
                "[questions.a]\ntype = \"int\"\nchoices = [1, 2]\ndefault = 3\n",
                "block.toml:7:1: questions.a: default 3 is none of its choices",
            ),
            ("[questions.a]\ntype = \"str\"\nsecrt = true\n", "block.toml:9:1: unknown key `secrt`"),
            (
                "[services.db]\nport = 1\n",
                "block.toml:7:1: services are a part's; an app writes them in its onramp.toml.jinja",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text).unwrap_err().to_string(), expected);
        }
        let underscore = parsed("[questions._project]\ntype = \"str\"\n").unwrap_err().to_string();
        assert!(underscore.contains("`_project` is no question"), "{underscore}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = parsed(&text);
            let _ = parsed(&format!("[questions.{text}]\n"));
            let _ = parsed(&format!("[questions.a]\ntype = \"str\"\ndefault = {text}\n"));
        }
    }
}
