//! Texts as numbers, with what stands for a text that is none.

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::super::args::Args;

/// `int`.
pub fn int(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let base = args.int(1, "base")?.and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
    let number = match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            whole(text, base).map(Value::from).or_else(|| text.trim().parse::<f64>().ok().and_then(truncated))
        }
        ValueKind::Number if value.is_integer() => Some(value.clone()),
        ValueKind::Number => f64::try_from(value.clone()).ok().and_then(truncated),
        ValueKind::Bool => Some(Value::from(i64::from(value.is_true()))),
        _ => None,
    };
    Ok(number.unwrap_or_else(|| args.get(0, "default").unwrap_or_else(|| Value::from(0))))
}

fn truncated(number: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "checked: it fits")]
    (number.is_finite() && number.abs() < 1e38).then(|| Value::from(number as i128))
}

/// A whole number as Python's `int` reads it.
fn whole(text: &str, base: u32) -> Option<i128> {
    if !(2..=36).contains(&base) {
        return None;
    }
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixes: &[&str] = match base {
        16 => &["0x", "0X"],
        8 => &["0o", "0O"],
        2 => &["0b", "0B"],
        _ => &[],
    };
    let digits = prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)).unwrap_or(digits);
    if digits.starts_with(['_', '+', '-']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    i128::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base).ok()
}

/// `float`.
pub fn float(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let number = match value.kind() {
        ValueKind::String => value.as_str().unwrap_or_default().trim().replace('_', "").parse::<f64>().ok(),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => None,
    };
    Ok(number.map_or_else(|| args.get(0, "default").unwrap_or_else(|| Value::from(0.0)), Value::from))
}
