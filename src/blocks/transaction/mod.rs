//! Changes to a project's files, all of them or none: whatever fails, whenever the process dies.
//!
//! Everything new is written and synced beside the project first; only then a journal says what will be moved where. From
//! the journal on, a failure puts everything back, and so does the next onramp in the project if this one is killed. What
//! was there is kept until the last file is in place.

mod error;
mod journal;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::Path;

pub use error::Error;
pub use journal::Recovered;

use crate::directory::{Directory, Facts, Found, Parent};
use crate::files::FileError;
use crate::merge::Change;
use crate::tree::{Entry, TreePath};
use crate::turn::Lock;
use journal::{Journal, Move};
use place::Staging;

/// One path that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Where.
    pub path: TreePath,
    /// What must stand there; none: nothing.
    pub before: Option<Entry>,
    /// What will stand there; none: nothing.
    pub after: Option<Entry>,
    /// Its permission bits, where they are known: of a file that comes back. Else those of the file that it replaces, or
    /// what the umask leaves.
    pub mode: Option<u32>,
}

impl From<Change> for Operation {
    fn from(Change { path, before, after }: Change) -> Self {
        Self { path, before, after, mode: None }
    }
}

/// What becomes of directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Directories {
    /// Those that are emptied go.
    #[default]
    Emptied,
    /// Exactly these go, if they are empty, and these come back, with these permission bits.
    Exactly {
        /// Those that go.
        gone: BTreeSet<TreePath>,
        /// Those that come back.
        back: BTreeMap<TreePath, u32>,
    },
}

/// Changes that were checked against the project, which nobody else changes meanwhile. Dropped, it has changed nothing.
pub struct Transaction {
    root: Directory,
    operations: Vec<Operation>,
    journal: Journal,
    /// Of each operation, what the file that it replaces has.
    facts: Vec<Option<Facts>>,
    /// Directories that make room for a file of their name, the deepest first.
    room: Vec<TreePath>,
    _turn: Option<Lock>,
}

/// One step. All that may be half-done lies between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Write what is new at this operation, aside.
    Stage(usize),
    /// Have everything staged on the disk, and say what will be moved.
    Journal,
    /// Move what goes at this operation aside.
    Take(usize),
    /// Remove a directory that makes room for a file.
    Room(usize),
    /// Make a directory that is missing.
    Make(usize),
    /// Put what is new at this operation in its place.
    Put(usize),
    /// Have the moves on the disk.
    Sync,
    /// All is in place.
    Done,
    /// Remove emptied directories, and what was kept aside.
    Tidy,
}

impl Transaction {
    /// Checks changes against a project and takes the turn on it. What a killed onramp left is put right first.
    pub fn begin(root: &Path, operations: Vec<Operation>, directories: &Directories) -> Result<Self, Error> {
        let root = Directory::open(root)?;
        let turn = take_turn(&root)?;
        if let Some(staging) = Staging::find(&root)? {
            journal::put_right(&root, &staging)?;
        }
        let mut operations: Vec<Operation> = operations.into_iter().filter(|o| o.before != o.after).collect();
        operations.sort_by(|one, other| one.path.cmp(&other.path));
        let mut transaction =
            Self { root, facts: Vec::new(), journal: Journal::default(), operations, room: Vec::new(), _turn: turn };
        transaction.check()?;
        transaction.plan_directories(directories)?;
        Ok(transaction)
    }

    /// Puts right what a killed onramp left in a project. Costs nothing where there is nothing.
    pub fn recover(root: &Path) -> Result<Option<Recovered>, Error> {
        let root = Directory::open(root)?;
        if Staging::find(&root)?.is_none() {
            return Ok(None);
        }
        let _turn = take_turn(&root)?;
        // Its owner may have ended well meanwhile.
        let Some(staging) = Staging::find(&root)? else { return Ok(None) };
        journal::put_right(&root, &staging)
    }

    /// What changes, by path.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Directories that will be made, the topmost first.
    pub fn made(&self) -> &[TreePath] {
        &self.journal.made
    }

    /// The directories from which something goes, with their permission bits, the topmost first.
    pub fn parents(&self) -> &[(TreePath, u32)] {
        &self.journal.parents
    }

    /// Of each operation, the permission bits of what stands there now.
    pub fn modes(&self) -> impl Iterator<Item = Option<u32>> {
        self.facts.iter().map(|facts| facts.map(|facts| facts.mode))
    }

    /// Changes the project. On an error it is as it was. The turn is held until this is dropped.
    pub fn apply(&self) -> Result<(), Error> {
        if self.operations.is_empty() {
            return Ok(());
        }
        let staging = Staging::create(&self.root)?;
        for step in self.steps() {
            if let Err(error) = self.run(step, &staging) {
                return Err(match journal::put_right(&self.root, &staging) {
                    // All was in place when it failed, so it was brought to its end.
                    Ok(Some(recovered)) if recovered.completed => return Ok(()),
                    Ok(_) => error,
                    Err(second) => Error::Stuck { first: Box::new(error), second: Box::new(second) },
                });
            }
        }
        Ok(())
    }

    /// Everything that is to be done, in order.
    fn steps(&self) -> Vec<Step> {
        let which = |wanted: fn(&Operation) -> bool| {
            let operations = self.operations.iter().enumerate();
            operations.filter(move |(_, operation)| wanted(operation)).map(|(index, _)| index)
        };
        let coming = || which(|operation| operation.after.is_some());
        let going = which(|operation| operation.after.is_none());
        let mut steps: Vec<Step> = coming().map(Step::Stage).collect();
        steps.push(Step::Journal);
        steps.extend(going.map(Step::Take));
        steps.extend((0..self.room.len()).map(Step::Room));
        steps.extend((0..self.journal.made.len()).map(Step::Make));
        steps.extend(coming().map(Step::Put));
        steps.extend([Step::Sync, Step::Done, Step::Tidy]);
        steps
    }

    fn run(&self, step: Step, staging: &Staging) -> Result<(), Error> {
        match step {
            Step::Stage(index) => {
                let operation = &self.operations[index];
                let replaced = self.facts[index];
                Ok(staging.write(index, operation, replaced).map_err(self.io("write", &operation.path))?)
            }
            Step::Journal => Ok(staging.begin(&self.journal)?),
            Step::Take(index) => {
                let Operation { path, before, .. } = &self.operations[index];
                let take = |at| staging.take(index, &at, path, before.as_ref());
                Ok(self.parent(path)?.and_then(take).map_err(self.io("remove", path))?)
            }
            Step::Room(index) => {
                let path = &self.room[index];
                Ok(self
                    .parent(path)?
                    .and_then(|at| place::remove_directory(&at, path))
                    .map_err(self.io("remove", path))?)
            }
            Step::Make(index) => {
                let path = &self.journal.made[index];
                let mode = self.journal.parents.iter().find(|(known, _)| known == path).map(|(_, mode)| *mode);
                Ok(self
                    .parent(path)?
                    .and_then(|at| place::make_directory(&at, path, mode))
                    .map_err(self.io("create", path))?)
            }
            Step::Put(index) => {
                let Operation { path, before, .. } = &self.operations[index];
                let put = |at| match before {
                    Some(_) => staging.replace(index, &at, path, before.as_ref()),
                    None => staging.put(index, &at, path),
                };
                Ok(self.parent(path)?.and_then(put).map_err(self.io("write", path))?)
            }
            Step::Sync => Ok(journal::sync(&self.root, staging, &self.journal)?),
            Step::Done => Ok(staging.done()?),
            Step::Tidy => {
                journal::tidy(&self.root, staging, &self.journal);
                Ok(())
            }
        }
    }

    /// The open directory of a path, or the reason why it cannot be opened, said of the path.
    fn parent(&self, path: &TreePath) -> Result<std::io::Result<std::os::fd::OwnedFd>, Error> {
        Ok(match self.root.parent(path)? {
            Parent::There(handle) => Ok(handle),
            Parent::Missing(_) | Parent::Blocked(_) => {
                Err(std::io::Error::other("its directory was changed meanwhile"))
            }
        })
    }

    fn io(&self, verb: &'static str, path: &TreePath) -> impl FnOnce(std::io::Error) -> FileError + use<> {
        FileError::io(verb, &self.root.place(path))
    }

    /// Whether everything is still as it was when the changes were planned, and no link leads out of the project.
    fn check(&mut self) -> Result<(), Error> {
        let going: BTreeSet<&TreePath> =
            self.operations.iter().filter(|o| o.after.is_none()).map(|o| &o.path).collect();
        let changed = |path: &TreePath| Error::Changed { path: path.clone() };
        let count = self.operations.len();
        let (mut made, mut facts, mut moves) = (BTreeSet::new(), Vec::with_capacity(count), Vec::with_capacity(count));
        for operation in &self.operations {
            let Operation { path, before, after, .. } = operation;
            path.check().map_err(|why| Error::Refused { path: path.clone(), why })?;
            if path.names().next() == Some(place::BESIDE) {
                return Err(Error::Refused { path: path.clone(), why: crate::tree::BadPath::Outside });
            }
            let standing = match self.root.parent(path)? {
                Parent::There(at) => crate::directory::find(&at, path.file_name()).map_err(self.io("read", path))?,
                Parent::Missing(top) => {
                    made.extend(directories_between(&top, path));
                    Found::Nothing
                }
                Parent::Blocked(at) if going.contains(&at) => {
                    made.extend(directories_between(&at, path));
                    Found::Nothing
                }
                Parent::Blocked(at) => match self.root.find(&at)? {
                    Found::Entry(Entry::Link { .. }, _) => return Err(Error::Link { path: path.clone(), link: at }),
                    _ => return Err(changed(path)),
                },
            };
            match (before, standing) {
                (Some(before), Found::Entry(now, known)) if *before == now => facts.push(Some(known)),
                (None, Found::Nothing) => facts.push(None),
                (None, Found::Directory) if going.iter().any(|gone| is_under(gone, path)) => facts.push(None),
                _ => return Err(changed(path)),
            }
            let digest = |entry: &Option<Entry>| entry.as_ref().map(Entry::digest);
            moves.push(Move { path: path.clone(), before: digest(before), after: digest(after) });
        }
        self.journal.made = made.into_iter().collect();
        (self.facts, self.journal.moves) = (facts, moves);
        Ok(())
    }

    /// Which directories lose something, which make room, and which may go in the end.
    fn plan_directories(&mut self, directories: &Directories) -> Result<(), Error> {
        let going = || self.operations.iter().filter(|operation| operation.after.is_none());
        let losing: BTreeSet<TreePath> = going().flat_map(|operation| ancestors(&operation.path)).collect();
        let mut parents = BTreeMap::new();
        for path in &losing {
            if let Some(mode) = self.root.mode(path)? {
                parents.insert(path.clone(), mode);
            }
        }
        let arriving: BTreeSet<&TreePath> =
            self.operations.iter().filter(|operation| operation.after.is_some()).map(|o| &o.path).collect();
        // A file that comes in the place of a directory needs that one gone, and all that were in it.
        let room: BTreeSet<TreePath> = losing
            .iter()
            .filter(|losing| arriving.contains(losing) || ancestors(losing).iter().any(|a| arriving.contains(a)))
            .cloned()
            .collect();
        let gone = match directories {
            Directories::Emptied => losing.difference(&room).cloned().collect(),
            Directories::Exactly { gone, back } => {
                for (path, mode) in back {
                    parents.entry(path.clone()).or_insert(*mode);
                    if let (Parent::Missing(_) | Parent::There(_), Found::Nothing) =
                        (self.root.parent(path)?, self.root.find(path)?)
                    {
                        self.journal.made.push(path.clone());
                    }
                }
                self.journal.made.sort();
                self.journal.made.dedup();
                gone.clone()
            }
        };
        self.journal.parents = parents.into_iter().collect();
        self.journal.gone = gone.into_iter().rev().collect();
        self.room = room.into_iter().rev().collect();
        Ok(())
    }
}

/// The turn on a project's directory; none where its file system knows no locks.
fn take_turn(root: &Directory) -> Result<Option<Lock>, Error> {
    let file = File::open(root.path()).map_err(FileError::io("open", root.path()))?;
    match Lock::take(file) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, TryLockError::WouldBlock)) => Err(Error::Busy { root: root.path().to_owned() }),
        Err((_, TryLockError::Error(_))) => Ok(None),
    }
}

/// The directories above a path, the topmost first.
fn ancestors(path: &TreePath) -> Vec<TreePath> {
    let mut above: Vec<TreePath> = std::iter::successors(path.parent(), TreePath::parent).collect();
    above.reverse();
    above
}

/// From the topmost missing directory down to a path's own.
fn directories_between(top: &TreePath, path: &TreePath) -> Vec<TreePath> {
    ancestors(path).into_iter().filter(|above| above == top || is_under(above, top)).collect()
}

/// Whether a path lies in a directory.
fn is_under(path: &TreePath, directory: &TreePath) -> bool {
    path.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
