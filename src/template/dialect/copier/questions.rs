//! The questions of `copier.yml`.

use super::super::super::question::cast::truth;
use super::super::super::question::{Choices, Kind, When};
use super::super::super::yaml::{Content, Node};
use super::super::super::{Error, Question, QuestionId, Value};
use super::{Config, Item};
use crate::text::did_you_mean;

/// What a question may say.
const KNOWN: [&str; 12] = [
    "ask",
    "choices",
    "default",
    "help",
    "multiline",
    "multiselect",
    "placeholder",
    "qmark",
    "secret",
    "type",
    "validator",
    "when",
];

/// The questions, in order. What begins with an underscore is a setting.
pub fn read(config: &Config<'_>) -> Result<Vec<Question>, Error> {
    let secrets = config.texts("_secret_questions")?;
    let asked: Vec<&Item> = config.items.iter().filter(|item| !item.key.starts_with('_')).collect();
    if let Some(item) = asked.get(super::super::MOST_QUESTIONS) {
        let message = format!("more than {} questions", super::super::MOST_QUESTIONS);
        return Err(config.wrong(item, &item.node, message));
    }
    asked.into_iter().map(|item| question(config, item, secrets.contains(&item.key))).collect()
}

fn question(config: &Config<'_>, item: &Item, secret: bool) -> Result<Question, Error> {
    let place = format!("{}:{}", item.file, item.line.max(1));
    let id: QuestionId = item.key.clone().try_into().map_err(|problem: String| config.wrong_at(&place, problem))?;
    if matches!(id.as_str(), "now" | "make_secret") {
        return Err(config.wrong_at(&place, format!("`{id}` is a name of Copier's own")));
    }
    let mut question = Question::new(id, crate::text::neutral_line(&place, 200));
    let Content::Mapping(pairs) = &item.node.content else {
        // `name: default` for short.
        let default = config.value(item, &item.node)?;
        question.kind = Kind::of_default(Some(&default));
        question.default = Some(default);
        question.secret = secret;
        return Ok(question);
    };
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !KNOWN.contains(&key.key().as_str())) {
        let hint = did_you_mean(&key.key(), KNOWN).map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
        return Err(config.wrong(item, key, format!("{}: unknown key `{}`{hint}", item.key, key.key())));
    }
    let node = |name: &str| item.node.get(name);
    let text = |name: &str| match node(name) {
        None => Ok(None),
        Some(node) => config.text(item, node).map(Some),
    };
    let wrong = |node: &Node, message: String| config.wrong(item, node, format!("{}: {message}", item.key));
    question.default = node("default").map(|node| config.value(item, node)).transpose()?;
    match text("type")?.as_deref() {
        None | Some("") => question.kind = Kind::of_default(question.default.as_ref()),
        Some(name) => match Kind::named(name) {
            Some(kind) => question.kind = kind,
            None if name.contains("{{") || name.contains("{%") || config.setting("_envops").is_some() => {
                question.kind_template = Some(name.to_owned());
            }
            None => {
                let names = Kind::ALL.map(Kind::name).join(", ");
                return Err(wrong(
                    node("type").unwrap_or(&item.node),
                    format!("`{name}` is no type; there are {names}"),
                ));
            }
        },
    }
    question.help = text("help")?.unwrap_or_default();
    question.placeholder = text("placeholder")?.unwrap_or_default();
    question.validator = text("validator")?.filter(|validator| !validator.is_empty());
    let when = |name: &str, otherwise: bool| match node(name).map(|node| &node.content) {
        None | Some(Content::Scalar(Value::Null)) => Ok(When::Fixed(otherwise)),
        Some(Content::Scalar(Value::String(template))) => Ok(When::Template(template.clone())),
        Some(Content::Scalar(value)) => Ok(When::Fixed(truth(value))),
        Some(_) => Err(wrong(node(name).unwrap_or(&item.node), format!("{name}: expected a template"))),
    };
    question.when = when("when", true)?;
    question.ask = when("ask", true)?;
    question.multiline = when("multiline", false)?;
    let yes = |name: &str| node(name).map(|node| config.value(item, node).map(|value| truth(&value))).transpose();
    question.multiselect = yes("multiselect")?.unwrap_or(false);
    question.secret = secret || yes("secret")?.unwrap_or(false);
    if question.secret && question.default.is_none() {
        return Err(wrong(&item.node, "a secret has a default, since it is not kept for the next update".to_owned()));
    }
    if let Some(node) = node("choices") {
        question.choices = Choices::of_copier(&config.value(item, node)?).map_err(|problem| wrong(node, problem))?;
    }
    Ok(question)
}
