//! A file's bytes, in memory or on the disk: a tree of many files costs their paths, and no more.

use std::fmt;
use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::reference::Digest;

/// A file's bytes. Copies are one and the same; those on the disk are read whenever they are asked for.
#[derive(Clone)]
pub struct Contents(Place);

/// A tree of many files has one of these each, on the disk: it is as small as it can be.
#[derive(Clone)]
enum Place {
    Memory(Arc<Held>),
    /// A part of a file that onramp wrote and nobody writes again.
    Disk {
        file: Arc<File>,
        at: u64,
        length: usize,
    },
}

struct Held {
    bytes: Bytes,
    /// What stands for them, once somebody asked.
    hash: OnceLock<FileDigest>,
}

impl Contents {
    /// A part of a file that nobody writes any more.
    pub(crate) fn on_disk(file: &Arc<File>, at: u64, length: usize) -> Self {
        Self(Place::Disk { file: Arc::clone(file), at, length })
    }

    /// Leaves them to a file that holds them there and that nobody writes any more. Those that others have, too, stay where
    /// they are.
    pub(crate) fn settle(&mut self, file: &Arc<File>, at: u64) {
        let alone = match &mut self.0 {
            Place::Memory(held) => Arc::get_mut(held).is_some(),
            Place::Disk { .. } => true,
        };
        if alone {
            *self = Self::on_disk(file, at, self.len());
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Place::Memory(held) => held.bytes.len(),
            Place::Disk { length, .. } => *length,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes. They are as safe as memory that was swapped out: where the disk cannot give back what onramp wrote there,
    /// nothing can go on.
    pub fn bytes(&self) -> Bytes {
        match &self.0 {
            Place::Memory(held) => held.bytes.clone(),
            Place::Disk { file, at, length } => {
                let mut bytes = vec![0; *length];
                let read = file.read_exact_at(&mut bytes, *at);
                read.unwrap_or_else(|error| panic!("what onramp wrote on the disk cannot be read again: {error}"));
                bytes.into()
            }
        }
    }

    /// The text, if they are UTF-8.
    pub fn text(&self) -> Option<Text> {
        Text::new(self.bytes())
    }

    /// The digest of a plain file that holds them. Of those in memory it is made once.
    pub fn digest(&self) -> FileDigest {
        match &self.0 {
            Place::Memory(held) => *held.hash.get_or_init(|| FileDigest::of_plain(&held.bytes)),
            Place::Disk { .. } => FileDigest::of_plain(&self.bytes()),
        }
    }

    fn in_memory(&self) -> Option<&Bytes> {
        match &self.0 {
            Place::Memory(held) => Some(&held.bytes),
            Place::Disk { .. } => None,
        }
    }

    /// Whether the two are in one place.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Memory(one), Place::Memory(other)) => Arc::ptr_eq(one, other),
            (Place::Disk { file: one, at, .. }, Place::Disk { file: other, at: there, .. }) => {
                Arc::ptr_eq(one, other) && at == there
            }
            _ => false,
        }
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (self.is_same(other) || self.bytes() == other.bytes())
    }
}

impl Eq for Contents {}

impl Default for Contents {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

impl From<Bytes> for Contents {
    fn from(bytes: Bytes) -> Self {
        Self(Place::Memory(Arc::new(Held { bytes, hash: OnceLock::new() })))
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Contents {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Contents {
    fn from(text: &'static str) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static [u8]> for Contents {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from(bytes).into()
    }
}

/// The digest of what stands at a path, kind and bytes: written as a [`Digest`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "Digest", into = "Digest")]
pub struct FileDigest([u8; 32]);

impl FileDigest {
    pub(super) fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Of a file that is not to be run.
    fn of_plain(bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("file {} \0", bytes.len()));
        hash.update(bytes);
        Self(hash.finalize().into())
    }
}

impl From<FileDigest> for Digest {
    fn from(digest: FileDigest) -> Self {
        Self::from_hash(&digest.0)
    }
}

impl From<Digest> for FileDigest {
    fn from(digest: Digest) -> Self {
        Self(digest.bytes())
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest::from(*self).fmt(f)
    }
}

/// A file's bytes that are UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    fn new(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        (*text).to_owned()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was when it was made")
    }
}

/// Where the contents of a tree in the making go: the first few stay in memory, what is more goes to the disk, into a file
/// that has no name and is gone with the last of them.
#[derive(Default)]
pub struct Spool {
    in_memory: usize,
    on_disk: Option<(Arc<File>, u64)>,
}

impl Spool {
    /// How many bytes of one tree stay in memory.
    pub const ROOM: usize = 4 * 1024 * 1024;

    /// The same contents, where they shall be. What no disk takes stays in memory.
    pub fn keep(&mut self, contents: impl Into<Contents>) -> Contents {
        let contents = contents.into();
        let Some(bytes) = contents.in_memory() else { return contents };
        if self.in_memory + bytes.len() <= Self::ROOM {
            self.in_memory += bytes.len();
            return contents;
        }
        self.write(bytes).unwrap_or(contents)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<Contents> {
        let (file, end) = match self.on_disk.take() {
            Some(open) => open,
            None => (Arc::new(tempfile::tempfile()?), 0),
        };
        let written = file.write_all_at(bytes, end);
        let kept = Contents::on_disk(&file, end, bytes.len());
        self.on_disk = Some((file, end + if written.is_ok() { bytes.len() as u64 } else { 0 }));
        written.map(|()| kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_disk_is_what_it_was() {
        let mut spool = Spool::default();
        let large = |byte: u8| Contents::from(vec![byte; Spool::ROOM / 2 + 1]);
        let kept: Vec<Contents> = (1..5).map(|byte| spool.keep(large(byte))).collect();
        let in_memory: Vec<bool> = kept.iter().map(|contents| contents.in_memory().is_some()).collect();
        assert_eq!(in_memory, [true, false, false, false]);
        for (byte, contents) in (1..5).zip(&kept) {
            assert_eq!(contents.bytes(), large(byte).bytes());
            assert_eq!((contents, contents.len()), (&large(byte), Spool::ROOM / 2 + 1));
            assert_ne!(contents, &large(9));
            assert_eq!(contents.digest(), large(byte).digest());
        }
        assert_eq!(spool.keep("ü").text().as_deref(), Some("ü"));
        assert_eq!(spool.keep(vec![0xff]).text(), None);
        drop(spool);
        assert_eq!(kept[3].bytes(), large(4).bytes(), "it is there as long as somebody has it");
    }

    proptest::proptest! {
        #[test]
        fn equal_is_what_has_equal_bytes(one: Vec<u8>, other: Vec<u8>) {
            let mut spool = Spool { in_memory: Spool::ROOM, on_disk: None };
            let same = one == other;
            let (one, other) = (Contents::from(one), Contents::from(other));
            let kept = (spool.keep(one.clone()), spool.keep(other.clone()));
            for (one, other) in [(&one, &other), (&kept.0, &other), (&one, &kept.1), (&kept.0, &kept.1)] {
                proptest::prop_assert_eq!(one == other, same);
            }
            proptest::prop_assert_eq!(&kept.0, &one);
        }
    }
}
