//! What this machine remembers of images: which ones onramp pulled, and which projects need which.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document;
use crate::files::{self, FileError};
use crate::project::{self, Lock};
use crate::reference::{Digest, ImageRef};

/// An image that onramp pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pulled {
    image: ImageRef,
}

/// A project that onramp worked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Project {
    /// Where it is.
    root: PathBuf,
    /// What its sandbox ran when it was last looked at, by digest.
    images: BTreeSet<ImageRef>,
}

/// What was remembered, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The images that onramp pulled.
    pub pulled: BTreeSet<ImageRef>,
    /// The digests that some project's lock or sandbox needs.
    pub needed: BTreeSet<Digest>,
    /// Records of projects that are gone.
    gone: Vec<PathBuf>,
}

/// Notes that onramp pulls an image. Called before the engine has it, so that a killed pull leaves nothing unknown.
pub fn note_pulled(state: &Path, image: &ImageRef) -> Result<(), FileError> {
    note(&pulled_place(state, image), &Pulled { image: image.clone() })
}

/// Forgets an image that the engine no longer has from us.
pub fn forget_pulled(state: &Path, image: &ImageRef) {
    let _ = std::fs::remove_file(pulled_place(state, image));
}

/// Notes what a project's sandbox needs.
pub fn note_project(state: &Path, root: &Path, images: &BTreeSet<ImageRef>) -> Result<(), FileError> {
    let place = state.join("projects").join(format!("{}.json", key(root.as_os_str().as_encoded_bytes())));
    note(&place, &Project { root: root.to_owned(), images: images.clone() })
}

/// Reads what is remembered. A lock that cannot be read is an error: what it needs must not be taken for unneeded.
pub fn read(state: &Path) -> Result<Known, super::Error> {
    let mut known = Known::default();
    for (_, Pulled { image }) in records(&state.join("images"))? {
        known.pulled.insert(image);
    }
    for (place, project) in records::<Project>(&state.join("projects"))? {
        if !project.root.join(project::manifest::FILE).is_file() {
            known.gone.push(place);
            continue;
        }
        known.needed.extend(project.images.iter().filter_map(|image| image.digest().cloned()));
        for locked in Lock::load(&project.root)?.images.into_values() {
            known.needed.insert(locked.digest);
            known.needed.extend(locked.platforms.into_values());
        }
    }
    Ok(known)
}

impl Known {
    /// Forgets the projects that are gone.
    pub fn tidy(&self) {
        for place in &self.gone {
            let _ = std::fs::remove_file(place);
        }
    }
}

fn pulled_place(state: &Path, image: &ImageRef) -> PathBuf {
    state.join("images").join(format!("{}.json", key(image.to_string().as_bytes())))
}

fn key(of: &[u8]) -> String {
    Digest::of(of).hex()[..32].to_owned()
}

/// Writes a record, unless it says so already.
fn note<T: Serialize>(place: &Path, record: &T) -> Result<(), FileError> {
    let text = serde_json::to_string(record).expect("a record is plain data");
    match files::read_text(place, document::CAP) {
        Ok(before) if before == text => Ok(()),
        _ => files::write(place, text.as_bytes()),
    }
}

/// The records of a directory. One that cannot be read as such is one that an older onramp wrote, or nobody.
fn records<T: for<'de> Deserialize<'de>>(directory: &Path) -> Result<Vec<(PathBuf, T)>, FileError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("read", directory)(error)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let place = entry.path();
        let Ok(text) = files::read_text(&place, document::CAP) else { continue };
        if let Ok(record) = serde_json::from_str(&text) {
            found.push((place, record));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_keeps_what_it_needs_as_long_as_it_is_there() {
        let (state, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image =
            |name: &str| -> ImageRef { format!("r.test/base/{name}@{}", Digest::of(name.as_bytes())).parse().unwrap() };
        note_pulled(state.path(), &image("a")).unwrap();
        note_pulled(state.path(), &image("b")).unwrap();
        forget_pulled(state.path(), &image("b"));
        std::fs::write(project.path().join(project::manifest::FILE), "").unwrap();
        note_project(state.path(), project.path(), &[image("c")].into()).unwrap();
        note_project(state.path(), project.path(), &[image("d")].into()).unwrap();
        let known = read(state.path()).unwrap();
        assert_eq!(known.pulled, [image("a")].into());
        assert_eq!(known.needed, [Digest::of(b"d")].into());

        std::fs::write(project.path().join(project::lock::FILE), "nonsense").unwrap();
        assert!(read(state.path()).is_err(), "nobody knows what it needs");
        std::fs::remove_file(project.path().join(project::manifest::FILE)).unwrap();
        let known = read(state.path()).unwrap();
        assert_eq!((known.needed.len(), known.gone.len()), (0, 1));
        known.tidy();
        assert_eq!(read(state.path()).unwrap().gone.len(), 0);
    }
}
