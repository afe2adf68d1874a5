//! What this machine remembers of images: which ones onramp pulled or built, and which projects need which.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contents::Documents;
use crate::document::{self, DocumentError};
use crate::files::{self, FileError};
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};
use crate::registry::{Content, Manifest};

/// Where is noted what was built.
const BUILT: &str = "built";
/// Where is noted what was taken to build on.
const TAKEN: &str = "taken";

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

/// An image that onramp built, or took from a registry to build on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Own {
    id: String,
    /// What it was called in the engine.
    name: String,
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

/// Notes that onramp built an image. Called before a registry has it, so that a killed push leaves nothing unknown.
///
/// These records stay: a registry may have an image for much longer than the engine.
pub fn note_built(state: &Path, id: &str, name: &str) -> Result<(), FileError> {
    note(&own_place(state, BUILT, id), &Own { id: id.to_owned(), name: name.to_owned() })
}

/// Whether onramp built the image with this id on this machine.
pub fn is_built(state: &Path, id: &str) -> Result<bool, super::Error> {
    is_own(state, BUILT, id)
}

/// Notes that onramp took an image from a registry to build on it.
pub fn note_taken(state: &Path, id: &str, name: &str) -> Result<(), FileError> {
    note(&own_place(state, TAKEN, id), &Own { id: id.to_owned(), name: name.to_owned() })
}

/// Whether onramp took the image with this id to build on it. Who made it that does not tell.
pub fn is_taken(state: &Path, id: &str) -> Result<bool, super::Error> {
    is_own(state, TAKEN, id)
}

fn is_own(state: &Path, kind: &str, id: &str) -> Result<bool, super::Error> {
    Ok(record::<Own>(&own_place(state, kind, id))?.is_some_and(|own| own.id == id))
}

/// Notes what a project's sandbox needs.
pub fn note_project(state: &Path, root: &Path, images: &BTreeSet<ImageRef>) -> Result<(), FileError> {
    note(&project_place(state, root), &Project { root: root.to_owned(), images: images.clone() })
}

/// Notes that a project needs these as well.
pub fn note_more(state: &Path, root: &Path, images: &[ImageRef]) -> Result<(), super::Error> {
    let place = project_place(state, root);
    let before = record::<Project>(&place)?.map(|project| project.images).unwrap_or_default();
    Ok(note_project(state, root, &before.into_iter().chain(images.iter().cloned()).collect())?)
}

/// Reads what is remembered. A record or a lock that cannot be read is an error: what it needs must not be taken for
/// unneeded.
pub fn read(state: &Path) -> Result<Known, super::Error> {
    let mut known = Known::default();
    for (_, Pulled { image }) in records(&state.join("images"))? {
        known.pulled.insert(image);
    }
    for (place, project) in records::<Project>(&state.join("projects"))? {
        if is_gone(&project.root)? {
            known.gone.push(place);
            continue;
        }
        // Of a project on a disk that is not mounted now, this is all that is known.
        known.needed.extend(project.images.iter().filter_map(|image| image.digest().cloned()));
        for locked in Lock::load(&project.root)?.images.into_values() {
            known.needed.insert(locked.digest);
            known.needed.extend(locked.platforms.into_values());
        }
    }
    Ok(known)
}

impl Known {
    /// The digests that the cache keeps what it knows of: images that some project needs, with their configs and layers as
    /// far as their manifests are in the cache.
    pub fn kept(&self, cache: &Path) -> BTreeSet<Digest> {
        let documents = Documents::of(cache);
        let mut waiting: Vec<Digest> = self.needed.iter().cloned().collect();
        let mut kept = BTreeSet::new();
        while let Some(digest) = waiting.pop() {
            if !kept.insert(digest.clone()) {
                continue;
            }
            let Some(Ok(manifest)) = documents.find(&digest).map(Manifest::of) else { continue };
            match manifest.content {
                Content::Image { config, layers } => {
                    kept.extend(layers.into_iter().chain([config]).map(|part| part.digest));
                }
                Content::Index(entries) => waiting.extend(entries.into_iter().map(|entry| entry.descriptor.digest)),
            }
        }
        kept
    }

    /// Forgets the projects that are gone.
    pub fn tidy(&self) {
        for place in &self.gone {
            let _ = std::fs::remove_file(place);
        }
    }
}

/// Whether a project was taken away: its directory is missing where it was. One whose surroundings are missing too is on
/// a disk that is not mounted; one that may not be looked at is an error.
fn is_gone(root: &Path) -> Result<bool, FileError> {
    match std::fs::metadata(root) {
        Ok(_) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(root.parent().is_some_and(Path::is_dir))
        }
        Err(error) => Err(FileError::io("read", root)(error)),
    }
}

fn project_place(state: &Path, root: &Path) -> PathBuf {
    state.join("projects").join(format!("{}.json", key(root.as_os_str().as_encoded_bytes())))
}

fn pulled_place(state: &Path, image: &ImageRef) -> PathBuf {
    state.join("images").join(format!("{}.json", key(image.to_string().as_bytes())))
}

fn own_place(state: &Path, kind: &str, id: &str) -> PathBuf {
    state.join(kind).join(format!("{}.json", key(id.as_bytes())))
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

/// The records of a directory.
fn records<T: for<'de> Deserialize<'de>>(directory: &Path) -> Result<Vec<(PathBuf, T)>, super::Error> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::io("read", directory))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let place = entry.map_err(FileError::io("read", directory))?.path();
        // What a killed onramp was writing does not have its name yet.
        if place.extension().is_some_and(|extension| extension == "json")
            && let Some(record) = record(&place)?
        {
            found.push((place, record));
        }
    }
    Ok(found)
}

/// One record; none where it is not there, or not any more.
fn record<T: for<'de> Deserialize<'de>>(place: &Path) -> Result<Option<T>, super::Error> {
    let text = match files::read_text(place, document::CAP) {
        Err(error) if error.is_not_found() => return Ok(None),
        text => text?,
    };
    let wrong = |error: serde_json::Error| DocumentError::Wrong {
        path: place.to_owned(),
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
        hint: Some("onramp wrote this file to remember what is needed; remove it to forget it".to_owned()),
    };
    Ok(Some(serde_json::from_str(&text).map_err(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::lock;

    #[test]
    fn a_project_keeps_what_it_needs_as_long_as_it_is_there() {
        let (state, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image =
            |name: &str| -> ImageRef { format!("r.test/base/{name}@{}", Digest::of(name.as_bytes())).parse().unwrap() };
        note_pulled(state.path(), &image("a")).unwrap();
        note_pulled(state.path(), &image("b")).unwrap();
        forget_pulled(state.path(), &image("b"));
        note_project(state.path(), project.path(), &[image("c")].into()).unwrap();
        note_project(state.path(), project.path(), &[image("d")].into()).unwrap();
        let known = read(state.path()).unwrap();
        assert_eq!(known.pulled, [image("a")].into());
        assert_eq!(known.needed, [Digest::of(b"d")].into());

        note_more(state.path(), project.path(), &[image("e")]).unwrap();
        assert_eq!(read(state.path()).unwrap().needed, [Digest::of(b"d"), Digest::of(b"e")].into());

        // What the cache knows of the image's parts is needed as well, through an index too.
        let cache = tempfile::tempdir().unwrap();
        let (config, layer) = (Digest::of(b"config"), Digest::of(b"layer"));
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":6}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":5}}]}}"#
        );
        let own = Digest::of(manifest.as_bytes());
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{own}","size":{},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#,
            manifest.len()
        );
        let top = Digest::of(index.as_bytes());
        let documents = Documents::of(cache.path());
        documents.keep(&own, manifest.as_bytes()).unwrap();
        documents.keep(&top, index.as_bytes()).unwrap();
        let known = Known { needed: [top.clone()].into(), ..Known::default() };
        assert_eq!(known.kept(cache.path()), [top, own, config, layer].into());

        std::fs::write(project.path().join(lock::FILE), "nonsense").unwrap();
        assert!(read(state.path()).is_err(), "nobody knows what it needs");
        project.close().unwrap();
        let known = read(state.path()).unwrap();
        assert_eq!((known.needed.len(), known.gone.len()), (0, 1));
        known.tidy();
        assert_eq!(read(state.path()).unwrap().gone.len(), 0);
    }

    #[test]
    fn a_project_on_a_disk_that_is_not_mounted_is_not_gone() {
        let (state, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = disk.path().join("src/shop");
        std::fs::create_dir_all(&root).unwrap();
        let image: ImageRef = format!("r.test/base/a@{}", Digest::of(b"a")).parse().unwrap();
        note_project(state.path(), &root, &[image].into()).unwrap();
        std::fs::remove_dir_all(disk.path().join("src")).unwrap();
        let known = read(state.path()).unwrap();
        assert_eq!((known.needed, known.gone.len()), ([Digest::of(b"a")].into(), 0));
        // Too many links: as good as a missing permission, and root meets it too.
        std::os::unix::fs::symlink("src", disk.path().join("src")).unwrap();
        assert!(read(state.path()).is_err(), "nobody knows whether it is there");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        let state = tempfile::tempdir().unwrap();
        let projects = state.path().join("projects");
        std::fs::create_dir(&projects).unwrap();
        std::fs::write(projects.join(".onramp-x"), "{\"root").unwrap();
        assert_eq!(read(state.path()).unwrap(), Known::default());
        let place = projects.join("a.json");
        std::fs::write(&place, "{\"root\":").unwrap();
        let error = read(state.path()).unwrap_err();
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
}
