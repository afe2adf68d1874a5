//! The catalog's rules on signatures: `[[signature]]` in `catalog.toml`, with the keys that lie beside it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::scope::Scope;
use crate::document::{self, DocumentError};
use crate::images::signature::PublicKey;
use crate::text::neutral_line;

/// The most rules, and keys of a rule, that a catalog may have: each is asked on every pull.
const MOST: usize = 64;

/// A rule as `catalog.toml` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Which images it is about.
    scope: Spanned<Scope>,
    /// Whether images without a signature are refused. A rule that only names keys says `false`.
    #[serde(default = "yes")]
    require_signature: bool,
    /// Files of the catalog, a public key in each.
    #[serde(default)]
    keys: Vec<Spanned<String>>,
    /// Other repositories that a signature may name: where images are mirrored from.
    #[serde(default)]
    signed_as: Vec<Scope>,
}

fn yes() -> bool {
    true
}

/// A rule with its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which images it is about.
    pub scope: Scope,
    /// Whether images without a signature are refused.
    pub require_signature: bool,
    /// Whose signatures count.
    pub keys: Vec<PublicKey>,
    /// Other repositories that a signature may name.
    pub signed_as: Vec<Scope>,
}

/// A rule as a list or a document shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    scope: Scope,
    require_signature: bool,
    keys: Vec<String>,
}

impl Rule {
    /// Reads the rules' keys. `text` is the whole `catalog.toml`, for the places of errors; `read` gives a file of the
    /// catalog, none where there is none.
    pub fn resolve<E: From<DocumentError>>(
        path: &Path,
        text: &str,
        written: &[Written],
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Vec<Self>, E> {
        let wrong = |offset: usize, message: String| document::wrong(path, text, offset, message);
        let mut rules: Vec<Self> = Vec::new();
        for rule in written {
            let at = rule.scope.span().start;
            let scope = rule.scope.get_ref().clone();
            if rules.iter().any(|other| other.scope == scope) {
                return Err(wrong(at, format!("`{scope}` has a rule above")).into());
            }
            if rule.require_signature && rule.keys.is_empty() {
                let message = format!("`{scope}` requires a signature and names no keys, so nothing could be pulled");
                return Err(wrong(at, message).into());
            }
            if rules.len() == MOST || rule.keys.len() > MOST || rule.signed_as.len() > MOST {
                return Err(wrong(at, format!("more than {MOST} rules, keys or names")).into());
            }
            let mut keys: Vec<PublicKey> = Vec::new();
            for file in &rule.keys {
                let wrong = |message: String| wrong(file.span().start, message);
                let name = neutral_line(file.get_ref(), 120);
                let bytes = if is_inside(file.get_ref()) { read(file.get_ref())? } else { None };
                let bytes = bytes.ok_or_else(|| wrong(format!("the catalog has no file `{name}`")))?;
                let key = PublicKey::read(&String::from_utf8_lossy(&bytes), &name)
                    .map_err(|error| wrong(error.to_string()))?;
                if !keys.iter().any(|known| known.fingerprint() == key.fingerprint()) {
                    keys.push(key);
                }
            }
            let (require_signature, signed_as) = (rule.require_signature, rule.signed_as.clone());
            rules.push(Self { scope, require_signature, keys, signed_as });
        }
        Ok(rules)
    }

    /// The rule for a repository: of those that cover it, the one with the longest scope.
    pub fn of<'r>(rules: &'r [Self], repository: &str) -> Option<&'r Self> {
        closest(rules, repository, |rule| &rule.scope)
    }

    /// The rule, for people and machines.
    pub fn shown(&self) -> Shown {
        let keys = self.keys.iter().map(|key| format!("{} {}", key.fingerprint(), key.place)).collect();
        Shown { scope: self.scope.clone(), require_signature: self.require_signature, keys }
    }
}

impl Shown {
    /// Its lines in a plan.
    pub fn lines(&self) -> String {
        let verb = if self.require_signature { "signed by" } else { "may be signed by" };
        self.keys.iter().map(|key| format!("  {} {verb} {key}\n", self.scope)).collect()
    }
}

/// Of the rules that cover a repository the one with the longest scope; of two as long the later one in alphabetical order,
/// so that every machine takes the same.
pub fn closest<'r, R>(rules: &'r [R], repository: &str, scope: impl Fn(&R) -> &Scope) -> Option<&'r R> {
    let covering = rules.iter().filter(|rule| scope(rule).covers(repository));
    covering.max_by_key(|rule| (scope(rule).length(), scope(rule).to_string()))
}

/// Whether a path stays in the repository.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault as _;
    use crate::images::signature::SigningKey;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[expect(dead_code, reason = "every file has one")]
        schema: u32,
        #[serde(default)]
        signature: Vec<Written>,
    }

    fn rules(text: &str) -> Result<Vec<Rule>, DocumentError> {
        let path = Path::new("catalog.toml");
        let file: File = document::parse(path, text)?;
        let key = SigningKey::generate("").public().to_pem().into_bytes();
        Rule::resolve(path, text, &file.signature, |file| match file {
            "keys/a.pub" | "keys/b.pub" => Ok(Some(key.clone())),
            "keys/bad.pub" => Ok(Some(b"nonsense".to_vec())),
            _ => Ok::<_, DocumentError>(None),
        })
    }

    #[test]
    fn errors_name_the_line_and_what_was_meant() {
        let wrong = |text: &str| {
            let error = rules(&format!("schema = 1\n[[signature]]\n{text}\n")).unwrap_err();
            error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
        };
        assert_eq!(
            [
                r#"scope = "r.test/**""#,
                r#"scope = "*.test/**""#,
                "scope = \"r.test/**\"\nkeys = [\"keys/a.pub\", \"keys/c.pub\"]",
                "scope = \"r.test/**\"\nkeys = [\"../a.pub\"]",
                "scope = \"r.test/**\"\nkeys = [\"keys/bad.pub\"]",
                "scope = \"r.test/**\"\nkeyz = []",
                "keys = []",
                "scope = \"r.test/**\"\nkeys = [\"keys/a.pub\"]\n[[signature]]\nscope = \"r.test/**\"",
            ]
            .map(wrong),
            [
                "catalog.toml:3:9: `r.test/**` requires a signature and names no keys, so nothing could be pulled",
                "catalog.toml:3:9: `*.test/**` does not begin with a registry (host[:port], without `*`)",
                "catalog.toml:4:23: the catalog has no file `keys/c.pub`",
                "catalog.toml:4:9: the catalog has no file `../a.pub`",
                "catalog.toml:4:9: keys/bad.pub is no public key: it is not PEM",
                "catalog.toml:4:1: unknown key `keyz` (did you mean `keys`?)",
                "catalog.toml:2:1: missing field `scope`",
                "catalog.toml:6:9: `r.test/**` has a rule above",
            ]
        );
    }

    #[test]
    fn the_longest_scope_wins_and_the_same_key_counts_once() {
        let text = r#"
            schema = 1
            [[signature]]
            scope = "r.test/**"
            require_signature = false
            [[signature]]
            scope = "r.test/base/*"
            keys = ["keys/a.pub", "keys/b.pub"]
            [[signature]]
            scope = "r.test/**/php"
            require_signature = false
        "#;
        let rules = rules(text).unwrap();
        let scope = |repository: &str| Rule::of(&rules, repository).map(|rule| rule.scope.to_string());
        assert_eq!(scope("r.test/base/debian").as_deref(), Some("r.test/base/*"));
        assert_eq!(scope("r.test/base/php").as_deref(), Some("r.test/base/*"));
        assert_eq!(scope("r.test/apps/php").as_deref(), Some("r.test/**/php"));
        assert_eq!(scope("r.test/apps/shop").as_deref(), Some("r.test/**"));
        assert_eq!(scope("other.test/base/php"), None);
        assert_eq!(rules[1].keys.len(), 1);
        assert!(rules[1].require_signature, "a rule with keys requires a signature unless it says otherwise");
    }

    #[test]
    fn only_files_of_the_catalog_are_read() {
        for path in ["", "/etc/x", "../x", "a/../x", "a//b", "a\\b", "./a"] {
            assert!(!is_inside(path), "{path}");
        }
        assert!(is_inside("keys/a.pub"));
    }
}
