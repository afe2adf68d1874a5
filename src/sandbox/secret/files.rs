//! Secrets as files: in the memory of the engine's machine, and so on no disk, in no image and in nothing that the engine tells of
//! a container.
//!
//! They are in a volume that is a tmpfs. The kernel drops it when nobody has it mounted, and a container that does not run
//! mounts its volumes only while files are copied. So one copy is begun and not brought to its end, which keeps the volume mounted
//! until the service has started and keeps it itself. No program runs for that, and so nothing is asked of the image. Decision
//! 23 tells why it is so.

use std::collections::BTreeMap;

use super::SandboxKey;
use crate::engine::{Backing, Engine, Error as EngineError, Mount, Source, VolumeSpec, label};
use crate::project::service::EnvValue;
use crate::reference::Digest;
use crate::sandbox::data::{Carrier, Maker};
use crate::sandbox::plan::sandbox_labels;
use crate::sandbox::{Error, Member, SandboxId, ServiceId};

/// Where a container has them.
pub const DIRECTORY: &str = "/run/secrets";
/// How often it is looked whether the volume is kept, before that is given up.
const LOOKS: usize = 200;

/// The secrets of a service that it reads from files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    service: ServiceId,
    /// By their names, which are their paths, too.
    values: Vec<(String, String)>,
}

impl Files {
    /// Those of a service; none where it has none. What is lent, its data came with.
    pub fn of(member: &Member, key: &SandboxKey, lent: &BTreeMap<String, String>) -> Option<Self> {
        let value_of = |name: &String| lent.get(name).cloned().unwrap_or_else(|| key.value(name));
        let file = |value: &EnvValue| match value {
            EnvValue::Secret(secret) if secret.file => Some((secret.secret.clone(), value_of(&secret.secret))),
            _ => None,
        };
        let mut values: Vec<_> = member.service.env.values().filter_map(file).collect();
        values.sort();
        values.dedup();
        (!values.is_empty()).then(|| Self { service: member.id.clone(), values })
    }

    /// Where a container finds one.
    pub fn path(secret: &str) -> String {
        format!("{DIRECTORY}/{secret}")
    }

    /// What they hold: data that was made with other ones is other data.
    pub fn digest(&self) -> Digest {
        Digest::of(format!("{:?}", self.values).as_bytes())
    }

    /// Where each is read, and what it is.
    pub fn by_path(&self) -> impl Iterator<Item = (String, &str)> {
        self.values.iter().map(|(name, value)| (Self::path(name), value.as_str()))
    }

    fn volume(&self, id: &SandboxId) -> String {
        id.secrets(&self.service.app, &self.service.service)
    }

    /// How the service's container has them.
    pub fn mount(&self, id: &SandboxId) -> Mount {
        Mount { target: DIRECTORY.to_owned(), source: Source::VolumeToRead(self.volume(id)) }
    }

    /// Makes the volume, before the container: the engine makes one that it does not know by itself, and on the disk.
    pub async fn prepare(&self, engine: &Engine, id: &SandboxId) -> Result<(), Error> {
        let name = self.volume(id);
        let mut labels: Vec<(String, String)> = sandbox_labels(id).collect();
        labels.push((label::SECRET_FILES.to_owned(), self.service.to_string()));
        let spec = VolumeSpec { name: Some(name.clone()), labels, backing: Backing::Memory };
        // One of that name stays as it is, and may be anything.
        if !engine.create_volume(&spec).await?.labels.contains_key(label::SECRET_FILES) {
            let (verb, detail) = (format!("create volume {name}"), "there is one that is not onramp's".to_owned());
            return Err(EngineError::Refused { verb, status: 0, detail }.into());
        }
        Ok(())
    }

    /// Starts the service's container with them.
    pub async fn start(&self, engine: &Engine, id: &SandboxId, container: &str) -> Result<(), Error> {
        let image = engine.container_facts(container).await?.image_id;
        let maker = Maker { engine, id, image: &image };
        let volume = self.volume(id);
        let keeper = Carrier::called(&maker, &id.carrier(&format!("{volume}.keeper")), &volume).await?;
        let filler = match Carrier::make(&maker, &volume).await {
            Ok(filler) => filler,
            Err(error) => {
                let _ = keeper.end().await;
                return Err(error.into());
            }
        };
        let started = self.fill_and_start(engine, &keeper, &filler, container).await;
        // Both go, whatever came of it; what failed first is what is told.
        let (kept, filled) = (keeper.end().await, filler.end().await);
        started.and(kept.and(filled).map_err(Error::from))
    }

    async fn fill_and_start(
        &self,
        engine: &Engine,
        keeper: &Carrier<'_>,
        filler: &Carrier<'_>,
        container: &str,
    ) -> Result<(), Error> {
        let kept = keeper.keep();
        let mut looks = 0..LOOKS;
        loop {
            filler.put(self.tar()).await?;
            // They are still there only where another one has the volume mounted.
            if filler.has(&self.values[0].0).await? {
                break;
            }
            if looks.next().is_none() {
                let (verb, detail) = ("keep secrets in memory".to_owned(), "they were gone each time".to_owned());
                return Err(EngineError::Broken { verb, detail }.into());
            }
        }
        engine.start_container(container).await?;
        Ok(kept.end().await?)
    }

    fn tar(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, value) in &self.values {
            let mut header = tar::Header::new_gnu();
            header.set_size(value.len() as u64);
            // Whoever runs in the container reads them, and nobody else comes there.
            header.set_mode(0o444);
            tar.append_data(&mut header, name, value.as_bytes()).expect("it is written to memory");
        }
        tar.into_inner().expect("it is written to memory")
    }
}
