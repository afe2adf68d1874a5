//! Containers: made from a specification, watched, read, removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use bollard::container::LogOutput;
use bollard::models::{
    ContainerCreateBody, ContainerSummaryStateEnum, EndpointIpamConfig, EndpointSettings, HostConfig,
    Mount as RawMount, MountType, MountVolumeOptions, NetworkingConfig, PortBinding as RawBinding,
};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, EventsOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, UploadToContainerOptions, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::{Engine, Error, Limits, Root, SCRATCH, TMPFS, carries, is_status, label, label_filter};
use crate::task::blocking;
use crate::text::neutral;

/// How long copying between volumes may take.
pub(super) const COPYING: std::time::Duration = std::time::Duration::from_hours(6);
/// How much of a tar is sent at once, in bytes.
const CHUNK: usize = 1024 * 1024;

/// What every container may do: what programs need that begin as the superuser and go on as somebody else.
pub const CAPABILITIES: [&str; 8] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// A container to make. Its digest decides whether a running one is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The image: an id, or `repository@digest`.
    pub image: String,
    /// The program to run instead of the image's own.
    pub command: Option<Vec<String>>,
    /// The program to run instead of the one that the image gives its program to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Who it runs as instead of the image's own user. Where it says nothing, containers that were made before it was there
    /// stay the same; so it is with the limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Labels, the owner's and the specification's aside.
    pub labels: BTreeMap<String, String>,
    /// The network it is on.
    pub network: String,
    /// Names that other containers on the network reach it by.
    pub aliases: Vec<String>,
    /// Names that only this container knows others by: name and container.
    pub links: BTreeMap<String, String>,
    /// Its own address on the network, by its last number; where an engine cannot link, addresses are given and not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<u8>,
    /// Names that only this container knows others by, likewise: name and the last number of the address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, u8>,
    /// Whether it may reach names outside.
    pub egress: bool,
    /// Names that stand for the machine's own address on the network.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub gateway_names: BTreeSet<String>,
    /// A port in the container published on 127.0.0.1.
    pub port: Option<PortBinding>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Whether its image's files can be written to.
    #[serde(skip_serializing_if = "Root::is_unsaid")]
    pub root: Root,
    /// Directories that are empty at its start, in memory.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tmpfs: BTreeSet<String>,
    /// What it may take.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// What it may do beside what every container may, in the kernel's words: `SYS_NICE`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// Whether the engine starts it again when it or the engine ends.
    pub restart: bool,
}

/// What a container says of itself and never of its image: where it says nothing, it is empty, and counts as not there.
const NOT_INHERITED: [&str; 6] =
    [label::SERVICE, label::REACHES, label::WITH, label::HOSTNAME, label::ROUTER, label::PORT];

/// Where a published port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it is reached on this machine: on loopback, or where that is not possible at the container's own address.
    pub at: SocketAddr,
    /// The container's own address, where this machine shares the engine's networks.
    pub own: Option<SocketAddr>,
}

/// What is written by nobody but us, before a container starts.
struct Given {
    gateway: Option<IpAddr>,
    read_only: bool,
    /// Whether its network publishes nothing.
    unpublished: bool,
}

impl Given {
    /// Another address of the machine's own network.
    fn beside(&self, number: u8) -> Option<IpAddr> {
        match self.gateway? {
            IpAddr::V4(gateway) => {
                let [a, b, c, _] = gateway.octets();
                Some(IpAddr::from([a, b, c, number]))
            }
            IpAddr::V6(_) => None,
        }
    }
}

/// A published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PortBinding {
    /// In the container.
    pub container: u16,
    /// On 127.0.0.1; chosen when the container starts if none.
    pub host: Option<u16>,
}

/// Something mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mount {
    /// Where in the container.
    pub target: String,
    /// What.
    pub source: Source,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Source {
    /// A volume, by name.
    Volume(String),
    /// The same, to be read only.
    VolumeToRead(String),
    /// A directory of this machine.
    Directory(String),
    /// Nothing: a directory of the container's own, empty at the beginning whatever its image has there.
    Empty,
}

/// A container that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of its image.
    pub image_id: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it runs.
    pub running: bool,
    /// Whether it was ever started. One that was not may lack what is put into it before.
    pub started: bool,
    /// `Up 3 seconds`, `Exited (1) 2 minutes ago`.
    pub status: String,
    /// Where its port is reached on this machine: on loopback, or where that is not possible at its own address.
    pub address: Option<SocketAddr>,
    /// The addresses that it has now, each on one network.
    pub addresses: Vec<IpAddr>,
}

/// How a container was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFacts {
    /// The id of its image.
    pub image_id: String,
    /// The program that it runs, the image's own where nothing else was said.
    pub command: Vec<String>,
    /// Who it runs as, likewise; empty is the superuser.
    pub user: String,
    /// Its environment variables, the image's own among them.
    pub env: BTreeMap<String, String>,
    /// The ports of it that are published.
    pub ports: Vec<u16>,
    /// What it may take.
    pub limits: Limits,
    /// Where something is mounted.
    pub mounts: BTreeSet<String>,
    /// Whether its image's files cannot be written to.
    pub read_only: bool,
}

/// How a container that was waited for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its exit code.
    pub exit_code: i64,
}

impl Watch {
    /// Whether it was ended by force: it exits with 128 and the signal's number.
    pub fn by_force(self) -> bool {
        self.exit_code == 128 + 9
    }
}

/// Which part of a container's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Only so many of its last lines, to begin with.
    pub tail: Option<u32>,
    /// Only what was written then or later.
    pub since: Option<Timestamp>,
    /// Also what comes.
    pub follow: bool,
}

/// One line of a container's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written; none where the engine does not say.
    pub at: Option<Timestamp>,
    /// Whether it was written to stderr.
    pub stderr: bool,
    /// The line, neutral.
    pub text: String,
}

impl ContainerSpec {
    /// The digest of everything above.
    pub fn digest(&self) -> crate::reference::Digest {
        crate::reference::Digest::of(&serde_json::to_vec(self).expect("a specification is plain data"))
    }

    /// The same with another volume in the place of one.
    #[must_use]
    pub fn on(&self, volume: &str, other: &str) -> Self {
        let mut spec = self.clone();
        for mount in &mut spec.mounts {
            if mount.source == Source::Volume(volume.to_owned()) {
                mount.source = Source::Volume(other.to_owned());
            }
        }
        spec
    }

    /// The directories in memory, and how each is made. Where something else is mounted, that counts.
    fn in_memory(&self, read_only: bool) -> HashMap<String, String> {
        let scratch = SCRATCH.into_iter().filter(|_| read_only).map(str::to_owned);
        let all = scratch.chain(self.tmpfs.iter().cloned());
        let free = all.filter(|path| self.mounts.iter().all(|mount| mount.target != *path));
        free.map(|path| (path, TMPFS.to_owned())).collect()
    }

    fn body(&self, given: &Given) -> ContainerCreateBody {
        let mut labels: HashMap<String, String> = self.labels.clone().into_iter().collect();
        labels.insert(label::OWNER.to_owned(), "onramp".to_owned());
        labels.insert(label::SPEC.to_owned(), self.digest().to_string());
        // Labels are inherited: what an image says here must not count.
        for key in NOT_INHERITED {
            labels.entry(key.to_owned()).or_default();
        }
        let exposed = self.port.map(|port| format!("{}/tcp", port.container));
        if let Some(port) = self.port.filter(|_| given.unpublished) {
            labels.insert(label::PORT.to_owned(), port.container.to_string());
        }
        let binding = self.port.filter(|_| !given.unpublished).map(|port| {
            let host_port = port.host.map_or_else(|| "0".to_owned(), |host| host.to_string());
            RawBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host_port) }
        });
        let endpoint = EndpointSettings {
            aliases: Some(self.aliases.clone()),
            ipam_config: self
                .address
                .and_then(|number| given.beside(number))
                .map(|address| EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() }),
            links: Some(self.links.iter().map(|(name, container)| format!("{container}:{name}")).collect()),
            ..Default::default()
        };
        let gate =
            given.gateway.into_iter().flat_map(|gateway| self.gateway_names.iter().map(move |name| (name, gateway)));
        let hosts = self.hosts.iter().filter_map(|(name, number)| Some((name, given.beside(*number)?)));
        let hosts: Vec<String> = gate.chain(hosts).map(|(name, address)| format!("{name}:{address}")).collect();
        let restart = self.restart.then(|| bollard::models::RestartPolicy {
            name: Some(bollard::models::RestartPolicyNameEnum::UNLESS_STOPPED),
            ..Default::default()
        });
        let mut host_config = HostConfig {
            network_mode: Some(self.network.clone()),
            port_bindings: exposed
                .clone()
                .zip(binding)
                .map(|(port, binding)| HashMap::from([(port, Some(vec![binding]))])),
            mounts: Some(self.mounts.iter().map(Mount::raw).collect()),
            // No way out also means no names from outside: the resolver's own upstream is a dead end.
            dns: (!self.egress).then(|| vec!["127.0.0.1".to_owned()]),
            extra_hosts: Some(hosts).filter(|hosts| !hosts.is_empty()),
            readonly_rootfs: Some(given.read_only),
            tmpfs: Some(self.in_memory(given.read_only)),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(CAPABILITIES.into_iter().map(str::to_owned).chain(self.capabilities.clone()).collect()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            restart_policy: restart,
            ..Default::default()
        };
        self.limits.put(&mut host_config);
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: self.command.clone(),
            entrypoint: self.entrypoint.clone(),
            user: self.user.clone(),
            env: Some(self.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            labels: Some(labels),
            exposed_ports: exposed.map(|port| vec![port]),
            host_config: Some(host_config),
            networking_config: (self.network != "none").then(|| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.network.clone(), endpoint)])),
            }),
            ..Default::default()
        }
    }
}

impl Mount {
    fn raw(&self) -> RawMount {
        let (typ, source) = match &self.source {
            Source::Volume(name) | Source::VolumeToRead(name) => (MountType::VOLUME, Some(name.clone())),
            Source::Directory(path) => (MountType::BIND, Some(path.clone())),
            Source::Empty => (MountType::VOLUME, None),
        };
        let empty = MountVolumeOptions { no_copy: Some(true), ..Default::default() };
        RawMount {
            target: Some(self.target.clone()),
            volume_options: source.is_none().then_some(empty),
            source,
            typ: Some(typ),
            read_only: Some(matches!(self.source, Source::VolumeToRead(_))),
            ..Default::default()
        }
    }
}

impl Engine {
    /// Makes a container; its id.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String, Error> {
        let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
        let alone = spec.gateway_names.is_empty() && spec.address.is_none() && spec.hosts.is_empty();
        let gateway = if alone { None } else { self.gateway(&spec.network).await? };
        let gateway = gateway.map(|gateway| gateway.address);
        let unpublished = self.place().plain && !spec.egress;
        let read_only = self.is_read_only(spec).await?;
        match self.docker.create_container(Some(options), spec.body(&Given { gateway, read_only, unpublished })).await {
            Ok(made) => Ok(made.id),
            Err(error) if is_status(&error, 404) => Err(Error::NoImage { image: spec.image.clone() }),
            Err(error) => Err(Self::failed(format!("create container {}", spec.name), error)),
        }
    }

    /// Starts a container; one that runs is started.
    pub async fn start_container(&self, name: &str) -> Result<(), Error> {
        match self.docker.start_container(name, None).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 304) => Ok(()),
            Err(error) => Err(Self::failed(format!("start container {name}"), error)),
        }
    }

    /// Ends a container at once and removes it with its anonymous volumes; one that is not there is removed.
    pub async fn remove_container(&self, name: &str) -> Result<(), Error> {
        self.forget_forwards(name).await;
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // 409: another call is removing it already.
            Err(error) if is_status(&error, 404) || is_status(&error, 409) => Ok(()),
            Err(error) => Err(Self::failed(format!("remove container {name}"), error)),
        }
    }

    /// Asks a container to end, and waits for it, `grace` seconds at most before it is ended.
    pub async fn stop_container(&self, name: &str, grace: u8) -> Result<(), Error> {
        let options = bollard::query_parameters::StopContainerOptions { t: Some(grace.into()), signal: None };
        match self.docker.stop_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) || is_status(&error, 304) => Ok(()),
            Err(error) => Err(Self::failed(format!("stop container {name}"), error)),
        }
    }

    /// The containers that onramp made and that carry these labels, ended ones too.
    pub async fn containers(&self, labels: &[(&str, &str)]) -> Result<Vec<Container>, Error> {
        let options = ListContainersOptions { all: true, filters: Some(label_filter(labels)), ..Default::default() };
        let found = self.docker.list_containers(Some(options)).await.map_err(|e| Self::failed("list containers", e))?;
        let container = |raw: bollard::models::ContainerSummary| {
            let name = raw.names.unwrap_or_default().into_iter().next().unwrap_or_default();
            let networks = raw.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
            let address = |endpoint: &EndpointSettings| endpoint.ip_address.as_deref()?.parse().ok();
            let published = raw.ports.unwrap_or_default().into_iter().find_map(|port| port.public_port);
            let mut labels = raw.labels.unwrap_or_default();
            labels.retain(|key, value| !(value.is_empty() && NOT_INHERITED.contains(&key.as_str())));
            let addresses: Vec<IpAddr> = networks.values().filter_map(address).collect();
            let name = name.trim_start_matches('/').to_owned();
            Container {
                id: raw.id.unwrap_or_default(),
                image_id: raw.image_id.unwrap_or_default(),
                created: raw.created.and_then(|second| Timestamp::from_second(second).ok()),
                running: raw.state == Some(ContainerSummaryStateEnum::RUNNING),
                started: raw.state != Some(ContainerSummaryStateEnum::CREATED),
                status: neutral(&raw.status.unwrap_or_default()),
                address: match own_port(&labels) {
                    Some(port) => addresses.first().map(|address| SocketAddr::new(*address, port)),
                    None => published.and_then(|port| self.seen_here(&name, port)).map(loopback),
                },
                name,
                labels,
                addresses,
            }
        };
        Ok(found.into_iter().map(container).filter(|container| carries(&container.labels, labels)).collect())
    }

    /// Waits until one of the containers that onramp made and that carry these labels is removed, or the engine goes.
    pub async fn container_removed(&self, labels: &[(&str, &str)]) -> Result<(), Error> {
        let mut filters = label_filter(labels);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        filters.insert("event".to_owned(), vec!["destroy".to_owned()]);
        // What happens between the caller's look and the subscription is told, too.
        let since = Some((Timestamp::now().as_second() - 1).to_string());
        let options = EventsOptions { filters: Some(filters), since, ..Default::default() };
        match self.docker.events(Some(options)).next().await {
            Some(Err(error)) => Err(Self::failed("tell what happens", error)),
            _ => Ok(()),
        }
    }

    /// Where a running container's port is reached; none while it is not published.
    pub async fn published(&self, name: &str, port: u16) -> Result<Option<Published>, Error> {
        let inspect = self
            .docker
            .inspect_container(name, None)
            .await
            .map_err(|e| Self::failed(format!("inspect container {name}"), e))?;
        let settings = inspect.network_settings.unwrap_or_default();
        let networks = settings.networks.unwrap_or_default();
        let own = networks.values().find_map(|network| network.ip_address.as_deref()?.parse::<IpAddr>().ok());
        let own = own.filter(|_| self.place().here).map(|address| SocketAddr::new(address, port));
        if own_port(&inspect.config.and_then(|config| config.labels).unwrap_or_default()).is_some() {
            return Ok(own.map(|at| Published { at, own }));
        }
        let bindings = settings.ports.unwrap_or_default().remove(&format!("{port}/tcp")).flatten().unwrap_or_default();
        let Some(host) = bindings.iter().find_map(|binding| binding.host_port.as_deref()?.parse().ok()) else {
            return Ok(None);
        };
        Ok(Some(Published { at: loopback(self.brought_here(name, host).await?), own }))
    }

    /// How a container was made.
    pub async fn container_facts(&self, name: &str) -> Result<ContainerFacts, Error> {
        let inspect = self
            .docker
            .inspect_container(name, None)
            .await
            .map_err(|e| Self::failed(format!("inspect container {name}"), e))?;
        let (config, host) = (inspect.config.unwrap_or_default(), inspect.host_config.unwrap_or_default());
        let port = |spec: &String| spec.strip_suffix("/tcp")?.parse().ok();
        Ok(ContainerFacts {
            image_id: inspect.image.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            env: variables(config.env),
            ports: host.port_bindings.iter().flatten().filter_map(|(spec, _)| port(spec)).collect(),
            limits: Limits::of(&host),
            read_only: host.readonly_rootfs == Some(true),
            mounts: inspect.mounts.into_iter().flatten().filter_map(|mount| mount.destination).collect(),
        })
    }

    /// Waits until a container does not run.
    pub async fn wait_for_exit(&self, name: &str) -> Result<Watch, Error> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        // Some engines begin to answer only then.
        let patient = self.docker.clone().with_timeout(COPYING);
        let mut stream = patient.wait_container(name, Some(options));
        match stream.next().await {
            Some(Ok(ended)) => Ok(Watch { exit_code: ended.status_code }),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(Watch { exit_code: code }),
            Some(Err(error)) => Err(Self::failed(format!("wait for {name}"), error)),
            None => Err(Error::Broken { verb: format!("wait for {name}"), detail: "the answer ended".to_owned() }),
        }
    }

    /// A container's output, line by line, in the order in which it was written.
    pub fn logs(&self, name: &str, part: LogPart) -> impl Stream<Item = Result<LogLine, Error>> + use<> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            timestamps: true,
            follow: part.follow,
            tail: part.tail.map_or_else(|| "all".to_owned(), |n| n.to_string()),
            since: part.since.map_or(0, |since| i32::try_from(since.as_second()).unwrap_or(i32::MAX)),
            ..Default::default()
        };
        let name = name.to_owned();
        let lines = self.docker.logs(&name, Some(options)).map(move |item| match item {
            Ok(output) => Ok(log_line(&output)),
            Err(error) => Err(Self::failed(format!("read the log of {name}"), error)),
        });
        // The engine counts whole seconds.
        let after = move |line: &Result<LogLine, Error>| {
            !line.as_ref().is_ok_and(|line| line.at.is_some() && line.at < part.since)
        };
        lines.filter(move |line| std::future::ready(after(line)))
    }

    /// The last lines of a container's output, for an error.
    pub async fn last_words(&self, name: &str, lines: u32) -> Vec<String> {
        let part = LogPart { tail: Some(lines), ..LogPart::default() };
        let stream = std::pin::pin!(self.logs(name, part));
        stream.filter_map(|line| async { line.ok().map(|line| line.text) }).collect().await
    }

    /// Puts files into a container that need not run: an uncompressed tar, unpacked at `directory`.
    pub async fn put_files(&self, name: &str, directory: &str, tar: Vec<u8>) -> Result<(), Error> {
        let options = UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let sent = self.docker.upload_to_container(name, Some(options), bollard::body_full(Bytes::from(tar))).await;
        sent.map_err(|e| Self::failed(format!("copy files into {name}"), e))
    }

    /// The same of a tar that is read piece by piece, however long that takes.
    pub async fn put_tar(&self, name: &str, directory: &str, tar: impl Read + Send + 'static) -> Result<(), Error> {
        let patient = self.docker.clone().with_timeout(COPYING);
        let options = UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let chunks = stream::try_unfold(tar, |mut tar| async move {
            let read = blocking(move || {
                let mut chunk = vec![0; CHUNK];
                tar.read(&mut chunk).map(|count| {
                    chunk.truncate(count);
                    (chunk, tar)
                })
            });
            let (chunk, tar) = read.await?;
            Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), tar)))
        });
        let sent = patient.upload_to_container(name, Some(options), bollard::body_try_stream(chunks)).await;
        sent.map_err(|e| Self::failed(format!("copy files into {name}"), e))
    }

    /// What is at a path of a container that need not run, as an uncompressed tar; its first entry is that path.
    pub fn files(&self, name: &str, path: &str) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let stream = self.docker.download_from_container(name, Some(options));
        let verb = format!("read {path} of {name}");
        stream.map(move |chunk| chunk.map_err(|e| Self::failed(verb.clone(), e)))
    }

    /// Copies a directory of a container that need not run into a directory of another one. It must be another: the engine
    /// does not write to a container while it reads from it.
    pub async fn copy_between(&self, from: (&str, &str), into: (&str, &str)) -> Result<(), Error> {
        // It answers once all is copied, however long that takes.
        let patient = self.docker.clone().with_timeout(COPYING);
        let options = DownloadFromContainerOptions { path: from.1.to_owned() };
        let stream = patient.download_from_container(from.0, Some(options));
        // What breaks the reading off breaks the writing off, and the engine says which of them it was.
        let body = bollard::body_try_stream(stream.map(|chunk| chunk.map_err(std::io::Error::other)));
        let options = UploadToContainerOptions { path: into.1.to_owned(), ..Default::default() };
        let sent = patient.upload_to_container(into.0, Some(options), body).await;
        sent.map_err(|e| Self::failed(format!("copy {} of {} into {}", from.1, from.0, into.0), e))
    }
}

/// The port at which a container's own address answers, where its network publishes none.
fn own_port(labels: &HashMap<String, String>) -> Option<u16> {
    labels.get(label::PORT)?.parse().ok()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Variables as the engine writes them: `NAME=value`.
pub(super) fn variables(lines: Option<Vec<String>>) -> BTreeMap<String, String> {
    let pair = |line: String| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    lines.into_iter().flatten().filter_map(pair).collect()
}

/// A line begins with its time (RFC 3339) and a space, because it was asked for.
fn log_line(output: &LogOutput) -> LogLine {
    let text = String::from_utf8_lossy(output.as_ref());
    let timed = text.split_once(' ').and_then(|(at, rest)| Some((at.parse::<Timestamp>().ok()?, rest)));
    let (at, text) = timed.map_or((None, &*text), |(at, rest)| (Some(at), rest));
    let stderr = matches!(output, LogOutput::StdErr { .. });
    LogLine { at, stderr, text: neutral(text.trim_end_matches(['\n', '\r'])) }
}
