//! What GitLab's answers hold, as far as onramp reads them.

use jiff::Timestamp;
use serde::Deserialize;

use crate::forge::{Check, Comment, Outcome, Person, PullRequest, Standing, Status, mark};
use crate::git::Commit;

#[derive(Deserialize)]
pub(super) struct RawUser {
    pub(super) id: u64,
    pub(super) username: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Older servers do not tell it beside an approval.
    #[serde(default)]
    public_email: Option<String>,
}

impl RawUser {
    /// Whether a commit of this mail address is theirs, as far as GitLab lets others know: by the public one, or by the private one
    /// that it makes of their number.
    pub(super) fn has(&self, mail: &str) -> bool {
        let private = mail.starts_with(&format!("{}-", self.id)) && mail.contains("@users.noreply.");
        private || self.public_email.as_ref().is_some_and(|public| public.eq_ignore_ascii_case(mail))
    }
}

pub(super) fn person(user: &RawUser) -> Person {
    Person { id: user.username.clone(), name: user.name.clone().unwrap_or_else(|| user.username.clone()) }
}

#[derive(Deserialize)]
pub(super) struct RawMergeRequest {
    pub(super) iid: u64,
    title: String,
    /// Servers before 13.2 do not say it.
    #[serde(default)]
    draft: Option<bool>,
    description: Option<String>,
    web_url: String,
    state: String,
    author: Option<RawUser>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    /// None where the branch is gone.
    pub(super) sha: Option<Commit>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    pub(super) reviewers: Option<Vec<RawUser>>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    pub(super) detailed_merge_status: Option<String>,
    #[serde(default)]
    pub(super) head_pipeline: Option<RawPipeline>,
    #[serde(flatten)]
    pub(super) merged: RawMerge,
}

#[derive(Deserialize)]
pub(super) struct RawPipeline {
    /// What it is of: a commit that is proposed, or one that merges it to see what comes of it.
    #[serde(default)]
    pub(super) sha: Option<Commit>,
    pub(super) status: String,
}

#[derive(Deserialize)]
pub(super) struct RawApprovals {
    /// Whether whoever asks did.
    #[serde(default)]
    pub(super) user_has_approved: bool,
    pub(super) approved_by: Vec<RawApproval>,
}

#[derive(Deserialize)]
pub(super) struct RawApproval {
    pub(super) user: RawUser,
    #[serde(default)]
    pub(super) approved_at: Option<Timestamp>,
}

/// What was pushed, each time.
#[derive(Deserialize)]
pub(super) struct RawVersion {
    pub(super) head_commit_sha: Commit,
    pub(super) created_at: Timestamp,
}

#[derive(Deserialize)]
pub(super) struct RawNote {
    author: RawUser,
    pub(super) created_at: Timestamp,
    body: String,
    pub(super) system: bool,
}

impl RawNote {
    /// Whether GitLab notes here that this person approved. Nobody else can write such a note.
    pub(super) fn approves(&self, user: &RawUser) -> bool {
        self.system && self.author.id == user.id && self.body == "approved this merge request"
    }
}

#[derive(Deserialize)]
pub(super) struct RawStatus {
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) allow_failure: bool,
    #[serde(default)]
    description: Option<String>,
}

impl RawStatus {
    /// One that may not fail.
    pub(super) fn new(name: &str, status: String) -> Self {
        Self { name: name.to_owned(), status, allow_failure: false, description: None }
    }

    /// Whether it says the same.
    pub(super) fn says(&self, status: &Status, state: &str) -> bool {
        self.name == status.context
            && self.status == state
            && self.description.as_deref() == Some(status.description.as_str())
    }
}

/// A commit of a merge request: GitLab has no accounts beside them.
#[derive(Deserialize)]
pub(super) struct RawMade {
    pub(super) author_email: String,
    pub(super) committer_email: String,
}

#[derive(Deserialize)]
pub(super) struct RawCommit {
    #[serde(default)]
    pub(super) parent_ids: Vec<Commit>,
}

#[derive(Deserialize)]
pub(super) struct RawBranch {
    pub(super) commit: RawId,
}

#[derive(Deserialize)]
pub(super) struct RawId {
    pub(super) id: Commit,
}

#[derive(Deserialize)]
pub(super) struct RawMerge {
    #[serde(default)]
    pub(super) merge_commit_sha: Option<Commit>,
    #[serde(default)]
    pub(super) squash_commit_sha: Option<Commit>,
}

impl RawMerge {
    /// What was made of it. None where the branch was only moved forward.
    pub(super) fn commit(self) -> Option<Commit> {
        self.merge_commit_sha.or(self.squash_commit_sha)
    }
}

/// A job's, an outside status's or a pipeline's state. What waits for somebody's hand holds nothing up where it may fail.
pub(super) fn check_of(name: String, status: &str, may_fail: bool) -> Check {
    let outcome = match status {
        "success" => Outcome::Passed,
        "failed" | "canceled" | "manual" if may_fail => Outcome::Passed,
        "failed" | "canceled" => Outcome::Failed,
        _ => Outcome::Running,
    };
    Check { name, outcome }
}

impl RawMergeRequest {
    /// Whether its branch is in the project that it is proposed to.
    pub(super) fn is_of_its_project(&self) -> bool {
        self.source_project_id.is_some() && self.source_project_id == self.target_project_id
    }

    /// In our words, without approvals. None where it proposes no commit.
    pub(super) fn pull(&self) -> Option<PullRequest> {
        let state = match self.state.as_str() {
            // Locked while it is being merged.
            "opened" | "locked" => Standing::Open,
            "merged" => Standing::Merged,
            _ => Standing::Closed,
        };
        let (draft, title) = mark::GITLAB.read(&self.title, self.draft);
        let ghost = || Person { id: "ghost".to_owned(), name: "ghost".to_owned() };
        Some(PullRequest {
            number: self.iid,
            title,
            body: self.description.clone().unwrap_or_default(),
            author: self.author.as_ref().map_or_else(ghost, person),
            makers: Vec::new(),
            head_branch: self.source_branch.clone(),
            base_branch: self.target_branch.clone(),
            head_commit: self.sha.clone()?,
            state,
            draft,
            approvals: Vec::new(),
            reviewers: self.reviewers.iter().flatten().map(|user| user.username.clone()).collect(),
            labels: self.labels.clone(),
            url: self.web_url.clone(),
            created: self.created_at,
            updated: self.updated_at,
        })
    }
}

impl From<RawNote> for Comment {
    fn from(raw: RawNote) -> Self {
        Self { by: person(&raw.author), at: raw.created_at, body: raw.body }
    }
}
