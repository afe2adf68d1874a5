//! GitHub, and GitHub Enterprise servers, through REST API version 2022-11-28.
//!
//! <https://docs.github.com/en/rest/pulls/pulls>, `/pulls/reviews` and `/branches/branches`; each call names its path.

pub mod app;
pub mod draft;
mod organisation;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use wire::{RawBranch, RawChecks, RawComment, RawMerge, RawPull, RawReview, RawStatuses, person};

use super::http::{Dialect, Http};
use super::token::Token;
use super::{
    Answer, Approval, Check, Checked, Comment, Error, Forge, Place, Proposal, PullRequest, Reviewer, Standing, Status,
    Words, as_checked, makers, or_done,
};
use crate::git::Commit;
use crate::text::neutral_line;

/// Entries on a page.
const PER_PAGE: u64 = 100;
/// Calls at once, for lists whose entries need one each.
const AT_ONCE: usize = 8;

/// One repository on a GitHub.
pub struct GitHub {
    http: Http,
}

impl GitHub {
    /// Talks about the repository at `place` with `token`. `timeout` is for each call.
    pub fn new(place: Place, token: Token, timeout: Duration) -> Result<Self, Error> {
        let dialect = Dialect {
            headers: &[("x-github-api-version", "2022-11-28")],
            limit: ("x-ratelimit-remaining", "x-ratelimit-reset"),
            words,
        };
        Ok(Self { http: Http::new(place, token, timeout, dialect)? })
    }

    /// `GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews`: each person's last word.
    async fn with_reviews(&self, pull: RawPull) -> Result<PullRequest, Error> {
        let mut url = self.http.place.url(&["pulls", &pull.number.to_string(), "reviews"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let reviews: Vec<RawReview> = self.http.pages(url, "list reviews").await?;
        let mut last: BTreeMap<String, Option<Commit>> = BTreeMap::new();
        for review in reviews {
            let Some(user) = review.user else { continue };
            match review.state.as_str() {
                // On a public repository anybody may say so; only of its own people it counts.
                "APPROVED" if matches!(review.author_association.as_str(), "OWNER" | "MEMBER" | "COLLABORATOR") => {
                    last.insert(user.login, review.commit_id)
                }
                "CHANGES_REQUESTED" | "DISMISSED" => last.insert(user.login, None),
                // A comment takes no approval back.
                _ => None,
            };
        }
        let approval =
            |(login, commit): (String, Option<Commit>)| Some(Approval { by: person(login), commit: commit? });
        let approvals = last.into_iter().filter_map(approval).collect();
        self.with_makers(PullRequest { approvals, ..pull.into() }).await
    }

    /// `GET /repos/{owner}/{repo}/pulls/{pull_number}/commits`, oldest first and 250 at most, where it matters who made them.
    async fn with_makers(&self, pull: PullRequest) -> Result<PullRequest, Error> {
        if pull.approvals.is_empty() {
            return Ok(pull);
        }
        let what = format!("list the commits of pull request {}", pull.number);
        let mut url = self.http.place.url(&["pulls", &pull.number.to_string(), "commits"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let commits = self.http.pages(url, &what).await?;
        makers::with(pull, commits).ok_or_else(|| self.http.unreachable(&what, "the proposed one is not among them"))
    }

    async fn open_pulls(&self, head: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.http.place.url(&["pulls"]);
        url.query_pairs_mut().append_pair("state", "open").append_pair("per_page", "100");
        if let Some(branch) = head {
            // With its owner: a branch of that name in somebody's fork is not ours.
            url.query_pairs_mut().append_pair("head", &format!("{}:{branch}", self.http.place.owner()));
        }
        let pulls: Vec<RawPull> = self.http.pages(url, "list pull requests").await?;
        futures_util::stream::iter(pulls.into_iter().map(|pull| self.with_reviews(pull)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn raw(&self, number: u64) -> Result<RawPull, Error> {
        let what = format!("show pull request {number}");
        let url = self.http.place.url(&["pulls", &number.to_string()]);
        self.http.get(url, &what).await
    }

    async fn one(&self, number: u64) -> Result<PullRequest, Error> {
        self.with_reviews(self.raw(number).await?).await
    }

    /// `GET /repos/{owner}/{repo}/issues/{issue_number}/comments`: the last page, oldest first as all of GitHub's are.
    async fn said(&self, pull: &RawPull) -> Result<Vec<Comment>, Error> {
        let Some(count) = pull.comments.filter(|count| *count > 0) else { return Ok(Vec::new()) };
        let what = format!("list the comments of pull request {}", pull.number);
        let mut url = self.http.place.url(&["issues", &pull.number.to_string(), "comments"]);
        let last = count.div_ceil(PER_PAGE).to_string();
        url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string()).append_pair("page", &last);
        let comments: Vec<RawComment> = self.http.get(url, &what).await?;
        Ok(comments.into_iter().map(Comment::from).collect())
    }

    /// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`, of which the description has pages of objects, and `…/status`.
    async fn checked_by(&self, commit: &Commit) -> Result<Vec<Check>, Error> {
        let what = format!("list the checks of {}", commit.short());
        let url = |last: &str| {
            let mut url = self.http.place.url(&["commits", commit.as_str(), last]);
            url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string());
            url
        };
        let runs: RawChecks = self.http.get(url("check-runs"), &what).await?;
        let statuses: RawStatuses = self.http.get(url("status"), &what).await?;
        if runs.total_count.max(statuses.total_count) > PER_PAGE {
            return Err(Error::TooMuch { host: self.http.place.host().to_owned(), what, cap: "100 entries" });
        }
        Ok(runs.check_runs.into_iter().map(Check::from).chain(statuses.statuses.into_iter().map(Check::from)).collect())
    }

    async fn merge_checked(&self, number: u64, checked: Checked) -> Result<Commit, Error> {
        let pull = self.one(number).await?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number, state: pull.state });
        }
        // GitHub pins the head by itself; that the base is what was checked is asked right before.
        let what = format!("look at branch {}", neutral_line(&pull.base_branch, 80));
        let branch: RawBranch = self.http.get(self.http.place.url(&["branches", &pull.base_branch]), &what).await?;
        as_checked(&pull, &branch.commit.sha, &checked)?;
        let (title, message) = checked.message.split_once('\n').unwrap_or((&checked.message, ""));
        let body = json!({
            "sha": checked.head, "merge_method": "merge", "commit_title": title, "commit_message": message.trim_start(),
        });
        let what = format!("merge pull request {number}");
        let segments = ["pulls", &number.to_string(), "merge"];
        match self.http.send::<RawMerge>(Method::PUT, &segments, &what, &body).await {
            Ok(merged) => Ok(merged.sha),
            // 409: its head moved; 405: not mergeable.
            Err(Error::Invalid { status: 409, detail, .. }) => Err(Error::Moved { number, detail }),
            Err(Error::Invalid { status: 405, detail, .. }) => Err(Error::NotMergeable { number, detail }),
            Err(error) if error.is_open_ended() => {
                let now = self.raw(number).await.ok().map(|mut raw| {
                    let commit = raw.merge_commit_sha.take();
                    (raw.into(), commit)
                });
                or_done(error, now, &checked)
            }
            Err(other) => Err(other),
        }
    }

    /// `GET /repos/{owner}/{repo}/commits/{ref}/status`: the last word of each context. Then, if need be,
    /// `POST /repos/{owner}/{repo}/statuses/{sha}`, of which GitHub keeps a thousand a context.
    async fn said_now(&self, commit: &Commit, status: &Status) -> Result<bool, Error> {
        let what = format!("set a status of {}", commit.short());
        let state = if status.passed { "success" } else { "failure" };
        let mut url = self.http.place.url(&["commits", commit.as_str(), "status"]);
        url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string());
        let before: RawStatuses = self.http.get(url, &what).await?;
        if before.statuses.iter().any(|said| said.says(status, state)) {
            return Ok(false);
        }
        let body = json!({ "state": state, "context": status.context, "description": status.description });
        self.http.tell(Method::POST, &["statuses", commit.as_str()], &what, &body).await?;
        Ok(true)
    }

    async fn change(&self, number: u64, what: &str, body: &Value) -> Result<PullRequest, Error> {
        let pull = self.http.send(Method::PATCH, &["pulls", &number.to_string()], what, body).await?;
        self.with_reviews(pull).await
    }
}

impl Forge for GitHub {
    fn list(&self) -> Answer<'_, Vec<PullRequest>> {
        Box::pin(self.open_pulls(None))
    }

    fn find_open<'a>(&'a self, head_branch: &'a str) -> Answer<'a, Option<PullRequest>> {
        Box::pin(async move { Ok(self.open_pulls(Some(head_branch)).await?.into_iter().next()) })
    }

    fn get(&self, number: u64) -> Answer<'_, PullRequest> {
        Box::pin(self.one(number))
    }

    fn create(&self, proposal: Proposal) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let Proposal { title, body, draft, head_branch, base_branch } = proposal;
            let request = json!({
                "title": title, "body": body, "head": head_branch, "base": base_branch, "draft": draft,
            });
            let sent = self.http.send::<RawPull>(Method::POST, &["pulls"], "open a pull request", &request).await;
            Ok(sent.map_err(Error::or_exists)?.into())
        })
    }

    fn update(&self, number: u64, words: Words) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("change pull request {number}");
            let request = json!({ "title": words.title, "body": words.body });
            let raw = self.http.send(Method::PATCH, &["pulls", &number.to_string()], &what, &request).await?;
            self.with_reviews(self.turned(raw, words.draft).await?).await
        })
    }

    /// `POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers`
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let (logins, teams) = Reviewer::logins_and_teams(&reviewers);
            if logins.is_empty() && teams.is_empty() {
                return self.one(number).await;
            }
            let what = format!("ask for reviews of pull request {number}");
            let request = json!({ "reviewers": logins, "team_reviewers": teams });
            let segments = ["pulls", &number.to_string(), "requested_reviewers"];
            self.with_reviews(self.http.send(Method::POST, &segments, &what, &request).await?).await
        })
    }

    /// `POST /repos/{owner}/{repo}/issues/{issue_number}/labels`
    fn label(&self, number: u64, labels: Vec<String>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("label pull request {number}");
            let segments = ["issues", &number.to_string(), "labels"];
            self.http.tell(Method::POST, &segments, &what, &json!({ "labels": labels })).await?;
            self.one(number).await
        })
    }

    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move { self.said(&self.raw(number).await?).await })
    }

    /// `POST /repos/{owner}/{repo}/issues/{issue_number}/comments`
    fn comment(&self, number: u64, body: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let what = format!("comment on pull request {number}");
            let segments = ["issues", &number.to_string(), "comments"];
            self.http.tell(Method::POST, &segments, &what, &json!({ "body": body })).await
        })
    }

    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest> {
        Box::pin(super::close(self, number, comment, async move {
            self.change(number, &format!("close pull request {number}"), &json!({ "state": "closed" })).await
        }))
    }

    fn checks<'a>(&'a self, pull: &'a PullRequest) -> Answer<'a, Vec<Check>> {
        Box::pin(self.checked_by(&pull.head_commit))
    }

    fn say<'a>(&'a self, commit: &'a Commit, status: &'a Status) -> Answer<'a, bool> {
        Box::pin(self.said_now(commit, status))
    }

    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let what = format!("approve pull request {number}");
            let request = json!({ "commit_id": commit, "event": "APPROVE" });
            self.http.tell(Method::POST, &["pulls", &number.to_string(), "reviews"], &what, &request).await?;
            self.one(number).await
        })
    }

    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit> {
        Box::pin(self.merge_checked(number, checked))
    }
}

/// GitHub's own words about a refusal, its validation messages among them.
fn words(answer: &Value) -> Vec<String> {
    let mut words: Vec<String> = answer["message"].as_str().map(str::to_owned).into_iter().collect();
    for error in answer["errors"].as_array().into_iter().flatten() {
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        let word = match (error.as_str(), text("message")) {
            (Some(word), _) => word.to_owned(),
            (None, "") => format!("{} {}", text("field"), text("code")).trim().to_owned(),
            (None, message) => message.to_owned(),
        };
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_their_own_words() {
        let answer = json!({"message":"Validation Failed","errors":[
            {"resource":"PullRequest","code":"custom","message":"A pull request already exists for acme:x."},
            {"field":"head","code":"invalid"},
        ]});
        assert_eq!(words(&answer), ["Validation Failed", "A pull request already exists for acme:x.", "head invalid"]);
        assert!(words(&Value::Null).is_empty());
    }
}
