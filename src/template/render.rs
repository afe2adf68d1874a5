//! A template and answers become a tree. Nothing is written: what is wrong is known before a file is.

mod clash;
mod names;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Map;

use self::clash::Clashes;
use super::engine::FILE_CAP;
use super::{Answers, Engine, Error, Suffix, Template, Value};
use crate::text;
use crate::tree::{Entry, Tree, TreePath};

/// The most that all rendered files may weigh, in bytes.
const TOTAL_CAP: usize = 256 * 1024 * 1024;
/// The most files that a template may be rendered to.
const MOST_FILES: usize = 200_000;

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
    pub yielded: Map<String, Value>,
}

/// Renders a whole template. `facts` are the variables that are known beside the answers.
pub fn render(template: &Template, answers: &Answers, facts: &Map<String, Value>) -> Result<Rendered, Error> {
    let mut engine = Engine::new(template, facts)?;
    for (name, value) in answers.kept.iter().chain(&answers.passing) {
        engine.set(name, value);
    }
    Rendering { template, engine: &engine, total: 0, clashes: Clashes::default(), out: Rendered::default() }.run()
}

/// One template being rendered.
struct Rendering<'a> {
    template: &'a Template,
    engine: &'a Engine,
    total: usize,
    clashes: Clashes,
    out: Rendered,
}

impl Rendering<'_> {
    fn run(mut self) -> Result<Rendered, Error> {
        for source in sources::list(self.template, self.engine)? {
            let template = self.is_template(source.path.file_name());
            let name = self.without_suffix(&source.name, template);
            for (path, yielded) in names::render(self.engine, &source.path, name)? {
                self.take(&source, &path, template, yielded)?;
            }
        }
        Ok(self.out)
    }

    fn take(
        &mut self,
        source: &sources::Source,
        path: &str,
        template: bool,
        yielded: Map<String, Value>,
    ) -> Result<(), Error> {
        let path = self.checked(&source.path, path)?;
        self.clashes.add(&path, &source.path).map_err(|message| self.wrong(&source.path, message))?;
        let (entry, rendered) = self.entry(source, template, &yielded)?;
        if rendered {
            self.total += entry.contents().map_or(0, bytes::Bytes::len);
        }
        if self.total > TOTAL_CAP {
            let why = format!("the rendered files are larger than {} together", text::bytes(TOTAL_CAP as u64));
            return Err(self.refused(&source.path, why));
        }
        if self.out.tree.len() >= MOST_FILES {
            return Err(self.refused(&source.path, format!("it is rendered to more than {MOST_FILES} files")));
        }
        self.out.origins.insert(path.clone(), Origin { source: source.path.clone(), rendered, yielded });
        self.out.tree.insert(path, entry);
        Ok(())
    }

    /// What a source becomes, and whether it was rendered.
    fn entry(
        &self,
        source: &sources::Source,
        template: bool,
        more: &Map<String, Value>,
    ) -> Result<(Entry, bool), Error> {
        let Entry::File { contents, executable } = &source.entry else { return Ok((source.entry.clone(), false)) };
        if !template {
            return Ok((source.entry.clone(), false));
        }
        let Ok(text) = std::str::from_utf8(contents) else {
            return match self.template.rules.suffix {
                Suffix::Every => Ok((source.entry.clone(), false)),
                Suffix::Only(_) => Err(self.wrong(&source.path, "a template must be UTF-8 text".to_owned())),
            };
        };
        let rendered = self.engine.file(source.path.as_str(), text, more)?;
        if rendered.len() > FILE_CAP {
            let message = format!("the output is larger than {}", text::bytes(FILE_CAP as u64));
            return Err(self.wrong(&source.path, message));
        }
        Ok((Entry::File { contents: rendered.into(), executable: *executable }, true))
    }

    fn is_template(&self, name: &str) -> bool {
        match &self.template.rules.suffix {
            Suffix::Every => true,
            Suffix::Only(suffix) => name.ends_with(suffix.as_str()),
        }
    }

    fn without_suffix<'n>(&self, name: &'n str, template: bool) -> &'n str {
        match &self.template.rules.suffix {
            Suffix::Only(suffix) if template => name.strip_suffix(suffix.as_str()).unwrap_or(name),
            _ => name,
        }
    }

    /// A rendered path, if a project may have it.
    fn checked(&self, source: &TreePath, path: &str) -> Result<TreePath, Error> {
        let parsed = path.parse::<TreePath>().and_then(|parsed| parsed.check().map(|()| parsed));
        parsed.map_err(|why| {
            self.refused(source, format!("it is rendered to `{}`, and {why}", text::neutral_line(path, 80)))
        })
    }

    fn wrong(&self, path: &TreePath, message: String) -> Error {
        let place = text::neutral_line(path.as_str(), 200);
        Error::Wrong { label: self.template.label.clone(), place, message }
    }

    fn refused(&self, path: &TreePath, why: String) -> Error {
        let place = text::neutral_line(path.as_str(), 200);
        Error::Refused { label: self.template.label.clone(), place, why }
    }
}

#[cfg(test)]
mod tests;
