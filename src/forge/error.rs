//! What can go wrong with a forge, and what helps.

use super::{Standing, token};
use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::git::{self, Commit};
use crate::settings::ForgeKind;

/// What can go wrong with a forge.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The local forge's record of a pull request is damaged.
    #[error(transparent)]
    Record(#[from] DocumentError),
    /// `--offline`, and the forge is on the network.
    #[error("--offline forbids talking to the forge")]
    Offline,
    /// There is no such pull request.
    #[error("there is no pull request {number}")]
    NoPull {
        /// What was asked for.
        number: u64,
    },
    /// It is merged or closed.
    #[error("pull request {number} is {}", state.as_str())]
    NotOpen {
        /// Its number.
        number: u64,
        /// Where it stands.
        state: Standing,
    },
    /// The local forge keeps no more about it.
    #[error("pull request {number} holds more than 1 MiB of words with this")]
    Full {
        /// Its number.
        number: u64,
    },
    /// Who proposed it wants to approve it.
    #[error("pull request {number} is your own; somebody else approves it")]
    Own {
        /// Its number.
        number: u64,
    },
    /// Its commit, or the base branch, is not what was checked.
    #[error("pull request {number} changed meanwhile: {detail}")]
    Moved {
        /// Its number.
        number: u64,
        /// What changed.
        detail: String,
    },
    /// It is a draft.
    #[error("pull request {number} is a draft")]
    Draft {
        /// Its number.
        number: u64,
    },
    /// It was to be a draft, and the forge has it as one that is ready; or the other way round.
    #[error("the forge did not make pull request {number} {}", if *draft { "a draft" } else { "ready" })]
    Unturned {
        /// Its number.
        number: u64,
        /// Whether it was to be a draft.
        draft: bool,
    },
    /// The forge's own rules hold it: a draft, approvals or checks that are missing, a kind of merge that is not allowed.
    #[error("the forge does not merge pull request {number} as it is: {detail}")]
    NotMergeable {
        /// Its number.
        number: u64,
        /// The forge's words.
        detail: String,
    },
    /// Its checks did not all pass, or not in time.
    #[error("the checks of {} in pull request {number} have not all passed; {detail}", commit.short())]
    Unchecked {
        /// Its number.
        number: u64,
        /// The commit that they are of.
        commit: Commit,
        /// Which.
        detail: String,
    },
    /// Nothing checks commits there.
    #[error("the local forge has no checks to wait for")]
    NoChecks,
    /// Nobody keeps statuses of commits there.
    #[error("the local forge keeps no statuses of commits")]
    NoStatuses,
    /// The settings name no forge that can be talked to.
    #[error("the forge cannot be used: {detail}")]
    Setting {
        /// Why.
        detail: String,
    },
    /// Nobody gave a token.
    #[error("there is no token for {host}")]
    NoToken {
        /// The forge's kind.
        kind: ForgeKind,
        /// The forge's host.
        host: String,
    },
    /// The forge does not take the token.
    #[error("{host} refused the token from {origin}: {detail}")]
    Refused {
        /// The forge's kind.
        kind: ForgeKind,
        /// The forge's host.
        host: String,
        /// Where the token came from.
        origin: String,
        /// The forge's words.
        detail: String,
    },
    /// The token may not do this.
    #[error("{host} does not let you {what}: {detail}")]
    Forbidden {
        /// The forge's kind.
        kind: ForgeKind,
        /// The forge's host.
        host: String,
        /// What was tried.
        what: String,
        /// The forge's words.
        detail: String,
    },
    /// Too many requests.
    #[error("{host} takes no more requests now; it does again {reset}")]
    Limited {
        /// The forge's host.
        host: String,
        /// When: `in 60 s` or `at 2026-…`.
        reset: String,
    },
    /// It is not there, or not for us.
    #[error("{host} has no {what} that this token may see")]
    NotFound {
        /// The forge's kind.
        kind: ForgeKind,
        /// The forge's host.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// Somebody proposed the same branch between our look and our proposal.
    #[error("{host} has a pull request of this branch by now: {detail}")]
    Exists {
        /// The forge's host.
        host: String,
        /// The forge's own messages.
        detail: String,
    },
    /// The forge does not accept what we sent.
    #[error("{host} refused to {what}: {detail} (HTTP {status})")]
    Invalid {
        /// The forge's host.
        host: String,
        /// What was tried.
        what: String,
        /// HTTP status.
        status: u16,
        /// The forge's own messages.
        detail: String,
    },
    /// The forge is down, or something between is.
    #[error("{host} did not answer as it should when asked to {what}: {detail}")]
    Unreachable {
        /// The forge's host.
        host: String,
        /// What was asked.
        what: String,
        /// What happened.
        detail: String,
    },
    /// More than any honest answer holds.
    #[error("{host} answered {what} with more than {cap}")]
    TooMuch {
        /// The forge's host.
        host: String,
        /// What was asked.
        what: String,
        /// The cap: `4 MiB`, `1000 entries`.
        cap: &'static str,
    },
}

impl Error {
    /// Whether no answer says what became of what was asked: it may be done, or not.
    pub(super) fn is_open_ended(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TooMuch { .. })
    }

    /// The same, but for the refusal of a second pull request of one branch: 422 of GitHub, 409 of the others, each in words
    /// that say so.
    pub(super) fn or_exists(self) -> Self {
        match self {
            Self::Invalid { host, status: 409 | 422, detail, .. } if detail.contains("already exists") => {
                Self::Exists { host, detail }
            }
            other => other,
        }
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::Record(error) => error.class(),
            Self::NoPull { .. } | Self::Full { .. } | Self::NoChecks | Self::NoStatuses => Class::Usage,
            Self::Unchecked { .. } => Class::Failed,
            Self::NotOpen { .. } | Self::Moved { .. } | Self::Exists { .. } => Class::Conflict,
            Self::Setting { .. } | Self::Invalid { .. } | Self::Unturned { .. } => Class::Config,
            Self::NoToken { .. } | Self::Refused { .. } | Self::Forbidden { .. } | Self::NotFound { .. } => Class::Auth,
            Self::Offline | Self::Limited { .. } | Self::Unreachable { .. } => Class::Net,
            // As what a policy of ours refuses: trying again helps nobody.
            Self::TooMuch { .. } | Self::Own { .. } | Self::NotMergeable { .. } | Self::Draft { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::Unchecked { .. } => {
                Some("nothing was merged; --timeout says how long to wait for checks that are not done".to_owned())
            }
            Self::NoChecks => Some("leave --wait out".to_owned()),
            Self::NoStatuses => Some("leave --status out: the command says the same, and its exit code does".to_owned()),
            Self::Unturned { .. } => Some(
                "it is open, and was not merged. A Gitea or Forgejo takes `WIP:` for a draft unless its app.ini names other prefixes"
                    .to_owned(),
            ),
            Self::Moved { .. } => Some("nothing was merged; look at it again, then merge".to_owned()),
            Self::NotMergeable { .. } => {
                Some("nothing was merged; its page at the forge says what it waits for".to_owned())
            }
            Self::NoToken { kind, host } => Some(format!(
                "looked in {}, in {}'s settings and in git's credential helpers",
                token::variables(*kind, host).join(", "),
                token::program(*kind)
            )),
            Self::Exists { .. } => Some("the same command finds it now, and brings it up to date".to_owned()),
            Self::NotFound { .. } => {
                Some("a private repository looks like this to a token without the right to see it".to_owned())
            }
            Self::Forbidden { kind, .. } => {
                let rights = match kind {
                    ForgeKind::Gitlab => "the scope \"api\", of somebody who is a Developer of the project",
                    ForgeKind::Gitea => "the scopes \"repository\" and \"issue\": write",
                    _ => "the repository's rights \"Contents\", \"Pull requests\" and, for --status, \"Commit statuses\": write",
                };
                Some(format!("the token needs {rights}"))
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::NoPull { .. } | Self::Exists { .. } => vec!["onramp pr list".to_owned()],
            Self::NotOpen { number, .. }
            | Self::Moved { number, .. }
            | Self::NotMergeable { number, .. }
            | Self::Unturned { number, .. }
            | Self::Unchecked { number, .. } => {
                vec![format!("onramp pr show {number}")]
            }
            Self::Draft { number } => vec![format!("onramp pr ready {number}")],
            Self::NoStatuses => vec!["onramp state check --base main".to_owned()],
            Self::NoToken { kind, host } | Self::Refused { kind, host, .. } => vec![token::login(*kind, Some(host))],
            Self::Forbidden { kind, host, .. } | Self::NotFound { kind, host, .. } => {
                vec![token::status(*kind, host)]
            }
            Self::Setting { .. } => vec!["onramp doctor".to_owned()],
            _ => Vec::new(),
        }
    }
}
