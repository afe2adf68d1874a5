//! TOML files as onramp reads them: capped, with `schema = 1`, unknown keys refused with a did-you-mean, every error
//! at its file, line and column.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::text::did_you_mean;

/// The largest hand-written file onramp reads, in bytes.
pub const CAP: u64 = 1024 * 1024;
/// The schema that this onramp reads and writes.
pub const SCHEMA: i64 = 1;

/// What is wrong with a TOML file.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file says something wrong, here.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file, or what stands for one (`production/shop.toml at 1a2b3c4`).
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// The file asks for what nobody is given, here.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What it asks for, and why that is refused.
        message: String,
        /// What to do instead, where it is not to leave it out.
        hint: Option<&'static str>,
    },
    /// The file is for a later onramp.
    #[error("{} has schema {found}; this onramp knows schema {SCHEMA}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
}

impl Fault for DocumentError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Wrong { .. } | Self::Newer { .. } => Class::Config,
            Self::Refused { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Wrong { hint, .. } => hint.clone(),
            Self::Refused { hint, .. } => Some(
                hint.unwrap_or("a sandbox stays closed: take it out, also of the block that brought it").to_owned(),
            ),
            Self::Newer { .. } => Some("a newer onramp wrote it; nothing was changed. Update onramp.".to_owned()),
        }
    }
}

impl DocumentError {
    /// Whether this says that the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::File(error) if error.is_not_found())
    }

    /// With a hint where the file says something wrong.
    #[must_use]
    pub fn hinted(mut self, words: Option<String>) -> Self {
        if let Self::Wrong { hint, .. } = &mut self {
            *hint = words;
        }
        self
    }
}

impl DocumentError {
    /// The same, refused because of what it would open. The hint says what to do, where that is not to leave it out.
    #[must_use]
    pub fn refused(self, hint: Option<&'static str>) -> Self {
        match self {
            Self::Wrong { path, line, column, message, .. } => Self::Refused { path, line, column, message, hint },
            other => other,
        }
    }
}

/// Reads and parses a file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, DocumentError> {
    parse(path, &files::read_text(path, CAP)?)
}

/// Parses a file's text. `path` is what errors call it.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, DocumentError> {
    /// What every file says first. What else it says may be long, and is none of this.
    #[derive(serde::Deserialize)]
    struct Head {
        schema: Option<toml::Value>,
    }
    let head: Head = toml::from_str(text).map_err(|error| explain(path, text, &error))?;
    match &head.schema {
        Some(toml::Value::Integer(SCHEMA)) => {}
        Some(toml::Value::Integer(found)) if *found > SCHEMA => {
            return Err(DocumentError::Newer { path: path.to_owned(), found: *found });
        }
        Some(_) => return Err(wrong(path, text, position_of(text, "schema"), format!("schema must be {SCHEMA}"))),
        None => {
            let hint = format!("write `schema = {SCHEMA}` as its first line");
            return Err(wrong(path, text, 0, "schema is missing".to_owned()).hinted(Some(hint)));
        }
    }
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

/// An error at the first place where `needle` stands in the text: for checks that look across keys.
pub fn wrong_at(path: &Path, text: &str, needle: &str, message: impl Into<String>) -> DocumentError {
    wrong(path, text, position_of(text, needle), message.into())
}

/// An error at a byte of the text: for checks that know the span of what they read.
pub fn wrong(path: &Path, text: &str, offset: usize, message: String) -> DocumentError {
    let (line, column) = line_column(text, offset);
    DocumentError::Wrong { path: path.to_owned(), line, column, message, hint: None }
}

fn position_of(text: &str, needle: &str) -> usize {
    text.find(needle).unwrap_or(0)
}

/// Where a key stands in a text, in bytes; none where the text does not have it.
pub fn offset_of(text: &str, keys: &[&str]) -> Option<usize> {
    let document = toml_edit::Document::parse(text).ok()?;
    let mut table: &dyn toml_edit::TableLike = document.as_table();
    let (last, parents) = keys.split_last()?;
    for key in parents {
        table = table.get(key)?.as_table_like()?;
    }
    let (key, item) = table.get_key_value(last)?;
    // A table's header may write its key more than once; its own place is the header's, if it has one.
    let header = item.as_table().and_then(toml_edit::Table::span);
    header.or_else(|| key.span()).map(|span| span.start)
}

/// The line of a key, from 1; none where the text does not have it.
pub fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    offset_of(text, keys).map(|offset| line_column(text, offset).0)
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> DocumentError {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = line_column(text, offset);
    let (message, hint) = humane(error.message());
    DocumentError::Wrong { path: path.to_owned(), line, column, message, hint }
}

/// serde says "unknown field `prot`, expected one of `port`, `needs`"; people ask what was meant.
fn humane(message: &str) -> (String, Option<String>) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (kind, known) = match quoted.split_first() {
        Some((first, rest)) if message.starts_with("unknown field") => (format!("unknown key `{first}`"), rest),
        Some((first, rest)) if message.starts_with("unknown variant") => (format!("unknown value `{first}`"), rest),
        _ => return (crate::text::neutral_line(message, 300), None),
    };
    let hint = match did_you_mean(quoted[0], known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    (crate::text::neutral_line(&kind, 300), Some(hint))
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Sample {
        schema: u32,
        port: Option<u16>,
    }

    fn error(text: &str) -> DocumentError {
        parse::<Sample>(Path::new("x.toml"), text).unwrap_err()
    }

    #[test]
    fn errors_name_line_column_and_what_was_meant() {
        let unknown = error("schema = 1\nprot = 80\n");
        assert_eq!(unknown.to_string(), "x.toml:2:1: unknown key `prot`");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean `port`?"));
        assert_eq!(
            error("schema = 1\nport = 70000\n").to_string(),
            "x.toml:2:8: invalid value: integer `70000`, expected u16"
        );
        assert!(error("schema = 1\nport = \n").to_string().starts_with("x.toml:2:8: "));
    }

    #[test]
    fn schemas_are_checked_before_anything_else() {
        assert!(matches!(error("schema = 2\nnew_key = 1\n"), DocumentError::Newer { found: 2, .. }));
        assert_eq!(error("").to_string(), "x.toml:1:1: schema is missing");
        assert_eq!(error("a = 1\nschema = \"1\"\n").to_string(), "x.toml:2:1: schema must be 1");
    }

    #[test]
    fn keys_have_lines_however_they_are_written() {
        let text =
            "a = 1\n\n[s.web]\nenv = { X = 1,\n Y = 2 }\n\n[s.db.env]\nX = 3\n\n[s.mail]\nenv.X = 4\n\"q.r\" = 5\n";
        let line = |keys: &[&str]| line_of(text, keys);
        assert_eq!((line(&["a"]), line(&["s", "web"]), line(&["s", "db", "env"])), (Some(1), Some(3), Some(7)));
        let x = |service| line(&["s", service, "env", "X"]);
        assert_eq!((x("web"), x("db"), x("mail"), x("none")), (Some(4), Some(8), Some(11), None));
        assert_eq!((line(&["s", "web", "env", "Y"]), line(&["s", "mail", "q.r"])), (Some(5), Some(12)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse::<Sample>(Path::new("x.toml"), &text);
        }
    }
}
