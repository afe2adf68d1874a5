//! The engine: Docker's API through bollard, in our words.
//!
//! Works with any engine that speaks API 1.40 or later: the version is negotiated, never pinned.

mod address;
mod container;
mod context;
mod dial;
mod error;
mod exec;
mod forward;
mod hold;
mod image;
mod limits;
mod network;
mod place;
mod root;
mod swarm;
mod usage;
mod volume;

pub use address::{Address, Destination, Way};
pub use container::{
    CAPABILITIES, Cluster, Container, ContainerFacts, ContainerSpec, LogLine, LogPart, Mount, PortBinding, Published,
    Source, Watch,
};
pub use error::{Error, ROOM, says_full};
pub use exec::{ExecSpec, Interactive, Output};
pub use hold::Held;
pub use image::{BuildSpec, Credentials, ImageDefaults, ImageFacts, LayerProgress};
pub use limits::{Limits, PIDS};
pub use network::{Gateway, NetworkSpec};
pub use place::{Place, Ports, Swarm};
pub use root::{Root, SCRATCH, TMPFS};
pub use swarm::{KeptSecret, cluster_name, relay_of};
pub use usage::{ImageUsage, Usage};
pub use volume::{Backing, Volume, VolumeSpec};

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as Raw;

use crate::text::neutral_line;

/// Labels on everything that onramp makes. What does not carry [`label::OWNER`] is somebody else's.
pub mod label {
    /// `onramp`, on everything that onramp made.
    pub const OWNER: &str = "dev.onramp.owner";
    /// The sandbox a thing belongs to.
    pub const SANDBOX: &str = "dev.onramp.sandbox";
    /// The sandbox that this one is beside, for one group of its tests.
    pub const BESIDE: &str = "dev.onramp.beside";
    /// The project directory of that sandbox.
    pub const PROJECT_DIR: &str = "dev.onramp.project-dir";
    /// The branch of that sandbox; empty where none was checked out.
    pub const BRANCH: &str = "dev.onramp.branch";
    /// `app/service`.
    pub const SERVICE: &str = "dev.onramp.service";
    /// Digest of the specification a container was made from: equal means nothing to change.
    pub const SPEC: &str = "dev.onramp.spec";
    /// Whether a network has a way out: `true` or `false`.
    pub const EGRESS: &str = "dev.onramp.egress";
    /// On a container: the hosts and ports outside that it reaches, separated by commas.
    pub const REACHES: &str = "dev.onramp.reaches";
    /// On a container: the name that it is reached by through the router.
    pub const HOSTNAME: &str = "dev.onramp.hostname";
    /// On a container: whose router that is.
    pub const ROUTER: &str = "dev.onramp.router";
    /// On a container: what `--with` mixed in there, `auth=pr:12 (1a2b3c4)`.
    pub const WITH: &str = "dev.onramp.with";
    /// On an image, `true`: its containers run with nothing but /tmp and /run to write to.
    pub const READ_ONLY: &str = "dev.onramp.read-only";
    /// On a volume in memory: the service whose secrets are in it.
    pub const SECRET_FILES: &str = "dev.onramp.secret-files";
    /// On a container that publishes no port, because its network cannot: the one at which its own address answers.
    pub const PORT: &str = "dev.onramp.port";
    /// On what a swarm runs: the name that its container has where the engine runs it.
    pub const CONTAINER: &str = "dev.onramp.container";
    /// On what a swarm runs: the port that is reached through its relay.
    pub const RELAYED: &str = "dev.onramp.relayed";
    /// The last number of a container's address, where it was given one.
    pub const NUMBER: &str = "dev.onramp.number";
    /// Digest of the seeds that filled a volume.
    pub const SEED: &str = "dev.onramp.seed";
    /// On a volume that holds nothing: the data volume that is being filled.
    pub const SEEDING: &str = "dev.onramp.seeding";
    /// On a volume that only others lie on: `base` or `upper`.
    pub const LAYER: &str = "dev.onramp.layer";
    /// The layers that a data volume lies on, the highest first, separated by commas.
    pub const LAYERS: &str = "dev.onramp.layers";
    /// Owner, group and mode of a frozen volume's root: `999:999:755`.
    pub const ROOT: &str = "dev.onramp.root";
    /// How a frozen volume is cloned: `overlay` or `copy`.
    pub const CLONE: &str = "dev.onramp.clone";
    /// What a golden copy was made from.
    pub const GOLDEN: &str = "dev.onramp.golden";
    /// The name of the snapshot that a frozen volume is part of.
    pub const SNAPSHOT: &str = "dev.onramp.snapshot";
    /// Where a snapshot was pulled from, by digest.
    pub const ARTIFACT: &str = "dev.onramp.artifact";
    /// The sandbox secrets of another machine that are in data which was pulled: a JSON object.
    pub const SECRETS: &str = "dev.onramp.secrets";
    /// The services whose data a snapshot holds, separated by commas.
    pub const PARTS: &str = "dev.onramp.parts";
    /// The repository that the sandboxes share which may clone a frozen volume.
    pub const REPOSITORY: &str = "dev.onramp.repository";
    /// The project that a frozen volume is of.
    pub const PROJECT: &str = "dev.onramp.project";
    /// When a frozen volume was made, RFC 3339.
    pub const MADE: &str = "dev.onramp.made";
    /// The sandbox that a layer or a frozen volume was made for first.
    pub const MADE_FOR: &str = "dev.onramp.made-for";
    /// The playground a thing belongs to.
    pub const PLAYGROUND: &str = "dev.onramp.playground";
    /// When a block's check is over at the latest, in seconds since 1970: what is still there then was left behind.
    pub const CHECK_UNTIL: &str = "dev.onramp.check-until";
    /// Digest of the definition that an image was built from.
    pub const DEFINITION: &str = "dev.onramp.definition";
}

/// The oldest API version that has what onramp uses (Docker Engine 19.03).
const OLDEST_API: (usize, usize) = (1, 40);

/// The API version of the first Docker Engine that unpacks zstd (23.0).
const ZSTD_API: (usize, usize) = (1, 42);

/// The API version of the first that keeps what a swarm runs from gaining privileges (25.0).
const PRIVILEGES_API: (usize, usize) = (1, 44);

/// How long an engine may take to answer for the first time: one of this machine (Podman asks its package manager whose its
/// programs are before it tells its version), and one elsewhere.
const NEAR: Duration = Duration::from_secs(15);
const FAR: Duration = Duration::from_secs(20);

/// A connected engine.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    address: Address,
    place: Place,
}

impl Engine {
    /// Connects to an engine and agrees on a version.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let (address, host) = (address.clone(), address.host().to_owned());
        let docker = match address.way() {
            Way::Socket | Way::Plain => Docker::connect_with_host(&host),
            Way::Tls(to) => dial::client(dial::Tls::new(&host, to)?),
            Way::Ssh(to) => dial::client(dial::Ssh::new(&host, to)),
        };
        let docker = docker.map_err(|error| match error {
            Raw::SocketNotFoundError(_) => Error::NoEngine { host: host.clone(), detail: "no such socket".into() },
            other => Error::BadHost { host: host.clone(), detail: neutral_line(&other.to_string(), 200) },
        })?;
        let limit = match address.way() {
            Way::Socket | Way::Plain => NEAR,
            Way::Tls(_) | Way::Ssh(_) => FAR,
        };
        let answer = tokio::time::timeout(limit, docker.negotiate_version()).await;
        let silent = || {
            let detail = format!("no answer within {} s", limit.as_secs());
            Error::NoEngine { host: host.clone(), detail }
        };
        let docker = answer.map_err(|_| silent())?.map_err(|error| unreachable_engine(&host, error))?;
        let version = docker.client_version();
        if (version.major_version, version.minor_version) < OLDEST_API {
            let needed = format!("{}.{} or newer (Docker Engine 19.03)", OLDEST_API.0, OLDEST_API.1);
            return Err(Error::Version { host, found: version.to_string(), needed });
        }
        // An engine whose oldest version is newer than ours refuses every call the same way; ask once, here.
        match docker.info().await {
            Err(Raw::DockerResponseServerError { status_code: 400, message }) if message.contains("too old") => {
                let needed = format!("{version} or older");
                Err(Error::Version { host, found: neutral_line(&message, 200), needed })
            }
            Err(error) => Err(unreachable_engine(&host, error)),
            Ok(info) => Ok(Self { docker, place: Place::of(&address, &info), address }),
        }
    }

    /// Whether it answers now.
    pub async fn answers(&self) -> bool {
        let limit = Duration::from_secs(2);
        tokio::time::timeout(limit, self.docker.ping()).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Where it is.
    pub fn host(&self) -> &str {
        self.address.host()
    }

    /// The same, and the way there.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it says about its machine.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it keeps what a swarm runs from gaining privileges.
    pub fn bars_privileges(&self) -> bool {
        let version = self.docker.client_version();
        (version.major_version, version.minor_version) >= PRIVILEGES_API
    }

    /// Whether it can unpack layers that zstd packed: Docker since version 23, Podman.
    pub async fn reads_zstd(&self) -> Result<bool, Error> {
        let version = self.docker.client_version();
        if (version.major_version, version.minor_version) >= ZSTD_API {
            return Ok(true);
        }
        let version = self.docker.version().await.map_err(|e| Self::failed("tell its version", e))?;
        Ok(version.components.iter().flatten().any(|component| component.name.contains("Podman")))
    }

    /// Its own version and the API version agreed on: `20.10.24 (API 1.41)`.
    pub async fn version(&self) -> Result<String, Error> {
        let version = self.docker.version().await.map_err(|e| Self::failed("tell its version", e))?;
        let own = neutral_line(version.version.as_deref().unwrap_or("unknown"), 40);
        Ok(format!("{own} (API {})", self.docker.client_version()))
    }

    /// Sorts a failed call.
    fn failed(verb: impl Into<String>, error: Raw) -> Error {
        let verb = verb.into();
        let error = match dial::unwrapped(error) {
            Ok(known) => return known,
            Err(error) => error,
        };
        match error {
            Raw::DockerResponseServerError { status_code, message } => {
                let port = message
                    .contains("port is already allocated")
                    .then(|| after(&message, "127.0.0.1:"))
                    .or_else(|| message.contains("address already in use").then(|| after(&message, "127.0.0.1:")));
                match port {
                    Some(port) => Error::PortTaken { port },
                    None => Error::Refused { verb, status: status_code, detail: neutral_line(&message, 400) },
                }
            }
            Raw::DockerStreamError { error } => Error::Broken { verb, detail: neutral_line(&error, 400) },
            other => Error::Broken { verb, detail: neutral_line(&crate::error::chain(&other), 400) },
        }
    }
}

/// The digits that follow a marker.
fn after(message: &str, marker: &str) -> String {
    let rest = message.split(marker).nth(1).unwrap_or_default();
    rest.chars().take_while(char::is_ascii_digit).collect()
}

fn unreachable_engine(host: &str, error: Raw) -> Error {
    let error = match dial::unwrapped(error) {
        Ok(known) => return known,
        Err(error) => error,
    };
    let detail = crate::error::chain(&error);
    if detail.contains("ermission denied") {
        return Error::NotAllowed { host: host.to_owned() };
    }
    Error::NoEngine { host: host.to_owned(), detail: neutral_line(&detail, 200) }
}

/// Whether a failed call only says that the thing is not there, or is there already.
fn is_status(error: &Raw, status: u16) -> bool {
    matches!(error, Raw::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// Whether something is onramp's and carries these labels; one without a value, whatever it says. Asked again of what an engine
/// finds: Podman takes a volume that has one of the labels for one that has them all.
fn carries(found: &HashMap<String, String>, labels: &[(&str, &str)]) -> bool {
    let has = |(key, value): &(&str, &str)| found.get(*key).is_some_and(|found| value.is_empty() || found == value);
    labels.iter().chain(&[(label::OWNER, "onramp")]).all(has)
}

fn label_filter(labels: &[(&str, &str)]) -> HashMap<String, Vec<String>> {
    let wanted =
        |(key, value): &(&str, &str)| if value.is_empty() { (*key).to_owned() } else { format!("{key}={value}") };
    let own = format!("{}=onramp", label::OWNER);
    HashMap::from([("label".to_owned(), labels.iter().map(wanted).chain([own]).collect())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_carries_every_label() {
        let found = |labels: &[(&str, &str)]| {
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>()
        };
        let ours = found(&[(label::OWNER, "onramp"), (label::SANDBOX, "shop")]);
        assert!(
            carries(&ours, &[])
                && carries(&ours, &[(label::SANDBOX, "shop")])
                && carries(&ours, &[(label::SANDBOX, "")])
        );
        assert!(!carries(&ours, &[(label::SANDBOX, "blog")]), "another sandbox's");
        assert!(!carries(&ours, &[(label::SANDBOX, "shop"), (label::SERVICE, "")]));
        assert!(!carries(&found(&[(label::SANDBOX, "shop")]), &[(label::SANDBOX, "shop")]), "somebody else's");
    }
}
