//! Questions get their answers: given, kept from before, asked of a person, or by default. An answer is checked the same
//! way wherever it came from.

mod asking;
pub mod file;

use std::collections::BTreeMap;

use asking::Asking;

use super::question::{Choices, Values};
use super::{Answers, Dialect, Engine, Error, Question, QuestionId, Template, Value, external};
use crate::error::{Class, Fault};
use crate::text::did_you_mean;

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
    /// The project, where a Copier template may read data; none where there is none yet.
    pub project: Option<external::Project>,
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

/// Answers a template's questions: with what was typed, what was given, what was answered before, by the person, or by
/// default. The engine learns the answers as they come, since later questions see earlier ones.
pub fn resolve(
    template: &Template,
    sources: &Sources,
    person: Option<&mut dyn Ask>,
    engine: &mut Engine,
) -> Result<Answers, Error> {
    check_names(template, sources.typed.keys().map(String::as_str))?;
    let gone = of_questions_that_are_gone(template, sources);
    for (id, value) in &gone {
        engine.set(id, value);
    }
    let mut round = Round {
        template,
        sources,
        person,
        facts: engine.get("_copier_answers"),
        outcomes: vec![Outcome::None; template.questions.len()],
        said: BTreeMap::new(),
        asked: Vec::new(),
    };
    external::tell(template, sources.project.as_ref(), engine);
    let mut index = 0;
    while let Some(question) = template.questions.get(index) {
        let outcome = match round.answer(index, question, engine)? {
            Step::Done(outcome) => outcome,
            Step::Back => {
                index = round.asked.pop().unwrap_or(0);
                for later in index..template.questions.len() {
                    round.outcomes[later] = Outcome::None;
                    engine.forget(template.questions[later].id.as_str());
                }
                round.tell(engine);
                continue;
            }
        };
        if let Outcome::Kept(value) | Outcome::Passing(value) | Outcome::Unused(Some(value)) = &outcome {
            engine.set(question.id.as_str(), value);
        }
        round.outcomes[index] = outcome;
        round.tell(engine);
        index += 1;
    }
    let mut answers = round.answers();
    answers.passing.extend(gone);
    if let Some((data, missing)) = external::read(template, sources.project.as_ref(), engine)? {
        answers.passing.insert(external::NAME.to_owned(), data);
        answers.missing = missing;
    }
    Ok(answers)
}

/// The answers of before to questions that a Copier template does not ask any more: its texts still see them, once, and
/// they are not kept.
fn of_questions_that_are_gone(template: &Template, sources: &Sources) -> Values {
    let asks = |id: &str| template.questions.iter().any(|question| question.id.as_str() == id);
    let gone = sources.before.iter().filter(|(id, _)| !id.starts_with('_') && !asks(id));
    match template.dialect {
        Dialect::Copier => gone.map(|(id, value)| (id.clone(), value.clone())).collect(),
        Dialect::Block | Dialect::Cookiecutter => Values::new(),
    }
}

/// Whether the template asks all of these; the first that it does not ask is a mistake of whoever typed it.
pub fn check_names<'a>(template: &Template, names: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    let asks = |name: &str| template.questions.iter().any(|question| question.id.as_str() == name);
    let Some(unknown) = names.into_iter().find(|name| !asks(name)) else { return Ok(()) };
    let known: Vec<QuestionId> = template.questions.iter().map(|question| question.id.clone()).collect();
    let meant = did_you_mean(unknown, known.iter().map(QuestionId::as_str)).map(str::to_owned);
    Err(Error::UnknownQuestion { label: template.label.clone(), question: unknown.to_owned(), meant, known })
}

/// All questions, being answered.
struct Round<'a, 'p> {
    template: &'a Template,
    sources: &'a Sources,
    person: Option<&'p mut dyn Ask>,
    /// What templates know of the answers file, beside the answers.
    facts: Option<Value>,
    outcomes: Vec<Outcome>,
    /// What the person said in this round: the defaults when they come back to a question.
    said: BTreeMap<usize, Value>,
    /// The questions that the person was asked: the way back.
    asked: Vec<usize>,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// It has no answer.
    None,
    /// Its answer is kept.
    Kept(Value),
    /// Its answer is seen by templates, and not kept.
    Passing(Value),
    /// It is not asked, though somebody answered it; its default, if it has one.
    Unused(Option<Value>),
}

enum Step {
    Done(Outcome),
    Back,
}

impl Round<'_, '_> {
    fn answer(&mut self, index: usize, question: &Question, engine: &Engine) -> Result<Step, Error> {
        let id = question.id.as_str();
        let asking = Asking::new(self.template, question, engine)?;
        let typed = self.sources.typed.get(id);
        if !asking.applies()? {
            let computed = asking.computed()?;
            return Ok(Step::Done(match (typed, computed) {
                (Some(_), computed) => Outcome::Unused(computed),
                (None, Some(computed)) => Outcome::Passing(computed),
                (None, None) => Outcome::None,
            }));
        }
        let done = |value| Ok(Step::Done(if question.secret { Outcome::Passing(value) } else { Outcome::Kept(value) }));
        if let Some(typed) = typed {
            return done(asking.typed(typed)?.map_err(|problem| asking.refused(typed, problem))?);
        }
        if let Some(given) = self.sources.given.get(id) {
            let given = asking.completed(given)?;
            return done(asking.take(&given)?.map_err(|problem| asking.refused(&asking::shown(&given), problem))?);
        }
        let before = match self.sources.before.get(id) {
            Some(before) if !question.secret => Some((before, asking.take(before)?)),
            _ => None,
        };
        let may_ask = asking.may_ask()?;
        let mut default = self.said.get(&index).cloned();
        let mut problem = None;
        match before {
            Some((_, Ok(before))) if !(self.sources.reask && may_ask && self.person.is_some()) => return done(before),
            Some((_, Ok(before))) => default = default.or(Some(before)),
            Some((before, Err(why))) if self.person.is_some() && may_ask => {
                let before = asking::shown(before);
                problem = Some(format!("`{}` was the answer before: {why}", crate::text::neutral_line(&before, 60)));
            }
            Some((before, Err(why))) => return Err(asking.refused(&asking::shown(before), why)),
            None => {}
        }
        match &mut self.person {
            Some(person) if may_ask => {
                let Some(value) = asking.person(*person, default, problem, !self.asked.is_empty())? else {
                    return Ok(Step::Back);
                };
                self.asked.push(index);
                self.said.insert(index, value.clone());
                done(value)
            }
            _ => match asking.default()? {
                Some(default) => match asking.parse(&default)? {
                    // One of another type is the template's mistake.
                    Err(problem) if question.choices == Choices::Any => Err(asking.wrong_default(&default, &problem)),
                    Err(problem) => Err(asking.refused(&asking::shown(&default), problem)),
                    Ok(value) if question.secret => done(value),
                    Ok(value) => {
                        let checked = asking.validated(value)?;
                        done(checked.map_err(|problem| asking.refused(&asking::shown(&default), problem))?)
                    }
                },
                None if !may_ask => Ok(Step::Done(Outcome::None)),
                None => Err(Error::NoAnswer { question: question.id.clone(), help: asking.help_line()? }),
            },
        }
    }

    /// Tells a Copier template's texts what its answers file will hold, and the project's data with the answers so far.
    fn tell(&self, engine: &mut Engine) {
        if self.template.dialect != Dialect::Copier {
            return;
        }
        let mut answers = match &self.facts {
            Some(Value::Object(facts)) => facts.clone(),
            _ => return,
        };
        for (question, outcome) in self.template.questions.iter().zip(&self.outcomes) {
            if let Outcome::Kept(value) = outcome {
                answers.insert(question.id.to_string(), value.clone());
            }
        }
        engine.set("_copier_answers", &Value::Object(answers));
        external::tell(self.template, self.sources.project.as_ref(), engine);
    }

    fn answers(self) -> Answers {
        let mut answers = Answers::default();
        for (question, outcome) in self.template.questions.iter().zip(self.outcomes) {
            let id = question.id.to_string();
            match outcome {
                Outcome::None => {}
                Outcome::Kept(value) => {
                    answers.kept.insert(id, value);
                }
                Outcome::Passing(value) => {
                    answers.passing.insert(id, value);
                }
                Outcome::Unused(computed) => {
                    answers.unused.push(question.id.clone());
                    answers.passing.extend(computed.map(|value| (id, value)));
                }
            }
        }
        answers
    }
}

#[cfg(test)]
mod tests;
