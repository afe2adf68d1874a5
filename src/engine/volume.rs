//! Volumes: the data that outlives containers.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use jiff::Timestamp;

use super::{Engine, Error, carries, is_status, label, label_filter};

/// A volume to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name; the engine chooses one where there is none.
    pub name: Option<String>,
    /// Its labels, the owner's label aside.
    pub labels: Vec<(String, String)>,
    /// What it holds.
    pub backing: Backing,
}

/// What a volume holds. Paths are those of the engine's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A directory that the engine makes for it.
    Own,
    /// Memory: nothing of it is left once no container has it mounted.
    Memory,
    /// A directory that is there, as it is.
    Directory(String),
    /// Directories laid over each other by the kernel, the highest first; what is written goes to `upper`.
    Overlay {
        /// Those that are only read.
        lower: Vec<String>,
        /// Where what is written goes.
        upper: String,
        /// The kernel's own, on the same file system.
        work: String,
    },
}

/// A volume that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// Where the engine's machine has it.
    pub mountpoint: String,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Backing {
    /// The options of the engine's `local` driver: those of `mount`(8).
    fn options(&self) -> HashMap<String, String> {
        let (kind, device, options) = match self {
            Self::Own => return HashMap::new(),
            Self::Memory => ("tmpfs", "tmpfs".to_owned(), "size=1m,mode=755,nosuid,nodev,noexec".to_owned()),
            Self::Directory(path) => ("none", path.clone(), "bind".to_owned()),
            Self::Overlay { lower, upper, work } => {
                let options = format!("lowerdir={},upperdir={upper},workdir={work}", lower.join(":"));
                ("overlay", "overlay".to_owned(), options)
            }
        };
        HashMap::from([("type".to_owned(), kind.to_owned()), ("device".to_owned(), device), ("o".to_owned(), options)])
    }
}

impl Engine {
    /// Makes a volume and says where it is; one of that name stays as it is.
    pub async fn create_volume(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        let mut labels: HashMap<String, String> = spec.labels.iter().cloned().collect();
        labels.insert(label::OWNER.to_owned(), "onramp".to_owned());
        let request = VolumeCreateRequest {
            name: spec.name.clone(),
            labels: Some(labels),
            driver_opts: Some(spec.backing.options()),
            ..Default::default()
        };
        let made = self.docker.create_volume(request).await;
        made.map(Volume::of)
            .map_err(|e| Self::failed(format!("create volume {}", spec.name.as_deref().unwrap_or_default()), e))
    }

    /// The volumes that onramp made and that carry these labels.
    pub async fn volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<Volume>, Error> {
        let options = ListVolumesOptions { filters: Some(label_filter(labels)) };
        let found = self.docker.list_volumes(Some(options)).await.map_err(|e| Self::failed("list volumes", e))?;
        let all = found.volumes.unwrap_or_default().into_iter().map(Volume::of);
        Ok(all.filter(|volume| carries(&volume.labels, labels)).collect())
    }

    /// Waits until nobody is at work on a volume.
    pub async fn wait_for_volume(&self, name: &str) -> Result<(), Error> {
        match self.docker.inspect_volume(name).await {
            Ok(_) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            Err(error) => Err(Self::failed(format!("inspect volume {name}"), error)),
        }
    }

    /// Removes a volume; one that is not there is removed.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        match self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            Err(error) => Err(Self::failed(format!("remove volume {name}"), error)),
        }
    }
}

impl Volume {
    fn of(raw: bollard::models::Volume) -> Self {
        let created = raw.created_at.and_then(|text| text.parse().ok());
        Self { name: raw.name, labels: raw.labels, mountpoint: raw.mountpoint, created }
    }
}
