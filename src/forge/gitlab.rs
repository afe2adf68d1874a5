//! GitLab, the public one and companies' own, through REST API version 4.
//!
//! <https://docs.gitlab.com/api/merge_requests/>, `/merge_request_approvals/`, `/notes/` and `/commits/`; each call names its
//! path under `/projects/{id}`.
//!
//! An approval on GitLab is of the merge request, whatever it holds by then. Here it is of what the merge request held when
//! it was approved: GitLab keeps the times of approvals and of the versions that were pushed. Older servers tell an
//! approval's time in a note of their own only; one without any time is of nothing.

mod status;
mod wire;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use wire::{
    RawApprovals, RawBranch, RawCommit, RawMade, RawMerge, RawMergeRequest, RawNote, RawStatus, RawUser, RawVersion,
    check_of, person,
};

use super::http::{Dialect, Http};
use super::token::Token;
use super::{
    Answer, Approval, Check, Checked, Comment, Error, Forge, Place, Proposal, PullRequest, Reviewer, Standing, Status,
    Words, as_checked, mark, or_done,
};
use crate::git::Commit;
use crate::text::neutral_line;

/// Calls at once, for lists whose entries need some each.
const AT_ONCE: usize = 4;
/// How often a merge request is looked at whose mergeability GitLab is still finding out.
const LOOKS: u32 = 8;

/// One project on a GitLab.
pub struct GitLab {
    http: Http,
}

impl GitLab {
    /// Talks about the project at `place` with `token`. `timeout` is for each call.
    pub fn new(place: Place, token: Token, timeout: Duration) -> Result<Self, Error> {
        let dialect = Dialect { headers: &[], limit: ("ratelimit-remaining", "ratelimit-reset"), words };
        Ok(Self { http: Http::new(place, token, timeout, dialect)? })
    }

    /// The URL of a merge request, or of something of it.
    fn at(&self, number: u64, then: &[&str]) -> Url {
        let number = number.to_string();
        let segments: Vec<&str> = ["merge_requests", &number].into_iter().chain(then.iter().copied()).collect();
        self.http.place.url(&segments)
    }

    async fn raw(&self, number: u64) -> Result<RawMergeRequest, Error> {
        self.http.get(self.at(number, &[]), &format!("show merge request {number}")).await
    }

    /// `GET …/merge_requests/{iid}/approvals`, `…/versions` for what each was of, and `…/commits` for whether it is of their own.
    async fn with_approvals(&self, raw: RawMergeRequest) -> Result<PullRequest, Error> {
        let number = raw.iid;
        let what = format!("list the approvals of merge request {number}");
        let pull = raw.pull().ok_or_else(|| self.http.unreachable(&what, "it names no commit"))?;
        let given: RawApprovals = self.http.get(self.at(number, &["approvals"]), &what).await?;
        if given.approved_by.is_empty() {
            return Ok(pull);
        }
        let mut url = self.at(number, &["versions"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let versions: Vec<RawVersion> = self.http.pages(url, &what).await?;
        let made: Vec<RawMade> = self.http.pages(self.at(number, &["commits"]), &what).await?;
        let mails: Vec<String> = made.into_iter().flat_map(|made| [made.author_email, made.committer_email]).collect();
        let users = given.approved_by.iter().map(|approval| &approval.user);
        let theirs = users.filter(|user| mails.iter().any(|mail| user.has(mail)));
        let makers = theirs.map(|user| user.username.clone()).collect();
        let untimed = given.approved_by.iter().any(|approval| approval.approved_at.is_none());
        let notes = if untimed { self.notes(number).await? } else { Vec::new() };
        let mut approvals = Vec::new();
        for approval in given.approved_by {
            let noted = || notes.iter().filter(|note| note.approves(&approval.user)).map(|note| note.created_at).max();
            let Some(at) = approval.approved_at.or_else(noted) else { continue };
            let seen = versions.iter().filter(|version| version.created_at <= at);
            if let Some(version) = seen.max_by_key(|version| version.created_at) {
                approvals.push(Approval { by: person(&approval.user), commit: version.head_commit_sha.clone() });
            }
        }
        Ok(PullRequest { makers, approvals, ..pull })
    }

    /// `GET …/merge_requests/{iid}/notes`: the latest hundred, newest first.
    async fn notes(&self, number: u64) -> Result<Vec<RawNote>, Error> {
        let mut url = self.at(number, &["notes"]);
        for (key, value) in [("sort", "desc"), ("order_by", "created_at"), ("per_page", "100")] {
            url.query_pairs_mut().append_pair(key, value);
        }
        self.http.get(url, &format!("list the notes of merge request {number}")).await
    }

    async fn one(&self, number: u64) -> Result<PullRequest, Error> {
        self.with_approvals(self.raw(number).await?).await
    }

    async fn open_ones(&self, head: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.http.place.url(&["merge_requests"]);
        url.query_pairs_mut().append_pair("state", "opened").append_pair("per_page", "100");
        if let Some(branch) = head {
            url.query_pairs_mut().append_pair("source_branch", branch);
        }
        let mut found: Vec<RawMergeRequest> = self.http.pages(url, "list merge requests").await?;
        // A branch of that name in somebody's fork is not ours; one whose branch is gone proposes nothing.
        found.retain(|raw| raw.sha.is_some() && (head.is_none() || raw.is_of_its_project()));
        futures_util::stream::iter(found.into_iter().map(|raw| self.with_approvals(raw)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// `PUT …/merge_requests/{iid}`
    async fn change(&self, number: u64, what: &str, body: &Value) -> Result<PullRequest, Error> {
        let raw = self.http.send(Method::PUT, &["merge_requests", &number.to_string()], what, body).await?;
        self.with_approvals(raw).await
    }

    /// The number of a person of this login, `GET /users?username=…`. None where there is none.
    async fn id_of(&self, login: &str) -> Result<Option<u64>, Error> {
        let mut url = self.http.place.above(&["users"]);
        url.query_pairs_mut().append_pair("username", login);
        let users: Vec<RawUser> = self.http.get(url, &format!("find {}", neutral_line(login, 80))).await?;
        Ok(users.into_iter().next().map(|user| user.id))
    }

    /// Asks people beside those who were asked: GitLab takes the whole list, by number.
    async fn ask(&self, number: u64, logins: &[&str]) -> Result<PullRequest, Error> {
        let raw = self.raw(number).await?;
        let before: Vec<u64> = raw.reviewers.iter().flatten().map(|user| user.id).collect();
        let mut ids = before.clone();
        for login in logins {
            ids.extend(self.id_of(login).await?.filter(|id| !before.contains(id)));
        }
        if ids == before {
            return self.with_approvals(raw).await;
        }
        let what = format!("ask for reviews of merge request {number}");
        self.change(number, &what, &json!({ "reviewer_ids": ids })).await
    }

    async fn tell_approval(&self, number: u64, commit: &Commit) -> Result<(), Error> {
        let what = format!("approve merge request {number}");
        let segments = ["merge_requests", &number.to_string(), "approve"];
        let told = self.http.tell(Method::POST, &segments, &what, &json!({ "sha": commit })).await;
        told.map_err(|error| match error {
            Error::Invalid { status: 409, detail, .. } => Error::Moved { number, detail },
            other => not_allowed(other, &what),
        })
    }

    /// Approves what is there now, for whom GitLab holds an approval of what was there before: that one is taken back first,
    /// `POST …/merge_requests/{iid}/unapprove`. For anybody else it stays refused.
    async fn approve_again(&self, number: u64, commit: &Commit, refused: Error) -> Result<(), Error> {
        let what = format!("list the approvals of merge request {number}");
        let given = self.http.get::<RawApprovals>(self.at(number, &["approvals"]), &what).await;
        let Some(given) = given.ok().filter(|given| given.user_has_approved) else { return Err(refused) };
        let known = self.one(number).await?.approvals;
        if known.len() == given.approved_by.len() && known.iter().all(|approval| approval.commit == *commit) {
            return Ok(());
        }
        let what = format!("take back the approval of merge request {number}");
        let segments = ["merge_requests", &number.to_string(), "unapprove"];
        self.http.tell(Method::POST, &segments, &what, &json!({})).await.map_err(|error| not_allowed(error, &what))?;
        self.tell_approval(number, commit).await
    }

    /// A merge request whose mergeability GitLab knows: it finds that out behind a change's back.
    async fn settled(&self, number: u64) -> Result<RawMergeRequest, Error> {
        let mut raw = self.raw(number).await?;
        for look in 0..LOOKS {
            let status = raw.detailed_merge_status.as_deref().unwrap_or_default();
            if !matches!(status, "unchecked" | "checking" | "preparing" | "approvals_syncing") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50 << look)).await;
            raw = self.raw(number).await?;
        }
        Ok(raw)
    }

    /// `PUT …/merge_requests/{iid}/merge`, with the `sha` that GitLab merges or nothing. What it makes of it, a merge commit
    /// or a branch moved forward, is the project's setting; never another commit than what was checked: no squashing.
    async fn merge_checked(&self, number: u64, checked: Checked) -> Result<Commit, Error> {
        let what = format!("merge merge request {number}");
        let raw = self.settled(number).await?;
        let pull = raw.pull().ok_or_else(|| self.http.unreachable(&what, "it names no commit"))?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number, state: pull.state });
        }
        let look = format!("look at branch {}", neutral_line(&pull.base_branch, 80));
        let url = self.http.place.url(&["repository", "branches", &pull.base_branch]);
        let branch: RawBranch = self.http.get(url, &look).await?;
        as_checked(&pull, &branch.commit.id, &checked)?;
        let body = json!({ "sha": checked.head, "squash": false, "merge_commit_message": checked.message });
        let segments = ["merge_requests", &number.to_string(), "merge"];
        match self.http.send::<RawMerge>(Method::PUT, &segments, &what, &body).await {
            Ok(merged) => Ok(merged.commit().unwrap_or(checked.head)),
            // 406 and 422: conflicts; 409: its head moved; 405: a draft, or what the project asks for is missing.
            Err(Error::Invalid { status: 406 | 409 | 422, detail, .. }) => Err(Error::Moved { number, detail }),
            Err(Error::Invalid { status: 405, detail, .. }) => Err(Error::NotMergeable { number, detail }),
            Err(error) if error.is_open_ended() => {
                let now = self.raw(number).await.ok().and_then(|raw| {
                    let pull = raw.pull()?;
                    let commit = raw.merged.commit().unwrap_or_else(|| pull.head_commit.clone());
                    Some((pull, Some(commit)))
                });
                or_done(error, now, &checked)
            }
            Err(other) => Err(not_allowed(other, &what)),
        }
    }
}

impl Forge for GitLab {
    fn list(&self) -> Answer<'_, Vec<PullRequest>> {
        Box::pin(self.open_ones(None))
    }

    fn find_open<'a>(&'a self, head_branch: &'a str) -> Answer<'a, Option<PullRequest>> {
        Box::pin(async move { Ok(self.open_ones(Some(head_branch)).await?.into_iter().next()) })
    }

    fn get(&self, number: u64) -> Answer<'_, PullRequest> {
        Box::pin(self.one(number))
    }

    /// `POST …/merge_requests`
    fn create(&self, proposal: Proposal) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let Proposal { title, body, draft, head_branch, base_branch } = proposal;
            let title = mark::GITLAB.put(&title, draft);
            let request = json!({
                "title": title, "description": body, "source_branch": head_branch, "target_branch": base_branch,
            });
            let what = "open a merge request";
            let sent = self.http.send(Method::POST, &["merge_requests"], what, &request).await;
            let raw: RawMergeRequest = sent.map_err(Error::or_exists)?;
            // The commit of a new one may not be known yet.
            match raw.pull() {
                Some(pull) => Ok(pull),
                None => {
                    self.settled(raw.iid).await?.pull().ok_or_else(|| self.http.unreachable(what, "it names no commit"))
                }
            }
        })
    }

    fn update(&self, number: u64, words: Words) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("change merge request {number}");
            let title = mark::GITLAB.put(&words.title, words.draft);
            self.change(number, &what, &json!({ "title": title, "description": words.body })).await
        })
    }

    /// Groups cannot be asked on GitLab.
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest> {
        Box::pin(async move { self.ask(number, &Reviewer::logins_and_teams(&reviewers).0).await })
    }

    fn label(&self, number: u64, labels: Vec<String>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("label merge request {number}");
            self.change(number, &what, &json!({ "add_labels": labels.join(",") })).await
        })
    }

    /// Without what GitLab itself notes.
    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move {
            let notes = self.notes(number).await?;
            Ok(notes.into_iter().rev().filter(|note| !note.system).map(Comment::from).collect())
        })
    }

    /// `POST …/merge_requests/{iid}/notes`
    fn comment(&self, number: u64, body: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let what = format!("comment on merge request {number}");
            let segments = ["merge_requests", &number.to_string(), "notes"];
            self.http.tell(Method::POST, &segments, &what, &json!({ "body": body })).await
        })
    }

    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest> {
        Box::pin(super::close(self, number, comment, async move {
            self.change(number, &format!("close merge request {number}"), &json!({ "state_event": "close" })).await
        }))
    }

    /// `GET …/repository/commits/{sha}/statuses`, and the merge request's own pipeline, which may be of what its merge would
    /// be.
    fn checks<'a>(&'a self, pull: &'a PullRequest) -> Answer<'a, Vec<Check>> {
        Box::pin(async move {
            let what = format!("list the checks of {}", pull.head_commit.short());
            let mut url = self.http.place.url(&["repository", "commits", pull.head_commit.as_str(), "statuses"]);
            url.query_pairs_mut().append_pair("per_page", "100");
            let statuses: Vec<RawStatus> = self.http.pages(url, &what).await?;
            let mut pipeline = self.raw(pull.number).await?.head_pipeline;
            if let Some(of) = pipeline.as_ref().and_then(|pipeline| pipeline.sha.clone())
                && of != pull.head_commit
            {
                // Of what its merge would be, or still of what was proposed before: that is no check of this commit.
                let url = self.http.place.url(&["repository", "commits", of.as_str()]);
                let commit: RawCommit = self.http.get(url, &what).await?;
                pipeline = pipeline.filter(|_| commit.parent_ids.iter().skip(1).any(|id| *id == pull.head_commit));
            }
            let pipeline = pipeline.map(|one| RawStatus::new("pipeline", one.status));
            let each = |status: RawStatus| check_of(status.name, &status.status, status.allow_failure);
            // What was skipped checked nothing.
            let done = statuses.into_iter().chain(pipeline).filter(|status| status.status != "skipped");
            Ok(done.map(each).collect())
        })
    }

    fn say<'a>(&'a self, commit: &'a Commit, status: &'a Status) -> Answer<'a, bool> {
        Box::pin(self.said_now(commit, status))
    }

    /// `POST …/merge_requests/{iid}/approve`, of the `sha` that was looked at.
    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            match self.tell_approval(number, commit).await {
                // So it says to whoever approved already, too, be it what was there before.
                Err(refused @ Error::Forbidden { .. }) => self.approve_again(number, commit, refused).await,
                told => told,
            }?;
            self.one(number).await
        })
    }

    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit> {
        Box::pin(self.merge_checked(number, checked))
    }
}

/// GitLab answers 401 to whom it knows well, but does not let do this. The token was just good for a question.
fn not_allowed(error: Error, what: &str) -> Error {
    match error {
        Error::Refused { kind, host, detail, .. } => Error::Forbidden { kind, host, what: what.to_owned(), detail },
        other => other,
    }
}

/// GitLab's own words: `message` is a text, a list, or lists by field; `error` and `error_description` are OAuth's.
fn words(answer: &Value) -> Vec<String> {
    fn all(value: &Value, words: &mut Vec<String>) {
        match value {
            Value::String(word) => words.push(word.clone()),
            Value::Array(values) => values.iter().for_each(|value| all(value, words)),
            Value::Object(fields) => {
                for (field, value) in fields {
                    let mut these = Vec::new();
                    all(value, &mut these);
                    words.extend(these.into_iter().map(|word| format!("{field} {word}")));
                }
            }
            _ => {}
        }
    }
    let mut words = Vec::new();
    for key in ["message", "error", "error_description"] {
        all(&answer[key], &mut words);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_their_own_words() {
        assert_eq!(words(&json!({"message": "401 Unauthorized"})), ["401 Unauthorized"]);
        let answer = json!({"message": ["Another open merge request already exists for this source branch: !12"]});
        assert_eq!(words(&answer), ["Another open merge request already exists for this source branch: !12"]);
        assert_eq!(words(&json!({"message": {"title": ["is too long"]}})), ["title is too long"]);
        let answer = json!({"error": "insufficient_scope", "error_description": "needs api"});
        assert_eq!(words(&answer), ["insufficient_scope", "needs api"]);
        assert!(words(&Value::Null).is_empty());
    }
}
