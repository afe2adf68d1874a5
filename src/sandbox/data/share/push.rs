//! `snapshot push`: what a snapshot's volumes hold, packed and put into a registry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::Error;
use super::archive::{self, Broken};
use super::document::{self, Contents, LARGEST, MANIFEST, Part};
use crate::engine;
use crate::event::{Event, Observer};
use crate::files::{self, FileError};
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Registry, Upload};
use crate::sandbox::data::carrier::Carrier;
use crate::sandbox::data::clone;
use crate::sandbox::data::snapshot::Snapshot;
use crate::sandbox::data::{Frozen, Maker, sweep};
use crate::sandbox::{self, Member, SandboxKey, ServiceId, plan, secret};
use crate::task::blocking;
use crate::turn;

/// How hard data is packed: zstd's own default, the same bytes for the same data.
const LEVEL: i32 = 3;
/// How many pieces of the engine's tar wait to be packed, at most.
const WAITING: usize = 8;
/// How often is told how far an upload is.
const TOLD: Duration = Duration::from_millis(200);
/// What is as old as this and nobody's, a killed push left.
const LEFT: Duration = Duration::from_mins(1);

/// What is pushed, and what is known of it.
pub struct Wanted<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// The services that the project's sandbox has now.
    pub members: &'a [Member],
    /// The project's name.
    pub project: &'a str,
    /// What the project's tags mean.
    pub lock: &'a Lock,
    /// What this machine's secrets are derived from.
    pub key: &'a SandboxKey,
}

/// What `snapshot push` will do.
#[derive(Clone, Debug, Serialize)]
pub struct PushPlan {
    /// The snapshot.
    pub snapshot: String,
    /// Where it goes.
    pub reference: ImageRef,
    /// The services whose data it holds.
    pub services: Vec<ServiceId>,
    /// Whether what lies under the tag now makes room.
    pub replace: bool,
    #[serde(skip)]
    contents: Contents,
    #[serde(skip)]
    frozen: Vec<Frozen>,
    /// The digest of what lies under the tag.
    #[serde(skip)]
    there: Option<Digest>,
}

/// The data of one service on its way: a file of the cache, gone with this value.
pub struct Packed {
    file: NamedTempFile,
    #[expect(dead_code, reason = "while it is held, the file is somebody's")]
    lock: turn::Lock,
    digest: Digest,
    size: u64,
    bytes: u64,
}

/// What was pushed.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// Where it is, by digest.
    pub reference: ImageRef,
    /// Where it is, as it was asked for.
    pub tag: ImageRef,
    /// How many bytes went to the registry; what it had already did not.
    pub sent: u64,
    /// How many bytes it has there.
    pub size: u64,
}

/// A push: where from, where to.
pub struct Push<'a> {
    /// What reads the volumes; the turns on the sandbox and its project's snapshots are held while it does.
    pub maker: Maker<'a>,
    /// The registry.
    pub registry: &'a Registry,
    /// onramp's cache directory.
    pub cache: &'a Path,
    /// Who is told how far it is.
    pub observer: &'a Arc<dyn Observer>,
}

impl PushPlan {
    /// Looks at what would be pushed, and at what is there.
    pub async fn make(
        registry: &Registry,
        wanted: &Wanted<'_>,
        reference: ImageRef,
        replace: bool,
    ) -> Result<Self, Error> {
        let snapshot = wanted.snapshot;
        let mut contents = Contents {
            schema: 1,
            project: wanted.project.to_owned(),
            snapshot: snapshot.name.clone(),
            made: snapshot.made.clone(),
            services: Vec::new(),
            secrets: BTreeMap::new(),
        };
        for (service, frozen) in &snapshot.parts {
            let member = wanted.members.iter().find(|member| member.id == *service);
            let Some((member, data)) = member.and_then(|member| Some((member, member.service.data.clone()?))) else {
                let services = vec![service.to_string()];
                return Err(sandbox::Error::NotOurs { snapshot: snapshot.name.clone(), services }.into());
            };
            let image = member.service.image.as_ref().or(member.service.fallback.as_ref());
            let image = image.filter(|_| !member.own || member.service.build.is_none());
            let image = image.map(|image| plan::pinned(image, wanted.lock)).transpose()?;
            // What it was told when it was filled is in its data: values of another machine where it was pulled.
            let mut secrets = secret::of(&member.service, wanted.key);
            secrets.extend(secret::lent(frozen.secrets.as_deref()));
            contents.secrets.extend(secrets);
            let (service, seed) = (service.clone(), frozen.seed.clone());
            // Until it is packed, its layer is not known.
            let (layer, bytes) = (Digest::of(b""), 0);
            contents.services.push(Part { service, image, data, seed, layer, bytes });
        }
        let there = match registry.alone().manifest(&reference).await {
            Ok(manifest) => Some(manifest),
            Err(registry::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let same = |manifest: &registry::Manifest| {
            document::parts_of(&reference, manifest).is_ok() && document::made(manifest) == Some(&snapshot.made)
        };
        let other = there.as_ref().filter(|manifest| !same(manifest));
        if let Some(other) = other.filter(|_| !replace) {
            let made = document::made(other).map(|made| crate::text::neutral_line(made, 40));
            return Err(Error::Taken { reference: reference.to_string(), made });
        }
        Ok(Self {
            snapshot: snapshot.name.clone(),
            services: snapshot.parts.keys().cloned().collect(),
            replace: other.is_some(),
            contents,
            frozen: snapshot.parts.values().cloned().collect(),
            there: there.map(|manifest| manifest.digest),
            reference,
        })
    }
}

impl Push<'_> {
    /// Packs the data of every service.
    pub async fn pack(&self, plan: &PushPlan) -> Result<Vec<Packed>, Error> {
        self.maker.engine.tells_owners("tell whose the files of a snapshot are")?;
        let place = self.cache.join("snapshots");
        let swept = place.clone();
        blocking(move || sweep_left(&swept)).await?;
        Carrier::sweep(self.maker.engine, self.maker.id).await?;
        let mut packed = Vec::new();
        for frozen in &plan.frozen {
            let task = format!("pack the data of {}", frozen.service);
            self.observer.started(&task);
            let read = Reading::of(self.maker, frozen).await?;
            let done = self.pack_one(&read.carrier, &frozen.service, &place, &task).await;
            let ended = read.end(self.maker).await;
            self.observer.ended(&task);
            packed.push(done?);
            ended?;
        }
        Ok(packed)
    }

    async fn pack_one(
        &self,
        carrier: &Carrier<'_>,
        service: &ServiceId,
        place: &Path,
        task: &str,
    ) -> Result<Packed, Error> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (place, observer, name) = (place.to_owned(), self.observer.clone(), task.to_owned());
        let packing = blocking(move || {
            let told = |done| observer.event(Event::Progress { task: name.clone(), done, total: 0 });
            pack(Pieces { receiver, piece: Bytes::new() }, &place, told)
        });
        let reading = async {
            let mut stream = std::pin::pin!(carrier.read());
            while let Some(piece) = stream.next().await {
                // Whoever packs has ended where nobody takes it.
                if sender.send(piece.map_err(io::Error::other)).await.is_err() {
                    break;
                }
            }
            drop(sender);
        };
        let (packed, ()) = tokio::join!(packing, reading);
        packed.map_err(|broken| match broken {
            Unpacked::Broken(Broken::Refused(why)) => Error::NotPushable { service: service.to_string(), why },
            Unpacked::Broken(Broken::Io(error)) => match error.downcast::<engine::Error>() {
                Ok(error) => error.into(),
                Err(error) => FileError::io("pack", Path::new(&service.to_string()))(error).into(),
            },
            Unpacked::File(error) => error.into(),
        })
    }

    /// Puts what was packed into the registry: what it has not, and the tag last.
    pub async fn upload(&self, plan: &PushPlan, packed: &[Packed]) -> Result<Pushed, Error> {
        let (path, mut contents) = (plan.reference.path(), plan.contents.clone());
        let mut sizes = BTreeMap::new();
        let mut sent = 0;
        for (part, packed) in contents.services.iter_mut().zip(packed) {
            (part.layer, part.bytes) = (packed.digest.clone(), packed.bytes);
            sizes.insert(packed.digest.clone(), packed.size);
            if !self.registry.has_blob(path, &packed.digest).await? {
                self.send(path, packed, &format!("push the data of {}", part.service)).await?;
                sent += packed.size;
            }
        }
        let config = contents.to_bytes();
        let manifest = contents.manifest(&sizes);
        let digest = Digest::of(&manifest);
        let size = sizes.values().sum::<u64>() + config.len() as u64;
        if plan.there.as_ref() != Some(&digest) {
            sent += config.len() as u64;
            let (digest, size) = (Digest::of(&config), config.len() as u64);
            self.registry.push_blob(path, &digest, size, Upload::from(config)).await?;
            self.registry.push_manifest(&plan.reference, MANIFEST, manifest).await?;
        }
        Ok(Pushed { reference: plan.reference.at(digest), tag: plan.reference.clone(), sent, size })
    }

    async fn send(&self, path: &str, packed: &Packed, task: &str) -> Result<(), Error> {
        self.observer.started(task);
        let moved = Arc::new(AtomicU64::new(0));
        let upload = Upload::Watched(packed.file.path().to_owned(), moved.clone());
        let push = self.registry.push_blob(path, &packed.digest, packed.size, upload);
        let telling = async {
            loop {
                tokio::time::sleep(TOLD).await;
                let (done, total) = (moved.load(Ordering::Relaxed).min(packed.size), packed.size);
                self.observer.event(Event::Progress { task: task.to_owned(), done, total });
            }
        };
        let pushed = tokio::select! {
            pushed = push => pushed,
            () = telling => unreachable!("it tells until the push is done"),
        };
        self.observer.ended(task);
        Ok(pushed?)
    }
}

/// A frozen volume, mounted so that it can be read: where it is layers laid over each other, they are laid under one more.
struct Reading<'a> {
    carrier: Carrier<'a>,
    trial: Option<String>,
}

impl<'a> Reading<'a> {
    async fn of(maker: Maker<'a>, frozen: &Frozen) -> Result<Self, engine::Error> {
        let (mut volume, mut trial) = (frozen.name.clone(), None);
        if frozen.overlay {
            volume = format!("onramp.{}.reading.{}", maker.id, Digest::of(frozen.name.as_bytes()).short());
            // What a killed push left may lie on what is gone.
            maker.engine.remove_volume(&volume).await?;
            clone::trial(&maker, frozen, &volume).await?;
            trial = Some(volume.clone());
        }
        Ok(Self { carrier: Carrier::make(&maker, &volume).await?, trial })
    }

    async fn end(self, maker: Maker<'_>) -> Result<(), engine::Error> {
        self.carrier.end().await?;
        if let Some(trial) = self.trial {
            maker.engine.remove_volume(&trial).await?;
            sweep(maker.engine, maker.id.as_str(), &[]).await?;
        }
        Ok(())
    }
}

/// Why data was not packed.
enum Unpacked {
    Broken(Broken),
    File(FileError),
}

/// Writes a tar anew, packs it into a file of the cache, and hashes that. Blocking.
fn pack(input: impl Read, place: &Path, mut told: impl FnMut(u64)) -> Result<Packed, Unpacked> {
    let failed = |error| Unpacked::File(FileError::io("write", place)(error));
    files::private_directory(place).map_err(Unpacked::File)?;
    let file = tempfile::Builder::new().prefix(".onramp-").tempfile_in(place).map_err(failed)?;
    let lock = turn::Lock::take(file.reopen().map_err(failed)?).map_err(|(_, error)| failed(error.into()))?;
    let output = Hashed { output: file.as_file(), hash: Sha256::new(), count: 0 };
    let mut packer = zstd::stream::write::Encoder::new(output, LEVEL).map_err(failed)?;
    let bytes = archive::copy(input, &mut packer, LARGEST, &mut told).map_err(Unpacked::Broken)?;
    let Hashed { hash, count, .. } = packer.finish().map_err(failed)?;
    Ok(Packed { digest: Digest::from_hash(&hash.finalize()), size: count, bytes, file, lock })
}

/// Takes away what killed pushes left.
fn sweep_left(place: &Path) -> Result<(), FileError> {
    let Ok(found) = std::fs::read_dir(place) else { return Ok(()) };
    for entry in found {
        let path = entry.map_err(FileError::io("read", place))?.path();
        let Ok(file) = File::open(&path) else { continue };
        let age = file.metadata().ok().and_then(|data| data.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > LEFT) && turn::Lock::take(file).is_ok() {
            std::fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The engine's tar as it comes, piece by piece.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Hashes and counts what is written.
struct Hashed<W> {
    output: W,
    hash: Sha256,
    count: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
