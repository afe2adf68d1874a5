//! The client: what is asked of a registry, and what its answers say about images.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LINK};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::credentials::{self, Credentials, Found};
use super::manifest::{self, Config, Content, Descriptor, Manifest};
use super::origin::Origin;
use super::transport::{Request, Transport};
use crate::reference::{Digest, ImageRef};

/// The largest manifest or config, in bytes, as the distribution project's registry has it.
pub(super) const DOCUMENT_CAP: u64 = 4 * 1024 * 1024;
/// The largest page of a listing, in bytes.
const PAGE_CAP: u64 = 1024 * 1024;
/// How many names a page has (the distribution project's registry refuses more), and how many pages are read.
const PAGE: usize = 1000;
const PAGES: usize = 50;
/// Where a registry says which digest it thinks it sent.
pub(super) const CLAIMED_DIGEST: &str = "docker-content-digest";

/// A registry.
pub struct Registry {
    pub(super) transport: Arc<Transport>,
}

/// What a reference means in the registry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the index, or of the one manifest.
    pub digest: Digest,
    /// The manifest for each platform.
    pub platforms: BTreeMap<String, Digest>,
}

/// One image: its manifest and config, each verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest that the reference names: of an index, or of the one manifest.
    pub top: Digest,
    /// Its own manifest.
    pub manifest: Manifest,
    /// Its config.
    pub config: Config,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The platforms that the reference is there for.
    pub platforms: BTreeMap<String, Digest>,
}

/// Facts about an image, without pulling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The digest that the reference names: of an index, or of the one manifest.
    pub digest: Digest,
    /// The platforms that it is there for.
    pub platforms: BTreeMap<String, Digest>,
    /// The platform that the facts below are about: this machine's where it is there, else the first.
    pub platform: String,
    /// Its config.
    pub config: Config,
    /// Its layers, lowest first: digest and bytes, packed.
    pub layers: Vec<(Digest, u64)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Registry {
    /// The registry at `host[:port]`. `limit` is for one call, its retries included.
    pub fn new(host: &str, credentials: Option<Credentials>, limit: Duration) -> Result<Self, Error> {
        let found = Found { credentials, trouble: None };
        Ok(Self { transport: Arc::new(Transport::new(Origin::of(host)?, found, limit)) })
    }

    /// The same, with the credentials of the user's `docker login`.
    pub async fn of_user(host: &str, limit: Duration) -> Result<Self, Error> {
        let origin = Origin::of(host)?;
        Ok(Self { transport: Arc::new(Transport::new(origin, credentials::of_user(host).await, limit)) })
    }

    /// `host[:port]`.
    pub fn host(&self) -> &str {
        self.transport.origin().host()
    }

    /// What the registry's operators said so far (`Warning: 299`), neutral, each text once.
    pub fn warnings(&self) -> Vec<String> {
        self.transport.warnings().texts()
    }

    /// Whether it answers and lets us in (`GET /v2/`).
    pub async fn ping(&self) -> Result<(), Error> {
        let url = self.transport.origin().url("/v2/");
        self.transport.get(&Request::get("/v2/", url, ""), PAGE_CAP).await.map(|_| ())
    }

    /// The repositories whose path begins with `prefix`, sorted (`GET /v2/_catalog`).
    pub async fn repositories(&self, prefix: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let names = |page: Page| page.repositories.unwrap_or_default();
        let mut found = self.pages("/v2/_catalog", "registry:catalog:*", "the list of repositories", names).await?;
        // What is no path could not be asked for either.
        found.retain(|path| path.starts_with(prefix) && self.tagged(path, "x").is_some());
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The tags of a repository, as the registry orders them (`GET /v2/<name>/tags/list`).
    pub async fn tags(&self, path: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let what = format!("the tags of {}", self.checked(path)?);
        let names = |page: Page| page.tags.unwrap_or_default();
        let mut found = self.pages(&format!("/v2/{path}/tags/list"), &scope(path), &what, names).await?;
        found.retain(|tag| self.tagged(path, tag).is_some());
        Ok(found)
    }

    /// The manifest that a reference names: by its digest if it has one, else by its tag
    /// (`GET /v2/<name>/manifests/<reference>`). The digest is computed from the bytes; one that was asked for, or that
    /// the registry claims, must be it.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, Error> {
        let reference = image.digest().map_or_else(|| image.tag().unwrap_or_default(), Digest::as_str);
        let what = format!("image {}", shown_path(image));
        let url = self.transport.origin().url(&format!("/v2/{}/manifests/{reference}", image.path()));
        let scope = scope(image.path());
        let request = Request { accept: manifest::ACCEPT, ..Request::get(&what, url, &scope) };
        let answer = self.transport.get(&request, DOCUMENT_CAP).await?;
        let received = Digest::of(&answer.body);
        let claimed = answer.header(CLAIMED_DIGEST).and_then(|text| text.parse().ok());
        for expected in image.digest().cloned().into_iter().chain(claimed) {
            self.same(&what, expected, &received)?;
        }
        let content_type = answer.header(CONTENT_TYPE.as_str()).map(str::to_owned);
        manifest::parse(answer.body, received, content_type.as_deref())
            .map_err(|detail| self.transport.wrong(&what, &detail))
    }

    /// An image's config, verified (`GET /v2/<name>/blobs/<digest>`).
    pub async fn config(&self, path: &str, digest: &Digest) -> Result<Config, Error> {
        let bytes = self.small_blob(path, digest, DOCUMENT_CAP).await?;
        let what = || format!("the config of {path}");
        serde_json::from_slice(&bytes).map_err(|error| self.transport.wrong(&what(), &error.to_string()))
    }

    /// What a reference means now: its digest, and the manifest for each platform.
    pub async fn resolve(&self, image: &ImageRef) -> Result<Resolved, Error> {
        let top = self.manifest(image).await?;
        let platforms = match &top.content {
            Content::Index(_) => top.platforms(),
            // Only its config tells what a single image runs on.
            Content::Image { config, .. } => {
                let config = self.config(image.path(), &config.digest).await?;
                [(config.platform.name(), top.digest.clone())].into()
            }
        };
        Ok(Resolved { digest: top.digest, platforms })
    }

    /// Facts about an image; none where the registry has no such image.
    pub async fn find(&self, image: &ImageRef) -> Result<Option<Facts>, Error> {
        match self.facts(image).await {
            Ok(facts) => Ok(Some(facts)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Facts about an image, from its manifest and config: for this machine's platform where it is there.
    pub async fn facts(&self, image: &ImageRef) -> Result<Facts, Error> {
        let top = self.manifest(image).await?;
        let ours = here();
        let chosen = top.platforms().into_keys().find(|platform| *platform == ours);
        let chosen = chosen.or_else(|| top.platforms().into_keys().next());
        let found = self.image_of(image, top, chosen.as_deref()).await?;
        let labels = found.config.config.as_ref().map(|runtime| runtime.labels.clone()).unwrap_or_default();
        let layers = found.layers.into_iter().map(|layer| (layer.digest, layer.size)).collect();
        let (digest, platforms, platform) = (found.top, found.platforms, found.config.platform.name());
        Ok(Facts { digest, platforms, platform, config: found.config, layers, labels })
    }

    /// The image for a platform (`linux/amd64`), through an index if there is one.
    pub async fn image(&self, image: &ImageRef, platform: &str) -> Result<Image, Error> {
        let top = self.manifest(image).await?;
        let found = self.image_of(image, top, Some(platform)).await?;
        if found.platforms.contains_key(platform) {
            return Ok(found);
        }
        let there = found.platforms.into_keys().collect();
        Err(self.no_platform(image, platform, there))
    }

    /// The image of a manifest: itself, or what an index has for a platform.
    async fn image_of(&self, image: &ImageRef, top: Manifest, platform: Option<&str>) -> Result<Image, Error> {
        let (digest, mut platforms) = (top.digest.clone(), top.platforms());
        let own = match &top.content {
            Content::Image { .. } => top,
            Content::Index(_) => {
                let empty = || self.transport.wrong(&shown_path(image), "an index without images");
                let platform = platform.filter(|_| !platforms.is_empty()).ok_or_else(empty)?;
                let there = || platforms.keys().cloned().collect();
                let chosen = platforms.get(platform).ok_or_else(|| self.no_platform(image, platform, there()))?;
                self.manifest(&image.at(chosen.clone())).await?
            }
        };
        let Content::Image { config, layers } = &own.content else {
            return Err(self.transport.wrong(&shown_path(image), "an index inside an index"));
        };
        let layers = layers.clone();
        let config = self.config(image.path(), &config.digest).await?;
        if platforms.is_empty() {
            platforms.insert(config.platform.name(), own.digest.clone());
        }
        Ok(Image { top: digest, manifest: own, config, layers, platforms })
    }

    fn no_platform(&self, image: &ImageRef, platform: &str, there: Vec<String>) -> Error {
        let (host, what) = (self.host().to_owned(), shown_path(image));
        Error::NoPlatform { host, what, platform: platform.to_owned(), there }
    }

    /// Reads a listing page by page, following only links into the same listing.
    async fn pages<P: DeserializeOwned>(
        &self,
        path: &str,
        scope: &str,
        what: &str,
        names: impl Fn(P) -> Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut url = self.transport.origin().url(&format!("{path}?n={PAGE}"));
        for _ in 0..PAGES {
            let answer = self.transport.get(&Request::get(what, url.clone(), scope), PAGE_CAP).await?;
            let page = serde_json::from_slice(&answer.body);
            found.extend(names(page.map_err(|error| self.transport.wrong(what, &error.to_string()))?));
            let Some(target) = answer.header(LINK.as_str()).and_then(next_link) else { return Ok(found) };
            let next = url.join(target).map_err(|_| self.transport.wrong(what, "a link to nowhere"))?;
            if !self.transport.origin().owns(&next) || next.path() != path {
                return Err(self.transport.wrong(what, "a link out of the listing"));
            }
            url = next;
        }
        Err(self.transport.wrong(what, "more pages than any honest listing has"))
    }

    /// A path that goes into a URL: one that a reference can have.
    pub(super) fn checked<'a>(&self, path: &'a str) -> Result<&'a str, Error> {
        let not_found = || {
            let what = format!("repository {}", crate::text::neutral_line(path, 80));
            Error::NotFound { host: self.transport.origin().host().to_owned(), what }
        };
        self.tagged(path, "x").map(|_| path).ok_or_else(not_found)
    }

    /// The reference that a path and a tag make here, if that is what they are.
    fn tagged(&self, path: &str, tag: &str) -> Option<ImageRef> {
        let image: ImageRef = format!("{}/{path}:{tag}", self.transport.origin().host()).parse().ok()?;
        (image.path() == path && image.tag() == Some(tag) && image.digest().is_none()).then_some(image)
    }

    pub(super) fn same(&self, what: &str, expected: Digest, received: &Digest) -> Result<(), Error> {
        if expected == *received {
            return Ok(());
        }
        let host = self.transport.origin().host().to_owned();
        Err(Error::Digest { host, what: what.to_owned(), expected, received: received.clone() })
    }
}

/// The platform of this machine's images, in Go's words: `linux/amd64`.
pub fn here() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

pub(super) fn scope(path: &str) -> String {
    format!("repository:{path}:pull")
}

pub(super) fn shown_path(image: &ImageRef) -> String {
    let text = image.to_string();
    text.split_once('/').map_or(text.clone(), |(_, path)| path.to_owned())
}

/// The target of a `Link` header's `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    let next = header.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    next.split_once('<')?.1.split_once('>').map(|(target, _)| target)
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
    fn what_is_no_path_never_becomes_a_url() {
        let registry = Registry::new("127.0.0.1:5000", None, Duration::from_secs(1)).unwrap();
        for bad in ["", "..", "a/../b", "a?n=1", "a#b", "a:b", "a%2f", "A", "a@sha256:x", "/a", "a/"] {
            assert!(registry.checked(bad).is_err(), "{bad}");
        }
        assert!(registry.checked("base/php-apache").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_link_makes_the_reader_panic(header in ".*") {
            let _ = next_link(&header);
        }
    }
}
