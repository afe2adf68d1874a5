//! Answer sets to try a block with: every pair of answers to two questions occurs in one of them.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::syntax::SyntaxConfig;

use super::{jinja, matrix, texts};
use crate::blocks::facts::Operation;
use crate::blocks::{Block, Facts};
use crate::template::question::{Choices, Kind, Values, When};
use crate::template::resolve::{Sources, resolve};
use crate::template::{Answers, Engine, Error, Question, Rendered, Value, render};

/// The most answer sets of one block.
const MOST: usize = 300;
/// The most values of one question that are tried.
const MOST_VALUES: usize = 12;

/// One answer set.
#[derive(Clone, Debug)]
pub struct Case {
    /// What differs from the defaults: `php=8.3 database=true`; `defaults` where nothing does.
    pub name: String,
    /// What was answered; the rest is default.
    pub given: Values,
    /// All of the answers.
    pub answers: Answers,
}

/// The answer sets of a block.
#[derive(Debug, Default)]
pub struct Cases {
    /// They.
    pub cases: Vec<Case>,
    /// What kept others from being made: mistakes of the template.
    pub failed: Vec<Error>,
    /// Whether there would be more than are tried.
    pub cut: bool,
}

/// What is the case where a block is tried.
pub fn facts() -> Facts {
    Facts {
        project: "example".to_owned(),
        company: "Example".to_owned(),
        registry: "registry.example.test".to_owned(),
        folder: "example".to_owned(),
        ..Facts::default()
    }
}

/// Makes the answer sets. `known` are answers that people wrote down, such as those of golden trees: values that are tried,
/// too, and that answer questions for which onramp finds none.
pub fn make(block: &Block, known: &[Values]) -> Cases {
    let questions = &block.template.questions;
    let compared = compared(block);
    let hints: BTreeMap<&str, Vec<&Value>> = questions
        .iter()
        .map(|question| {
            let id = question.id.as_str();
            let written = known.iter().filter_map(|values| values.get(id));
            (id, written.chain(compared.get(id).into_iter().flatten()).collect())
        })
        .collect();
    let taken = |question: &Question, value: &Value| {
        let id = question.id.to_string();
        let refused = answer(block, Values::from_iter([(id, value.clone())]), &hints);
        !matches!(refused, Err(Error::BadAnswer { question: refused, .. }) if refused == question.id)
    };
    let values: Vec<Vec<Option<Value>>> = questions
        .iter()
        .map(|question| {
            let mut values = values(question, &hints[question.id.as_str()]);
            values.retain(|value| value.as_ref().is_none_or(|value| taken(question, value)));
            values
        })
        .collect();
    let sizes: Vec<usize> = values.iter().map(Vec::len).collect();
    let mut made: BTreeMap<Vec<usize>, Case> = BTreeMap::new();
    let mut failed: BTreeMap<String, Error> = BTreeMap::new();
    let mut judge = |row: &[usize]| {
        let given: Values = questions
            .iter()
            .zip(row.iter().zip(&values))
            .filter_map(|(question, (index, values))| Some((question.id.to_string(), values.get(*index)?.clone()?)))
            .collect();
        match answer(block, given, &hints) {
            Ok((given, answers)) => {
                let asked = |question: &Question| {
                    let id = question.id.as_str();
                    answers.kept.contains_key(id) || (question.secret && given.contains_key(id))
                };
                let mask = questions.iter().map(asked).collect();
                made.insert(row.to_vec(), Case { name: name(questions, &given, &answers), given, answers });
                Some(mask)
            }
            // Not an answer that it takes: that is no mistake of the template.
            Err(Error::BadAnswer { .. }) => None,
            Err(error) => {
                failed.entry(error.to_string()).or_insert(error);
                None
            }
        }
    };
    let rows = matrix::asked(&sizes, &gates(questions), &mut judge);
    let cut = rows.len() > MOST;
    let mut seen = BTreeSet::new();
    let cases = rows.into_iter().take(MOST).filter_map(|row| made.remove(&row));
    // What differs only in questions that are not asked is one case.
    let cases = cases.filter(|case| seen.insert(Value::Object(case.answers.all()).to_string())).collect();
    // Where every row fails with the same mistake, it is told once.
    Cases { cases, failed: failed.into_values().collect(), cut }
}

/// The texts that a block's templates compare answers with, where a question takes any text: each may make a difference.
fn compared(block: &Block) -> BTreeMap<String, Vec<Value>> {
    let template = &block.template;
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let Ok(syntax) = crate::template::engine::syntax(&template.label, &template.rules.syntax) else { return found };
    let open = |name: &str| {
        let question = template.questions.iter().find(|question| question.id.as_str() == name);
        question.is_some_and(|question| question.kind == Kind::Str && question.choices == Choices::Any)
    };
    for text in texts::texts(block, &syntax, &BTreeSet::new()) {
        for (name, value) in text.read.map(|parsed| parsed.compared).unwrap_or_default() {
            let values = if open(&name) { found.entry(name).or_default() } else { continue };
            if !values.contains(&Value::from(value.as_str())) {
                values.push(value.into());
            }
        }
    }
    found
}

/// A block's own files with these answers, as a project gets them, without the record that onramp adds.
pub fn rendered(block: &Block, answers: &Answers) -> Result<Rendered, Error> {
    let variables = facts().variables(block.template.dialect, &block.id, answers, Operation::Copy);
    render(&block.template, answers, &variables)
}

/// Answers a block's questions: with what is given, by default, and where there is no default with the first of what is
/// known or guessed that the question takes. What was given in the end, and all answers.
pub fn answer(
    block: &Block,
    mut given: Values,
    hints: &BTreeMap<&str, Vec<&Value>>,
) -> Result<(Values, Answers), Error> {
    loop {
        let missing = match try_answers(block, &given) {
            Ok(answers) => return Ok((given, answers)),
            Err(Error::NoAnswer { question, .. }) if !given.contains_key(question.as_str()) => question,
            Err(error) => return Err(error),
        };
        let Some(question) = block.template.questions.iter().find(|question| question.id == missing) else {
            return Err(Error::NoAnswer { question: missing, help: String::new() });
        };
        let known = hints.get(missing.as_str()).into_iter().flatten().map(|value| (*value).clone());
        let taken = known.chain(guesses(question)).find(|value| {
            given.insert(missing.to_string(), value.clone());
            // A later question may lack an answer, too; that is its own turn.
            !matches!(try_answers(block, &given), Err(Error::BadAnswer { question, .. }) if question == missing)
        });
        if taken.is_none() {
            return Err(Error::NoAnswer { question: missing, help: question.help.clone() });
        }
    }
}

fn try_answers(block: &Block, given: &Values) -> Result<Answers, Error> {
    let before = facts().variables(block.template.dialect, &block.id, &Answers::default(), Operation::Copy);
    let mut engine = Engine::new(&block.template, &before)?;
    let sources = Sources { given: given.clone(), ..Sources::default() };
    resolve(&block.template, &sources, None, &mut engine)
}

/// The values of a question that are tried; none stands for its default, or for an answer that is found when it is needed.
fn values(question: &Question, hints: &[&Value]) -> Vec<Option<Value>> {
    let default = question.default.as_ref();
    let mut values: Vec<Option<Value>> = vec![None];
    let mut add = |value: Value| {
        let known = values.contains(&Some(value.clone())) || default == Some(&value);
        // What is not first is not the default, so a default that is a template may be the same: one case more.
        if !known && values.len() < MOST_VALUES {
            values.push(Some(value));
        }
    };
    match &question.choices {
        Choices::Listed(choices) => {
            let open = || choices.iter().filter(|choice| choice.disabled.is_none()).map(|choice| choice.value.clone());
            if question.multiselect {
                add(Value::Array(Vec::new()));
                add(open().collect());
                open().for_each(|one| add(Value::Array(vec![one])));
            } else {
                open().for_each(&mut add);
            }
        }
        Choices::Any if question.kind == Kind::Bool => [true, false].into_iter().for_each(|yes| add(yes.into())),
        Choices::Any | Choices::Computed(_) => {}
    }
    for hint in hints {
        add((*hint).clone());
    }
    if question.when == When::Fixed(false) {
        values.truncate(1);
    }
    values
}

/// Answers to a question that has no default, the plainest first.
fn guesses(question: &Question) -> Vec<Value> {
    if let Choices::Listed(choices) = &question.choices {
        let first = choices.iter().filter(|choice| choice.disabled.is_none()).map(|choice| choice.value.clone());
        return if question.multiselect {
            first.take(1).map(|one| vec![one].into()).collect()
        } else {
            first.collect()
        };
    }
    let texts =
        ["example", "Example", "example-1", "example.org", "me@example.org", "https://example.org", "1.0.0", "1"];
    match question.kind {
        Kind::Bool => vec![false.into(), true.into()],
        Kind::Int => [1, 8, 80, 1024, 8080, 0].map(Value::from).to_vec(),
        Kind::Float => vec![1.0.into(), 0.5.into(), 10.0.into()],
        Kind::Json | Kind::Yaml => vec![Value::Object(Values::new()), Value::Array(Vec::new()), "example".into()],
        Kind::Path => vec!["example".into(), "example/path".into(), "/example".into()],
        Kind::Str => texts.map(Value::from).to_vec(),
    }
}

/// Which questions decide whether a question is asked, by index.
fn gates(questions: &[Question]) -> Vec<Vec<usize>> {
    let place = |name: &str| questions.iter().position(|question| question.id.as_str() == name);
    let gate = |question: &Question| match &question.when {
        When::Fixed(_) => Vec::new(),
        When::Template(text) => {
            let uses = jinja::read(text, &SyntaxConfig::default()).unwrap_or_default().uses;
            let mut gates: Vec<usize> = uses.iter().filter_map(|one| place(&one.name)).collect();
            gates.sort_unstable();
            gates.dedup();
            gates
        }
    };
    questions.iter().map(gate).collect()
}

/// What differs from the defaults.
fn name(questions: &[Question], given: &Values, answers: &Answers) -> String {
    let told = |(id, value): (&String, &Value)| {
        let secret = questions.iter().any(|question| question.id.as_str() == id && question.secret);
        let value = match value {
            _ if secret => "***".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{id}={}", crate::text::neutral_line(&value, 40))
    };
    let asked = given.iter().filter(|(id, _)| answers.kept.contains_key(*id) || answers.passing.contains_key(*id));
    let parts: Vec<String> = asked.map(told).collect();
    if parts.is_empty() { "defaults".to_owned() } else { crate::text::shorten(&parts.join(" "), 120) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::BlockId;
    use crate::tree::Entry;

    fn block(questions: &str) -> Block {
        let manifest = format!(
            "schema = 1\nname = \"x\"\nkind = \"part\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n{questions}"
        );
        let id = BlockId {
            name: "x".parse().unwrap(),
            version: semver::Version::new(1, 0, 0).into(),
            source: "/c".into(),
            commit: String::new(),
            asked: "x".into(),
            described: String::new(),
        };
        let source = [("block.toml".parse().unwrap(), Entry::file(manifest))].into_iter().collect();
        Block::read(id, std::path::Path::new("block.toml"), source).unwrap()
    }

    const WEB: &str = "
[questions.php]\ntype = \"str\"\nchoices = [\"8.2\", \"8.3\"]\ndefault = \"8.2\"
[questions.database]\ntype = \"bool\"\ndefault = false
[questions.engine]\ntype = \"str\"\nwhen = \"{{ database }}\"\nchoices = [\"mariadb\", \"postgres\", \"sqlite\"]\ndefault = \"mariadb\"
[questions.name]\ntype = \"str\"\nvalidator = \"{% if '-' not in name %}a dash{% endif %}\"
";

    #[test]
    fn a_question_behind_another_is_tried_with_everything() {
        let cases = make(&block(WEB), &[]);
        assert!(cases.failed.is_empty(), "{:?}", cases.failed);
        for engine in ["mariadb", "postgres", "sqlite"] {
            for php in ["8.2", "8.3"] {
                let both = |case: &&Case| {
                    case.answers.kept.get("engine") == Some(&engine.into()) && case.answers.kept["php"] == php
                };
                assert!(cases.cases.iter().any(|case| both(&case)), "{engine} {php}");
            }
        }
        // The validator of the name takes the third guess.
        assert!(cases.cases.iter().all(|case| case.answers.kept["name"] == "example-1"));
        let names: BTreeSet<&str> = cases.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.cases.len(), "{names:?}");
    }

    #[test]
    fn what_nobody_can_guess_is_answered_by_what_is_known() {
        let questions = "[questions.code]\ntype = \"str\"\nvalidator = \"{% if not (code | regex_search('^zq[0-9]$')) %}wrong{% endif %}\"\n";
        let unanswered = make(&block(questions), &[]);
        assert!(unanswered.cases.is_empty());
        assert_eq!(unanswered.failed[0].to_string(), "nobody answered `code`");
        let known = [("code".to_owned(), Value::from("zq7"))].into_iter().collect();
        let answered = make(&block(questions), &[known]);
        assert_eq!((answered.cases.len(), answered.failed.len()), (1, 0));
    }
}
