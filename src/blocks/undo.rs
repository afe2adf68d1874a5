//! What a change replaced, kept so that the exact tree can be had again: contents, permission bits, links, directories.
//!
//! A record is written before its change is made. Whether the change was made at all, only the project tells: a record whose
//! files are all as they were before is of a change that never came to be, and counts for nothing.

mod record;
mod unfinished;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use unfinished::{TakenBack, Unfinished};

use super::transaction::{self, Directories, Operation, Transaction};
use crate::directory::Directory;
use crate::error::{Class, Fault, chain};
use crate::files::{self, FileError};
use crate::reference::Digest;
use crate::tree::{Entry, TreePath};
use record::Record;

/// How many changes of one project can be undone.
const KEPT: usize = 5;

/// The records of one project.
pub struct Undo {
    root: PathBuf,
    directory: PathBuf,
}

/// What is still to come once the files have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the change is complete.
    Nothing,
    /// The blocks' own commands.
    Commands,
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
    /// A change whose commands were cut off could not be taken back.
    #[error("the commands of the {what} were cut off, and it could not be taken back: {}", chain(source))]
    Stays {
        /// The change.
        what: String,
        /// Why not.
        source: Box<Error>,
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
            Self::Stays { source, .. } => source.class(),
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
            Self::Stays { .. } => Some("its files stay; this is not tried again by itself".to_owned()),
            Self::File(error) => error.hint(),
            Self::Transaction(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Stays { .. } => vec!["onramp update --undo".to_owned()],
            Self::File(error) => error.next(),
            Self::Transaction(error) => error.next(),
            Self::Nothing { .. } | Self::Edited { .. } | Self::Damaged { .. } => Vec::new(),
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
    /// Newer records, of changes that never came to be.
    stale: Vec<PathBuf>,
}

impl Undo {
    /// The records of the project at `root`, in onramp's state directory.
    pub fn of(state: &Path, root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let name = Digest::of(root.as_os_str().as_encoded_bytes());
        Self { directory: state.join("undo").join(&name.hex()[..32]), root }
    }

    /// Changes a project as all or nothing, and keeps what that replaces. `what` tells a person what is being done. Where
    /// commands are still to come, the change is unfinished until they have ended well.
    pub fn change(&self, what: &str, operations: Vec<Operation>, then: Then) -> Result<Option<Unfinished>, Error> {
        let transaction = Transaction::begin(&self.root, operations, &Directories::Emptied)?;
        let record = self.keep(what, &transaction)?;
        let file = record.file.clone();
        let unfinished = match then {
            Then::Nothing => {
                drop(record);
                None
            }
            Then::Commands => Some(Unfinished::begin(&self.root, record)?),
        };
        match transaction.apply() {
            Ok(()) => Ok(unfinished),
            Err(error) => {
                // Kept for nothing. Left there it does no harm: the project is as it was before.
                let _ = std::fs::remove_file(file);
                if let Some(unfinished) = unfinished {
                    unfinished.forget();
                }
                Err(error.into())
            }
        }
    }

    /// Keeps what a change is about to replace. Whoever changes has the turn on the project.
    fn keep(&self, what: &str, change: &Transaction) -> Result<Record, FileError> {
        let number = self.records()?.last().map_or(1, |(number, _)| number + 1);
        let record = Record::keep(self.directory.join(format!("{number:08}.undo")), what, change)?;
        for (_, old) in self.records()?.iter().rev().skip(KEPT) {
            std::fs::remove_file(old).map_err(FileError::io("remove", old))?;
        }
        Ok(record)
    }

    /// What undoing the last change would do. Changes nothing, not even the records of changes that never came to be.
    pub fn plan(&self) -> Result<Plan, Error> {
        let root = Directory::open(&self.root)?;
        let mut stale = Vec::new();
        for (_, file) in self.records()?.into_iter().rev() {
            let plan = Record::read(&file)?.plan(&root)?;
            if !plan.operations.is_empty() {
                return Ok(Plan { stale, ..plan });
            }
            stale.push(file);
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
        // The turn on the project is still held: what another onramp has kept meanwhile is none of these.
        for file in plan.stale.iter().chain([&plan.file]) {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::io("remove", file)(error).into());
                }
                _ => {}
            }
        }
        Ok(saved)
    }

    /// Copies the edited files of a plan into a new directory beside the records.
    fn save(&self, plan: &Plan) -> Result<PathBuf, FileError> {
        let directory = tempfile::Builder::new().prefix("edited-").tempdir_in(&self.directory);
        let directory = directory.map_err(FileError::io("create", &self.directory))?.keep();
        for operation in plan.operations.iter().filter(|operation| plan.edited.contains(&operation.path)) {
            let place = directory.join(operation.path.as_str());
            match &operation.before {
                Some(Entry::File { contents, .. }) => files::write(&place, &contents.bytes())?,
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

#[cfg(test)]
mod tests;
