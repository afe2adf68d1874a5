//! Containers: made from a specification, watched, read, removed.

mod spec;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use bollard::container::LogOutput;
use bollard::errors::Error as Raw;
use bollard::models::{ContainerSummaryStateEnum, EndpointSettings, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, EventsOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, UploadToContainerOptions, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use spec::Given;
pub(super) use spec::NOT_INHERITED;
pub use spec::{CAPABILITIES, Cluster, ContainerSpec, Mount, PortBinding, Source};

use super::swarm::{Output, relay_of};
use super::{Engine, Error, Limits, carries, is_status, label, label_filter};
use crate::task::blocking;
use crate::text::neutral;

/// How long copying between volumes may take.
pub(super) const COPYING: std::time::Duration = std::time::Duration::from_hours(6);
/// How much of a tar is sent at once, in bytes.
const CHUNK: usize = 1024 * 1024;

/// Where a published port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it is reached on this machine: on loopback, or where that is not possible at the container's own address.
    pub at: SocketAddr,
    /// The container's own address, where this machine shares the engine's networks.
    pub own: Option<SocketAddr>,
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

impl Engine {
    /// Whether a container can only be made once its network is there.
    pub fn makes_on_network(&self, spec: &ContainerSpec) -> bool {
        self.place().plain || spec.knows_addresses() || spec.cluster.is_some()
    }

    /// Makes a container; its id.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String, Error> {
        let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
        let gateway = if spec.knows_addresses() { self.gateway(&spec.network).await? } else { None };
        let gateway = gateway.map(|gateway| gateway.address);
        let unpublished = self.place().plain && !spec.egress;
        let read_only = self.is_read_only(spec).await?;
        let made = self.docker.create_container(Some(options), spec.body(&Given { gateway, read_only, unpublished }));
        let made = match made.await {
            Ok(made) => made.id,
            Err(error) if is_status(&error, 404) => return Err(Error::NoImage { image: spec.image.clone() }),
            Err(error) => return Err(Self::failed(format!("create container {}", spec.name), error)),
        };
        for (network, aliases) in &spec.joins {
            let endpoint = EndpointSettings { aliases: Some(aliases.clone()), ..Default::default() };
            let request = NetworkConnectRequest { container: made.clone(), endpoint_config: Some(endpoint) };
            let joined = self.docker.connect_network(network, request).await;
            joined.map_err(|e| Self::failed(format!("connect {} to network {network}", spec.name), e))?;
        }
        Ok(made)
    }

    /// Starts a container; one that runs is started.
    pub async fn start_container(&self, name: &str) -> Result<(), Error> {
        if let Some(service) = self.clustered(name).await? {
            return self.start_service(name, service).await;
        }
        match self.docker.start_container(name, None).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 304) => Ok(()),
            Err(error) => Err(Self::failed(format!("start container {name}"), error)),
        }
    }

    /// Ends a container at once and removes it with its anonymous volumes; one that is not there is removed.
    pub async fn remove_container(&self, name: &str) -> Result<(), Error> {
        self.forget_forwards(name).await;
        self.remove_service(name).await?;
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            // Another call is removing it already, perhaps that of an onramp that was killed.
            Err(error) if is_status(&error, 409) => self.wait_for_removal(name).await,
            Err(error) => Err(Self::failed(format!("remove container {name}"), error)),
        }
    }

    /// Waits until a container that is being removed is gone: until then its network and volumes are in use, and its name is.
    async fn wait_for_removal(&self, name: &str) -> Result<(), Error> {
        let options = WaitContainerOptions { condition: "removed".to_owned() };
        let patient = self.docker.clone().with_timeout(COPYING);
        match patient.wait_container(name, Some(options)).next().await {
            // Its exit code, whatever it is, comes with its removal.
            None | Some(Ok(_) | Err(Raw::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) if is_status(&error, 404) => Ok(()),
            Some(Err(error)) => Err(Self::failed(format!("wait until {name} is removed"), error)),
        }
    }

    /// Asks a container to end, and waits for it, `grace` seconds at most before it is ended.
    pub async fn stop_container(&self, name: &str, grace: u8) -> Result<(), Error> {
        let options = bollard::query_parameters::StopContainerOptions { t: Some(grace.into()), signal: None };
        // What has no container here has nothing here to end.
        let Some(at_hand) = self.at_hand_if_there(name).await? else { return Ok(()) };
        match self.docker.stop_container(&at_hand, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) || is_status(&error, 304) => Ok(()),
            Err(error) => Err(Self::failed(format!("stop container {name}"), error)),
        }
    }

    /// The containers that onramp made and that carry these labels, ended ones too, and those that a swarm runs for it.
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
        let all = found.into_iter().map(container).filter(|container| carries(&container.labels, labels)).collect();
        self.with_clustered(all, labels).await
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
        // What a swarm runs is reached through a container of this engine.
        let relay = self.clustered(name).await?.map(|_| relay_of(name));
        let name = relay.as_deref().unwrap_or(name);
        let inspect = self
            .docker
            .inspect_container(name, None)
            .await
            .map_err(|e| Self::failed(format!("inspect container {name}"), e))?;
        let settings = inspect.network_settings.unwrap_or_default();
        let networks = settings.networks.unwrap_or_default();
        let address = |network: &EndpointSettings| network.ip_address.as_deref()?.parse::<IpAddr>().ok();
        // The network that it was made on is one of this machine; those that it joined may be a swarm's.
        let made_on = inspect.host_config.and_then(|host| host.network_mode).and_then(|name| networks.get(&name));
        let own = made_on.map_or_else(|| networks.values().find_map(address), address);
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
        if let Some(service) = self.clustered(name).await? {
            return self.service_facts(service).await;
        }
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
        if self.clustered(name).await?.is_some() {
            return self.wait_for_task(name).await;
        }
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        // Some engines begin to answer only then.
        let patient = self.docker.clone().with_timeout(COPYING);
        let mut stream = patient.wait_container(name, Some(options));
        match stream.next().await {
            Some(Ok(ended)) => Ok(Watch { exit_code: ended.status_code }),
            Some(Err(Raw::DockerContainerWaitError { code, .. })) => Ok(Watch { exit_code: code }),
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
        let (engine, name) = (self.clone(), name.to_owned());
        let lines = stream::once(async move {
            let output = match engine.whose_output(&name).await? {
                Output::Container(id) => engine.docker.logs(&id, Some(options)).boxed(),
                Output::Service(id) => engine.docker.service_logs(&id, Some(options)).boxed(),
                Output::Told(why) => stream::iter([Ok(LogOutput::StdErr { message: why.into() })]).boxed(),
            };
            Ok(output.map(move |item| match item {
                Ok(output) => Ok(log_line(&output)),
                Err(error) => Err(Self::failed(format!("read the log of {name}"), error)),
            }))
        });
        let lines = lines.try_flatten();
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
        let (engine, name, verb) = (self.clone(), name.to_owned(), format!("read {path} of {name}"));
        let chunks = stream::once(async move {
            let stream = engine.docker.download_from_container(&engine.at_hand(&name).await?, Some(options));
            Ok(stream.map(move |chunk| chunk.map_err(|e| Self::failed(verb.clone(), e))))
        });
        chunks.try_flatten()
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
