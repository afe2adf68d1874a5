//! A template and answers become a tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answers, Error, Template, Value};
use crate::tree::{Tree, TreePath};

/// What a template rendered to.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The files.
    pub tree: Tree,
    /// Of each file, which file of the source it came from, and whether that was rendered or copied.
    pub origins: BTreeMap<TreePath, Origin>,
    /// The files that are given once (`skip_if_exists`).
    pub once: BTreeSet<TreePath>,
}

/// Where a rendered file came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its path in the template's source.
    pub source: TreePath,
    /// Whether its contents are a template.
    pub rendered: bool,
    /// The variables that a `yield` in its name sets.
    pub yielded: serde_json::Map<String, Value>,
}

/// Renders a whole template. `facts` are the variables that are known beside the answers.
pub fn render(
    _template: &Template,
    _answers: &Answers,
    _facts: &serde_json::Map<String, Value>,
) -> Result<Rendered, Error> {
    unimplemented!("skeleton")
}
