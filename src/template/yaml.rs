//! YAML as PyYAML reads it: version 1.1, where `yes`, `on` and `010` mean what they meant then.

use super::Value;

/// What is wrong with a YAML text, and where; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct BadYaml {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads one YAML document. Aliases that blow up, depth and size have limits.
pub fn parse(_text: &str) -> Result<Value, BadYaml> {
    unimplemented!("skeleton")
}

/// Writes a value as PyYAML's `safe_dump` would with `sort_keys=False, allow_unicode=True`.
pub fn dump(_value: &Value) -> String {
    unimplemented!("skeleton")
}

/// The items of a list, each as it is written; none if the text is no list.
pub fn items(_text: &str) -> Result<Option<Vec<String>>, BadYaml> {
    unimplemented!("skeleton")
}
