//! A block's questions, answered: from the command line, by default, or by a person. An answer is checked the same way
//! wherever it came from.

use std::collections::BTreeMap;

use super::Error;
use super::answer::{Answer, AnswerType};
use super::block::Block;
use super::manifest::{Question, QuestionId, When};
use super::render::Renderer;
use crate::error::{Class, Fault};
use crate::text::{did_you_mean, neutral_line};

/// A question as a person sees it. All its texts are neutral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What it asks.
    pub help: String,
    /// The type of the answer.
    pub kind: AnswerType,
    /// What is taken when the person only presses Enter.
    pub default: Option<String>,
    /// The only answers there are; empty: any.
    pub choices: Vec<String>,
    /// What was wrong with the answer before.
    pub problem: Option<String>,
}

/// The seam where the domain asks a person. The terminal and the tests implement it.
pub trait Ask {
    /// The person's answer, as it was typed; for choices, one of them.
    fn ask(&mut self, prompt: &Prompt) -> Result<String, NoReply>;
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

/// The answers to a block's questions, in the order of the questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Of the questions that apply: what is written to `onramp.toml`.
    pub asked: Vec<(QuestionId, Answer)>,
    /// Given on the command line to questions that do not apply.
    pub unused: Vec<QuestionId>,
}

/// Answers a block's questions with what was given, then by `person`; without one, by default. The renderer learns
/// them as they come, since later questions see earlier answers.
pub fn resolve(
    block: &Block,
    given: &BTreeMap<String, String>,
    mut person: Option<&mut dyn Ask>,
    renderer: &mut Renderer,
) -> Result<Answers, Error> {
    let questions = &block.manifest.questions;
    if let Some(unknown) = given.keys().find(|key| !questions.iter().any(|(id, _)| id.as_str() == *key)) {
        let known: Vec<QuestionId> = questions.iter().map(|(id, _)| id.clone()).collect();
        let meant = did_you_mean(unknown, known.iter().map(QuestionId::as_str)).map(str::to_owned);
        return Err(Error::UnknownQuestion { block: block.id.to_string(), question: unknown.clone(), meant, known });
    }
    let mut answers = Answers::default();
    for (id, question) in questions {
        let asking = Asking { id, question, block, key: format!("questions.{id}") };
        let given = given.get(id.as_str());
        if !asking.applies(renderer)? {
            // Templates may still look at it, so it has its default, where there is one.
            if let Some(default) = asking.default(renderer)? {
                renderer.answer(id, &default);
            }
            answers.unused.extend(given.map(|_| id.clone()));
            continue;
        }
        let answer = match (given, &mut person) {
            (Some(given), _) => asking.read(given, renderer)?.map_err(|problem| asking.refused(given, problem))?,
            (None, Some(person)) => asking.person(*person, renderer)?,
            (None, None) => {
                let help = neutral_line(&question.help, 200);
                let none = || Error::NoAnswer { question: id.clone(), help };
                let default = asking.default(renderer)?.ok_or_else(none)?;
                asking.check(&default, renderer)?.map_err(|problem| asking.refused(&default.to_string(), problem))?;
                default
            }
        };
        renderer.answer(id, &answer);
        answers.asked.push((id.clone(), answer));
    }
    Ok(answers)
}

/// One question being asked.
struct Asking<'a> {
    id: &'a QuestionId,
    question: &'a Question,
    block: &'a Block,
    key: String,
}

/// Inside, what is wrong with the answer; outside, what is wrong with the block.
type Checked<T> = Result<Result<T, String>, Error>;

impl Asking<'_> {
    fn applies(&self, renderer: &Renderer) -> Result<bool, Error> {
        Ok(match &self.question.when {
            None => true,
            Some(When::Fixed(yes)) => *yes,
            Some(When::Template(template)) => {
                let text = renderer.value(&format!("{}.when", self.key), template)?;
                // What Copier takes for no.
                let word = text.trim().to_ascii_lowercase();
                !matches!(word.as_str(), "" | "false" | "no" | "n" | "f" | "off" | "0" | "none" | "null" | "~")
            }
        })
    }

    /// The default, with its template rendered. One that is not of the question's type is the block's mistake.
    fn default(&self, renderer: &Renderer) -> Result<Option<Answer>, Error> {
        let Some(default) = &self.question.default else { return Ok(None) };
        let toml::Value::String(template) = default else { return Ok(self.question.r#type.take(default)) };
        let key = format!("{}.default", self.key);
        let text = renderer.value(&key, template)?;
        self.question.r#type.read(&text).map(Some).map_err(|problem| Error::Wrong {
            block: self.block.id.to_string(),
            place: format!("block.toml: {key}"),
            message: format!("it is `{}`: {problem}", neutral_line(&text, 60)),
        })
    }

    fn read(&self, text: &str, renderer: &mut Renderer) -> Checked<Answer> {
        match self.question.r#type.read(text) {
            Err(problem) => Ok(Err(problem.to_owned())),
            Ok(answer) => Ok(self.check(&answer, renderer)?.map(|()| answer)),
        }
    }

    fn check(&self, answer: &Answer, renderer: &mut Renderer) -> Checked<()> {
        let choices = self.question.choices();
        if !choices.is_empty() && !choices.contains(answer) {
            return Ok(Err(format!("choose one of {}", self.labels().join(", "))));
        }
        let Some(validator) = &self.question.validator else { return Ok(Ok(())) };
        renderer.answer(self.id, answer);
        let complaint = renderer.value(&format!("{}.validator", self.key), validator)?;
        let complaint = neutral_line(complaint.trim(), 300);
        Ok(if complaint.is_empty() { Ok(()) } else { Err(complaint) })
    }

    fn labels(&self) -> Vec<String> {
        self.question.choices().iter().map(|choice| neutral_line(&choice.to_string(), 60)).collect()
    }

    /// Asks until the answer is right.
    fn person(&self, person: &mut dyn Ask, renderer: &mut Renderer) -> Result<Answer, Error> {
        let help = if self.question.help.is_empty() { self.id.as_str() } else { &self.question.help };
        let choices = self.question.choices();
        let default = self.default(renderer)?;
        let label = |answer: &Answer| neutral_line(&answer.to_string(), 200);
        let mut prompt = Prompt {
            help: neutral_line(help, 200),
            kind: self.question.r#type,
            default: default.as_ref().map(label),
            choices: self.labels(),
            problem: None,
        };
        loop {
            let text = person.ask(&prompt)?;
            // A label is shortened and neutral; what it stands for is not.
            let chosen = prompt.choices.iter().position(|label| *label == text).and_then(|i| choices.get(i));
            let checked = match (chosen, &default) {
                (Some(choice), _) => self.check(choice, renderer)?.map(|()| choice.clone()),
                (None, Some(default)) if label(default) == text => {
                    self.check(default, renderer)?.map(|()| default.clone())
                }
                _ => self.read(&text, renderer)?,
            };
            match checked {
                Ok(answer) => return Ok(answer),
                Err(problem) => prompt.problem = Some(problem),
            }
        }
    }

    fn refused(&self, answer: &str, problem: String) -> Error {
        Error::BadAnswer { question: self.id.clone(), answer: answer.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::blocks::block::{BlockId, Mode, SourceFile};
    use crate::blocks::render::Facts;

    const MANIFEST: &str = r#"
schema = 1
name = "x"
kind = "app"
version = "1.0.0"
description = "d"
owner = "o"
[questions.name]
type = "str"
help = "Name of the project"
default = "{{ _project.name }}"
validator = "{% if not (name | regex_search('^[a-z]+$')) %}Use letters{% endif %}"
[questions.engine]
type = "str"
choices = ["mariadb", "none"]
default = "mariadb"
[questions.port]
type = "int"
default = "{{ 3306 if engine == 'mariadb' else 0 }}"
when = "{{ engine != 'none' }}"
"#;

    struct Script(Vec<&'static str>, Vec<Prompt>);

    impl Ask for Script {
        fn ask(&mut self, prompt: &Prompt) -> Result<String, NoReply> {
            self.1.push(prompt.clone());
            if self.0.is_empty() { Err(NoReply::Interrupted) } else { Ok(self.0.remove(0).to_owned()) }
        }
    }

    fn resolved(
        manifest: &str,
        given: &[(&str, &str)],
        person: Option<&mut dyn Ask>,
    ) -> Result<(String, Vec<String>), Error> {
        let id = BlockId {
            name: "x".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            source: "/c".into(),
            commit: "c".into(),
        };
        let file = SourceFile { path: "block.toml".into(), mode: Mode::Plain, contents: manifest.into() };
        let block = Block::read(id, Path::new("block.toml"), vec![file]).unwrap();
        let facts = Facts { project: "shop".into(), company: "Acme".into(), registry: "r.test".into() };
        let mut renderer = Renderer::new(&block.id, &facts);
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let answers = resolve(&block, &given, person, &mut renderer)?;
        let asked: Vec<String> = answers.asked.iter().map(|(id, answer)| format!("{id}={answer}")).collect();
        Ok((asked.join(" "), answers.unused.iter().map(ToString::to_string).collect()))
    }

    fn fails(given: &[(&str, &str)]) -> String {
        let error = resolved(MANIFEST, given, None).unwrap_err();
        format!("{error} | {}", error.hint().unwrap_or_default())
    }

    #[test]
    fn defaults_see_the_answers_before_them() {
        assert_eq!(resolved(MANIFEST, &[], None).unwrap().0, "name=shop engine=mariadb port=3306");
    }

    #[test]
    fn a_question_that_does_not_apply_is_not_recorded() {
        let (asked, unused) = resolved(MANIFEST, &[("engine", "none"), ("port", "1")], None).unwrap();
        assert_eq!((asked.as_str(), unused), ("name=shop engine=none", vec!["port".to_owned()]));
    }

    #[test]
    fn answers_are_checked_wherever_they_come_from() {
        insta::assert_snapshot!(fails(&[("name", "Shop 1")]), @"`Shop 1` is no answer to `name`: Use letters | ");
        insta::assert_snapshot!(fails(&[("engine", "mysql")]), @"`mysql` is no answer to `engine`: choose one of mariadb, none | ");
        insta::assert_snapshot!(fails(&[("port", "high")]), @"`high` is no answer to `port`: expected a whole number | ");
        insta::assert_snapshot!(fails(&[("engin", "none")]), @"block x 1.0.0 does not ask `engin` | did you mean `engine`?");
        let bare = MANIFEST.replace("default = \"{{ _project.name }}\"\n", "");
        let error = resolved(&bare, &[], None).unwrap_err();
        insta::assert_snapshot!(error, @"nobody answered `name` (Name of the project)");
        assert_eq!(error.hint().unwrap(), "answer it with --data name=…");
        let bad = MANIFEST.replace("{{ _project.name }}", "SHOP");
        insta::assert_snapshot!(resolved(&bad, &[], None).unwrap_err(), @"`SHOP` is no answer to `name`: Use letters");
        let bad = MANIFEST.replace("{{ 3306 if", "{{ 'high' if");
        insta::assert_snapshot!(resolved(&bad, &[], None).unwrap_err(), @"block x 1.0.0 is wrong: block.toml: questions.port.default: it is `high`: expected a whole number");
    }

    #[test]
    fn a_person_is_asked_again_with_the_problem() {
        let mut script = Script(vec!["Shop", "shop", "mariadb", "3307"], Vec::new());
        let (asked, _) = resolved(MANIFEST, &[], Some(&mut script)).unwrap();
        assert_eq!(asked, "name=shop engine=mariadb port=3307");
        assert_eq!(script.1[0].default.as_deref(), Some("shop"));
        assert_eq!(script.1[1].problem.as_deref(), Some("Use letters"));
        assert_eq!(script.1[2].choices, ["mariadb", "none"]);
        assert_eq!(script.1[3].default.as_deref(), Some("3306"));
    }

    #[test]
    fn a_person_may_walk_away() {
        let error = resolved(MANIFEST, &[], Some(&mut Script(vec![], Vec::new()))).unwrap_err();
        assert_eq!(error.class(), Class::Signal(2));
    }
}
