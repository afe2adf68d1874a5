//! A new project from an app block: planned as plain data, then made all at once.

use std::path::{Path, PathBuf};

use super::Error;
use super::block::{Block, BlockId};
use super::layer::{self, Layer, Tables};
use super::manifest::Kind;
use super::spelling::Spelled;
use super::staging::{Staging, write_new};
use crate::git::{self, Commit, Identity};
use crate::project::{self, Lock, manifest};
use crate::task;
use crate::tree::{Entry, Text, Tree};

pub use super::staging::vacant;

/// A new project, before it is one.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The project's name, as its `onramp.toml` says; of one that has none, its directory's.
    pub project: String,
    /// The block it is made from.
    pub block: BlockId,
    /// The blocks that it requires, which come with it.
    pub requires: Vec<BlockId>,
    /// Its files, `onramp.lock` apart.
    pub files: Tree,
    /// What `onramp.toml` says, for those who look up its images before the project is made; none where the template
    /// makes no project of onramp's.
    pub manifest: Option<project::Manifest>,
    /// Its `onramp.lock`. What is added here before [`Creation::apply`] is in the first commit.
    pub lock: Lock,
}

impl Creation {
    /// Makes the plan of a project from an app and the parts that it requires, in order. Nothing is written.
    pub fn plan(block: &Block, layer: &Layer, parts: &[(Block, Layer)]) -> Result<Self, Error> {
        block.check_kind(Kind::App)?;
        let mut files = layer.rendered.tree.clone();
        let mut lock = Lock::default();
        lock.blocks.insert(block.id.name.clone(), layer.locked(block));
        let mut spelled = Spelled::default();
        // Only what parts bring may be spelled as something else is: a block's own files were compared when it was rendered.
        if !parts.is_empty() {
            files.paths().for_each(|path| _ = spelled.take(path));
        }
        for (part, layer) in parts {
            for (path, entry) in layer.files() {
                if let Some(other) = spelled.take(path) {
                    return Err(Error::Alike { paths: vec![(path.clone(), other)] });
                }
                if files.insert(path.clone(), entry.clone()).is_some_and(|other| other != *entry) {
                    let owner = layer::owners(&lock, path).into_iter().next().unwrap_or_default().to_owned();
                    return Err(Error::Shared { path: path.clone(), owner, block: part.id.name.clone() });
                }
            }
            if let (Some(project), Some(part)) = (text(&files), text(&layer.rendered.tree)) {
                let joined = layer::join(&project, &part, Tables::All)?;
                files.insert(manifest_path(), Entry::file(joined));
            }
            lock.blocks.insert(part.id.name.clone(), layer.locked(part));
        }
        let manifest = match (text(&files), &block.manifest) {
            (Some(text), _) => Some(layer::check(block, &text)?),
            (None, None) => None,
            (None, Some(_)) => return Err(Error::wrong(&block.id, "files/", "it renders no onramp.toml")),
        };
        let project =
            manifest.as_ref().map_or_else(|| layer.facts.folder.clone(), |manifest| manifest.name.to_string());
        let requires = parts.iter().map(|(part, _)| part.id.clone()).collect();
        Ok(Self { project, block: block.id.clone(), requires, files, manifest, lock })
    }

    /// Begins the project where nobody sees it yet. Dropped, it leaves nothing.
    pub fn stage(&self, target: &Path) -> Result<Staged, Error> {
        vacant(target)?;
        let staging = Staging::begin(target)?;
        let message = format!("Start {} from the block {}\n", self.project, self.block);
        Ok(Staged { staging, target: target.to_owned(), message })
    }
}

/// A project that is begun, and not yet where it belongs.
pub struct Staged {
    staging: Staging,
    target: PathBuf,
    message: String,
}

impl Staged {
    /// Writes its files.
    pub fn write(&self, creation: &Creation) -> Result<(), Error> {
        let tree = self.directory();
        let files: Vec<_> = creation.files.iter().collect();
        task::each(&files, |(path, entry)| write_new(&tree, path, entry))?;
        creation.lock.save(&tree)?;
        Ok(())
    }

    /// Where it is now: what runs before anybody sees it runs here.
    pub fn directory(&self) -> PathBuf {
        self.staging.tree()
    }

    /// Makes it a git repository with a first commit, and moves it to its place: all of it, or nothing. A repository that
    /// the template's own commands made is left as they made it.
    pub fn publish(self, author: &Identity) -> Result<Option<Commit>, Error> {
        let tree = self.directory();
        let commit = match tree.join(".git").symlink_metadata() {
            Ok(_) => None,
            Err(_) => Some(git::initialise(&tree, &self.message, author)?),
        };
        self.staging.publish(&self.target)?;
        Ok(commit)
    }
}

fn text(files: &Tree) -> Option<Text> {
    files.get(manifest::FILE).and_then(Entry::text)
}

fn manifest_path() -> crate::tree::TreePath {
    manifest::FILE.parse().expect("a plain name")
}
