//! A directory that blocks were rendered to: a project of onramp's, or one that only its lock, or Copier's or cruft's own
//! file, tells about.

use std::path::{Path, PathBuf};

use super::{Error, Lock, Manifest, Project, lock, manifest};
use crate::files::FileError;

/// Copier's and cruft's own files, by which a project of theirs is known.
pub const FOREIGN: [&str; 4] = [".copier-answers.yml", ".copier-answers.yaml", ".copier-answer.yml", ".cruft.json"];

/// A directory that blocks were rendered to.
#[derive(Clone, Debug)]
pub struct Scaffolded {
    /// The directory, absolute.
    pub root: PathBuf,
    /// Its `onramp.toml`, if it has one.
    pub manifest: Option<Manifest>,
    /// Its `onramp.lock`; empty where there is none.
    pub lock: Lock,
}

impl Scaffolded {
    /// Finds the one that `start` lies in: the nearest directory upwards that is one.
    pub fn find(start: &Path) -> Result<Self, Error> {
        let start = start.canonicalize().map_err(FileError::io("read", start))?;
        let marks =
            |dir: &&Path| [manifest::FILE, lock::FILE].iter().chain(&FOREIGN).any(|name| dir.join(name).is_file());
        let root = start.ancestors().find(marks).ok_or_else(|| Error::NoProject { start: start.clone() })?;
        let manifest = if root.join(manifest::FILE).is_file() { Some(Project::find(root)?.manifest) } else { None };
        Ok(Self { root: root.to_owned(), manifest, lock: Lock::load(root)? })
    }

    /// The nearest one upwards, else the git repository that `start` lies in, else `start` itself: for what makes one.
    pub fn find_or_here(start: &Path) -> Result<Self, Error> {
        match Self::find(start) {
            Err(Error::NoProject { start }) => {
                let root = start.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&start).to_owned();
                Ok(Self { root, manifest: None, lock: Lock::default() })
            }
            found => found,
        }
    }

    /// Its name: as `onramp.toml` says, else its directory's.
    pub fn name(&self) -> String {
        self.manifest.as_ref().map_or_else(|| self.folder(), |manifest| manifest.name.to_string())
    }

    /// Its directory's name.
    pub fn folder(&self) -> String {
        self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}
