//! A blob that is not whole yet: its file, and a journal of the ranges that are in it.
//!
//! A killed process leaves both, and the next one goes on there. The journal is not synced: after a power cut it may name
//! bytes that never reached the disk, which the digest over the whole finds.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tokio::sync::Notify;

use super::ranges::Ranges;
use crate::files::{self, FileError};
use crate::turn::Lock;

/// The largest journal that is read, in bytes: that of a blob of hundreds of GB.
const JOURNAL_CAP: u64 = 16 * 1024 * 1024;

/// A blob that is being fetched, by this process alone.
pub struct Partial {
    path: PathBuf,
    journal_path: PathBuf,
    file: File,
    size: u64,
    state: Mutex<State>,
    /// Told whenever there are more bytes.
    grown: Notify,
    /// Whether an earlier process left some of it.
    resumed: bool,
    #[expect(dead_code, reason = "dropping it lets others have the blob")]
    lock: Lock,
}

struct State {
    here: Ranges,
    journal: File,
}

impl Partial {
    /// Takes the blob at `path` for this process; none where another one is at it.
    pub fn claim(path: &Path, size: u64) -> Result<Option<Self>, FileError> {
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
            file.map_err(FileError::io("write", path))
        };
        let file = open()?;
        let own = file.try_clone().map_err(FileError::io("open", path))?;
        let lock = match Lock::take(own) {
            Ok(lock) => lock,
            Err((_, TryLockError::WouldBlock)) => return Ok(None),
            Err((_, TryLockError::Error(error))) => return Err(FileError::io("lock", path)(error)),
        };
        // Whoever had it before may have made it visible, or thrown it away, since it was opened.
        if !is_at(&file, path).map_err(FileError::io("read", path))? {
            return Ok(None);
        }
        let journal_path = path.with_extension("journal");
        let head = head(size);
        // A journal without the bytes that it is about says nothing.
        let whole = file.metadata().map_err(FileError::io("read", path))?.len() == size;
        let here = if whole { read_journal(&journal_path, &head, size)? } else { Ranges::default() };
        let resumed = here.len() > 0;
        if !resumed {
            std::fs::write(&journal_path, &head).map_err(FileError::io("write", &journal_path))?;
        }
        reserve(&file, size).map_err(FileError::io("write", path))?;
        let journal = OpenOptions::new().append(true).open(&journal_path);
        let journal = journal.map_err(FileError::io("write", &journal_path))?;
        let (state, grown) = (Mutex::new(State { here, journal }), Notify::new());
        Ok(Some(Self { path: path.to_owned(), journal_path, file, size, state, grown, resumed, lock }))
    }

    /// How many bytes of a blob are here, whoever is at it.
    pub fn peek(path: &Path, size: u64) -> u64 {
        read_journal(&path.with_extension("journal"), &head(size), size).map_or(0, |here| here.len())
    }

    /// Whether an earlier process left some of it.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// How many bytes are here.
    pub fn len(&self) -> u64 {
        self.state.lock().expect("no panic while held").here.len()
    }

    /// What is missing, in pieces.
    pub fn missing(&self, piece: u64) -> Vec<Range<u64>> {
        self.state.lock().expect("no panic while held").here.missing(self.size, piece)
    }

    /// Writes bytes, then says in the journal that they are here; how many of them are new.
    pub fn write(&self, offset: u64, chunks: &[Bytes]) -> Result<u64, FileError> {
        let mut at = offset;
        for chunk in chunks {
            self.file.write_all_at(chunk, at).map_err(FileError::io("write", &self.path))?;
            at += chunk.len() as u64;
        }
        let mut state = self.state.lock().expect("no panic while held");
        let fresh = state.here.add(offset..at);
        let line = format!("{offset} {}\n", at - offset);
        state.journal.write_all(line.as_bytes()).map_err(FileError::io("write", &self.journal_path))?;
        drop(state);
        self.grown.notify_one();
        Ok(fresh)
    }

    /// Waits until more than the first `known` bytes are here; how many are.
    pub async fn prefix(&self, known: u64) -> u64 {
        loop {
            let prefix = self.state.lock().expect("no panic while held").here.prefix();
            if prefix > known || prefix == self.size {
                return prefix;
            }
            self.grown.notified().await;
        }
    }

    /// Reads bytes that are here.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), FileError> {
        self.file.read_exact_at(buffer, offset).map_err(FileError::io("read", &self.path))
    }

    /// Makes the blob visible, once it is verified.
    pub fn publish(&self, to: &Path) -> Result<(), FileError> {
        std::fs::rename(&self.path, to).map_err(FileError::io("write", to))?;
        let _ = std::fs::remove_file(&self.journal_path);
        Ok(())
    }

    /// Throws away what is here.
    pub fn discard(&self) {
        discard(&self.path);
    }
}

/// How the journal of a blob of this size begins.
fn head(size: u64) -> String {
    format!("onramp 1 {size}\n")
}

/// Throws away a partial blob. Whoever does must have its lock.
pub fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(path.with_extension("journal"));
}

/// Whether an open file is the one that has this name now.
pub fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let named = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let own = file.metadata()?;
    Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
}

/// Takes the room on the disk now, so that a full one is told before anything is fetched.
fn reserve(file: &File, size: u64) -> std::io::Result<()> {
    if file.metadata()?.len() != size {
        file.set_len(size)?;
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The ranges that a journal names. One that is about another size, or of another form, says nothing; a line that was
/// being written when its process died neither.
fn read_journal(path: &Path, head: &str, size: u64) -> Result<Ranges, FileError> {
    let text = match files::read_text(path, JOURNAL_CAP) {
        Ok(text) => text,
        Err(FileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => String::new(),
        Err(error @ FileError::Io { .. }) => return Err(error),
        Err(_) => String::new(),
    };
    let mut ranges = Ranges::default();
    let Some(lines) = text.strip_prefix(head) else { return Ok(ranges) };
    let whole = lines.rfind('\n').map_or("", |end| &lines[..end]);
    for line in whole.lines() {
        let range = line.split_once(' ').and_then(|(offset, length)| {
            let (offset, length): (u64, u64) = (offset.parse().ok()?, length.parse().ok()?);
            Some(offset..offset.checked_add(length).filter(|end| *end <= size)?)
        });
        let Some(range) = range else { return Ok(Ranges::default()) };
        ranges.add(range);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_next_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.part");
        let first = Partial::claim(&path, 10).unwrap().unwrap();
        assert!(Partial::claim(&path, 10).unwrap().is_none());
        assert_eq!(first.write(2, &[Bytes::from_static(b"cd"), Bytes::from_static(b"ef")]).unwrap(), 4);
        drop(first);
        let second = Partial::claim(&path, 10).unwrap().unwrap();
        assert!(second.resumed());
        assert_eq!((second.len(), second.missing(100)), (4, vec![0..2, 6..10]));
        let mut bytes = [0; 4];
        second.read(&mut bytes, 2).unwrap();
        assert_eq!(&bytes, b"cdef");
        drop(second);
        let other = Partial::claim(&path, 11).unwrap().unwrap();
        assert!(!other.resumed(), "of another size, it is another blob");
    }

    #[test]
    fn a_line_that_was_cut_off_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let head = "onramp 1 100\n";
        for (text, expected) in [
            ("onramp 1 100\n0 10\n20 1", 10),
            ("onramp 1 100\n0 10\n20 10\n", 20),
            ("onramp 1 101\n0 10\n", 0),
            ("onramp 1 100\n0 101\n", 0),
            ("onramp 1 100\nx\n", 0),
            ("", 0),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_journal(&path, head, 100).unwrap().len(), expected, "{text:?}");
        }
        assert_eq!(read_journal(&dir.path().join("none"), head, 100).unwrap().len(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_journal_names_bytes_outside_the_blob(text in "(onramp 1 100\n)?([0-9 x-]{0,30}\n?){0,4}") {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("j");
            std::fs::write(&path, text).unwrap();
            proptest::prop_assert!(read_journal(&path, "onramp 1 100\n", 100).unwrap().len() <= 100);
        }
    }
}
