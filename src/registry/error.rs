//! What can go wrong with a registry, each with its class and the next command.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Class, Fault};
use crate::reference::Digest;

/// What can go wrong with a registry. All text that came from it is neutral.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no registry's name.
    #[error("`{host}` is no registry: write host or host:port")]
    BadHost {
        /// Neutral.
        host: String,
    },
    /// No connection, or one that broke.
    #[error("cannot reach the registry {host}: {detail}")]
    Unreachable {
        /// `host[:port]`.
        host: String,
        /// What the connection said.
        detail: String,
    },
    /// No answer in time.
    #[error("the registry {host} did not answer {what} within {} s", limit.as_secs_f64())]
    TimedOut {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The registry did not let us in.
    #[error("the registry {host} refused {what}: {detail}")]
    Unauthorized {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// What it said.
        detail: String,
        /// Why no credentials were sent, where that is known.
        hint: Option<String>,
    },
    /// The registry has no such image, tag or blob.
    #[error("the registry {host} has no {what}")]
    NotFound {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
    },
    /// The bytes are not those that were asked for.
    #[error("the registry {host} answered {what} with other bytes: expected {expected}, received {received}")]
    Digest {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// The digest that the content must have.
        expected: Digest,
        /// The digest that it has.
        received: Digest,
    },
    /// Larger than any honest answer of its kind.
    #[error("the registry {host} answered {what} with more than {}", crate::text::bytes(*cap))]
    TooLarge {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// The cap in bytes.
        cap: u64,
    },
    /// The body ended before its size.
    #[error("the registry {host} answered {what} with {received} of {expected} bytes, then ended")]
    Truncated {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// In bytes.
        received: u64,
        /// In bytes.
        expected: u64,
    },
    /// The image is not there for the platform.
    #[error("the registry {host} has {what} for {}, not for {platform}", there.join(", "))]
    NoPlatform {
        /// `host[:port]`.
        host: String,
        /// Which image.
        what: String,
        /// The platform that was asked for.
        platform: String,
        /// The platforms that it is there for.
        there: Vec<String>,
    },
    /// A file that should be pushed.
    #[error("cannot read {}, which should be pushed", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The registry sends us to a place where we do not go.
    #[error("the registry {host} sends onramp to {target}, which is refused: {why}")]
    Refused {
        /// `host[:port]`.
        host: String,
        /// The place, neutral, without its query.
        target: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// An answer that is not what the specification says.
    #[error("the registry {host} answered {what} wrongly: {detail}")]
    Protocol {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        detail: String,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::BadHost { .. } | Self::NotFound { .. } | Self::NoPlatform { .. } => Class::Config,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Truncated { .. } | Self::Protocol { .. } => {
                Class::Net
            }
            Self::Unreadable { .. } => Class::Io,
            Self::Unauthorized { .. } => Class::Auth,
            Self::Digest { .. } | Self::TooLarge { .. } | Self::Refused { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { detail, .. } if detail.contains("certificate") => Some(
                "the certificate is not one this machine trusts; install your company's CA certificate \
                 (Debian: /usr/local/share/ca-certificates, then update-ca-certificates)"
                    .to_owned(),
            ),
            Self::Unreachable { detail, .. } if detail.contains("InvalidContentType") => {
                Some("it seems to speak plain http, which onramp uses on loopback addresses only".to_owned())
            }
            Self::Unreachable { .. } => Some("is the registry running, and is its name right?".to_owned()),
            Self::TimedOut { .. } => Some("--timeout sets how long to wait".to_owned()),
            Self::Unauthorized { hint, .. } => {
                Some(hint.clone().unwrap_or_else(|| "onramp uses the credentials of `docker login`".to_owned()))
            }
            Self::Digest { .. } => {
                Some("the registry, a proxy or a mirror changed the content; nothing of it was used".to_owned())
            }
            Self::TooLarge { .. } | Self::Refused { .. } => Some("nothing of the answer was used".to_owned()),
            Self::BadHost { .. }
            | Self::NotFound { .. }
            | Self::NoPlatform { .. }
            | Self::Truncated { .. }
            | Self::Unreadable { .. }
            | Self::Protocol { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Unauthorized { host, .. } => vec![format!("docker login {host}")],
            Self::NotFound { .. } => vec!["onramp image list".to_owned()],
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Truncated { .. } | Self::Protocol { .. } => {
                vec!["onramp doctor".to_owned()]
            }
            Self::NoPlatform { host, what, .. } => vec![format!("onramp image inspect {host}/{what}")],
            Self::BadHost { .. }
            | Self::Digest { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable { .. }
            | Self::Refused { .. } => Vec::new(),
        }
    }
}
