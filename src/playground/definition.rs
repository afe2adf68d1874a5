//! Base image definitions: `images/<name>/image.toml` and its Dockerfile, and the key that says "built from exactly this".

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::Dir;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::reference::Digest;

/// `image.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "schema")]
    _schema: u32,
    name: Name,
    tag: String,
    #[serde(rename = "description")]
    _description: String,
    #[serde(rename = "owner")]
    _owner: String,
    parent: Option<Name>,
    rootfs: Option<Rootfs>,
}

/// Where the file system of an image without a parent comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rootfs {
    /// The public image to start from where it can be pulled.
    pub pull: String,
    /// Debian's release, for debootstrap where it cannot.
    pub suite: String,
    /// Packages beyond the minimum.
    pub include: Vec<String>,
    /// What is left out of the image, as tar's `--exclude` takes it, relative to the root.
    pub exclude: Vec<String>,
}

/// An image to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name: `php-apache`.
    pub name: Name,
    /// Its tag in the registry: `8.2`.
    pub tag: String,
    /// The repository's path in the registry: `base/php-apache`, `apps/auth`.
    pub path: String,
    /// The image that it builds on.
    pub parent: Option<Name>,
    /// Where its file system comes from when it has no parent.
    pub rootfs: Option<Rootfs>,
    /// The build context: path and contents, sorted.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Digest of all of the above, and of its parent's.
    pub key: Digest,
}

impl Definition {
    /// An image of an application, whose Dockerfile and code are these files.
    pub fn of_app(name: &str, tag: &str, files: BTreeMap<String, Vec<u8>>, parent: &Self) -> Result<Self, Error> {
        let name: Name = name.parse().map_err(|_| Error::Template { what: name.to_owned(), why: "no name".into() })?;
        let key = key(&name, tag, &files, Some(&parent.key));
        let path = format!("apps/{name}");
        Ok(Self { path, tag: tag.to_owned(), parent: Some(parent.name.clone()), rootfs: None, files, key, name })
    }

    /// What the built image is called in the engine.
    pub fn local_name(&self) -> String {
        format!("onramp-playground/{}:{}", self.name, &self.key.hex()[..16])
    }

    /// The build context as a tar.
    pub fn context(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, contents) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, contents.as_slice()).expect("writing to memory");
        }
        tar.into_inner().expect("writing to memory")
    }
}

/// Checks the text of an `image.toml`; `path` is what errors call it.
pub fn check(path: &Path, text: &str) -> Result<(), DocumentError> {
    document::parse::<Manifest>(path, text).map(drop)
}

/// The definitions in a catalog's `images` directory, parents before those that build on them.
pub fn read(images: &Dir<'_>) -> Result<Vec<Definition>, Error> {
    let mut waiting: Vec<(Manifest, BTreeMap<String, Vec<u8>>)> = Vec::new();
    for directory in images.dirs() {
        let files = contents(directory);
        let what = directory.path().join("image.toml");
        let text = files.get("image.toml").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let text = text.ok_or_else(|| Error::Template { what: what.display().to_string(), why: "missing".into() })?;
        waiting.push((document::parse(Path::new(&what), &text)?, files));
    }
    let mut ordered: Vec<Definition> = Vec::new();
    while !waiting.is_empty() {
        let ready = |(manifest, _): &(Manifest, _)| {
            manifest.parent.as_ref().is_none_or(|parent| ordered.iter().any(|made| made.name == *parent))
        };
        let Some(next) = waiting.iter().position(ready) else {
            let names: Vec<&str> = waiting.iter().map(|(manifest, _)| manifest.name.as_str()).collect();
            return Err(Error::Template { what: names.join(", "), why: "no parent of theirs is defined".into() });
        };
        let (manifest, files) = waiting.remove(next);
        let parent = ordered.iter().find(|made| Some(&made.name) == manifest.parent.as_ref());
        let key = key(&manifest.name, &manifest.tag, &files, parent.map(|parent| &parent.key));
        let path = format!("base/{}", manifest.name);
        let Manifest { name, tag, parent, rootfs, .. } = manifest;
        ordered.push(Definition { name, tag, path, parent, rootfs, files, key });
    }
    Ok(ordered)
}

/// Every file under a directory of the binary, by its path from there.
pub fn contents(directory: &Dir<'_>) -> BTreeMap<String, Vec<u8>> {
    fn collect(directory: &Dir<'_>, top: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for file in directory.files() {
            let path = file.path().strip_prefix(top).unwrap_or(file.path());
            into.insert(path.display().to_string(), file.contents().to_vec());
        }
        for below in directory.dirs() {
            collect(below, top, into);
        }
    }
    let mut files = BTreeMap::new();
    collect(directory, directory.path(), &mut files);
    files
}

fn key(name: &Name, tag: &str, files: &BTreeMap<String, Vec<u8>>, parent: Option<&Digest>) -> Digest {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(name.as_str().as_bytes());
    field(tag.as_bytes());
    field(parent.map_or("", Digest::as_str).as_bytes());
    for (path, contents) in files {
        field(path.as_bytes());
        field(contents);
    }
    Digest::from_hash(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::builtin::TEMPLATES;

    #[test]
    fn the_built_in_definitions_are_ordered_and_keyed_by_their_parents() {
        let definitions = read(TEMPLATES.get_dir("images").unwrap()).unwrap();
        let names: Vec<&str> = definitions.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names[0], "debian");
        assert_eq!(names.len(), 6);
        let keys: std::collections::BTreeSet<&Digest> = definitions.iter().map(|d| &d.key).collect();
        assert_eq!(keys.len(), 6);
        let php = definitions.iter().find(|d| d.name.as_str() == "php-apache").unwrap();
        let other_parent = key(&php.name, &php.tag, &php.files, Some(&Digest::of(b"another debian")));
        assert_ne!(other_parent, php.key, "a change of the parent is a change of the child");
    }
}
