//! `block.toml`: what a building block is, read and checked. What it asks and how it is rendered is the template's affair
//! ([`crate::template::dialect::block`]).

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::project::safety;
use crate::template::QuestionId;

/// The file's name.
pub const FILE: &str = "block.toml";

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It starts a project.
    App,
    /// It is added to a project.
    Part,
}

/// What its owner promises for a block; the words are those of Backstage's lifecycle, but for `maintained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// It may change or go without a word.
    Experimental,
    /// Its owner answers questions, reviews contributions and releases corrections.
    #[default]
    Maintained,
    /// Corrections only; new projects should take another.
    Deprecated,
}

impl Support {
    /// As `block.toml` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Experimental => "experimental",
            Self::Maintained => "maintained",
            Self::Deprecated => "deprecated",
        }
    }
}

/// A check of what a block renders to, run in a container: `[checks.<name>]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The image that it runs in.
    pub image: String,
    /// The program and its arguments, run in the directory of a fresh render.
    pub run: Vec<String>,
}

/// The contents of `block.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub schema: u32,
    /// The block's name, which is its directory's.
    pub name: Name,
    /// What it is for.
    pub kind: Kind,
    /// The version that this is, or that will be released next.
    pub version: semver::Version,
    /// One line on what it gives.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// Who reviews and merges contributions to it: `@ana`.
    #[serde(default)]
    pub trusted_committers: Vec<String>,
    /// What its owner promises.
    #[serde(default)]
    pub support: Support,
    /// The blocks that a project must have before it, and which versions of them.
    #[serde(default)]
    pub requires: BTreeMap<Name, semver::VersionReq>,
    /// The questions that it need not ask where another block of the project has answered one of the same name.
    #[serde(default)]
    pub shares: Vec<QuestionId>,
    /// Of a part: the services that it adds. Their texts are templates, so they are no services yet.
    #[serde(default)]
    pub services: toml::Table,
    /// What `onramp catalog test` runs in containers, by name.
    #[serde(default)]
    pub checks: BTreeMap<Name, Check>,
    #[serde(default, rename = "questions")]
    _questions: Option<IgnoredAny>,
    #[serde(default, rename = "render")]
    _render: Option<IgnoredAny>,
    #[serde(default, rename = "tasks")]
    _tasks: Option<IgnoredAny>,
    #[serde(default, rename = "migrations")]
    _migrations: Option<IgnoredAny>,
    #[serde(default, rename = "reads")]
    _reads: Option<IgnoredAny>,
    #[serde(default, rename = "sends")]
    _sends: Option<IgnoredAny>,
}

/// Parses and checks the text of a `block.toml`. `path` is what errors call it.
pub fn parse(path: &Path, text: &str) -> Result<Manifest, DocumentError> {
    let manifest: Manifest = document::parse(path, text)?;
    safety::check(path, text)?;
    let wrong = |needle: &str, message: String| Err(document::wrong_at(path, text, needle, message));
    if manifest.kind == Kind::App && !manifest.services.is_empty() {
        let message = "services are a part's; an app writes them in its onramp.toml.jinja".to_owned();
        return wrong("[services.", message);
    }
    if manifest.requires.contains_key(&manifest.name) {
        return wrong("requires", format!("{} requires itself", manifest.name));
    }
    if let Some((name, _)) = manifest.checks.iter().find(|(_, check)| check.run.is_empty()) {
        return wrong(&format!("[checks.{name}"), format!("checks.{name} runs nothing"));
    }
    for name in manifest.services.keys() {
        if let Err(error) = name.parse::<Name>() {
            return wrong("[services.", error.to_string());
        }
        if !manifest.services[name].is_table() {
            return wrong("[services", format!("services.{name} is no table"));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "schema = 1\nname = \"x\"\nkind = \"app\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n";

    fn parsed(rest: &str) -> Result<Manifest, DocumentError> {
        parse(Path::new("block.toml"), &format!("{HEAD}{rest}"))
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let cases = [
            ("ownr = 1\n", "block.toml:7:1: unknown key `ownr`"),
            ("requires = { x = \"1\" }\n", "block.toml:7:1: x requires itself"),
            ("support = \"some\"\n", "block.toml:7:11: unknown value `some`"),
            ("[checks.lint]\nimage = \"php\"\nrun = []\n", "block.toml:7:1: checks.lint runs nothing"),
            (
                "[services.db]\nport = 1\n",
                "block.toml:7:1: services are a part's; an app writes them in its onramp.toml.jinja",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text).unwrap_err().to_string(), expected);
        }
        assert!(parsed("[questions.a]\ntype = \"str\"\n[render]\nexclude = []\n[[tasks]]\nrun = \"x\"\n").is_ok());
        assert!(parsed("reads = [\"~/.netrc\"]\nsends = [\"h.test\"]\n").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = parsed(&text);
            let _ = parsed(&format!("requires = {{ {text} }}\n"));
        }
    }
}
