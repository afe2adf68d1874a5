//! The client: requests with retries, caps and proofs; answers as facts about images.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;

use super::challenge::{self, Challenge};
use super::credentials::{self, Credentials};
use super::manifest::{self, Config, Content, Manifest};
use super::origin::{Origin, shown};
use super::{Error, Platform};
use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// The largest manifest or config, in bytes, as the distribution project's registry has it.
const DOCUMENT_CAP: u64 = 4 * 1024 * 1024;
/// The largest page of a listing, in bytes.
const PAGE_CAP: u64 = 1024 * 1024;
/// The largest error or token, in bytes.
const SMALL_CAP: u64 = 64 * 1024;
/// How many pages of a listing are read.
const PAGES: usize = 50;
/// How often a request is sent before its failure counts.
const TRIES: u32 = 3;
/// The longest that a registry may ask us to wait before the next try.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a blob may be elsewhere.
const REDIRECTS: usize = 3;

/// A registry.
pub struct Registry {
    origin: Origin,
    credentials: Option<Credentials>,
    /// Why there are no credentials, where that may surprise.
    trouble: Option<String>,
    http: Client,
    limit: Duration,
    /// The proof to show for each scope, once the registry has asked for one.
    proofs: Mutex<HashMap<String, String>>,
}

/// What a reference means in the registry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the index, or of the one manifest.
    pub digest: Digest,
    /// The manifest for each platform.
    pub platforms: BTreeMap<String, Digest>,
}

/// Facts about an image, without pulling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The digest that the reference names: of an index, or of the one manifest.
    pub digest: Digest,
    /// The platforms that it is there for; the facts below are about the first one that this machine could run.
    pub platforms: BTreeMap<String, Digest>,
    /// Its config.
    pub config: Config,
    /// Its layers, lowest first: digest and bytes, packed.
    pub layers: Vec<(Digest, u64)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What came back: status, headers, at most so many bytes.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Registry {
    /// The registry at `host[:port]`. Plain http is used for loopback addresses only. `limit` is for one request.
    pub fn new(host: &str, credentials: Option<Credentials>, limit: Duration) -> Result<Self, Error> {
        let origin = Origin::of(host)?;
        // A second installation is refused, and that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("onramp/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(limit)
            .build()
            .map_err(|error| Error::Unreachable { host: host.to_owned(), detail: crate::error::chain(&error) })?;
        Ok(Self { origin, credentials, trouble: None, http, limit, proofs: Mutex::default() })
    }

    /// The same, with the credentials of the user's `docker login`.
    pub async fn of_user(host: &str, limit: Duration) -> Result<Self, Error> {
        let found = credentials::of_user(host).await;
        let mut registry = Self::new(host, found.credentials, limit)?;
        registry.trouble = found.trouble;
        Ok(registry)
    }

    /// The credentials in use.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether it answers and lets us in (`GET /v2/`).
    pub async fn ping(&self) -> Result<(), Error> {
        let answer = self.get("/v2/", "", "", SMALL_CAP, "/v2/").await?;
        self.expect_ok(&answer, "/v2/").map(|_| ())
    }

    /// The repositories whose path begins with `prefix`, sorted (`GET /v2/_catalog`).
    pub async fn repositories(&self, prefix: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let mut names: Vec<String> = Vec::new();
        let mut each = |page: Page| names.extend(page.repositories.unwrap_or_default());
        self.pages("/v2/_catalog", "registry:catalog:*", "the list of repositories", &mut each).await?;
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }

    /// The tags of a repository, as the registry orders them (`GET /v2/<name>/tags/list`).
    pub async fn tags(&self, path: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags: Vec<String> = Vec::new();
        let mut each = |page: Page| tags.extend(page.tags.unwrap_or_default());
        let what = format!("the tags of {path}");
        self.pages(&format!("/v2/{path}/tags/list"), &scope(path), &what, &mut each).await?;
        Ok(tags)
    }

    /// The manifest that a reference names: by its digest if it has one, else by its tag. The digest is computed from the
    /// bytes; one that was asked for must be it.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, Error> {
        let reference = image.digest().map_or_else(|| image.tag().unwrap_or("latest").to_owned(), ToString::to_string);
        let what = format!("image {}", shown_path(image));
        let path = format!("/v2/{}/manifests/{reference}", image.path());
        let answer = self.get(&path, &scope(image.path()), manifest::ACCEPT, DOCUMENT_CAP, &what).await?;
        let answer = self.expect_ok(&answer, &what)?;
        let received = Digest::of(&answer.bytes);
        if let Some(expected) = image.digest().filter(|expected| **expected != received) {
            return Err(self.other_bytes(&what, expected, received));
        }
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        manifest::parse(answer.bytes.clone(), received, content_type).map_err(|detail| self.protocol(&what, &detail))
    }

    /// A blob that is small enough to read whole, verified.
    async fn blob(&self, path: &str, digest: &Digest, what: &str) -> Result<Vec<u8>, Error> {
        let url = format!("/v2/{path}/blobs/{digest}");
        let mut answer = self.get(&url, &scope(path), "", DOCUMENT_CAP, what).await?;
        for _ in 0..REDIRECTS {
            if !answer.status.is_redirection() {
                break;
            }
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let target = location.and_then(|to| self.origin.url(&url).join(to).ok());
            let target = target.ok_or_else(|| self.protocol(what, "a redirect to nowhere"))?;
            self.origin.allows(&target)?;
            // Without credentials: the place that stores a blob is not the registry.
            answer = self.send(Method::GET, &target, &HeaderMap::new(), None, DOCUMENT_CAP, what).await?;
        }
        let answer = self.expect_ok(&answer, what)?;
        let received = Digest::of(&answer.bytes);
        if received != *digest {
            return Err(self.other_bytes(what, digest, received));
        }
        Ok(answer.bytes.clone())
    }

    /// What a reference means now: its digest, and the manifest for each platform.
    pub async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Error> {
        let facts = self.facts(image).await?;
        Ok(Resolved { digest: facts.digest, platforms: facts.platforms })
    }

    /// Facts about an image; none where the registry has no such image.
    pub async fn find(&self, image: &ImageRef) -> Result<Option<Facts>, Error> {
        match self.facts(image).await {
            Ok(facts) => Ok(Some(facts)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Facts about an image, from its manifest and config.
    pub async fn facts(&self, image: &ImageRef) -> Result<Facts, Error> {
        let top = self.manifest(image).await?;
        let mut platforms = top.platforms();
        let own = match &top.content {
            Content::Image { .. } => top.clone(),
            Content::Index(_) => {
                let ours = format!("linux/{}", architecture());
                let chosen = platforms.get(&ours).or_else(|| platforms.values().next());
                let chosen = chosen.ok_or_else(|| self.protocol(&shown_path(image), "an index without images"))?;
                self.manifest(&image.at(chosen.clone())).await?
            }
        };
        let Content::Image { config, layers } = &own.content else {
            return Err(self.protocol(&shown_path(image), "an index inside an index"));
        };
        let what = format!("the config of {}", shown_path(image));
        let bytes = self.blob(image.path(), &config.digest, &what).await?;
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|error| self.protocol(&what, &neutral_line(&error.to_string(), 160)))?;
        if platforms.is_empty() {
            platforms.insert(Platform::name(&config.platform), own.digest.clone());
        }
        let labels = config.config.as_ref().map(|runtime| runtime.labels.clone()).unwrap_or_default();
        let layers = layers.iter().map(|layer| (layer.digest.clone(), layer.size)).collect();
        Ok(Facts { digest: top.digest, platforms, config, layers, labels })
    }

    /// Reads a listing page by page, following only links into the same listing.
    async fn pages<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        scope: &str,
        what: &str,
        each: &mut impl FnMut(T),
    ) -> Result<(), Error> {
        let mut next = format!("{path}?n=200");
        for _ in 0..PAGES {
            let answer = self.get(&next, scope, "application/json", PAGE_CAP, what).await?;
            let answer = self.expect_ok(&answer, what)?;
            let page = serde_json::from_slice(&answer.bytes);
            each(page.map_err(|error| self.protocol(what, &neutral_line(&error.to_string(), 160)))?);
            let link = answer.headers.get(LINK).and_then(|value| value.to_str().ok());
            let Some(target) = link.and_then(next_link) else { return Ok(()) };
            let url = self.origin.url(path).join(target).map_err(|_| self.protocol(what, "a link to nowhere"))?;
            if !self.origin.owns(&url) || url.path() != path {
                return Err(self.protocol(what, "a link out of the listing"));
            }
            next = format!("{path}?{}", url.query().unwrap_or_default());
        }
        Err(self.protocol(what, "more pages than any honest listing has"))
    }

    /// One GET at the registry, with the proof that it wants.
    async fn get(&self, path: &str, scope: &str, accept: &str, cap: u64, what: &str) -> Result<Answer, Error> {
        let url = self.origin.url(path);
        let mut headers = HeaderMap::new();
        if let Ok(value) = accept.parse()
            && !accept.is_empty()
        {
            headers.insert(ACCEPT, value);
        }
        let known = self.proofs.lock().expect("nothing panics with it").get(scope).cloned();
        let answer = self.send(Method::GET, &url, &with_proof(&headers, known.as_deref()), None, cap, what).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let asked = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge =
            challenge::parse(asked).ok_or_else(|| self.refused(what, "it does not say which proof it wants"))?;
        let proof = self.prove(&challenge, scope, what).await?;
        let answer = self.send(Method::GET, &url, &with_proof(&headers, Some(&proof)), None, cap, what).await?;
        self.proofs.lock().expect("nothing panics with it").insert(scope.to_owned(), proof);
        Ok(answer)
    }

    /// The `Authorization` that a challenge asks for.
    async fn prove(&self, challenge: &Challenge, scope: &str, what: &str) -> Result<String, Error> {
        let (realm, service) = match (challenge, &self.credentials) {
            (Challenge::Basic, Some(Credentials::Password { username, password })) => {
                return Ok(basic(username, password));
            }
            (Challenge::Basic, _) => return Err(self.refused(what, "it wants a user name and a password")),
            (Challenge::Bearer { realm, service }, _) => (realm, service.clone().unwrap_or_default()),
        };
        let mut url = Url::parse(realm).map_err(|_| self.protocol(what, "a token server that is no URL"))?;
        self.origin.allows(&url)?;
        let mut headers = HeaderMap::new();
        let mut form = None;
        if let Some(Credentials::IdentityToken(token)) = &self.credentials {
            let fields =
                [("grant_type", "refresh_token"), ("service", &service), ("scope", scope), ("refresh_token", token)];
            form = Some(encoded(&fields));
        } else {
            url.query_pairs_mut().append_pair("service", &service);
            if !scope.is_empty() {
                url.query_pairs_mut().append_pair("scope", scope);
            }
            if let Some(Credentials::Password { username, password }) = &self.credentials {
                headers = with_proof(&headers, Some(&basic(username, password)));
            }
        }
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let answer = self.send(method, &url, &headers, form, SMALL_CAP, "a token").await?;
        if !answer.status.is_success() {
            let detail = format!("{} answered {} to the request for a token", shown(&url), answer.status);
            return Err(self.refused(what, &detail));
        }
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        // Nothing of a token's answer is ever repeated in a message.
        let token: Token = serde_json::from_slice(&answer.bytes).map_err(|_| self.protocol("a token", "no JSON"))?;
        let token = token.token.or(token.access_token).ok_or_else(|| self.protocol("a token", "no token in it"))?;
        Ok(format!("Bearer {token}"))
    }

    /// Sends one request, again where that may help, and reads at most `cap` bytes of the answer.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
        form: Option<String>,
        cap: u64,
        what: &str,
    ) -> Result<Answer, Error> {
        let mut tried = 0;
        loop {
            tried += 1;
            let mut request = self.http.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(form) = &form {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
            }
            let outcome = match request.send().await {
                Ok(response) => self.read(response, cap, what).await,
                Err(error) => Err(self.failed(&error, what)),
            };
            let wait = match &outcome {
                Ok(answer) if is_passing(answer.status) => retry_after(&answer.headers).unwrap_or(backoff(tried)),
                Err(Error::Unreachable { .. }) => backoff(tried),
                _ => return outcome,
            };
            if tried == TRIES {
                return outcome;
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn read(&self, mut response: reqwest::Response, cap: u64, what: &str) -> Result<Answer, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let cap = if status.is_success() { cap } else { SMALL_CAP };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error, what))? {
            if (bytes.len() + chunk.len()) as u64 > cap {
                return Err(Error::TooLarge { host: self.host(), what: what.to_owned(), cap });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, bytes })
    }

    fn expect_ok<'a>(&self, answer: &'a Answer, what: &str) -> Result<&'a Answer, Error> {
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND => Err(Error::NotFound { host: self.host(), what: what.to_owned() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused(what, &said(answer))),
            _ => Err(self.protocol(what, &said(answer))),
        }
    }

    fn host(&self) -> String {
        self.origin.host().to_owned()
    }

    fn failed(&self, error: &reqwest::Error, what: &str) -> Error {
        if error.is_timeout() {
            return Error::TimedOut { host: self.host(), what: what.to_owned(), limit: self.limit };
        }
        // reqwest's own message repeats the URL, which may hold a token server's query.
        let detail = std::error::Error::source(error).map_or_else(|| "no answer".to_owned(), crate::error::chain);
        Error::Unreachable { host: self.host(), detail: neutral_line(&detail, 200) }
    }

    fn refused(&self, what: &str, detail: &str) -> Error {
        let (what, detail) = (what.to_owned(), neutral_line(detail, 200));
        Error::Unauthorized { host: self.host(), what, detail, hint: self.trouble.clone() }
    }

    fn protocol(&self, what: &str, detail: &str) -> Error {
        Error::Protocol { host: self.host(), what: what.to_owned(), detail: neutral_line(detail, 200) }
    }

    fn other_bytes(&self, what: &str, expected: &Digest, received: Digest) -> Error {
        Error::Digest { host: self.host(), what: what.to_owned(), expected: expected.clone(), received }
    }
}

/// The architecture that images of this machine have, in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn scope(path: &str) -> String {
    format!("repository:{path}:pull")
}

fn shown_path(image: &ImageRef) -> String {
    let text = image.to_string();
    text.split_once('/').map_or(text.clone(), |(_, path)| path.to_owned())
}

fn with_proof(headers: &HeaderMap, proof: Option<&str>) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(mut value) = proof.and_then(|proof| reqwest::header::HeaderValue::from_str(proof).ok()) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

fn encoded(fields: &[(&str, &str)]) -> String {
    // The URL's own encoder, without a URL around it.
    let mut url = Url::parse("http://form/").expect("a fixed URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn backoff(tried: u32) -> Duration {
    Duration::from_millis(100 << tried)
}

/// The target of a `Link` header's `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    let next = header.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    next.split_once('<')?.1.split_once('>').map(|(target, _)| target)
}

/// The registry's own words in an error, neutral (distribution specification, "error codes").
fn said(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let first =
        serde_json::from_slice::<Errors>(&answer.bytes).ok().and_then(|errors| errors.errors.into_iter().next());
    match first {
        Some(One { code, message }) => {
            let words = [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
            format!("{words} (HTTP {})", answer.status.as_u16())
        }
        None => format!("HTTP {}", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_registries_write_them() {
        assert_eq!(next_link("</v2/_catalog?last=b&n=2>; rel=\"next\""), Some("/v2/_catalog?last=b&n=2"));
        assert_eq!(next_link("</a>; rel=\"prev\", </b>; rel=\"next\""), Some("/b"));
        assert_eq!(next_link("</a>; rel=\"prev\""), None);
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(encoded(&[("a", "x&y"), ("b", "1 2")]), "a=x%26y&b=1+2");
    }

    proptest::proptest! {
        #[test]
        fn no_link_makes_the_reader_panic(header in ".*") {
            let _ = next_link(&header);
        }
    }
}
