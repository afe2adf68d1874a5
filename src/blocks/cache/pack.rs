//! The files of the cache: a tree, every file of it in one. Of a large one the contents stay there, and are read when they are
//! asked for.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::template::Rendered;
use crate::tree::{Contents, Entry, Spool, Tree};

/// The first bytes of every file.
pub(super) const MAGIC: &[u8] = b"onramp tree 1\n";
/// How much is read at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// What a render is beside its files.
#[derive(Serialize, Deserialize)]
struct About<O, S> {
    origins: O,
    once: S,
}

/// Writes a tree: how many entries; of each its kind, the length of its path, the length of its contents, the path, the
/// contents.
pub(super) fn encode(tree: &Tree, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&(tree.len() as u64).to_le_bytes())?;
    for (path, entry) in tree.iter() {
        out.write_all(&[kind(entry)])?;
        out.write_all(&(path.as_str().len() as u64).to_le_bytes())?;
        out.write_all(&(entry.size() as u64).to_le_bytes())?;
        out.write_all(path.as_str().as_bytes())?;
        out.write_all(&entry.bytes())?;
    }
    Ok(())
}

/// Leaves a tree's contents to the file that [`encode`] wrote it into, from there on. What others have, too, stays in memory.
pub(super) fn settle(tree: &mut Tree, file: &Arc<File>, at: u64) {
    let mut at = at + 8;
    for (path, entry) in tree.iter_mut() {
        at += 17 + path.as_str().len() as u64;
        let size = entry.size() as u64;
        if let Entry::File { contents, .. } = entry {
            contents.settle(file, at);
        }
        at += size;
    }
}

/// How many bytes that makes.
pub(super) fn encoded(tree: &Tree) -> usize {
    8 + tree.iter().map(|(path, entry)| 17 + path.as_str().len() + entry.size()).sum::<usize>()
}

fn kind(entry: &Entry) -> u8 {
    match entry {
        Entry::File { executable: false, .. } => 0,
        Entry::File { executable: true, .. } => 1,
        Entry::Link { .. } => 2,
    }
}

/// Writes a render: the hash of all that follows, the length of what is known of it, that, and its tree. Where in the file
/// the tree begins.
pub(super) fn encode_render(rendered: &Rendered, out: &mut (impl Write + Seek)) -> io::Result<u64> {
    let about = About { origins: &rendered.origins, once: &rendered.once };
    // Made twice rather than held: of a large tree it is large.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &about)?;
    out.write_all(&[0; 32])?;
    let mut hashing = Hashing { out: &mut *out, hash: Sha256::new() };
    hashing.write_all(&length.0.to_le_bytes())?;
    let mut pieces = BufWriter::new(&mut hashing);
    serde_json::to_writer(&mut pieces, &about)?;
    pieces.flush()?;
    drop(pieces);
    encode(&rendered.tree, &mut hashing)?;
    let hash = hashing.hash.finalize();
    out.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    out.write_all(&hash)?;
    Ok(MAGIC.len() as u64 + 32 + 8 + length.0)
}

/// How many bytes are written.
struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written, and its hash.
struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file that is read, from its beginning on.
pub(super) struct Pack {
    file: Arc<File>,
    reader: BufReader<Arc<File>>,
    at: u64,
    end: u64,
    /// Whether it is small enough to be read whole.
    small: bool,
}

impl Pack {
    /// Opens one; none if it is not there, or not one of ours.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = Arc::new(File::open(path).ok()?);
        let end = file.metadata().ok()?.len();
        let reader = BufReader::with_capacity(BUFFER, Arc::clone(&file));
        let mut pack = Self { file, reader, at: 0, end, small: end <= Spool::ROOM as u64 };
        (pack.take(MAGIC.len())? == MAGIC).then_some(pack)
    }

    /// The tree that begins here and ends where the file does.
    pub(super) fn tree(&mut self) -> Option<Tree> {
        let count = self.number()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let kind = self.take(1)?[0];
            let (path, length) = (self.number()?, self.number()?);
            let path = String::from_utf8(self.take(path)?).ok()?.parse().ok()?;
            let entry = match kind {
                0 | 1 => Entry::File { contents: self.contents(length)?, executable: kind == 1 },
                2 => Entry::Link { target: String::from_utf8(self.take(length)?).ok()? },
                _ => return None,
            };
            entries.push((path, entry));
        }
        (self.at == self.end).then(|| entries.into_iter().collect())
    }

    /// The render that begins here.
    pub(super) fn render(&mut self) -> Option<Rendered> {
        let hash = self.take(32)?;
        let after = self.at;
        let mut found = Hashing { out: io::sink(), hash: Sha256::new() };
        io::copy(&mut self.reader, &mut found).ok()?;
        if found.hash.finalize()[..] != hash[..] {
            return None;
        }
        self.reader.seek(SeekFrom::Start(after)).ok()?;
        let length = self.number()?;
        let about = self.step(length)?;
        self.reader.seek_relative(i64::try_from(length).ok()?).ok()?;
        // The tree is made first: of a large one, what it takes on the way is free again for what is known beside it.
        let tree = self.tree()?;
        self.reader.seek(SeekFrom::Start(about)).ok()?;
        let about = (&mut self.reader).take(length as u64);
        let About { origins, once } = serde_json::from_reader(about).ok()?;
        Some(Rendered { tree, origins, once })
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }

    /// The next bytes. Nothing is made room for that the file does not hold.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        self.step(length)?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The next bytes as what a file holds.
    fn contents(&mut self, length: usize) -> Option<Contents> {
        if self.small {
            return Some(Bytes::from(self.take(length)?).into());
        }
        let at = self.step(length)?;
        self.reader.seek_relative(i64::try_from(length).ok()?).ok()?;
        Some(Contents::on_disk(&self.file, at, length))
    }

    /// Where the next bytes are, if there are so many.
    fn step(&mut self, length: usize) -> Option<u64> {
        let at = self.at;
        self.at = at.checked_add(length as u64).filter(|next| *next <= self.end)?;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::TreePath;

    fn trees() -> impl Strategy<Value = Tree> {
        let entry = prop_oneof![
            (proptest::collection::vec(any::<u8>(), 0..40), any::<bool>())
                .prop_map(|(contents, executable)| Entry::File { contents: contents.into(), executable }),
            "[a-z/.]{0,10}".prop_map(|target| Entry::Link { target }),
        ];
        proptest::collection::btree_map("[a-c]/[a-z{} ]{1,6}", entry, 0..6).prop_map(|entries| {
            entries.into_iter().filter_map(|(p, e)| Some((p.parse::<TreePath>().ok()?, e))).collect()
        })
    }

    /// The same with contents of its own.
    fn copied(entry: &Entry) -> Entry {
        match entry {
            Entry::File { contents, executable } => {
                Entry::File { contents: contents.bytes().to_vec().into(), executable: *executable }
            }
            link @ Entry::Link { .. } => link.clone(),
        }
    }

    /// What is read of a file with these bytes, as if it were small or large.
    fn read(bytes: &[u8], small: bool) -> Option<Tree> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes).unwrap();
        let pack = Pack::open(file.path())?;
        Pack { small, ..pack }.tree()
    }

    proptest! {
        #[test]
        fn every_tree_comes_back(tree in trees(), small: bool) {
            let mut bytes = MAGIC.to_vec();
            encode(&tree, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), MAGIC.len() + encoded(&tree));
            prop_assert_eq!(read(&bytes, small), Some(tree));
        }

        #[test]
        fn a_tree_that_is_left_to_its_file_is_what_it_was(tree in trees(), shared: bool) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(MAGIC).unwrap();
            encode(&tree, &mut file).unwrap();
            let expected: Tree = tree.iter().map(|(path, entry)| (path.clone(), copied(entry))).collect();
            let other = shared.then(|| tree.clone());
            let mut tree = tree;
            settle(&mut tree, &Arc::new(file), MAGIC.len() as u64);
            prop_assert_eq!(&tree, &expected);
            drop(other);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), small: bool) {
            let _ = read(&[MAGIC, &bytes].concat(), small);
        }
    }
}
