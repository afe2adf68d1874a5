//! Which files of a template are rendered.

use super::super::{Dialect, Engine, Error, Template};
use crate::tree::{Entry, TreePath};

/// A file to render.
pub struct Source {
    /// Its path in the template.
    pub path: TreePath,
    /// Its path below the directory that is rendered: a template.
    pub name: String,
    /// What it is.
    pub entry: Entry,
}

/// All of them.
pub fn list(template: &Template, engine: &Engine) -> Result<Vec<Source>, Error> {
    let subdirectory = match template.dialect {
        Dialect::Copier => engine.text("its subdirectory", &template.rules.subdirectory)?,
        Dialect::Block | Dialect::Cookiecutter => template.rules.subdirectory.clone(),
    };
    let root = match subdirectory.trim_end_matches('/') {
        "" | "." => String::new(),
        directory => format!("{directory}/"),
    };
    let below = |path: &TreePath| path.as_str().strip_prefix(&root).map(str::to_owned);
    let sources = template
        .source
        .iter()
        .filter_map(|(path, entry)| Some(Source { path: path.clone(), name: below(path)?, entry: entry.clone() }));
    Ok(sources.collect())
}
