//! What `onramp test` found, kept with the fingerprint of the code it ran on, for `onramp deploy` to tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::Digest;

/// The latest test results of a project directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The code that was tested.
    pub fingerprint: Digest,
    /// The environment that the sandbox was made from.
    pub environment: Name,
    /// The state repository's commit at that time.
    pub state_commit: Option<Commit>,
    /// Whether each test passed.
    pub tests: BTreeMap<Name, bool>,
    /// Parity at that time, one line.
    pub parity: String,
}

impl Record {
    /// The record of a project directory, if it is about the code that stands there now.
    pub fn find(state: &Path, root: &Path) -> Result<Option<Self>, FileError> {
        let text = match files::read_text(&place(state, root), crate::document::CAP) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = super::source::fingerprint(root)?;
        // A record that cannot be read is one that an older onramp wrote, or nobody: no evidence either way.
        Ok(serde_json::from_str(&text).ok().filter(|record: &Self| record.fingerprint == now))
    }

    /// Keeps this record; one about the same code gains this one's tests.
    pub fn keep(mut self, state: &Path, root: &Path) -> Result<(), FileError> {
        if let Some(before) = Self::find(state, root)?
            && before.environment == self.environment
            && before.state_commit == self.state_commit
        {
            for (test, passed) in before.tests {
                self.tests.entry(test).or_insert(passed);
            }
        }
        let text = serde_json::to_string_pretty(&self).expect("a record is plain data");
        files::write(&place(state, root), text.as_bytes())
    }
}

fn place(state: &Path, root: &Path) -> PathBuf {
    let key = Digest::of(root.as_os_str().as_encoded_bytes());
    state.join("records").join(format!("{}.json", key.short()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_only_for_the_code_it_was_made_on() {
        let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let record = |test: &str, passed| Record {
            fingerprint: super::super::source::fingerprint(root.path()).unwrap(),
            environment: "production".parse().unwrap(),
            state_commit: None,
            tests: [(test.parse().unwrap(), passed)].into(),
            parity: String::new(),
        };
        std::fs::write(root.path().join("a"), "1").unwrap();
        record("unit", true).keep(state.path(), root.path()).unwrap();
        record("smoke", false).keep(state.path(), root.path()).unwrap();
        let found = Record::find(state.path(), root.path()).unwrap().unwrap();
        assert_eq!(found.tests.len(), 2, "tests of the same code add up");
        std::fs::write(root.path().join("a"), "2").unwrap();
        assert_eq!(Record::find(state.path(), root.path()).unwrap(), None);
    }
}
