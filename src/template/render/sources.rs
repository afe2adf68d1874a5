//! Which files of a template are rendered: those of its directory, with what its links lead to.

use super::super::{Dialect, Engine, Error, Template};
use super::links::{self, End};
use super::{MOST_FILES, refused, wrong};
use crate::tree::{Entry, TreePath};

/// The most links to directories below each other: one that leads to where it lies is followed no further.
const MOST_NESTED: usize = 8;

/// A file to render.
pub struct Source {
    /// Its path in the template.
    pub path: TreePath,
    /// Its path below the directory that is rendered: a template.
    pub name: String,
    /// What it is, links followed where the template says so.
    pub entry: Entry,
}

/// All of them.
pub fn list(template: &Template, engine: &Engine) -> Result<Vec<Source>, Error> {
    let written = &template.rules.subdirectory;
    let root = match template.dialect {
        Dialect::Copier => engine.text("its subdirectory", written)?,
        Dialect::Block | Dialect::Cookiecutter => written.clone(),
    };
    let End::At(root) = links::follow(&template.source, "", &root) else {
        let why = format!("its subdirectory `{}` leads out of it", crate::text::neutral_line(&root, 80));
        return Err(Error::Refused { label: template.label.clone(), place: "its subdirectory".to_owned(), why });
    };
    let mut listing = Listing { template, sources: Vec::new() };
    listing.directory(&root, "", 0)?;
    Ok(listing.sources)
}

struct Listing<'a> {
    template: &'a Template,
    sources: Vec<Source>,
}

impl Listing<'_> {
    /// Everything below a directory of the source, under another name.
    fn directory(&mut self, directory: &str, name: &str, nested: usize) -> Result<(), Error> {
        let inside = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        for (path, entry) in self.template.source.below(&inside) {
            let rest = &path.as_str()[inside.len()..];
            let name = if name.is_empty() { rest.to_owned() } else { format!("{name}/{rest}") };
            self.one(path, name, entry, nested)?;
        }
        Ok(())
    }

    fn one(&mut self, path: &TreePath, name: String, entry: &Entry, nested: usize) -> Result<(), Error> {
        if self.sources.len() >= MOST_FILES {
            return Err(refused(self.template, path, format!("the template has more than {MOST_FILES} files")));
        }
        let Entry::Link { .. } = entry else {
            self.sources.push(Source { path: path.clone(), name, entry: entry.clone() });
            return Ok(());
        };
        let end = match links::follow(&self.template.source, "", path.as_str()) {
            End::At(end) => end,
            // It stays a link, which is judged where it will lie.
            _ if self.template.rules.preserve_symlinks => String::new(),
            End::Outside => return Err(refused(self.template, path, "this link leads out of the template".to_owned())),
            End::Loop => return Err(refused(self.template, path, "this link leads to itself".to_owned())),
        };
        if self.template.rules.preserve_symlinks {
            self.sources.push(Source { path: path.clone(), name, entry: entry.clone() });
            return Ok(());
        }
        if let Some(file) = self.template.source.get(&end) {
            let entry = match file {
                // Copier looks up in git whether it can be run, where a link never can.
                Entry::File { contents, .. } if self.template.dialect == Dialect::Copier => {
                    Entry::file(contents.clone())
                }
                other => other.clone(),
            };
            self.sources.push(Source { path: path.clone(), name, entry });
            return Ok(());
        }
        let inside = format!("{end}/");
        if !end.is_empty() && self.template.source.below(&inside).next().is_none() {
            return Err(wrong(self.template, path, "this link leads nowhere".to_owned()));
        }
        // Cookiecutter walks past links to directories.
        if self.template.dialect == Dialect::Cookiecutter {
            return Ok(());
        }
        if nested >= MOST_NESTED {
            return Err(refused(self.template, path, "this link leads to where it lies".to_owned()));
        }
        self.directory(&end, &name, nested + 1)
    }
}
