//! Paths that are one where case or Unicode spelling does not count: `README.md` and `readme.md`. A project that has both
//! cannot be checked out on macOS or Windows.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::held::{Held, Hidden};
use crate::text::folded;
use crate::tree::TreePath;

/// Paths that belong together, each spelled in one way.
#[derive(Default)]
pub struct Spelled(BTreeMap<String, String>);

impl Spelled {
    /// Takes a path; how the same one is spelled already, if it is spelled otherwise.
    pub fn take(&mut self, path: &TreePath) -> Option<TreePath> {
        let text = path.as_str();
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        for end in ends {
            match self.0.get(&*folded(&text[..end])) {
                Some(other) if *other != text[..end] => return format!("{other}{}", &text[end..]).parse().ok(),
                Some(_) => {}
                None => {
                    self.0.insert(folded(&text[..end]).into_owned(), text[..end].to_owned());
                }
            }
        }
        None
    }
}

/// How a project spells its paths.
pub struct Project<'a> {
    held: &'a dyn Held,
    /// Files that go.
    gone: BTreeSet<TreePath>,
    /// The names in the directories that were looked at.
    names: BTreeMap<Option<TreePath>, Vec<String>>,
}

impl<'a> Project<'a> {
    /// Of a project in which these files will not be.
    pub fn new(held: &'a dyn Held, gone: BTreeSet<TreePath>) -> Self {
        Self { held, gone, names: BTreeMap::new() }
    }

    /// How the project spells a path at which nothing stands, if it has the same one spelled otherwise.
    pub fn other(&mut self, path: &TreePath) -> Result<Option<TreePath>, Error> {
        let text = path.as_str();
        let mut start = 0;
        let mut parent: Option<TreePath> = None;
        for name in path.names() {
            let end = start + name.len();
            if !self.names.contains_key(&parent) {
                let names = self.held.names(parent.as_ref())?;
                self.names.insert(parent.clone(), names);
            }
            let names = self.names.get(&parent).map(Vec::as_slice).unwrap_or_default();
            if !names.iter().any(|other| other == name) {
                let alike = names.iter().filter(|other| folded(other) == folded(name));
                for other in alike {
                    let Ok(there) = format!("{}{other}", &text[..start]).parse() else { continue };
                    if !self.goes(&there)? {
                        return Ok(format!("{there}{}", &text[end..]).parse().ok());
                    }
                }
                return Ok(None);
            }
            parent = text[..end].parse().ok();
            start = end + 1;
        }
        Ok(None)
    }

    /// Whether nothing will be left at a path.
    fn goes(&self, path: &TreePath) -> Result<bool, Error> {
        if self.gone.contains(path) {
            return Ok(true);
        }
        if !self.gone.iter().any(|gone| gone.as_str().starts_with(&format!("{path}/"))) {
            return Ok(false);
        }
        let inside = self.held.walk(Some(path), Hidden::Too, &|_| true)?;
        Ok(inside.iter().all(|(path, _)| self.gone.contains(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn one_spelling_is_taken() {
        let mut spelled = Spelled::default();
        for (one, other) in [
            ("src/a", None),
            ("src/a", None),
            ("src/b", None),
            ("Src/c", Some("src/c")),
            ("src/A", Some("src/a")),
            ("stra\u{df}e", None),
            ("caf\u{e9}/x", None),
            ("cafe\u{301}/y", Some("caf\u{e9}/y")),
        ] {
            assert_eq!(spelled.take(&path(one)), other.map(path), "{one}");
        }
    }

    #[test]
    fn a_project_has_its_own_spelling() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["README.md", "Src/deep/one.txt", "Old/a", "old-file"] {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let root = Directory::open(dir.path()).unwrap();
        let mut project = Project::new(&root, BTreeSet::from([path("Old/a"), path("old-file")]));
        for (one, other) in [
            ("readme.md", Some("README.md")),
            ("README.md", None),
            ("README.md/x", None),
            ("src/new.txt", Some("Src/new.txt")),
            ("Src/Deep/one.txt", Some("Src/deep/one.txt")),
            ("Src/deep/two.txt", None),
            ("new/README.md", None),
            // What goes is in nobody's way.
            ("old/a", None),
            ("OLD-FILE", None),
        ] {
            assert_eq!(project.other(&path(one)).unwrap(), other.map(path), "{one}");
        }
        std::fs::write(dir.path().join("Old/mine"), "").unwrap();
        let mut project = Project::new(&root, BTreeSet::from([path("Old/a")]));
        assert_eq!(project.other(&path("old/a")).unwrap(), Some(path("Old/a")));
    }
}
