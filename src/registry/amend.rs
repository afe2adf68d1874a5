//! Adding to what lies under a tag. A registry replaces a tag whole and knows no condition, so of two who add at the same
//! moment one undoes the other: each looks again afterwards, and adds again what is gone.

use std::time::{Duration, Instant};

use super::Error;
use super::client::{Registry, shown_path};
use super::manifest::Manifest;
use super::retry::chance;
use super::upload::Upload;
use crate::reference::{Digest, ImageRef};

/// How often it is added, at most.
const TRIES: usize = 12;
/// How long to wait at least before looking again.
const SETTLE: Duration = Duration::from_millis(100);
/// Whoever read before we wrote has written after so many times what our own reading and writing took.
const SLOWER: u32 = 4;

/// What is put under the tag instead of what is there.
pub struct Amended {
    /// Blobs that it needs.
    pub blobs: Vec<Vec<u8>>,
    /// The manifest or index.
    pub manifest: Vec<u8>,
}

impl Registry {
    /// Changes what lies under a tag until `change` finds in it what it wants, also some time after it was written. `change`
    /// says what to put there instead of what is there, or nothing where all is well.
    pub async fn amend(
        &self,
        at: &ImageRef,
        media_type: &str,
        mut change: impl FnMut(Option<&Manifest>) -> Result<Option<Amended>, Error>,
    ) -> Result<(), Error> {
        for _ in 0..TRIES {
            let began = Instant::now();
            let there = match self.alone().manifest(at).await {
                Ok(there) => Some(there),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            let Some(Amended { blobs, manifest }) = change(there.as_ref())? else { return Ok(()) };
            for blob in blobs {
                let (digest, size) = (Digest::of(&blob), blob.len() as u64);
                self.push_blob(at.path(), &digest, size, Upload::from(blob)).await?;
            }
            self.push_manifest(at, media_type, manifest).await?;
            // By chance longer, so that those who undid each other do not meet again.
            let settle = SETTLE.max(began.elapsed() * SLOWER);
            tokio::time::sleep(settle.mul_f64(1.0 + 3.0 * chance())).await;
        }
        Err(Error::Contended { host: self.host().to_owned(), what: shown_path(at) })
    }

    /// That what lies under a tag is not ours to replace.
    pub fn foreign(&self, at: &ImageRef, wanted: &'static str) -> Error {
        Error::Foreign { host: self.host().to_owned(), what: shown_path(at), wanted }
    }
}
