//! Fetching what is missing of a blob: several ranges at once, each going on where it broke off, hashed as they arrive.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::Error;
use super::partial::Partial;
use crate::error::{Class, Fault};
use crate::reference::Digest;
use crate::registry::{self, BlobStream, Descriptor, Registry};
use crate::task::blocking;

/// How many bytes one request asks for. Many connections and a long way to the registry want it large, a blob that is
/// to be shared among the connections small.
const PIECE: u64 = 4 * 1024 * 1024;
/// How many bytes are written, and noted in the journal, at once.
const WRITE: usize = 512 * 1024;
/// How many bytes are hashed without a break.
const HASH: u64 = 4 * 1024 * 1024;
/// How often a range that brings nothing new is asked for again, and the pauses between.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// What a try must bring for the next failure to count as the first one.
const PROGRESS: u64 = 64 * 1024;

/// One blob under way.
pub struct Download<'a> {
    pub registry: &'a Registry,
    /// The repository's path.
    pub path: &'a str,
    pub blob: &'a Descriptor,
    pub partial: &'a Arc<Partial>,
    /// How many requests may be under way for all blobs together.
    pub connections: &'a Semaphore,
    /// Told of every byte that is new.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl Download<'_> {
    /// Fetches what is missing; the digest of the whole.
    pub async fn run(&self) -> Result<Digest, Error> {
        let (digest, ()) = futures_util::future::try_join(self.hash(), self.fetch()).await?;
        Ok(digest)
    }

    async fn fetch(&self) -> Result<(), Error> {
        let mut pieces = self.partial.missing(PIECE);
        // Any range but the first tells whether the registry heeds ranges.
        if let Some(at) = pieces.iter().position(|piece| piece.start > 0) {
            let piece = pieces.remove(at);
            let _permit = self.connections.acquire().await.expect("never closed");
            let stream = self.open(&piece).await?;
            if stream.offset() != piece.start {
                return self.whole(stream).await;
            }
            self.piece(piece, Some(stream)).await?;
        }
        let fetches = stream::iter(pieces).map(|piece| async move {
            let _permit = self.connections.acquire().await.expect("never closed");
            self.piece(piece, None).await
        });
        fetches.buffer_unordered(super::CONNECTIONS).try_collect().await
    }

    async fn open(&self, range: &Range<u64>) -> Result<BlobStream, registry::Error> {
        // A whole blob is asked for as such: nothing that stands between would have to know ranges.
        let range = (*range != (0..self.blob.size)).then(|| range.clone());
        self.registry.blob(self.path, self.blob, range).await
    }

    /// Fetches a range, going on where a connection breaks.
    async fn piece(&self, piece: Range<u64>, mut open: Option<BlobStream>) -> Result<(), Error> {
        let (mut at, mut pauses) = (piece.start, PAUSES.iter());
        while at < piece.end {
            let before = at;
            let outcome = match open.take() {
                Some(stream) => self.take(stream, &mut at, piece.end).await,
                None => match self.open(&(at..piece.end)).await {
                    Ok(stream) if stream.offset() == at => self.take(stream, &mut at, piece.end).await,
                    Ok(_) => return Err(self.wrong("it heeds some ranges and others not").into()),
                    Err(error) => Err(error.into()),
                },
            };
            if at - before >= PROGRESS {
                pauses = PAUSES.iter();
            }
            self.failed(outcome, &mut pauses).await?;
        }
        Ok(())
    }

    /// Fetches all of it in one stream, from a registry that does not heed ranges.
    async fn whole(&self, stream: BlobStream) -> Result<(), Error> {
        let (mut open, mut pauses) = (Some(stream), PAUSES.iter());
        while self.partial.len() < self.blob.size {
            let before = self.partial.len();
            let mut at = 0;
            let outcome = match open.take() {
                Some(stream) => self.take(stream, &mut at, self.blob.size).await,
                None => match self.registry.blob(self.path, self.blob, None).await {
                    Ok(stream) => self.take(stream, &mut at, self.blob.size).await,
                    Err(error) => Err(error.into()),
                },
            };
            if self.partial.len() - before >= PROGRESS {
                pauses = PAUSES.iter();
            }
            self.failed(outcome, &mut pauses).await?;
        }
        Ok(())
    }

    /// Waits before the next try, or gives up: where another try changes nothing, or the last one has failed.
    async fn failed(
        &self,
        outcome: Result<(), Error>,
        pauses: &mut std::slice::Iter<'_, Duration>,
    ) -> Result<(), Error> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Error::Registry(error)) if error.class() == Class::Net => {
                // Whoever waited for the whole time limit does not wait for it five times.
                let skipped = if matches!(error, registry::Error::TimedOut { .. } | registry::Error::Stalled { .. }) {
                    2
                } else {
                    0
                };
                let Some(pause) = pauses.nth(skipped) else { return Err(error.into()) };
                tokio::time::sleep(*pause).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a stream's bytes from `at` on, and no more than up to `end`.
    async fn take(&self, mut stream: BlobStream, at: &mut u64, end: u64) -> Result<(), Error> {
        let mut held: Vec<Bytes> = Vec::new();
        let mut count = 0;
        loop {
            let left = usize::try_from(end - *at).unwrap_or(usize::MAX).saturating_sub(count);
            let next = if left == 0 { Ok(None) } else { stream.next().await };
            let more = match &next {
                Ok(Some(bytes)) => {
                    let bytes = bytes.slice(..bytes.len().min(left));
                    count += bytes.len();
                    held.push(bytes);
                    true
                }
                _ => false,
            };
            if count >= WRITE || !more {
                let (partial, offset, chunks) = (self.partial.clone(), *at, std::mem::take(&mut held));
                (self.progress)(blocking(move || partial.write(offset, &chunks)).await?);
                *at += count as u64;
                count = 0;
            }
            match next {
                Err(error) => return Err(error.into()),
                Ok(None) if *at < end => return Err(self.wrong("it ends before its size is reached").into()),
                Ok(None) => return Ok(()),
                Ok(Some(_)) => {}
            }
        }
    }

    /// Hashes the blob from its beginning, as far as it is here, until it is whole.
    async fn hash(&self) -> Result<Digest, Error> {
        let (mut hasher, mut at) = (Sha256::new(), 0);
        while at < self.blob.size {
            let end = self.partial.prefix(at).await.min(at + HASH);
            let partial = self.partial.clone();
            hasher = blocking(move || {
                let mut buffer = vec![0; 256 * 1024];
                while at < end {
                    let count = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
                    partial.read(&mut buffer[..count], at)?;
                    hasher.update(&buffer[..count]);
                    at += count as u64;
                }
                Ok::<_, Error>(hasher)
            })
            .await?;
            at = end;
        }
        Ok(Digest::from_hash(&hasher.finalize()))
    }

    fn wrong(&self, detail: &str) -> registry::Error {
        registry::Error::Protocol {
            host: self.registry.host().to_owned(),
            what: format!("blob {} of {}", self.blob.digest.short(), self.path),
            detail: detail.to_owned(),
        }
    }
}
