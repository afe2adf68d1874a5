//! YAML as `PyYAML` writes and reads it.

use minijinja::value::{Serde, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::super::args::{Args, fail};
use crate::template::yaml::{self, Style};

/// `to_yaml`.
pub fn to_yaml(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    write(state, value, args, Style { flow: None, ..Style::default() })
}

/// `to_nice_yaml`: indented by four.
pub fn to_nice_yaml(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let indent = args.int(0, "indent")?.and_then(|indent| usize::try_from(indent).ok()).unwrap_or(4);
    write(state, value, args, Style { indent, ..Style::default() })
}

fn write(state: &State, value: &Value, args: &Args<'_>, usual: Style) -> Result<Value, Error> {
    let flag = |name: &str, usual: bool| args.get(usize::MAX, name).map_or(usual, |flag| flag.is_true());
    let number = |name: &str, usual: usize| -> Result<usize, Error> {
        Ok(args.int(usize::MAX, name)?.map_or(usual, |number| usize::try_from(number).unwrap_or(0)))
    };
    let flow = args.get(usize::MAX, "default_flow_style").map(|flow| flow.is_true());
    let style = Style {
        indent: number("indent", usual.indent)?,
        width: number("width", usual.width)?,
        sort_keys: flag("sort_keys", true),
        flow: flow.or(usual.flow),
        unicode: true,
        ..usual
    };
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "it cannot be written as YAML"));
    }
    let value = plain(state, value, 0)?;
    let mut text = yaml::dump_with(&value, style);
    // A list or table that is shown on several lines ends as the document does; a lone value has its mark.
    if usual.flow.is_none() && text.is_empty() {
        text.push('\n');
    }
    state.consume_fuel((text.len() / 16) as u64)?;
    Ok(text.into())
}

/// A value as JSON has it.
fn plain(state: &State, value: &Value, depth: usize) -> Result<serde_json::Value, Error> {
    state.consume_fuel(1)?;
    if depth > 100 {
        return Err(fail("values in values, too deep for YAML"));
    }
    Ok(match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.checked().map(|item| plain(state, &item?, depth + 1));
            serde_json::Value::Array(items.collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let pairs = value.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
            let pairs = pairs.into_iter().flatten();
            let pairs = pairs.map(|(key, value)| Ok((key.to_string(), plain(state, &value, depth + 1)?)));
            serde_json::Value::Object(pairs.collect::<Result<_, Error>>()?)
        }
        _ => serde_json::to_value(value).map_err(|error| fail(error.to_string()))?,
    })
}

/// `from_yaml`: what is no text is what it is.
pub fn from_yaml(state: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    state.consume_fuel((text.len() / 16) as u64)?;
    let parsed = yaml::parse(text).map_err(|error| fail(format!("from_yaml: {error}")))?;
    Ok(Value::from(Serde(parsed)))
}

/// `from_yaml_all`: every document.
pub fn from_yaml_all(state: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    state.consume_fuel((text.len() / 16) as u64)?;
    let wrong = |error: yaml::BadYaml| fail(format!("from_yaml_all: {error}"));
    let documents = yaml::parse_all(text).map_err(wrong)?;
    let values = documents.iter().map(|node| node.value().map(|value| Value::from(Serde(value))).map_err(wrong));
    Ok(Value::from(values.collect::<Result<Vec<_>, _>>()?))
}
