//! Blobs, streamed: layers are larger than memory should be. A stream that breaks goes on where it was.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use super::Error;
use super::client::Registry;
use super::manifest::Descriptor;
use super::retry::{Tries, Trouble};
use super::source::{Mirror, Source};
use super::transport::{Request, Transport};
use crate::reference::Digest;

/// How long a body may stand still, at most.
const STALL: Duration = Duration::from_secs(30);
/// How often one stream goes on after it broke, however much came in between.
const RESUMES: usize = 20;

/// A blob's bytes as they come, not verified: whoever reads them hashes them.
///
/// A connection that breaks or stands still is made again for the rest, and a mirror that fails is left for the registry.
pub struct BlobStream {
    own: Source,
    mirror: Option<Arc<Mirror>>,
    blob: Blob,
    body: Body,
    /// Where the stream began and where it is; the body may still be before it.
    offset: u64,
    at: u64,
    end: u64,
    ended: bool,
    stalled: bool,
    resumes: usize,
    tries: Tries,
}

/// Which blob.
struct Blob {
    what: String,
    path: String,
    digest: Digest,
    size: u64,
}

/// The body of one answer.
struct Body {
    transport: Arc<Transport>,
    /// Where in the blob it begins and ends.
    part: Range<u64>,
    response: Response,
}

impl Registry {
    /// A blob's bytes, or those of a range of it, as they come (`GET /v2/<name>/blobs/<digest>`). No more than the
    /// descriptor says; a body that stands still for the time limit, or 30 s, ends it. They are *not verified*.
    ///
    /// A registry may ignore the range: [`BlobStream::offset`] says where the body begins.
    pub async fn blob(&self, path: &str, blob: &Descriptor, range: Option<Range<u64>>) -> Result<BlobStream, Error> {
        let what = format!("blob {} of {}", blob.digest.short(), self.checked(path)?);
        let range = range.filter(|range| range.start < range.end && range.end <= blob.size);
        let blob = Blob { what, path: path.to_owned(), digest: blob.digest.clone(), size: blob.size };
        let (mut used, mut body) = (None, None);
        if let Some((mirror, source)) = self.mirrored(|_| true) {
            match blob.open(source, range.clone()).await {
                Ok(opened) => (used, body) = (Some(mirror.clone()), Some(opened)),
                Err(error) => mirror.failed(&error, self.transport()),
            }
        }
        let body = match body {
            Some(body) => body,
            None => blob.open(&self.own, range).await?,
        };
        let (offset, end) = (body.part.start, body.part.end);
        let (own, tries) = (self.own.clone(), Tries::default());
        Ok(BlobStream {
            own,
            mirror: used,
            blob,
            body,
            offset,
            at: offset,
            end,
            ended: false,
            stalled: false,
            resumes: 0,
            tries,
        })
    }

    /// A small blob, whole and verified.
    pub async fn small_blob(&self, path: &str, digest: &Digest, cap: u64) -> Result<Vec<u8>, Error> {
        let what = format!("blob {} of {}", digest.short(), self.checked(path)?);
        if let Some((mirror, source)) = self.mirrored(|_| true) {
            match whole(source, &what, path, digest, cap).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => mirror.failed(&error, self.transport()),
            }
        }
        whole(&self.own, &what, path, digest, cap).await
    }
}

async fn whole(source: &Source, what: &str, path: &str, digest: &Digest, cap: u64) -> Result<Vec<u8>, Error> {
    let (url, scope) = (source.url(path, &format!("blobs/{digest}")), source.scope(path));
    let request = Request { redirects: true, ..Request::get(what, url, &scope) };
    let answer = source.transport.get(&request, cap).await?;
    source.transport.same(what, digest, &Digest::of(&answer.body))?;
    Ok(answer.body)
}

impl Blob {
    /// Asks a source for it, or for a range of it.
    async fn open(&self, source: &Source, range: Option<Range<u64>>) -> Result<Body, Error> {
        let transport = source.transport.clone();
        let (url, scope) = (source.url(&self.path, &format!("blobs/{}", self.digest)), source.scope(&self.path));
        let request = Request { redirects: true, range: range.clone(), ..Request::get(&self.what, url, &scope) };
        let response = transport.open(&request).await?;
        let part = match (range, response.status()) {
            (Some(range), StatusCode::PARTIAL_CONTENT) => {
                let told = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or("");
                if !is_range(told, &range, self.size) {
                    let told = format!("it sends the range `{told}` for bytes {}-{}", range.start, range.end - 1);
                    return Err(transport.wrong(&self.what, &told));
                }
                range
            }
            (_, StatusCode::OK) => 0..self.size,
            (_, status) => return Err(transport.wrong(&self.what, &format!("{status} instead of its bytes"))),
        };
        let expected = part.end - part.start;
        match response.content_length() {
            Some(length) if length > expected => Err(self.too_large(&transport, expected)),
            _ => Ok(Body { transport, part, response }),
        }
    }

    fn too_large(&self, transport: &Transport, cap: u64) -> Error {
        Error::TooLarge { host: transport.origin().host().to_owned(), what: self.what.clone(), cap }
    }
}

/// Whether a `Content-Range` is the range that was asked for, of a blob of this size.
fn is_range(told: &str, asked: &Range<u64>, size: u64) -> bool {
    let Some((range, whole)) = told.strip_prefix("bytes ").and_then(|told| told.split_once('/')) else { return false };
    range == format!("{}-{}", asked.start, asked.end - 1) && (whole == "*" || whole == size.to_string())
}

impl BlobStream {
    /// Where in the blob the stream begins: the range's start, or 0 where the registry ignored the range.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; none at the end, which is where the descriptor or the range says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.read().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    (self.tries, self.stalled) = (Tries::default(), false);
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Reads on; what lies before the place where the stream is, is skipped.
    async fn read(&mut self) -> Result<Option<Bytes>, Error> {
        if self.at == self.end && self.ended {
            return Ok(None);
        }
        let Body { transport, part, response } = &mut self.body;
        let host = || transport.origin().host().to_owned();
        let limit = transport.limit().min(STALL);
        let Ok(read) = tokio::time::timeout(limit, response.chunk()).await else {
            return Err(Error::Stalled {
                host: host(),
                what: self.blob.what.clone(),
                at: self.at,
                size: self.end,
                limit,
            });
        };
        let Some(mut bytes) = read.map_err(|error| transport.unreachable(&self.blob.what, error))? else {
            // Without an error it is the server's opinion that this was all.
            if self.at == self.end {
                return Ok(None);
            }
            let (received, expected) = (self.at - self.offset, self.end - self.offset);
            return Err(Error::Truncated { host: host(), what: self.blob.what.clone(), received, expected });
        };
        if bytes.len() as u64 > part.end - part.start {
            return Err(self.blob.too_large(transport, self.end - self.offset));
        }
        let skipped = self.at.saturating_sub(part.start).min(bytes.len() as u64);
        part.start += bytes.len() as u64;
        let bytes = bytes.split_off(usize::try_from(skipped).unwrap_or(bytes.len()));
        self.at += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// Opens the rest anew after an error that may pass.
    async fn resume(&mut self, error: Error) -> Result<(), Error> {
        // Whoever waited twice for the whole limit, with nothing in between, does not wait for it again.
        let passing = match error {
            Error::Unreachable { .. } => true,
            Error::Stalled { .. } => !std::mem::replace(&mut self.stalled, true),
            _ => false,
        };
        if let Some(mirror) = self.mirror.take() {
            mirror.failed(&error, &self.own.transport);
        } else if !passing || self.resumes >= RESUMES {
            return Err(error);
        } else {
            self.resumes += 1;
            self.tries.pause(Trouble::Passing(error, None)).await?;
        }
        // Nothing more can be asked for where everything is here and only the end was not heard.
        self.ended = self.at == self.end;
        if !self.ended {
            self.body = self.blob.open(&self.own, Some(self.at..self.end)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_is_it() {
        for (told, is) in [
            ("bytes 5-9/20", true),
            ("bytes 5-9/*", true),
            ("bytes 5-9/21", false),
            ("bytes 5-8/20", false),
            ("bytes 4-9/20", false),
            ("bytes 05-9/20", false),
            ("items 5-9/20", false),
            ("bytes */20", false),
            ("", false),
        ] {
            assert_eq!(is_range(told, &(5..10), 20), is, "{told}");
        }
    }
}
