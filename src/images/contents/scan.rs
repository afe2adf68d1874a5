//! A layer read once, from its first byte to its last: what it has and takes away, and what its package databases tell.

use std::collections::BTreeSet;
use std::io::BufRead;

use blake3::Hasher;

use super::archive::{Archive, Made};
use super::facts::{Entry, Head, Kind};
use super::input::Input;
use super::packages::{self, Told};
use super::{Fault, path, unpack};

/// The most entries of a layer, and the most bytes of their names: they are sorted in memory.
const ENTRIES: usize = 400_000;
const NAMES: usize = 32 * 1024 * 1024;
/// The most files of a layer that tell packages, and the most packages that they tell.
const SOURCES: usize = 20_000;
const PACKAGES: usize = 200_000;

/// What a file's name begins with that takes something away (OCI image specification, `layer.md`).
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..opq";

/// A layer, read.
pub struct Scanned {
    head: Head,
    names: Vec<u8>,
    records: Vec<Record>,
    packages: usize,
}

/// An entry as it lies in memory: its texts in `names`.
#[derive(Clone, Copy)]
struct Record {
    path: Text,
    link: Text,
    kind: Kind,
    mode: u32,
    user: u32,
    group: u32,
    size: u64,
    hash: [u8; 16],
}

#[derive(Clone, Copy, Default)]
struct Text {
    at: u32,
    length: u32,
}

/// Reads a layer of this packed size.
pub fn scan(input: &mut Input<'_>, packed: u64) -> Result<Scanned, Fault> {
    let first = input.begins().map_err(Fault::unpack)?;
    let mut archive = Archive::new(unpack::open(first, input, packed)?);
    let mut scanned = Scanned { head: Head::default(), names: Vec::new(), records: Vec::new(), packages: 0 };
    while let Some(entry) = archive.next()? {
        if entry.path.is_empty() {
            continue;
        }
        let (directory, name) = split(&entry.path);
        if let Some(taken) = name.strip_prefix(WHITEOUT) {
            scanned.whiteout(directory, taken)?;
            continue;
        }
        let kind = match entry.made {
            Made::File => Kind::File,
            Made::Directory => Kind::Directory,
            Made::HardLink => Kind::HardLink,
            Made::Symlink => Kind::Symlink,
            Made::Special => Kind::Special,
        };
        let hash = match kind {
            Kind::File => scanned.contents(&entry.path, &mut archive)?,
            _ => [0; 16],
        };
        let (path, link) = (scanned.text(&entry.path)?, scanned.text(&entry.link)?);
        let (mode, user, group, size) = (entry.mode, entry.user, entry.group, entry.size);
        scanned.add(Record { path, link, kind, mode, user, group, size, hash })?;
    }
    scanned.head.unpacked = archive.reader().get_ref().count();
    scanned.head.entries = scanned.records.len() as u64;
    scanned.complete()?;
    Ok(scanned)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

impl Scanned {
    /// What is known without the entries, and the entries in their order.
    pub fn facts(self) -> (Head, impl Iterator<Item = Entry>) {
        let Self { head, names, records, .. } = self;
        let text = move |text: Text| names[text.at as usize..(text.at + text.length) as usize].to_vec();
        let entries = records.into_iter().map(move |record| Entry {
            path: text(record.path),
            kind: record.kind,
            mode: record.mode,
            user: record.user,
            group: record.group,
            size: record.size,
            hash: record.hash,
            link: text(record.link),
        });
        (head, entries)
    }

    fn whiteout(&mut self, directory: &[u8], taken: &[u8]) -> Result<(), Fault> {
        let (path, kind) = match taken {
            OPAQUE => (directory.to_vec(), Kind::Opaque),
            // What AUFS kept for itself.
            _ if taken.starts_with(WHITEOUT) => return Ok(()),
            b"" | b"." | b".." => return Err(Fault::Malformed("a whiteout of nothing")),
            _ if directory.is_empty() => (taken.to_vec(), Kind::Whiteout),
            _ => ([directory, b"/", taken].concat(), Kind::Whiteout),
        };
        let path = self.text(&path)?;
        self.add(Record { kind, ..Record::at(path) })
    }

    /// Hashes a file's contents, and reads them where they tell packages.
    fn contents<R: BufRead>(&mut self, path: &[u8], archive: &mut Archive<R>) -> Result<[u8; 16], Fault> {
        let mut contents = Hashing { contents: archive.contents(), hash: Hasher::new() };
        if let Some(source) = packages::source(path) {
            let told = packages::read(source, &mut contents).map_err(Fault::unpack)?;
            self.tell(path, told)?;
        }
        loop {
            match contents.fill_buf().map_err(Fault::unpack)?.len() {
                0 => break,
                count => contents.consume(count),
            }
        }
        let mut hash = [0; 16];
        contents.hash.finalize_xof().fill(&mut hash);
        Ok(hash)
    }

    fn tell(&mut self, path: &[u8], told: Told) -> Result<(), Fault> {
        if let Told::Packages(packages) = &told {
            self.packages += packages.len();
        }
        if self.packages > PACKAGES || self.head.sources.len() == SOURCES {
            return Err(Fault::TooMuch("more packages"));
        }
        self.head.sources.insert(String::from_utf8_lossy(path).into_owned(), told);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<Text, Fault> {
        let at = u32::try_from(self.names.len()).map_err(|_| Fault::TooMuch("longer names"))?;
        if self.names.len() + text.len() > NAMES {
            return Err(Fault::TooMuch("longer names"));
        }
        self.names.extend_from_slice(text);
        Ok(Text { at, length: u32::try_from(text.len()).map_err(|_| Fault::TooMuch("longer names"))? })
    }

    fn add(&mut self, record: Record) -> Result<(), Fault> {
        if self.records.len() == ENTRIES {
            return Err(Fault::TooMuch("more files"));
        }
        self.records.push(record);
        Ok(())
    }

    fn name(&self, text: Text) -> &[u8] {
        &self.names[text.at as usize..(text.at + text.length) as usize]
    }

    /// Sorts the entries, keeps the last where several have one path, gives hard links what they are names of, and adds
    /// the directories that have no entry.
    fn complete(&mut self) -> Result<(), Fault> {
        let links: Vec<Text> = self.records.iter().filter(|r| r.kind == Kind::HardLink).map(|r| r.path).collect();
        self.sort();
        for link in links {
            self.resolve(link);
        }
        for at in 0..self.records.len() {
            let Record { path, kind, .. } = self.records[at];
            let Ok(path) = std::str::from_utf8(self.name(path)) else { continue };
            if matches!(kind, Kind::Symlink | Kind::HardLink) && packages::source(path.as_bytes()).is_some() {
                let told = Told::Unread("it is a link to a file that is none of its kind".to_owned());
                self.head.sources.entry(path.to_owned()).or_insert(told);
            }
        }
        self.imply()
    }

    fn sort(&mut self) {
        let names = &self.names;
        let name = |text: Text| &names[text.at as usize..(text.at + text.length) as usize];
        let taking = |record: &Record| match record.kind {
            Kind::Whiteout => 0,
            Kind::Opaque => 1,
            _ => 2,
        };
        // The sort is stable, so the last of one path comes last, and stays.
        self.records.sort_by(|a, b| path::order(name(a.path), name(b.path)).then(taking(a).cmp(&taking(b))));
        self.records.reverse();
        self.records.dedup_by(|a, b| taking(a) == taking(b) && name(a.path) == name(b.path));
        self.records.reverse();
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        let end = self.records.partition_point(|record| path::order(self.name(record.path), path).is_le());
        let record = self.records.get(end.checked_sub(1)?)?;
        let there = self.name(record.path) == path && !matches!(record.kind, Kind::Whiteout | Kind::Opaque);
        there.then_some(end - 1)
    }

    fn resolve(&mut self, link: Text) {
        let Some(at) = self.find(self.name(link)) else { return };
        let record = self.records[at];
        let Some(target) = self.find(self.name(record.link)).filter(|target| *target != at) else { return };
        if record.kind != Kind::HardLink || matches!(self.records[target].kind, Kind::Directory | Kind::HardLink) {
            return;
        }
        let target = Record { path: record.path, ..self.records[target] };
        let named = |text: Text| String::from_utf8_lossy(self.name(text)).into_owned();
        if packages::source(self.name(record.path)).is_some()
            && let Some(told) = self.head.sources.get(&named(record.link)).cloned()
        {
            let path = named(record.path);
            self.head.sources.insert(path, told);
        }
        self.records[at] = target;
    }

    /// Adds the directories that are not there and must be.
    fn imply(&mut self) -> Result<(), Fault> {
        let mut missing: BTreeSet<Vec<u8>> = BTreeSet::new();
        // A deep path implies as many directories as it has parts: they are held to the caps as they are found.
        let mut bytes = 0;
        let mut last: Vec<u8> = Vec::new();
        for record in &self.records {
            if record.kind == Kind::Whiteout {
                continue;
            }
            let path = self.name(record.path);
            let parent = if record.kind == Kind::Opaque { path } else { split(path).0 };
            if parent == last {
                continue;
            }
            parent.clone_into(&mut last);
            let mut directory = parent;
            while !directory.is_empty() && !missing.contains(directory) {
                if self.find(directory).is_some() {
                    break;
                }
                bytes += directory.len();
                if self.records.len() + missing.len() >= ENTRIES {
                    return Err(Fault::TooMuch("more entries"));
                }
                if self.names.len() + bytes > NAMES {
                    return Err(Fault::TooMuch("longer names"));
                }
                missing.insert(directory.to_vec());
                directory = split(directory).0;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for directory in missing {
            let path = self.text(&directory)?;
            self.add(Record { kind: Kind::Implied, ..Record::at(path) })?;
        }
        self.sort();
        Ok(())
    }
}

impl Record {
    fn at(path: Text) -> Self {
        let link = Text::default();
        Self { path, link, kind: Kind::Whiteout, mode: 0, user: 0, group: 0, size: 0, hash: [0; 16] }
    }
}

/// Contents that are hashed as they are read.
struct Hashing<R> {
    contents: R,
    hash: Hasher,
}

impl<R: BufRead> std::io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        super::read_buffered(self, buffer)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.contents.fill_buf()
    }

    /// What is consumed stood in the buffer, which a second look at does not change.
    fn consume(&mut self, count: usize) {
        if let Ok(buffer) = self.contents.fill_buf() {
            self.hash.update(&buffer[..count.min(buffer.len())]);
        }
        self.contents.consume(count);
    }
}
