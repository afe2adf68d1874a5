//! How far a project is behind its blocks.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fetch::{Moved, Release, moved};
use super::update::{Follow, Wanted, differing, unresolved};
use super::{Catalog, Error, layer};
use crate::directory::Directory;
use crate::name::Name;
use crate::project::Lock;
use crate::project::lock::LockedBlock;
use crate::tree::TreePath;
use crate::version::Version;

/// How far a project is behind.
#[derive(Clone, Debug, Serialize)]
pub struct Outdated {
    /// Its blocks.
    pub blocks: Vec<Behind>,
    /// Files in which a conflict of an earlier update is left.
    pub conflicts: Vec<TreePath>,
}

/// How far it is behind one block.
#[derive(Clone, Debug, Serialize)]
pub struct Behind {
    /// The block.
    pub name: Name,
    /// Where it comes from.
    pub source: String,
    /// The version that the project has.
    pub version: Version,
    /// The commit that it has; none of a directory.
    pub commit: String,
    /// What `onramp.toml` says that it must be compatible with.
    pub declared: Option<String>,
    /// The newest version that this allows.
    pub newest_declared: Option<Version>,
    /// The newest version; of a template without releases, what its source holds now.
    pub newest: Option<Version>,
    /// Whether a template without releases holds something else now.
    pub changed: bool,
    /// The tag of the project's version, where it leads elsewhere by now or is gone.
    pub moved: Option<Moved>,
    /// The answers that `onramp.toml` gives otherwise than the lock: the next update takes them.
    pub answers: Map<String, Value>,
    /// Why nothing can be said of newer versions.
    pub unknown: Option<String>,
}

impl Behind {
    /// Whether `onramp update` would change something.
    pub fn is_behind(&self) -> bool {
        let newer = self.newest_declared.as_ref().is_some_and(|newest| *newest > self.version);
        newer || self.changed || !self.answers.is_empty()
    }
}

impl Outdated {
    /// Looks at the versions of every block of a project.
    pub fn find(follow: &Follow<'_>, lock: &Lock) -> Result<Self, Error> {
        let root = Directory::open(&follow.place.root)?;
        let blocks = lock.blocks.iter().map(|(name, locked)| behind(follow, name, locked)).collect();
        Ok(Self { blocks, conflicts: unresolved(&root, lock)? })
    }

    /// Whether something is to be done.
    pub fn is_behind(&self) -> bool {
        !self.conflicts.is_empty() || self.blocks.iter().any(Behind::is_behind)
    }
}

fn behind(follow: &Follow<'_>, name: &Name, locked: &LockedBlock) -> Behind {
    let declared = follow.declared(name);
    let (versions, unknown) = match versions(follow, name, locked) {
        Ok(versions) => (versions, None),
        Err(error) => (Versions::default(), Some(crate::text::neutral_line(&crate::error::chain(&error), 300))),
    };
    let stable = |versions: &mut dyn Iterator<Item = &Version>| -> Option<Version> {
        let versions: Vec<&Version> = versions.collect();
        versions.iter().find(|version| !version.is_prerelease()).or(versions.first()).copied().cloned()
    };
    let allowed = |version: &&Version| match (&declared, version.semantic()) {
        (Some(declared), Some(version)) => declared.matches(version),
        _ => true,
    };
    let used = follow.place.manifest.as_ref().and_then(|manifest| manifest.blocks.get(name));
    Behind {
        name: name.clone(),
        source: locked.source.clone(),
        version: locked.version.clone(),
        commit: locked.commit.clone(),
        changed: versions.changed,
        newest_declared: stable(&mut versions.known.iter().filter(allowed)),
        newest: stable(&mut versions.known.iter()),
        declared: declared.as_ref().map(ToString::to_string),
        moved: versions.moved,
        answers: used.map(|used| differing(used, &locked.values())).unwrap_or_default(),
        unknown,
    }
}

/// The released versions of a block, newest first.
#[derive(Default)]
struct Versions {
    known: Vec<Version>,
    moved: Option<Moved>,
    changed: bool,
}

fn versions(follow: &Follow<'_>, name: &Name, locked: &LockedBlock) -> Result<Versions, Error> {
    if !layer::is_foreign(locked)
        && let Some(catalog @ Catalog::Builtin) = follow.catalog
    {
        let known = catalog.versions(name.as_str())?.into_iter().map(Version::from).collect();
        return Ok(Versions { known, ..Versions::default() });
    }
    let releases: Vec<Release> = follow.releases(name, locked)?;
    if releases.is_empty() && layer::is_foreign(locked) {
        let now = follow.target(name, locked, &Wanted::Declared)?;
        return Ok(Versions { changed: now.content != locked.content, known: vec![now.id.version], moved: None });
    }
    let moved = moved(locked, &releases);
    Ok(Versions { known: releases.into_iter().map(|release| release.version).collect(), moved, changed: false })
}
