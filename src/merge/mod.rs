//! Three versions made one: what a template was, what it is now, and what the project made of it.
//!
//! Pure: trees in, changes and conflicts out. Nothing that a person wrote is dropped; where both sides changed the same
//! thing, both are kept and the place is a conflict.

use serde::Serialize;

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
    pub once: std::collections::BTreeSet<TreePath>,
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

/// Merges what a template changed between two renders into a project.
pub fn merge(_base: &Tree, _theirs: &Tree, _mine: &Tree, _options: &Options) -> Merged {
    unimplemented!("skeleton")
}
