//! The forge: where changes to the state repository are proposed, approved and merged, in our words.
//!
//! [`github`], [`gitlab`] and [`gitea`] (and Forgejo) speak to a server's API through `http`; [`local`] needs no server
//! because it keeps its pull requests in the state repository itself.

pub mod asking;
pub mod checks;
mod error;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod http;
pub mod local;
mod makers;
mod mark;
pub mod owners;
mod place;
mod reviewer;
pub mod token;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use checks::{Check, Outcome, Status};
pub use error::Error;
pub use place::Place;
pub use reviewer::Reviewer;
use token::Token;

use crate::git::{Commit, Identity, Mirror, RepoUrl, Wanted};
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
    /// Who made the commits that it proposes: logins, or mail addresses (local). Servers are asked where somebody approved.
    pub makers: Vec<String>,
    /// The branch with the change: `deploy/production/shop`.
    pub head_branch: String,
    /// The branch it is to be merged into.
    pub base_branch: String,
    /// The commit that is proposed.
    pub head_commit: Commit,
    /// Open, merged or closed.
    pub state: Standing,
    /// Whether it is a draft: to be seen, and not to be merged yet.
    pub draft: bool,
    /// Who approved what, each person's last word.
    pub approvals: Vec<Approval>,
    /// Who is asked to look at it.
    pub reviewers: Vec<String>,
    /// What it is labelled with.
    pub labels: Vec<String>,
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

    /// Who is behind it: whoever opened it, and whoever made what it proposes.
    pub fn authors(&self) -> Vec<String> {
        std::iter::once(&self.author.id).chain(&self.makers).cloned().collect()
    }

    /// The same, where it is a draft or ready as it was to be.
    pub fn turned(self, draft: bool) -> Result<Self, Error> {
        if self.draft == draft { Ok(self) } else { Err(Error::Unturned { number: self.number, draft }) }
    }

    /// Who approved the commit that is proposed now: whoever is behind a change does not count as somebody who agreed to it.
    pub fn approved_by_others(&self) -> impl Iterator<Item = &Person> {
        let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
        let authors = self.authors();
        self.approved_by().filter(move |person| !authors.iter().any(|author| same(author, &person.id)))
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

/// Whether this is a label that every forge takes: one line of at most fifty signs, without a comma.
pub fn is_label(text: &str) -> bool {
    let fits = |sign: char| sign != ',' && !sign.is_control();
    text.trim() == text && (1..=50).contains(&text.chars().count()) && text.chars().all(fits)
}

/// What a new pull request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Whether it is to be a draft.
    pub draft: bool,
    /// The pushed branch with the change.
    pub head_branch: String,
    /// The branch to merge it into.
    pub base_branch: String,
}

/// What else an open pull request is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Whether it is to be a draft from now on.
    pub draft: bool,
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

    /// Says something else about an open pull request, and makes it a draft or ready. Its commit is the branch's, wherever that
    /// stands.
    fn update(&self, number: u64, words: Words) -> Answer<'_, PullRequest>;

    /// Asks people and teams to look at an open pull request, beside those who were asked before. Whom this forge cannot
    /// ask is not in the answer's `reviewers`.
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest>;

    /// Labels a pull request with these, beside what it is labelled with.
    fn label(&self, number: u64, labels: Vec<String>) -> Answer<'_, PullRequest>;

    /// What was said about a pull request, oldest first. Of very many only the latest.
    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>>;

    /// Says something about a pull request, open or not.
    fn comment(&self, number: u64, body: String) -> Answer<'_, ()>;

    /// Gives an open pull request up, saying why first. One that is closed or merged stays as it is, and nothing is said.
    /// Where an earlier call said why and came no further, it is not said twice.
    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest>;

    /// What the checks of the forge say about the commit that an open pull request proposes.
    fn checks<'a>(&'a self, pull: &'a PullRequest) -> Answer<'a, Vec<Check>>;

    /// Says this about a commit, unless the last word of that context is the same already; whether it was said now.
    fn say<'a>(&'a self, commit: &'a Commit, status: &'a Status) -> Answer<'a, bool>;

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
    if setting.kind == ForgeKind::Local {
        return Ok(Box::new(local::Local::new(mirror.clone(), me.clone(), offline)));
    }
    server(setting, mirror.url(), offline, timeout, variable).await
}

/// The same where it is a server, for the repository at `url`: who somebody is there, the token says. The local forge is none.
pub async fn server(
    setting: &settings::Forge,
    url: &RepoUrl,
    offline: bool,
    timeout: Duration,
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Box<dyn Forge>, Error> {
    if offline {
        return Err(Error::Offline);
    }
    let kind = setting.kind;
    let place = Place::of(kind, setting.api.as_deref(), url)?;
    let app = match kind {
        ForgeKind::Github => github::app::token(&place, timeout, variable).await?,
        _ => None,
    };
    let token = match app {
        Some(token) => token,
        None => token_for(&place, variable).await?,
    };
    Ok(match kind {
        ForgeKind::Gitlab => Box::new(gitlab::GitLab::new(place, token, timeout)?),
        ForgeKind::Gitea => Box::new(gitea::Gitea::new(place, token, timeout)?),
        ForgeKind::Github | ForgeKind::Local => Box::new(github::GitHub::new(place, token, timeout)?),
    })
}

/// The token for a place, or the error that says where one was looked for.
pub async fn token_for(place: &Place, variable: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<Token, Error> {
    let (kind, host) = (place.kind, place.host());
    token::find(kind, host, variable).await.ok_or_else(|| Error::NoToken { kind, host: host.to_owned() })
}

/// Says why, once, then lets `end` end it: how a pull request is closed where that takes two requests.
async fn close(
    forge: &dyn Forge,
    number: u64,
    comment: String,
    end: impl Future<Output = Result<PullRequest, Error>>,
) -> Result<PullRequest, Error> {
    let pull = forge.get(number).await?;
    if pull.state != Standing::Open {
        return Ok(pull);
    }
    // Forges drop white space at the ends.
    if !forge.comments(number).await?.iter().any(|said| said.body.trim() == comment.trim()) {
        forge.comment(number, comment).await?;
    }
    end.await
}

/// What is asked before a merge, right before: that it is no draft, and that what was checked stands where it stood. The
/// head is pinned by the forge as well.
fn as_checked(pull: &PullRequest, base_now: &Commit, checked: &Checked) -> Result<(), Error> {
    let number = pull.number;
    let moved = |detail| Err(Error::Moved { number, detail });
    if pull.head_commit != checked.head {
        return moved(format!("it proposes {} now, not {}", pull.head_commit.short(), checked.head.short()));
    }
    if *base_now != checked.base {
        return moved(format!("{} is at {} now", crate::text::neutral_line(&pull.base_branch, 80), base_now.short()));
    }
    ready(pull)
}

/// A draft is not merged.
fn ready(pull: &PullRequest) -> Result<(), Error> {
    if pull.draft { Err(Error::Draft { number: pull.number }) } else { Ok(()) }
}

/// What a merge came to whose answer is an error. Where no answer told of a refusal it may be done all the same: the pull
/// request as it is now, and the merge commit that it names, say so.
fn or_done(error: Error, now: Option<(PullRequest, Option<Commit>)>, checked: &Checked) -> Result<Commit, Error> {
    match now {
        Some((pull, Some(commit))) if pull.state == Standing::Merged && pull.head_commit == checked.head => Ok(commit),
        _ => Err(error),
    }
}

/// Which refs of the state repository a forge of this kind needs.
pub fn wanted(kind: ForgeKind) -> Wanted {
    match kind {
        ForgeKind::Local => Wanted::BranchesAndPulls,
        ForgeKind::Github | ForgeKind::Gitlab | ForgeKind::Gitea => Wanted::Branches,
    }
}
