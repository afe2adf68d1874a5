//! Blobs, streamed: layers are larger than memory should be.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use std::sync::Arc;

use super::Error;
use super::client::{Registry, scope};
use super::manifest::Descriptor;
use super::transport::{Request, Transport};
use crate::reference::Digest;

/// A blob's bytes as they come, not verified: whoever reads them hashes them.
pub struct BlobStream {
    transport: Arc<Transport>,
    what: String,
    response: Response,
    offset: u64,
    at: u64,
    end: u64,
}

impl Registry {
    /// A blob's bytes, or those of a range of it, as they come (`GET /v2/<name>/blobs/<digest>`). No more than the
    /// descriptor says; a body that stands still for the time limit ends it. They are *not verified*.
    ///
    /// A registry may ignore the range: [`BlobStream::offset`] says where the body begins.
    pub async fn blob(&self, path: &str, blob: &Descriptor, range: Option<Range<u64>>) -> Result<BlobStream, Error> {
        let what = format!("blob {} of {}", blob.digest.short(), self.checked(path)?);
        let range = range.filter(|range| range.start < range.end && range.end <= blob.size);
        let url = self.transport.origin().url(&format!("/v2/{path}/blobs/{}", blob.digest));
        let scope = scope(path);
        let request = Request { redirects: true, range: range.clone(), ..Request::get(&what, url, &scope) };
        let response = self.transport.open(&request).await?;
        let part = match (range, response.status()) {
            (Some(range), StatusCode::PARTIAL_CONTENT) => {
                let told = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
                if !told.is_some_and(|told| told.starts_with(&format!("bytes {}-{}/", range.start, range.end - 1))) {
                    return Err(self.transport.wrong(&what, "it sends another range than the one that was asked for"));
                }
                range
            }
            _ => 0..blob.size,
        };
        let transport = self.transport.clone();
        Ok(BlobStream { transport, what, response, offset: part.start, at: part.start, end: part.end })
    }

    /// A small blob, whole and verified.
    pub async fn small_blob(&self, path: &str, digest: &Digest, cap: u64) -> Result<Vec<u8>, Error> {
        let what = format!("blob {} of {}", digest.short(), self.checked(path)?);
        let url = self.transport.origin().url(&format!("/v2/{path}/blobs/{digest}"));
        let scope = scope(path);
        let request = Request { redirects: true, ..Request::get(&what, url, &scope) };
        let answer = self.transport.get(&request, cap).await?;
        self.same(&what, digest.clone(), &Digest::of(&answer.body))?;
        Ok(answer.body)
    }
}

impl BlobStream {
    /// Where in the blob the body begins: the range's start, or 0 where the registry ignored the range.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; none at the end, which is where the descriptor or the range says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let host = || self.transport.origin().host().to_owned();
        let limit: Duration = self.transport.limit();
        let Ok(read) = tokio::time::timeout(limit, self.response.chunk()).await else {
            return Err(Error::TimedOut { host: host(), what: self.what.clone(), limit });
        };
        match read.map_err(|error| self.transport.unreachable(error))? {
            Some(bytes) if bytes.len() as u64 > self.end - self.at => {
                Err(Error::TooLarge { host: host(), what: self.what.clone(), cap: self.end - self.offset })
            }
            Some(bytes) => {
                self.at += bytes.len() as u64;
                Ok(Some(bytes))
            }
            None if self.at < self.end => Err(Error::Truncated {
                host: host(),
                what: self.what.clone(),
                received: self.at - self.offset,
                expected: self.end - self.offset,
            }),
            None => Ok(None),
        }
    }
}
