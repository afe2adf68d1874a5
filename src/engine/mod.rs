//! The engine: Docker's API through bollard, in our words.
//!
//! Works with any engine that speaks API 1.40 or later: the version is negotiated, never pinned.

mod container;
mod exec;
mod hold;
mod image;
mod limits;
mod network;
mod place;
mod root;
mod volume;

pub use container::{
    CAPABILITIES, Container, ContainerFacts, ContainerSpec, LogLine, LogPart, Mount, PortBinding, Published, Source,
    Watch,
};
pub use exec::{ExecSpec, Interactive, Output};
pub use hold::Held;
pub use image::{BuildSpec, Credentials, ImageDefaults, ImageFacts, LayerProgress};
pub use limits::{Limits, PIDS};
pub use network::{Gateway, NetworkSpec};
pub use place::Place;
pub use root::{Root, SCRATCH, TMPFS};
pub use volume::{Backing, Volume, VolumeSpec};

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error as Raw;

use crate::error::{Class, Fault};
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
    /// Digest of the seeds that filled a volume.
    pub const SEED: &str = "dev.onramp.seed";
    /// On a volume that holds nothing: the data volume that is being filled by a seed command.
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

/// A connected engine.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    host: String,
    place: Place,
}

/// What can go wrong with the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there.
    #[error("no engine answers at {host}: {detail}")]
    NoEngine {
        /// Its address.
        host: String,
        /// The system's words.
        detail: String,
    },
    /// It is there but this user may not use it.
    #[error("you may not use the engine at {host}")]
    NotAllowed {
        /// Its address.
        host: String,
    },
    /// The address is none that onramp can talk to.
    #[error("the engine address {host} cannot be used: {detail}")]
    BadHost {
        /// The address.
        host: String,
        /// Why.
        detail: &'static str,
    },
    /// Talking TLS was asked for, and would not happen.
    #[error("DOCKER_TLS_VERIFY is set, and onramp would talk to {host} without TLS")]
    NoTls {
        /// The address.
        host: String,
    },
    /// Its API is older or newer than onramp can speak.
    #[error("the engine at {host} speaks API {found}, onramp needs {needed}")]
    Version {
        /// Its address.
        host: String,
        /// What it speaks.
        found: String,
        /// What onramp needs.
        needed: String,
    },
    /// A volume that others lie on was taken away.
    #[error("what volume {volume} lies on is gone from the engine")]
    LayerGone {
        /// The volume that is of no use without it.
        volume: String,
    },
    /// It has no such image.
    #[error("the engine has no image {image}")]
    NoImage {
        /// The image.
        image: String,
    },
    /// A port on this machine is somebody else's.
    #[error("port {port} on 127.0.0.1 is already taken")]
    PortTaken {
        /// The port.
        port: String,
    },
    /// A build, pull or push failed.
    #[error("{verb} of {what} failed: {detail}")]
    Stream {
        /// `build`, `pull`, `push`.
        verb: &'static str,
        /// The image.
        what: String,
        /// The engine's words.
        detail: String,
        /// The last lines of its output.
        tail: Vec<String>,
    },
    /// It refused a call.
    #[error("the engine refused to {verb}: {detail} (HTTP {status})")]
    Refused {
        /// What was asked.
        verb: String,
        /// HTTP status.
        status: u16,
        /// The engine's words.
        detail: String,
    },
    /// It stopped answering.
    #[error("the engine broke off while asked to {verb}: {detail}")]
    Broken {
        /// What was asked.
        verb: String,
        /// Why.
        detail: String,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoEngine { .. }
            | Self::NotAllowed { .. }
            | Self::Version { .. }
            | Self::LayerGone { .. }
            | Self::Refused { .. }
            | Self::Broken { .. } => Class::Env,
            Self::BadHost { .. } => Class::Usage,
            Self::NoTls { .. } => Class::Security,
            Self::NoImage { .. } => Class::Config,
            Self::PortTaken { .. } => Class::Conflict,
            Self::Stream { verb: "build", .. } => Class::Failed,
            Self::Stream { detail, .. } if is_auth(detail) => Class::Auth,
            Self::Stream { .. } => Class::Net,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoEngine { .. } => {
                Some("onramp runs sandboxes with Docker Engine 20.10 or newer, or Podman's socket".into())
            }
            Self::LayerGone { .. } => {
                Some("another onramp or somebody removed it; `onramp up` seeds anew what has no golden copy".into())
            }
            Self::NotAllowed { .. } => Some("the engine's socket belongs to root and the group docker".into()),
            Self::NoTls { .. } => Some("unset DOCKER_TLS_VERIFY, or use a unix:// socket (ssh -L forwards one)".into()),
            Self::Stream { tail, .. } if !tail.is_empty() => Some(tail.join("\n")),
            Self::PortTaken { .. } => {
                Some("leave `publish` out of onramp.toml and the engine chooses a free port".into())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoEngine { .. } => vec!["systemctl start docker".into(), "onramp doctor".into()],
            Self::NotAllowed { .. } => vec!["sudo usermod -aG docker $USER && newgrp docker".into()],
            Self::Stream { detail, what, .. } if is_auth(detail) => {
                vec![format!("docker login {}", what.split('/').next().unwrap_or(what))]
            }
            Self::PortTaken { port } => vec![format!("ss -ltnp 'sport = :{port}'")],
            Self::Broken { .. } => vec!["onramp doctor".into()],
            Self::LayerGone { .. } => vec!["onramp up".into(), "onramp snapshot list".into()],
            _ => Vec::new(),
        }
    }
}

fn is_auth(detail: &str) -> bool {
    ["unauthorized", "no basic auth", "authentication required", "denied"].iter().any(|word| detail.contains(word))
}

impl Engine {
    /// Connects to the engine at `host` (`unix://…`, `tcp://…`; the usual socket when none) and agrees on a version.
    pub async fn connect(host: Option<&str>, tls_wanted: bool) -> Result<Self, Error> {
        let host = host.unwrap_or("unix:///var/run/docker.sock").to_owned();
        if tls_wanted && host.starts_with("tcp://") {
            return Err(Error::NoTls { host });
        }
        let docker = Docker::connect_with_host(&host).map_err(|error| match error {
            Raw::SocketNotFoundError(_) => Error::NoEngine { host: host.clone(), detail: "no such socket".into() },
            _ => Error::BadHost { host: host.clone(), detail: "use unix:///path or tcp://host:port" },
        })?;
        let limit = std::time::Duration::from_secs(5);
        let answer = tokio::time::timeout(limit, docker.negotiate_version()).await;
        let silent = || Error::NoEngine { host: host.clone(), detail: "no answer within 5 s".into() };
        let docker = answer.map_err(|_| silent())?.map_err(|error| unreachable_engine(&host, &error))?;
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
            Err(error) => Err(unreachable_engine(&host, &error)),
            Ok(info) => Ok(Self { docker, place: Place::of(&host, &info), host }),
        }
    }

    /// Whether it answers now.
    pub async fn answers(&self) -> bool {
        let limit = std::time::Duration::from_secs(2);
        tokio::time::timeout(limit, self.docker.ping()).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Where it is.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it says about its machine.
    pub fn place(&self) -> &Place {
        &self.place
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

fn unreachable_engine(host: &str, error: &Raw) -> Error {
    let detail = crate::error::chain(error);
    if detail.contains("ermission denied") {
        return Error::NotAllowed { host: host.to_owned() };
    }
    Error::NoEngine { host: host.to_owned(), detail: neutral_line(&detail, 200) }
}

/// Whether a failed call only says that the thing is not there, or is there already.
fn is_status(error: &Raw, status: u16) -> bool {
    matches!(error, Raw::DockerResponseServerError { status_code, .. } if *status_code == status)
}

fn label_filter(labels: &[(&str, &str)]) -> HashMap<String, Vec<String>> {
    let wanted =
        |(key, value): &(&str, &str)| if value.is_empty() { (*key).to_owned() } else { format!("{key}={value}") };
    let own = format!("{}=onramp", label::OWNER);
    HashMap::from([("label".to_owned(), labels.iter().map(wanted).chain([own]).collect())])
}
