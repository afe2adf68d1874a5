//! Projects of Copier's and cruft's: their own file says which template they came from, and it is kept up to date, so that
//! their tools go on working beside onramp.

use std::path::Path;

use serde_json::Value;

use super::held::Held;
use super::{Block, Error, layer};
use crate::document::{self, DocumentError};
use crate::files::FileError;
use crate::git::Look;
use crate::project::lock::LockedBlock;
use crate::project::scaffolded::FOREIGN;
use crate::template::question::Values;
use crate::template::{Answers, yaml};
use crate::tree::{Contents, TreePath};

/// cruft's file.
const CRUFT: &str = ".cruft.json";

/// What Copier's or cruft's file of a project says.
#[derive(Clone, Debug, PartialEq)]
pub struct Takeover {
    /// The file.
    pub file: TreePath,
    /// The template, as somebody asked for it: a path or URL.
    pub source: String,
    /// The tag, branch or commit that was rendered, as `git describe` puts it.
    pub commit: String,
    /// The answers.
    pub answers: Values,
    /// Where in its repository the template lies, where cruft was told so.
    pub directory: Option<String>,
    /// Paths that cruft leaves alone.
    pub skip: Vec<String>,
}

/// Reads every such file of a project.
pub fn find(held: &dyn Held) -> Result<Vec<Takeover>, Error> {
    let mut found = Vec::new();
    for name in FOREIGN {
        let file: TreePath = name.parse().expect("a plain name");
        let path = held.place(&file);
        let Look::Entry(entry) = held.look(&file)? else { continue };
        let contents = entry.contents().map(Contents::bytes).unwrap_or_default();
        if contents.len() as u64 > document::CAP {
            return Err(FileError::TooLarge { path, cap: document::CAP }.into());
        }
        let text = std::str::from_utf8(&contents)
            .map_err(|error| FileError::NotText { path: path.clone(), offset: error.valid_up_to() })?;
        let takeover = if name == CRUFT { of_cruft(file, &path, text) } else { of_copier(file, &path, text) };
        found.extend(takeover?);
    }
    Ok(found)
}

/// A file that was read and cannot be meant.
fn wrong(path: &Path, line: usize, column: usize, message: String) -> Error {
    DocumentError::Wrong { path: path.to_owned(), line, column, message, hint: None }.into()
}

/// `.copier-answers.yml`; none where it does not say where it came from, as Copier allows.
fn of_copier(file: TreePath, path: &Path, text: &str) -> Result<Option<Takeover>, Error> {
    let value = yaml::parse(text).map_err(|bad| wrong(path, bad.line, bad.column, bad.message))?;
    let Value::Object(fields) = value else {
        return Err(wrong(path, 1, 1, "expected a mapping of answers".to_owned()));
    };
    let said = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(source) = said("_src_path") else { return Ok(None) };
    let commit = said("_commit").unwrap_or_default();
    let answers = fields.into_iter().filter(|(id, _)| !id.starts_with('_')).collect();
    Ok(Some(Takeover { file, source, commit, answers, directory: None, skip: Vec::new() }))
}

/// `.cruft.json`.
fn of_cruft(file: TreePath, path: &Path, text: &str) -> Result<Option<Takeover>, Error> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(path, error.line(), error.column(), error.to_string()))?;
    let missing = |key: &str| wrong(path, 1, 1, format!("`{key}` is missing"));
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let source = text("template").ok_or_else(|| missing("template"))?;
    let commit = text("commit").ok_or_else(|| missing("commit"))?;
    let directory = match text("directory") {
        Some(directory) => Some(inside_repository(&directory).ok_or_else(|| {
            let directory = crate::text::neutral_line(&directory, 80);
            wrong(path, 1, 1, format!("the directory `{directory}` leads out of the template's repository"))
        })?),
        None => None,
    };
    let answers = value.pointer("/context/cookiecutter").and_then(Value::as_object);
    let answers = answers.ok_or_else(|| missing("context.cookiecutter"))?;
    let answers = answers.iter().filter(|(id, _)| !id.starts_with('_')).map(|(id, value)| (id.clone(), value.clone()));
    let skip = value.get("skip").and_then(Value::as_array).into_iter().flatten();
    let skip = skip.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Some(Takeover { file, source, commit, answers: answers.collect(), directory, skip }))
}

/// A directory of a repository, plainly written; none where it leads out.
fn inside_repository(directory: &str) -> Option<String> {
    let names: Vec<&str> = directory.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    (!directory.starts_with('/') && !names.contains(&"..")).then(|| names.join("/"))
}

impl Takeover {
    /// Whether the lock's template lies in the same directory of its repository.
    pub fn is_same_directory(&self, locked: &LockedBlock) -> bool {
        let own = self.directory.as_deref();
        own.is_none() || own == Some(layer::directory(locked).unwrap_or_default())
    }

    /// What git knows the commit by: of `v1.2-3-g0a1b2c3` the commit after the `g`.
    pub fn reference(&self) -> &str {
        let described = self
            .commit
            .rsplit_once("-g")
            .filter(|(_, hash)| hash.len() >= 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        described.map_or(self.commit.as_str(), |(_, hash)| hash)
    }

    /// Whether the lock says the same: the same template at the same commit. A file that names no commit says nothing else.
    pub fn is_locked_as(&self, canonical: &str, locked: &LockedBlock) -> bool {
        locked.source == canonical
            && self.is_same_directory(locked)
            && (self.commit.is_empty()
                || locked.version.to_string() == self.commit
                || (self.reference().len() >= 7 && locked.commit.starts_with(self.reference())))
    }

    /// What cruft's file says once the project came to this block with these answers; none of Copier's, which the template
    /// renders itself.
    pub fn renewed(&self, text: &str, block: &Block, answers: &Answers) -> Option<String> {
        if self.file.as_str() != CRUFT {
            return None;
        }
        let mut value: Value = serde_json::from_str(text).ok()?;
        value["commit"] = block.id.commit.clone().into();
        let context = value.pointer_mut("/context/cookiecutter")?.as_object_mut()?;
        for (id, answer) in &answers.kept {
            context.insert(id.clone(), answer.clone());
        }
        Some(serde_json::to_string_pretty(&value).ok()? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRUFTED: &str = r#"{
  "template": "https://git.acme.test/t.git",
  "commit": "0123456789abcdef0123456789abcdef01234567",
  "checkout": null,
  "context": {
    "cookiecutter": {
      "name": "shop",
      "_template": "https://git.acme.test/t.git"
    }
  },
  "directory": null,
  "skip": [
    "docs"
  ]
}
"#;

    fn project(name: &str, text: &str) -> Result<Vec<Takeover>, Error> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
        find(&crate::directory::Directory::open(dir.path()).unwrap())
    }

    #[test]
    fn cruft_says_where_a_project_came_from() {
        let found = project(CRUFT, CRUFTED).unwrap().remove(0);
        assert_eq!(found.source, "https://git.acme.test/t.git");
        assert_eq!(found.skip, ["docs"]);
        assert_eq!(serde_json::to_string(&found.answers).unwrap(), r#"{"name":"shop"}"#);
        let broken = project(CRUFT, "{\n  \"template\": 1\n").unwrap_err().to_string();
        assert!(broken.contains(".cruft.json:3:"), "{broken}");
        let lies_in = |directory: &str| {
            project(CRUFT, &CRUFTED.replace("null,\n  \"skip", &format!("\"{directory}\",\n  \"skip")))
        };
        assert_eq!(lies_in("./sub/web/").unwrap().remove(0).directory.as_deref(), Some("sub/web"));
        for outside in ["../sub", "/sub", "sub/../.."] {
            assert!(lies_in(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_described_commit_is_a_commit() {
        let takeover = |commit: &str| Takeover {
            file: CRUFT.parse().unwrap(),
            source: String::new(),
            commit: commit.to_owned(),
            answers: Values::new(),
            directory: None,
            skip: Vec::new(),
        };
        for (commit, reference) in [("v1.2", "v1.2"), ("v1.2-3-g0a1b2c3", "0a1b2c3"), ("big-guns", "big-guns")] {
            assert_eq!(takeover(commit).reference(), reference);
        }
    }
}
