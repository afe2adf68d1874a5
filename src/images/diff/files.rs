//! The files of two images compared: two streams in one order, side by side.

use std::cmp::Ordering;

use serde::Serialize;

use crate::images::contents::{Entry, Kind, Layers, Tree, order, shown};

/// How many files of a list are named; all are counted.
const NAMED: usize = 1000;

/// Files that are not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// Only in the second.
    pub added: List,
    /// Only in the first.
    pub removed: List,
    /// In both, and not the same.
    pub changed: List,
}

/// Some files: all are counted, the first thousand named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct List {
    /// How many.
    pub count: u64,
    /// Their bytes; of changed ones, those in the second image.
    pub bytes: u64,
    /// The first of them, by path.
    pub named: Vec<FileChange>,
}

/// A file that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path, neutral.
    pub path: String,
    /// Bytes of its contents.
    pub size: u64,
    /// What differs: `kind`, `mode`, `owner`, `contents`, `link`; empty where only one image has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<&'static str>,
}

impl Files {
    /// Whether all are the same.
    pub fn is_empty(&self) -> bool {
        [&self.added, &self.removed, &self.changed].iter().all(|list| list.count == 0)
    }
}

impl List {
    fn add(&mut self, entry: &Entry, what: Vec<&'static str>) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.named.len() < NAMED {
            self.named.push(FileChange { path: shown(&entry.path), size: entry.size, what });
        }
    }
}

/// The files that containers of an image see.
pub fn all(layers: &Layers) -> std::io::Result<List> {
    compare(&Layers(Vec::new()), layers).map(|files| files.added)
}

/// Compares the files that containers of two images see. Times are left aside: every build has its own.
pub fn compare(from: &Layers, to: &Layers) -> std::io::Result<Files> {
    let mut files = Files::default();
    let (mut from, mut to) = (Tree::of(&from.0)?, Tree::of(&to.0)?);
    let (mut before, mut after) = (from.next().transpose()?, to.next().transpose()?);
    loop {
        let side = match (&before, &after) {
            (None, None) => return Ok(files),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, a)), Some((_, b))) => order(&a.path, &b.path),
        };
        match (side, &before, &after) {
            (Ordering::Less, Some((_, entry)), _) => files.removed.add(entry, Vec::new()),
            (Ordering::Greater, _, Some((_, entry))) => files.added.add(entry, Vec::new()),
            (_, Some((_, a)), Some((_, b))) => {
                let what = differences(a, b);
                if !what.is_empty() {
                    files.changed.add(b, what);
                }
            }
            _ => {}
        }
        if side.is_le() {
            before = from.next().transpose()?;
        }
        if side.is_ge() {
            after = to.next().transpose()?;
        }
    }
}

fn differences(a: &Entry, b: &Entry) -> Vec<&'static str> {
    // Of a directory that no layer has an entry for, an engine decides mode and owner.
    let implied = a.kind == Kind::Implied || b.kind == Kind::Implied;
    let kind = |entry: &Entry| if entry.kind == Kind::Implied { Kind::Directory } else { entry.kind };
    [
        ("kind", kind(a) != kind(b)),
        ("mode", a.mode != b.mode && !implied),
        ("owner", (a.user, a.group) != (b.user, b.group) && !implied),
        ("contents", (a.size, a.hash) != (b.size, b.hash)),
        ("link", a.link != b.link),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}
