//! `state.toml`: how declarations are written, the environments in promotion order, and what each asks of a change before it is merged.

use std::path::Path;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Error;
use super::format::{self, Format};
use super::freeze::Freeze;
use crate::document::{self, DocumentError};
use crate::images::policy::Scope;
use crate::name::Name;

/// The contents of `state.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How declarations are written, and where they are.
    pub format: Format,
    /// In promotion order.
    pub environments: Vec<Environment>,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: Name,
    /// The environment that must declare a digest before this one may.
    pub after: Option<Name>,
    /// What it asks of a change.
    pub policy: Policy,
}

/// Who merges once everything that is asked for is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Merge {
    /// onramp, at once.
    Auto,
    /// A person, with `onramp pr merge`.
    #[default]
    Manual,
}

/// What an environment asks of a change. All of it is enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Who merges.
    #[serde(default)]
    pub merge: Merge,
    /// How many people other than the author must approve the proposed commit.
    #[serde(default)]
    pub approvals: usize,
    /// Tests that must have passed on the proposed images.
    #[serde(default)]
    pub evidence: Vec<Name>,
    /// How long the environment before must have declared the proposed digests.
    #[serde(default)]
    pub soak: Option<Soak>,
    /// When nothing is merged.
    #[serde(default)]
    pub freeze: Vec<Freeze>,
    /// Whether a deployment may leave out the environment before, for a reason that is kept.
    #[serde(default)]
    pub hotfix: bool,
    /// Whose statements count for `evidence`; none: what the proposed commit says of itself.
    #[serde(default)]
    pub evidence_by: Vec<KeyFile>,
    /// Whose signature each proposed image must have: one of these.
    #[serde(default)]
    pub signed_by: Vec<KeyFile>,
    /// Where images may come from; none: from anywhere.
    #[serde(default)]
    pub registries: Vec<Scope>,
    /// How old a proposed image may be, counted from when it was made.
    #[serde(default)]
    pub max_age: Option<Soak>,
}

/// A file of the state repository with a public key (PEM): `keys/ci.pub`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyFile(String);

impl KeyFile {
    /// Its path in the state repository.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyFile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let inside = !text.is_empty() && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if inside && text.len() <= 200 && !text.contains(|c: char| c.is_control() || c == '\\') {
            return Ok(Self(text));
        }
        Err(format!("`{}` is no path below the state repository", crate::text::neutral_line(&text, 80)))
    }
}

/// A length of time: `24h`, `90m`, `2d`. A day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Soak(pub SignedDuration);

impl TryFrom<String> for Soak {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{}` is no length of time like 90m, 24h or 2d", crate::text::neutral_line(&text, 40));
        let length = crate::text::parse_span(&text).map_err(|_| wrong())?;
        if length.is_positive() { Ok(Self(length)) } else { Err(wrong()) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "document::parse checks it")]
    schema: u32,
    format: Option<format::Raw>,
    #[serde(default)]
    environment: Vec<RawEnvironment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvironment {
    name: Spanned<Name>,
    after: Option<Spanned<Name>>,
    #[serde(default)]
    policy: Policy,
}

/// Parses and checks the text of a `state.toml`; `path` is what errors call it.
pub fn parse(path: &Path, text: &str) -> Result<Rules, DocumentError> {
    let file: File = document::parse(path, text)?;
    let format = file.format.map(Format::new).transpose();
    let format = format.map_err(|(offset, message)| document::wrong(path, text, offset, message))?.unwrap_or_default();
    let mut environments: Vec<Environment> = Vec::new();
    for raw in file.environment {
        let place = raw.name.span().start;
        let name = raw.name.into_inner();
        let wrong = |offset, message| Err(document::wrong(path, text, offset, message));
        if environments.iter().any(|earlier| earlier.name == name) {
            return wrong(place, format!("environment `{name}` is there twice"));
        }
        if let Some(after) = &raw.after
            && !environments.iter().any(|earlier| earlier.name == *after.as_ref())
        {
            let message = format!("`after` names `{}`, which is no environment above `{name}`", after.as_ref());
            return wrong(after.span().start, message);
        }
        if raw.policy.soak.is_some() && raw.after.is_none() {
            return wrong(place, format!("`soak` of `{name}` needs `after`: it is the time spent in the one before"));
        }
        if raw.policy.hotfix && raw.after.is_none() {
            return wrong(place, format!("`hotfix` of `{name}` needs `after`: it leaves out the one before"));
        }
        environments.push(Environment { name, after: raw.after.map(Spanned::into_inner), policy: raw.policy });
    }
    Ok(Rules { format, environments })
}

impl Rules {
    /// An environment, or the error that names those there are.
    pub fn environment(&self, name: &Name) -> Result<&Environment, Error> {
        let missing = || Error::NoEnvironment {
            name: name.clone(),
            known: self.environments.iter().map(|environment| environment.name.clone()).collect(),
        };
        self.environments.iter().find(|environment| environment.name == *name).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(Path::new("state.toml"), &format!("schema = 1\n{text}")).unwrap_err().to_string()
    }

    #[test]
    fn environments_stand_in_promotion_order() {
        let rules = parse(
            Path::new("state.toml"),
            r#"schema = 1
[[environment]]
name = "test"
policy = { merge = "auto", evidence = ["unit"] }
[[environment]]
name = "production"
after = "test"
policy = { approvals = 1, soak = "24h", freeze = ["Fri 16:00 - Mon 08:00 Europe/London"] }
"#,
        )
        .unwrap();
        let production = rules.environment(&"production".parse().unwrap()).unwrap();
        assert_eq!((production.policy.merge, production.policy.approvals), (Merge::Manual, 1));
        assert_eq!(production.policy.soak, Some(Soak(SignedDuration::from_hours(24))));
        let missing = rules.environment(&"prodution".parse().unwrap()).unwrap_err();
        assert_eq!(missing.to_string(), "there is no environment `prodution`");
        assert_eq!(
            crate::error::Fault::hint(&missing).unwrap(),
            "did you mean `production`? state.toml has: test, production"
        );
    }

    #[test]
    fn mistakes_are_named_at_their_place() {
        let two = |second: &str| format!("[[environment]]\nname = \"test\"\n[[environment]]\n{second}\n");
        let cases = [
            (two("name = \"test\""), "state.toml:5:8: environment `test` is there twice"),
            (
                two("name = \"live\"\nafter = \"staging\""),
                "state.toml:6:9: `after` names `staging`, which is no environment above `live`",
            ),
            (
                two("name = \"live\"\nafter = \"live\""),
                "state.toml:6:9: `after` names `live`, which is no environment above `live`",
            ),
            (
                two("name = \"live\"\npolicy = { soak = \"1h\" }"),
                "state.toml:5:8: `soak` of `live` needs `after`: it is the time spent in the one before",
            ),
            (
                two("name = \"live\"\npolicy = { hotfix = true }"),
                "state.toml:5:8: `hotfix` of `live` needs `after`: it leaves out the one before",
            ),
            (
                two("name = \"live\"\npolicy = { soak = \"soon\" }"),
                "state.toml:6:19: `soon` is no length of time like 90m, 24h or 2d",
            ),
            (
                two("name = \"live\"\npolicy = { freeze = [\"Fri\"] }"),
                "state.toml:6:21: `Fri` is no freeze window like `Fri 16:00 - Mon 08:00 Europe/London`",
            ),
            (
                two("name = \"live\"\npolicy = { approvals = -1 }"),
                "state.toml:6:24: invalid value: integer `-1`, expected usize",
            ),
            (
                two("name = \"live\"\npolicy = { signed_by = [\"../ci.pub\"] }"),
                "state.toml:6:24: `../ci.pub` is no path below the state repository",
            ),
            (
                two("name = \"live\"\npolicy = { registries = [\"apps\"] }"),
                "state.toml:6:25: `apps` does not begin with a registry (host[:port], without `*`)",
            ),
            (two("name = \"live\"\npolicy = { reviewers = 1 }"), "state.toml:6:12: unknown key `reviewers`"),
        ];
        for (text, expected) in cases {
            assert_eq!(message(&text), expected);
        }
    }
}
