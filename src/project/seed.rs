//! What fills empty data, as `onramp.toml` says it, and what is masked of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What fills empty data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Seed {
    /// Files and directories of the project, applied in order.
    Files(Vec<String>),
    /// A program of the service's container, run once it answers.
    Command(SeedCommand),
    /// Files whose rows came from elsewhere.
    Dump(Dump),
}

/// A program that fills empty data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeedCommand {
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// Files that were dumped from a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// Files and directories of the project, applied in order.
    pub files: Vec<String>,
    /// Whether they hold what production holds: then they must be masked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub production: bool,
    /// What values of a column become before they go anywhere.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mask: BTreeMap<Column, Mask>,
}

/// A column of a table, `users.email`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Column {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// What the values of a column become. NULL stays NULL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected email, name, phone, text, digits, null or { fixed = \"value\" }")]
pub enum Mask {
    /// Something invented.
    Kind(Kind),
    /// One and the same for all.
    Fixed(Fixed),
}

/// A kind of invented value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A mail address at example.com.
    Email,
    /// A name that nobody has.
    Name,
    /// Other digits in the same places; zeros at the front stay.
    Phone,
    /// Letters in place of everything but white space.
    Text,
    /// Other digits in the same places. Of numbers, no two become the same.
    Digits,
    /// NULL.
    Null,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Text => "text",
            Self::Digits => "digits",
            Self::Null => "null",
        }
    }
}

/// One value for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// The value.
    pub fixed: String,
}

impl Default for Seed {
    fn default() -> Self {
        Self::Files(Vec::new())
    }
}

impl Seed {
    /// Whether there is nothing to fill it with.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its files and directories.
    pub fn files(&self) -> &[String] {
        match self {
            Self::Files(files) => files,
            Self::Dump(dump) => &dump.files,
            Self::Command(_) => &[],
        }
    }

    /// Its program.
    pub fn command(&self) -> Option<&[String]> {
        match self {
            Self::Command(seed) => Some(&seed.command),
            Self::Files(_) | Self::Dump(_) => None,
        }
    }

    /// What is masked of it.
    pub fn mask(&self) -> Option<&BTreeMap<Column, Mask>> {
        match self {
            Self::Dump(dump) if !dump.mask.is_empty() => Some(&dump.mask),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

/// The two ways in which a seed is written.
struct Written;

/// All that may stand in the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    files: Option<Vec<String>>,
    command: Option<Vec<String>>,
    #[serde(default)]
    production: bool,
    #[serde(default)]
    mask: BTreeMap<Column, Mask>,
}

impl<'de> Visitor<'de> for Written {
    type Value = Seed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a list of files and directories, { command = [\"program\"] } or { files = [\"dump.sql\"], mask = { … } }",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, files: A) -> Result<Seed, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(files)).map(Seed::Files)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Seed, A::Error> {
        let Table { files, command, production, mask } = Table::deserialize(MapAccessDeserializer::new(table))?;
        match (files, command) {
            (Some(files), None) => Ok(Seed::Dump(Dump { files, production, mask })),
            (None, Some(command)) if !production && mask.is_empty() => Ok(Seed::Command(SeedCommand { command })),
            (None, Some(_)) => Err(A::Error::custom("what a command fills cannot be masked; name `files`")),
            _ => Err(A::Error::custom("a seed has either `files` or a `command`")),
        }
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((table, column)) if !table.is_empty() && !column.is_empty() && !column.contains('.') => {
                Ok(Self { table: table.to_owned(), column: column.to_owned() })
            }
            _ => Err(format!("`{}` is no column: write it as table.column", crate::text::neutral_line(&text, 60))),
        }
    }
}

impl From<Column> for String {
    fn from(column: Column) -> Self {
        column.to_string()
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        seed: Seed,
    }

    fn read(seed: &str) -> Result<Seed, String> {
        toml::from_str::<File>(&format!("seed = {seed}"))
            .map(|file| file.seed)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_seed_is_a_list_a_command_or_a_dump() {
        assert_eq!(read("[\"a.sql\"]").unwrap().files(), ["a.sql"]);
        assert_eq!(read("{ command = [\"fill\"] }").unwrap().command().unwrap(), ["fill"]);
        let dump = read(
            "{ files = [\"a.sql\"], production = true, mask = { \"users.email\" = \"email\", \"users.note\" = { fixed = \"x\" } } }",
        )
        .unwrap();
        let told: Vec<String> = dump.mask().unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(
            (dump.files(), told.as_slice()),
            (["a.sql".to_owned()].as_slice(), ["users.email", "users.note"].map(str::to_owned).as_slice())
        );
        assert_eq!(read("{ files = [\"a.sql\"] }").unwrap().mask(), None);
        for (wrong, told) in [
            ("5", "a list of files and directories"),
            ("{ }", "either `files` or a `command`"),
            ("{ files = [], command = [] }", "either `files` or a `command`"),
            ("{ command = [\"x\"], production = true }", "cannot be masked"),
            ("{ file = [] }", "unknown field `file`"),
            ("{ files = [], mask = { users = \"email\" } }", "`users` is no column"),
            ("{ files = [], mask = { \"a.b.c\" = \"email\" } }", "`a.b.c` is no column"),
            ("{ files = [], mask = { \"a.b\" = \"mail\" } }", "expected email, name, phone"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
