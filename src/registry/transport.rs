//! Requests to a registry and to where it sends us: capped, retried, signed, never redirected by themselves.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Error;
use super::access::Access;
use super::clients::Clients;
use super::credentials::{Credentials, Found};
use super::json::Wrong;
use super::origin::Origin;
use super::retry::{self, Tries, Trouble};
use super::tls::{self, Trust};
use super::token::{Held, Proof, Proofs};
use super::upload::Outgoing;
use super::warning::Warnings;
use crate::reference::Digest;
use crate::text::neutral_line;

/// The largest error text or token that is read, in bytes.
pub const SMALL_CAP: u64 = 64 * 1024;
/// How often a blob may be redirected.
const REDIRECTS: usize = 5;

/// One thing to ask for.
#[derive(Clone)]
pub struct Request<'a> {
    /// What it is, for errors: `base/php:8.2`.
    pub what: &'a str,
    /// Its URL, the registry's own.
    pub url: Url,
    /// The media types that are understood; empty for any.
    pub accept: &'static str,
    /// What a token must allow, in the token specification's words: `repository:base/php:pull`.
    pub scope: &'a str,
    /// Whether the registry may send us elsewhere for it. Only blobs lie elsewhere.
    pub redirects: bool,
    /// What is done there.
    pub method: Method,
    /// Which bytes of it are wanted; all where there is none.
    pub range: Option<Range<u64>>,
    /// What is sent along.
    pub body: Option<&'a Outgoing<'a>>,
}

impl<'a> Request<'a> {
    /// A `GET` of what lies in the registry itself.
    pub fn get(what: &'a str, url: Url, scope: &'a str) -> Self {
        let method = Method::GET;
        Self { what, url, accept: "", scope, redirects: false, method, range: None, body: None }
    }
}

/// An answer, read whole.
pub struct Answer {
    /// A success.
    pub status: StatusCode,
    headers: HeaderMap,
    /// Its body, not larger than the request's cap.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// How one registry is spoken to.
pub struct Transport {
    origin: Origin,
    found: Found,
    limit: Duration,
    clients: Clients,
    proofs: Proofs,
    warnings: Arc<Warnings>,
}

impl Transport {
    pub fn new(origin: Origin, found: Found, trust: Trust, access: &Access) -> Self {
        for trouble in &trust.troubles {
            access.warnings.keep(origin.host(), trouble);
        }
        let clients = Clients::new(trust, access.limit);
        let (limit, warnings) = (access.limit, access.warnings.clone());
        Self { origin, found, limit, clients, proofs: Proofs::default(), warnings }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn credentials(&self) -> Option<&Credentials> {
        self.found.credentials.as_ref()
    }

    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// How long one call may take, and one read may stand still.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Gets it whole, up to `cap` bytes: a few tries, all of them together within the time limit.
    pub async fn get(&self, request: &Request<'_>, cap: u64) -> Result<Answer, Error> {
        self.in_time(request, async {
            let mut tries = Tries::within(self.limit);
            loop {
                match self.once(request, cap).await {
                    Ok(answer) => return Ok(answer),
                    Err(trouble) => tries.pause(trouble).await?,
                }
            }
        })
        .await
    }

    /// The same without reading the body: only the head must come within the time limit.
    pub async fn open(&self, request: &Request<'_>) -> Result<Response, Error> {
        self.in_time(request, async {
            let mut tries = Tries::within(self.limit);
            loop {
                let opened = async { self.accepted(request.what, self.signed(request).await?).await };
                match opened.await {
                    Ok(response) => return Ok(response),
                    Err(trouble) => tries.pause(trouble).await?,
                }
            }
        })
        .await
    }

    /// The same in one try.
    pub async fn get_once(&self, request: &Request<'_>, cap: u64) -> Result<Answer, Trouble> {
        self.in_time(request, self.once(request, cap)).await
    }

    /// The call, ended when nothing came of it within the limit. What is sent may take longer while it moves.
    async fn in_time<T, E: From<Error>>(
        &self,
        request: &Request<'_>,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut call = std::pin::pin!(call);
        let mut moved = 0;
        loop {
            if let Ok(outcome) = tokio::time::timeout(self.limit, &mut call).await {
                return outcome;
            }
            let now = request.body.map_or(0, Outgoing::moved);
            if now == moved {
                let (host, what) = (self.origin.host().to_owned(), request.what.to_owned());
                return Err(Error::TimedOut { host, what, limit: self.limit }.into());
            }
            moved = now;
        }
    }

    /// One try of a whole answer.
    async fn once(&self, request: &Request<'_>, cap: u64) -> Result<Answer, Trouble> {
        let response = self.accepted(request.what, self.signed(request).await?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: self.body(request.what, cap, response).await? })
    }

    /// One try: with the proof that is known, and once more with a fresh one when that is not enough.
    async fn signed(&self, request: &Request<'_>) -> Result<Response, Trouble> {
        let held = self.proof(request).await?;
        let proof = |held: Option<&Held>| held.map(|held| held.proof.clone());
        let mut response = self.send(request, request.url.clone(), proof(held.as_ref()).as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let renewed = self.renewed(request, held.as_ref(), response.headers()).await?;
            response = self.send(request, request.url.clone(), Some(&renewed.proof)).await?;
        }
        self.warnings.take(self.origin.host(), response.headers());
        self.followed(request, response).await
    }

    /// Follows a blob to its storage. Nothing that proves who we are goes along, not even back to the registry itself.
    async fn followed(&self, request: &Request<'_>, mut response: Response) -> Result<Response, Trouble> {
        for hop in 0..REDIRECTS {
            let status = response.status();
            if !status.is_redirection() {
                // A storage's own refusal is no word on our credentials: its URL ran out, and the registry gives another.
                return match status.as_u16() {
                    400 | 401 | 403 if hop > 0 => {
                        let detail = format!("the storage that it names refused it: {status}");
                        Err(Trouble::Passing(self.wrong(request.what, &detail), None))
                    }
                    _ => Ok(response),
                };
            }
            if !request.redirects {
                return Err(self.wrong(request.what, "it redirects what must not lie elsewhere").into());
            }
            let target = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let target = target.and_then(|l| response.url().join(l).ok());
            let target = target.ok_or_else(|| self.wrong(request.what, "it redirects to nowhere"))?;
            self.origin.allows(&target).map_err(|error| error.about(request.what))?;
            response = self.send(request, target, None).await?;
        }
        Err(self.wrong(request.what, "it redirects in circles").into())
    }

    /// Sorts an answer by its status.
    pub async fn accepted(&self, what: &str, response: Response) -> Result<Response, Trouble> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let pause = retry::asked(response.headers());
        // The text only explains; that it cannot be read, or is long, is no other failure.
        let body = self.body(what, SMALL_CAP, response).await.unwrap_or_default();
        let mut detail = explanation(status, &body);
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            detail.push_str(&format!("; it asks to wait {} s", pause.as_secs()));
        }
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        Err(match status.as_u16() {
            401 | 403 => self.unauthorized(&what, &detail).into(),
            404 => Error::NotFound { host, what }.into(),
            408 | 429 | 500 | 502 | 503 | 504 => Trouble::Passing(Error::Protocol { host, what, detail }, pause),
            _ => Error::Protocol { host, what, detail }.into(),
        })
    }

    /// Reads a body up to its cap.
    pub async fn body(&self, what: &str, cap: u64, mut response: Response) -> Result<Vec<u8>, Trouble> {
        let too_large = || Error::TooLarge { host: self.origin.host().to_owned(), what: what.to_owned(), cap };
        if response.content_length().is_some_and(|length| length > cap) {
            return Err(too_large().into());
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > cap => return Err(too_large().into()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(Trouble::Passing(self.unreachable(what, error), None)),
            }
        }
    }

    pub async fn send(&self, asked: &Request<'_>, url: Url, proof: Option<&Proof>) -> Result<Response, Trouble> {
        let client = self.clients.of(&self.origin, &url).map_err(|error| self.unreachable(asked.what, error))?;
        let mut request = client.request(asked.method.clone(), url);
        if !asked.accept.is_empty() {
            request = request.header(ACCEPT, asked.accept);
        }
        if let Some(range) = &asked.range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        request = match proof {
            Some(Proof::Password { username, password }) => request.basic_auth(username, Some(password)),
            Some(Proof::Token(token)) => request.bearer_auth(token),
            None => request,
        };
        if let Some(outgoing) = asked.body {
            let (size, body) = outgoing.body().await?;
            request = request.header(CONTENT_TYPE, outgoing.media_type).header(CONTENT_LENGTH, size).body(body);
            if let Some(part) = &outgoing.part {
                request = request.header(CONTENT_RANGE, format!("{}-{}", part.start, part.end.saturating_sub(1)));
            }
        }
        request.send().await.map_err(|error| match self.unreachable(asked.what, error) {
            // A certificate that is wrong now is wrong in a second, too.
            error @ Error::Certificate { .. } => Trouble::Lasting(error),
            error => Trouble::Passing(error, None),
        })
    }

    /// The error of a connection, or of a certificate that was refused.
    pub fn unreachable(&self, what: &str, error: reqwest::Error) -> Error {
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        let error = error.without_url();
        match tls::refused(&error) {
            Some(detail) => Error::Certificate { host, what, detail },
            None => Error::Unreachable { host, what, detail: neutral_line(&crate::error::chain(&error), 300) },
        }
    }

    /// The error of an answer that is not what the specification says.
    pub fn wrong(&self, what: &str, detail: &str) -> Error {
        let host = self.origin.host().to_owned();
        Error::Protocol { host, what: what.to_owned(), detail: neutral_line(detail, 300) }
    }

    /// The error of a document that is wrong, or that is refused.
    pub fn bad(&self, what: &str, wrong: Wrong) -> Error {
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        match wrong {
            Wrong::Malformed(detail) => Error::Protocol { host, what, detail },
            Wrong::Refused(detail) => Error::Unsafe { host, what, detail },
        }
    }

    /// Whether what was received is what was expected.
    pub fn same(&self, what: &str, expected: &Digest, received: &Digest) -> Result<(), Error> {
        if expected == received {
            return Ok(());
        }
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        Err(Error::Digest { host, what, expected: expected.clone(), received: received.clone() })
    }

    /// The error of a registry that does not let us in.
    pub fn unauthorized(&self, what: &str, detail: &str) -> Error {
        let hint = self.found.trouble.as_ref().map(|why| format!("onramp asked as nobody: {why}"));
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        Error::Unauthorized { host, what, detail: detail.to_owned(), hint }
    }
}

/// The registry's own words for a status: distribution's `errors`, or the first line of the text.
fn explanation(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let words = match serde_json::from_slice::<Errors>(body) {
        Ok(found) => found.errors.first().map(|item| format!("{} {}", item.code, item.message)).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(body).lines().next().unwrap_or_default().to_owned(),
    };
    let words = neutral_line(words.trim(), 200);
    if words.is_empty() { status.to_string() } else { format!("{status}: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_neutral() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J entry"}]}"#;
        assert_eq!(explanation(StatusCode::FORBIDDEN, body), "403 Forbidden: DENIED no\\u{1b}[2J entry");
        assert_eq!(explanation(StatusCode::BAD_GATEWAY, b"<html>\n"), "502 Bad Gateway: <html>");
        assert_eq!(explanation(StatusCode::BAD_GATEWAY, b"\xff"), "502 Bad Gateway: \u{fffd}");
    }
}
