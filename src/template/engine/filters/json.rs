//! JSON as Python's `json.dumps` writes it.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::super::args::{Args, fail};
use crate::template::question::cast::python_float as float;

/// The most values in values.
const DEEPEST: usize = 200;

/// How it is written.
struct Style {
    indent: Option<String>,
    sort: bool,
    ascii: bool,
    item: String,
    key: String,
    /// Whether what HTML would take for its own is written with escapes.
    html: bool,
}

/// `to_json`: `json.dumps` with its own options.
pub fn to_json(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    write(state, value, &style(args, None, false)?)
}

/// `to_nice_json`: sorted, indented by four.
pub fn to_nice_json(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let indent = args.get(0, "indent").unwrap_or_else(|| Value::from(4));
    let sort = args.get(1, "sort_keys").is_none_or(|sort| sort.is_true());
    let mut style = style(args, Some(indent), sort)?;
    (style.item, style.key) = (",".to_owned(), ": ".to_owned());
    write(state, value, &style)
}

/// What a `yield` goes over: of what is undefined where that is nothing, nothing.
pub fn items(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    if value.is_undefined() { Ok("null".into()) } else { to_json(state, value, args) }
}

/// `tojson` of Jinja: sorted, safe in HTML.
pub fn tojson(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let mut style = style(args, args.get(0, "indent"), true)?;
    style.html = true;
    write(state, value, &style)
}

/// `jsonify` of Cookiecutter: sorted, indented by four.
pub fn jsonify(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let indent = args.get(0, "indent").unwrap_or_else(|| Value::from(4));
    write(state, value, &style(args, Some(indent), true)?)
}

/// `from_json`.
pub fn from_json(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let text = value.as_str().ok_or_else(|| fail(format!("from_json needs a string, not {}", value.kind())))?;
    let parsed: serde_json::Value =
        serde_json::from_str(text).map_err(|error| fail(format!("from_json: no JSON: {error}")))?;
    Ok(Value::from(minijinja::value::Serde(parsed)))
}

fn style(args: &Args<'_>, indent: Option<Value>, sort: bool) -> Result<Style, Error> {
    let indent = indent.or_else(|| args.get(usize::MAX, "indent")).map(|indent| match indent.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(indent.as_usize().unwrap_or(0).min(100)),
    });
    let sort = args.get(usize::MAX, "sort_keys").map_or(sort, |sort| sort.is_true());
    let ascii = args.get(usize::MAX, "ensure_ascii").is_none_or(|ascii| ascii.is_true());
    let mut style = Style { item: ", ".to_owned(), key: ": ".to_owned(), indent, sort, ascii, html: false };
    if style.indent.is_some() {
        ",".clone_into(&mut style.item);
    }
    if let Some(separators) = args.get(usize::MAX, "separators") {
        style.item = separators.get_item_by_index(0)?.to_string();
        style.key = separators.get_item_by_index(1)?.to_string();
    }
    Ok(style)
}

fn write(state: &State, value: &Value, style: &Style) -> Result<Value, Error> {
    let mut out = String::new();
    one(state, &mut out, value, style, 0)?;
    Ok(Value::from(out))
}

fn one(state: &State, out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    state.consume_fuel(1)?;
    if depth > DEEPEST {
        return Err(fail("values in values, too deep for JSON"));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
        ValueKind::Number => out.push_str(&match f64::try_from(value.clone())? {
            number if number.is_nan() => "NaN".to_owned(),
            number if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
            number => float(number),
        }),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            state.consume_fuel((text.len() / 16) as u64)?;
            string(out, text, style);
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = value.try_iter()?.checked().peekable();
            if items.peek().is_none() {
                out.push_str("[]");
                return Ok(());
            }
            out.push('[');
            for (i, item) in items.enumerate() {
                if i > 0 {
                    out.push_str(&style.item);
                }
                line(state, out, style, depth + 1)?;
                one(state, out, &item?, style, depth + 1)?;
            }
            line(state, out, style, depth)?;
            out.push(']');
        }
        ValueKind::Map => {
            let pairs = value.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
            let mut pairs: Vec<(String, Value)> =
                pairs.into_iter().flatten().map(|(name, value)| (key(&name), value)).collect();
            if pairs.is_empty() {
                out.push_str("{}");
                return Ok(());
            }
            if style.sort {
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (i, (name, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push_str(&style.item);
                }
                line(state, out, style, depth + 1)?;
                string(out, name, style);
                out.push_str(&style.key);
                one(state, out, value, style, depth + 1)?;
            }
            line(state, out, style, depth)?;
            out.push('}');
        }
        ValueKind::Undefined => return Err(Error::new(ErrorKind::UndefinedError, "it cannot be written as JSON")),
        kind => return Err(fail(format!("{kind} cannot be written as JSON"))),
    }
    Ok(())
}

fn line(state: &State, out: &mut String, style: &Style, depth: usize) -> Result<(), Error> {
    if let Some(indent) = &style.indent {
        state.consume_fuel((indent.len() * depth / 64) as u64)?;
        out.push('\n');
        out.push_str(&indent.repeat(depth));
    }
    Ok(())
}

/// A key as JSON has it: what is no text is written as JSON would.
fn key(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::None => "null".to_owned(),
        _ => value.to_string(),
    }
}

fn string(out: &mut String, text: &str, style: &Style) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' | '\'' if style.html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c < ' ' || (style.ascii && c > '~') => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
