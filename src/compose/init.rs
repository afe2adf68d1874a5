//! A project from a Compose file: what is taken and what is left, then its `onramp.toml`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::left::Left;
use super::{Error, Taken, manifest, read};
use crate::document;
use crate::files::{self, FileError};
use crate::name::Name;
use crate::project::manifest::{FILE, parse};
use crate::project::service::Service;

/// What becomes of a Compose file.
#[derive(Clone, Debug, Serialize)]
pub struct Init {
    /// The project's name.
    pub project: Name,
    /// The Compose file, as it is called from the project's directory.
    pub from: String,
    /// The project's directory.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The services, in the order of the file.
    pub services: Vec<Planned>,
    /// What is not taken as it stands.
    pub left: Vec<Left>,
    /// The text of `onramp.toml`.
    pub manifest: String,
}

/// A service that the project will have.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// Its name.
    pub name: Name,
    /// It.
    #[serde(flatten)]
    pub service: Service,
}

/// Reads a Compose file and plans the project in `directory`. Blocking: reads files.
pub fn plan(directory: &Path, from: &Path, name: Option<Name>) -> Result<Init, Error> {
    let root = directory.canonicalize().map_err(FileError::io("read", directory))?;
    let given = directory.join(from);
    let file = given.canonicalize().map_err(FileError::io("read", &given))?;
    let Ok(file) = file.strip_prefix(&root) else {
        return Err(Error::Elsewhere { file, directory: root });
    };
    let text = files::read_text(&root.join(file), document::CAP)?;
    let read = read(&root, file, &text, name)?;
    let from = file.display().to_string();
    if read.services.is_empty() {
        let of_service = |left: &&Left| left.service.is_some() || left.key.starts_with("services.");
        let first = read.left.iter().find(of_service);
        let why = first.map(|left| format!("{}:{} {}", left.file, left.line, left.why));
        return Err(Error::Nothing { file: from, why });
    }
    let manifest = manifest::render(&read, &from);
    if manifest.len() as u64 > document::CAP {
        return Err(FileError::TooLarge { path: FILE.into(), cap: document::CAP }.into());
    }
    // What is written must be what is read: our own parser has the last word.
    parse(Path::new(FILE), &manifest)?;
    let planned = |Taken { name, service }| Planned { name, service };
    let services = read.services.into_iter().map(planned).collect();
    Ok(Init { project: read.name, from, directory: root, services, left: read.left, manifest })
}

/// Refuses a directory that is a project already.
pub fn vacant(directory: &Path, from: &Path) -> Result<(), Error> {
    let path = directory.join(FILE);
    match path.symlink_metadata() {
        Ok(_) => Err(Error::Project { path, from: from.display().to_string() }),
        Err(_) => Ok(()),
    }
}

/// Writes `onramp.toml`: never over another one, and whole or not at all.
pub fn apply(init: &Init) -> Result<(), Error> {
    let path = init.directory.join(FILE);
    if files::write_new(&path, init.manifest.as_bytes())? {
        Ok(())
    } else {
        Err(Error::Project { path, from: init.from.clone() })
    }
}
