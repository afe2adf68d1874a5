//! Bytes of a stream, with a look ahead.

use std::io::{self, Read};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A stream that can be looked into before it is taken.
pub struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Input<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), at: 0, ended: false }
    }

    /// At least so many bytes, or all that are left.
    pub fn ahead(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.at < count && !self.ended {
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            let held = self.buffer.len();
            self.buffer.resize(held + CHUNK.max(count), 0);
            let read = loop {
                match self.reader.read(&mut self.buffer[held..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            let read = read.inspect_err(|_| self.buffer.truncate(held))?;
            self.buffer.truncate(held + read);
            self.ended = read == 0;
        }
        Ok(&self.buffer[self.at..])
    }

    /// The byte after so many, if there is one.
    pub fn peek(&mut self, after: usize) -> io::Result<Option<u8>> {
        if let Some(byte) = self.buffer.get(self.at + after) {
            return Ok(Some(*byte));
        }
        Ok(self.ahead(after + 1)?.get(after).copied())
    }

    /// Takes a byte.
    pub fn take(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek(0)?;
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }
}
