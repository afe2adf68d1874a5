//! Images read from their registries: several layers at once, each once, and none that was read before.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::{Mutex, mpsc};

use super::super::store::Store;
use super::facts::Facts;
use super::image::Image;
use super::input::Input;
use super::{Broken, Contents, Error, Fault, Layers, scan};
use crate::event::{Event, Observer};
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Access, Descriptor, Registry};
use crate::task::blocking;

/// How many pieces of a layer wait to be unpacked: the network is not held up by a moment's work, and memory stays small.
const WAITING: usize = 8;
/// How much of a layer in the store is read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// How often a layer whose connection broke is gone on with.
const RESUMED: usize = 3;

/// Reads images, with a cache and without an engine.
pub struct Reader {
    cache: PathBuf,
    offline: bool,
    access: Access,
    observer: Arc<dyn Observer>,
    registries: Mutex<BTreeMap<String, Arc<Registry>>>,
}

/// A layer that was not read before.
struct Missing<'a> {
    image: &'a ImageRef,
    layer: &'a Descriptor,
}

/// How far all layers are.
struct Progress<'a> {
    observer: &'a dyn Observer,
    task: String,
    done: AtomicU64,
    total: u64,
}

impl Reader {
    /// A reader that keeps what it finds in this directory.
    pub fn new(cache: &Path, offline: bool, access: impl Into<Access>, observer: Arc<dyn Observer>) -> Self {
        Self { cache: cache.to_owned(), offline, access: access.into(), observer, registries: Mutex::default() }
    }

    /// The cache directory.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Whether the network may not be used.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// The image's registry, with the user's credentials for it.
    pub async fn registry(&self, image: &ImageRef) -> Result<Arc<Registry>, Error> {
        let mut registries = self.registries.lock().await;
        if let Some(known) = registries.get(image.registry()) {
            return Ok(known.clone());
        }
        let registry = Arc::new(Registry::of_user(image.registry(), &self.access).await?);
        registries.insert(image.registry().to_owned(), registry.clone());
        Ok(registry)
    }

    /// The layers of all these images: what they share is read once.
    pub async fn layers(&self, images: &[&Image]) -> Result<Vec<Layers>, Error> {
        let mut wanted: BTreeMap<&Digest, Missing<'_>> = BTreeMap::new();
        for image in images {
            for layer in &image.layers {
                wanted.entry(&layer.digest).or_insert(Missing { image: &image.reference, layer });
            }
        }
        let mut known = self.known(wanted.keys().map(|digest| (*digest).clone()).collect()).await;
        let mut missing: Vec<Missing<'_>> =
            wanted.into_values().filter(|missing| !known.contains_key(&missing.layer.digest)).collect();
        if !missing.is_empty() {
            known.extend(self.read(&mut missing).await?);
        }
        let of = |image: &&Image| Layers(image.layers.iter().map(|layer| known[&layer.digest].clone()).collect());
        Ok(images.iter().map(of).collect())
    }

    /// What is in an image. Layers that were not read before are read.
    pub async fn contents(&self, image: &Image) -> Result<Contents, Error> {
        let layers = self.layers(&[image]).await?.pop().expect("one was asked for");
        let contents = blocking(move || layers.contents()).await;
        contents.map_err(|error| FileError::io("read", &self.cache.join("layers"))(error).into())
    }

    /// The facts that the cache has.
    async fn known(&self, layers: Vec<Digest>) -> BTreeMap<Digest, Facts> {
        let cache = self.cache.clone();
        blocking(move || {
            layers.into_iter().filter_map(|layer| Facts::load(&cache, &layer).map(|facts| (layer, facts))).collect()
        })
        .await
    }

    /// Reads what is missing, the largest first: what ends last should be small.
    async fn read(&self, missing: &mut Vec<Missing<'_>>) -> Result<Vec<(Digest, Facts)>, Error> {
        missing.sort_by_key(|missing| std::cmp::Reverse(missing.layer.size));
        let total = missing.iter().fold(0_u64, |sum, missing| sum.saturating_add(missing.layer.size));
        let task = match missing.as_slice() {
            [one] => format!("read a layer of {}", one.image.short_name()),
            several => format!("read {} layers", several.len()),
        };
        let progress = Progress { observer: &*self.observer, task, done: AtomicU64::new(0), total };
        progress.observer.started(&progress.task);
        let at_once = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
        let reading = stream::iter(missing.iter()).map(|missing| self.layer(missing, &progress));
        let read = reading.buffer_unordered(at_once).try_collect().await;
        progress.observer.ended(&progress.task);
        read
    }

    async fn layer(&self, missing: &Missing<'_>, progress: &Progress<'_>) -> Result<(Digest, Facts), Error> {
        let Missing { image, layer } = missing;
        let outcome = match self.stored(layer).await {
            Some(outcome) => {
                progress.more(layer.size);
                outcome
            }
            None if self.offline => return Err(Error::Offline { image: (*image).clone(), what: "a layer" }),
            None => {
                let registry = self.registry(image).await?;
                let mirrored = registry.has_mirror();
                match self.fetched(&registry, missing, progress).await {
                    Err(Trouble::Broken(Broken::Digest { .. } | Broken::Size { .. })) if mirrored => {
                        registry.mirror_lied();
                        self.fetched(&registry, missing, progress).await
                    }
                    outcome => outcome,
                }
            }
        };
        let (image, digest) = ((*image).clone(), layer.digest.clone());
        match outcome {
            Ok(facts) => Ok((digest, facts)),
            Err(Trouble::Broken(Broken::Registry(error))) => Err(Error::Fetch { image, layer: digest, error }),
            Err(Trouble::Broken(broken)) => Err(Error::Broken { image, layer: digest, broken }),
            Err(Trouble::Fault(fault)) => Err(Error::Layer { image, layer: digest, fault }),
            Err(Trouble::Cache(error)) => Err(error.into()),
        }
    }

    /// A layer that was pulled: the store of blobs has it. None where it does not, or not as it should be.
    async fn stored(&self, layer: &Descriptor) -> Option<Result<Facts, Trouble>> {
        let (blob, cache) = (layer.clone(), self.cache.clone());
        blocking(move || {
            let store = Store::open(&cache).ok()?;
            let mut file = store.read(&blob.digest).ok()??;
            let outcome = scan_and_keep(&blob, &cache, move || {
                let mut piece = vec![0; PIECE];
                let count = file.read(&mut piece).map_err(Broken::Store)?;
                piece.truncate(count);
                Ok((count > 0).then(|| piece.into()))
            });
            Some(outcome).filter(|outcome| !matches!(outcome, Err(Trouble::Broken(_))))
        })
        .await
    }

    /// A layer as its registry has it.
    async fn fetched(
        &self,
        registry: &Registry,
        missing: &Missing<'_>,
        progress: &Progress<'_>,
    ) -> Result<Facts, Trouble> {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let (blob, cache) = (missing.layer.clone(), self.cache.clone());
        let scanning = blocking(move || scan_and_keep(&blob, &cache, move || receiver.blocking_recv().transpose()));
        let (outcome, ()) = tokio::join!(scanning, pump(registry, missing.image, missing.layer, progress, sender));
        outcome
    }
}

enum Trouble {
    Broken(Broken),
    Fault(Fault),
    Cache(FileError),
}

/// Reads a layer to its last byte, and keeps what it is only then.
fn scan_and_keep(
    blob: &Descriptor,
    cache: &Path,
    source: impl FnMut() -> Result<Option<Bytes>, Broken>,
) -> Result<Facts, Trouble> {
    let mut input = Input::new(blob.size, source);
    let scanned = scan::scan(&mut input, blob.size);
    // Whatever seems to be wrong with the layer, first it must be the layer.
    input.finish(blob).map_err(Trouble::Broken)?;
    let (head, entries) = scanned.map_err(Trouble::Fault)?.facts();
    Facts::save(cache, &blob.digest, head, entries).map_err(Trouble::Cache)
}

/// Sends a blob's bytes on. A connection that breaks is made again, and goes on where it was.
async fn pump(
    registry: &Registry,
    image: &ImageRef,
    blob: &Descriptor,
    progress: &Progress<'_>,
    sender: mpsc::Sender<Result<Bytes, Broken>>,
) {
    let mut sent = 0;
    let mut again = 0..RESUMED;
    let error = loop {
        match send(registry, image, blob, progress, &sender, &mut sent).await {
            Ok(()) => return,
            Err(error) if passes(&error) && again.next().is_some() => {}
            Err(error) => break error,
        }
    };
    // Nobody listens any more where the layer was given up already.
    let _ = sender.send(Err(Broken::Registry(error))).await;
}

async fn send(
    registry: &Registry,
    image: &ImageRef,
    blob: &Descriptor,
    progress: &Progress<'_>,
    sender: &mpsc::Sender<Result<Bytes, Broken>>,
    sent: &mut u64,
) -> Result<(), registry::Error> {
    let range = (*sent > 0).then_some(*sent..blob.size);
    let mut stream = registry.blob(image.path(), blob, range).await?;
    // A registry that ignores the range sends what is here already once more.
    let mut at = stream.offset();
    while let Some(mut bytes) = stream.next().await? {
        let known = sent.saturating_sub(at).min(bytes.len() as u64);
        at += bytes.len() as u64;
        let new = bytes.split_off(usize::try_from(known).map_or(bytes.len(), |known| known));
        if new.is_empty() {
            continue;
        }
        *sent += new.len() as u64;
        progress.more(new.len() as u64);
        if sender.send(Ok(new)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether another try may end better.
fn passes(error: &registry::Error) -> bool {
    matches!(
        error,
        registry::Error::Unreachable { .. } | registry::Error::Truncated { .. } | registry::Error::TimedOut { .. }
    )
}

impl Progress<'_> {
    fn more(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.observer.event(Event::Progress { task: self.task.clone(), done, total: self.total });
    }
}
