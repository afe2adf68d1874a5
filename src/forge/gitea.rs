//! Gitea and Forgejo, through the API that both have, version 1.
//!
//! Each server describes it at `/api/swagger`; each call names its path under `/repos/{owner}/{repo}`. What the description
//! does not say is from Gitea's and Forgejo's sources: `routers/api/v1/repo`, `services/convert`.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use wire::{RawBranch, RawComment, RawPull, RawReview, RawStatus, RawStatuses, person};

use super::http::{Dialect, Http};
use super::makers::Made;
use super::token::Token;
use super::{
    Answer, Approval, Check, Checked, Comment, Error, Forge, Place, Proposal, PullRequest, Reviewer, Standing, Status,
    Words, as_checked, makers, mark, or_done,
};
use crate::git::Commit;
use crate::text::neutral_line;

/// Entries on a page: the most that a server gives unless it was told otherwise.
const PER_PAGE: &str = "50";
/// The most pages of a list that has no links to its next ones.
const PAGES: u32 = 20;
/// Calls at once, for lists whose entries need one each.
const AT_ONCE: usize = 4;
/// How often a merge is tried while the server is still finding out whether it can be.
const TRIES: u32 = 8;

/// One repository on a Gitea or Forgejo.
pub struct Gitea {
    http: Http,
}

impl Gitea {
    /// Talks about the repository at `place` with `token`. `timeout` is for each call.
    pub fn new(place: Place, token: Token, timeout: Duration) -> Result<Self, Error> {
        // Neither has limits of its own; what stands before them tells theirs by Retry-After.
        let dialect = Dialect { headers: &[], limit: ("x-ratelimit-remaining", "x-ratelimit-reset"), words };
        Ok(Self { http: Http::new(place, token, timeout, dialect)? })
    }

    /// The URL of a pull request, or of something of it.
    fn at(&self, number: u64, then: &[&str]) -> Url {
        let number = number.to_string();
        let segments: Vec<&str> = ["pulls", &number].into_iter().chain(then.iter().copied()).collect();
        self.http.place.url(&segments)
    }

    async fn raw(&self, number: u64) -> Result<RawPull, Error> {
        self.http.get(self.at(number, &[]), &format!("show pull request {number}")).await
    }

    /// In our words, without approvals.
    fn pull(&self, raw: RawPull) -> Result<PullRequest, Error> {
        let what = format!("show pull request {}", raw.number);
        raw.pull().ok_or_else(|| self.http.unreachable(&what, "it names no commit"))
    }

    /// A whole list that has no links from page to page: until as many are there as the server counts, or nothing new comes.
    async fn numbered<P: DeserializeOwned, T>(
        &self,
        list: &Url,
        what: &str,
        entries: impl Fn(P) -> Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 1..=PAGES {
            let mut url = list.clone();
            url.query_pairs_mut().append_pair("limit", PER_PAGE).append_pair("page", &page.to_string());
            let (answer, total) = self.http.counted(url, what).await?;
            let before = all.len();
            all.extend(entries(answer).into_iter().filter(|entry| seen.insert(key(entry))));
            if all.len() == before || total.is_some_and(|total| all.len() as u64 >= total) {
                return Ok(all);
            }
        }
        Err(Error::TooMuch { host: self.http.place.host().to_owned(), what: what.to_owned(), cap: "20 pages" })
    }

    /// `GET …/pulls/{index}/reviews`, oldest first: each person's last word.
    async fn with_reviews(&self, raw: RawPull) -> Result<PullRequest, Error> {
        let url = self.at(raw.number, &["reviews"]);
        let entries = |reviews: Option<Vec<RawReview>>| reviews.unwrap_or_default();
        let mut reviews = self.numbered(&url, "list reviews", entries, |review| review.id.to_string()).await?;
        reviews.sort_by_key(|review| review.id);
        let mut last: BTreeMap<String, Option<Commit>> = BTreeMap::new();
        for review in reviews {
            let Some(user) = review.user else { continue };
            match review.state.as_str() {
                // Official is what somebody says who may write, or whom the branch's protection names.
                "APPROVED" if !review.dismissed && !review.official => None,
                "APPROVED" if !review.dismissed => last.insert(user.login, review.commit_id),
                "APPROVED" | "REQUEST_CHANGES" => last.insert(user.login, None),
                // A comment, or being asked, takes no approval back.
                _ => None,
            };
        }
        let approval =
            |(login, commit): (String, Option<Commit>)| Some(Approval { by: person(login), commit: commit? });
        let approvals = last.into_iter().filter_map(approval).collect();
        self.with_makers(PullRequest { approvals, ..self.pull(raw)? }).await
    }

    /// `GET …/pulls/{index}/commits`, where it matters who made them.
    async fn with_makers(&self, pull: PullRequest) -> Result<PullRequest, Error> {
        if pull.approvals.is_empty() {
            return Ok(pull);
        }
        let what = format!("list the commits of pull request {}", pull.number);
        let mut url = self.at(pull.number, &["commits"]);
        url.query_pairs_mut().append_pair("verification", "false").append_pair("files", "false");
        let entries = |commits: Option<Vec<Made>>| commits.unwrap_or_default();
        let commits = self.numbered(&url, &what, entries, |made| made.sha.to_string()).await?;
        makers::with(pull, commits).ok_or_else(|| self.http.unreachable(&what, "the proposed one is not among them"))
    }

    async fn one(&self, number: u64) -> Result<PullRequest, Error> {
        self.with_reviews(self.raw(number).await?).await
    }

    /// `GET …/pulls`, which cannot be asked for one branch.
    async fn open_pulls(&self, head: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.http.place.url(&["pulls"]);
        url.query_pairs_mut().append_pair("state", "open").append_pair("limit", PER_PAGE);
        let mut pulls: Vec<RawPull> = self.http.pages(url, "list pull requests").await?;
        // A branch of that name in somebody's fork is not ours; one whose branch is gone proposes nothing.
        pulls.retain(|pull| pull.head.sha.is_some());
        pulls.retain(|pull| head.is_none_or(|branch| pull.head.r#ref == branch && pull.is_of_its_repository()));
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        futures_util::stream::iter(pulls.into_iter().map(|pull| self.with_reviews(pull)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// `GET …/commits/{ref}/status`: the last word of each, Actions among them.
    async fn statuses(&self, commit: &Commit, what: &str) -> Result<Vec<RawStatus>, Error> {
        let url = self.http.place.url(&["commits", commit.as_str(), "status"]);
        let said = AtomicU64::new(0);
        // Of no checks some servers say null, or nothing.
        let entries = |answer: Option<RawStatuses>| {
            said.fetch_max(answer.as_ref().map_or(0, |page| page.total_count), Ordering::Relaxed);
            answer.and_then(|page| page.statuses).unwrap_or_default()
        };
        let found = self.numbered(&url, what, entries, |status| status.context.clone()).await?;
        // Some count them, and show none.
        if said.into_inner() > found.len() as u64 {
            return Err(self.http.unreachable(what, "it counts more than it shows"));
        }
        Ok(found)
    }

    /// `PATCH …/pulls/{index}`
    async fn change(&self, number: u64, what: &str, body: &Value) -> Result<PullRequest, Error> {
        let pull = self.http.send(Method::PATCH, &["pulls", &number.to_string()], what, body).await?;
        self.with_reviews(pull).await
    }

    /// `POST …/pulls/{index}/merge`, with the head that the server merges or nothing.
    async fn merge_checked(&self, number: u64, checked: Checked) -> Result<Commit, Error> {
        let what = format!("merge pull request {number}");
        let (title, message) = checked.message.split_once('\n').unwrap_or((&checked.message, ""));
        let body = json!({
            "Do": "merge", "head_commit_id": checked.head,
            "MergeTitleField": title, "MergeMessageField": message.trim_start(),
        });
        let segments = ["pulls", &number.to_string(), "merge"];
        for attempt in 1.. {
            let pull = self.pull(self.raw(number).await?)?;
            if pull.state != Standing::Open {
                return Err(Error::NotOpen { number, state: pull.state });
            }
            let look = format!("look at branch {}", neutral_line(&pull.base_branch, 80));
            let branch: RawBranch = self.http.get(self.http.place.url(&["branches", &pull.base_branch]), &look).await?;
            as_checked(&pull, &branch.commit.id, &checked)?;
            match self.http.tell(Method::POST, &segments, &what, &body).await {
                Ok(()) => break,
                // The server still compares the branches; or they conflict, of which it says the same.
                Err(Error::Invalid { status: 405, detail, .. }) if attempt < TRIES && detail.contains("try again") => {
                    tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                }
                Err(Error::Invalid { status: 405, detail, host, .. }) if detail.contains("not allowed to merge") => {
                    return Err(Error::Forbidden { kind: self.http.place.kind, host, what, detail });
                }
                // 405: its branch's protection, a draft; 409: its head moved, or conflicts.
                Err(Error::Invalid { status: 405, detail, .. }) => return Err(Error::NotMergeable { number, detail }),
                Err(Error::Invalid { status: 409, detail, .. }) => return Err(Error::Moved { number, detail }),
                Err(error) if error.is_open_ended() => {
                    let now = self.raw(number).await.ok().and_then(|mut raw| {
                        let commit = raw.merge_commit_sha.take();
                        Some((raw.pull()?, commit))
                    });
                    return or_done(error, now, &checked);
                }
                Err(other) => return Err(other),
            }
        }
        let merged = self.raw(number).await?.merge_commit_sha;
        merged.ok_or_else(|| self.http.unreachable(&what, "it is merged, and no merge commit is named"))
    }
}

impl Forge for Gitea {
    fn list(&self) -> Answer<'_, Vec<PullRequest>> {
        Box::pin(self.open_pulls(None))
    }

    fn find_open<'a>(&'a self, head_branch: &'a str) -> Answer<'a, Option<PullRequest>> {
        Box::pin(async move { Ok(self.open_pulls(Some(head_branch)).await?.into_iter().next()) })
    }

    fn get(&self, number: u64) -> Answer<'_, PullRequest> {
        Box::pin(self.one(number))
    }

    /// `POST …/pulls`
    fn create(&self, proposal: Proposal) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let Proposal { title, body, draft, head_branch, base_branch } = proposal;
            let title = mark::GITEA.put(&title, draft);
            let request = json!({ "title": title, "body": body, "head": head_branch, "base": base_branch });
            let sent = self.http.send::<RawPull>(Method::POST, &["pulls"], "open a pull request", &request).await;
            self.pull(sent.map_err(Error::or_exists)?)
        })
    }

    fn update(&self, number: u64, words: Words) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("change pull request {number}");
            let title = mark::GITEA.put(&words.title, words.draft);
            self.change(number, &what, &json!({ "title": title, "body": words.body })).await
        })
    }

    /// `POST …/pulls/{index}/requested_reviewers`
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let (logins, teams) = Reviewer::logins_and_teams(&reviewers);
            if !(logins.is_empty() && teams.is_empty()) {
                let what = format!("ask for reviews of pull request {number}");
                let request = json!({ "reviewers": logins, "team_reviewers": teams });
                let segments = ["pulls", &number.to_string(), "requested_reviewers"];
                self.http.tell(Method::POST, &segments, &what, &request).await?;
            }
            self.one(number).await
        })
    }

    /// `POST …/issues/{index}/labels`, by name: a name that is no label's is ignored. Old servers take numbers alone.
    fn label(&self, number: u64, labels: Vec<String>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("label pull request {number}");
            let segments = ["issues", &number.to_string(), "labels"];
            self.http.tell(Method::POST, &segments, &what, &json!({ "labels": labels })).await?;
            self.one(number).await
        })
    }

    /// `GET …/issues/{index}/comments`, which has no pages.
    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move {
            let url = self.http.place.url(&["issues", &number.to_string(), "comments"]);
            let what = format!("list the comments of pull request {number}");
            let comments: Vec<RawComment> = self.http.get(url, &what).await?;
            Ok(comments.into_iter().map(Comment::from).collect())
        })
    }

    /// `POST …/issues/{index}/comments`
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
        Box::pin(async move {
            let what = format!("list the checks of {}", pull.head_commit.short());
            Ok(self.statuses(&pull.head_commit, &what).await?.into_iter().map(Check::from).collect())
        })
    }

    /// `POST …/statuses/{sha}`
    fn say<'a>(&'a self, commit: &'a Commit, status: &'a Status) -> Answer<'a, bool> {
        Box::pin(async move {
            let what = format!("set a status of {}", commit.short());
            let state = if status.passed { "success" } else { "failure" };
            if self.statuses(commit, &what).await?.iter().any(|said| said.says(status, state)) {
                return Ok(false);
            }
            let body = json!({ "state": state, "context": status.context, "description": status.description });
            self.http.tell(Method::POST, &["statuses", commit.as_str()], &what, &body).await?;
            Ok(true)
        })
    }

    /// `POST …/pulls/{index}/reviews`
    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let what = format!("approve pull request {number}");
            let request = json!({ "commit_id": commit, "event": "APPROVED" });
            self.http.tell(Method::POST, &["pulls", &number.to_string(), "reviews"], &what, &request).await?;
            self.one(number).await
        })
    }

    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit> {
        Box::pin(self.merge_checked(number, checked))
    }
}

/// The server's own words: `message`, and lists of `errors`; or nothing but a text; or what git said of conflicts.
fn words(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    [answer, &answer["message"], &answer["StdOut"], &answer["StdErr"]]
        .into_iter()
        .chain(errors)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_their_own_words() {
        let answer =
            json!({"message": "pull request already exists for these targets [id: 1]", "url": "https://h/api/swagger"});
        assert_eq!(words(&answer), ["pull request already exists for these targets [id: 1]"]);
        assert_eq!(words(&json!({"message": "no", "errors": ["user does not exist"]})), ["no", "user does not exist"]);
        assert_eq!(words(&json!("Please try again later")), ["Please try again later"]);
        assert!(words(&Value::Null).is_empty());
    }
}
