//! A new project from an app block: planned as plain data, then made all at once.

use std::path::Path;

use toml_edit::DocumentMut;

use super::Error;
use super::addition::record;
use super::block::{Block, BlockId};
use super::manifest::Kind;
use super::questions::Answers;
use super::render::{NewFile, Renderer};
use super::staging::{Staging, write_new};
use crate::git::{self, Commit, Identity};
use crate::name::Name;
use crate::project::{self, Lock, lock, manifest};

pub use super::staging::vacant;

/// A new project, before it is one.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The project's name, as its `onramp.toml` says.
    pub project: Name,
    /// The block it is made from.
    pub block: BlockId,
    /// The answers it is made with.
    pub answers: Answers,
    /// Its files, by path, `onramp.lock` apart.
    pub files: Vec<NewFile>,
    /// What `onramp.toml` says, for those who look up its images before the project is made.
    pub manifest: project::Manifest,
    /// Its `onramp.lock`. What is added here before [`Creation::apply`] is in the first commit.
    pub lock: Lock,
}

impl Creation {
    /// Renders an app block into a plan. Nothing is written.
    pub fn plan(block: &Block, answers: Answers, renderer: &Renderer) -> Result<Self, Error> {
        if block.manifest.kind != Kind::App {
            return Err(Error::OtherKind { name: block.id.name.clone(), kind: block.manifest.kind });
        }
        let mut files = renderer.files(block)?;
        let wrong = |message: &str| Error::Wrong {
            block: block.id.to_string(),
            place: "files/".to_owned(),
            message: message.to_owned(),
        };
        if files.iter().any(|file| file.path == lock::FILE) {
            return Err(wrong("it brings an onramp.lock, which onramp itself writes"));
        }
        let file = files
            .iter_mut()
            .find(|file| file.path == manifest::FILE)
            .ok_or_else(|| wrong("it renders no onramp.toml"))?;
        let text = std::str::from_utf8(&file.contents).map_err(|_| wrong("its onramp.toml is not UTF-8 text"))?;
        let mut manifest = parse(block, text)?;
        if !manifest.blocks.contains_key(&block.id.name) {
            let mut document: DocumentMut = text.parse().map_err(|_| wrong("its onramp.toml cannot be edited"))?;
            record(&mut document, &block.id, &answers);
            let text = document.to_string();
            manifest = parse(block, &text)?;
            file.contents = text.into_bytes();
        }
        let mut lock = Lock::default();
        lock.blocks.insert(block.id.name.clone(), block.locked());
        Ok(Self { project: manifest.name.clone(), block: block.id.clone(), answers, files, manifest, lock })
    }

    /// Makes the project, with a git repository and its first commit: all of it, or nothing.
    pub fn apply(&self, target: &Path, author: &Identity) -> Result<Commit, Error> {
        vacant(target)?;
        let staging = Staging::begin(target)?;
        let tree = staging.tree();
        for file in &self.files {
            write_new(&tree, file)?;
        }
        self.lock.save(&tree)?;
        let message = format!("Start {} from the block {}\n", self.project, self.block);
        let commit = git::initialise(&tree, &message, author)?;
        staging.publish(target)?;
        Ok(commit)
    }
}

/// The rendered `onramp.toml` must be one; where it is not, the block is wrong.
pub(super) fn parse(block: &Block, text: &str) -> Result<project::Manifest, Error> {
    let place = Path::new("the rendered onramp.toml");
    manifest::parse(place, text).map_err(|source| Error::Rendered { block: block.id.to_string(), source })
}
