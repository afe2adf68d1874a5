//! A blob of the store while it is read: hashed on the way, and thrown away where it is not what its name says.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::reference::Digest;

/// A blob that is read from its beginning to its end. What was read is proven only once the end was reached without an
/// error: whoever stops before calls [`Verified::finish`].
pub struct Verified {
    file: File,
    path: PathBuf,
    expected: Digest,
    /// None once the end was reached, and the digest compared.
    hasher: Option<Sha256>,
}

impl Verified {
    pub(super) fn new(file: File, path: PathBuf, expected: Digest) -> Self {
        Self { file, path, expected, hasher: Some(Sha256::new()) }
    }

    /// Reads what is left, for the digest's sake.
    pub fn finish(mut self) -> Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.file.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
        } else if !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
            && Digest::from_hash(&hasher.finalize()) != self.expected
        {
            let _ = std::fs::remove_file(&self.path);
            let text =
                format!("the cached blob {} was damaged on the disk; it is fetched again next time", self.expected);
            return Err(Error::new(ErrorKind::InvalidData, text));
        }
        Ok(count)
    }
}
