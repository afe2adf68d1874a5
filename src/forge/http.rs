//! What every forge with an API over HTTP needs: one exact origin, caps, tries, limits, refusals, pages.
//!
//! The token goes to that origin and nowhere else: no redirect is followed, and a list's next page must be there, too.

use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LINK, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Error;
use super::place::{Place, is_loopback};
use super::token::Token;
use crate::text::neutral_line;

/// The most of one answer that is read, in bytes.
const PAGE_CAP: usize = 4 * 1024 * 1024;
const PAGE_CAP_SHOWN: &str = "4 MiB";
/// The most pages of a list, at 100 entries each.
const PAGES: usize = 10;
const PAGES_SHOWN: &str = "1000 entries";
/// How often a call that changes nothing twice is tried when the server fails.
const TRIES: u32 = 3;
/// The longest wait for a limit to end, in seconds. Whoever waits longer should know.
const PATIENCE: i64 = 5;

/// How one kind of API speaks.
pub(super) struct Dialect {
    /// Headers that each request has beside the token's.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The headers that tell how many requests are left, and when there are more (seconds since 1970).
    pub(super) limit: (&'static str, &'static str),
    /// The words in an answer that refuses something.
    pub(super) words: fn(&Value) -> Vec<String>,
}

/// One repository's API.
pub(super) struct Http {
    pub(super) place: Place,
    token: Token,
    client: Client,
    headers: HeaderMap,
    dialect: Dialect,
}

impl Http {
    /// Talks about the repository at `place` with `token`. `timeout` is for each call.
    pub(super) fn new(place: Place, token: Token, timeout: Duration, dialect: Dialect) -> Result<Self, Error> {
        // reqwest is built without a crypto provider of its own; whoever installs one first has done it for all.
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        if is_loopback(place.api.host_str().unwrap_or_default()) {
            builder = builder.no_proxy();
        }
        let setting = |detail: &str| Error::Setting { detail: neutral_line(detail, 300) };
        let client = builder.build().map_err(|error| setting(&crate::error::chain(&error)))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.secret()))
            .map_err(|_| setting("its token cannot stand in a header"))?;
        authorization.set_sensitive(true);
        let mut headers: HeaderMap = [
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("onramp/", env!("CARGO_PKG_VERSION")))),
            (AUTHORIZATION, authorization),
        ]
        .into_iter()
        .collect();
        for (name, value) in dialect.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(Self { place, token, client, headers, dialect })
    }

    /// What a URL holds.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url, what: &str) -> Result<T, Error> {
        self.parsed(self.call(Method::GET, url, what, None).await?, what).await
    }

    /// The same, and how many entries its whole list has, where the answer says so. Nothing is JSON's null.
    pub(super) async fn counted<T: DeserializeOwned>(&self, url: Url, what: &str) -> Result<(T, Option<u64>), Error> {
        let response = self.call(Method::GET, url, what, None).await?;
        let total = number(response.headers(), "x-total-count").and_then(|total| u64::try_from(total).ok());
        let bytes = self.read(response, what).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        Ok((self.parse(bytes, what)?, total))
    }

    /// Asks for a change of what is under the repository's URL; the answer.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        what: &str,
        body: &Value,
    ) -> Result<T, Error> {
        self.send_to(method, self.place.url(segments), what, body).await
    }

    /// The same, of what is under no repository's URL.
    pub(super) async fn send_to<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        what: &str,
        body: &Value,
    ) -> Result<T, Error> {
        self.parsed(self.call(method, url, what, Some(body)).await?, what).await
    }

    /// The same, where nothing in the answer matters.
    pub(super) async fn tell(&self, method: Method, segments: &[&str], what: &str, body: &Value) -> Result<(), Error> {
        self.call(method, self.place.url(segments), what, Some(body)).await.map(drop)
    }

    /// A whole list, page after page. Longer than any honest one is an error.
    pub(super) async fn pages<T: DeserializeOwned>(&self, first: Url, what: &str) -> Result<Vec<T>, Error> {
        match self.some_pages(first, what, PAGES).await? {
            (all, None) => Ok(all),
            (_, Some(_)) => {
                Err(Error::TooMuch { host: self.place.host.clone(), what: what.to_owned(), cap: PAGES_SHOWN })
            }
        }
    }

    /// So many pages of a list, and where the next one is.
    pub(super) async fn some_pages<T: DeserializeOwned>(
        &self,
        first: Url,
        what: &str,
        most: usize,
    ) -> Result<(Vec<T>, Option<Url>), Error> {
        let mut all = Vec::new();
        let mut next = Some(first);
        for _ in 0..most {
            let Some(url) = next else { break };
            let response = self.call(Method::GET, url, what, None).await?;
            next = next_page(response.headers());
            all.extend(self.parsed::<Vec<T>>(response, what).await?);
        }
        Ok((all, next))
    }

    /// One call. Failures that may pass are tried again, unless the call is a POST or a PUT: what it made or merged may be done already. A
    /// request that was refused because there were too many made nothing: it is tried again once the limit ends, if that is
    /// soon.
    async fn call(&self, method: Method, url: Url, what: &str, body: Option<&Value>) -> Result<Response, Error> {
        if !self.place.owns(&url) {
            return Err(self.unreachable(what, "it sent us to another host"));
        }
        let mut attempt = 1;
        loop {
            let mut request = self.client.request(method.clone(), url.clone()).headers(self.headers.clone());
            if let Some(body) = body {
                request = request.json(body);
            }
            let failure = match request.send().await {
                Ok(response) if response.status().is_server_error() => format!("HTTP {}", response.status().as_u16()),
                Ok(response) => match soon(&response).filter(|_| attempt < TRIES) {
                    Some(wait) => {
                        tokio::time::sleep(wait).await;
                        attempt += 1;
                        continue;
                    }
                    None => return self.sort(response, what).await,
                },
                Err(error) => neutral_line(&crate::error::chain(&error.without_url()), 300),
            };
            if attempt == TRIES || matches!(method, Method::POST | Method::PUT) {
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
        let (kind, host, what) = (self.place.kind, self.place.host.clone(), what.to_owned());
        if matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
            && let Some(reset) = self.limit(status, response.headers())
        {
            return Err(Error::Limited { host, reset });
        }
        if status.is_redirection() {
            let detail = format!("{} has moved; set its new URL", self.place.path);
            return Err(Error::Setting { detail });
        }
        let detail = match self.read(response, &what).await {
            Ok(bytes) => self.said(&bytes),
            Err(_) => "its words cannot be read".to_owned(),
        };
        Err(match status {
            StatusCode::UNAUTHORIZED => Error::Refused { kind, host, origin: self.token.origin.clone(), detail },
            StatusCode::FORBIDDEN => Error::Forbidden { kind, host, what, detail },
            StatusCode::NOT_FOUND => Error::NotFound { kind, host, what: format!("{} to {what}", self.place.path) },
            _ => Error::Invalid { host, what, status: status.as_u16(), detail },
        })
    }

    /// When a limit ends, where an answer speaks of one.
    fn limit(&self, status: StatusCode, headers: &HeaderMap) -> Option<String> {
        if let Some(seconds) = number(headers, RETRY_AFTER.as_str()) {
            return Some(format!("in {seconds} s"));
        }
        let (remaining, reset) = self.dialect.limit;
        let used_up = number(headers, remaining) == Some(0);
        let reset = number(headers, reset).and_then(|at| Timestamp::from_second(at).ok());
        match (used_up, reset) {
            (true, Some(at)) => Some(format!("at {at}")),
            (true, None) => Some("within the hour".to_owned()),
            (false, _) => (status == StatusCode::TOO_MANY_REQUESTS).then(|| "in a minute".to_owned()),
        }
    }

    /// The forge's own words about a refusal.
    fn said(&self, bytes: &[u8]) -> String {
        let mut words = (self.dialect.words)(&serde_json::from_slice(bytes).unwrap_or_default());
        words.retain(|word| !word.is_empty());
        if words.is_empty() { "without words".to_owned() } else { neutral_line(&words.join(": "), 500) }
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
        self.parse(&self.read(response, what).await?, what)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8], what: &str) -> Result<T, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.unreachable(what, &neutral_line(&format!("its answer cannot be read: {error}"), 300)))
    }

    /// The error of an answer that is none.
    pub(super) fn unreachable(&self, what: &str, detail: &str) -> Error {
        Error::Unreachable { host: self.place.host.clone(), what: what.to_owned(), detail: detail.to_owned() }
    }
}

/// How long until the limit ends that an answer tells of, where that is soon.
fn soon(response: &Response) -> Option<Duration> {
    let limited = matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    let seconds = number(response.headers(), RETRY_AFTER.as_str()).filter(|_| limited)?;
    (0..=PATIENCE).contains(&seconds).then(|| Duration::from_secs(seconds.unsigned_abs()))
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
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
}
