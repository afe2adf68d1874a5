//! What GitHub's answers hold, as far as onramp reads them.

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::{Check, Comment, Outcome, Person, PullRequest, Standing, Status};
use crate::git::Commit;

pub(super) fn person(login: String) -> Person {
    Person { name: login.clone(), id: login }
}

#[derive(Deserialize)]
pub(super) struct RawPull {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) html_url: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) draft: Option<bool>,
    /// What GraphQL calls it.
    #[serde(default)]
    pub(super) node_id: Option<String>,
    pub(super) merged_at: Option<Timestamp>,
    /// Of an open one: of a merge that was only tried.
    #[serde(default)]
    pub(super) merge_commit_sha: Option<Commit>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) user: Option<RawUser>,
    pub(super) head: RawEnd,
    pub(super) base: RawEnd,
    /// How many; lists of pull requests do not tell it.
    #[serde(default)]
    pub(super) comments: Option<u64>,
    #[serde(default)]
    pub(super) requested_reviewers: Option<Vec<RawUser>>,
    #[serde(default)]
    pub(super) requested_teams: Option<Vec<RawTeam>>,
    #[serde(default)]
    pub(super) labels: Option<Vec<RawLabel>>,
}

#[derive(Deserialize)]
pub(super) struct RawTeam {
    pub(super) slug: String,
}

#[derive(Deserialize)]
pub(super) struct RawUser {
    pub(super) login: String,
}

#[derive(Deserialize)]
pub(super) struct RawLabel {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct RawEnd {
    pub(super) r#ref: String,
    pub(super) sha: Commit,
}

#[derive(Deserialize)]
pub(super) struct RawReview {
    pub(super) user: Option<RawUser>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) author_association: String,
    pub(super) commit_id: Option<Commit>,
}

#[derive(Deserialize)]
pub(super) struct RawComment {
    user: Option<RawUser>,
    created_at: Timestamp,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawBranch {
    pub(super) commit: RawSha,
}

#[derive(Deserialize)]
pub(super) struct RawSha {
    pub(super) sha: Commit,
}

#[derive(Deserialize)]
pub(super) struct RawMerge {
    pub(super) sha: Commit,
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
#[derive(Deserialize)]
pub(super) struct RawChecks {
    pub(super) total_count: u64,
    pub(super) check_runs: Vec<RawCheck>,
}

#[derive(Deserialize)]
pub(super) struct RawCheck {
    name: String,
    status: String,
    conclusion: Option<String>,
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/status`
#[derive(Deserialize)]
pub(super) struct RawStatuses {
    pub(super) total_count: u64,
    pub(super) statuses: Vec<RawStatus>,
}

#[derive(Deserialize)]
pub(super) struct RawStatus {
    context: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
}

impl RawStatus {
    /// Whether it says the same.
    pub(super) fn says(&self, status: &Status, state: &str) -> bool {
        self.context == status.context
            && self.state == state
            && self.description.as_deref() == Some(status.description.as_str())
    }
}

impl From<RawCheck> for Check {
    fn from(raw: RawCheck) -> Self {
        let outcome = match (raw.status.as_str(), raw.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => Outcome::Passed,
            ("completed", _) => Outcome::Failed,
            _ => Outcome::Running,
        };
        Self { name: raw.name, outcome }
    }
}

impl From<RawStatus> for Check {
    fn from(raw: RawStatus) -> Self {
        let outcome = match raw.state.as_str() {
            "success" => Outcome::Passed,
            "pending" => Outcome::Running,
            _ => Outcome::Failed,
        };
        Self { name: raw.context, outcome }
    }
}

/// GitHub calls the author of a deleted account ghost.
fn author(user: Option<RawUser>) -> Person {
    person(user.map_or_else(|| "ghost".to_owned(), |user| user.login))
}

impl From<RawComment> for Comment {
    fn from(raw: RawComment) -> Self {
        Self { by: author(raw.user), at: raw.created_at, body: raw.body.unwrap_or_default() }
    }
}

impl From<RawPull> for PullRequest {
    fn from(raw: RawPull) -> Self {
        let state = match (raw.state.as_str(), raw.merged_at) {
            ("open", _) => Standing::Open,
            (_, Some(_)) => Standing::Merged,
            (_, None) => Standing::Closed,
        };
        let people = raw.requested_reviewers.into_iter().flatten().map(|user| user.login);
        let teams = raw.requested_teams.into_iter().flatten().map(|team| team.slug);
        Self {
            reviewers: people.chain(teams).collect(),
            labels: raw.labels.into_iter().flatten().map(|label| label.name).collect(),
            number: raw.number,
            title: raw.title,
            body: raw.body.unwrap_or_default(),
            author: author(raw.user),
            makers: Vec::new(),
            head_branch: raw.head.r#ref,
            base_branch: raw.base.r#ref,
            head_commit: raw.head.sha,
            state,
            draft: raw.draft.unwrap_or_default(),
            approvals: Vec::new(),
            url: raw.html_url,
            created: raw.created_at,
            updated: raw.updated_at,
        }
    }
}
