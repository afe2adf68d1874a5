//! The work tree of a catalog: its blocks as they are being edited, and as they were released.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Error;
use crate::blocks::block::{Block, BlockId};
use crate::blocks::{catalog, manifest};
use crate::git::{Commit, Worktree, without_credentials};
use crate::name::Name;
use crate::text::{did_you_mean, slug};
use crate::tree::{Entry, Tree};
use crate::version::Version;

/// The directory of a catalog's blocks.
const BLOCKS: &str = "blocks";
/// The most that one block may weigh, in bytes.
const CAP: u64 = 64 * 1024 * 1024;

/// A repository that somebody edits: a catalog with blocks, or one template that is a repository of its own.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The work tree.
    pub worktree: Worktree,
    /// The name of the one template, where it is no catalog.
    single: Option<Name>,
}

/// A released version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The tag.
    pub tag: String,
    /// Where the tag leads.
    pub commit: Commit,
}

impl Checkout {
    /// The catalog around a directory.
    pub fn find(directory: &Path) -> Result<Self, Error> {
        let worktree = Worktree::find(directory)?;
        if worktree.root.join(BLOCKS).is_dir() {
            return Ok(Self { worktree, single: None });
        }
        let manifests = ["copier.yml", "copier.yaml", "cookiecutter.json", manifest::FILE];
        if !manifests.iter().any(|name| worktree.root.join(name).is_file()) {
            return Err(Error::NoCatalog { path: worktree.root });
        }
        let directory = worktree.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = slug(&directory, 40).trim_start_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
        let name = name.parse().or_else(|_| "template".parse());
        let name = name.map_err(|cause| Error::BadName { directory, cause })?;
        Ok(Self { worktree, single: Some(name) })
    }

    /// Its top.
    pub fn root(&self) -> &Path {
        &self.worktree.root
    }

    /// Whether it is one template, not a catalog of blocks.
    pub fn is_single(&self) -> bool {
        self.single.is_some()
    }

    /// Its blocks, by name.
    pub fn blocks(&self) -> Result<Vec<Name>, Error> {
        if let Some(name) = &self.single {
            return Ok(vec![name.clone()]);
        }
        let files = self.worktree.listed(BLOCKS)?;
        let directories: BTreeSet<&str> = files
            .iter()
            .filter_map(|path| path.strip_prefix("blocks/")?.split_once('/'))
            .map(|(name, _)| name)
            .collect();
        let named = |directory: &str| {
            directory.parse().map_err(|cause| Error::BadName { directory: directory.to_owned(), cause })
        };
        directories.into_iter().map(named).collect()
    }

    /// Those of its blocks that are asked for: names, or paths of or in their directories. All of them, where none is.
    pub fn choose(&self, wanted: &[String], from: &Path) -> Result<Vec<Name>, Error> {
        let blocks = self.blocks()?;
        let mut chosen = BTreeSet::new();
        for wanted in wanted {
            match blocks.iter().find(|name| name.as_str() == wanted) {
                Some(name) => {
                    chosen.insert(name.clone());
                }
                None => chosen.extend(self.at(&from.join(wanted), &blocks).ok_or_else(|| Error::NoBlock {
                    name: wanted.clone(),
                    path: self.root().to_owned(),
                    meant: did_you_mean(wanted, blocks.iter().map(Name::as_str)).map(str::to_owned),
                })?),
            }
        }
        Ok(if wanted.is_empty() { blocks } else { chosen.into_iter().collect() })
    }

    /// The blocks that a path means: the one that it lies in, or all that lie in it.
    fn at(&self, path: &Path, blocks: &[Name]) -> Option<Vec<Name>> {
        let (root, path) = (self.root().canonicalize().ok()?, path.canonicalize().ok()?);
        let place = |name: &Name| root.join(self.place(name));
        let found: Vec<Name> = blocks
            .iter()
            .filter(|name| place(name).starts_with(&path) || path.starts_with(place(name)))
            .cloned()
            .collect();
        (!found.is_empty()).then_some(found)
    }

    /// A block's directory, from the top.
    pub fn place(&self, name: &Name) -> String {
        if self.is_single() { String::new() } else { format!("{BLOCKS}/{name}") }
    }

    /// The path of a block's file, from the top.
    pub fn path(&self, name: &Name, file: &str) -> PathBuf {
        self.root().join(self.place(name)).join(file)
    }

    /// What errors and findings call a block's file: a path from the top.
    pub fn shown(&self, name: &Name, file: &str) -> String {
        match self.place(name) {
            top if top.is_empty() => file.to_owned(),
            place => format!("{place}/{file}"),
        }
    }

    /// A block's files as they are now: what git ignores is not there.
    pub fn source(&self, name: &Name) -> Result<Tree, Error> {
        let found = self.worktree.files(&self.place(name), CAP)?;
        Ok(catalog::tree(&self.id(name, Version::Bare("as it is now".to_owned())), found)?)
    }

    /// A block as it is now.
    pub fn working(&self, name: &Name) -> Result<Block, Error> {
        self.read(name, self.source(name)?)
    }

    /// A block of files that were read.
    pub fn read(&self, name: &Name, source: Tree) -> Result<Block, Error> {
        let path = PathBuf::from(self.shown(name, manifest::FILE));
        let version = match source.get(manifest::FILE).and_then(Entry::text) {
            Some(text) => manifest::parse(&path, &text)?.version.into(),
            None => Version::Bare(String::new()),
        };
        Ok(Block::read(self.id(name, version), &path, source)?)
    }

    /// The released versions of a block, oldest first.
    pub fn releases(&self, name: &Name) -> Result<Vec<Release>, Error> {
        let mut found = Vec::new();
        for (tag, commit) in self.worktree.tags()? {
            let version = match &self.single {
                Some(_) => Version::of_tag(&tag),
                None => tag
                    .strip_prefix(name.as_str())
                    .and_then(|rest| rest.strip_prefix("/v"))
                    .and_then(|version| version.parse::<semver::Version>().ok())
                    .map(Version::from),
            };
            found.extend(version.map(|version| Release { version, tag, commit }));
        }
        found.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(found)
    }

    /// The latest release: the highest that is no pre-release, where there is one.
    pub fn latest(releases: &[Release]) -> Option<&Release> {
        releases.iter().rev().find(|release| !release.version.is_prerelease()).or_else(|| releases.last())
    }

    /// A block as it was released.
    pub fn released(&self, name: &Name, release: &Release) -> Result<Block, Error> {
        let id = BlockId { commit: release.commit.to_string(), ..self.id(name, release.version.clone()) };
        let files = self.worktree.files_at(&release.commit, &self.place(name), CAP)?;
        let place = PathBuf::from(format!("{} at {}", self.shown(name, manifest::FILE), release.tag));
        let source = catalog::tree(&id, files)?;
        Ok(Block::read(id, &place, source)?)
    }

    /// What it is called where it came from: `origin`'s address, else its directory.
    pub fn address(&self) -> String {
        let origin = self.worktree.remote("origin").ok().flatten();
        origin.map_or_else(|| self.root().display().to_string(), |url| without_credentials(&url))
    }

    fn id(&self, name: &Name, version: Version) -> BlockId {
        let commit = self.worktree.head.as_ref().map(ToString::to_string).unwrap_or_default();
        let asked = name.to_string();
        BlockId { name: name.clone(), version, source: self.address(), commit, asked, described: String::new() }
    }
}
