//! Pushing blobs and manifests (distribution specification 1.1, "Push").

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::LOCATION;
use reqwest::{Body, Method, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::client::{CLAIMED_DIGEST, Registry, shown_path};
use super::transport::Request;
use super::{Error, Manifest, manifest};
use crate::reference::{Digest, ImageRef};

/// How much of a file is read at once, in bytes.
const PIECE: usize = 64 * 1024;
/// The largest answer to a push that is read, in bytes.
const ANSWER_CAP: u64 = 64 * 1024;

/// What is pushed. Another try begins from its start.
#[derive(Clone, Debug)]
pub enum Upload {
    /// From memory.
    Bytes(Bytes),
    /// From a file, as it is while it is read.
    File(PathBuf),
}

impl From<Vec<u8>> for Upload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Upload {
    /// A body for one request, and how many bytes it has.
    pub(super) async fn body(&self) -> Result<(u64, Body), Error> {
        let path = match self {
            Self::Bytes(bytes) => return Ok((bytes.len() as u64, bytes.clone().into())),
            Self::File(path) => path,
        };
        let unreadable = |source| Error::Unreadable { path: path.clone(), source };
        let file = File::open(path).await.map_err(unreadable)?;
        let size = file.metadata().await.map_err(unreadable)?.len();
        let pieces = stream::try_unfold(file, |mut file| async {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
        });
        Ok((size, Body::wrap_stream(pieces)))
    }
}

impl Registry {
    /// Whether the registry has a blob (`HEAD /v2/<name>/blobs/<digest>`).
    pub async fn has_blob(&self, path: &str, digest: &Digest) -> Result<bool, Error> {
        let what = format!("blob {} of {}", digest.short(), self.checked(path)?);
        let url = self.transport.origin().url(&format!("/v2/{path}/blobs/{digest}"));
        let scope = push_scope(path);
        let head = Request { method: Method::HEAD, redirects: true, ..Request::get(&what, url, &scope) };
        match self.transport.open(&head).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pushes a blob, unless the registry has it. The registry checks the digest, and so must whoever made the blob.
    pub async fn push_blob(&self, path: &str, digest: &Digest, size: u64, body: Upload) -> Result<(), Error> {
        if self.has_blob(path, digest).await? {
            return Ok(());
        }
        let what = format!("blob {} for {path} ({})", digest.short(), crate::text::bytes(size));
        let scope = push_scope(path);
        let url = self.transport.origin().url(&format!("/v2/{path}/blobs/uploads/"));
        let nothing = Upload::from(Vec::new());
        let begin = Request {
            method: Method::POST,
            body: Some(("application/octet-stream", &nothing)),
            ..Request::get(&what, url.clone(), &scope)
        };
        let begun = self.transport.get(&begin, ANSWER_CAP).await?;
        let mut place = begun
            .header(LOCATION.as_str())
            .and_then(|place| url.join(place).ok())
            .ok_or_else(|| self.transport.wrong(&what, "it does not say where to push"))?;
        if !self.transport.origin().owns(&place) {
            return Err(self.transport.wrong(&what, "it wants it pushed to another place"));
        }
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        let put = Request {
            method: Method::PUT,
            body: Some(("application/octet-stream", &body)),
            ..Request::get(&what, place, &scope)
        };
        let done = self.transport.get(&put, ANSWER_CAP).await?;
        if done.status != StatusCode::CREATED {
            return Err(self.transport.wrong(&what, &format!("{} instead of 201 Created", done.status)));
        }
        self.same_claimed(&what, digest, done.header(CLAIMED_DIGEST))
    }

    /// Pushes a manifest under its tag, or under its digest where the reference has no tag
    /// (`PUT /v2/<name>/manifests/<reference>`). Its digest.
    pub async fn push_manifest(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Digest, Error> {
        let what = format!("image {}", shown_path(image));
        let digest = Digest::of(&bytes);
        let parsed: Result<Manifest, String> = manifest::parse(bytes.clone(), digest.clone(), Some(media_type));
        parsed.map_err(|detail| self.transport.wrong(&what, &detail))?;
        if let Some(expected) = image.digest() {
            self.same(&what, expected.clone(), &digest)?;
        }
        let reference = image.tag().unwrap_or(digest.as_str());
        let url = self.transport.origin().url(&format!("/v2/{}/manifests/{reference}", image.path()));
        let (scope, body) = (push_scope(image.path()), Upload::from(bytes));
        let put = Request { method: Method::PUT, body: Some((media_type, &body)), ..Request::get(&what, url, &scope) };
        let done = self.transport.get(&put, ANSWER_CAP).await?;
        self.same_claimed(&what, &digest, done.header(CLAIMED_DIGEST))?;
        Ok(digest)
    }

    /// A digest that the registry claims for what was pushed must be the pushed one's.
    fn same_claimed(&self, what: &str, pushed: &Digest, claimed: Option<&str>) -> Result<(), Error> {
        let claimed: Option<Digest> = claimed.and_then(|text| text.parse().ok());
        claimed.map_or(Ok(()), |claimed| self.same(what, pushed.clone(), &claimed))
    }
}

/// What a token must allow to push there.
fn push_scope(path: &str) -> String {
    format!("repository:{path}:pull,push")
}
