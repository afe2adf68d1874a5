//! A container as it is to be, and how the engine is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount as RawMount, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding as RawBinding,
};
use serde::Serialize;

use super::super::{Limits, Root, SCRATCH, TMPFS, label};

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
    /// Others that it is on, too, and the names that it is reached by there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub joins: BTreeMap<String, Vec<String>>,
    /// Where in a swarm it runs; none where the engine itself runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
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

/// How a swarm runs a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The node that it must run on, by id: the one that has its data or its image. Any where there is none.
    pub node: Option<String>,
    /// Digest of the secrets that the swarm keeps for it.
    pub secrets: Option<String>,
}

/// What a container says of itself and never of its image: where it says nothing, it is empty, and counts as not there.
pub(in crate::engine) const NOT_INHERITED: [&str; 8] = [
    label::SERVICE,
    label::REACHES,
    label::WITH,
    label::HOSTNAME,
    label::ROUTER,
    label::PORT,
    label::CONTAINER,
    label::RELAYED,
];

/// What is written by nobody but us, before a container starts.
pub(super) struct Given {
    pub(super) gateway: Option<IpAddr>,
    pub(super) read_only: bool,
    /// Whether its network publishes nothing.
    pub(super) unpublished: bool,
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

impl ContainerSpec {
    /// The digest of everything above.
    pub fn digest(&self) -> crate::reference::Digest {
        crate::reference::Digest::of(&serde_json::to_vec(self).expect("a specification is plain data"))
    }

    /// Whether addresses of its network are written into it.
    pub(super) fn knows_addresses(&self) -> bool {
        !self.gateway_names.is_empty() || self.address.is_some() || !self.hosts.is_empty()
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
    pub(in crate::engine) fn in_memory(&self, read_only: bool) -> HashMap<String, String> {
        let scratch = SCRATCH.into_iter().filter(|_| read_only).map(str::to_owned);
        let all = scratch.chain(self.tmpfs.iter().cloned());
        let free = all.filter(|path| self.mounts.iter().all(|mount| mount.target != *path));
        free.map(|path| (path, TMPFS.to_owned())).collect()
    }

    pub(super) fn body(&self, given: &Given) -> ContainerCreateBody {
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
    pub(in crate::engine) fn raw(&self) -> RawMount {
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
