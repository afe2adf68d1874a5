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
    #[error("cannot reach the registry {host} for {what}: {detail}")]
    Unreachable {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// What the connection said.
        detail: String,
    },
    /// Its certificate is not one that is believed.
    #[error("the registry {host} does not prove that it is itself, so that it was not asked for {what}: {detail}")]
    Certificate {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// What is wrong with the certificate.
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
    /// A body that came, and stood still.
    #[error(
        "the registry {host} sent nothing more of {what} for {} s, after {} of {}",
        limit.as_secs_f64(),
        crate::text::bytes(*at),
        crate::text::bytes(*size)
    )]
    Stalled {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// How far it was, in bytes.
        at: u64,
        /// Where it would have ended.
        size: u64,
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
    /// A document that could be understood in two ways, or that leads out of the registry.
    #[error("the registry {host} answered {what} with what onramp refuses: {detail}")]
    Unsafe {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
        /// Why.
        detail: String,
    },
    /// Something else than an image.
    #[error("{what} of the registry {host} is no image that onramp can use: {detail}")]
    NoImage {
        /// `host[:port]`.
        host: String,
        /// Which image.
        what: String,
        /// What it is instead, or what it has.
        detail: String,
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
    /// Others changed what lies under a tag each time something was added to it.
    #[error("others changed {what} of the registry {host} each time something was added to it")]
    Contended {
        /// `host[:port]`.
        host: String,
        /// The tag.
        what: String,
    },
    /// Under a tag lies something else than what is added to.
    #[error("{what} of the registry {host} is not {wanted}, so that nothing was added to it, and it stays")]
    Foreign {
        /// `host[:port]`.
        host: String,
        /// The tag.
        what: String,
        /// What it should be.
        wanted: &'static str,
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
    #[error("the registry {host} sends onramp to {target} for {what}, which is refused: {why}")]
    Refused {
        /// `host[:port]`.
        host: String,
        /// What was asked.
        what: String,
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

impl Error {
    pub(super) fn bad_host(host: &str) -> Self {
        Self::BadHost { host: crate::text::neutral_line(host, 80) }
    }

    /// The same, about another question.
    pub(super) fn about(self, question: &str) -> Self {
        match self {
            Self::Refused { host, target, why, .. } => Self::Refused { host, what: question.to_owned(), target, why },
            other => other,
        }
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::BadHost { .. } | Self::NotFound { .. } | Self::NoImage { .. } => Class::Config,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::Protocol { .. } => Class::Net,
            Self::Unauthorized { .. } => Class::Auth,
            Self::Unreadable { .. } => Class::Io,
            Self::Contended { .. } | Self::Foreign { .. } => Class::Conflict,
            Self::Certificate { .. }
            | Self::Digest { .. }
            | Self::Unsafe { .. }
            | Self::TooLarge { .. }
            | Self::Refused { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Certificate { host, detail, .. } if detail.contains("Expired") || detail.contains("expired") => {
                Some(format!("tell who runs {host}; where its certificate does hold, this machine's clock is wrong"))
            }
            Self::Certificate { host, detail, .. } if detail.contains("not valid for name") => {
                Some(format!("another server answers under this name, or {host} is written wrongly"))
            }
            Self::Certificate { host, .. } => Some(format!(
                "put your company's CA certificate into /etc/docker/certs.d/{host}/ca.crt or \
                 ~/.docker/certs.d/{host}/ca.crt, or install it (Debian: /usr/local/share/ca-certificates, then \
                 update-ca-certificates)"
            )),
            Self::Unreachable { detail, .. } if detail.contains("InvalidContentType") => {
                Some("it seems to speak plain http, which onramp uses on loopback addresses only".to_owned())
            }
            Self::Unreachable { .. } => {
                Some("is the registry running, and is its name right? onramp asks no other one instead".to_owned())
            }
            Self::TimedOut { .. } | Self::Stalled { .. } => Some("--timeout sets how long to wait".to_owned()),
            Self::Unauthorized { hint, .. } => {
                Some(hint.clone().unwrap_or_else(|| "onramp uses the credentials of `docker login`".to_owned()))
            }
            Self::Digest { .. } => {
                Some("the registry, a proxy or a mirror changed the content; nothing of it was used".to_owned())
            }
            Self::TooLarge { .. } | Self::Refused { .. } | Self::Unsafe { .. } => {
                Some("nothing of the answer was used".to_owned())
            }
            Self::Contended { .. } => Some("when they are done, run this again".to_owned()),
            Self::Foreign { .. } => {
                Some("whoever may push can put a tag there; tell who runs the registry, or take it away".to_owned())
            }
            Self::BadHost { .. }
            | Self::NotFound { .. }
            | Self::NoImage { .. }
            | Self::Truncated { .. }
            | Self::Unreadable { .. }
            | Self::Protocol { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Unauthorized { host, .. } => vec![format!("docker login {host}")],
            Self::NotFound { .. } | Self::NoImage { .. } => vec!["onramp image list".to_owned()],
            Self::Unreadable { path, .. } => vec![format!("ls -l {}", path.display())],
            Self::Contended { .. } => Vec::new(),
            Self::Foreign { host, what, .. } => vec![format!("docker manifest inspect {host}/{what}")],
            Self::BadHost { .. }
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::TimedOut { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::Digest { .. }
            | Self::Unsafe { .. }
            | Self::TooLarge { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. } => vec!["onramp doctor".to_owned()],
        }
    }
}
