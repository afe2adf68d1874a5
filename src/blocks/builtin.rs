//! The catalog in this binary: what there is before a company has its own, and what the playground publishes.

use std::path::PathBuf;

use include_dir::{Dir, DirEntry, include_dir};

use super::Error;
use super::block::{Block, BlockId};
use super::manifest::{self, Manifest};
use crate::name::Name;
use crate::tree::{Entry, Tree};

/// `templates/`: `blocks/<name>`, `images/<name>`, `apps/<name>` and the catalog's own pages.
pub static TEMPLATES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What stands for this catalog where another one has a URL.
pub const SOURCE: &str = "builtin";

/// What stands for its commit.
pub fn commit() -> String {
    format!("onramp-{}", env!("CARGO_PKG_VERSION"))
}

/// The manifests of its blocks, by name.
pub fn blocks() -> Result<Vec<Manifest>, Error> {
    let mut blocks = names().into_iter().map(|name| read(&name)).collect::<Result<Vec<Manifest>, Error>>()?;
    blocks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(blocks)
}

/// The names of its blocks.
pub fn names() -> Vec<Name> {
    let directories = TEMPLATES.get_dir("blocks").into_iter().flat_map(Dir::dirs);
    directories.filter_map(|dir| dir.path().file_name()?.to_str()?.parse().ok()).collect()
}

/// The manifest of one of its blocks.
pub fn read(name: &Name) -> Result<Manifest, Error> {
    let path = place(name);
    let text = TEMPLATES.get_file(&path).and_then(include_dir::File::contents_utf8).unwrap_or_default();
    Ok(manifest::parse(&path, text)?)
}

/// One of its blocks, whole.
pub fn block(name: &Name, version: &semver::Version) -> Result<Block, Error> {
    let id = BlockId {
        name: name.clone(),
        version: version.clone().into(),
        source: SOURCE.to_owned(),
        commit: commit(),
        asked: name.to_string(),
        described: String::new(),
    };
    let mut source = Tree::default();
    if let Some(dir) = TEMPLATES.get_dir(format!("blocks/{name}")) {
        collect(dir, dir, &mut source);
    }
    Block::read(id, &place(name), source)
}

fn place(name: &Name) -> PathBuf {
    PathBuf::from(format!("blocks/{name}/{}", manifest::FILE))
}

fn collect(root: &Dir<'static>, dir: &Dir<'static>, source: &mut Tree) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect(root, dir, source),
            DirEntry::File(file) => {
                let path = file.path().strip_prefix(root.path()).unwrap_or(file.path());
                // The binary keeps no file modes; what begins like a script is one.
                let executable = file.contents().starts_with(b"#!");
                if let Ok(path) = path.to_string_lossy().parse() {
                    source.insert(path, Entry::File { contents: file.contents().into(), executable });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_block_is_right() {
        let blocks = blocks().unwrap();
        assert!(!blocks.is_empty());
        for manifest in blocks {
            let block = block(&manifest.name, &manifest.version).unwrap();
            assert!(!block.template.source.under("files").is_empty(), "{}", block.id);
        }
    }
}
