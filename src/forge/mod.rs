//! The forge: where changes to the state repository are proposed, approved and merged, in our words.
//!
//! Two kinds: [`github`], through GitHub's REST API, and [`local`], which needs no server because it keeps its pull
//! requests in the state repository itself.

pub mod github;
pub mod local;
pub mod token;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::git::{self, Commit, Identity, Mirror, Wanted};
use crate::settings::{self, ForgeKind};

/// Who somebody is to a forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What tells them apart from others: mail address (local) or login (GitHub).
    pub id: String,
    /// What they are called.
    pub name: String,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It can be approved and merged.
    Open,
    /// Its change is in the base branch.
    Merged,
    /// It was given up.
    Closed,
}

impl Standing {
    /// `open`, `merged` or `closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }
}

/// Somebody agreed to one commit. A later commit is not what they agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who.
    pub by: Person,
    /// To what.
    pub commit: Commit,
}

/// A proposed change. Title, body and names are whatever somebody wrote: neutralise them before a terminal sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Who proposed it.
    pub author: Person,
    /// The branch with the change: `deploy/production/shop`.
    pub head_branch: String,
    /// The branch it is to be merged into.
    pub base_branch: String,
    /// The commit that is proposed.
    pub head_commit: Commit,
    /// Open, merged or closed.
    pub state: Standing,
    /// Who approved what, each person's last word.
    pub approvals: Vec<Approval>,
    /// Who is asked to look at it.
    pub reviewers: Vec<String>,
    /// Where a person looks at it: a page, or for the local forge a command.
    pub url: String,
    /// When it was proposed.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl PullRequest {
    /// Who approved the commit that is proposed now.
    pub fn approved_by(&self) -> impl Iterator<Item = &Person> {
        self.approvals.iter().filter(|approval| approval.commit == self.head_commit).map(|approval| &approval.by)
    }
}

/// What somebody said about a pull request. Whatever they wrote: neutralise it before a terminal sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// Markdown.
    pub body: String,
}

impl Comment {
    /// Whether these words were said before. Forges drop white space at the ends.
    pub(crate) fn among(said: &[Self], body: &str) -> bool {
        said.iter().any(|comment| comment.body.trim() == body.trim())
    }
}

/// Who is asked to look at a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reviewer {
    /// A person, by login.
    Login(String),
    /// A team of an organisation, by its name there.
    Team(String),
    /// Somebody whom only the local forge knows: by mail address.
    Mail(String),
}

impl Reviewer {
    /// Whom a block's `owner` or `trusted_committers` mean: `@ana`, `@acme/platform`, `ana@acme.test`. None where it is only
    /// words.
    pub fn of(text: &str) -> Option<Self> {
        let part = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !text.is_empty() && text.len() <= 100 && text.bytes().all(fits)
        };
        let text = text.trim();
        if let Some((name, host)) = text.split_once('@').filter(|(name, _)| !name.is_empty()) {
            return (part(&name.replace('+', "")) && part(host)).then(|| Self::Mail(text.to_owned()));
        }
        let text = text.strip_prefix('@').unwrap_or(text);
        match text.split_once('/') {
            Some((owner, team)) => (part(owner) && part(team)).then(|| Self::Team(team.to_owned())),
            None => part(text).then(|| Self::Login(text.to_owned())),
        }
    }

    /// As a person reads it.
    pub fn name(&self) -> &str {
        match self {
            Self::Login(name) | Self::Team(name) | Self::Mail(name) => name,
        }
    }
}

/// What a new pull request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The pushed branch with the change.
    pub head_branch: String,
    /// The branch to merge it into.
    pub base_branch: String,
}

/// What was checked before a merge. The merge happens only if both still stand where they stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The proposed commit.
    pub head: Commit,
    /// The base branch's commit.
    pub base: Commit,
    /// The message of the merge commit: its first line, then the rest.
    pub message: String,
}

/// What a forge answers, in time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A place where changes are proposed.
pub trait Forge: Send + Sync {
    /// The open pull requests, newest first.
    fn list(&self) -> Answer<'_, Vec<PullRequest>>;

    /// The open pull request of a branch of the state repository.
    fn find_open<'a>(&'a self, head_branch: &'a str) -> Answer<'a, Option<PullRequest>>;

    /// One pull request.
    fn get(&self, number: u64) -> Answer<'_, PullRequest>;

    /// Proposes a pushed branch.
    fn create(&self, proposal: Proposal) -> Answer<'_, PullRequest>;

    /// Says something else about an open pull request. Its commit is the branch's, wherever that stands.
    fn update(&self, number: u64, title: String, body: String) -> Answer<'_, PullRequest>;

    /// Asks people and teams to look at an open pull request, beside those who were asked before. Whom this forge cannot
    /// ask is not in the answer's `reviewers`.
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest>;

    /// What was said about a pull request, oldest first. Of very many only the latest.
    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>>;

    /// Says something about a pull request, open or not.
    fn comment(&self, number: u64, body: String) -> Answer<'_, ()>;

    /// Gives an open pull request up, saying why first. One that is closed or merged stays as it is, and nothing is said.
    /// Where an earlier call said why and came no further, it is not said twice.
    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest>;

    /// Approves the commit that was looked at, as who we are here.
    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest>;

    /// Merges what was checked; the merge commit.
    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit>;
}

/// The forge that the settings name, for the repository behind `mirror`. `variable` reads the environment, for tokens.
pub async fn connect(
    setting: &settings::Forge,
    mirror: &Mirror,
    me: &Identity,
    offline: bool,
    timeout: Duration,
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Box<dyn Forge>, Error> {
    match setting.kind {
        ForgeKind::Local => Ok(Box::new(local::Local::new(mirror.clone(), me.clone(), offline))),
        ForgeKind::Github if offline => Err(Error::Offline),
        ForgeKind::Github => {
            let place = github::Place::of(setting.api.as_deref(), mirror.url())?;
            let token = token::find(place.host(), variable).await;
            let token = token.ok_or_else(|| Error::NoToken { host: place.host().to_owned() })?;
            Ok(Box::new(github::GitHub::new(place, token, timeout)?))
        }
    }
}

/// Which refs of the state repository a forge of this kind needs.
pub fn wanted(kind: ForgeKind) -> Wanted {
    match kind {
        ForgeKind::Local => Wanted::BranchesAndPulls,
        ForgeKind::Github => Wanted::Branches,
    }
}

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
    /// The settings name no forge that can be talked to.
    #[error("the forge cannot be used: {detail}")]
    Setting {
        /// Why.
        detail: String,
    },
    /// Nobody gave a token.
    #[error("there is no token for {host}")]
    NoToken {
        /// The forge's host.
        host: String,
    },
    /// The forge does not take the token.
    #[error("{host} refused the token from {origin}: {detail}")]
    Refused {
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
        /// The forge's host.
        host: String,
        /// What was asked for.
        what: String,
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

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::Record(error) => error.class(),
            Self::NoPull { .. } | Self::Full { .. } => Class::Usage,
            Self::NotOpen { .. } | Self::Moved { .. } => Class::Conflict,
            Self::Setting { .. } | Self::Invalid { .. } => Class::Config,
            Self::NoToken { .. } | Self::Refused { .. } | Self::Forbidden { .. } | Self::NotFound { .. } => Class::Auth,
            Self::Offline | Self::Limited { .. } | Self::Unreachable { .. } => Class::Net,
            Self::TooMuch { .. } | Self::Own { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::Moved { .. } => Some("nothing was merged; look at it again, then merge".to_owned()),
            Self::NoToken { host } => Some(format!(
                "looked in {}, in gh's settings and in git's credential helpers",
                token::variables(host).join(", ")
            )),
            Self::NotFound { .. } => {
                Some("a private repository looks like this to a token without the right to see it".to_owned())
            }
            Self::Forbidden { .. } => {
                Some("the token needs the repository's rights \"Contents\" and \"Pull requests\": write".to_owned())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::NoPull { .. } => vec!["onramp pr list".to_owned()],
            Self::NotOpen { number, .. } | Self::Moved { number, .. } => vec![format!("onramp pr show {number}")],
            Self::NoToken { host } | Self::Refused { host, .. } => vec![format!("gh auth login --hostname {host}")],
            Self::Forbidden { host, .. } | Self::NotFound { host, .. } => {
                vec![format!("gh auth status --hostname {host}")]
            }
            Self::Setting { .. } => vec!["onramp doctor".to_owned()],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_person_a_team_or_only_words() {
        let of = |text: &str| Reviewer::of(text);
        assert_eq!(of("@ana"), Some(Reviewer::Login("ana".to_owned())));
        assert_eq!(of("@acme/platform"), Some(Reviewer::Team("platform".to_owned())));
        assert_eq!(of("web+ci@acme.test"), Some(Reviewer::Mail("web+ci@acme.test".to_owned())));
        for words in ["", "@", "The Platform Team", "a/b/c", "x@", "\u{1b}[31m", "a b@c"] {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}
