//! What a plain scalar means to go-yaml, version 3, as Compose uses it: YAML 1.2, with the octals of 1.1 and
//! underscores in numbers. The source is `resolve.go` of <https://github.com/go-yaml/yaml>.

use std::sync::LazyLock;

use regex::Regex;

use super::super::Value;
use super::{Content, Node};

static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$").expect("a pattern of ours")
});

/// Whether a plain scalar is text, and nothing else: nor anything that begins as a time does.
pub(super) fn is_text(text: &str) -> bool {
    let is_time = matches!(text.as_bytes(), [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|c| c.is_ascii_digit()));
    resolve(text).is_string() && text != "<<" && !is_time
}

/// The value of a plain scalar. Times are text; so is what JSON has no number for.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    number.then(|| resolve_number(text)).flatten().unwrap_or_else(|| Value::String(text.to_owned()))
}

fn resolve_number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    whole(&plain).or_else(|| {
        let float = FLOAT.is_match(&plain).then(|| plain.parse::<f64>().ok()).flatten()?;
        float.is_finite().then(|| Value::from(float))
    })
}

fn whole(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // Rust's parser takes a sign of its own.
    let number = i128::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']))?;
    let number = if negative { -number } else { number };
    i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from)).ok()
}

/// A value's text as Go prints it; none for a list, a table and null.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => Some(print(float)),
            _ => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of a single value as Go prints it.
pub fn text_of(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar(value) => text(value),
        Content::Tagged(..) | Content::Sequence(_) | Content::Mapping(_) => None,
    }
}

/// Go's `%v` of a float: an exponent below -4 and from 21 on, of two digits at least.
fn print(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..21 => float.to_string(),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `docker-compose config` makes of these as values of variables.
    #[test]
    fn plain_scalars_mean_what_they_mean_to_compose() {
        let cases = [
            ("yes", json!("yes"), "yes"),
            ("on", json!("on"), "on"),
            ("True", json!(true), "true"),
            ("010", json!(8), "8"),
            ("08", json!(8.0), "8"),
            ("0o10", json!(8), "8"),
            ("0x1F", json!(31), "31"),
            ("1_000", json!(1000), "1000"),
            ("+12", json!(12), "12"),
            ("1:30", json!("1:30"), "1:30"),
            ("3306:3306", json!("3306:3306"), "3306:3306"),
            ("1.10", json!(1.1), "1.1"),
            ("1e3", json!(1000.0), "1000"),
            ("1e21", json!(1e21), "1e+21"),
            ("0.00001", json!(0.000_01), "1e-05"),
            (".5", json!(0.5), "0.5"),
            ("1.2.3", json!("1.2.3"), "1.2.3"),
            ("--1", json!("--1"), "--1"),
            ("-", json!("-"), "-"),
            ("2024-01-31", json!("2024-01-31"), "2024-01-31"),
        ];
        for (written, value, told) in cases {
            assert_eq!(resolve(written), value, "{written}");
            assert_eq!(text(&resolve(written)).as_deref(), Some(told), "{written}");
        }
        assert_eq!(resolve("~"), Value::Null);
    }
}
