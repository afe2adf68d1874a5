//! `snapshot pull`: a snapshot of a registry, verified, into new volumes that have its name once all of it is there.

use std::io::{self, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use serde::Serialize;

use super::Error;
use super::archive::{self, Broken};
use super::document::{self, Contents, Part};
use crate::engine::{Volume, label};
use crate::event::{Event, Observer};
use crate::files::FileError;
use crate::images::store::{Store, Verified};
use crate::name::Name;
use crate::reference::ImageRef;
use crate::registry::{Descriptor, Registry};
use crate::sandbox::data::carrier::{Carrier, Root};
use crate::sandbox::data::snapshot::{self, Snapshot};
use crate::sandbox::data::{Inventory, Maker, clone, freeze, sweep};
use crate::sandbox::{self, SandboxId, secret};
use crate::task::blocking;

/// The largest window of a zstd frame, as a power of two: what our own packing makes, with room.
const WINDOW: u32 = 27;
/// How much is read of a packed layer at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// What `snapshot pull` will do.
#[derive(Clone, Debug, Serialize)]
pub struct PullPlan {
    /// What the snapshot will be called here.
    pub snapshot: Name,
    /// Where it comes from, by digest.
    pub reference: ImageRef,
    /// What it holds.
    #[serde(skip)]
    pub contents: Contents,
    /// How many bytes of it come from the registry, less what the cache has.
    pub fetch: u64,
    /// How many bytes its data takes.
    pub bytes: u64,
    /// Whether it is here already, the very same.
    pub present: bool,
    #[serde(skip)]
    layers: Vec<Descriptor>,
}

/// A pull: where from, where to.
pub struct Pull<'a> {
    /// The registry.
    pub registry: &'a Registry,
    /// Where blobs are kept.
    pub store: &'a Store,
    /// Who is told how far it is.
    pub observer: &'a Arc<dyn Observer>,
}

impl Pull<'_> {
    /// Looks at what lies there, and whether it can be taken under this name.
    pub async fn plan(
        &self,
        inventory: &Inventory,
        id: &SandboxId,
        at: &ImageRef,
        name: &Name,
    ) -> Result<PullPlan, Error> {
        let manifest = self.registry.manifest(at).await?;
        let (config, layers) = document::parts_of(at, &manifest)?;
        let config = self.registry.small_blob(at.path(), &config.digest, document::CAP).await?;
        let contents = Contents::read(at, &config, layers)?;
        if contents.project != id.project.as_str() {
            let (theirs, ours) = (crate::text::neutral_line(&contents.project, 60), id.project.to_string());
            return Err(Error::OtherProject { reference: at.to_string(), theirs, ours });
        }
        let reference = at.at(manifest.digest.clone());
        let present = is_there(inventory, id, name, &reference)?;
        Ok(PullPlan {
            snapshot: name.clone(),
            fetch: layers.iter().map(|layer| layer.size.saturating_sub(self.store.known(layer))).sum(),
            bytes: contents.services.iter().map(|part| part.bytes).sum(),
            layers: layers.to_vec(),
            reference,
            contents,
            present,
        })
    }

    /// Brings its layers into the cache, each verified. What is cut off goes on there the next time.
    pub async fn fetch(&self, plan: &PullPlan) -> Result<(), Error> {
        let task = format!("pull {}", plan.reference.path());
        self.observer.started(&task);
        let done = AtomicU64::new(0);
        let told = |count: u64| {
            let done = done.fetch_add(count, Ordering::Relaxed) + count;
            self.observer.event(Event::Progress { task: task.clone(), done, total: plan.fetch });
        };
        let fetch = |layer| self.store.fetch(self.registry, plan.reference.path(), layer, &told);
        let fetched = try_join_all(plan.layers.iter().map(fetch)).await;
        self.observer.ended(&task);
        fetched?;
        Ok(())
    }

    /// Unpacks it into new volumes, and gives them its name once all are there. The turns on the sandbox and on the
    /// project's snapshots are held.
    pub async fn keep(&self, maker: &Maker<'_>, plan: &PullPlan) -> Result<(), Error> {
        maker.engine.tells_owners("keep whose files are as a snapshot has it")?;
        let (engine, id) = (maker.engine, maker.id);
        let inventory = Inventory::read(engine).await?;
        if is_there(&inventory, id, &plan.snapshot, &plan.reference)? {
            return Ok(());
        }
        Carrier::sweep(engine, id).await?;
        snapshot::remove_cut_off(engine, &inventory, id, &plan.snapshot).await?;
        let kept = self.keep_parts(maker, plan).await;
        // Layers that got no name go, also where it failed; what is in the way of that is told only where nothing else is.
        let swept = sweep(engine, id.as_str(), &[]).await;
        kept?;
        Ok(swept?)
    }

    async fn keep_parts(&self, maker: &Maker<'_>, plan: &PullPlan) -> Result<(), Error> {
        let mut ripe = Vec::new();
        for part in &plan.contents.services {
            let task = format!("unpack the data of {}", part.service);
            self.observer.started(&task);
            let kept = self.unpack(maker, plan, part, &task).await;
            self.observer.ended(&task);
            ripe.push(kept?);
        }
        let marks = snapshot::marks(&plan.snapshot, plan.contents.services.iter().map(|part| &part.service));
        let origin = (label::ARTIFACT.to_owned(), plan.reference.to_string());
        for (part, (base, root, overlay)) in plan.contents.services.iter().zip(&ripe) {
            let mut labels = freeze::labels(maker, &part.service, root, *overlay);
            labels.extend(marks.iter().cloned().chain([origin.clone()]));
            labels.extend(part.seed.iter().map(|seed| (label::SEED.to_owned(), seed.clone())));
            labels.extend(secret::label(&plan.contents.secrets).map(|text| (label::SECRETS.to_owned(), text)));
            let name = snapshot::volume(maker.id, &plan.snapshot, &part.service);
            clone::over(maker, &name, &labels, base, None).await?;
        }
        Ok(())
    }

    /// One service's data in a layer of its own: the layer, its root, and whether others can be laid over it.
    async fn unpack(
        &self,
        maker: &Maker<'_>,
        plan: &PullPlan,
        part: &Part,
        task: &str,
    ) -> Result<(Volume, Root, bool), Error> {
        let base = clone::layer(maker, "base").await?;
        let carrier = Carrier::make(maker, &base.name).await?;
        let filled = self.fill(&carrier, plan, part, task).await;
        let root = if filled.is_ok() { carrier.root().await } else { Ok(Root::of_label("")) };
        carrier.end().await?;
        filled?;
        let name = snapshot::volume(maker.id, &plan.snapshot, &part.service);
        let root = root?;
        let overlay = freeze::can_lie_under(maker, &base, &root, &name).await?;
        Ok((base, root, overlay))
    }

    async fn fill(&self, carrier: &Carrier<'_>, plan: &PullPlan, part: &Part, task: &str) -> Result<(), Error> {
        let failed = |error| Error::File(FileError::io("read", self.store.root())(error));
        let damaged = |why: String| Error::Damaged { reference: plan.reference.to_string(), why };
        let layer = self.store.read(&part.layer)?;
        let layer = layer.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let (reader, writer) = io::pipe().map_err(failed)?;
        let (observer, task, bytes) = (self.observer.clone(), task.to_owned(), part.bytes);
        let writing = blocking(move || {
            let told = |done| observer.event(Event::Progress { task: task.clone(), done, total: bytes });
            unpack(layer, writer, bytes, told)
        });
        let (written, put) = tokio::join!(writing, carrier.fill(reader));
        match written {
            Ok(count) if count == bytes => Ok(put?),
            Ok(count) => Err(damaged(format!("the data of {} has {count} bytes, not {bytes}", part.service))),
            Err(Broken::Refused(why)) => Err(damaged(format!("in the data of {}, {why}", part.service))),
            // The engine took no more: it says why.
            Err(Broken::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(match put {
                Err(put) => put.into(),
                Ok(()) => failed(error),
            }),
            Err(Broken::Io(error)) if error.raw_os_error().is_some() => Err(failed(error)),
            Err(Broken::Io(error)) => {
                let why = crate::text::neutral_line(&error.to_string(), 200);
                Err(damaged(format!("the data of {} cannot be unpacked: {why}", part.service)))
            }
        }
    }
}

/// Whether the very same snapshot has this name; another one that has it is an error.
fn is_there(inventory: &Inventory, id: &SandboxId, name: &Name, reference: &ImageRef) -> Result<bool, Error> {
    let there = snapshot::list(inventory, id).into_iter().find(|there| there.name == name.as_str());
    let digest = |text: &String| text.parse::<ImageRef>().ok()?.digest().cloned();
    match there {
        None => Ok(false),
        Some(Snapshot { artifact: Some(from), .. }) if digest(&from).as_ref() == reference.digest() => Ok(true),
        Some(_) => {
            let (project, snapshot) = (id.project.to_string(), name.to_string());
            Err(sandbox::Error::SnapshotThere { project, snapshot }.into())
        }
    }
}

/// Unpacks a layer of the cache, and writes its tar anew; how many bytes it has. The layer is proven right once this is
/// well. Blocking.
fn unpack(layer: Verified, output: impl Write, bytes: u64, mut told: impl FnMut(u64)) -> Result<u64, Broken> {
    let mut unpacker = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(CHUNK, layer))?;
    unpacker.window_log_max(WINDOW)?;
    let count = archive::copy(&mut unpacker, output, bytes, &mut told)?;
    // To its end, where its digest is compared.
    io::copy(&mut unpacker.finish(), &mut io::sink())?;
    Ok(count)
}
