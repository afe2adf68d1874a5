//! Updates from a released version: a project that changed nothing must become what a new project would be, and a
//! project that changed something must keep it.

use std::collections::BTreeSet;

use super::{Kind, Outcome};
use crate::blocks::facts::Operation;
use crate::blocks::{Block, Facts};
use crate::catalog::cases;
use crate::error::chain;
use crate::merge::{Merged, Options, Style, merge};
use crate::template::question::Values;
use crate::template::resolve::{Sources, resolve};
use crate::template::{Answers, Engine, Error, Rendered};
use crate::tree::{Entry, Tree, TreePath};

/// A line that somebody wrote into a file.
const EDIT: &str = "a line that the project wrote\n";
/// Endings of files that are merged by structure, or where a line more is no such file.
const STRUCTURED: [&str; 8] = [".json", ".yml", ".yaml", ".toml", ".lock", ".ini", ".env", ".xml"];

/// Updates projects of an old version, one for every answer set of it.
pub fn from(old: &Block, new: &Block, label: &str, known: &[Values]) -> Vec<Outcome> {
    let cases = cases::make(old, known);
    let mut failures: Vec<String> = cases.failed.iter().map(|error| format!("as it was: {}", chain(error))).collect();
    let tried = cases.cases.len();
    for case in &cases.cases {
        if let Err(why) = update(old, new, &case.answers, known) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    let outcome = if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) };
    let sets = if tried == 1 { "answer set" } else { "answer sets" };
    vec![Outcome::of(&new.id.name, Kind::Update, format!("{label}, {tried} {sets}"), outcome)]
}

fn update(old: &Block, new: &Block, before: &Answers, known: &[Values]) -> Result<(), String> {
    let base = cases::rendered(old, before).map_err(|error| format!("as it was: {}", chain(&error)))?;
    let answers = follow(new, before, known).map_err(|error| chain(&error))?;
    let fresh = cases::rendered(new, &answers).map_err(|error| chain(&error))?;
    untouched(&base, &fresh)?;
    edited(&base, &fresh)
}

/// The new version's answers: those of before where they still are, defaults, and for new questions without one what is
/// known.
fn follow(new: &Block, before: &Answers, known: &[Values]) -> Result<Answers, Error> {
    let facts: Facts = cases::facts();
    let variables = facts.variables(new.template.dialect, &new.id, &Answers::default(), Operation::Update);
    let mut engine = Engine::new(&new.template, &variables)?;
    let sources = Sources { before: before.kept.clone(), ..Sources::default() };
    match resolve(&new.template, &sources, None, &mut engine) {
        Err(Error::NoAnswer { .. }) => {
            let asked = |id: &str| new.template.questions.iter().any(|question| question.id.as_str() == id);
            let given = before.kept.iter().filter(|(id, _)| asked(id));
            let given: Values = given.map(|(id, value)| (id.clone(), value.clone())).collect();
            let hints = new.template.questions.iter().map(|question| {
                let id = question.id.as_str();
                (id, known.iter().filter_map(|values| values.get(id)).collect())
            });
            Ok(cases::answer(new, given, &hints.collect())?.1)
        }
        other => other,
    }
}

/// A project that is as it was rendered.
fn untouched(base: &Rendered, fresh: &Rendered) -> Result<(), String> {
    let options = options(fresh);
    let merged = merge(&base.tree, &fresh.tree, &base.tree, &options);
    if let Some(conflict) = merged.conflicts.first() {
        return Err(format!("without any edit, {} conflicts: {}", conflict.path, conflict.detail));
    }
    is_new(&apply(&base.tree, &merged), fresh)
}

/// Whether an updated project is what a new one would be, what is given once apart.
fn is_new(updated: &Tree, fresh: &Rendered) -> Result<(), String> {
    for path in updated.paths().chain(fresh.tree.paths()).filter(|path| !fresh.once.contains(*path)) {
        if updated.get(path.as_str()) != fresh.tree.get(path.as_str()) {
            return Err(format!("after the update, {path} is not what a new project has"));
        }
    }
    Ok(())
}

/// A project in which a line was added at the end of each plain text.
fn edited(base: &Rendered, fresh: &Rendered) -> Result<(), String> {
    let plain = |path: &TreePath| !STRUCTURED.iter().any(|end| path.as_str().ends_with(end));
    let mut mine = base.tree.clone();
    let mut edits = BTreeSet::new();
    for (path, entry) in base.tree.iter().filter(|(path, _)| plain(path)) {
        let (Entry::File { executable, .. }, Some(text)) = (entry, entry.text()) else { continue };
        let line_break = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let contents = format!("{}{line_break}{EDIT}", &*text);
        mine.insert(path.clone(), Entry::File { contents: contents.into(), executable: *executable });
        edits.insert(path.clone());
    }
    let merged = merge(&base.tree, &fresh.tree, &mine, &options(fresh));
    are_kept(&edits, &apply(&mine, &merged), &merged.moved)
}

/// Whether an updated project has every line that was written, there or where the file was moved to.
fn are_kept(edits: &BTreeSet<TreePath>, updated: &Tree, moved: &[(TreePath, TreePath)]) -> Result<(), String> {
    let kept = |path: &TreePath| {
        updated.get(path.as_str()).and_then(Entry::text).is_some_and(|text| text.contains(EDIT.trim_end()))
    };
    for path in edits {
        if !kept(path) && !moved.iter().any(|(from, to)| from == path && kept(to)) {
            return Err(format!("after the update, {path} lacks the line that the project wrote"));
        }
    }
    Ok(())
}

fn options(fresh: &Rendered) -> Options {
    Options {
        style: Style::Inline,
        mine: "project".to_owned(),
        base: "before".to_owned(),
        theirs: "after".to_owned(),
        once: fresh.once.clone(),
    }
}

fn apply(tree: &Tree, merged: &Merged) -> Tree {
    let mut tree = tree.clone();
    for change in &merged.changes {
        match &change.after {
            Some(entry) => {
                tree.insert(change.path.clone(), entry.clone());
            }
            None => {
                tree.remove(change.path.as_str());
            }
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(at, text)| (path(at), Entry::file((*text).to_owned()))).collect()
    }

    #[test]
    fn an_updated_project_is_what_a_new_one_has() {
        let once = BTreeSet::from([path("once")]);
        let fresh = Rendered { tree: tree(&[("a", "2"), ("once", "2")]), once, ..Rendered::default() };
        assert_eq!(is_new(&tree(&[("a", "2"), ("once", "1")]), &fresh), Ok(()));
        for (updated, differs) in [
            (tree(&[("a", "1"), ("once", "2")]), "a"),
            (tree(&[("once", "2")]), "a"),
            (tree(&[("a", "2"), ("left", "1"), ("once", "2")]), "left"),
        ] {
            assert_eq!(
                is_new(&updated, &fresh),
                Err(format!("after the update, {differs} is not what a new project has"))
            );
        }
    }

    #[test]
    fn every_line_that_was_written_is_there_after_an_update() {
        let edits = BTreeSet::from([path("a"), path("b")]);
        let edited = format!("2\n{EDIT}");
        let moved = [(path("b"), path("c"))];
        assert_eq!(are_kept(&edits, &tree(&[("a", &edited), ("c", &edited)]), &moved), Ok(()));
        for (updated, lacks) in [
            (tree(&[("a", "2\n"), ("c", &edited)]), "a"),
            (tree(&[("c", &edited)]), "a"),
            (tree(&[("a", &edited), ("c", "2\n")]), "b"),
        ] {
            let message = format!("after the update, {lacks} lacks the line that the project wrote");
            assert_eq!(are_kept(&edits, &updated, &moved), Err(message));
        }
    }
}
