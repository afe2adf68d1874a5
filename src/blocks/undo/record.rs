//! A record: one file of what a change replaced, and what it put there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Plan};
use crate::blocks::transaction::{Directories, Operation, Transaction};
use crate::directory::Directory;
use crate::files::{self, FileError};
use crate::tree::{Contents, Entry, FileDigest, TreePath};

/// The largest record, in bytes.
const CAP: u64 = 1024 * 1024 * 1024;

/// What was changed, and what stood there before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) file: PathBuf,
    head: Head,
    /// Of each path where something stood, what that was.
    contents: Vec<Contents>,
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
    after: Option<FileDigest>,
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
        let mut contents = Vec::with_capacity(change.operations().len());
        let mut paths = Vec::with_capacity(change.operations().len());
        for (operation, mode) in change.operations().iter().zip(change.modes()) {
            let mut keep = |link, kept: Contents| {
                let size = kept.len();
                contents.push(kept);
                Kept { link, mode: mode.unwrap_or_default(), size }
            };
            let before = operation.before.as_ref().map(|entry| match entry {
                Entry::File { contents, .. } => keep(false, contents.clone()),
                Entry::Link { target } => keep(true, target.clone().into()),
            });
            let after = operation.after.as_ref().map(Entry::digest);
            paths.push(Was { path: operation.path.clone(), before, after });
        }
        let (made, parents) = (change.made().to_vec(), change.parents().to_vec());
        let head = Head { schema: 1, what: what.to_owned(), when: Timestamp::now(), paths, made, parents };
        let record = Self { file, head, contents };
        record.write()?;
        Ok(record)
    }

    /// What was done, as a person reads it.
    pub fn what(&self) -> &str {
        &self.head.what
    }

    /// Takes what stands there now for what the change put there: what a template's own tasks made of it is part of it.
    pub fn settle(&mut self, root: &Path) -> Result<(), FileError> {
        let root = Directory::open(root)?;
        for was in &mut self.head.paths {
            was.after = root.read([&was.path])?.get(was.path.as_str()).map(Entry::digest);
        }
        self.write()
    }

    fn write(&self) -> Result<(), FileError> {
        // What a project holds is nobody's business but its developer's.
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(directory, private).map_err(FileError::io("write", directory))?;
        }
        files::write_by(&self.file, |out| {
            serde_json::to_writer(&mut *out, &self.head)?;
            out.write_all(b"\n")?;
            self.contents.iter().try_for_each(|contents| out.write_all(&contents.bytes()))
        })
    }

    /// Reads one.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let open = Arc::new(File::open(file).map_err(FileError::io("read", file))?);
        let size = open.metadata().map_err(FileError::io("read", file))?.len();
        if size > CAP {
            return Err(FileError::TooLarge { path: file.to_owned(), cap: CAP }.into());
        }
        let damaged = || Error::Damaged { record: file.to_owned() };
        let mut line = Vec::new();
        let reader = BufReader::new(&*open).take(size).read_until(b'\n', &mut line);
        let mut at = reader.map_err(FileError::io("read", file))? as u64;
        let head: Head = serde_json::from_slice(&line).map_err(|_| damaged())?;
        let mut contents = Vec::new();
        for kept in head.paths.iter().filter_map(|was| was.before.as_ref()) {
            let end = at.checked_add(kept.size as u64).filter(|end| *end <= size).ok_or_else(damaged)?;
            contents.push(Contents::on_disk(&open, at, kept.size));
            at = end;
        }
        if head.schema != 1 || at != size {
            return Err(damaged());
        }
        Ok(Self { file: file.to_owned(), head, contents })
    }

    /// What undoing this change would do.
    pub fn plan(self, root: &Directory) -> Result<Plan, Error> {
        let Self { file, head, contents } = self;
        let mut contents = contents.into_iter();
        let (mut operations, mut edited) = (Vec::new(), Vec::new());
        let now = root.read(head.paths.iter().map(|was| &was.path))?;
        for Was { path, before, after } in head.paths {
            let was = before.and_then(|kept| Some((contents.next()?, kept)));
            let mode = was.as_ref().map(|(_, kept)| kept.mode);
            let old = match was {
                None => None,
                Some((target, Kept { link: true, .. })) => {
                    let target = target.text().map(String::from);
                    Some(Entry::Link { target: target.ok_or_else(|| Error::Damaged { record: file.clone() })? })
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
