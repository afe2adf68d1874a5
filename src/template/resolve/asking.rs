//! One question: its texts rendered, its answer read, cast and checked as Copier does it.

use std::borrow::Cow;

use super::super::question::cast::{python_text, same, truth};
use super::super::question::{Choices, Kind, Values, When};
use super::super::{Dialect, Engine, Error, Question, Template, Value, yaml};
use super::{Ask, Offer, Prompt, Reply};
use crate::text::{neutral, neutral_line, shorten};

/// What Copier calls a default that turns out to be none. A text that no template writes stands for it.
const UNSET: &str = "\u{f8ff}unset\u{f8ff}";

/// One question being answered.
pub(super) struct Asking<'a> {
    template: &'a Template,
    question: &'a Question,
    engine: &'a Engine,
    kind: Kind,
}

/// A choice with its texts rendered.
struct Offered {
    label: String,
    value: Value,
    disabled: Option<String>,
}

/// Inside, what is wrong with the answer; outside, what is wrong with the template.
type Checked<T> = Result<Result<T, String>, Error>;

impl<'a> Asking<'a> {
    pub(super) fn new(template: &'a Template, question: &'a Question, engine: &'a Engine) -> Result<Self, Error> {
        let kind = match &question.kind_template {
            None => question.kind,
            Some(text) => {
                let name = engine.text(&question.place, text)?;
                Kind::named(name.trim()).ok_or_else(|| Error::Wrong {
                    label: template.label.clone(),
                    place: question.place.clone(),
                    message: format!("{}: `{}` is no type of a question", question.id, neutral_line(&name, 60)),
                })?
            }
        };
        Ok(Self { template, question, engine, kind })
    }

    /// Whether the question is asked, as its `when` says.
    pub(super) fn applies(&self) -> Result<bool, Error> {
        self.holds(&self.question.when)
    }

    /// Whether a person may be asked, as its `ask` says.
    pub(super) fn may_ask(&self) -> Result<bool, Error> {
        self.holds(&self.question.ask)
    }

    fn holds(&self, when: &When) -> Result<bool, Error> {
        match when {
            When::Fixed(yes) => Ok(*yes),
            When::Template(text) => Ok(truth(&Value::String(self.text(text)?))),
        }
    }

    fn text(&self, template: &str) -> Result<String, Error> {
        self.engine.text(&self.question.place, template)
    }

    /// A value with its texts rendered: those of lists, too, and as Copier has it not those of tables.
    fn rendered(&self, value: &Value, more: &Values) -> Result<Value, Error> {
        Ok(match value {
            Value::String(text) => Value::String(self.engine.text_with(&self.question.place, text, more)?),
            Value::Array(items) => items.iter().map(|item| self.rendered(item, more)).collect::<Result<_, _>>()?,
            Value::Object(fields) if self.template.dialect == Dialect::Cookiecutter => {
                let field = |(key, value): (&String, &Value)| {
                    let key = self.engine.text_with(&self.question.place, key, more)?;
                    Ok((key, self.rendered(value, more)?))
                };
                fields.iter().map(field).collect::<Result<_, Error>>()?
            }
            other => other.clone(),
        })
    }

    /// The default with its texts rendered, not yet cast.
    pub(super) fn default(&self) -> Result<Option<Value>, Error> {
        let Some(default) = &self.question.default else { return Ok(None) };
        let more = [("UNSET".to_owned(), Value::String(UNSET.to_owned()))].into_iter().collect();
        let value = self.rendered(default, &more)?;
        Ok(if value.as_str().is_some_and(|text| text.contains(UNSET)) { None } else { Some(value) })
    }

    /// The value of a question that is not asked. One that is not of its type is the template's mistake.
    pub(super) fn computed(&self) -> Result<Option<Value>, Error> {
        let Some(default) = self.default()? else { return Ok(None) };
        self.parse(&default)?.map(Some).map_err(|problem| self.wrong_default(&default, &problem))
    }

    /// The template's mistake in a default.
    pub(super) fn wrong_default(&self, default: &Value, problem: &str) -> Error {
        let shown = if self.question.secret { "***".to_owned() } else { shown(default) };
        Error::Wrong {
            label: self.template.label.clone(),
            place: self.question.place.clone(),
            message: format!("{}: its default is `{}`: {problem}", self.question.id, neutral_line(&shown, 60)),
        }
    }

    fn choices(&self) -> Result<Vec<Offered>, Error> {
        let wrong = |problem: String| Error::Wrong {
            label: self.template.label.clone(),
            place: self.question.place.clone(),
            message: format!("{}: {}", self.question.id, neutral_line(&problem, 300)),
        };
        let listed = match &self.question.choices {
            Choices::Any => return Ok(Vec::new()),
            Choices::Listed(listed) => Cow::Borrowed(listed),
            Choices::Computed(template) => {
                let value =
                    yaml::parse(&self.text(template)?).map_err(|error| wrong(format!("its choices: {error}")))?;
                let tables = self.template.dialect == Dialect::Block;
                Cow::Owned(Choices::listed(&value, tables).map_err(wrong)?)
            }
        };
        let offered = |choice: &super::super::question::Choice| {
            let disabled = choice.disabled.as_deref().map(|reason| self.text(reason)).transpose()?;
            let value = self.rendered(&choice.value, &Values::new())?;
            let cast = self.kind.cast(&value);
            let value = cast.map_err(|problem| wrong(format!("its choice `{}`: {problem}", shown(&value))))?;
            Ok(Offered {
                label: self.text(&choice.label)?,
                value,
                disabled: disabled.filter(|reason| !reason.trim().is_empty()),
            })
        };
        listed.iter().map(offered).collect()
    }

    /// Reads what was typed, and checks it.
    pub(super) fn typed(&self, text: &str) -> Checked<Value> {
        match self.read(text)? {
            Ok(value) => self.validated(value),
            Err(problem) => Ok(Err(problem)),
        }
    }

    fn read(&self, text: &str) -> Checked<Value> {
        let lines = self.kind == Kind::Str
            && self.template.dialect == Dialect::Block
            && text.contains(['\n', '\r'])
            && !self.holds(&self.question.multiline)?;
        if lines {
            return Ok(Err("expected one line of text".to_owned()));
        }
        if self.question.multiselect {
            return self.parse(&Value::String(text.to_owned()));
        }
        match self.kind.read(text) {
            Ok(value) => Ok(Self::chosen(self.completed(&value)?, &self.choices()?)),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// Takes a value that is of a type already, and checks it.
    pub(super) fn take(&self, value: &Value) -> Checked<Value> {
        match self.parse(value)? {
            Ok(value) => self.validated(value),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// Makes a value an answer, without the validator.
    pub(super) fn parse(&self, value: &Value) -> Checked<Value> {
        let choices = self.choices()?;
        if !self.question.multiselect {
            return match self.cast(value) {
                Ok(value) => Ok(Self::chosen(value, &choices)),
                Err(problem) => Ok(Err(problem)),
            };
        }
        let items = match value {
            Value::String(text) => match items(text) {
                Ok(items) => items,
                Err(problem) => return Ok(Err(problem)),
            },
            Value::Array(items) => items.clone(),
            _ => return Ok(Err("expected a list".to_owned())),
        };
        let mut answer = Vec::new();
        for item in items {
            let item = match self.cast(&item) {
                Ok(item) => Self::chosen(item, &choices),
                Err(problem) => return Ok(Err(problem)),
            };
            match item {
                Ok(item) => answer.push(item),
                Err(problem) => return Ok(Err(problem)),
            }
        }
        // In the order of the choices, whatever the order in which they were taken.
        let taken = |choice: &Offered| answer.iter().any(|item| same(item, &choice.value));
        Ok(Ok(choices.into_iter().filter(taken).map(|choice| choice.value).collect()))
    }

    /// What was given for a table of a Cookiecutter template goes over its default, key by key.
    pub(super) fn completed(&self, given: &Value) -> Result<Value, Error> {
        if self.template.dialect != Dialect::Cookiecutter || !given.is_object() {
            return Ok(given.clone());
        }
        Ok(self.default()?.map_or_else(|| given.clone(), |default| over(default, given)))
    }

    /// Casts as the dialect does: a block's yes or no is one of the words for it.
    fn cast(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) if self.template.dialect == Dialect::Block => self.kind.read(text),
            other => self.kind.cast(other),
        }
    }

    fn chosen(value: Value, choices: &[Offered]) -> Result<Value, String> {
        if choices.is_empty() {
            return Ok(value);
        }
        let mut same = choices.iter().filter(|choice| same(&choice.value, &value));
        let reason = match same.next() {
            Some(Offered { disabled: None, .. }) => return Ok(value),
            Some(Offered { disabled: Some(reason), .. }) => {
                if same.any(|choice| choice.disabled.is_none()) {
                    return Ok(value);
                }
                neutral_line(reason.trim(), 200)
            }
            None => {
                let open = choices.iter().filter(|choice| choice.disabled.is_none());
                let words: Vec<String> = open.map(|choice| neutral_line(&shown(&choice.value), 60)).collect();
                shorten(&format!("choose one of {}", words.join(", ")), 600)
            }
        };
        Err(reason)
    }

    /// Checks an answer with the template's validator.
    pub(super) fn validated(&self, value: Value) -> Checked<Value> {
        let Some(validator) = &self.question.validator else { return Ok(Ok(value)) };
        let more = [(self.question.id.to_string(), value.clone())].into_iter().collect();
        // A validator that cannot cope with an answer does not take it: so has Copier it, too.
        let complaint = match self.engine.text_with(&self.question.place, validator, &more) {
            Ok(complaint) => complaint,
            Err(Error::Wrong { message, .. }) => message,
            Err(other) => return Err(other),
        };
        let complaint = neutral_line(complaint.trim(), 300);
        Ok(if complaint.is_empty() { Ok(value) } else { Err(complaint) })
    }

    /// The refusal of an answer; a secret is not shown.
    pub(super) fn refused(&self, answer: &str, problem: String) -> Error {
        let answer = if self.question.secret { "***".to_owned() } else { answer.to_owned() };
        Error::BadAnswer { question: self.question.id.clone(), answer, problem }
    }

    /// What it asks, on one line.
    pub(super) fn help_line(&self) -> Result<String, Error> {
        Ok(neutral_line(self.text(&self.question.help)?.trim(), 200))
    }

    /// Asks until the answer is right; none when the person wants to go back. `default` is what takes the place of the
    /// question's own default.
    pub(super) fn person(
        &self,
        person: &mut dyn Ask,
        default: Option<Value>,
        problem: Option<String>,
        back: bool,
    ) -> Result<Option<Value>, Error> {
        let choices = self.choices()?;
        let default = match default {
            Some(default) => Some(default),
            None => self.open_default(&choices)?,
        };
        let help = shorten(neutral(&self.text(&self.question.help)?).trim(), 2000);
        let reason = |reason: &String| neutral_line(reason.trim(), 200);
        let mut prompt = Prompt {
            id: self.question.id.to_string(),
            help: if help.is_empty() { self.question.id.to_string() } else { help },
            placeholder: neutral_line(self.text(&self.question.placeholder)?.trim(), 200),
            kind: self.kind,
            default: default.as_ref().map(|default| self.preset(default, &choices)),
            choices: choices
                .iter()
                .map(|choice| Offer {
                    label: neutral_line(&choice.label, 200),
                    disabled: choice.disabled.as_ref().map(reason),
                })
                .collect(),
            multiselect: self.question.multiselect,
            multiline: self.holds(&self.question.multiline)?,
            secret: self.question.secret,
            problem,
            back,
        };
        loop {
            let checked = match (person.ask(&prompt)?, &default) {
                (Reply::Back, _) if back => return Ok(None),
                (Reply::Back, _) => Err("this is the first question".to_owned()),
                (Reply::Chosen(indices), _) => self.indices(&indices, &choices)?,
                (Reply::Typed(text), Some(default)) if prompt.default.as_deref() == Some(&text) => {
                    self.take(default)?
                }
                (Reply::Typed(text), _) => match prompt.choices.iter().position(|offer| offer.label == text) {
                    Some(index) if !self.question.multiselect => self.indices(&[index], &choices)?,
                    _ => self.typed(&text)?,
                },
            };
            match checked {
                Ok(answer) => return Ok(Some(answer)),
                Err(problem) => prompt.problem = Some(problem),
            }
        }
    }

    /// The default, if it is one that a person could take. One of another type is the template's mistake; one that is none
    /// of the choices is not offered.
    fn open_default(&self, choices: &[Offered]) -> Result<Option<Value>, Error> {
        let Some(default) = self.default()? else { return Ok(None) };
        match self.parse(&default)? {
            Ok(default) => Ok(Some(default)),
            Err(_) if !choices.is_empty() => Ok(None),
            Err(problem) => Err(self.wrong_default(&default, &problem)),
        }
    }

    /// A default as the prompt shows it: labels of choices, one a line.
    fn preset(&self, default: &Value, choices: &[Offered]) -> String {
        let label = |value: &Value| {
            let choice = choices.iter().find(|choice| same(&choice.value, value));
            neutral_line(&choice.map_or_else(|| shown(value), |choice| choice.label.clone()), 200)
        };
        match default {
            Value::Array(values) if self.question.multiselect => {
                values.iter().map(label).collect::<Vec<_>>().join("\n")
            }
            value if !choices.is_empty() => label(value),
            Value::Object(_) | Value::Array(_) if self.kind == Kind::Yaml => neutral(yaml::dump(default).trim_end()),
            value if matches!(self.kind, Kind::Yaml | Kind::Json) => neutral(&value.to_string()),
            value => neutral(&shown(value)),
        }
    }

    fn indices(&self, indices: &[usize], choices: &[Offered]) -> Checked<Value> {
        // In the order of the choices, whatever the order in which they were taken.
        let picked = choices.iter().enumerate().filter(|(index, _)| indices.contains(index));
        let picked: Vec<&Offered> = picked.map(|(_, choice)| choice).collect();
        if let Some(reason) = picked.iter().find_map(|choice| choice.disabled.as_ref()) {
            return Ok(Err(neutral_line(reason.trim(), 200)));
        }
        match picked.as_slice() {
            picked if self.question.multiselect => {
                self.validated(picked.iter().map(|choice| choice.value.clone()).collect())
            }
            [choice] => self.validated(choice.value.clone()),
            _ => Ok(Err("choose one".to_owned())),
        }
    }
}

/// A value as a person would type it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => String::new(),
        Value::Number(_) => python_text(value),
        other => other.to_string(),
    }
}

/// One table over another.
fn over(below: Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Object(mut below), Value::Object(above)) => {
            for (key, value) in above {
                let old = below.get_mut(key).map(Value::take).unwrap_or_default();
                below.insert(key.clone(), over(old, value));
            }
            Value::Object(below)
        }
        (_, above) => above.clone(),
    }
}

/// The items of a list as Copier reads them: YAML, each item as it is written. Words with commas between them are a list,
/// too.
fn items(text: &str) -> Result<Vec<Value>, String> {
    let items = match yaml::items(text) {
        Ok(Some(items)) => items,
        Ok(None) if text.trim().is_empty() => Vec::new(),
        Ok(None) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        Err(error) => return Err(format!("expected a list: {error}")),
    };
    Ok(items.into_iter().map(Value::String).collect())
}
