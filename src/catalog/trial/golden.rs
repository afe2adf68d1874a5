//! Golden trees: `tests/<case>/answers.toml` in a block, and what the block renders to with them in `expected/`.

use std::collections::BTreeMap;
use std::path::Path;

use similar::TextDiff;

use crate::blocks::Block;
use crate::catalog::{Checkout, Error, cases};
use crate::files::{self, FileError};
use crate::name::Name;
use crate::template::question::Values;
use crate::template::resolve::file;
use crate::tree::{Cap, Entry, Tree, disk};

/// The directory of a block's golden trees.
const TESTS: &str = "tests";
const ANSWERS: &str = "answers.toml";
const EXPECTED: &str = "expected";
/// The most of a golden tree.
const MOST: Cap = Cap { files: 20_000, bytes: 256 * 1024 * 1024 };
/// The most lines of a difference that are told.
const TOLD: usize = 60;

/// A golden tree.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The case: its directory's name.
    pub name: String,
    /// What is answered; the rest is default.
    pub answers: Values,
    /// What comes of it; none where nobody wrote it yet.
    pub expected: Option<Tree>,
}

/// The golden trees of a block, by name. What git ignores inside of them counts: a block may well render a `.gitignore`.
pub fn read(checkout: &Checkout, name: &Name) -> Result<Vec<Golden>, Error> {
    let tests = checkout.path(name, TESTS);
    // The tests of a repository that is one template are not for onramp to read.
    if checkout.is_single() || !tests.is_dir() {
        return Ok(Vec::new());
    }
    let mut goldens = Vec::new();
    for found in std::fs::read_dir(&tests).map_err(FileError::io("read", &tests))? {
        let found = found.map_err(FileError::io("read", &tests))?;
        let answers = found.path().join(ANSWERS);
        if !answers.is_file() {
            continue;
        }
        let expected = found.path().join(EXPECTED);
        let expected = if expected.is_dir() { Some(tree(&expected)?) } else { None };
        goldens.push(Golden {
            name: found.file_name().to_string_lossy().into_owned(),
            answers: file::load(&answers)?,
            expected,
        });
    }
    goldens.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(goldens)
}

fn tree(directory: &Path) -> Result<Tree, Error> {
    disk::read(directory, MOST).map_err(|error| match error {
        disk::Error::File(error) => error.into(),
        other => Error::File(FileError::Io {
            verb: "take",
            path: directory.to_owned(),
            source: std::io::Error::other(other.to_string()),
        }),
    })
}

impl Golden {
    /// What the block renders to with its answers.
    pub fn render(&self, block: &Block) -> Result<Tree, crate::template::Error> {
        crate::template::resolve::check_names(&block.template, self.answers.keys().map(String::as_str))?;
        let (_, answers) = cases::answer(block, self.answers.clone(), &BTreeMap::new())?;
        Ok(cases::rendered(block, &answers)?.tree)
    }

    /// What differs from what is expected: a line a file, and the lines of texts.
    pub fn compare(&self, rendered: &Tree) -> Result<(), String> {
        let Some(expected) = &self.expected else {
            return Err(format!("there is no {EXPECTED}/ yet; `onramp catalog test --update-golden` writes it"));
        };
        let mut lines = Vec::new();
        for (path, entry) in expected.iter() {
            match rendered.get(path.as_str()) {
                None => lines.push(format!("{path} is expected, and not rendered")),
                Some(other) if other == entry => {}
                Some(other) => lines.extend(difference(path.as_str(), entry, other)),
            }
        }
        let more = rendered.paths().filter(|path| expected.get(path.as_str()).is_none());
        lines.extend(more.map(|path| format!("{path} is rendered, and not expected")));
        if lines.len() > TOLD {
            let left = lines.len() - TOLD;
            lines.truncate(TOLD);
            lines.push(format!("… and {left} more lines"));
        }
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }

    /// Makes the golden tree what is rendered; whether it was something else.
    pub fn write(&self, checkout: &Checkout, block: &Name, rendered: &Tree) -> Result<bool, Error> {
        if self.expected.as_ref() == Some(rendered) {
            return Ok(false);
        }
        let tests = checkout.path(block, TESTS).join(&self.name);
        let expected = tests.join(EXPECTED);
        // Written aside and put in place whole: who is stopped in between has the old tree.
        let aside = tempfile::Builder::new().prefix(".onramp-expected-").tempdir_in(&tests);
        let aside = aside.map_err(FileError::io("create", &tests))?;
        for (path, entry) in rendered.iter() {
            put(&aside.path().join(path.as_str()), entry)?;
        }
        let old = tempfile::Builder::new().prefix(".onramp-former-").tempdir_in(&tests);
        let old = old.map_err(FileError::io("create", &tests))?;
        if self.expected.is_some() {
            std::fs::rename(&expected, old.path().join(EXPECTED)).map_err(FileError::io("move", &expected))?;
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let placed =
            std::fs::set_permissions(aside.path(), open).and_then(|()| std::fs::rename(aside.path(), &expected));
        if let Err(error) = placed {
            // The former tree goes back to its place before its directory goes.
            if self.expected.is_some() {
                let _ = std::fs::rename(old.path().join(EXPECTED), &expected);
            }
            return Err(FileError::io("write", &expected)(error).into());
        }
        // It is not there any more under its old name.
        let _ = aside.keep();
        Ok(true)
    }
}

fn put(path: &Path, entry: &Entry) -> Result<(), FileError> {
    match entry {
        Entry::File { contents, executable } => {
            files::write(path, &contents.bytes())?;
            if *executable {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(path, mode).map_err(FileError::io("write", path))?;
            }
            Ok(())
        }
        Entry::Link { target } => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
            }
            std::os::unix::fs::symlink(target, path).map_err(FileError::io("write", path))
        }
    }
}

/// How a file differs.
fn difference(path: &str, expected: &Entry, rendered: &Entry) -> Vec<String> {
    let (Some(old), Some(new)) = (expected.text(), rendered.text()) else {
        return vec![format!("{path} differs, and is no text")];
    };
    if old == new {
        let can = if rendered.executable() { "can" } else { "cannot" };
        return vec![format!("{path} {can} be run, unlike what is expected")];
    }
    let diff = TextDiff::from_lines(&*old, &*new);
    let text = diff.unified_diff().header(&format!("expected/{path}"), path).to_string();
    text.lines().map(str::to_owned).collect()
}
