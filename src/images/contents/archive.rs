//! tar archives as layers are: POSIX, GNU and old ones, read as a stream (POSIX.1-2001 `pax`, GNU tar's manual).
//!
//! Where two readers could read two things (sizes of what has no contents, sparse files, bytes after the end) the archive is
//! refused: what is shown here must be what an engine unpacks.

use std::io::{BufRead, Read};

use tar::{EntryType, Header};

use super::Fault;
use super::path::{self, normal};

const BLOCK: usize = 512;
/// The largest extended header, in bytes: Go's reader, which engines are built with, has the same.
const PAX_CAP: u64 = 1024 * 1024;

/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A file with contents.
    File,
    /// A directory.
    Directory,
    /// Another name of a file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A device or pipe.
    Special,
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In its one form; the root is empty.
    pub path: Vec<u8>,
    /// What it makes.
    pub made: Made,
    /// Permissions.
    pub mode: u32,
    /// Whose.
    pub user: u32,
    /// Whose group's.
    pub group: u32,
    /// Bytes of its contents.
    pub size: u64,
    /// What a link names: of a hard link another path in its one form, of a symbolic one its text.
    pub link: Vec<u8>,
}

/// What an extended header says about the entry after it.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    user: Option<u64>,
    group: Option<u64>,
}

/// An archive under way.
pub struct Archive<R> {
    reader: R,
    /// What is left of the entry's contents, and of the padding after them.
    contents: u64,
    padding: u64,
}

impl<R: BufRead> Archive<R> {
    /// The archive that a stream is.
    pub fn new(reader: R) -> Self {
        Self { reader, contents: 0, padding: 0 }
    }

    /// The stream.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The next entry; none at the end, after which there is nothing but zeros.
    pub fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let mut extended = Extended::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size().map_err(|_| Fault::Malformed("a size that is no number"))?;
            let kind = header.entry_type();
            match kind {
                EntryType::XHeader => self.extended(size, &mut extended)?,
                // Of a whole archive; engines pass it over.
                EntryType::XGlobalHeader => self.begin(size)?,
                EntryType::GNULongName => extended.path = Some(self.long(size)?),
                EntryType::GNULongLink => extended.link = Some(self.long(size)?),
                _ => return self.entry(header, kind, size, extended).map(Some),
            }
        }
    }

    /// The contents of the entry that came last.
    pub fn contents(&mut self) -> Contents<'_, R> {
        Contents { archive: self }
    }

    fn entry(&mut self, header: &Header, kind: EntryType, size: u64, extended: Extended) -> Result<Entry, Fault> {
        let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let size = extended.size.unwrap_or(size);
        let made = match kind {
            // The oldest archives know no directories: their names end with a slash.
            EntryType::Regular if name.ends_with(b"/") => Made::Directory,
            EntryType::Regular | EntryType::Continuous => Made::File,
            EntryType::Directory => Made::Directory,
            EntryType::Link => Made::HardLink,
            EntryType::Symlink => Made::Symlink,
            EntryType::Char | EntryType::Block | EntryType::Fifo => Made::Special,
            EntryType::GNUSparse => return Err(Fault::Form("sparse files")),
            _ => return Err(Fault::Form("entries of an unknown type")),
        };
        if made != Made::File && size != 0 {
            return Err(Fault::Malformed("contents of what has none"));
        }
        let link = extended.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = match made {
            Made::HardLink => normal(&link.unwrap_or_default())?,
            Made::Symlink => link.unwrap_or_default(),
            _ => Vec::new(),
        };
        if link.len() > path::LONGEST {
            return Err(Fault::TooMuch("a longer link"));
        }
        self.begin(size)?;
        // Engines take a field that is no number for 0, and cut what is too large.
        let number = |extended: Option<u64>, header: std::io::Result<u64>| {
            u32::try_from(extended.unwrap_or_else(|| header.unwrap_or(0))).unwrap_or(u32::MAX)
        };
        Ok(Entry {
            path: normal(&name)?,
            made,
            mode: header.mode().unwrap_or(0) & 0o7777,
            user: number(extended.user, header.uid()),
            group: number(extended.group, header.gid()),
            size,
            link,
        })
    }

    fn begin(&mut self, size: u64) -> Result<(), Fault> {
        if size > u64::MAX / 2 {
            return Err(Fault::Malformed("a size that no file has"));
        }
        self.contents = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// Passes over what is left of the entry.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut left = self.contents + self.padding;
        (self.contents, self.padding) = (0, 0);
        while left > 0 {
            let available = self.reader.fill_buf().map_err(Fault::unpack)?.len();
            if available == 0 {
                return Err(Fault::Malformed("an end in the middle of a file"));
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(available);
            self.reader.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// The next header; none at the end of the archive.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]).map_err(Fault::unpack)? {
                // Some writers leave the two blocks of zeros out.
                0 if filled == 0 => return Ok(None),
                0 => return Err(Fault::Malformed("an end in the middle of a header")),
                count => filled += count,
            }
        }
        if block == [0; BLOCK] {
            return self.zeros().map(|()| None);
        }
        let sum = |from: &[u8]| from.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let computed = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
        if Header::from_byte_slice(&block).cksum().ok() != Some(computed) {
            return Err(Fault::Malformed("a header with a wrong checksum"));
        }
        Ok(Some(block))
    }

    /// After the end of the archive there may be zeros: tapes were written in records.
    fn zeros(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.reader.fill_buf().map_err(Fault::unpack)?;
            if rest.iter().any(|byte| *byte != 0) {
                return Err(Fault::Trailing);
            }
            match rest.len() {
                0 => return Ok(()),
                count => self.reader.consume(count),
            }
        }
    }

    /// The contents of a header that is a file of its own.
    fn special(&mut self, size: u64, cap: u64, what: &'static str) -> Result<Vec<u8>, Fault> {
        if size > cap {
            return Err(Fault::TooMuch(what));
        }
        self.begin(size)?;
        let mut bytes = Vec::new();
        self.contents().read_to_end(&mut bytes).map_err(Fault::unpack)?;
        Ok(bytes)
    }

    fn long(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let mut name = self.special(size, path::LONGEST as u64 + 1, "a longer path")?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    /// Records of `<length> <key>=<value>\n`, where the length counts all of the record.
    fn extended(&mut self, size: u64, extended: &mut Extended) -> Result<(), Fault> {
        let bytes = self.special(size, PAX_CAP, "a larger extended header")?;
        let wrong = || Fault::Malformed("an extended header that is none");
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or_else(wrong)?;
            let length = number(&rest[..space]).and_then(|length| usize::try_from(length).ok()).ok_or_else(wrong)?;
            let record = rest.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(wrong)?;
            rest = &rest[length..];
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => extended.path = Some(value.to_vec()),
                b"linkpath" => extended.link = Some(value.to_vec()),
                b"size" => extended.size = Some(number(value).ok_or_else(wrong)?),
                b"uid" => extended.user = Some(number(value).ok_or_else(wrong)?),
                b"gid" => extended.group = Some(number(value).ok_or_else(wrong)?),
                _ if key.starts_with(b"GNU.sparse.") => return Err(Fault::Form("sparse files")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// The contents of an entry, which end where it ends. An archive that ends earlier is an error.
pub struct Contents<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: BufRead> Read for Contents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        super::read_buffered(self, buffer)
    }
}

impl<R: BufRead> BufRead for Contents<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.archive.contents == 0 {
            return Ok(&[]);
        }
        let left = usize::try_from(self.archive.contents).unwrap_or(usize::MAX);
        let available = self.archive.reader.fill_buf()?;
        if available.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&available[..available.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.archive.contents -= count as u64;
        self.archive.reader.consume(count);
    }
}

#[cfg(test)]
mod tests;
