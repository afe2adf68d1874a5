//! What one pull is about: manifests that the engine is offered, and blobs that are fetched into the store once, whoever asks
//! first, the pull itself or the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::super::Error;
use super::super::contents::{self, Fault};
use super::super::store::Store;
use super::board::Board;
use super::offer::{Forms, Offer};
use super::prepare::Wanted;
use crate::reference::{Digest, ImageRef};
use crate::registry::{Descriptor, Registry};

/// How many blobs are fetched at once. They share the store's connections; more would only begin what cannot be used yet.
const AT_ONCE: usize = 4;

/// The content of a pull.
pub struct Source {
    store: Arc<Store>,
    board: Arc<Board>,
    blobs: BTreeMap<Digest, Blob>,
    /// The packed layers by what they unpack to.
    layers: BTreeMap<Digest, Digest>,
    /// Whether the engine is to have them so.
    unpacked: bool,
    offers: Mutex<Vec<Arc<Offer>>>,
    /// Why a blob could not be had, the first time.
    failure: Mutex<Option<Error>>,
    /// Packed layers that do not unpack to their end.
    spoiled: Mutex<BTreeMap<Digest, Fault>>,
}

struct Blob {
    descriptor: Descriptor,
    registry: Arc<Registry>,
    /// An image that has it.
    image: ImageRef,
    file: OnceCell<PathBuf>,
}

/// What the engine gets of a blob that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// So many bytes, as they lie in the registry.
    Packed(u64),
    /// What this layer of so many bytes unpacks to.
    Unpacked(Descriptor),
}

impl Source {
    pub fn new<'a>(store: Arc<Store>, board: Arc<Board>, images: impl Iterator<Item = &'a Wanted>) -> Self {
        let (mut blobs, mut layers) = (BTreeMap::new(), BTreeMap::new());
        for wanted in images {
            for descriptor in wanted.blobs() {
                blobs.entry(descriptor.digest.clone()).or_insert_with(|| Blob {
                    descriptor: descriptor.clone(),
                    registry: wanted.registry.clone(),
                    image: wanted.image.clone(),
                    file: OnceCell::new(),
                });
            }
            layers.extend(wanted.layers().map(|(layer, unpacked)| (unpacked.clone(), layer.digest.clone())));
        }
        let (offers, failure, spoiled) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { store, board, blobs, layers, unpacked: false, offers, failure, spoiled }
    }

    /// Offers layers unpacked.
    pub fn unpacked(self) -> Self {
        Self { unpacked: true, ..self }
    }

    /// The forms in which the layers of an image are offered first.
    pub fn forms(&self, wanted: &Wanted) -> Forms {
        let layers = wanted.layers().map(|(layer, unpacked)| (&layer.digest, unpacked));
        if self.unpacked { Forms::unpacked(layers, wanted.shared()) } else { Forms::packed(layers) }
    }

    /// Lets the engine have a manifest; the number of the offer.
    pub fn offer(&self, offer: Offer) -> usize {
        let mut offers = self.offers.lock().expect("no panic while held");
        offers.push(Arc::new(offer));
        offers.len() - 1
    }

    /// The manifest that was offered under a number and a digest.
    pub fn manifest(&self, offer: usize, digest: &Digest) -> Option<Arc<Offer>> {
        let offer = self.offers.lock().expect("no panic while held").get(offer)?.clone();
        (offer.digest == *digest).then_some(offer)
    }

    /// What there is by this digest for whoever took an offer; none also of a layer that the engine should have.
    pub fn served(&self, offer: usize, digest: &Digest) -> Option<Served> {
        if self.offers.lock().expect("no panic while held").get(offer)?.presumed.contains(digest) {
            return None;
        }
        if let Some(blob) = self.blobs.get(digest) {
            return Some(Served::Packed(blob.descriptor.size));
        }
        let packed = self.layers.get(digest)?;
        Some(Served::Unpacked(self.blobs.get(packed)?.descriptor.clone()))
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

    /// Tells how many bytes a layer unpacked to.
    pub fn unpacked_to(&self, layer: &Digest, bytes: u64) {
        self.board.unpacked(layer, bytes);
    }

    /// Takes that a layer does not unpack to its end.
    pub fn spoiled(&self, layer: &Digest, fault: Fault) {
        self.spoiled.lock().expect("no panic while held").insert(layer.clone(), fault);
    }

    /// What is wrong with a layer of an image that the engine took all the same: something follows all that it wants.
    pub fn left_over(&self, wanted: &Wanted) -> Option<Error> {
        let spoiled = self.spoiled.lock().expect("no panic while held");
        let (layer, fault) = wanted.layers().find_map(|(layer, _)| spoiled.get_key_value(&layer.digest))?;
        let (image, layer, fault) = (wanted.image.clone(), layer.clone(), fault.clone());
        Some(Error::Contents(Box::new(contents::Error::Layer { image, layer, fault })))
    }

    /// Forgets what was wrong with the layers of an image: the engine is to say what it makes of them packed.
    pub fn leave_to_engine(&self, wanted: &Wanted) {
        let mut spoiled = self.spoiled.lock().expect("no panic while held");
        for (layer, _) in wanted.layers() {
            spoiled.remove(&layer.digest);
        }
    }

    /// Fetches these blobs.
    pub async fn fetch(&self, digests: &[Digest]) -> Result<(), Error> {
        let fetches =
            stream::iter(digests).map(|digest| async move { self.fetched(digest).await.transpose().map(|_| ()) });
        fetches.buffered(AT_ONCE).try_collect().await
    }

    /// Why a blob could not be given to the engine.
    pub fn failure(&self) -> Option<Error> {
        self.failure.lock().expect("no panic while held").take()
    }

    async fn fetched(&self, digest: &Digest) -> Option<Result<PathBuf, Error>> {
        let blob = self.blobs.get(digest)?;
        let fetch = blob.file.get_or_try_init(|| async {
            let told = |bytes| self.board.fetched(digest, bytes);
            let Blob { descriptor, registry, image, .. } = blob;
            let file = self.store.fetch(registry, image.path(), descriptor, &told).await;
            let file = file.map_err(|error| Error::Fetch { image: Box::new(image.clone()), error })?;
            self.board.here(digest);
            Ok(file)
        });
        Some(fetch.await.cloned())
    }
}
