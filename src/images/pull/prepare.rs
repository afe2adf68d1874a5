//! What a pull will take: which layers are missing, how many bytes must be fetched, whether the engine can use them and
//! the disks hold them. Asked of the registry and the engine; nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::super::Error;
use super::super::contents::Documents;
use super::super::store::Store;
use super::board::Part;
use super::platform::{self, Runs};
use super::room::{self, Need};
use super::{AT_ONCE, Pull};
use crate::files;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Config, Content, Descriptor, Manifest, Registry};
use crate::text;

/// The largest config, in bytes, as the distribution project's registry has it.
const CONFIG_CAP: u64 = 4 * 1024 * 1024;

/// What the pull of one image takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// The platform that is pulled.
    pub platform: String,
    /// Whether the engine runs it through an emulator, or not at all.
    pub foreign: bool,
    /// How many layers it has.
    pub layers: usize,
    /// How many of them the engine has already.
    pub shared: usize,
    /// Bytes to fetch, packed.
    pub fetch: u64,
    /// About how many bytes they are, unpacked.
    pub unpacked: u64,
}

/// A pull, prepared.
#[derive(Default)]
pub struct Prepared {
    pub(super) store: Option<Arc<Store>>,
    pub(super) images: Vec<Wanted>,
    /// Bytes to fetch for all of them together: what they share counts once.
    pub fetch: u64,
    /// About how many bytes that is, unpacked.
    pub unpacked: u64,
}

/// An image that is to be pulled.
pub struct Wanted {
    pub image: ImageRef,
    pub registry: Arc<Registry>,
    /// The platform's own.
    pub manifest: Manifest,
    /// The platform where it is not the engine's own choice.
    pub platform: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    /// The digests of its layers, unpacked.
    unpacked: Vec<Digest>,
    runs: Runs,
    details: Details,
}

impl Prepared {
    /// What each image takes.
    pub fn details(&self) -> BTreeMap<&ImageRef, &Details> {
        self.images.iter().map(|wanted| (&wanted.image, &wanted.details)).collect()
    }

    /// What should be known before it begins.
    pub(super) fn warnings(&self, root: Option<&Path>) -> Vec<String> {
        let mut texts = Vec::new();
        for wanted in &self.images {
            texts.extend(foreign(wanted.image.path(), &wanted.details.platform, wanted.runs));
        }
        if let Some(free) = root.and_then(room::free).filter(|free| *free < self.unpacked) {
            let (unpacked, free) = (text::bytes(self.unpacked), text::bytes(free));
            texts.push(format!("unpacked, the images need about {unpacked}, and {free} are free"));
        }
        texts
    }
}

impl Wanted {
    /// What people read of its pull.
    pub fn task(&self) -> String {
        let short = self.image.digest().map_or("", |digest| digest.short());
        format!("pull {}@{short}", self.image.path())
    }

    /// Config and layers.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        [&self.config].into_iter().chain(&self.layers).collect()
    }

    /// Its config.
    pub fn config(&self) -> &Descriptor {
        &self.config
    }

    /// Its layers, lowest first, each with the digest of what it unpacks to.
    pub fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Digest)> {
        self.layers.iter().zip(&self.unpacked)
    }

    /// How many of its layers, from the lowest on, the engine has already.
    pub fn shared(&self) -> usize {
        self.details.shared
    }

    /// Its layers for the bars.
    pub fn parts(&self, store: &Store) -> Vec<Part> {
        let part = |(layer, unpacked): (&Descriptor, &Digest)| Part {
            packed: layer.digest.clone(),
            unpacked: unpacked.clone(),
            total: layer.size,
            known: store.known(layer),
        };
        self.layers().map(part).collect()
    }

    /// Whether an engine's image id says that it is this image: engines take the config's digest for it, or, with
    /// containerd's store, the manifest's or the index's.
    pub fn is(&self, id: &str) -> bool {
        let own = [Some(&self.config.digest), Some(&self.manifest.digest), self.image.digest()];
        own.into_iter().flatten().any(|digest| digest.as_str() == id)
    }
}

/// The blobs of these images in the order in which the engine needs them: the lowest layers of all come first. What it
/// has already it does not ask for.
pub fn order<'a>(images: impl Iterator<Item = &'a Wanted>) -> Vec<Digest> {
    let missing: Vec<Vec<&Descriptor>> = images
        .map(|wanted| [&wanted.config].into_iter().chain(&wanted.layers[wanted.details.shared..]).collect())
        .collect();
    let deepest = missing.iter().map(Vec::len).max().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let all = (0..deepest).flat_map(|level| missing.iter().filter_map(move |layers| layers.get(level)));
    all.filter(|blob| seen.insert(&blob.digest)).map(|blob| blob.digest.clone()).collect()
}

impl Pull<'_> {
    /// Asks what the pull of these images, all by digest and not in the engine, will take.
    pub async fn prepare(&self, images: &[ImageRef]) -> Result<Prepared, Error> {
        if images.is_empty() {
            return Ok(Prepared::default());
        }
        let store = Arc::new(Store::open(self.cache)?);
        let hosts: BTreeSet<&str> = images.iter().map(ImageRef::registry).collect();
        let open = hosts.into_iter().map(|host| async move {
            Ok::<_, Error>((host, Arc::new(Registry::of_user(host, &self.registries).await?)))
        });
        let registries: BTreeMap<&str, Arc<Registry>> = try_join_all(open).await?.into_iter().collect();
        let looks = stream::iter(images).map(|image| self.look(image, &registries[image.registry()], &store));
        let looks = looks.buffered(AT_ONCE).try_collect::<Vec<Wanted>>();
        // One that is not fed is asked for nothing that it alone makes use of: it is a call for each of its images.
        let here = self.engine.place().is_fed();
        let known = async { if here { self.engine.layers().await.map_err(Error::from) } else { Ok(Vec::new()) } };
        let (mut images, known) = try_join(looks, known).await?;
        self.check_zstd(&images).await?;
        let (mut fetch, mut unpacked, mut packed, mut seen) = (0_u64, 0_u64, 0_u64, BTreeSet::new());
        for wanted in &mut images {
            let shared = known.iter().map(|layers| common(layers, &wanted.unpacked)).max().unwrap_or_default();
            wanted.details.shared = shared;
            for layer in &wanted.layers[shared..] {
                // An engine elsewhere fetches by itself.
                let missing = if here { layer.size.saturating_sub(store.known(layer)) } else { layer.size };
                let size = room::unpacked(&layer.media_type, layer.size);
                wanted.details.fetch = wanted.details.fetch.saturating_add(missing);
                wanted.details.unpacked = wanted.details.unpacked.saturating_add(size);
                if seen.insert(layer.digest.clone()) {
                    fetch = fetch.saturating_add(missing);
                    packed = packed.saturating_add(layer.size);
                    unpacked = unpacked.saturating_add(size);
                }
            }
        }
        let own = here.then_some(Need { path: store.root(), bytes: fetch });
        // No layer is smaller unpacked; how much larger it is nobody knows before.
        let engines = self.engine.place().root.as_deref().map(|path| Need { path, bytes: packed });
        let names: Vec<&ImageRef> = images.iter().map(|wanted| &wanted.image).collect();
        room::check(&own.into_iter().chain(engines).collect::<Vec<_>>(), &names)?;
        Ok(Prepared { store: Some(store), images, fetch, unpacked })
    }

    /// An image's manifest and layers, for the platform that is to be pulled.
    async fn look(&self, image: &ImageRef, registry: &Arc<Registry>, store: &Store) -> Result<Wanted, Error> {
        let wrong = |detail: &str| {
            let (host, what) = (registry.host().to_owned(), image.to_string());
            registry::Error::Protocol { host, what, detail: detail.to_owned() }
        };
        let top = match registry.manifest(image).await {
            Err(registry::Error::NotFound { .. }) => return Err(Error::Absent { image: Box::new(image.clone()) }),
            other => other?,
        };
        // What was pulled is inspected without a network, too.
        let documents = Documents::of(self.cache);
        documents.keep(&top.digest, &top.bytes)?;
        let place = self.engine.place();
        let there = match &top.content {
            Content::Index(_) => top.platforms(),
            Content::Image { config, .. } => {
                let config = read_config(registry, image, config, store, &documents).await?;
                [(config.platform.name(), top.digest.clone())].into()
            }
        };
        let emulates = |name: &str| place.here && platform::emulates(name);
        let choice = platform::choose(&there, self.platform, &place.platform, emulates);
        let choice = choice.ok_or_else(|| Error::Foreign {
            image: Box::new(image.clone()),
            there: there.keys().cloned().collect(),
            platform: self.platform.unwrap_or(&place.platform).to_owned(),
        })?;
        let manifest =
            if choice.digest == top.digest { top } else { registry.listed(image, &top, &choice.digest).await? };
        documents.keep(&manifest.digest, &manifest.bytes)?;
        let Content::Image { config, layers } = &manifest.content else {
            return Err(wrong("an index inside an index").into());
        };
        let (config, layers) = (config.clone(), layers.clone());
        let unpacked = read_config(registry, image, &config, store, &documents).await?.rootfs.diff_ids;
        if unpacked.len() != layers.len() {
            return Err(wrong("its config and its manifest have different layers").into());
        }
        let foreign = choice.runs != Runs::Natively;
        Ok(Wanted {
            image: image.clone(),
            registry: registry.clone(),
            platform: (foreign || self.platform.is_some()).then(|| choice.name.clone()),
            details: Details { platform: choice.name, foreign, layers: layers.len(), shared: 0, fetch: 0, unpacked: 0 },
            runs: choice.runs,
            manifest,
            config,
            layers,
            unpacked,
        })
    }

    /// Names what the engine could not unpack before anything is fetched for it.
    async fn check_zstd(&self, images: &[Wanted]) -> Result<(), Error> {
        let packed = |layer: &Descriptor| layer.media_type.ends_with("zstd");
        let Some(wanted) = images.iter().find(|wanted| wanted.layers.iter().any(packed)) else { return Ok(()) };
        if self.engine.reads_zstd().await? {
            return Ok(());
        }
        Err(Error::Zstd { image: Box::new(wanted.image.clone()), engine: self.engine.version().await? })
    }
}

async fn read_config(
    registry: &Registry,
    image: &ImageRef,
    config: &Descriptor,
    store: &Store,
    documents: &Documents,
) -> Result<Config, Error> {
    if config.size > CONFIG_CAP {
        let (host, what) = (registry.host().to_owned(), format!("the config of {}", image.path()));
        return Err(registry::Error::TooLarge { host, what, cap: CONFIG_CAP }.into());
    }
    let file = store.fetch(registry, image.path(), config, &|_| {}).await;
    let file = file.map_err(|error| Error::Fetch { image: Box::new(image.clone()), error })?;
    let bytes = files::read(&file, CONFIG_CAP)?;
    documents.keep(&config.digest, &bytes)?;
    Ok(registry.read_config(image.path(), &bytes)?)
}

/// What should be known of an image that is for another machine than this one.
fn foreign(image: &str, platform: &str, runs: Runs) -> Option<String> {
    let what = match runs {
        Runs::Natively => return None,
        Runs::Emulated => "it runs emulated here, and slowly",
        Runs::No => "this machine cannot run it",
    };
    Some(format!("{image} is for {platform}: {what}"))
}

/// How many layers, from the lowest on, two images share.
fn common(a: &[Digest], b: &[Digest]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulated_image_is_told_before_it_is_pulled() {
        let told = |runs| foreign("base/php", "linux/arm64", runs);
        assert_eq!(told(Runs::Natively), None);
        assert_eq!(told(Runs::Emulated).unwrap(), "base/php is for linux/arm64: it runs emulated here, and slowly");
        assert_eq!(told(Runs::No).unwrap(), "base/php is for linux/arm64: this machine cannot run it");
    }
}
