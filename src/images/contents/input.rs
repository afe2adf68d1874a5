//! A blob's bytes on their way to whoever unpacks them: hashed and counted, so that in the end it is known what they were.

use std::io::{BufRead, Read};

use bytes::{Buf, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::Broken;
use crate::reference::Digest;
use crate::registry::Descriptor;

/// The bytes of one blob.
pub struct Input<'a> {
    source: Box<dyn FnMut() -> Result<Option<Bytes>, Broken> + 'a>,
    chunk: Bytes,
    hash: Sha256,
    size: u64,
    seen: u64,
    /// Why there are no more bytes. Decoders wrap what they are told, so it is kept here.
    broken: Option<Broken>,
}

impl<'a> Input<'a> {
    /// A blob that should have this size, read by `source` piece by piece.
    pub fn new(size: u64, source: impl FnMut() -> Result<Option<Bytes>, Broken> + 'a) -> Self {
        let (chunk, hash) = (Bytes::new(), Sha256::new());
        Self { source: Box::new(source), chunk, hash, size, seen: 0, broken: None }
    }

    /// The next piece of the source, hashed; empty at the end.
    fn pull(&mut self) -> std::io::Result<Bytes> {
        if self.broken.is_some() {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let next = match (self.source)() {
            Ok(next) => next.unwrap_or_default(),
            Err(broken) => {
                self.broken = Some(broken);
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
        };
        self.seen += next.len() as u64;
        if self.seen > self.size {
            self.broken = Some(Broken::Size { received: self.seen });
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.hash.update(&next);
        Ok(next)
    }

    /// The first bytes, which stay to be read: up to four of them.
    pub fn begins(&mut self) -> std::io::Result<[u8; 4]> {
        while self.chunk.len() < 4 {
            let next = self.pull()?;
            if next.is_empty() {
                break;
            }
            let mut joined = BytesMut::from(&self.chunk[..]);
            joined.extend_from_slice(&next);
            self.chunk = joined.freeze();
        }
        let mut first = [0; 4];
        let length = self.chunk.len().min(4);
        first[..length].copy_from_slice(&self.chunk[..length]);
        Ok(first)
    }

    /// Reads what is left, and tells whether all of it was the blob.
    pub fn finish(mut self, blob: &Descriptor) -> Result<(), Broken> {
        loop {
            match self.pull() {
                Ok(next) if next.is_empty() => break,
                Ok(_) => {}
                Err(_) => return Err(self.broken.take().unwrap_or(Broken::Size { received: self.seen })),
            }
        }
        if self.seen != self.size {
            return Err(Broken::Size { received: self.seen });
        }
        let received = Digest::from_hash(&self.hash.finalize());
        if received == blob.digest { Ok(()) } else { Err(Broken::Digest { received }) }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        super::read_buffered(self, buffer)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.pull()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        self.chunk.advance(count);
    }
}
