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

/// Walks over all of them. What is wrong with any of them is known before the first one.
pub fn each(
    template: &Template,
    engine: &Engine,
    mut take: impl FnMut(&Source) -> Result<(), Error>,
) -> Result<(), Error> {
    let written = &template.rules.subdirectory;
    let root = match template.dialect {
        Dialect::Copier => engine.text("its subdirectory", written)?,
        Dialect::Block | Dialect::Cookiecutter => written.clone(),
    };
    let End::At(root) = links::follow(&template.source, "", &root) else {
        let why = format!("its subdirectory `{}` leads out of it", crate::text::neutral_line(&root, 80));
        return Err(Error::Refused { label: template.label.clone(), place: "its subdirectory".to_owned(), why });
    };
    Walk { template, count: 0, take: &mut |_| Ok(()) }.directory(&root, "", 0)?;
    Walk { template, count: 0, take: &mut take }.directory(&root, "", 0)
}

struct Walk<'a> {
    template: &'a Template,
    count: usize,
    take: &'a mut dyn FnMut(&Source) -> Result<(), Error>,
}

impl Walk<'_> {
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
        if self.count >= MOST_FILES {
            return Err(refused(self.template, path, format!("the template has more than {MOST_FILES} files")));
        }
        let Entry::Link { .. } = entry else {
            return self.take(&Source { path: path.clone(), name, entry: entry.clone() });
        };
        let end = match links::follow(&self.template.source, "", path.as_str()) {
            End::At(end) => end,
            // It stays a link, which is judged where it will lie.
            _ if self.template.rules.preserve_symlinks => String::new(),
            End::Outside => return Err(refused(self.template, path, "this link leads out of the template".to_owned())),
            End::Loop => return Err(refused(self.template, path, "this link leads to itself".to_owned())),
        };
        if self.template.rules.preserve_symlinks {
            return self.take(&Source { path: path.clone(), name, entry: entry.clone() });
        }
        if let Some(file) = self.template.source.get(&end) {
            let entry = match file {
                // Copier looks up in git whether it can be run, where a link never can.
                Entry::File { contents, .. } if self.template.dialect == Dialect::Copier => {
                    Entry::file(contents.clone())
                }
                other => other.clone(),
            };
            return self.take(&Source { path: path.clone(), name, entry });
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

    fn take(&mut self, source: &Source) -> Result<(), Error> {
        self.count += 1;
        (self.take)(source)
    }
}
