//! Values become answers of a type, the way Copier casts them; what a person types is read more strictly.

use std::cmp::Ordering;

use super::{Kind, Value};
use crate::template::yaml;

/// The most bytes that an answer may have.
const CAP: usize = 256 * 1024;

impl Kind {
    /// Every type.
    pub const ALL: [Self; 7] = [Self::Str, Self::Int, Self::Float, Self::Bool, Self::Json, Self::Yaml, Self::Path];

    /// Its name in a template.
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Path => "path",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type of a question that names none, by its default, as Copier has it.
    pub fn of_default(default: Option<&Value>) -> Self {
        match default {
            Some(Value::String(_)) => Self::Str,
            Some(Value::Bool(_)) => Self::Bool,
            Some(Value::Number(number)) if number.is_f64() => Self::Float,
            Some(Value::Number(_)) => Self::Int,
            _ => Self::Yaml,
        }
    }

    /// What was expected of an answer that is none.
    fn expected(self) -> &'static str {
        match self {
            Self::Str | Self::Path => "expected text",
            Self::Int => "expected a whole number",
            Self::Float => "expected a number",
            Self::Bool => "expected true or false",
            Self::Json => "expected JSON",
            Self::Yaml => "expected YAML",
        }
    }

    /// Reads what somebody typed. The error is a sentence on what was expected.
    pub fn read(self, text: &str) -> Result<Value, String> {
        if text.contains('\0') {
            return Err("expected text without NUL".to_owned());
        }
        if self != Self::Bool {
            return self.cast(&Value::String(text.to_owned()));
        }
        let word = text.trim().to_ascii_lowercase();
        match word.as_str() {
            "true" | "yes" | "y" | "t" | "on" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "n" | "f" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(self.expected().to_owned()),
        }
    }

    /// Makes a value one of this type, as Copier casts it.
    pub fn cast(self, value: &Value) -> Result<Value, String> {
        let wrong = || self.expected().to_owned();
        if value.as_str().is_some_and(|text| text.len() > CAP) {
            return Err(format!("that is more than the {} KiB of an answer", CAP / 1024));
        }
        match (self, value) {
            (Self::Json | Self::Yaml, Value::String(text)) if self == Self::Json => {
                serde_json::from_str(text).map_err(|error| format!("{}: {error}", self.expected()))
            }
            (Self::Yaml, Value::String(text)) => {
                yaml::parse(text).map_err(|error| format!("{}: {error}", self.expected()))
            }
            (Self::Json | Self::Yaml, other) => Ok(other.clone()),
            (_, Value::Null)
            | (Self::Str | Self::Path | Self::Int | Self::Float, Value::Array(_) | Value::Object(_)) => Err(wrong()),
            (Self::Bool, value) => Ok(Value::Bool(truth(value))),
            (Self::Str | Self::Path, Value::String(_)) => Ok(value.clone()),
            (Self::Str | Self::Path, Value::Number(_) | Value::Bool(_)) => Ok(Value::String(python_text(value))),
            (Self::Int, Value::Bool(yes)) => Ok(i64::from(*yes).into()),
            (Self::Int, Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(whole.into()),
                #[expect(clippy::cast_possible_truncation, reason = "it is cut to a whole number, and fits")]
                (None, Some(part)) if part.abs() < 9.2e18 => Ok((part.trunc() as i64).into()),
                _ => Err(wrong()),
            },
            (Self::Int, Value::String(text)) => digits(text)
                .and_then(|text| text.parse::<i64>().ok())
                .map_or_else(|| Err(wrong()), |whole| Ok(whole.into())),
            (Self::Float, Value::Bool(yes)) => Ok(f64::from(u8::from(*yes)).into()),
            (Self::Float, Value::Number(number)) => number.as_f64().map(Value::from).ok_or_else(wrong),
            (Self::Float, Value::String(text)) => match number(text) {
                Some(number) if number.is_finite() => Ok(number.into()),
                _ => Err(wrong()),
            },
        }
    }
}

/// What Copier takes for yes: numbers but 0, the words for it, and what Python takes for true.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            if let Some(number) = number(text) {
                return number != 0.0;
            }
            let word = text.trim().to_lowercase();
            !matches!(word.as_str(), "" | "n" | "no" | "f" | "false" | "off" | "~" | "null" | "none")
        }
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A number as Python reads it: blanks around it and single underscores between digits.
fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let misplaced = |(at, _): (usize, &str)| {
        let digit = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
        !digit(at.checked_sub(1).and_then(|at| text.as_bytes().get(at))) || !digit(text.as_bytes().get(at + 1))
    };
    if text.match_indices('_').any(misplaced) { None } else { Some(text.replace('_', "")) }
}

fn number(text: &str) -> Option<f64> {
    digits(text)?.parse().ok()
}

/// What Python's `str` makes of a value that is no list and no dictionary; of those, JSON.
pub fn python_text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(part) if number.is_f64() => python_float(part),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Python's `repr` of a float: the fewest digits that mean it, an exponent where it is small or large.
pub fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Whether Python takes two values for equal: `1`, `1.0` and `True` are.
pub fn same(one: &Value, other: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(a), Value::Number(b)) if !a.is_f64() && !b.is_f64() => a == b,
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => one.partial_cmp(&other) == Some(Ordering::Equal),
            _ => one == other,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What Copier 9.19 casts them to.
    #[test]
    fn values_are_cast_as_copier_casts_them() {
        let cases = [
            (Kind::Bool, json!("yes"), Some(json!(true))),
            (Kind::Bool, json!("Y"), Some(json!(true))),
            (Kind::Bool, json!("on"), Some(json!(true))),
            (Kind::Bool, json!("t"), Some(json!(true))),
            (Kind::Bool, json!("no"), Some(json!(false))),
            (Kind::Bool, json!("off"), Some(json!(false))),
            (Kind::Bool, json!(""), Some(json!(false))),
            (Kind::Bool, json!("~"), Some(json!(false))),
            (Kind::Bool, json!("none"), Some(json!(false))),
            (Kind::Bool, json!("0"), Some(json!(false))),
            (Kind::Bool, json!("0.0"), Some(json!(false))),
            (Kind::Bool, json!("2"), Some(json!(true))),
            (Kind::Bool, json!("maybe"), Some(json!(true))),
            (Kind::Bool, json!(true), Some(json!(true))),
            (Kind::Bool, json!(0), Some(json!(false))),
            (Kind::Bool, json!(1.5), Some(json!(true))),
            (Kind::Bool, json!(null), None),
            (Kind::Bool, json!([]), Some(json!(false))),
            (Kind::Bool, json!([1]), Some(json!(true))),
            (Kind::Int, json!("3"), Some(json!(3))),
            (Kind::Int, json!(" 3 "), Some(json!(3))),
            (Kind::Int, json!("-3"), Some(json!(-3))),
            (Kind::Int, json!("+3"), Some(json!(3))),
            (Kind::Int, json!("1_000"), Some(json!(1000))),
            (Kind::Int, json!("3.5"), None),
            (Kind::Int, json!(""), None),
            (Kind::Int, json!("x"), None),
            (Kind::Int, json!(3.9), Some(json!(3))),
            (Kind::Int, json!(-3.9), Some(json!(-3))),
            (Kind::Int, json!(true), Some(json!(1))),
            (Kind::Int, json!(null), None),
            (Kind::Int, json!([1]), None),
            (Kind::Float, json!("3"), Some(json!(3.0))),
            (Kind::Float, json!("3.5"), Some(json!(3.5))),
            (Kind::Float, json!(" .5 "), Some(json!(0.5))),
            (Kind::Float, json!("1e5"), Some(json!(100_000.0))),
            (Kind::Float, json!("1_0.5"), Some(json!(10.5))),
            (Kind::Float, json!("x"), None),
            (Kind::Float, json!(""), None),
            (Kind::Float, json!(3), Some(json!(3.0))),
            (Kind::Float, json!(true), Some(json!(1.0))),
            (Kind::Float, json!(null), None),
            (Kind::Str, json!("a"), Some(json!("a"))),
            (Kind::Str, json!(""), Some(json!(""))),
            (Kind::Str, json!(1), Some(json!("1"))),
            (Kind::Str, json!(1.5), Some(json!("1.5"))),
            (Kind::Str, json!(1e+16), Some(json!("1e+16"))),
            (Kind::Str, json!(1e-05), Some(json!("1e-05"))),
            (Kind::Str, json!(true), Some(json!("True"))),
            (Kind::Str, json!(null), None),
            (Kind::Str, json!([1]), None),
            (Kind::Str, json!({"a": 1}), None),
            (Kind::Path, json!("a/b"), Some(json!("a/b"))),
            (Kind::Path, json!(1), Some(json!("1"))),
            (Kind::Json, json!("{\"a\": [1, null]}"), Some(json!({"a": [1, null]}))),
            (Kind::Json, json!("[]"), Some(json!([]))),
            (Kind::Json, json!("\"x\""), Some(json!("x"))),
            (Kind::Json, json!("x"), None),
            (Kind::Json, json!(""), None),
            (Kind::Json, json!(null), Some(json!(null))),
            (Kind::Json, json!(1), Some(json!(1))),
            (Kind::Json, json!([1]), Some(json!([1]))),
            (Kind::Json, json!({"a": 1}), Some(json!({"a": 1}))),
            (Kind::Yaml, json!("a: 1"), Some(json!({"a": 1}))),
            (Kind::Yaml, json!("[yes, 010]"), Some(json!([true, 8]))),
            (Kind::Yaml, json!("x"), Some(json!("x"))),
            (Kind::Yaml, json!(""), Some(json!(null))),
            (Kind::Yaml, json!("~"), Some(json!(null))),
            (Kind::Yaml, json!("1:30"), Some(json!(90))),
            (Kind::Yaml, json!(null), Some(json!(null))),
            (Kind::Yaml, json!(1), Some(json!(1))),
            (Kind::Yaml, json!([1]), Some(json!([1]))),
        ];
        for (kind, value, expected) in cases {
            assert_eq!(kind.cast(&value).ok(), expected, "{value} as {}", kind.name());
        }
    }

    #[test]
    fn what_is_typed_is_read_more_strictly() {
        for (text, expected) in [("Yes", Some(true)), ("f", Some(false)), ("", None), ("maybe", None), ("2", None)] {
            assert_eq!(Kind::Bool.read(text).ok(), expected.map(Value::from), "{text}");
        }
        assert_eq!(Kind::Str.read("8.2"), Ok(json!("8.2")));
        assert!(Kind::Str.read("a\0b").is_err());
        assert!(Kind::Int.read("99999999999999999999").is_err());
        assert!(Kind::Float.read("inf").is_err());
        assert!(Kind::Str.read(&"x".repeat(CAP + 1)).is_err());
        assert!(Kind::Yaml.read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn python_takes_them_for_equal() {
        for (one, other) in [(json!(1), json!(true)), (json!(1.0), json!(1)), (json!([1, "a"]), json!([1.0, "a"]))] {
            assert!(same(&one, &other), "{one} {other}");
        }
        let large = json!(9_007_199_254_740_993_i64);
        for (one, other) in [(json!("1"), json!(1)), (json!(null), json!(0)), (large, json!(9_007_199_254_740_992_i64))]
        {
            assert!(!same(&one, &other), "{one} {other}");
        }
    }

    proptest::proptest! {
        /// What is shown for an answer reads back as the same answer.
        #[test]
        fn shown_answers_read_back(number: i64, real in -1e300_f64..1e300, yes: bool) {
            for (kind, value) in [(Kind::Int, json!(number)), (Kind::Float, json!(real)), (Kind::Bool, json!(yes))] {
                proptest::prop_assert_eq!(kind.cast(&json!(python_text(&value))), Ok(value));
            }
        }
    }
}
