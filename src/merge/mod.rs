//! Three versions made one: what a template was, what it is now, and what the project made of it.
//!
//! Pure: trees in, changes and conflicts out. Nothing that a person wrote is dropped; where both sides changed the same
//! thing, both are kept and the place is a conflict.

mod file;
mod keep;
mod markers;
mod outcome;
mod rename;
mod shape;
mod structured;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use keep::kept;
pub use markers::has_markers;
use outcome::Outcome;

use crate::tree::{Entry, Tree, TreePath};

/// How conflicts are shown in a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Markers in the file, with the base between them (diff3).
    #[default]
    Inline,
    /// The file stays the project's; what the template wanted stands beside it, in `<file>.rej`.
    Rej,
}

/// How to merge.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How conflicts are shown.
    pub style: Style,
    /// What markers call the project's side: `shop`.
    pub mine: String,
    /// What markers call the old render: `php-web 1.0.0`.
    pub base: String,
    /// What markers call the new render: `php-web 1.1.0`.
    pub theirs: String,
    /// Paths that are given once: where the project has them, the template's changes are not taken (`skip_if_exists`).
    pub once: BTreeSet<TreePath>,
}

/// One path that changes in the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: TreePath,
    /// What stands there; none: nothing.
    pub before: Option<Entry>,
    /// What will stand there; none: nothing.
    pub after: Option<Entry>,
}

/// Where both sides changed the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Where, in the project.
    pub path: TreePath,
    /// What kind of clash.
    pub kind: ConflictKind,
    /// The line of the file there at which it begins, counted from one; none: the whole file.
    pub line: Option<usize>,
    /// Where the template's side is kept, when it is not in the file itself.
    pub beside: Option<TreePath>,
    /// One line for people: what each side did, and where both are kept.
    pub detail: String,
}

/// Kinds of conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both changed the same lines.
    Lines,
    /// Both changed the same key of a structured file.
    Key,
    /// The template deleted or moved what the project edited.
    DeletedThere,
    /// The project deleted what the template changed.
    DeletedHere,
    /// Both changed a file that is not text.
    Binary,
    /// Both changed whether it can be run, or what kind of thing it is.
    Mode,
    /// One side has a file where the other has a directory or a link.
    Kind,
    /// Both added different things at one path.
    Added,
    /// Both moved it, to different places.
    Moved,
}

/// What comes of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// What changes in the project, by path.
    pub changes: Vec<Change>,
    /// What a person must decide, by path.
    pub conflicts: Vec<Conflict>,
    /// Files that the template moved, and with them the project's: from, to.
    pub moved: Vec<(TreePath, TreePath)>,
}

/// Merges what a template changed between two renders into a project. `mine` holds what the project has at every path
/// of both renders or in the way of one (a file where a render has a directory, what is in a directory where a render has
/// a file), and the project's own files to which it may have moved one of the base's.
pub fn merge(base: &Tree, theirs: &Tree, mine: &Tree, options: &Options) -> Merged {
    let moves = Moves::find(base, theirs, mine, options);
    let mut outcome = Outcome::new(theirs, mine, options);
    for (path, old) in base.iter().filter(|(path, _)| !options.once.contains(*path)) {
        let there = if theirs.get(path.as_str()).is_some() { Some(path) } else { moves.theirs.get(path).copied() };
        let here = if mine.get(path.as_str()).is_some() { Some(path) } else { moves.mine.get(path).copied() };
        let new = there.and_then(|at| Some((at, theirs.get(at.as_str())?)));
        let own = here.and_then(|at| Some((at, mine.get(at.as_str())?)));
        match (new, own) {
            (None, None) => {}
            (None, Some((here, own))) if here == path && own == old => outcome.remove(here),
            (None, Some((here, _))) => outcome.deleted_there(here, path),
            (Some((_, new)), None) if new == old => {}
            (Some((there, new)), None) => outcome.deleted_here(there, new),
            (Some((there, new)), Some((here, own))) => {
                let to = if here == path || here == there { there } else { here };
                if here != path && there != path && here != there {
                    outcome.moved_apart(path, there, here);
                }
                if to != here {
                    outcome.move_to(here, to);
                }
                outcome.merge(to, old, new, own);
            }
        }
    }
    let moved_there: BTreeSet<&TreePath> = moves.theirs.values().copied().collect();
    for (path, new) in theirs.iter().filter(|(path, _)| base.get(path.as_str()).is_none()) {
        if moved_there.contains(path) {
            continue;
        }
        match mine.get(path.as_str()) {
            None => outcome.put(path, new.clone()),
            Some(own) if own == new || options.once.contains(path) => {}
            Some(own) => outcome.added(path, new, own),
        }
    }
    outcome.finish()
}

/// Which of the base's files the template and the project moved, and where.
struct Moves<'a> {
    theirs: BTreeMap<&'a TreePath, &'a TreePath>,
    mine: BTreeMap<&'a TreePath, &'a TreePath>,
}

impl<'a> Moves<'a> {
    fn find(base: &'a Tree, theirs: &'a Tree, mine: &'a Tree, options: &Options) -> Self {
        let free = |path: &TreePath| !options.once.contains(path);
        let gone_from = |side: &Tree| -> Vec<_> {
            base.iter().filter(|(path, _)| free(path) && side.get(path.as_str()).is_none()).collect()
        };
        let new_in = |side: &'a Tree| -> Vec<_> {
            side.iter().filter(|(path, _)| free(path) && base.get(path.as_str()).is_none()).collect()
        };
        let mut moves = Self { theirs: rename::moves(&gone_from(theirs), &new_in(theirs)), mine: BTreeMap::new() };
        let gone = gone_from(mine);
        if gone.is_empty() {
            moves.theirs.retain(|_, to| mine.get(to.as_str()).is_none());
            return moves;
        }
        moves.mine = rename::moves(&gone, &new_in(mine));
        // A file of the project's own that stands where the template puts one is the moved one only if both moved it
        // there.
        moves.mine.retain(|from, to| theirs.get(to.as_str()).is_none() || moves.theirs.get(from) == Some(to));
        moves.theirs.retain(|from, to| mine.get(to.as_str()).is_none() || moves.mine.get(from) == Some(to));
        moves
    }
}
