//! Where a Compose file stands in its project, and where its paths lead.

use std::path::{Component, Path, PathBuf};

use crate::files;

/// A Compose file's place.
#[derive(Debug)]
pub(super) struct Place {
    /// The project's directory, absolute.
    pub root: PathBuf,
    /// The file's directory, from there.
    pub directory: PathBuf,
}

/// What a path in the file leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// Something of the project, as it is called from its directory.
    Inside(String),
    /// Nothing that is there.
    Nowhere,
    /// Somewhere else on the machine.
    Outside,
}

impl Place {
    /// Of a file that lies on no disk: its paths lead to nothing.
    pub fn nowhere() -> Self {
        Self { root: PathBuf::new(), directory: PathBuf::new() }
    }

    /// Where a path leads, symbolic links followed.
    pub fn leads(&self, written: &str) -> Leads {
        let Some(relative) = self.relative(written) else { return Leads::Outside };
        if self.root.as_os_str().is_empty() {
            return Leads::Nowhere;
        }
        match files::confined(&self.root, &relative) {
            Ok(_) if relative.as_os_str().is_empty() => Leads::Inside(".".to_owned()),
            Ok(_) => relative.to_str().map_or(Leads::Nowhere, |path| Leads::Inside(path.to_owned())),
            Err(error) if error.is_not_found() => Leads::Nowhere,
            Err(_) => Leads::Outside,
        }
    }

    /// The path from the project's directory, without `..`; none where it begins or ends elsewhere.
    fn relative(&self, written: &str) -> Option<PathBuf> {
        if written.starts_with('~') {
            return None;
        }
        let mut path = self.directory.clone();
        for component in Path::new(written).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir => {
                    if !path.pop() {
                        return None;
                    }
                }
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_project() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("deploy")).unwrap();
        std::fs::create_dir_all(dir.path().join("src")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let place = Place { root: dir.path().to_owned(), directory: "deploy".into() };
        let inside = |path: &str| Leads::Inside(path.to_owned());
        for (written, expected) in [
            ("../src", inside("src")),
            (".", inside("deploy")),
            ("./../", inside(".")),
            ("../none", Leads::Nowhere),
            ("../../x", Leads::Outside),
            ("../link", Leads::Outside),
            ("/etc", Leads::Outside),
            ("~/x", Leads::Outside),
        ] {
            assert_eq!(place.leads(written), expected, "{written}");
        }
    }
}
