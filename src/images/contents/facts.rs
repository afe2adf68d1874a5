//! What is known of a layer, in a file of the cache: `layers/<hex of its digest>`.
//!
//! A line that says what it is, a line of JSON (sizes, packages), a line for each entry in the order of [`path::order`], and
//! last the hash of all before. A file that is not whole is made again: it is only a cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::packages::Told;
use crate::files::{self, FileError};
use crate::reference::Digest;

/// Changes with the form of the file and with what the parsers find: old files are made again.
const FIRST: &[u8] = b"onramp layer facts 3\n";
/// `sha256 `, 64 digits, a line's end.
const LAST: u64 = 72;

/// What an entry of a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with contents.
    File,
    /// A directory.
    Directory,
    /// A directory that has no entry of its own and must be there for what is in it.
    Implied,
    /// Another name of a file that this layer does not have.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A device or pipe.
    Special,
    /// Takes away what lower layers have at this path.
    Whiteout,
    /// Takes away what lower layers have in this directory.
    Opaque,
}

impl Kind {
    const LETTERS: [(Self, u8); 8] = [
        (Self::File, b'f'),
        (Self::Directory, b'd'),
        (Self::Implied, b'i'),
        (Self::HardLink, b'h'),
        (Self::Symlink, b'l'),
        (Self::Special, b's'),
        (Self::Whiteout, b'w'),
        (Self::Opaque, b'o'),
    ];
}

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: Vec<u8>,
    /// What it does.
    pub kind: Kind,
    /// Permissions.
    pub mode: u32,
    /// Whose.
    pub user: u32,
    /// Whose group's.
    pub group: u32,
    /// Bytes of its contents.
    pub size: u64,
    /// The first 16 bytes of the BLAKE3 of its contents: it tells whether two are the same, and no registry needs to agree.
    pub hash: [u8; 16],
    /// What a link names.
    pub link: Vec<u8>,
}

/// What is known of a layer before its entries are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Bytes, unpacked.
    pub unpacked: u64,
    /// How many entries it has.
    pub entries: u64,
    /// What the files that list packages tell, by path.
    pub sources: BTreeMap<String, Told>,
}

/// A layer's facts.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What is known without the entries.
    pub head: Head,
    file: PathBuf,
    entries: u64,
}

impl Facts {
    /// The facts about a layer, if they are there, whole and of this version.
    pub fn load(cache: &Path, layer: &Digest) -> Option<Self> {
        let file = place(cache, layer);
        let mut reader = BufReader::new(File::open(&file).ok()?);
        let length = reader.get_ref().metadata().ok()?.len().checked_sub(LAST)?;
        let mut hashed = Hashed { out: std::io::sink(), hash: Sha256::new() };
        if std::io::copy(&mut (&mut reader).take(length), &mut hashed).ok()? != length {
            return None;
        }
        let mut last = String::new();
        reader.read_to_string(&mut last).ok()?;
        if last != trailer(hashed.hash) {
            return None;
        }
        reader.seek(SeekFrom::Start(0)).ok()?;
        let mut first = Vec::new();
        reader.read_until(b'\n', &mut first).ok()?;
        let mut head = Vec::new();
        reader.read_until(b'\n', &mut head).ok()?;
        let entries = (first.len() + head.len()) as u64;
        let head = (first == FIRST).then(|| serde_json::from_slice(&head).ok()).flatten()?;
        Some(Self { head, file, entries })
    }

    /// Keeps the facts about a layer: written aside, then renamed, so that nobody reads half of them.
    pub fn save(
        cache: &Path,
        layer: &Digest,
        head: Head,
        entries: impl Iterator<Item = Entry>,
    ) -> Result<Self, FileError> {
        let file = place(cache, layer);
        let directory = file.parent().expect("a directory of the cache");
        files::private_directory(directory)?;
        let write = || -> std::io::Result<u64> {
            let aside = tempfile::Builder::new().prefix(".onramp-").tempfile_in(directory)?;
            let begun = write_to(aside.as_file(), &head, entries)?;
            aside.persist(&file)?;
            Ok(begun)
        };
        let entries = write().map_err(FileError::io("write", &file))?;
        Ok(Self { head, file, entries })
    }

    /// The entries, in the order of [`path::order`](super::path::order).
    pub fn entries(&self) -> std::io::Result<Entries> {
        let mut file = File::open(&self.file)?;
        let end = file.metadata()?.len().saturating_sub(LAST);
        file.seek(SeekFrom::Start(self.entries))?;
        let reader = BufReader::with_capacity(64 * 1024, file.take(end.saturating_sub(self.entries)));
        Ok(Entries { reader, line: Vec::new() })
    }
}

/// Writes a whole file; where its entries begin.
fn write_to(file: &File, head: &Head, entries: impl Iterator<Item = Entry>) -> std::io::Result<u64> {
    let mut out = Hashed { out: BufWriter::new(file), hash: Sha256::new() };
    let mut text = FIRST.to_vec();
    serde_json::to_writer(&mut text, head)?;
    text.push(b'\n');
    out.write_all(&text)?;
    let mut line = Vec::new();
    for entry in entries {
        line.clear();
        entry.write(&mut line);
        out.write_all(&line)?;
    }
    let Hashed { mut out, hash } = out;
    out.write_all(trailer(hash).as_bytes())?;
    out.flush()?;
    Ok(text.len() as u64)
}

fn place(cache: &Path, layer: &Digest) -> PathBuf {
    cache.join("layers").join(layer.hex())
}

fn trailer(hash: Sha256) -> String {
    format!("sha256 {}\n", Digest::from_hash(&hash.finalize()).hex())
}

struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The entries of a layer, read one by one.
pub struct Entries {
    reader: BufReader<std::io::Take<File>>,
    line: Vec<u8>,
}

impl Iterator for Entries {
    type Item = std::io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        match self.reader.read_until(b'\n', &mut self.line) {
            Ok(0) => None,
            Ok(_) => Some(Entry::read(&self.line).ok_or_else(|| std::io::ErrorKind::InvalidData.into())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Entry {
    /// `kind mode user group size hash path link`, tabs between them.
    fn write(&self, line: &mut Vec<u8>) {
        let letter = Kind::LETTERS.iter().find(|(kind, _)| *kind == self.kind).map_or(b'?', |(_, letter)| *letter);
        line.push(letter);
        let _ = write!(line, "\t{:o}\t{}\t{}\t{}\t", self.mode, self.user, self.group, self.size);
        for byte in self.hash {
            let _ = write!(line, "{byte:02x}");
        }
        for text in [&self.path, &self.link] {
            line.push(b'\t');
            for byte in text {
                match byte {
                    b'\\' => line.extend_from_slice(b"\\\\"),
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\t' => line.extend_from_slice(b"\\t"),
                    byte => line.push(*byte),
                }
            }
        }
        line.push(b'\n');
    }

    fn read(row: &[u8]) -> Option<Self> {
        let mut fields = row.strip_suffix(b"\n")?.split(|byte| *byte == b'\t');
        let letter = fields.next()?;
        let kind = Kind::LETTERS.iter().find(|(_, known)| letter == [*known])?.0;
        let mut text = || std::str::from_utf8(fields.next()?).ok();
        let mode = u32::from_str_radix(text()?, 8).ok()?;
        let (user, group, size) = (text()?.parse().ok()?, text()?.parse().ok()?, text()?.parse().ok()?);
        let hash = u128::from_str_radix(text()?, 16).ok()?.to_be_bytes();
        let (path, link) = (unescaped(fields.next()?)?, unescaped(fields.next()?)?);
        Some(Self { path, kind, mode, user, group, size, hash, link })
    }
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                byte => *byte,
            },
            byte => *byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let kinds = proptest::sample::select(Kind::LETTERS.map(|(kind, _)| kind).to_vec());
        (kinds, 0_u32..0o10000, any::<u32>(), any::<u64>(), any::<[u8; 16]>(), any::<Vec<u8>>(), any::<Vec<u8>>())
            .prop_map(|(kind, mode, owner, size, hash, path, link)| Entry {
                path,
                kind,
                mode,
                user: owner,
                group: owner / 2,
                size,
                hash,
                link,
            })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_found(entries in proptest::collection::vec(entry(), 0..20)) {
            let dir = tempfile::tempdir().unwrap();
            let layer = Digest::of(b"x");
            let told = Told::Unread("why".into());
            let head = Head { unpacked: 7, entries: 3, sources: [("a\nb".to_owned(), told)].into() };
            let saved = Facts::save(dir.path(), &layer, head.clone(), entries.clone().into_iter()).unwrap();
            let loaded = Facts::load(dir.path(), &layer).unwrap();
            for facts in [saved, loaded] {
                prop_assert_eq!(&facts.head, &head);
                let read: Vec<Entry> = facts.entries().unwrap().map(Result::unwrap).collect();
                prop_assert_eq!(&read, &entries);
            }
        }

        #[test]
        fn no_line_makes_the_reader_panic(line: Vec<u8>) {
            let _ = Entry::read(&line);
        }
    }

    #[test]
    fn damaged_facts_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let layer = Digest::of(b"x");
        assert!(Facts::load(dir.path(), &layer).is_none());
        Facts::save(dir.path(), &layer, Head::default(), std::iter::empty()).unwrap();
        let file = place(dir.path(), &layer);
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            assert!(Facts::load(dir.path(), &layer).is_none(), "byte {at}");
            std::fs::write(&file, &whole[..at]).unwrap();
            assert!(Facts::load(dir.path(), &layer).is_none(), "cut at {at}");
        }
        std::fs::write(&file, &whole).unwrap();
        assert!(Facts::load(dir.path(), &layer).is_some());
    }
}
