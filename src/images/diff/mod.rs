//! Two images compared: packages, settings, layers, size, files. Plain data; nothing is pulled.

mod files;
pub mod markdown;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::contents::packages::{Ecosystem, Package, version};
use super::contents::{Contents, Error, Image, Layers, Reader, Unread};
use crate::files::FileError;
use crate::reference::Digest;
use crate::registry::Runtime;
use crate::task::blocking;
use crate::text::neutral_line;

pub use files::{FileChange, Files, List};

/// One of the two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// As it was asked for.
    pub image: String,
    /// The digest that the reference names.
    pub digest: Digest,
    /// The platform that is compared.
    pub platform: String,
    /// Bytes of its layers, packed.
    pub packed: u64,
    /// Bytes of the files that a container sees.
    pub bytes: u64,
    /// How many files, directories and links that are.
    pub files: u64,
    /// Files that would tell packages and were not read: what they hide is not compared.
    pub unread: Vec<Unread>,
}

/// What differs between two images. All text of theirs is neutral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The first.
    pub from: Side,
    /// The second.
    pub to: Side,
    /// Packages that are not the same, by kind and name.
    pub packages: Vec<PackageChange>,
    /// How containers run.
    pub settings: Settings,
    /// What both are made of.
    pub layers: LayerChanges,
    /// The files, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
}

/// A package that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// The versions that only the first has.
    pub from: Vec<String>,
    /// The versions that only the second has.
    pub to: Vec<String>,
    /// What happened to it.
    pub change: Direction,
}

/// What happened to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// The second has a newer version.
    Newer,
    /// The second has an older version.
    Older,
    /// The versions differ, and which one is newer cannot be told.
    Changed,
}

/// One value that is not the same; none where it is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed<T> {
    /// In the first.
    pub from: Option<T>,
    /// In the second.
    pub to: Option<T>,
}

/// Settings that are not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Variables, by name.
    pub env: BTreeMap<String, Changed<String>>,
    /// The program.
    pub entrypoint: Option<Changed<Vec<String>>>,
    /// Its arguments, or the program where there is no entrypoint.
    pub command: Option<Changed<Vec<String>>>,
    /// Who runs it.
    pub user: Option<Changed<String>>,
    /// Where it starts.
    pub workdir: Option<Changed<String>>,
    /// `80/tcp`.
    pub ports: Members,
    /// Directories that outlive a container.
    pub volumes: Members,
    /// Labels, by name.
    pub labels: BTreeMap<String, Changed<String>>,
}

/// Members of a set that only one of the images has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Only in the second.
    pub added: Vec<String>,
    /// Only in the first.
    pub removed: Vec<String>,
}

/// A layer, packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// What both images are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerChanges {
    /// In both.
    pub shared: Vec<Layer>,
    /// Only in the second: what a pull of it fetches where the first is.
    pub added: Vec<Layer>,
    /// Only in the first.
    pub removed: Vec<Layer>,
}

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All but the files.
    Summary,
    /// The files, too.
    Files,
}

/// Compares two images. Layers that were not read before are read from the registries.
pub async fn of(reader: &Reader, from: &Image, to: &Image, depth: Depth) -> Result<Diff, Error> {
    let mut layers = reader.layers(&[from, to]).await?;
    let (to_layers, from_layers) =
        (layers.pop().expect("two were asked for"), layers.pop().expect("two were asked for"));
    let cache = reader.cache().to_owned();
    let (from, to) = (from.clone(), to.clone());
    blocking(move || compare(&from, &from_layers, &to, &to_layers, depth))
        .await
        .map_err(|error| FileError::io("read", &cache.join("layers"))(error).into())
}

/// The files of an image.
pub async fn list(reader: &Reader, image: &Image) -> Result<List, Error> {
    let layers = reader.layers(&[image]).await?.pop().expect("one was asked for");
    let listed = blocking(move || files::all(&layers)).await;
    listed.map_err(|error| FileError::io("read", &reader.cache().join("layers"))(error).into())
}

fn compare(from: &Image, from_layers: &Layers, to: &Image, to_layers: &Layers, depth: Depth) -> std::io::Result<Diff> {
    // Both trees are read at once: each is a stream through files.
    let (before, after) = std::thread::scope(|scope| {
        let before = scope.spawn(|| from_layers.contents());
        let after = to_layers.contents();
        (before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), after)
    });
    let (before, after) = (before?, after?);
    let files = match depth {
        Depth::Files => Some(files::compare(from_layers, to_layers)?),
        Depth::Summary => None,
    };
    Ok(Diff {
        packages: packages(&before.packages, &after.packages),
        settings: settings(&from.runtime(), &to.runtime()),
        layers: layers(from, to),
        from: side(from, before),
        to: side(to, after),
        files,
    })
}

fn side(image: &Image, contents: Contents) -> Side {
    Side {
        image: image.reference.to_string(),
        digest: image.top.clone(),
        platform: image.platform.clone(),
        packed: image.packed(),
        bytes: contents.bytes,
        files: contents.files,
        unread: contents.unread,
    }
}

impl Diff {
    /// Whether nothing differs of what was compared.
    pub fn is_empty(&self) -> bool {
        self.from.digest == self.to.digest && self.from.platform == self.to.platform
            || self.packages.is_empty()
                && self.settings == Settings::default()
                && self.layers.added.is_empty()
                && self.layers.removed.is_empty()
                && self.files.as_ref().is_none_or(Files::is_empty)
    }
}

/// The packages that differ. Architectures are left aside: images for two platforms have the same packages.
pub fn packages(from: &[Package], to: &[Package]) -> Vec<PackageChange> {
    type Versions<'a> = [BTreeSet<&'a str>; 2];
    let mut all: BTreeMap<(Ecosystem, &str), Versions<'_>> = BTreeMap::new();
    for (side, packages) in [from, to].into_iter().enumerate() {
        for package in packages {
            all.entry((package.ecosystem, &package.name)).or_default()[side].insert(&package.version);
        }
    }
    let change = |((ecosystem, name), [from, to]): ((Ecosystem, &str), Versions<'_>)| {
        let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| -> Vec<String> {
            these.difference(those).map(|version| (*version).to_owned()).collect()
        };
        let (before, after) = (only(&from, &to), only(&to, &from));
        let change = match (before.as_slice(), after.as_slice()) {
            ([], []) => return None,
            ([], _) => Direction::Added,
            (_, []) => Direction::Removed,
            ([before], [after]) => match version::compare(ecosystem, before, after) {
                Some(Ordering::Less) => Direction::Newer,
                Some(Ordering::Greater) => Direction::Older,
                Some(Ordering::Equal) | None => Direction::Changed,
            },
            _ => Direction::Changed,
        };
        let neutral = |versions: Vec<String>| versions.iter().map(|version| neutral_line(version, 100)).collect();
        let (name, from, to) = (neutral_line(name, 120), neutral(before), neutral(after));
        Some(PackageChange { ecosystem, name, from, to, change })
    };
    all.into_iter().filter_map(change).collect()
}

fn settings(from: &Runtime, to: &Runtime) -> Settings {
    let env = |runtime: &Runtime| -> BTreeMap<String, String> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        runtime.env.iter().map(pair).collect()
    };
    let lines = |texts: &[String]| -> Vec<String> { texts.iter().map(|text| neutral_line(text, 300)).collect() };
    Settings {
        env: maps(&env(from), &env(to)),
        entrypoint: one(lines(&from.entrypoint), lines(&to.entrypoint), Vec::is_empty),
        command: one(lines(&from.cmd), lines(&to.cmd), Vec::is_empty),
        user: one(neutral_line(&from.user, 100), neutral_line(&to.user, 100), String::is_empty),
        workdir: one(neutral_line(&from.working_dir, 300), neutral_line(&to.working_dir, 300), String::is_empty),
        ports: members(from.exposed_ports.keys(), to.exposed_ports.keys()),
        volumes: members(from.volumes.keys(), to.volumes.keys()),
        labels: maps(&from.labels, &to.labels),
    }
}

fn one<T: PartialEq>(from: T, to: T, missing: impl Fn(&T) -> bool) -> Option<Changed<T>> {
    let there = |value: T| Some(value).filter(|value| !missing(value));
    (from != to).then(|| Changed { from: there(from), to: there(to) })
}

fn maps(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> BTreeMap<String, Changed<String>> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let shown = |value: Option<&String>| value.map(|value| neutral_line(value, 300));
    let changed = |name: &&String| from.get(*name) != to.get(*name);
    let change =
        |name: &String| (neutral_line(name, 120), Changed { from: shown(from.get(name)), to: shown(to.get(name)) });
    names.into_iter().filter(changed).map(change).collect()
}

fn members<'a>(from: impl Iterator<Item = &'a String>, to: impl Iterator<Item = &'a String>) -> Members {
    let (from, to): (BTreeSet<&String>, BTreeSet<&String>) = (from.collect(), to.collect());
    let only = |these: &BTreeSet<&String>, those: &BTreeSet<&String>| {
        these.difference(those).map(|text| neutral_line(text, 120)).collect()
    };
    Members { added: only(&to, &from), removed: only(&from, &to) }
}

fn layers(from: &Image, to: &Image) -> LayerChanges {
    let digests =
        |image: &Image| -> BTreeSet<Digest> { image.layers.iter().map(|layer| layer.digest.clone()).collect() };
    let (before, after) = (digests(from), digests(to));
    let those = |image: &Image, wanted: &dyn Fn(&Digest) -> bool| {
        let layers = image.layers.iter().filter(|layer| wanted(&layer.digest));
        layers.map(|layer| Layer { digest: layer.digest.clone(), size: layer.size }).collect()
    };
    LayerChanges {
        shared: those(to, &|digest| before.contains(digest)),
        added: those(to, &|digest| !before.contains(digest)),
        removed: those(from, &|digest| !after.contains(digest)),
    }
}

#[cfg(test)]
mod tests;
