//! A block at one version, read whole: its manifest, its files, and the digest of both.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::manifest::{self, Manifest};
use crate::name::Name;
use crate::project::lock::LockedBlock;
use crate::reference::Digest;

/// The directory of a block whose contents are rendered.
const FILES: &str = "files/";
/// The most files that a block may have.
const MOST_FILES: usize = 5000;

/// Which block this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockId {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: semver::Version,
    /// URL of its catalog, or [`super::builtin::SOURCE`].
    pub source: String,
    /// The catalog's commit; of the built-in catalog, the onramp that holds it.
    pub commit: String,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    Plain,
    /// A file that can be run.
    Executable,
    /// A symbolic link; its contents are where it leads.
    Link,
}

impl Mode {
    /// What git's file mode means.
    pub fn of_git(mode: i32) -> Self {
        match mode {
            0o100_755 => Self::Executable,
            0o120_000 => Self::Link,
            _ => Self::Plain,
        }
    }
}

/// A file of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path in the block.
    pub path: String,
    /// What kind of file it is.
    pub mode: Mode,
    /// Its contents.
    pub contents: Vec<u8>,
}

/// A block, read whole.
#[derive(Clone, Debug)]
pub struct Block {
    /// Which one.
    pub id: BlockId,
    /// Its manifest.
    pub manifest: Manifest,
    /// The manifest's text, for what it adds to `onramp.toml`: comments and order are the author's.
    pub manifest_text: String,
    /// What is rendered: paths from `files/`.
    pub files: Vec<SourceFile>,
    /// Its README, if it has one.
    pub readme: Option<String>,
    /// Digest of its manifest and all its files.
    pub content: Digest,
}

impl Block {
    /// Makes a block from all files of its directory. `place` is what errors call its manifest.
    pub fn read(id: BlockId, place: &Path, mut files: Vec<SourceFile>) -> Result<Self, Error> {
        let wrong = |place: &str, message: &str| Error::Wrong {
            block: id.to_string(),
            place: place.to_owned(),
            message: message.to_owned(),
        };
        if files.len() > MOST_FILES {
            return Err(wrong("its directory", &format!("more than {MOST_FILES} files")));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let content = digest(&files);
        let text = |name: &str| -> Result<Option<String>, Error> {
            let Some(file) = files.iter().find(|f| f.path == name && f.mode != Mode::Link) else { return Ok(None) };
            String::from_utf8(file.contents.clone()).map(Some).map_err(|_| wrong(name, "not UTF-8 text"))
        };
        let manifest_text = text(manifest::FILE)?.ok_or_else(|| wrong(manifest::FILE, "missing"))?;
        let manifest = manifest::parse(place, &manifest_text)?;
        check_identity(&id, &manifest)?;
        let readme = text("README.md")?;
        let files = files
            .into_iter()
            .filter_map(|file| Some(SourceFile { path: file.path.strip_prefix(FILES)?.to_owned(), ..file }))
            .collect();
        Ok(Self { id, manifest, manifest_text, files, readme, content })
    }

    /// What `onramp.lock` says of it.
    pub fn locked(&self) -> LockedBlock {
        LockedBlock {
            source: self.id.source.clone(),
            version: self.id.version.clone().into(),
            commit: self.id.commit.clone(),
            content: self.content.clone(),
            answers: toml::Table::new(),
            json: std::collections::BTreeMap::new(),
            files: std::collections::BTreeMap::new(),
        }
    }
}

/// A block is what its directory and its tag say.
pub fn check_identity(id: &BlockId, manifest: &Manifest) -> Result<(), Error> {
    let message = if manifest.name != id.name {
        format!("it says name = \"{}\", and its directory is blocks/{}", manifest.name, id.name)
    } else if manifest.version != id.version {
        format!("it says version = \"{}\", and was released as {}", manifest.version, id.version)
    } else {
        return Ok(());
    };
    Err(Error::Wrong { block: id.to_string(), place: manifest::FILE.to_owned(), message })
}

/// Every byte of every file counts, as do names, modes and where one file ends.
fn digest(files: &[SourceFile]) -> Digest {
    let mut hash = Sha256::new();
    for file in files {
        let mode = match file.mode {
            Mode::Plain => "file",
            Mode::Executable => "executable",
            Mode::Link => "link",
        };
        hash.update(format!("{mode} {} {}\0", file.contents.len(), file.path));
        hash.update(&file.contents);
    }
    Digest::from_hash(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mode: Mode, contents: &str) -> SourceFile {
        SourceFile { path: path.into(), mode, contents: contents.into() }
    }

    #[test]
    fn the_digest_tells_everything_apart() {
        let one = digest(&[file("a", Mode::Plain, "bc")]);
        for other in [
            vec![file("ab", Mode::Plain, "c")],
            vec![file("a", Mode::Executable, "bc")],
            vec![file("a", Mode::Link, "bc")],
            vec![file("a", Mode::Plain, "b"), file("b", Mode::Plain, "c")],
            vec![],
        ] {
            assert_ne!(digest(&other), one);
        }
    }

    #[test]
    fn a_block_is_what_its_tag_says() {
        let manifest =
            "schema = 1\nname = \"x\"\nkind = \"app\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n";
        let id = |name: &str, version: &str| BlockId {
            name: name.parse().unwrap(),
            version: version.parse().unwrap(),
            source: "/c".into(),
            commit: "c".into(),
        };
        let read = |id| Block::read(id, Path::new("b"), vec![file("block.toml", Mode::Plain, manifest)]);
        assert!(read(id("x", "1.0.0")).is_ok());
        assert_eq!(
            read(id("x", "1.1.0")).unwrap_err().to_string(),
            "block x 1.1.0 is wrong: block.toml: it says version = \"1.0.0\", and was released as 1.1.0"
        );
        assert!(read(id("y", "1.0.0")).is_err());
    }
}
