//! Manifests and configs that were seen, by digest, and what tags meant when they were last asked for.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::reference::{Digest, ImageRef};

/// The largest manifest or config, in bytes, as the distribution project's registry has it.
pub const CAP: u64 = 4 * 1024 * 1024;
const TAG_CAP: u64 = 4096;

/// Documents in a cache directory. What is damaged there is as if it were not there.
pub struct Documents {
    root: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Tag {
    image: ImageRef,
    digest: Digest,
    seen: Timestamp,
}

impl Documents {
    /// Those of this cache.
    pub fn of(cache: &Path) -> Self {
        Self { root: cache.to_owned() }
    }

    /// A document, verified.
    pub fn find(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = files::read(&self.place(digest), CAP).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Keeps a document that was verified.
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), FileError> {
        write(&self.place(digest), bytes)
    }

    /// What a tag meant, and when.
    pub fn meaning(&self, image: &ImageRef) -> Option<(Digest, Timestamp)> {
        let tag: Tag = serde_json::from_slice(&files::read(&self.tag(image), TAG_CAP).ok()?).ok()?;
        (tag.image == *image).then_some((tag.digest, tag.seen))
    }

    /// Remembers what a tag means now.
    pub fn remember(&self, image: &ImageRef, digest: &Digest) -> Result<(), FileError> {
        let tag = Tag { image: image.clone(), digest: digest.clone(), seen: Timestamp::now() };
        write(&self.tag(image), &serde_json::to_vec(&tag).expect("a tag is plain data"))
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        self.root.join("documents").join(digest.hex())
    }

    fn tag(&self, image: &ImageRef) -> PathBuf {
        self.root.join("tags").join(Digest::of(image.to_string().as_bytes()).hex())
    }
}

/// Configs may hold what is secret.
fn write(place: &Path, bytes: &[u8]) -> Result<(), FileError> {
    files::private_directory(place.parent().expect("it lies in the cache"))?;
    files::write(place, bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_may_look_into_it() {
        let cache = tempfile::tempdir().unwrap();
        let documents = Documents::of(cache.path());
        documents.keep(&Digest::of(b"a"), b"a").unwrap();
        documents.remember(&"r.test/base/a:1".parse().unwrap(), &Digest::of(b"a")).unwrap();
        for directory in ["documents", "tags"] {
            let mode = std::fs::metadata(cache.path().join(directory)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{directory}");
        }
    }
}
