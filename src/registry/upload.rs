//! Pushing blobs and manifests (distribution specification 1.1, "Push").

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::LOCATION;
use reqwest::{Body, Method, StatusCode, Url};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::client::{CLAIMED_DIGEST, Registry, shown_path};
use super::retry::{Tries, Trouble};
use super::transport::{Answer, Request};
use super::{Error, manifest};
use crate::reference::{Digest, ImageRef};

/// How much is read and sent at once, in bytes.
const PIECE: usize = 64 * 1024;
/// A blob that is larger goes in parts of this size, in bytes: proxies before registries cap a body.
const PART: u64 = 32 * 1024 * 1024;
/// The largest answer to a push that is read, in bytes.
const ANSWER_CAP: u64 = 64 * 1024;
/// What a blob is sent as.
const OCTETS: &str = "application/octet-stream";

/// What is pushed. Another try begins from its start.
#[derive(Clone, Debug)]
pub enum Upload {
    /// From memory.
    Bytes(Bytes),
    /// From a file, as it is while it is read.
    File(PathBuf),
    /// The same, counting the bytes that were sent, in all tries.
    Watched(PathBuf, Arc<AtomicU64>),
}

impl From<Vec<u8>> for Upload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// What one request sends, and how far it is.
pub struct Outgoing<'a> {
    pub media_type: &'a str,
    upload: &'a Upload,
    /// Which bytes; all where there is none.
    pub part: Option<Range<u64>>,
    moved: Arc<AtomicU64>,
}

impl<'a> Outgoing<'a> {
    pub fn new(media_type: &'a str, upload: &'a Upload) -> Self {
        Self { media_type, upload, part: None, moved: Arc::default() }
    }

    /// How many bytes were sent so far, in all tries.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// A body for one request, and how many bytes it has.
    pub async fn body(&self) -> Result<(u64, Body), Error> {
        let moved = self.moved.clone();
        let mut watched = None;
        let path = match self.upload {
            Upload::Bytes(bytes) => {
                let end = bytes.len() as u64;
                let part = self.part.clone().unwrap_or(0..end);
                let within = |at: u64| usize::try_from(at.min(end)).unwrap_or(bytes.len());
                let bytes = bytes.slice(within(part.start)..within(part.end));
                if bytes.len() <= PIECE {
                    return Ok((bytes.len() as u64, bytes.into()));
                }
                let size = bytes.len() as u64;
                let pieces = stream::unfold(bytes, move |mut rest| {
                    let piece = rest.split_to(rest.len().min(PIECE));
                    moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    std::future::ready((!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), rest)))
                });
                return Ok((size, Body::wrap_stream(pieces)));
            }
            Upload::File(path) => path,
            Upload::Watched(path, sent) => {
                watched = Some(sent.clone());
                path
            }
        };
        let unreadable = |source| Error::Unreadable { path: path.clone(), source };
        let mut file = File::open(path).await.map_err(unreadable)?;
        let whole = file.metadata().await.map_err(unreadable)?.len();
        let part = self.part.clone().unwrap_or(0..whole);
        file.seek(SeekFrom::Start(part.start)).await.map_err(unreadable)?;
        let size = part.end.min(whole).saturating_sub(part.start);
        let pieces = stream::try_unfold(file.take(size), move |mut file| {
            let (moved, watched) = (moved.clone(), watched.clone());
            async move {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece).await?;
                piece.truncate(read);
                moved.fetch_add(read as u64, Ordering::Relaxed);
                if let Some(watched) = watched {
                    watched.fetch_add(read as u64, Ordering::Relaxed);
                }
                Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
            }
        });
        Ok((size, Body::wrap_stream(pieces)))
    }
}

impl Registry {
    /// Whether the registry itself has a blob (`HEAD /v2/<name>/blobs/<digest>`).
    pub async fn has_blob(&self, path: &str, digest: &Digest) -> Result<bool, Error> {
        self.holds(self.checked(path)?, digest, &self.own.scope(path)).await
    }

    async fn holds(&self, path: &str, digest: &Digest, scope: &str) -> Result<bool, Error> {
        let what = format!("blob {} of {path}", digest.short());
        let url = self.own.url(path, &format!("blobs/{digest}"));
        let head = Request { method: Method::HEAD, redirects: true, ..Request::get(&what, url, scope) };
        match self.transport().open(&head).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pushes a blob of `size` bytes, unless the registry has it: in one request, or in parts where it is large. What
    /// breaks in the middle begins again from the start, a few times.
    ///
    /// The registry verifies the digest of what it received, so a file that changes meanwhile is refused.
    pub async fn push_blob(&self, path: &str, digest: &Digest, size: u64, body: Upload) -> Result<(), Error> {
        let push = Push {
            registry: self,
            what: format!("blob {} for {}, {}", digest.short(), self.checked(path)?, crate::text::bytes(size)),
            scope: push_scope(path),
            path,
        };
        // One token for all of it.
        if self.holds(path, digest, &push.scope).await? {
            return Ok(());
        }
        let parts = parts(size, PART);
        let mut tries = Tries::default();
        loop {
            match push.once(digest, &body, &parts).await {
                Ok(()) => return Ok(()),
                Err(trouble) => tries.pause(trouble).await?,
            }
        }
    }

    /// Pushes a manifest under its tag, or under its digest where the reference has no tag
    /// (`PUT /v2/<name>/manifests/<reference>`). Its digest.
    pub async fn push_manifest(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Digest, Error> {
        let what = format!("image {}", shown_path(image));
        let digest = Digest::of(&bytes);
        let parsed = manifest::parse(bytes.clone(), digest.clone(), Some(media_type));
        parsed.map_err(|wrong| self.transport().bad(&what, wrong))?;
        if let Some(expected) = image.digest() {
            self.transport().same(&what, expected, &digest)?;
        }
        let reference = image.tag().unwrap_or(digest.as_str());
        let url = self.own.url(image.path(), &format!("manifests/{reference}"));
        let (scope, upload) = (push_scope(image.path()), Upload::from(bytes));
        let body = Outgoing::new(media_type, &upload);
        let put = Request { method: Method::PUT, body: Some(&body), ..Request::get(&what, url, &scope) };
        let mut tries = Tries::default();
        let done = loop {
            match self.transport().get(&put, ANSWER_CAP).await {
                Err(error) if blames_the_digest(&error) => tries.pause(Trouble::Passing(error, None)).await?,
                done => break done?,
            }
        };
        self.same_claimed(&what, &digest, &done)?;
        Ok(digest)
    }

    /// A digest that the registry claims for what was pushed must be the pushed one's.
    fn same_claimed(&self, what: &str, pushed: &Digest, answer: &Answer) -> Result<(), Error> {
        let claimed: Option<Digest> = answer.header(CLAIMED_DIGEST).and_then(|text| text.parse().ok());
        claimed.map_or(Ok(()), |claimed| self.transport().same(what, pushed, &claimed))
    }
}

/// Whether a registry says of a manifest that a digest is wrong. Those in it were looked at before it was sent: a registry that
/// keeps its links in files (distribution's) reads none in a link that another push is writing at that moment.
fn blames_the_digest(error: &Error) -> bool {
    matches!(error, Error::Protocol { detail, .. } if detail.starts_with("400 Bad Request: DIGEST_INVALID"))
}

/// The push of one blob.
struct Push<'a> {
    registry: &'a Registry,
    what: String,
    scope: String,
    path: &'a str,
}

impl Push<'_> {
    /// One session: `POST` begins it, `PATCH` sends parts, `PUT` sends the rest and ends it.
    async fn once(&self, digest: &Digest, upload: &Upload, parts: &[Range<u64>]) -> Result<(), Trouble> {
        let nothing = Upload::from(Vec::new());
        let sessions = self.registry.own.url(self.path, "blobs/uploads/");
        let begun = self.ask(Method::POST, sessions.clone(), &Outgoing::new(OCTETS, &nothing)).await?;
        let mut place = self.place(&sessions, &begun)?;
        let (last, before) = parts.split_last().map_or((None, parts), |(last, before)| (Some(last), before));
        for part in before {
            let outgoing = Outgoing { part: Some(part.clone()), ..Outgoing::new(OCTETS, upload) };
            let taken = self.ask(Method::PATCH, place.clone(), &outgoing).await?;
            place = self.place(&place, &taken)?;
        }
        let part = last.filter(|_| !before.is_empty()).cloned();
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        let outgoing = Outgoing { part, ..Outgoing::new(OCTETS, upload) };
        let done = self.ask(Method::PUT, place, &outgoing).await?;
        if done.status != StatusCode::CREATED {
            let told = format!("{} instead of 201 Created", done.status);
            return Err(self.registry.transport().wrong(&self.what, &told).into());
        }
        Ok(self.registry.same_claimed(&self.what, digest, &done)?)
    }

    /// Where the session goes on: in the registry itself, since what is sent is signed.
    fn place(&self, asked: &Url, answer: &Answer) -> Result<Url, Error> {
        let transport = self.registry.transport();
        let place = answer.header(LOCATION.as_str()).and_then(|place| asked.join(place).ok());
        let place = place.ok_or_else(|| transport.wrong(&self.what, "it does not say where to push"))?;
        if !transport.origin().owns(&place) {
            let (host, what) = (self.registry.host().to_owned(), self.what.clone());
            let (target, why) = (super::origin::shown(&place), "what is pushed goes to the registry itself");
            return Err(Error::Refused { host, what, target, why });
        }
        Ok(place)
    }

    /// One request of a session, tried once: a part that was half taken cannot be sent again, only the whole.
    async fn ask(&self, method: Method, url: Url, body: &Outgoing<'_>) -> Result<Answer, Trouble> {
        let request = Request { method, body: Some(body), ..Request::get(&self.what, url, &self.scope) };
        match self.registry.transport().get_once(&request, ANSWER_CAP).await {
            // The session is gone.
            Err(Trouble::Lasting(error @ Error::NotFound { .. })) => Err(Trouble::Passing(error, None)),
            other => other,
        }
    }
}

/// The parts in which so many bytes are sent.
fn parts(size: u64, part: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut start = 0;
    while start < size {
        let end = start.saturating_add(part).min(size);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// What a token must allow to push there.
fn push_scope(path: &str) -> String {
    format!("repository:{path}:pull,push")
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn parts_cover_every_byte_once(size in 0_u64..10_000, part in 1_u64..3_000) {
            let parts = parts(size, part);
            let mut at = 0;
            for range in &parts {
                proptest::prop_assert!(range.start == at && range.end > at && range.end - at <= part);
                at = range.end;
            }
            proptest::prop_assert_eq!(at, size);
        }
    }
}
