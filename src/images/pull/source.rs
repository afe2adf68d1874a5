//! What one pull is about: manifests that were verified, and blobs that are fetched into the store once, whoever asks
//! first, the pull itself or the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::super::store::{self, Store};
use super::board::Board;
use crate::reference::Digest;
use crate::registry::{Descriptor, Manifest, Registry};

/// How many blobs are fetched at once. They share the store's connections; more would only begin what cannot be used yet.
const AT_ONCE: usize = 4;

/// The content of a pull.
pub struct Source {
    store: Arc<Store>,
    board: Arc<Board>,
    manifests: BTreeMap<Digest, Manifest>,
    blobs: BTreeMap<Digest, Blob>,
    /// Why a blob could not be had, the first time.
    failure: Mutex<Option<store::Error>>,
}

struct Blob {
    descriptor: Descriptor,
    registry: Arc<Registry>,
    /// The repository's path.
    path: String,
    file: OnceCell<PathBuf>,
}

impl Source {
    pub fn new(store: Arc<Store>, board: Arc<Board>) -> Self {
        Self { store, board, manifests: BTreeMap::new(), blobs: BTreeMap::new(), failure: Mutex::default() }
    }

    /// Adds an image: its manifest, and where its blobs come from.
    pub fn add(&mut self, manifest: &Manifest, blobs: &[&Descriptor], registry: &Arc<Registry>, path: &str) {
        self.manifests.insert(manifest.digest.clone(), manifest.clone());
        for descriptor in blobs {
            self.blobs.entry(descriptor.digest.clone()).or_insert_with(|| Blob {
                descriptor: (*descriptor).clone(),
                registry: registry.clone(),
                path: path.to_owned(),
                file: OnceCell::new(),
            });
        }
    }

    /// A manifest's media type and bytes.
    pub fn manifest(&self, digest: &Digest) -> Option<(&str, &[u8])> {
        self.manifests.get(digest).map(|manifest| (manifest.media_type.as_str(), manifest.bytes.as_slice()))
    }

    /// A blob's size.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.blobs.get(digest).map(|blob| blob.descriptor.size)
    }

    /// A blob's file, verified; none where it cannot be had, which [`Source::failure`] explains.
    pub async fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        match self.fetched(digest).await? {
            Ok(file) => Some(file),
            Err(error) => {
                self.failure.lock().expect("no panic while held").get_or_insert(error);
                None
            }
        }
    }

    /// Fetches these blobs.
    pub async fn fetch(&self, digests: &[Digest]) -> Result<(), store::Error> {
        let fetches =
            stream::iter(digests).map(|digest| async move { self.fetched(digest).await.transpose().map(|_| ()) });
        fetches.buffered(AT_ONCE).try_collect().await
    }

    /// Why a blob could not be given to the engine.
    pub fn failure(&self) -> Option<store::Error> {
        self.failure.lock().expect("no panic while held").take()
    }

    async fn fetched(&self, digest: &Digest) -> Option<Result<PathBuf, store::Error>> {
        let blob = self.blobs.get(digest)?;
        let fetch = blob.file.get_or_try_init(|| async {
            let told = |bytes| self.board.fetched(digest, bytes);
            let file = self.store.fetch(&blob.registry, &blob.path, &blob.descriptor, &told).await?;
            self.board.here(digest);
            Ok(file)
        });
        Some(fetch.await.cloned())
    }
}
