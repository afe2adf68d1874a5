//! A block as a project has it: the very source that it was rendered from.

use std::path::Path;

use super::{Block, BlockId, Error, builtin, fetch, manifest};
use crate::name::Name;
use crate::project::lock::LockedBlock;

/// Where a block of this name lies in a catalog.
pub fn directory(name: &Name) -> String {
    format!("blocks/{name}")
}

/// The block that a project's lock tells of. It is what the lock says, byte by byte, or an error.
pub fn block(cache: &Path, name: &Name, locked: &LockedBlock, root: &Path, offline: bool) -> Result<Block, Error> {
    if locked.source == builtin::SOURCE
        && let Some(version) = locked.version.semantic()
    {
        return builtin::block(name, version);
    }
    let source = match fetch::base(cache, locked, &directory(name), root, offline) {
        Ok(source) => source,
        // A template that is no block of a catalog is a repository of its own.
        Err(first) => match fetch::base(cache, locked, "", root, offline) {
            Ok(source) => source,
            Err(second @ fetch::Error::Changed { .. }) => return Err(second.into()),
            Err(_) => return Err(first.into()),
        },
    };
    let id = BlockId {
        name: name.clone(),
        version: locked.version.clone(),
        source: locked.source.clone(),
        commit: locked.commit.clone(),
        asked: name.to_string(),
        described: String::new(),
    };
    Block::read(id, Path::new(manifest::FILE), source)
}
