//! Requests to a registry and to where it sends us: capped, retried, signed, never redirected by themselves.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Error;
use super::challenge::{self, Challenge};
use super::credentials::{Credentials, Found};
use super::origin::{Origin, shown};
use super::upload::Upload;
use super::warning::Warnings;
use crate::text::neutral_line;

/// The largest error text or token that is read, in bytes.
const SMALL_CAP: u64 = 64 * 1024;
/// How often a request is tried, the pauses between, and the longest pause that a registry may ask for.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(400)];
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a blob may be redirected.
const REDIRECTS: usize = 5;

/// One thing to get.
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
    /// What is sent along: media type and bytes.
    pub body: Option<(&'a str, &'a Upload)>,
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
    timeout: Duration,
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
    /// What let us in before, by scope.
    proofs: Mutex<BTreeMap<String, Proof>>,
    warnings: Warnings,
}

/// What an `Authorization` header is made of.
#[derive(Clone)]
enum Proof {
    /// `Basic`
    Password { username: String, password: String },
    /// `Bearer`
    Token(String),
}

/// A request's outcome that another try may change.
enum Trouble {
    /// It may pass; with the pause that the server asks for.
    Passing(Error, Option<Duration>),
    /// It stays.
    Lasting(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// The tries of one request.
#[derive(Default)]
struct Tries(usize);

impl Tries {
    /// Waits before the next try; the error where there is none.
    async fn pause(&mut self, trouble: Trouble) -> Result<(), Error> {
        let (error, asked) = match trouble {
            Trouble::Lasting(error) => return Err(error),
            Trouble::Passing(error, asked) => (error, asked),
        };
        let pause = PAUSES.get(self.0).ok_or(error)?;
        self.0 += 1;
        tokio::time::sleep(asked.unwrap_or(*pause).min(LONGEST_PAUSE)).await;
        Ok(())
    }
}

impl Transport {
    pub fn new(origin: Origin, found: Found, timeout: Duration) -> Self {
        let (plain, secure) = (OnceLock::new(), OnceLock::new());
        Self { origin, found, timeout, plain, secure, proofs: Mutex::default(), warnings: Warnings::default() }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Gets it whole, up to `cap` bytes: at most three tries, all of them together within the time limit.
    pub async fn get(&self, request: &Request<'_>, cap: u64) -> Result<Answer, Error> {
        self.in_time(request.what, async {
            let mut tries = Tries::default();
            loop {
                match self.attempt(request, cap).await {
                    Ok(answer) => return Ok(answer),
                    Err(trouble) => tries.pause(trouble).await?,
                }
            }
        })
        .await
    }

    /// The same without reading the body: only the head must come within the time limit.
    pub async fn open(&self, request: &Request<'_>) -> Result<Response, Error> {
        self.in_time(request.what, async {
            let mut tries = Tries::default();
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

    /// How long one call may take, and one read may stand still.
    pub fn limit(&self) -> Duration {
        self.timeout
    }

    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    async fn in_time<T>(&self, what: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = |_| {
            let (host, what) = (self.origin.host().to_owned(), what.to_owned());
            Error::TimedOut { host, what, limit: self.timeout }
        };
        tokio::time::timeout(self.timeout, call).await.map_err(late)?
    }

    async fn attempt(&self, request: &Request<'_>, cap: u64) -> Result<Answer, Trouble> {
        let response = self.accepted(request.what, self.signed(request).await?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: self.body(request.what, cap, response).await? })
    }

    /// One try: with the proof that is known, and once more with a fresh one when that is not enough.
    async fn signed(&self, request: &Request<'_>) -> Result<Response, Trouble> {
        let known = self.proofs.lock().expect("no panic while held").get(request.scope).cloned();
        let first = self.send(request, request.url.clone(), known.as_ref()).await?;
        let response = if first.status() == StatusCode::UNAUTHORIZED {
            let proof = self.prove(request, first.headers()).await?;
            let again = self.send(request, request.url.clone(), Some(&proof)).await?;
            if again.status() != StatusCode::UNAUTHORIZED {
                self.proofs.lock().expect("no panic while held").insert(request.scope.to_owned(), proof);
            }
            again
        } else {
            first
        };
        self.warnings.take(response.headers());
        self.followed(request, response).await
    }

    /// Follows a blob to its storage. Nothing that proves who we are goes along, not even back to the registry itself.
    async fn followed(&self, request: &Request<'_>, mut response: Response) -> Result<Response, Trouble> {
        for _ in 0..REDIRECTS {
            if !response.status().is_redirection() {
                return Ok(response);
            }
            if !request.redirects {
                return Err(self.wrong(request.what, "it redirects what must not lie elsewhere").into());
            }
            let target = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let target = target.and_then(|l| response.url().join(l).ok());
            let target = target.ok_or_else(|| self.wrong(request.what, "it redirects to nowhere"))?;
            self.origin.allows(&target)?;
            response = self.send(request, target, None).await?;
        }
        Err(self.wrong(request.what, "it redirects in circles").into())
    }

    /// Sorts an answer by its status.
    async fn accepted(&self, what: &str, response: Response) -> Result<Response, Trouble> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let pause = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        // The text only explains; that it cannot be read, or is long, is no other failure.
        let body = self.body(what, SMALL_CAP, response).await.unwrap_or_default();
        let detail = explanation(status, &body);
        let (host, what) = (self.origin.host().to_owned(), what.to_owned());
        Err(match status.as_u16() {
            401 | 403 => Error::Unauthorized { host, what, detail, hint: self.why_anonymous() }.into(),
            404 => Error::NotFound { host, what }.into(),
            429 | 502 | 503 | 504 => Trouble::Passing(Error::Protocol { host, what, detail }, pause),
            _ => Error::Protocol { host, what, detail }.into(),
        })
    }

    /// Reads a body up to its cap.
    async fn body(&self, what: &str, cap: u64, mut response: Response) -> Result<Vec<u8>, Trouble> {
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
                Err(error) => return Err(Trouble::Passing(self.unreachable(error), None)),
            }
        }
    }

    /// The `Authorization` header that a 401 asks for.
    async fn prove(&self, request: &Request<'_>, headers: &HeaderMap) -> Result<Proof, Trouble> {
        let refused = |detail: &str| {
            let (host, what) = (self.origin.host().to_owned(), request.what.to_owned());
            Trouble::Lasting(Error::Unauthorized { host, what, detail: detail.to_owned(), hint: self.why_anonymous() })
        };
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        match challenge::parse(texts) {
            Some(Challenge::Basic) => match &self.found.credentials {
                Some(Credentials::Password { username, password }) => {
                    Ok(Proof::Password { username: username.clone(), password: password.clone() })
                }
                Some(Credentials::IdentityToken(_)) => Err(refused("it wants a password, and docker holds a token")),
                None => Err(refused("it wants a user name and password")),
            },
            Some(Challenge::Bearer { realm, service }) => self.token(request, &realm, service.as_deref()).await,
            None => Err(refused("401, and it does not say how to sign in")),
        }
    }

    /// Gets a token for a scope that *we* choose: what the registry's challenge asks for is not looked at.
    ///
    /// The registry could have asked for the same credentials itself, so its token service may have them, too; but over
    /// https only (or on loopback with a loopback registry), and on another host than the registry's only where the
    /// challenge names the service that the token is for.
    async fn token(&self, request: &Request<'_>, realm: &str, service: Option<&str>) -> Result<Proof, Trouble> {
        let mut url = Url::parse(realm).map_err(|_| self.wrong(request.what, "its token service has no URL"))?;
        self.origin.allows(&url)?;
        if service.is_none() && !self.origin.same_host(&url) && self.found.credentials.is_some() {
            let (host, why) = (self.origin.host().to_owned(), "a token service elsewhere must say what it serves");
            return Err(Error::Refused { host, target: shown(&url), why }.into());
        }
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(service.map(|service| ("service", service)));
        pairs.extend((!request.scope.is_empty()).then_some(("scope", request.scope)));
        let response = match &self.found.credentials {
            Some(Credentials::IdentityToken(token)) => {
                pairs.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "onramp")]);
                let mut form = url.clone();
                form.query_pairs_mut().clear().extend_pairs(&pairs);
                let form = Upload::from(form.query().unwrap_or_default().as_bytes().to_vec());
                let method = Method::POST;
                let body = Some(("application/x-www-form-urlencoded", &form));
                self.send(&Request { method, body, ..Request::get(request.what, url.clone(), "") }, url, None).await?
            }
            credentials => {
                url.query_pairs_mut().extend_pairs(&pairs);
                let proof = match credentials {
                    Some(Credentials::Password { username, password }) => {
                        Some(Proof::Password { username: username.clone(), password: password.clone() })
                    }
                    _ => None,
                };
                self.send(&Request::get(request.what, url.clone(), ""), url, proof.as_ref()).await?
            }
        };
        if response.status().is_redirection() || response.status() == StatusCode::NOT_FOUND {
            return Err(self.wrong(request.what, "its token service is not where it says").into());
        }
        let response = self.accepted(request.what, response).await?;
        let body = self.body(request.what, SMALL_CAP, response).await?;
        let wrong = || self.wrong(request.what, "its token service gives no token");
        let token: Token = serde_json::from_slice(&body).map_err(|_| wrong())?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong().into());
        }
        Ok(Proof::Token(token))
    }

    async fn send(&self, asked: &Request<'_>, url: Url, proof: Option<&Proof>) -> Result<Response, Trouble> {
        let client = self.client(&url)?;
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
        if let Some((media_type, upload)) = asked.body {
            let (size, body) = upload.body().await?;
            request = request.header(CONTENT_TYPE, media_type).header(CONTENT_LENGTH, size).body(body);
        }
        request.send().await.map_err(|error| {
            let error = self.unreachable(error);
            // A certificate that is wrong now is wrong in 200 ms, too.
            match &error {
                Error::Unreachable { detail, .. } if detail.contains("certificate") => Trouble::Lasting(error),
                _ => Trouble::Passing(error, None),
            }
        })
    }

    /// Plain http goes straight to loopback; https takes the system's proxy and its trusted certificates.
    fn client(&self, url: &Url) -> Result<&Client, Error> {
        // Installing it a second time fails and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let common = || {
            Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(self.timeout.min(Duration::from_secs(10)))
                .user_agent(concat!("onramp/", env!("CARGO_PKG_VERSION")))
        };
        let (cell, builder) = match url.scheme() {
            // A machine without any certificates still speaks to its own registry.
            "http" => (&self.plain, common().no_proxy().tls_certs_only([])),
            _ => (&self.secure, common().https_only(true)),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = builder.build().map_err(|error| self.unreachable(error))?;
        Ok(cell.get_or_init(|| client))
    }

    pub fn unreachable(&self, error: reqwest::Error) -> Error {
        let detail = crate::error::chain(&error.without_url());
        Error::Unreachable { host: self.origin.host().to_owned(), detail: neutral_line(&detail, 300) }
    }

    /// The error of an answer that is not what the specification says.
    pub fn wrong(&self, what: &str, detail: &str) -> Error {
        let host = self.origin.host().to_owned();
        Error::Protocol { host, what: what.to_owned(), detail: neutral_line(detail, 300) }
    }

    fn why_anonymous(&self) -> Option<String> {
        let why = self.found.trouble.as_ref()?;
        Some(format!("onramp asked as nobody: {why}"))
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
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
