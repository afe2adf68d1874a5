//! GitHub, and GitHub Enterprise servers, through REST API version 2022-11-28.
//!
//! <https://docs.github.com/en/rest/pulls/pulls>, `/pulls/reviews` and `/branches/branches`; each call names its path.

mod organisation;
mod place;
mod wire;

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LINK, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use wire::{RawBranch, RawComment, RawMerge, RawPull, RawReview, person};

use super::token::Token;
pub use place::Place;
use place::is_loopback;

use super::{Answer, Approval, Checked, Comment, Error, Forge, Proposal, PullRequest, Reviewer, Standing};
use crate::git::Commit;
use crate::text::neutral_line;

/// The most of one answer that is read, in bytes.
const PAGE_CAP: usize = 4 * 1024 * 1024;
const PAGE_CAP_SHOWN: &str = "4 MiB";
/// The most pages of a list, at 100 entries each.
const PAGES: usize = 10;
const PAGES_SHOWN: &str = "1000 entries";
/// Entries on a page.
const PER_PAGE: u64 = 100;
/// How often a call that changes nothing twice is tried when the server fails.
const TRIES: u32 = 3;
/// Calls at once, for lists whose entries need one each.
const AT_ONCE: usize = 8;

/// One repository on a GitHub.
pub struct GitHub {
    place: Place,
    token: Token,
    client: Client,
    headers: HeaderMap,
}

impl GitHub {
    /// Talks about the repository at `place` with `token`. `timeout` is for each call.
    pub fn new(place: Place, token: Token, timeout: Duration) -> Result<Self, Error> {
        // reqwest is built without a crypto provider of its own; whoever installs one first has done it for all.
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        if is_loopback(place.api.host_str().unwrap_or_default()) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| Error::Setting { detail: neutral_line(&crate::error::chain(&error), 300) })?;
        let headers = [
            (ACCEPT, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28")),
            (USER_AGENT, HeaderValue::from_static(concat!("onramp/", env!("CARGO_PKG_VERSION")))),
        ];
        Ok(Self { place, token, client, headers: headers.into_iter().collect() })
    }

    /// One call. Failures that may pass are tried again, unless the call is a POST: what it made may be there already.
    async fn call(&self, method: Method, url: Url, what: &str, body: Option<&Value>) -> Result<Response, Error> {
        if !self.place.owns(&url) {
            return Err(self.unreachable(what, "it sent us to another host"));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", self.token.secret()))
            .map_err(|_| self.unreachable(what, "the token cannot stand in a header"))?;
        authorization.set_sensitive(true);
        let tries = if method == Method::POST { 1 } else { TRIES };
        let mut attempt = 1;
        loop {
            let mut request = self.client.request(method.clone(), url.clone()).headers(self.headers.clone());
            request = request.header(AUTHORIZATION, authorization.clone());
            if let Some(body) = body {
                request = request.json(body);
            }
            let failure = match request.send().await {
                Ok(response) if response.status().is_server_error() => format!("HTTP {}", response.status().as_u16()),
                Ok(response) => return self.sort(response, what).await,
                Err(error) => neutral_line(&crate::error::chain(&error.without_url()), 300),
            };
            if attempt == tries {
                return Err(self.unreachable(what, &failure));
            }
            tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            attempt += 1;
        }
    }

    /// An answer that is none of our mistakes, or the error that it means.
    async fn sort(&self, response: Response, what: &str) -> Result<Response, Error> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let host = self.place.host.clone();
        let what = what.to_owned();
        if matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
            && let Some(reset) = limit(status, response.headers())
        {
            return Err(Error::Limited { host, reset });
        }
        if status.is_redirection() {
            let detail = format!("{}/{} has moved; set its new URL", self.place.owner, self.place.name);
            return Err(Error::Setting { detail });
        }
        let detail = match self.read(response, &what).await {
            Ok(bytes) => said(&bytes),
            Err(_) => "its words cannot be read".to_owned(),
        };
        Err(match status {
            StatusCode::UNAUTHORIZED => Error::Refused { host, origin: self.token.origin.clone(), detail },
            StatusCode::FORBIDDEN => Error::Forbidden { host, what, detail },
            StatusCode::NOT_FOUND => {
                Error::NotFound { host, what: format!("{}/{} to {what}", self.place.owner, self.place.name) }
            }
            _ => Error::Invalid { host, what, status: status.as_u16(), detail },
        })
    }

    async fn read(&self, mut response: Response, what: &str) -> Result<Vec<u8>, Error> {
        let too_much = || Error::TooMuch { host: self.place.host.clone(), what: what.to_owned(), cap: PAGE_CAP_SHOWN };
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > PAGE_CAP => return Err(too_much()),
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok(bytes),
                Err(error) => {
                    let detail = crate::error::chain(&error.without_url());
                    return Err(self.unreachable(what, &neutral_line(&detail, 300)));
                }
            }
        }
    }

    async fn parsed<T: DeserializeOwned>(&self, response: Response, what: &str) -> Result<T, Error> {
        let bytes = self.read(response, what).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.unreachable(what, &neutral_line(&format!("its answer cannot be read: {error}"), 300)))
    }

    /// A whole list, page after page.
    async fn pages<T: DeserializeOwned>(&self, first: Url, what: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut next = Some(first);
        for _ in 0..PAGES {
            let Some(url) = next else { return Ok(all) };
            let response = self.call(Method::GET, url, what, None).await?;
            next = next_page(response.headers());
            all.extend(self.parsed::<Vec<T>>(response, what).await?);
        }
        match next {
            None => Ok(all),
            Some(_) => Err(Error::TooMuch { host: self.place.host.clone(), what: what.to_owned(), cap: PAGES_SHOWN }),
        }
    }

    fn unreachable(&self, what: &str, detail: &str) -> Error {
        Error::Unreachable { host: self.place.host.clone(), what: what.to_owned(), detail: detail.to_owned() }
    }

    /// `GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews`: each person's last word.
    async fn with_reviews(&self, pull: RawPull) -> Result<PullRequest, Error> {
        let mut url = self.place.url(&["pulls", &pull.number.to_string(), "reviews"]);
        url.query_pairs_mut().append_pair("per_page", "100");
        let reviews: Vec<RawReview> = self.pages(url, "list reviews").await?;
        let mut last: BTreeMap<String, Option<Commit>> = BTreeMap::new();
        for review in reviews {
            let Some(user) = review.user else { continue };
            match review.state.as_str() {
                "APPROVED" => last.insert(user.login, review.commit_id),
                "CHANGES_REQUESTED" | "DISMISSED" => last.insert(user.login, None),
                // A comment takes no approval back.
                _ => None,
            };
        }
        let approval =
            |(login, commit): (String, Option<Commit>)| Some(Approval { by: person(login), commit: commit? });
        Ok(PullRequest { approvals: last.into_iter().filter_map(approval).collect(), ..pull.into() })
    }

    async fn open_pulls(&self, head: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.place.url(&["pulls"]);
        url.query_pairs_mut().append_pair("state", "open").append_pair("per_page", "100");
        if let Some(branch) = head {
            // With its owner: a branch of that name in somebody's fork is not ours.
            url.query_pairs_mut().append_pair("head", &format!("{}:{branch}", self.place.owner));
        }
        let pulls: Vec<RawPull> = self.pages(url, "list pull requests").await?;
        futures_util::stream::iter(pulls.into_iter().map(|pull| self.with_reviews(pull)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn raw(&self, number: u64) -> Result<RawPull, Error> {
        let what = format!("show pull request {number}");
        let url = self.place.url(&["pulls", &number.to_string()]);
        self.parsed(self.call(Method::GET, url, &what, None).await?, &what).await
    }

    async fn one(&self, number: u64) -> Result<PullRequest, Error> {
        self.with_reviews(self.raw(number).await?).await
    }

    /// `GET /repos/{owner}/{repo}/issues/{issue_number}/comments`: the last page, oldest first as all of GitHub's are.
    async fn said(&self, pull: &RawPull) -> Result<Vec<Comment>, Error> {
        let Some(count) = pull.comments.filter(|count| *count > 0) else { return Ok(Vec::new()) };
        let what = format!("list the comments of pull request {}", pull.number);
        let mut url = self.place.url(&["issues", &pull.number.to_string(), "comments"]);
        let last = count.div_ceil(PER_PAGE).to_string();
        url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string()).append_pair("page", &last);
        let comments: Vec<RawComment> = self.parsed(self.call(Method::GET, url, &what, None).await?, &what).await?;
        Ok(comments.into_iter().map(Comment::from).collect())
    }

    async fn say(&self, number: u64, body: &str) -> Result<(), Error> {
        let what = format!("comment on pull request {number}");
        let segments = ["issues", &number.to_string(), "comments"];
        self.send(Method::POST, &segments, &what, &json!({ "body": body })).await?;
        Ok(())
    }

    async fn close_saying(&self, number: u64, comment: &str) -> Result<PullRequest, Error> {
        let pull = self.raw(number).await?;
        if pull.state != "open" {
            return self.with_reviews(pull).await;
        }
        if !Comment::among(&self.said(&pull).await?, comment) {
            self.say(number, comment).await?;
        }
        let what = format!("close pull request {number}");
        let request = json!({ "state": "closed" });
        let response = self.send(Method::PATCH, &["pulls", &number.to_string()], &what, &request).await?;
        self.with_reviews(self.parsed(response, &what).await?).await
    }

    async fn send(&self, method: Method, segments: &[&str], what: &str, body: &Value) -> Result<Response, Error> {
        self.call(method, self.place.url(segments), what, Some(body)).await
    }

    async fn merge_checked(&self, number: u64, checked: Checked) -> Result<Commit, Error> {
        let pull = self.one(number).await?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number, state: pull.state });
        }
        // GitHub pins the head by itself; that the base is what was checked is asked right before.
        let what = format!("look at branch {}", neutral_line(&pull.base_branch, 80));
        let url = self.place.url(&["branches", &pull.base_branch]);
        let branch: RawBranch = self.parsed(self.call(Method::GET, url, &what, None).await?, &what).await?;
        if branch.commit.sha != checked.base {
            let detail = format!("{} is at {} now", neutral_line(&pull.base_branch, 80), branch.commit.sha.short());
            return Err(Error::Moved { number, detail });
        }
        let (title, message) = checked.message.split_once('\n').unwrap_or((&checked.message, ""));
        let body = json!({
            "sha": checked.head, "merge_method": "merge", "commit_title": title, "commit_message": message.trim_start(),
        });
        let what = format!("merge pull request {number}");
        let number_text = number.to_string();
        let answer = self.send(Method::PUT, &["pulls", &number_text, "merge"], &what, &body).await;
        let response = answer.map_err(|error| match error {
            // 405: not mergeable; 409: its head moved. Both say so in GitHub's words.
            Error::Invalid { status: 405 | 409, detail, .. } => Error::Moved { number, detail },
            other => other,
        })?;
        let merged: RawMerge = self.parsed(response, &what).await?;
        Ok(merged.sha)
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
            let Proposal { title, body, head_branch, base_branch } = proposal;
            let request = json!({ "title": title, "body": body, "head": head_branch, "base": base_branch });
            let what = "open a pull request";
            let response = self.send(Method::POST, &["pulls"], what, &request).await?;
            Ok(self.parsed::<RawPull>(response, what).await?.into())
        })
    }

    fn update(&self, number: u64, title: String, body: String) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let what = format!("change pull request {number}");
            let request = json!({ "title": title, "body": body });
            let response = self.send(Method::PATCH, &["pulls", &number.to_string()], &what, &request).await?;
            self.with_reviews(self.parsed(response, &what).await?).await
        })
    }

    /// `POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers`
    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest> {
        Box::pin(async move {
            let pick = |wanted: fn(&Reviewer) -> bool| -> Vec<&str> {
                reviewers.iter().filter(|reviewer| wanted(reviewer)).map(Reviewer::name).collect()
            };
            let logins = pick(|reviewer| matches!(reviewer, Reviewer::Login(_)));
            let teams = pick(|reviewer| matches!(reviewer, Reviewer::Team(_)));
            if logins.is_empty() && teams.is_empty() {
                return self.one(number).await;
            }
            let what = format!("ask for reviews of pull request {number}");
            let request = json!({ "reviewers": logins, "team_reviewers": teams });
            let segments = ["pulls", &number.to_string(), "requested_reviewers"];
            let response = self.send(Method::POST, &segments, &what, &request).await?;
            self.with_reviews(self.parsed(response, &what).await?).await
        })
    }

    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        Box::pin(async move { self.said(&self.raw(number).await?).await })
    }

    /// `POST /repos/{owner}/{repo}/issues/{issue_number}/comments`
    fn comment(&self, number: u64, body: String) -> Answer<'_, ()> {
        Box::pin(async move { self.say(number, &body).await })
    }

    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest> {
        Box::pin(async move { self.close_saying(number, &comment).await })
    }

    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest> {
        Box::pin(async move {
            let what = format!("approve pull request {number}");
            let request = json!({ "commit_id": commit, "event": "APPROVE" });
            self.send(Method::POST, &["pulls", &number.to_string(), "reviews"], &what, &request).await?;
            self.one(number).await
        })
    }

    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit> {
        Box::pin(self.merge_checked(number, checked))
    }
}

/// When a limit ends, where an answer speaks of one.
fn limit(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    if let Some(seconds) = number(RETRY_AFTER.as_str()) {
        return Some(format!("in {seconds} s"));
    }
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").and_then(|at| Timestamp::from_second(at).ok());
    match (used_up, reset) {
        (true, Some(at)) => Some(format!("at {at}")),
        (true, None) => Some("within the hour".to_owned()),
        (false, _) => (status == StatusCode::TOO_MANY_REQUESTS).then(|| "in a minute".to_owned()),
    }
}

/// GitHub's own words about a refusal, its validation messages among them.
fn said(bytes: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
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
    words.retain(|word| !word.is_empty());
    if words.is_empty() { "without words".to_owned() } else { neutral_line(&words.join(": "), 500) }
}

/// The `rel="next"` of a `Link` header (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<Url> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let link = links.split(',').find(|link| link.split(';').skip(1).any(|p| p.trim() == "rel=\"next\""))?;
    Url::parse(link.split(';').next()?.trim().strip_prefix('<')?.strip_suffix('>')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), None);
        let links = "<https://h/p?page=1>; rel=\"prev\", <https://h/p?page=3>; rel=\"next\", <https://h/p?page=9>; rel=\"last\"";
        headers.insert(LINK, HeaderValue::from_static(links));
        assert_eq!(next_page(&headers).unwrap().as_str(), "https://h/p?page=3");
        headers.insert(LINK, HeaderValue::from_static("<https://h/p?page=9>; rel=\"last\""));
        assert_eq!(next_page(&headers), None);
    }

    #[test]
    fn refusals_are_told_in_their_own_words() {
        let body = br#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for acme:x."},{"field":"head","code":"invalid"}]}"#;
        assert_eq!(said(body), "Validation Failed: A pull request already exists for acme:x.: head invalid");
        assert_eq!(said(b"<html>"), "without words");
    }
}
