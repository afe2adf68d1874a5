//! Answers to a block's questions: typed values, read the same way from the command line, a default or a person.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a question's answer, as Copier names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerType {
    /// A line of text.
    Str,
    /// A whole number of 64 bits.
    Int,
    /// A number.
    Float,
    /// Yes or no.
    Bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A line of text.
    Str(String),
    /// A whole number.
    Int(i64),
    /// A number, never NaN or infinite.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl AnswerType {
    /// Reads what somebody typed. The error is a sentence on what was expected.
    pub fn read(self, text: &str) -> Result<Answer, &'static str> {
        let word = text.trim();
        match self {
            Self::Str if text.contains(['\n', '\r', '\0']) => Err("expected one line of text"),
            Self::Str => Ok(Answer::Str(text.to_owned())),
            Self::Int => word.parse().map(Answer::Int).map_err(|_| "expected a whole number"),
            Self::Float => match word.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Answer::Float(number)),
                _ => Err("expected a number"),
            },
            Self::Bool => match word.to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "on" | "1" => Ok(Answer::Bool(true)),
                "false" | "no" | "n" | "off" | "0" => Ok(Answer::Bool(false)),
                _ => Err("expected true or false"),
            },
        }
    }

    /// Takes a value of a manifest, if it is of this type. A whole number is a number too.
    pub fn take(self, value: &toml::Value) -> Option<Answer> {
        Some(match (self, value) {
            (Self::Str, toml::Value::String(text)) => Answer::Str(text.clone()),
            (Self::Int, toml::Value::Integer(number)) => Answer::Int(*number),
            (Self::Float, toml::Value::Float(number)) if number.is_finite() => Answer::Float(*number),
            #[expect(clippy::cast_precision_loss, reason = "a number written without a point")]
            (Self::Float, toml::Value::Integer(number)) => Answer::Float(*number as f64),
            (Self::Bool, toml::Value::Boolean(yes)) => Answer::Bool(*yes),
            _ => return None,
        })
    }

    /// Its name in `block.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
        }
    }
}

impl From<&Answer> for minijinja::Value {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Str(text) => text.as_str().into(),
            Answer::Int(number) => (*number).into(),
            Answer::Float(number) => (*number).into(),
            Answer::Bool(yes) => (*yes).into(),
        }
    }
}

impl From<&Answer> for toml_edit::Value {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Str(text) => text.as_str().into(),
            Answer::Int(number) => (*number).into(),
            Answer::Float(number) => (*number).into(),
            Answer::Bool(yes) => (*yes).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_typed() {
        assert_eq!(AnswerType::Str.read("8.2"), Ok(Answer::Str("8.2".into())));
        assert_eq!(AnswerType::Int.read(" 3 "), Ok(Answer::Int(3)));
        assert_eq!(AnswerType::Float.read("3"), Ok(Answer::Float(3.0)));
        assert_eq!(AnswerType::Bool.read("Yes"), Ok(Answer::Bool(true)));
        for (kind, text) in [
            (AnswerType::Str, "a\nb"),
            (AnswerType::Int, "3.5"),
            (AnswerType::Int, "99999999999999999999"),
            (AnswerType::Float, "inf"),
            (AnswerType::Bool, "maybe"),
            (AnswerType::Bool, ""),
        ] {
            assert!(kind.read(text).is_err(), "{text:?} as {}", kind.name());
        }
    }

    proptest::proptest! {
        /// What is shown for an answer reads back as the same answer.
        #[test]
        fn shown_answers_read_back(number: i64, real in -1e300_f64..1e300, yes: bool) {
            for (kind, answer) in [
                (AnswerType::Int, Answer::Int(number)),
                (AnswerType::Float, Answer::Float(real)),
                (AnswerType::Bool, Answer::Bool(yes)),
            ] {
                proptest::prop_assert_eq!(kind.read(&answer.to_string()), Ok(answer));
            }
        }
    }
}
