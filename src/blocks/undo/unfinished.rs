//! A change whose blocks' own commands have not all ended well: it is no change yet. A mark says so from before its first
//! file moves; its onramp holds the mark locked. One that nobody holds is of an onramp that died, and the next one takes
//! the change back.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::record::Record;
use super::{Error, Undo};
use crate::blocks::transaction::{self, Transaction};
use crate::directory::Directory;
use crate::files::FileError;
use crate::turn::Lock;

/// What the names of marks end with; what stands before it is their record's.
const MARK: &str = "unfinished";

/// A change whose commands are still to run, or run. Dropped, it stays unfinished: the next onramp takes it back.
pub struct Unfinished {
    root: PathBuf,
    record: Record,
    mark: PathBuf,
    /// None where the file system knows no locks. Nobody can tell then whether its onramp lives, so there is no mark.
    _alive: Option<Lock>,
}

/// A change that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// What was done.
    pub what: String,
    /// Where files are that were changed since: by its commands, or by a person.
    pub saved: Option<PathBuf>,
}

impl Unfinished {
    /// Marks a change that is about to be made.
    pub(super) fn begin(root: &Path, record: Record) -> Result<Self, FileError> {
        let mark = record.file.with_extension(MARK);
        let directory = mark.parent().unwrap_or(Path::new("/"));
        // Nobody sees it before it is locked.
        let made = tempfile::NamedTempFile::new_in(directory).map_err(FileError::io("create", directory))?;
        let open = made.reopen().map_err(FileError::io("open", made.path()))?;
        let alive = Lock::wait(open).ok();
        if alive.is_some() {
            made.persist(&mark).map_err(|error| FileError::io("create", &mark)(error.error))?;
        }
        Ok(Self { root: root.to_owned(), record, mark, _alive: alive })
    }

    /// Its commands ended well. What they made of its files is part of it.
    pub fn finish(mut self) -> Result<(), FileError> {
        let settled = self.record.settle(&self.root);
        self.forget();
        settled
    }

    /// Makes the project what it was before. Files that were changed since are saved first.
    pub fn take_back(self, undo: &Undo) -> Result<TakenBack, Error> {
        let plan = self.record.clone().plan(&Directory::open(&self.root)?)?;
        let saved = if plan.operations.is_empty() { None } else { undo.apply(&plan, true)? };
        self.forget();
        Ok(TakenBack { what: plan.what, saved })
    }

    /// It is not unfinished any more.
    pub(super) fn forget(self) {
        let _ = std::fs::remove_file(&self.mark);
    }
}

impl Undo {
    /// Takes back, the last one first, what onramps that died left unfinished. Costs nothing where there is nothing.
    pub fn recover(&self) -> Result<Vec<TakenBack>, Error> {
        let mut taken = Vec::new();
        for mark in self.marks()? {
            let Ok(file) = File::open(&mark) else { continue };
            // Its onramp lives, or another one takes it back.
            let Ok(_mine) = Lock::take(file) else { continue };
            if !mark.exists() {
                continue;
            }
            taken.extend(self.recover_one(&mark)?);
        }
        Ok(taken)
    }

    fn recover_one(&self, mark: &Path) -> Result<Option<TakenBack>, Error> {
        // Whoever is at work there is not disturbed: its change may build on this one.
        drop(Transaction::begin(&self.root, Vec::new(), &super::Directories::Emptied)?);
        let record = match Record::read(&mark.with_extension("undo")) {
            Err(Error::File(error)) if error.is_not_found() => Ok(None),
            read => read.map(Some),
        };
        let what = record.as_ref().ok().and_then(Option::as_ref).map_or("last change", Record::what).to_owned();
        let taken = record.and_then(|record| record.map_or(Ok(None), |record| self.take_back(record)));
        if matches!(taken, Err(Error::Transaction(transaction::Error::Busy { .. }))) {
            return taken;
        }
        // What could not be taken back once is a person's: a project is not blocked by it for ever.
        std::fs::remove_file(mark).map_err(FileError::io("remove", mark))?;
        taken.map_err(|source| Error::Stays { what, source: Box::new(source) })
    }

    /// None where the change was not made before its onramp died.
    fn take_back(&self, record: Record) -> Result<Option<TakenBack>, Error> {
        let plan = record.plan(&Directory::open(&self.root)?)?;
        if plan.operations.is_empty() {
            return Ok(None);
        }
        let saved = self.apply(&plan, true)?;
        Ok(Some(TakenBack { what: plan.what, saved }))
    }

    /// The marks, the newest first.
    fn marks(&self) -> Result<Vec<PathBuf>, FileError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::io("read", &self.directory)(error)),
        };
        let marked = |path: &PathBuf| path.extension().is_some_and(|end| end == MARK);
        let mut marks: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(marked).collect();
        marks.sort();
        marks.reverse();
        Ok(marks)
    }
}
