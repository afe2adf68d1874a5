//! The forms in which templates write choices.

use super::cast::python_text;
use super::{Choice, Choices, Value};

/// The most choices that a question may have.
const MOST: usize = 1000;

impl Choices {
    /// Reads choices: a list of values, of `[label, value]` pairs or of `{ label, value, disabled }`, a table of values by
    /// label, or a template of any of those. A value that is a table has its `value` in it, and says under `disabled` why
    /// it cannot be taken; Copier calls that `validator`.
    pub fn read(value: &Value) -> Result<Self, String> {
        if let Value::String(template) = value {
            return Ok(Self::Computed(template.clone()));
        }
        Self::listed(value, true).map(Self::of)
    }

    /// The same as Copier has it: a table in a list is a value as any other.
    pub fn of_copier(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(template) => Ok(Self::Computed(template.clone())),
            other => Self::listed(other, false).map(Self::of),
        }
    }

    fn of(listed: Vec<Choice>) -> Self {
        if listed.is_empty() { Self::Any } else { Self::Listed(listed) }
    }

    /// The choices of what is no template, or of what one rendered to. `tables` says whether a table in a list is a choice
    /// with its label.
    pub(in crate::template) fn listed(value: &Value, tables: bool) -> Result<Vec<Choice>, String> {
        let choices: Vec<Choice> = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items.iter().map(|value| item(value, tables)).collect::<Result<_, _>>()?,
            Value::Object(fields) => {
                fields.iter().map(|(label, value)| labelled(label.clone(), value)).collect::<Result<_, _>>()?
            }
            _ => return Err("choices are a list, a table or a template of one".to_owned()),
        };
        if choices.len() > MOST {
            return Err(format!("more than {MOST} choices"));
        }
        Ok(choices)
    }
}

fn item(value: &Value, tables: bool) -> Result<Choice, String> {
    match value {
        Value::Array(pair) => match pair.as_slice() {
            [label, value] => labelled(python_text(label), value),
            _ => Err("a choice that is a list has two items: its label and its value".to_owned()),
        },
        Value::Object(fields) if tables && fields.contains_key("value") => {
            let label = fields.get("label").unwrap_or(&fields["value"]);
            labelled(python_text(label), value)
        }
        Value::Object(_) if tables => Err("a choice that is a table has a `value`".to_owned()),
        other => Ok(Choice { label: python_text(other), value: other.clone(), disabled: None }),
    }
}

fn labelled(label: String, value: &Value) -> Result<Choice, String> {
    let Value::Object(fields) = value else { return Ok(Choice { label, value: value.clone(), disabled: None }) };
    let known = ["label", "value", "disabled", "validator"];
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("a choice has `label`, `value` and `disabled`, and no `{unknown}`"));
    }
    let value = fields.get("value").ok_or("a choice that is a table has a `value`")?;
    let disabled = match fields.get("disabled").or_else(|| fields.get("validator")) {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(Value::String(reason)) => Some(reason.clone()),
        Some(Value::Bool(true)) => Some("not available".to_owned()),
        Some(_) => return Err("why a choice is disabled is a text".to_owned()),
    };
    Ok(Choice { label, value: value.clone(), disabled })
}
