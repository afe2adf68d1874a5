//! What an update replaced, kept so that the exact tree can be had again: contents, permission bits, links, directories.
//!
//! A record is written before its change is made. Whether the change was made at all, only the project tells: a record whose
//! files are all as they were before is of a change that never came to be, and is dropped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::transaction::{self, Directories, Operation, Transaction};
use crate::directory::Directory;
use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::reference::Digest;
use crate::tree::{Entry, TreePath};

/// How many changes of one project can be undone.
const KEPT: usize = 5;
/// The largest record, in bytes.
const CAP: u64 = 1024 * 1024 * 1024;

/// The records of one project.
pub struct Undo {
    root: PathBuf,
    directory: PathBuf,
}

/// What was changed, and what stood there before.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    file: PathBuf,
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

/// Why a change cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No record of a change that was made.
    #[error("there is no update of {} to undo", root.display())]
    Nothing {
        /// The project.
        root: PathBuf,
    },
    /// Files were edited since: undoing would lose that.
    #[error("edited since: {}", names(paths))]
    Edited {
        /// The files.
        paths: Vec<TreePath>,
    },
    /// A record is not what onramp writes.
    #[error("{} is damaged", record.display())]
    Damaged {
        /// The record.
        record: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The project could not be changed.
    #[error(transparent)]
    Transaction(#[from] transaction::Error),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Nothing { .. } => Class::Usage,
            Self::Edited { .. } => Class::Conflict,
            Self::Damaged { .. } => Class::Io,
            Self::File(error) => error.class(),
            Self::Transaction(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing { .. } => {
                Some(format!("the last {KEPT} updates that were made on this machine can be undone"))
            }
            Self::Edited { .. } => Some(
                "nothing was changed; with --force they are saved outside the project first, and then undone"
                    .to_owned(),
            ),
            Self::Damaged { .. } => Some("nothing was changed".to_owned()),
            Self::File(error) => error.hint(),
            Self::Transaction(error) => error.hint(),
        }
    }
}

fn names(paths: &[TreePath]) -> String {
    let mut names: Vec<&str> = paths.iter().take(10).map(TreePath::as_str).collect();
    if paths.len() > names.len() {
        names.push("…");
    }
    names.join(", ")
}

/// What undoing would do. Nothing is changed yet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is undone.
    pub what: String,
    /// When that was done.
    pub when: Timestamp,
    /// The paths that change, back to what they were.
    pub operations: Vec<Operation>,
    /// Files that somebody edited since.
    pub edited: Vec<TreePath>,
    directories: Directories,
    file: PathBuf,
}

impl Undo {
    /// The records of the project at `root`, in onramp's state directory.
    pub fn of(state: &Path, root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let name = Digest::of(root.as_os_str().as_encoded_bytes());
        Self { directory: state.join("undo").join(&name.hex()[..32]), root }
    }

    /// Keeps what a change is about to replace. `what` tells a person what is being done.
    pub fn keep(&self, what: &str, change: &Transaction) -> Result<Record, FileError> {
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
        let number = self.records()?.last().map_or(1, |(number, _)| number + 1);
        let file = self.directory.join(format!("{number:08}.undo"));
        let record = Record { file, head, contents: contents.into() };
        record.write()?;
        for (_, old) in self.records()?.iter().rev().skip(KEPT) {
            std::fs::remove_file(old).map_err(FileError::io("remove", old))?;
        }
        Ok(record)
    }

    /// What undoing the last change would do. Records of changes that never came to be are dropped.
    pub fn plan(&self) -> Result<Plan, Error> {
        let root = Directory::open(&self.root)?;
        for (_, file) in self.records()?.into_iter().rev() {
            let record = Record::read(&file)?;
            let plan = record.plan(&root)?;
            if plan.operations.is_empty() && plan.edited.is_empty() {
                std::fs::remove_file(&file).map_err(FileError::io("remove", &file))?;
                continue;
            }
            return Ok(plan);
        }
        Err(Error::Nothing { root: self.root.clone() })
    }

    /// Undoes a change. Files that were edited since are saved first, if `force` says so; where they are.
    pub fn apply(&self, plan: &Plan, force: bool) -> Result<Option<PathBuf>, Error> {
        if !plan.edited.is_empty() && !force {
            return Err(Error::Edited { paths: plan.edited.clone() });
        }
        let transaction = Transaction::begin(&self.root, plan.operations.clone(), &plan.directories)?;
        let saved = if plan.edited.is_empty() { None } else { Some(self.save(plan)?) };
        transaction.apply()?;
        std::fs::remove_file(&plan.file).map_err(FileError::io("remove", &plan.file))?;
        Ok(saved)
    }

    /// Copies the edited files of a plan into a new directory beside the records.
    fn save(&self, plan: &Plan) -> Result<PathBuf, FileError> {
        let directory = tempfile::Builder::new().prefix("edited-").tempdir_in(&self.directory);
        let directory = directory.map_err(FileError::io("create", &self.directory))?.keep();
        for operation in plan.operations.iter().filter(|operation| plan.edited.contains(&operation.path)) {
            let place = directory.join(operation.path.as_str());
            match &operation.before {
                Some(Entry::File { contents, .. }) => files::write(&place, contents)?,
                Some(Entry::Link { target }) => {
                    let parent = place.parent().unwrap_or(&directory);
                    std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
                    std::os::unix::fs::symlink(target, &place).map_err(FileError::io("create", &place))?;
                }
                None => {}
            }
        }
        Ok(directory)
    }

    /// The files of all records, the oldest first.
    fn records(&self) -> Result<Vec<(u64, PathBuf)>, FileError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::io("read", &self.directory)(error)),
        };
        let number = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".undo")?.parse().ok();
        let mut found: Vec<(u64, PathBuf)> =
            entries.flatten().filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
        found.sort();
        Ok(found)
    }
}

impl Record {
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

    fn read(file: &Path) -> Result<Self, Error> {
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
        Ok(Plan { what: head.what, when: head.when, operations, edited, directories, file })
    }
}

#[cfg(test)]
mod tests;
