//! The client: a registry, opened, and the documents that it has about images.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use super::Error;
use super::access::Access;
use super::config::{self, Config};
use super::credentials::{self, Credentials, Docker, Found};
use super::manifest::{self, Content, Manifest};
use super::origin::Origin;
use super::source::{Mirror, Source};
use super::tls::Trust;
use super::transport::{Request, Transport};
use crate::reference::{Digest, ImageRef};
use crate::task::blocking;

/// The largest manifest or config, in bytes, as the distribution project's registry has it.
pub(super) const DOCUMENT_CAP: u64 = 4 * 1024 * 1024;
/// Where a registry says which digest it thinks it sent.
pub(super) const CLAIMED_DIGEST: &str = "docker-content-digest";
/// The largest answer to a ping that is read, in bytes.
const PING_CAP: u64 = 64 * 1024;
/// How long a mirror may take for one call: the registry itself stands behind it.
const MIRROR_LIMIT: Duration = Duration::from_secs(10);

/// A registry.
pub struct Registry {
    pub(super) own: Source,
    pub(super) mirror: Option<Arc<Mirror>>,
}

/// What a reference means in the registry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of the index, or of the one manifest.
    pub digest: Digest,
    /// The manifest for each platform.
    pub platforms: BTreeMap<String, Digest>,
}

impl Registry {
    /// The registry at `host[:port]`, with these credentials and nothing of the user's own settings.
    pub fn new(host: &str, credentials: Option<Credentials>, access: impl Into<Access>) -> Result<Self, Error> {
        let found = Found { credentials, trouble: None };
        let transport = Transport::new(Origin::of(host)?, found, Trust::default(), &access.into());
        Ok(Self { own: Source::own(Arc::new(transport)), mirror: None })
    }

    /// The registry at `host[:port]` as this user reaches it: the credentials of `docker login`, the certificates that
    /// docker is told of, and the mirror that the settings name.
    pub async fn of_user(host: &str, access: impl Into<Access>) -> Result<Self, Error> {
        let access = access.into();
        let own = Source::own(transport_of_user(host, &access).await?);
        let mirror = match access.mirrors.get(host) {
            Some(mirror) => {
                let (at, prefix) = mirror.place().ok_or_else(|| Error::bad_host(&mirror.at))?;
                let access = Access { limit: access.limit.min(MIRROR_LIMIT), ..access.clone() };
                Some(Arc::new(Mirror::new(transport_of_user(at, &access).await?, prefix, mirror.tags)))
            }
            None => None,
        };
        Ok(Self { own, mirror })
    }

    /// `host[:port]`.
    pub fn host(&self) -> &str {
        self.transport().origin().host()
    }

    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.own.transport
    }

    /// What the registry's operators said so far (`Warning: 299`), neutral, each text once.
    pub fn warnings(&self) -> Vec<String> {
        self.transport().warnings().of(self.host())
    }

    /// The registry itself, without its mirror: for what is read to be changed, of which a mirror may be behind.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { own: self.own.clone(), mirror: None }
    }

    /// Whether what is asked for now may come from a mirror.
    pub fn has_mirror(&self) -> bool {
        self.mirrored(|_| true).is_some()
    }

    /// Takes that a blob which a mirror may have sent had other bytes than its digest says: no mirror is asked again, and
    /// another try is worth it.
    pub fn mirror_lied(&self) {
        if let Some(mirror) = &self.mirror {
            mirror.lied(self.transport());
        }
    }

    /// Whether it answers and lets us in (`GET /v2/`).
    pub async fn ping(&self) -> Result<(), Error> {
        let url = self.transport().origin().url("/v2/");
        self.transport().get(&Request::get("/v2/", url, ""), PING_CAP).await.map(|_| ())
    }

    /// The manifest that a reference names: by its digest if it has one, else by its tag
    /// (`GET /v2/<name>/manifests/<reference>`). The digest is computed from the bytes; one that was asked for, or that
    /// the registry claims, must be it.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, Error> {
        if let Some((mirror, source)) = self.mirrored(|mirror| image.digest().is_some() || mirror.tags) {
            match manifest_from(source, image).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => mirror.failed(&error, self.transport()),
            }
        }
        manifest_from(&self.own, image).await
    }

    /// An image's config, verified (`GET /v2/<name>/blobs/<digest>`).
    pub async fn config(&self, path: &str, digest: &Digest) -> Result<Config, Error> {
        self.read_config(path, &self.small_blob(path, digest, DOCUMENT_CAP).await?)
    }

    /// The config of an image of `path`, whose bytes were fetched and verified.
    pub fn read_config(&self, path: &str, bytes: &[u8]) -> Result<Config, Error> {
        config::parse(bytes).map_err(|wrong| self.transport().bad(&format!("the config of {path}"), wrong))
    }

    /// The manifest that an index lists under a digest, as large as the index says.
    pub async fn listed(&self, image: &ImageRef, index: &Manifest, digest: &Digest) -> Result<Manifest, Error> {
        let manifest = self.manifest(&image.at(digest.clone())).await?;
        let what = || format!("image {}", shown_path(image));
        index.check_listed(&manifest).map_err(|wrong| self.transport().bad(&what(), wrong))?;
        Ok(manifest)
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

    /// The mirror, where there is one that did not fail and that may be asked.
    pub(super) fn mirrored(&self, may: impl FnOnce(&Mirror) -> bool) -> Option<(&Arc<Mirror>, &Source)> {
        let mirror = self.mirror.as_ref().filter(|mirror| may(mirror))?;
        Some((mirror, mirror.source()?))
    }

    /// A path that goes into a URL: one that a reference can have.
    pub(super) fn checked<'a>(&self, path: &'a str) -> Result<&'a str, Error> {
        let not_found = || {
            let what = format!("repository {}", crate::text::neutral_line(path, 80));
            Error::NotFound { host: self.host().to_owned(), what }
        };
        self.tagged(path, "x").map(|_| path).ok_or_else(not_found)
    }

    /// The reference that a path and a tag make here, if that is what they are.
    pub(super) fn tagged(&self, path: &str, tag: &str) -> Option<ImageRef> {
        let image: ImageRef = format!("{}/{path}:{tag}", self.host()).parse().ok()?;
        (image.path() == path && image.tag() == Some(tag)).then_some(image)
    }
}

/// How this user speaks to a registry.
async fn transport_of_user(host: &str, access: &Access) -> Result<Arc<Transport>, Error> {
    let origin = Origin::of(host)?;
    let docker = Docker::of_user();
    let (name, directory) = (host.to_owned(), docker.directory.clone());
    let trust = blocking(move || Trust::of(&name, directory.as_deref())).await;
    let found = credentials::find(host, &docker).await;
    Ok(Arc::new(Transport::new(origin, found, trust, access)))
}

async fn manifest_from(source: &Source, image: &ImageRef) -> Result<Manifest, Error> {
    let transport = &source.transport;
    let reference = image.digest().map_or_else(|| image.tag().unwrap_or_default(), Digest::as_str);
    let what = format!("image {}", shown_path(image));
    let (url, scope) = (source.url(image.path(), &format!("manifests/{reference}")), source.scope(image.path()));
    let request = Request { accept: manifest::ACCEPT, ..Request::get(&what, url, &scope) };
    let answer = transport.get(&request, DOCUMENT_CAP).await?;
    let received = Digest::of(&answer.body);
    let claimed: Option<Digest> = answer.header(CLAIMED_DIGEST).and_then(|text| text.parse().ok());
    for expected in image.digest().into_iter().chain(&claimed) {
        transport.same(&what, expected, &received)?;
    }
    let content_type = answer.header(CONTENT_TYPE.as_str()).map(str::to_owned);
    manifest::parse(answer.body, received, content_type.as_deref()).map_err(|wrong| transport.bad(&what, wrong))
}

/// An image as errors name it, behind its registry's name.
pub(super) fn shown_path(image: &ImageRef) -> String {
    let text = image.to_string();
    text.split_once('/').map_or(text.clone(), |(_, path)| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_never_becomes_a_url() {
        let registry = Registry::new("127.0.0.1:5000", None, Duration::from_secs(1)).unwrap();
        for bad in ["", "..", "a/../b", "a?n=1", "a#b", "a:b", "a%2f", "A", "a@sha256:x", "/a", "a/"] {
            assert!(registry.checked(bad).is_err(), "{bad}");
        }
        assert!(registry.checked("base/php-apache").is_ok());
    }
}
