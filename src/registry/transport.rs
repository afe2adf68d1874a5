//! Requests to a registry and to where it sends us: capped, retried, signed, never redirected by themselves.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;

use super::Error;
use super::challenge::{self, Challenge};
use super::credentials::{Credentials, Found};
use super::origin::{Origin, shown};
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
    /// The largest honest answer, in bytes.
    pub cap: u64,
    /// Whether the registry may send us elsewhere for it. Only blobs lie elsewhere.
    pub redirects: bool,
}

/// An answer, read whole.
pub struct Answer {
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

impl Transport {
    pub fn new(origin: Origin, found: Found, timeout: Duration) -> Self {
        let (plain, secure) = (OnceLock::new(), OnceLock::new());
        Self { origin, found, timeout, plain, secure, proofs: Mutex::default() }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Gets it: at most three tries, all of them together within the time limit.
    pub async fn get(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let tries = async {
            let mut pauses = PAUSES.into_iter();
            loop {
                match (self.signed(request).await, pauses.next()) {
                    (Ok(answer), _) => return Ok(answer),
                    (Err(Trouble::Lasting(error) | Trouble::Passing(error, _)), None)
                    | (Err(Trouble::Lasting(error)), _) => return Err(error),
                    (Err(Trouble::Passing(_, asked)), Some(pause)) => {
                        tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    }
                }
            }
        };
        match tokio::time::timeout(self.timeout, tries).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::TimedOut {
                host: self.origin.host().to_owned(),
                what: request.what.to_owned(),
                limit: self.timeout,
            }),
        }
    }

    /// One try: with the proof that is known, and once more with a fresh one when that is not enough.
    async fn signed(&self, request: &Request<'_>) -> Result<Answer, Trouble> {
        let known = self.proofs.lock().expect("no panic while held").get(request.scope).cloned();
        let first = self.send(Method::GET, request.url.clone(), request.accept, known.as_ref(), None).await?;
        let response = if first.status() == StatusCode::UNAUTHORIZED {
            let proof = self.prove(request, first.headers()).await?;
            let again = self.send(Method::GET, request.url.clone(), request.accept, Some(&proof), None).await?;
            if again.status() != StatusCode::UNAUTHORIZED {
                self.proofs.lock().expect("no panic while held").insert(request.scope.to_owned(), proof);
            }
            again
        } else {
            first
        };
        let response = self.followed(request, response).await?;
        self.accepted(request.what, request.cap, response).await
    }

    /// Follows a blob to its storage. Nothing that proves who we are goes along, not even back to the registry itself.
    async fn followed(
        &self,
        request: &Request<'_>,
        mut response: reqwest::Response,
    ) -> Result<reqwest::Response, Trouble> {
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
            response = self.send(Method::GET, target, request.accept, None, None).await?;
        }
        Err(self.wrong(request.what, "it redirects in circles").into())
    }

    /// Sorts an answer by its status, and reads it.
    async fn accepted(&self, what: &str, cap: u64, response: reqwest::Response) -> Result<Answer, Trouble> {
        let status = response.status();
        if status.is_success() {
            return Ok(Answer { headers: response.headers().clone(), body: self.body(what, cap, response).await? });
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
    async fn body(&self, what: &str, cap: u64, mut response: reqwest::Response) -> Result<Vec<u8>, Trouble> {
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
                let form = form.query().unwrap_or_default().to_owned();
                self.send(Method::POST, url, "", None, Some(form)).await?
            }
            credentials => {
                url.query_pairs_mut().extend_pairs(&pairs);
                let proof = match credentials {
                    Some(Credentials::Password { username, password }) => {
                        Some(Proof::Password { username: username.clone(), password: password.clone() })
                    }
                    _ => None,
                };
                self.send(Method::GET, url, "", proof.as_ref(), None).await?
            }
        };
        if response.status().is_redirection() || response.status() == StatusCode::NOT_FOUND {
            return Err(self.wrong(request.what, "its token service is not where it says").into());
        }
        let answer = self.accepted(request.what, SMALL_CAP, response).await?;
        let wrong = || self.wrong(request.what, "its token service gives no token");
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| wrong())?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong().into());
        }
        Ok(Proof::Token(token))
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        accept: &str,
        proof: Option<&Proof>,
        form: Option<String>,
    ) -> Result<reqwest::Response, Trouble> {
        let client = self.client(&url)?;
        let mut request = client.request(method, url);
        if !accept.is_empty() {
            request = request.header(ACCEPT, accept);
        }
        request = match proof {
            Some(Proof::Password { username, password }) => request.basic_auth(username, Some(password)),
            Some(Proof::Token(token)) => request.bearer_auth(token),
            None => request,
        };
        if let Some(form) = form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
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

    fn unreachable(&self, error: reqwest::Error) -> Error {
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
