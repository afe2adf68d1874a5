//! Masks: what a dump's columns become on their way into a sandbox, so that nothing of production's people gets there.
//!
//! A dump is read as a stream of statements ([`statement`]). Rows of masked tables are read value by value ([`rows`]) and
//! written with other values ([`value`]); everything else goes on byte for byte. What cannot be read with certainty and may
//! hold rows of a masked table is refused: nothing is let through that was not understood.

mod input;
mod lexer;
mod literal;
mod rows;
mod statement;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use value::MaskKey;

use crate::error::{Class, Fault};
use crate::project::seed::{Column, Mask};
use crate::text::{did_you_mean, neutral_line};

/// The rules of a seed, and their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks {
    rules: BTreeMap<Column, Mask>,
    key: MaskKey,
}

/// Why a dump is not masked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What stands there may hold what must be masked, and is not understood.
    #[error("{}:{line}: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is not understood.
        why: String,
    },
    /// A value that the mask cannot be for.
    #[error("{}:{line}: the mask of {column} does not fit: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The column.
        column: String,
        /// Why not.
        why: String,
    },
    /// A rule for what is not in the dump.
    #[error("`mask` names {what}, which the seed files do not have")]
    Unknown {
        /// The table or column.
        what: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// The dump could not be read or written.
    #[error("cannot mask {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Refused { .. } => Class::Security,
            Self::Unfit { .. } | Self::Unknown { .. } => Class::Config,
            Self::Io { .. } => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { .. } => Some(
                "only what is understood can be masked: dump with mysqldump, mariadb-dump or pg_dump, whole and as SQL"
                    .into(),
            ),
            Self::Unknown { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::Unknown { .. } => Some("a rule that matches nothing would hide nothing".into()),
            _ => None,
        }
    }
}

impl Masks {
    /// These rules with this key.
    pub fn new(rules: &BTreeMap<Column, Mask>, key: MaskKey) -> Self {
        Self { rules: rules.clone(), key }
    }

    fn of_table<'a>(&'a self, table: &str) -> impl Iterator<Item = (&'a Column, &'a Mask)> + use<'a> {
        let table = table.to_lowercase();
        self.rules.iter().filter(move |(column, _)| column.table.to_lowercase() == table)
    }
}

/// What is known of the tables of all files so far.
pub struct Masking<'a> {
    masks: &'a Masks,
    tables: BTreeMap<String, Vec<Known>>,
    /// Tables that are parts of others, and views, which hide where their rows go.
    parts: BTreeMap<String, String>,
    views: BTreeSet<String>,
    /// Columns that rows name, of tables that may have been made elsewhere.
    named: BTreeSet<(String, String)>,
}

/// A column as a table was made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    /// How many characters it has room for.
    width: Option<usize>,
}

impl<'a> Masking<'a> {
    /// Begins with no file read.
    pub fn new(masks: &'a Masks) -> Self {
        let (tables, parts, views, named) = Default::default();
        Self { masks, tables, parts, views, named }
    }

    /// Masks one file. Blocking.
    pub fn file(&mut self, path: &Path, input: impl Read, output: impl Write) -> Result<(), Error> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("sql")) {
            let why = "only .sql files can be masked, packed or not".to_owned();
            return Err(Error::Refused { path: path.to_owned(), line: 1, why });
        }
        let mut script = lexer::Lexer::new(input, output);
        let done = statement::all(self, &mut script).and_then(|()| Ok(script.finish()?));
        done.map_err(|wrong| wrong.at(path, script.line()))
    }

    /// After the last file: every rule must have matched something.
    pub fn end(self) -> Result<(), Error> {
        let tables: BTreeSet<&str> =
            self.tables.keys().map(String::as_str).chain(self.named.iter().map(|(table, _)| table.as_str())).collect();
        for rule in self.masks.rules.keys() {
            let table = rule.table.to_lowercase();
            if !tables.contains(table.as_str()) {
                let what = format!("table `{}`", neutral_line(&rule.table, 60));
                let meant = did_you_mean(&table, tables.iter().copied()).map(str::to_owned);
                return Err(Error::Unknown { what, meant });
            }
            let known = self.tables.get(&table).into_iter().flatten().map(|known| known.name.as_str());
            let named = self.named.iter().filter(|(of, _)| *of == table).map(|(_, column)| column.as_str());
            let columns: BTreeSet<&str> = known.chain(named).collect();
            if !columns.contains(rule.column.to_lowercase().as_str()) {
                let what = format!("column `{}`", neutral_line(&rule.to_string(), 120));
                let meant = did_you_mean(&rule.column, columns.iter().copied()).map(str::to_owned);
                return Err(Error::Unknown { what, meant });
            }
        }
        Ok(())
    }

    /// The table whose rules hold for a table: itself, or the one that it is a part of.
    fn whole(&self, table: &str) -> String {
        let mut table = table.to_lowercase();
        // A circle ends, too.
        for _ in 0..=self.parts.len() {
            match self.parts.get(&table) {
                Some(whole) => table.clone_from(whole),
                None => break,
            }
        }
        table
    }

    fn is_masked(&self, table: &str) -> bool {
        self.masks.of_table(&self.whole(table)).next().is_some()
    }

    /// Whether a text names a masked table, or a part of one, anywhere.
    fn may_be_in(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text).to_lowercase();
        let parts = self.parts.keys().filter(|part| self.is_masked(part)).cloned();
        self.masks.rules.keys().map(|rule| rule.table.to_lowercase()).chain(parts).any(|table| text.contains(&table))
    }

    /// What becomes of each of these columns of a table.
    fn plan(&mut self, table: &str, columns: &[String]) -> Vec<Planned<'a>> {
        let whole = self.whole(table);
        let known =
            self.tables.get(&table.to_lowercase()).or_else(|| self.tables.get(&whole)).cloned().unwrap_or_default();
        let plan = |name: &String| {
            let name = name.to_lowercase();
            self.named.insert((whole.clone(), name.clone()));
            let width = known.iter().find(|known| known.name == name).and_then(|known| known.width);
            let rule = self.masks.of_table(&whole).find(|(column, _)| column.column.to_lowercase() == name);
            rule.map(|(column, mask)| Rule { column, mask, width })
        };
        columns.iter().map(plan).collect()
    }
}

/// What becomes of a column's values; none where they stay.
type Planned<'a> = Option<Rule<'a>>;

/// A rule, where it is used.
#[derive(Clone, Copy)]
struct Rule<'a> {
    column: &'a Column,
    mask: &'a Mask,
    width: Option<usize>,
}

/// What is wrong where the reading is.
enum Wrong {
    Refused(String),
    Unfit { column: String, why: String },
    Io(io::Error),
}

impl Wrong {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    fn at(self, path: &Path, line: u64) -> Error {
        let path = path.to_owned();
        match self {
            Self::Refused(why) => Error::Refused { path, line, why },
            Self::Unfit { column, why } => Error::Unfit { path, line, column, why },
            Self::Io(source) => Error::Io { path, source },
        }
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
