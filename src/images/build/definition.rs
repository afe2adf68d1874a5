//! Base image definitions: `images/<name>/image.toml`, its Dockerfile and what that copies, and the key that says "built
//! from exactly this".

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::Dir;
use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Error, rootfs};
use crate::document::{self, DocumentError};
use crate::git::Worktree;
use crate::name::Name;
use crate::reference::Digest;
use crate::tree::{Entry, Tree};

/// The directory of a catalog's definitions.
pub const IMAGES: &str = "images";
/// The file that makes a directory a definition.
pub const MANIFEST: &str = "image.toml";
/// The most that all definitions of a catalog may weigh, in bytes.
const CAP: u64 = 64 * 1024 * 1024;

/// `image.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "schema")]
    _schema: u32,
    name: Name,
    tag: String,
    description: String,
    owner: String,
    end_of_life: Option<Date>,
    deprecated: Option<String>,
    parent: Option<Name>,
    rootfs: Option<Rootfs>,
}

/// Where the file system of an image without a parent comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rootfs {
    /// The public image to start from where it can be pulled. Without it the packages are used, which can be done again
    /// with the same outcome.
    pub pull: Option<String>,
    /// Debian's release, for debootstrap.
    pub suite: String,
    /// The mirror that the packages come from; a dated one of `snapshot.debian.org` stays as it is.
    pub mirror: Option<String>,
    /// Packages beyond the minimum.
    #[serde(default)]
    pub include: Vec<String>,
    /// What is left out of the image, as tar's `--exclude` takes it, relative to the root.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl Rootfs {
    /// What goes to debootstrap must not be taken for one of its options. The error names the key.
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c))
        };
        if !word(&self.suite) {
            return Err(("suite", "it is no name of a Debian release"));
        }
        if !self.include.iter().all(|package| word(package)) {
            return Err(("include", "one of them is no name of a package"));
        }
        let schemes = ["https://", "http://", "file:///"];
        if self.mirror.as_ref().is_some_and(|mirror| !schemes.iter().any(|scheme| mirror.starts_with(scheme))) {
            return Err(("mirror", "it is no http, https or file URL"));
        }
        Ok(())
    }
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
    /// What it is, in one line.
    pub description: String,
    /// Who looks after it.
    pub owner: String,
    /// From this day nobody mends it.
    pub end_of_life: Option<Date>,
    /// What to use instead.
    pub deprecated: Option<String>,
    /// The image that it builds on.
    pub parent: Option<Name>,
    /// Where its file system comes from when it has no parent.
    pub rootfs: Option<Rootfs>,
    /// The build context. Without a Dockerfile the image is its file system alone.
    pub files: Tree,
    /// Digest of all that decides what is in it: its files, and its parent's key or our way of making file systems.
    pub key: Digest,
}

impl Definition {
    /// An image of an application, whose Dockerfile and code are these files.
    pub fn of_app(name: Name, tag: &str, files: Tree, parent: &Self) -> Self {
        let key = key(&name, tag, &files, Some(&parent.key));
        Self {
            path: format!("apps/{name}"),
            tag: tag.to_owned(),
            description: format!("The app {name}"),
            owner: parent.owner.clone(),
            end_of_life: None,
            deprecated: None,
            parent: Some(parent.name.clone()),
            rootfs: None,
            files,
            key,
            name,
        }
    }

    /// `base/php-apache:8.2`, what it is called in its registry.
    pub fn place(&self) -> String {
        format!("{}:{}", self.path, self.tag)
    }

    /// Whether it has a Dockerfile; without one it is a file system.
    pub fn has_dockerfile(&self) -> bool {
        self.files.get("Dockerfile").is_some()
    }

    /// The build context as a tar.
    pub fn context(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, entry) in self.files.iter() {
            let mut header = tar::Header::new_gnu();
            let written = match entry {
                Entry::File { contents, executable } => {
                    header.set_size(contents.len() as u64);
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    tar.append_data(&mut header, path.as_str(), &contents.bytes()[..])
                }
                Entry::Link { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, path.as_str(), target)
                }
            };
            written.expect("writing to memory");
        }
        tar.into_inner().expect("writing to memory")
    }
}

/// Checks the text of an `image.toml`; `path` is what errors call it.
pub fn check(path: &Path, text: &str) -> Result<(), DocumentError> {
    document::parse::<Manifest>(path, text).map(drop)
}

/// The definitions in the `images` directory of this binary's templates, parents before those that build on them.
pub fn built_in(images: &Dir<'_>) -> Result<Vec<Definition>, Error> {
    let mut all = Tree::default();
    fill(&mut all, images, images.path());
    ordered(Path::new(IMAGES), &all)
}

/// The definitions in the `images` directory of a catalog's work tree, as they are now: what git ignores is not there.
pub fn of_catalog(worktree: &Worktree) -> Result<Vec<Definition>, Error> {
    let mut all = Tree::default();
    for (path, mode, contents) in worktree.files(IMAGES, CAP)? {
        let place = worktree.root.join(IMAGES).join(&path);
        let entry = Entry::of_git(mode, contents).map_err(|why| Error::File { path: place.clone(), why })?;
        let path =
            path.parse().map_err(|why: crate::tree::BadPath| Error::File { path: place, why: why.to_string() })?;
        all.insert(path, entry);
    }
    ordered(&worktree.root.join(IMAGES), &all)
}

/// Every file under a directory of the binary.
pub fn contents(directory: &Dir<'_>) -> Tree {
    let mut tree = Tree::default();
    fill(&mut tree, directory, directory.path());
    tree
}

fn fill(tree: &mut Tree, directory: &Dir<'_>, top: &Path) {
    for file in directory.files() {
        let path = file.path().strip_prefix(top).unwrap_or(file.path()).display().to_string();
        tree.insert(path.parse().expect("the templates have good names"), Entry::file(file.contents().to_vec()));
    }
    for below in directory.dirs() {
        fill(tree, below, top);
    }
}

/// The definitions of a tree that holds a directory for each, parents first. `place` is what errors call the tree.
fn ordered(place: &Path, all: &Tree) -> Result<Vec<Definition>, Error> {
    let directories: BTreeSet<&str> = all.paths().filter_map(|path| Some(path.as_str().split_once('/')?.0)).collect();
    let mut waiting: Vec<(PathBuf, Manifest, Tree)> = Vec::new();
    for directory in directories {
        let files = all.under(directory);
        let path = place.join(directory).join(MANIFEST);
        let Some(text) = files.get(MANIFEST).and_then(Entry::text) else {
            return Err(Error::File { path, why: "there is no such file, or it is no text".to_owned() });
        };
        let manifest: Manifest = document::parse(&path, &text)?;
        let wrong = |key: &str, message: String| Error::from(document::wrong_at(&path, &text, key, message));
        if manifest.name.as_str() != directory {
            return Err(wrong("name", format!("its directory is called `{directory}`")));
        }
        if manifest.parent.is_some() == manifest.rootfs.is_some() {
            return Err(wrong("name", "an image has either a `parent` or a [rootfs]".to_owned()));
        }
        if manifest.parent.is_some() && files.get("Dockerfile").is_none() {
            return Err(wrong("parent", "an image with a parent needs a Dockerfile".to_owned()));
        }
        if format!("r.test/base/x:{}", manifest.tag).parse::<crate::reference::ImageRef>().is_err() {
            return Err(wrong("tag", "it is no tag".to_owned()));
        }
        if let Some(rootfs) = &manifest.rootfs {
            rootfs.check().map_err(|(key, why)| wrong(key, why.to_owned()))?;
        }
        waiting.push((path, manifest, files));
    }
    let mut ordered: Vec<Definition> = Vec::new();
    while !waiting.is_empty() {
        let ready = |(_, manifest, _): &(PathBuf, Manifest, Tree)| {
            manifest.parent.as_ref().is_none_or(|parent| ordered.iter().any(|made| made.name == *parent))
        };
        let Some(next) = waiting.iter().position(ready) else { return Err(without_parent(&waiting)) };
        let (_, manifest, files) = waiting.remove(next);
        let parent = ordered.iter().find(|made| Some(&made.name) == manifest.parent.as_ref());
        // What a file system stands on is our way of making it.
        let recipe = manifest.rootfs.as_ref().map(|_| rootfs::recipe());
        let on = recipe.as_ref().or(parent.map(|parent| &parent.key));
        let key = key(&manifest.name, &manifest.tag, &files, on);
        let path = format!("base/{}", manifest.name);
        let Manifest { name, tag, description, owner, end_of_life, deprecated, parent, rootfs, .. } = manifest;
        ordered.push(Definition {
            name,
            tag,
            path,
            description,
            owner,
            end_of_life,
            deprecated,
            parent,
            rootfs,
            files,
            key,
        });
    }
    Ok(ordered)
}

/// Why these definitions cannot be put in order: one names a parent that there is not, or they go in a circle.
fn without_parent(waiting: &[(PathBuf, Manifest, Tree)]) -> Error {
    let parent = |manifest: &Manifest| manifest.parent.clone();
    let missing = waiting.iter().find(|(_, manifest, _)| {
        parent(manifest).is_some_and(|parent| waiting.iter().all(|(_, other, _)| other.name != parent))
    });
    if let Some((path, manifest, files)) = missing {
        let text = files.get(MANIFEST).and_then(Entry::text).unwrap_or_default();
        let message = format!("no image `{}` is defined", manifest.parent.as_ref().map_or("", Name::as_str));
        return document::wrong_at(path, &text, "parent", message).into();
    }
    let mut circle: Vec<&Name> = vec![&waiting[0].1.name];
    loop {
        let last = circle[circle.len() - 1];
        let next =
            waiting.iter().find(|(_, manifest, _)| manifest.name == *last).and_then(|(_, m, _)| m.parent.as_ref());
        let Some(next) = next else { break };
        if let Some(start) = circle.iter().position(|name| *name == next) {
            circle.drain(..start);
            circle.push(next);
            break;
        }
        circle.push(next);
    }
    Error::Circle { names: circle.into_iter().map(ToString::to_string).collect() }
}

fn key(name: &Name, tag: &str, files: &Tree, on: Option<&Digest>) -> Digest {
    let mut hash = Sha256::new();
    for field in [name.as_str(), tag, on.map_or("", Digest::as_str), files.digest().as_str()] {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    Digest::from_hash(&hash.finalize())
}

/// Those of the definitions that are named, with all that they build on; all of them where none is named.
pub fn choose(all: Vec<Definition>, names: &[String]) -> Result<Vec<Definition>, Error> {
    if names.is_empty() {
        return Ok(all);
    }
    let by_name: BTreeMap<&str, &Definition> = all.iter().map(|made| (made.name.as_str(), made)).collect();
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    for name in names {
        let Some(mut made) = by_name.get(name.as_str()).copied() else {
            let meant = crate::text::did_you_mean(name, by_name.keys().copied()).map(str::to_owned);
            return Err(Error::NoDefinition { name: name.clone(), meant });
        };
        while chosen.insert(made.name.as_str()) {
            let Some(parent) = made.parent.as_ref().and_then(|parent| by_name.get(parent.as_str())) else { break };
            made = parent;
        }
    }
    let chosen: BTreeSet<String> = chosen.into_iter().map(str::to_owned).collect();
    Ok(all.into_iter().filter(|made| chosen.contains(made.name.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::builtin::TEMPLATES;
    use crate::error::{Class, Fault};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path.parse().unwrap(), Entry::file(text.as_bytes().to_vec()));
        }
        tree
    }

    fn image(name: &str, rest: &str) -> String {
        format!("schema = 1\nname = \"{name}\"\ntag = \"1\"\ndescription = \"d\"\nowner = \"o\"\n{rest}\n")
    }

    #[test]
    fn the_built_in_definitions_are_ordered_and_keyed_by_their_parents() {
        let definitions = built_in(TEMPLATES.get_dir("images").unwrap()).unwrap();
        let names: Vec<&str> = definitions.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names[0], "debian");
        assert_eq!(names.len(), 6);
        let keys: BTreeSet<&Digest> = definitions.iter().map(|d| &d.key).collect();
        assert_eq!(keys.len(), 6);
        let php = definitions.iter().find(|d| d.name.as_str() == "php-apache").unwrap();
        let other_parent = key(&php.name, &php.tag, &php.files, Some(&Digest::of(b"another debian")));
        assert_ne!(other_parent, php.key, "a change of the parent is a change of the child");
        let debian = &definitions[0];
        let made = |recipe: &Digest| key(&debian.name, &debian.tag, &debian.files, Some(recipe));
        assert_eq!(made(&rootfs::recipe()), debian.key);
        assert_ne!(made(&Digest::of(b"another way")), debian.key, "another way of making it is another image");
        let chosen = choose(definitions, &["php-apache".to_owned()]).unwrap();
        assert_eq!(chosen.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["debian", "php-apache"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let rootfs = "[rootfs]\nsuite = \"bookworm\"";
        let on = |parent: &str| format!("parent = \"{parent}\"");
        let two = |a: &str, b: &str| {
            tree(&[("a/image.toml", a), ("a/Dockerfile", ""), ("b/image.toml", b), ("b/Dockerfile", "")])
        };
        for (all, expected) in [
            (tree(&[("a/Dockerfile", "")]), "images/a/image.toml"),
            (tree(&[("a/image.toml", &image("b", rootfs))]), "its directory is called `a`"),
            (tree(&[("a/image.toml", &image("a", ""))]), "either a `parent` or a [rootfs]"),
            (tree(&[("a/image.toml", &image("a", &on("b")))]), "needs a Dockerfile"),
            (tree(&[("a/image.toml", &image("a", rootfs).replace("\"1\"", "\"a b\""))]), "it is no tag"),
            (tree(&[("a/image.toml", &image("a", "[rootfs]\nsuite = \"--help\""))]), "no name of a Debian release"),
            (tree(&[("a/image.toml", &image("a", &format!("{rootfs}\nmirror = \"-x\"")))]), "no http, https or file"),
            (
                tree(&[("a/image.toml", &image("a", &format!("{rootfs}\ninclude = [\"a,--b\"]")))]),
                "no name of a package",
            ),
            (two(&image("a", &on("c")), &image("b", rootfs)), "no image `c` is defined"),
            (two(&image("a", &on("b")), &image("b", &on("a"))), "a, b, a"),
            (tree(&[("a/image.toml", &image("a", "end_of_life = \"soon\""))]), "images/a/image.toml"),
        ] {
            let error = ordered(Path::new("images"), &all).unwrap_err();
            let text = crate::error::chain(&error);
            assert!(text.contains(expected), "{text}");
            assert_eq!(error.class(), Class::Config, "{text}");
        }
        let error = choose(built_in(TEMPLATES.get_dir("images").unwrap()).unwrap(), &["php-apach".to_owned()]);
        assert_eq!(error.unwrap_err().hint().as_deref(), Some("did you mean `php-apache`?"));
    }
}
