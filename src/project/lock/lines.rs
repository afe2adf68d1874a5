//! The lines of a lock that tell files and their digests. A large project has tens of thousands of them, of which a TOML parser
//! makes ten times as much memory: they are taken out as the lines that onramp itself writes, and the parser gets what is left.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::reference::Digest;
use crate::tree::{FileDigest, TreePath};

/// Fewer than so many lines are the parser's: for them nothing is gained.
const MANY: usize = 1000;

/// What a lock's text says, apart.
pub struct Parts<'t> {
    /// The text without the lines that were taken out; every other line has its number.
    pub rest: Cow<'t, str>,
    /// The files of each block, by its name.
    pub files: BTreeMap<&'t str, BTreeMap<TreePath, FileDigest>>,
}

/// Takes the lines of files out. All is left to the parser, which can say what is wrong with it, where a file is there twice,
/// or a line could be the line of a longer text.
pub fn take_out(text: &str) -> Parts<'_> {
    let whole = Parts { rest: Cow::Borrowed(text), files: BTreeMap::new() };
    if text.lines().take(MANY).count() < MANY || text.contains("\"\"\"") || text.contains("'''") {
        return whole;
    }
    let (mut rest, mut files) = (String::new(), BTreeMap::<&str, BTreeMap<TreePath, FileDigest>>::new());
    let mut block = None;
    for line in text.split_inclusive('\n') {
        // One that is set in is the parser's, with all below it.
        if line.trim_start().starts_with('[') {
            block = block_of(line.trim_end());
        }
        match block.and_then(|block| Some((block, file(line.trim_end())?))) {
            Some((block, (path, digest))) => {
                if files.entry(block).or_default().insert(path, digest).is_some() {
                    return whole;
                }
                rest.push('\n');
            }
            None => rest.push_str(line),
        }
    }
    Parts { rest: Cow::Owned(rest), files }
}

/// The block whose files stand below this header.
fn block_of(header: &str) -> Option<&str> {
    let name = header.strip_prefix("[blocks.")?.strip_suffix(".files]")?;
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (!name.is_empty() && name.chars().all(bare)).then_some(name)
}

/// A path in quotes, without anything that needs an escape, and its digest.
fn file(line: &str) -> Option<(TreePath, FileDigest)> {
    let (path, digest) = line.strip_prefix('"')?.strip_suffix('"')?.split_once("\" = \"")?;
    if [path, digest].iter().any(|part| part.contains(['"', '\\'])) {
        return None;
    }
    let path: TreePath = path.parse().ok()?;
    path.check().ok()?;
    Some((path, digest.parse::<Digest>().ok()?.into()))
}
