//! What can go wrong with the engine: each with its class, and the command that cures it.

use std::path::PathBuf;

use crate::error::{Class, Fault};

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
        detail: String,
    },
    /// Whoever is on the way to it could do with it, and with its machine, what they like.
    #[error("the engine at {host} is not on this machine, and its address asks for no TLS that is verified")]
    Unprotected {
        /// The address.
        host: String,
    },
    /// Docker's own settings name an engine that they do not describe.
    #[error("{origin} names the docker context `{name}`, which is not there")]
    NoContext {
        /// What names it.
        origin: String,
        /// The context.
        name: String,
    },
    /// One of Docker's own files says something wrong.
    #[error("{}: {detail}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// What answers has no certificate of the engine's.
    #[error("what answers at {host} is not the engine that it should be: {detail}")]
    NotTrusted {
        /// Its address.
        host: String,
        /// What is wrong with its certificate or key.
        detail: String,
    },
    /// It did not take the certificate or key that this user has.
    #[error("the engine at {host} does not let you in: {detail}")]
    NotLetIn {
        /// Its address.
        host: String,
        /// The words of whoever refused.
        detail: String,
    },
    /// Its machine cannot be reached.
    #[error("the machine of the engine at {host} does not answer: {detail}")]
    NoMachine {
        /// Its address.
        host: String,
        /// ssh's or the system's words.
        detail: String,
    },
    /// It has no way to do that.
    #[error("the engine at {host} cannot {verb}")]
    Unable {
        /// Its address.
        host: String,
        /// What was asked.
        verb: &'static str,
    },
    /// A published port could not be brought here.
    #[error("port {port} of the machine of the engine at {host} cannot be brought here by ssh: {detail}")]
    NoForward {
        /// Its address.
        host: String,
        /// The port there.
        port: u16,
        /// ssh's words.
        detail: String,
    },
    /// ssh is not there, or what it should start on the other machine.
    #[error("ssh cannot reach the engine at {host}: {detail}")]
    NoDialler {
        /// Its address.
        host: String,
        /// The words of whoever is missing something.
        detail: String,
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
    /// A swarm runs the container on another node, whose engine alone can do that.
    #[error("the swarm runs {container} on node {node}, and only the engine there comes to it")]
    OnOtherNode {
        /// The container, as this engine would call it.
        container: String,
        /// The node.
        node: String,
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

/// What is said of a disk that is full: by the system, by engines that pass its words on, and by databases.
const FULL: [&str; 4] = ["no space left on device", "disk quota exceeded", "disk full", "errno: 28"];

/// What shows, and what gives back, the room that an engine takes.
pub const ROOM: [&str; 3] = ["docker system df", "onramp list --size", "onramp prune --golden"];

/// Whether somebody's words are about a disk that is full.
pub fn says_full(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    FULL.iter().any(|full| words.contains(full))
}

impl Error {
    /// Whether the engine's disk is full.
    fn is_full(&self) -> bool {
        match self {
            Self::Stream { detail, .. } | Self::Refused { detail, .. } | Self::Broken { detail, .. } => {
                says_full(detail)
            }
            _ => false,
        }
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            full if full.is_full() => Class::Io,
            Self::NoEngine { .. }
            | Self::NotAllowed { .. }
            | Self::Version { .. }
            | Self::LayerGone { .. }
            | Self::Refused { .. }
            | Self::NoDialler { .. }
            | Self::NoForward { .. }
            | Self::Unable { .. }
            | Self::OnOtherNode { .. }
            | Self::Broken { .. } => Class::Env,
            Self::BadHost { .. } => Class::Usage,
            Self::Unprotected { .. } | Self::NotTrusted { .. } => Class::Security,
            Self::NoContext { .. } | Self::BadFile { .. } | Self::NoImage { .. } => Class::Config,
            Self::NotLetIn { .. } => Class::Auth,
            Self::PortTaken { .. } => Class::Conflict,
            Self::Stream { verb: "build", .. } => Class::Failed,
            Self::Stream { detail, .. } if is_auth(detail) => Class::Auth,
            Self::NoMachine { .. } | Self::Stream { .. } => Class::Net,
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
            Self::Unprotected { .. } => Some(
                "set DOCKER_TLS_VERIFY=1, with ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH, or use ssh://; without \
                 them whoever is on the way owns the engine's machine"
                    .into(),
            ),
            Self::NoContext { .. } => Some("unset it, or choose another context".into()),
            Self::NotLetIn { host, .. } | Self::NotTrusted { host, .. } if is_ssh(host) => {
                Some("onramp lets ssh ask nothing: the host must be known, and your key be in an agent or without a passphrase".into())
            }
            Self::NotTrusted { .. } => Some("its certificate must come from ca.pem and name the host".into()),
            Self::NotLetIn { .. } => Some("cert.pem and key.pem must come from what the engine trusts".into()),
            Self::Unable { .. } => Some("Docker's own engine can".into()),
            Self::NoForward { .. } => Some("its sshd must allow it: AllowTcpForwarding yes or local".into()),
            Self::NoDialler { .. } => {
                Some("it runs `docker system dial-stdio` there, which Docker's client has since 18.09".into())
            }
            full if full.is_full() => Some("the disk that the engine keeps images and data on is full".into()),
            Self::Stream { tail, .. } if !tail.is_empty() => Some(tail.join("\n")),
            Self::PortTaken { .. } => {
                Some("leave `publish` out of onramp.toml and the engine chooses a free port".into())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            full if full.is_full() => ROOM.map(str::to_owned).to_vec(),
            Self::NoEngine { host, .. } if is_ssh(host) => vec![super::address::by_hand(host, "docker version")],
            Self::NoEngine { host, .. } if host.starts_with("tcp://") => vec![format!("docker --host {host} version")],
            Self::NoEngine { .. } => vec!["systemctl start docker".into(), "onramp doctor".into()],
            Self::NotAllowed { host } if is_ssh(host) => vec![super::address::by_hand(host, "id")],
            Self::NotAllowed { .. } => vec!["sudo usermod -aG docker $USER && newgrp docker".into()],
            Self::NotTrusted { host, .. }
            | Self::NotLetIn { host, .. }
            | Self::NoMachine { host, .. }
            | Self::NoForward { host, .. }
            | Self::NoDialler { host, .. }
                if is_ssh(host) =>
            {
                vec![super::address::by_hand(host, "docker version")]
            }
            Self::NotTrusted { host, .. } | Self::NotLetIn { host, .. } | Self::NoMachine { host, .. } => {
                vec![format!("docker --host {host} --tlsverify version")]
            }
            Self::NoContext { .. } => vec!["docker context ls".into()],
            Self::Stream { detail, what, .. } if is_auth(detail) => {
                vec![format!("docker login {}", what.split('/').next().unwrap_or(what))]
            }
            Self::OnOtherNode { container, node } => {
                vec![format!("docker --host ssh://{node} ps --filter label={}={container}", super::label::CONTAINER)]
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

fn is_ssh(host: &str) -> bool {
    host.starts_with("ssh://")
}
