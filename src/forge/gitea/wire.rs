//! What Gitea's and Forgejo's answers hold, as far as onramp reads them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::forge::{Check, Comment, Outcome, Person, PullRequest, Standing, Status, mark};
use crate::git::Commit;

pub(super) fn person(login: String) -> Person {
    Person { name: login.clone(), id: login }
}

/// A commit. Where there is none they say `""`: of a review that was only asked for, of a branch that is gone.
fn maybe_commit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Commit>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|commit| commit.parse().ok()))
}

#[derive(Deserialize)]
pub(super) struct RawUser {
    pub(super) login: String,
}

#[derive(Deserialize)]
struct RawTeam {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct RawPull {
    pub(super) number: u64,
    title: String,
    /// Old servers do not say it.
    #[serde(default)]
    draft: Option<bool>,
    #[serde(default)]
    body: Option<String>,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    #[serde(default, deserialize_with = "maybe_commit")]
    pub(super) merge_commit_sha: Option<Commit>,
    created_at: Timestamp,
    updated_at: Timestamp,
    user: Option<RawUser>,
    pub(super) head: RawEnd,
    base: RawEnd,
    #[serde(default)]
    requested_reviewers: Option<Vec<RawUser>>,
    #[serde(default)]
    requested_reviewers_teams: Option<Vec<RawTeam>>,
    #[serde(default)]
    labels: Option<Vec<RawLabel>>,
}

#[derive(Deserialize)]
struct RawLabel {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct RawEnd {
    pub(super) r#ref: String,
    #[serde(default, deserialize_with = "maybe_commit")]
    pub(super) sha: Option<Commit>,
    /// -1 where the repository is gone.
    #[serde(default)]
    repo_id: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct RawReview {
    pub(super) id: u64,
    pub(super) user: Option<RawUser>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) dismissed: bool,
    #[serde(default)]
    pub(super) official: bool,
    #[serde(default, deserialize_with = "maybe_commit")]
    pub(super) commit_id: Option<Commit>,
}

#[derive(Deserialize)]
pub(super) struct RawComment {
    user: Option<RawUser>,
    created_at: Timestamp,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
pub(super) struct RawBranch {
    pub(super) commit: RawId,
}

#[derive(Deserialize)]
pub(super) struct RawId {
    pub(super) id: Commit,
}

/// One page. `total_count` is of all pages, or of this one: servers differ.
#[derive(Deserialize)]
pub(super) struct RawStatuses {
    #[serde(default)]
    pub(super) total_count: u64,
    #[serde(default)]
    pub(super) statuses: Option<Vec<RawStatus>>,
}

#[derive(Deserialize)]
pub(super) struct RawStatus {
    pub(super) context: String,
    status: String,
    #[serde(default)]
    description: Option<String>,
}

impl RawStatus {
    /// Whether it says the same.
    pub(super) fn says(&self, status: &Status, state: &str) -> bool {
        self.context == status.context
            && self.status == state
            && self.description.as_deref() == Some(status.description.as_str())
    }
}

impl From<RawStatus> for Check {
    fn from(raw: RawStatus) -> Self {
        let outcome = match raw.status.as_str() {
            "success" | "warning" | "skipped" => Outcome::Passed,
            "pending" => Outcome::Running,
            _ => Outcome::Failed,
        };
        Self { name: raw.context, outcome }
    }
}

/// The author of a deleted account is called ghost.
fn author(user: Option<RawUser>) -> Person {
    person(user.map_or_else(|| "ghost".to_owned(), |user| user.login))
}

impl From<RawComment> for Comment {
    fn from(raw: RawComment) -> Self {
        Self { by: author(raw.user), at: raw.created_at, body: raw.body }
    }
}

impl RawPull {
    /// Whether its branch is in the repository that it is proposed to.
    pub(super) fn is_of_its_repository(&self) -> bool {
        self.head.repo_id == self.base.repo_id
    }

    /// In our words, without approvals. None where it proposes no commit.
    pub(super) fn pull(self) -> Option<PullRequest> {
        let state = match (self.state.as_str(), self.merged) {
            ("open", _) => Standing::Open,
            (_, true) => Standing::Merged,
            (_, false) => Standing::Closed,
        };
        let (draft, title) = mark::GITEA.read(&self.title, self.draft);
        let people = self.requested_reviewers.into_iter().flatten().map(|user| user.login);
        let teams = self.requested_reviewers_teams.into_iter().flatten().map(|team| team.name);
        Some(PullRequest {
            number: self.number,
            title,
            body: self.body.unwrap_or_default(),
            author: author(self.user),
            makers: Vec::new(),
            head_branch: self.head.r#ref,
            base_branch: self.base.r#ref,
            head_commit: self.head.sha?,
            state,
            draft,
            approvals: Vec::new(),
            reviewers: people.chain(teams).collect(),
            labels: self.labels.into_iter().flatten().map(|label| label.name).collect(),
            url: self.html_url,
            created: self.created_at,
            updated: self.updated_at,
        })
    }
}
