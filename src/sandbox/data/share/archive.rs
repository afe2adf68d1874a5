//! The tar of a service's data, written anew on its way: only what was understood goes on, under paths that stay inside.
//!
//! The engine sends and takes a directory as a tar whose first entry is that directory. Both ways go through here: what can
//! be pushed can be pulled, and no second reader sees something else in the bytes than the first one did.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::text::neutral_line;

/// What the directory of the data is called in the tar, as carriers have it.
pub const TOP: &str = "data";
/// The most entries of one service's data.
const MOST: usize = 2_000_000;
/// The most bytes of all their names: they are held while the tar is read.
const NAMES: usize = 256 * 1024 * 1024;
/// The longest path, as the kernel has it.
const LONGEST: usize = 4096;
/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// The most bytes that say what the next entry is: its name and attributes are held in memory.
const HEAD: u64 = 1024 * 1024;
/// How a tar says that a file has an extended attribute.
const ATTRIBUTE: &str = "SCHILY.xattr.";
/// The extended attributes that go on. What begins with `trusted.` the kernel reads itself, in layers that lie over each other.
const KEPT: [&str; 2] = ["user.", "security.capability"];

/// Why a tar did not go on.
#[derive(Debug)]
pub enum Broken {
    /// It holds what data does not, or leads out of its directory.
    Refused(String),
    /// It could not be read or written.
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What an entry was, for those that come later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

/// Reads a tar to its end and writes it anew, of at most `cap` bytes; how many bytes were written. Blocking. `told` is told how far the
/// writing is.
pub fn copy(input: impl Read, output: impl Write, cap: u64, told: &mut dyn FnMut(u64)) -> Result<u64, Broken> {
    let left = Cell::new(u64::MAX);
    let mut archive = Archive::new(Rationed { input, left: &left });
    let counted = Counted { output, count: 0, cap, told };
    let mut writer = Builder::new(counted);
    let mut seen = Seen::default();
    let mut entries = archive.entries()?;
    loop {
        left.set(HEAD);
        let Some(entry) = entries.next() else { break };
        left.set(u64::MAX);
        let mut entry = entry?;
        let place = seen.take(&mut entry)?;
        put(&mut writer, &mut entry, &place)?;
    }
    if seen.kinds.is_empty() {
        return Err(Broken::Refused("it holds nothing, not even a directory".to_owned()));
    }
    left.set(u64::MAX);
    // What stands behind the end is nobody's, and is read for the digest's sake alone.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    let mut counted = writer.into_inner()?;
    counted.output.flush()?;
    Ok(counted.count)
}

/// An entry's name, and what it points to.
struct Place {
    path: Vec<u8>,
    kind: Kind,
    target: Vec<u8>,
}

/// All that came so far.
#[derive(Default)]
struct Seen {
    kinds: HashMap<Vec<u8>, Kind>,
    names: usize,
}

impl Seen {
    /// Takes the next entry, if it is one that data may have where it is.
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<Place, Broken> {
        let written = entry.path_bytes().into_owned();
        let refused = |why: &str| {
            let name = neutral_line(&String::from_utf8_lossy(&written[..written.len().min(200)]), 120);
            Broken::Refused(format!("`{name}` {why}"))
        };
        let path = inside(&written).ok_or_else(|| refused("leads out of the data's directory"))?;
        let target = entry.link_name_bytes().map(Cow::into_owned).unwrap_or_default();
        let (kind, target) = match entry.header().entry_type() {
            EntryType::Directory => (Kind::Directory, Vec::new()),
            EntryType::Regular => (Kind::File, Vec::new()),
            EntryType::Symlink if stays(&path, &target) => (Kind::Link, target),
            EntryType::Symlink => return Err(refused("is a link that leads out of the data's directory")),
            EntryType::Link => match inside(&target).filter(|to| self.kinds.get(to) == Some(&Kind::File)) {
                Some(target) => (Kind::File, target),
                None => return Err(refused("is a hard link to no file of the data before it")),
            },
            _ => return Err(refused("is neither a file nor a directory nor a link")),
        };
        if (path == TOP.as_bytes()) != self.kinds.is_empty() {
            return Err(refused("stands where the data's directory should, or again"));
        }
        let parent = path.iter().rposition(|byte| *byte == b'/').map(|at| &path[..at]);
        if parent.is_some_and(|parent| self.kinds.get(parent) != Some(&Kind::Directory)) {
            return Err(refused("is in no directory that came before it"));
        }
        if self.kinds.is_empty() && kind != Kind::Directory {
            return Err(refused("is no directory"));
        }
        self.names += path.len();
        if self.kinds.len() == MOST || self.names > NAMES {
            return Err(Broken::Refused(format!("it has more than {MOST} files, or names of more than {NAMES} bytes")));
        }
        if self.kinds.insert(path.clone(), kind).is_some() {
            return Err(refused("is there twice"));
        }
        Ok(Place { path, kind, target })
    }
}

/// Writes an entry with its owner, group, mode, time, extended attributes and contents.
fn put<R: Read, W: Write>(writer: &mut Builder<W>, entry: &mut Entry<'_, R>, place: &Place) -> Result<(), Broken> {
    let attributes = attributes(entry)?;
    if !attributes.is_empty() {
        writer.append_pax_extensions(attributes.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
    }
    let from = entry.header();
    let hard = place.kind == Kind::File && !place.target.is_empty();
    let mut header = Header::new_gnu();
    header.set_uid(from.uid()?);
    header.set_gid(from.gid()?);
    header.set_mode(from.mode()? & 0o7777);
    header.set_mtime(from.mtime().unwrap_or(0));
    header.set_size(0);
    let path = Path::new(OsStr::from_bytes(&place.path));
    match place.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            writer.append_data(&mut header, path, io::empty())?;
        }
        Kind::File if !hard => {
            let size = entry.size();
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            let mut contents = Whole { input: entry, left: size };
            writer.append_data(&mut header, path, &mut contents)?;
        }
        Kind::File | Kind::Link => {
            header.set_entry_type(if hard { EntryType::Link } else { EntryType::Symlink });
            writer.append_link(&mut header, path, Path::new(OsStr::from_bytes(&place.target)))?;
        }
    }
    Ok(())
}

/// The extended attributes that go on, as a tar says them.
fn attributes<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<(String, Vec<u8>)>, Broken> {
    let mut found = Vec::new();
    let Some(extensions) = entry.pax_extensions()? else { return Ok(found) };
    for extension in extensions {
        let extension = extension?;
        let Ok(key) = extension.key() else { continue };
        let Some(name) = key.strip_prefix(ATTRIBUTE) else { continue };
        if !KEPT.iter().any(|kept| name.starts_with(kept)) {
            let name = neutral_line(name, 60);
            return Err(Broken::Refused(format!("a file of it has the extended attribute `{name}`")));
        }
        found.push((key.to_owned(), extension.value_bytes().to_vec()));
    }
    found.sort();
    Ok(found)
}

/// A path that stays in the data's directory, without what says nothing.
fn inside(written: &[u8]) -> Option<Vec<u8>> {
    if written.len() > LONGEST || written.contains(&0) || written.starts_with(b"/") {
        return None;
    }
    let mut parts = Vec::new();
    for part in written.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part => parts.push(part),
        }
    }
    (parts.first() == Some(&TOP.as_bytes())).then(|| parts.join(&b'/'))
}

/// Whether a symbolic link stays in the data's directory, whatever links it passes: they stay, too, and nothing goes up
/// behind one.
fn stays(link: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.len() > LONGEST || target.contains(&0) || target.starts_with(b"/") {
        return false;
    }
    let parts = || target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let up = parts().take_while(|part| *part == b"..").count();
    // The link's own directories below the top.
    let depth = link.split(|byte| *byte == b'/').count().saturating_sub(2);
    up <= depth && parts().skip(up).all(|part| part != b"..")
}

/// A stream of which only so much may be read before it is looked at.
struct Rationed<'a, R> {
    input: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.left.get();
        if count as u64 > left {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "what is said of a file is longer than it may be"));
        }
        if left < u64::MAX {
            self.left.set(left - count as u64);
        }
        Ok(count)
    }
}

/// All of an entry: a stream that ends before is an error.
struct Whole<'a, R> {
    input: &'a mut R,
    left: u64,
}

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

/// Counts what is written, and ends it at a cap.
struct Counted<'a, W> {
    output: W,
    count: u64,
    cap: u64,
    told: &'a mut dyn FnMut(u64),
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(&bytes[..bytes.len().min(CHUNK)])?;
        self.count += count as u64;
        (self.told)(self.count);
        if self.count > self.cap {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than it may be"));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests;
