//! What is in an image, without pulling it: its layers are read as streams, and what was found is kept by their digests.
//!
//! Nothing of a layer is believed before its last byte: its hash and its size must be those of the manifest. No layer is
//! ever held, neither in memory nor on disk; what is kept of it is small.

mod archive;
mod documents;
mod facts;
mod image;
mod input;
pub mod packages;
mod path;
mod reader;
mod scan;
mod tree;
pub mod unpack;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use documents::Documents;
pub use facts::{Entry, Facts, Kind};
pub use image::Image;
pub use path::{order, shown};
pub use reader::Reader;
pub use tree::Tree;

use crate::error::{self, Class};
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::registry;
use packages::{Ecosystem, Package, Told};

/// What can go wrong while an image is read. Each names the image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The cache failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A layer did not come.
    #[error("layer {} of {image} could not be read: {error}", layer.short())]
    Fetch {
        /// The image.
        image: ImageRef,
        /// The layer.
        layer: Digest,
        /// What the registry did.
        error: registry::Error,
    },
    /// A layer's bytes are not those that the manifest names.
    #[error("layer {} of {image} is not what its manifest says: {broken}", layer.short())]
    Broken {
        /// The image.
        image: ImageRef,
        /// The layer.
        layer: Digest,
        /// What came instead.
        broken: Broken,
    },
    /// A layer is what the manifest names, and no honest layer.
    #[error("layer {} of {image} was not read: {fault}", layer.short())]
    Layer {
        /// The image.
        image: ImageRef,
        /// The layer.
        layer: Digest,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The manifest is larger than any honest one.
    #[error("{image} has {what} than onramp reads")]
    TooMuch {
        /// The image.
        image: ImageRef,
        /// `more layers`.
        what: &'static str,
    },
    /// The image is not there for the platform.
    #[error("{image} is not there for {platform}, only for {}", there.join(", "))]
    Platform {
        /// The image.
        image: ImageRef,
        /// What was asked for, neutral.
        platform: String,
        /// What there is.
        there: Vec<String>,
    },
    /// What is wanted is not in the cache, and the network may not be used.
    #[error("{what} of {image} was not read before, and --offline forbids to ask the registry")]
    Offline {
        /// The image.
        image: ImageRef,
        /// What is missing.
        what: &'static str,
    },
}

/// Why the bytes of a blob are not the blob.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store of blobs failed.
    #[error("it could not be read from the store: {0}")]
    Store(std::io::Error),
    /// More or fewer bytes.
    #[error("{received} bytes came, another number")]
    Size {
        /// How many came, at least.
        received: u64,
    },
    /// Other bytes.
    #[error("the bytes have the digest {received}")]
    Digest {
        /// Their digest.
        received: Digest,
    },
}

/// What is wrong with a layer. All text of it is neutral.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// Not what its packing should be, or a bomb.
    #[error("it does not unpack: {0}")]
    Unpack(String),
    /// It unpacks to more than any honest layer.
    #[error("{0}")]
    Bomb(String),
    /// Not a tar archive.
    #[error("it is no honest tar archive: it has {0}")]
    Malformed(&'static str),
    /// A path that leads out.
    #[error("its path `{0}` leads out of the image")]
    Escapes(String),
    /// More than is read.
    #[error("it has {0} than onramp reads")]
    TooMuch(&'static str),
    /// Something after the end.
    #[error("bytes follow the end of its archive")]
    Trailing,
    /// A form that is not read.
    #[error("onramp does not read {0}")]
    Form(&'static str),
}

impl Fault {
    /// What a reader under an archive said.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
    pub(super) fn unpack(error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<unpack::Bomb>()) {
            Some(bomb) => Self::Bomb(bomb.to_string()),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::Malformed("an end in the middle"),
            None => Self::Unpack(crate::text::neutral_line(&error.to_string(), 160)),
        }
    }
}

impl error::Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Registry(error) | Self::Fetch { error, .. } => error.class(),
            Self::File(error) => error.class(),
            // What onramp does not read is no attack.
            Self::Layer { fault: Fault::Form(_), .. } | Self::Platform { .. } => Class::Config,
            Self::Broken { .. } | Self::Layer { .. } | Self::TooMuch { .. } => Class::Security,
            Self::Offline { .. } => Class::Net,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) | Self::Fetch { error, .. } => error.hint(),
            Self::File(error) => error.hint(),
            Self::Broken { .. } => {
                Some("the registry, a proxy or a mirror changed the content; nothing of it was kept".to_owned())
            }
            Self::Layer { fault: Fault::Form(_), .. } => None,
            Self::Layer { .. } | Self::TooMuch { .. } => {
                Some("nothing of it was kept; who made this image?".to_owned())
            }
            Self::Platform { .. } => Some("--platform chooses one".to_owned()),
            Self::Offline { .. } => Some("run it once without --offline".to_owned()),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Registry(error) | Self::Fetch { error, .. } => error.next(),
            Self::File(error) => error.next(),
            Self::Platform { image, there, .. } => {
                there.iter().take(1).map(|there| format!("onramp image inspect {image} --platform {there}")).collect()
            }
            Self::Broken { .. } => vec!["onramp doctor".to_owned()],
            Self::Layer { image, .. } | Self::TooMuch { image, .. } | Self::Offline { image, .. } => {
                vec![format!("onramp image inspect {image}")]
            }
        }
    }
}

/// What [`std::io::Read`] is where there is a buffer already.
fn read_buffered(reader: &mut impl std::io::BufRead, buffer: &mut [u8]) -> std::io::Result<usize> {
    let available = reader.fill_buf()?;
    let count = available.len().min(buffer.len());
    buffer[..count].copy_from_slice(&available[..count]);
    reader.consume(count);
    Ok(count)
}

/// An image's layers, read, lowest first.
#[derive(Clone, Debug)]
pub struct Layers(pub Vec<Facts>);

/// What an image has in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Its packages, sorted, each once.
    pub packages: Vec<Package>,
    /// What would tell packages and was not read.
    pub unread: Vec<Unread>,
    /// How many files, directories and links a container sees.
    pub files: u64,
    /// The bytes of those files.
    pub bytes: u64,
}

/// A file that would tell packages and was not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unread {
    /// The file, neutral.
    pub path: String,
    /// Why not.
    pub why: String,
}

impl Layers {
    /// What all of them together have.
    pub fn contents(&self) -> std::io::Result<Contents> {
        let mut contents = Contents::default();
        let mut sources: BTreeMap<&str, &Told> = BTreeMap::new();
        for file in Tree::of(&self.0)? {
            let (layer, entry) = file?;
            contents.files += 1;
            contents.bytes = contents.bytes.saturating_add(entry.size);
            let told = &self.0[layer].head.sources;
            if !told.is_empty()
                && let Ok(path) = std::str::from_utf8(&entry.path)
                && let Some((path, told)) = told.get_key_value(path)
            {
                sources.insert(path, told);
            }
        }
        let python = sources.iter().any(|(path, told)| matches!(told, Told::Packages(_)) && packages::is_python(path));
        for (path, told) in &sources {
            let stronger = packages::stronger(path);
            if python && packages::locks_python(path)
                || stronger.is_some_and(|path| matches!(sources.get(path.as_str()), Some(Told::Packages(_))))
            {
                continue;
            }
            match told {
                Told::Packages(packages) => contents.packages.extend(packages.iter().cloned()),
                Told::Unread(why) => {
                    contents.unread.push(Unread { path: shown(path.as_bytes()), why: why.clone() });
                }
            }
        }
        contents.packages.sort_unstable();
        contents.packages.dedup();
        Ok(contents)
    }
}

impl Layers {
    /// Which of these paths a container sees, each from the root of its file system and without the slash before it.
    pub fn have(&self, paths: &BTreeSet<String>) -> std::io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for file in Tree::of(&self.0)? {
            let (_, entry) = file?;
            let path = std::str::from_utf8(&entry.path).ok();
            found.extend(path.filter(|path| paths.contains(*path)).map(str::to_owned));
        }
        Ok(found)
    }
}

impl Contents {
    /// How many packages of each kind.
    pub fn counts(&self) -> BTreeMap<Ecosystem, usize> {
        let mut counts = BTreeMap::new();
        for package in &self.packages {
            *counts.entry(package.ecosystem).or_insert(0) += 1;
        }
        counts
    }
}
