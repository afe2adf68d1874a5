//! A record: one file of what a change replaced, and what it put there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Plan};
use crate::blocks::transaction::{Directories, Operation, Transaction};
use crate::directory::Directory;
use crate::files::{self, FileError};
use crate::reference::Digest;
use crate::tree::{Entry, TreePath};

/// The largest record, in bytes.
const CAP: u64 = 1024 * 1024 * 1024;

/// What was changed, and what stood there before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) file: PathBuf,
    head: Head,
    contents: Bytes,
}

/// The first line of a record; the contents of the files follow, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    schema: u32,
    /// What was done, as a person reads it.
    what: String,
    when: Timestamp,
    paths: Vec<Was>,
    /// Directories that were made.
    made: Vec<TreePath>,
    /// Directories from which something went, with their permission bits.
    parents: Vec<(TreePath, u32)>,
}

/// One path: what stood there, and the digest of what was put there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Was {
    path: TreePath,
    before: Option<Kept>,
    after: Option<Digest>,
}

/// What stood at a path; its contents, or where it leads, are that many bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    link: bool,
    mode: u32,
    size: usize,
}

impl Record {
    /// Keeps in a file what a change is about to replace.
    pub fn keep(file: PathBuf, what: &str, change: &Transaction) -> Result<Self, FileError> {
        let mut contents = Vec::new();
        let mut paths = Vec::new();
        for (operation, mode) in change.operations().iter().zip(change.modes()) {
            let mut keep = |link, bytes: &[u8]| {
                contents.extend_from_slice(bytes);
                Kept { link, mode: mode.unwrap_or_default(), size: bytes.len() }
            };
            let before = operation.before.as_ref().map(|entry| match entry {
                Entry::File { contents, .. } => keep(false, contents),
                Entry::Link { target } => keep(true, target.as_bytes()),
            });
            let after = operation.after.as_ref().map(Entry::digest);
            paths.push(Was { path: operation.path.clone(), before, after });
        }
        let (made, parents) = (change.made().to_vec(), change.parents().to_vec());
        let head = Head { schema: 1, what: what.to_owned(), when: Timestamp::now(), paths, made, parents };
        let record = Self { file, head, contents: contents.into() };
        record.write()?;
        Ok(record)
    }

    /// What was done, as a person reads it.
    pub fn what(&self) -> &str {
        &self.head.what
    }

    /// Forgets it: its change was not made.
    pub fn drop(self) -> Result<(), FileError> {
        std::fs::remove_file(&self.file).map_err(FileError::io("remove", &self.file))
    }

    /// Takes what stands there now for what the change put there: what a template's own tasks made of it is part of it.
    pub fn settle(&mut self, root: &Path) -> Result<(), FileError> {
        let root = Directory::open(root)?;
        let now = root.read(self.head.paths.iter().map(|was| &was.path))?;
        for was in &mut self.head.paths {
            was.after = now.get(was.path.as_str()).map(Entry::digest);
        }
        self.write()
    }

    fn write(&self) -> Result<(), FileError> {
        let mut bytes = serde_json::to_vec(&self.head).expect("a record is plain data");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.contents);
        // What a project holds is nobody's business but its developer's.
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(directory, private).map_err(FileError::io("write", directory))?;
        }
        files::write(&self.file, &bytes)
    }

    /// Reads one.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let mut contents = Bytes::from(files::read(file, CAP)?);
        let damaged = || Error::Damaged { record: file.to_owned() };
        let end = contents.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let head: Head = serde_json::from_slice(&contents.split_to(end)).map_err(|_| damaged())?;
        let contents = contents.slice(1..);
        let total: Option<usize> =
            head.paths.iter().flat_map(|was| &was.before).try_fold(0_usize, |sum, kept| sum.checked_add(kept.size));
        if head.schema != 1 || total != Some(contents.len()) {
            return Err(damaged());
        }
        Ok(Self { file: file.to_owned(), head, contents })
    }

    /// What undoing this change would do.
    pub fn plan(self, root: &Directory) -> Result<Plan, Error> {
        let Self { file, head, mut contents } = self;
        let (mut operations, mut edited) = (Vec::new(), Vec::new());
        let now = root.read(head.paths.iter().map(|was| &was.path))?;
        for Was { path, before, after } in head.paths {
            let was = before.map(|kept| (contents.split_to(kept.size), kept));
            let mode = was.as_ref().map(|(_, kept)| kept.mode);
            let old = match was {
                None => None,
                Some((target, Kept { link: true, .. })) => {
                    let target = String::from_utf8(target.to_vec());
                    Some(Entry::Link { target: target.map_err(|_| Error::Damaged { record: file.clone() })? })
                }
                Some((contents, kept)) => Some(Entry::File { contents, executable: kept.mode & 0o100 != 0 }),
            };
            let current = now.get(path.as_str()).cloned();
            if current == old {
                continue;
            }
            if current.as_ref().map(Entry::digest) != after {
                edited.push(path.clone());
            }
            operations.push(Operation { path, before: current, after: old, mode });
        }
        let back: BTreeMap<TreePath, u32> = head.parents.into_iter().collect();
        let gone = head.made.into_iter().collect();
        let directories = Directories::Exactly { gone, back };
        Ok(Plan { what: head.what, when: head.when, operations, edited, directories, file, stale: Vec::new() })
    }
}
