//! `--data-file`: answers from a YAML, JSON or TOML file.

use std::path::Path;

use super::super::question::Values;
use super::super::{Value, yaml};
use crate::document::{CAP, DocumentError};
use crate::files;
use crate::project::lock::to_json;
use crate::text::neutral_line;

/// Reads a file of answers. Its name tells what it is: `.toml`, `.json`, all else is YAML.
pub fn load(path: &Path) -> Result<Values, DocumentError> {
    parse(path, &files::read_text(path, CAP)?)
}

/// Reads a text of answers; `path` is what errors call it.
pub fn parse(path: &Path, text: &str) -> Result<Values, DocumentError> {
    let wrong = |line: usize, column: usize, message: &str| DocumentError::Wrong {
        path: path.to_owned(),
        line,
        column,
        message: neutral_line(message, 300),
        hint: None,
    };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let value = match extension.as_str() {
        "toml" => {
            let table: toml::Table = toml::from_str(text).map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                crate::document::wrong(path, text, offset, neutral_line(error.message(), 300))
            })?;
            table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect()
        }
        "json" => serde_json::from_str(text)
            .map_err(|error| wrong(error.line(), error.column().max(1), &error.to_string()))?,
        _ => yaml::parse(text).map_err(|error| wrong(error.line, error.column, &error.message))?,
    };
    match value {
        Value::Object(answers) => Ok(answers),
        Value::Null => Ok(Values::new()),
        _ => Err(wrong(1, 1, "it is no table of answers by question")),
    }
}
