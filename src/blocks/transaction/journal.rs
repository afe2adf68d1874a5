//! What will be moved where, and how a change that did not come to its end is taken back.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::Error;
use super::place::{self, Left, Staging};
use crate::directory::{self, Directory, Found, Parent};
use crate::files::FileError;
use crate::tree::{FileDigest, TreePath};

/// What will be moved where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    /// The moves; what is set aside for one has its index in its name.
    pub moves: Vec<Move>,
    /// Directories that are made, the topmost first.
    pub made: Vec<TreePath>,
    /// Directories from which something goes, with their permission bits, the topmost first.
    pub parents: Vec<(TreePath, u32)>,
    /// Directories that go in the end if they are empty, the deepest first.
    pub gone: Vec<TreePath>,
}

impl Journal {
    /// Every path that it names.
    pub fn paths(&self) -> impl Iterator<Item = &TreePath> {
        let moves = self.moves.iter().map(|change| &change.path);
        moves.chain(&self.made).chain(&self.gone).chain(self.parents.iter().map(|(path, _)| path))
    }
}

/// One path that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    pub path: TreePath,
    pub before: Option<FileDigest>,
    pub after: Option<FileDigest>,
}

/// What was put right after an onramp that was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Whether all was in place already; else everything is as it was before.
    pub completed: bool,
    /// Files that somebody changed since: they stay as they are, and what stood there before is beside them, under this
    /// second name.
    pub beside: Vec<(TreePath, String)>,
}

/// Puts right what is left in the staging directory: back to how it was, or, if all is in place, forward.
pub(super) fn put_right(root: &Directory, staging: &Staging) -> Result<Option<Recovered>, Error> {
    let recovered = match staging.left()? {
        Left::Nothing => None,
        Left::Begun(journal) => Some(take_back(root, staging, &journal)?),
        Left::Done(journal) => {
            remove_emptied(root, &journal);
            Some(Recovered { completed: true, beside: Vec::new() })
        }
    };
    staging.remove();
    Ok(recovered)
}

/// Removes directories that are empty now, and the staging directory. What cannot be removed does no harm.
pub(super) fn tidy(root: &Directory, staging: &Staging, journal: &Journal) {
    remove_emptied(root, journal);
    staging.remove();
}

fn remove_emptied(root: &Directory, journal: &Journal) {
    for path in &journal.gone {
        if let Ok(Parent::There(at)) = root.parent(path) {
            let _ = place::remove_directory(&at, path);
        }
    }
}

/// Has every moved name on the disk.
pub(super) fn sync(root: &Directory, staging: &Staging, journal: &Journal) -> Result<(), FileError> {
    let mut seen = BTreeSet::new();
    let made = journal.made.iter().map(|made| (made, made.parent()));
    for (path, parent) in journal.moves.iter().map(|change| (&change.path, change.path.parent())).chain(made) {
        if seen.insert(parent)
            && let Parent::There(at) = root.parent(path)?
        {
            place::flush(&at, &root.place(path))?;
        }
    }
    staging.flush().map_err(FileError::io("write", root.path()))
}

/// Takes every move back, the last one first. It can be repeated from wherever it was interrupted itself.
pub(super) fn take_back(root: &Directory, staging: &Staging, journal: &Journal) -> Result<Recovered, Error> {
    let mut recovered = Recovered::default();
    let mut give = |index: usize, change: &Move, at: &OwnedFd, found: Found| -> io::Result<()> {
        let path = &change.path;
        let name = path.file_name();
        let digest = match &found {
            Found::Nothing => return staging.give_back(index, at, name),
            Found::Directory => None,
            Found::Entry(entry, _) => Some(entry.digest()),
        };
        if digest == change.before {
            return Ok(());
        }
        if digest.is_some() && digest == change.after {
            return staging.give_back(index, at, name);
        }
        // Somebody worked on it meanwhile: both are kept.
        let beside = free_name(at, name)?;
        staging.give_back(index, at, &beside)?;
        let whole = path.parent().map_or(beside.clone(), |parent| format!("{parent}/{beside}"));
        recovered.beside.push((path.clone(), whole));
        Ok(())
    };
    for (index, change) in journal.moves.iter().enumerate().rev().filter(|(_, change)| change.after.is_some()) {
        let Parent::There(at) = root.parent(&change.path)? else { continue };
        let failed = FileError::io("put back", &root.place(&change.path));
        let mut back = || -> io::Result<()> {
            let found = directory::find(&at, change.path.file_name())?;
            let put = !staging.has_new(index);
            match found {
                // Where nothing was put, nothing was replaced: what stands there is the project's.
                Found::Nothing if staging.has_old(index) => staging.give_back(index, &at, change.path.file_name()),
                found if put && staging.has_old(index) => give(index, change, &at, found),
                Found::Entry(entry, _) if put && change.before.is_none() && Some(entry.digest()) == change.after => {
                    place::remove_file(&at, &change.path)
                }
                _ => Ok(()),
            }
        };
        back().map_err(failed)?;
    }
    for path in journal.made.iter().rev() {
        // One that somebody uses by now stays.
        if let Parent::There(at) = root.parent(path)? {
            let _ = place::remove_directory(&at, path);
        }
    }
    for (path, mode) in &journal.parents {
        if let Parent::There(at) = root.parent(path)?
            && matches!(directory::find(&at, path.file_name()), Ok(Found::Nothing))
            && !journal.made.contains(path)
        {
            let made = place::make_directory(&at, path, Some(*mode));
            made.map_err(FileError::io("put back", &root.place(path)))?;
        }
    }
    for (index, change) in journal.moves.iter().enumerate().filter(|(_, change)| change.after.is_none()) {
        if staging.has_old(index)
            && let Parent::There(at) = root.parent(&change.path)?
        {
            let found = directory::find(&at, change.path.file_name());
            let back = found.and_then(|found| give(index, change, &at, found));
            back.map_err(FileError::io("put back", &root.place(&change.path)))?;
        }
    }
    Ok(recovered)
}

/// A name beside a file that nothing has.
fn free_name(at: &OwnedFd, name: &str) -> io::Result<String> {
    // As long as a name may be at most, at the cost of its own end.
    let mut stem = name;
    while stem.len() > 230 {
        stem = &stem[..stem.floor_char_boundary(stem.len() - 1)];
    }
    for number in 1.. {
        let candidate = if number == 1 { format!("{stem}.before") } else { format!("{stem}.before-{number}") };
        if matches!(directory::find(at, &candidate)?, Found::Nothing) {
            return Ok(candidate);
        }
    }
    unreachable!("a directory holds less than every number")
}
