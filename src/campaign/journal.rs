//! What a campaign did, written down repository by repository: the way on after a kill.
//!
//! One JSON document a line, appended and synced; a last line that was not written whole is not there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Target, Visit};
use crate::blocks::BlockId;
use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::reference::Digest;

/// The largest journal that is read, in bytes.
const CAP: u64 = 512 * 1024 * 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    schema: u32,
    block: String,
    content: Digest,
    repositories: Digest,
}

/// The journal of one campaign: of one version of a block and one list of repositories.
#[derive(Debug)]
pub struct Journal {
    /// Where it is.
    pub path: PathBuf,
    file: File,
    /// What was visited before this run, by repository.
    pub before: BTreeMap<String, Visit>,
}

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The campaign began before, and is not at its end.
    #[error("this campaign began before: {visited} of {all} repositories were visited")]
    Begun {
        /// How many.
        visited: usize,
        /// Of how many.
        all: usize,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Begun { .. } => Class::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Begun { .. } => Some("--resume goes on where it ended, --restart visits every one again".to_owned()),
        }
    }
}

/// What to do with what was visited before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Nothing was begun, or all of it is done.
    Fresh,
    /// Go on.
    Resume,
    /// Visit every one again.
    Restart,
}

/// What names a campaign: `php-web-1.2.0-1a2b3c4`.
pub fn id(block: &BlockId, targets: &[Target]) -> String {
    let digest = repositories(targets);
    let version = crate::text::slug(&block.version.to_string(), 40);
    format!("{}-{version}-{}", block.name, &digest.short()[..7])
}

fn repositories(targets: &[Target]) -> Digest {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    Digest::of(names.join("\n").as_bytes())
}

impl Journal {
    /// Begins a campaign's journal under the state directory, or goes on with it. A block that is not what it was makes it
    /// another campaign.
    pub fn open(
        state: &Path,
        block: &BlockId,
        content: &Digest,
        targets: &[Target],
        begin: Begin,
    ) -> Result<Self, Error> {
        let directory = state.join("campaigns");
        std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
        let path = directory.join(format!("{}.jsonl", id(block, targets)));
        let head =
            Head { schema: 1, block: block.to_string(), content: content.clone(), repositories: repositories(targets) };
        let mut before = match files::read(&path, CAP) {
            Ok(bytes) => read(&bytes, &head),
            Err(error) if error.is_not_found() => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        let open = targets.iter().filter(|target| !before.contains_key(&target.name)).count();
        match begin {
            Begin::Resume => {}
            Begin::Fresh if before.is_empty() || open == 0 => before.clear(),
            Begin::Fresh => return Err(Error::Begun { visited: before.len(), all: targets.len() }),
            Begin::Restart => before.clear(),
        }
        // Written anew: what was torn is gone, and what is gone on with stands right behind the first line.
        let mut text = line(&head);
        for visit in before.values() {
            text.push_str(&line(visit));
        }
        files::write(&path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(FileError::io("write", &path))?;
        Ok(Self { path, file, before })
    }

    /// Writes down what came of a repository. When this returns it will be known after any crash.
    pub fn write(&mut self, visit: &Visit) -> Result<(), FileError> {
        let text = line(visit);
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(FileError::io("write", &self.path))
    }
}

fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("a journal is plain data");
    text.push('\n');
    text
}

/// The visits of a journal with this head, each repository's last one. What failed is visited again.
fn read(bytes: &[u8], head: &Head) -> BTreeMap<String, Visit> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let first = lines.next().and_then(|line| serde_json::from_slice::<Head>(line).ok());
    if first.as_ref() != Some(head) {
        return BTreeMap::new();
    }
    let visits = lines.filter_map(|line| serde_json::from_slice::<Visit>(line).ok());
    let mut visits: BTreeMap<String, Visit> = visits.map(|visit| (visit.repository.clone(), visit)).collect();
    visits.retain(|_, visit| !matches!(visit.outcome, super::Outcome::Failed { .. }));
    visits
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, Place};
    use super::*;

    #[test]
    fn a_campaign_goes_on_where_it_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let block = BlockId {
            name: "web".parse().unwrap(),
            version: "1.1.0".to_owned().into(),
            source: "/c.git".into(),
            commit: "c".into(),
            asked: "web".into(),
            described: String::new(),
        };
        let content = Digest::of(b"x");
        let targets: Vec<Target> =
            ["a", "b", "c"].map(|name| Target { name: name.to_owned(), place: Place::Directory(name.into()) }).into();
        let open = |begin| Journal::open(dir.path(), &block, &content, &targets, begin);
        let visit = |name: &str, outcome| Visit { repository: name.to_owned(), wave: 1, outcome };
        let mut journal = open(Begin::Fresh).unwrap();
        journal.write(&visit("a", Outcome::Current)).unwrap();
        journal.write(&visit("b", Outcome::Failed { message: "full".into() })).unwrap();
        // Killed while it wrote.
        journal.file.write_all(b"{\"repository\":\"c\",\"wave\":1,\"outc").unwrap();
        let path = journal.path.clone();
        drop(journal);
        assert!(matches!(open(Begin::Fresh), Err(Error::Begun { visited: 1, all: 3 })));
        let mut journal = open(Begin::Resume).unwrap();
        assert_eq!(journal.before.keys().collect::<Vec<_>>(), ["a"], "what failed is tried again");
        for name in ["b", "c"] {
            journal.write(&visit(name, Outcome::Without)).unwrap();
        }
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
        assert!(open(Begin::Resume).unwrap().before.len() == 3);
        assert!(open(Begin::Fresh).unwrap().before.is_empty(), "it was at its end");
        let other = Digest::of(b"y");
        assert!(Journal::open(dir.path(), &block, &other, &targets, Begin::Resume).unwrap().before.is_empty());
    }
}
