//! What Python projects lock: `requirements.txt` as far as it pins, `Pipfile.lock`, `poetry.lock`.

use std::io::BufRead;

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{self, Members, Object};
use super::lines;
use super::{Ecosystem, Found, Unread};

/// `name[extra]==1.2.3; marker --hash=…`: what is not pinned to one version is not locked.
pub fn requirements(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    lines::each(stream, |line| {
        let Some((name, version)) = line.split_once("==") else { return Ok(()) };
        let name = name.split('[').next().unwrap_or_default().trim();
        // A fourth form, `===`, takes the version as it is written.
        let version = version.trim_start_matches('=').trim_start();
        let end = version.find(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '#' | '\\'));
        let version = &version[..end.unwrap_or(version.len())];
        let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        // Options, comments, places, and `==1.*`, which is a range.
        if name.is_empty() || name.starts_with('-') || !letters(name) || version.is_empty() || version.contains('*') {
            return Ok(());
        }
        found.add(Ecosystem::Pypi, name, version, None)
    })
}

/// A package of a `Pipfile.lock`; one from a repository or a directory has no version.
#[derive(Deserialize)]
struct Pinned {
    version: Option<String>,
}

struct Pipfile<'a>(&'a mut Found);

pub fn pipfile(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    json::read(stream, Object(&mut Pipfile(found)))
}

impl<'de> Members<'de> for Pipfile<'_> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, object: &mut A) -> Result<bool, A::Error> {
        let wanted = matches!(key, "default" | "develop");
        if wanted {
            object.next_value_seed(json::each(|name: String, pinned: Pinned| match pinned.version {
                Some(version) => self.0.add(Ecosystem::Pypi, &name, version.trim_start_matches('='), None),
                None => Ok(()),
            }))?;
        }
        Ok(wanted)
    }
}

/// TOML that Poetry writes, one field a line: `[[package]]`, then `name` and `version` before any other table.
pub fn poetry(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let (mut package, mut name) = (false, String::new());
    lines::each(stream, |line| {
        if line.starts_with('[') {
            package = line.trim_end() == "[[package]]";
            name.clear();
            return Ok(());
        }
        let text = |field: &str| line.strip_prefix(field)?.strip_prefix(" = \"")?.trim_end().strip_suffix('"');
        if let Some(text) = text("name").filter(|_| package) {
            text.clone_into(&mut name);
        }
        match text("version").filter(|_| package && !name.is_empty()) {
            Some(version) => found.add(Ecosystem::Pypi, &std::mem::take(&mut name), version, None),
            None => Ok(()),
        }
    })
}
