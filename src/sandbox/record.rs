//! What `onramp test` found, kept with the fingerprint of the code it ran on, for `onramp deploy` to tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::Digest;
use crate::sandbox::parity::Summary;

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
    /// Parity at that time.
    pub parity: Summary,
    /// What of other apps was mixed in: then it says nothing of what the environment runs.
    #[serde(default)]
    pub with: Vec<String>,
}

impl Record {
    /// The record of a project directory, if it is about the code that stands there now: of tests against what an environment
    /// runs.
    pub fn find(state: &Path, root: &Path) -> Result<Option<Self>, FileError> {
        Ok(Self::read(&place(state, root), root)?.filter(|record| record.with.is_empty()))
    }

    /// The same of tests with other apps' changes mixed in.
    pub fn find_mixed(state: &Path, root: &Path) -> Result<Option<Self>, FileError> {
        Ok(Self::read(&place_of_mixed(state, root), root)?.filter(|record| !record.with.is_empty()))
    }

    fn read(place: &Path, root: &Path) -> Result<Option<Self>, FileError> {
        let text = match files::read_text(place, crate::document::CAP) {
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
        let place = if self.with.is_empty() { place(state, root) } else { place_of_mixed(state, root) };
        if let Some(before) = Self::read(&place, root)?
            && before.with == self.with
            && before.environment == self.environment
            && before.state_commit == self.state_commit
        {
            for (test, passed) in before.tests {
                self.tests.entry(test).or_insert(passed);
            }
        }
        let text = serde_json::to_string_pretty(&self).expect("a record is plain data");
        files::write(&place, text.as_bytes())
    }
}

fn place_of_mixed(state: &Path, root: &Path) -> PathBuf {
    place(state, root).with_extension("mixed.json")
}

fn place(state: &Path, root: &Path) -> PathBuf {
    let key = Digest::of(root.as_os_str().as_encoded_bytes());
    state.join("records").join(format!("{}.json", key.short()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::parity::Score;
    use crate::sandbox::plan::EnvironmentAt;

    fn parity() -> Summary {
        let environment = EnvironmentAt { environment: "production".parse().unwrap(), commit: None };
        let score = Score { percent: Some(75), equal: 3, overridden: 1, ..Score::default() };
        Summary {
            environment,
            services: 2,
            at_digests: 1,
            score,
            others: vec!["shop/web: built from your code".into()],
        }
    }

    #[test]
    fn a_record_of_an_older_onramp_is_no_evidence() {
        let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fingerprint = super::super::source::fingerprint(root.path()).unwrap();
        let mut record = serde_json::json!({
            "fingerprint": fingerprint, "environment": "production", "state_commit": null, "tests": { "unit": true },
            "parity": "parity with production: 1 of 2 services at its digests",
        });
        let mut find = |parity: Option<serde_json::Value>| {
            if let Some(parity) = parity {
                record["parity"] = parity;
            }
            files::write(&place(state.path(), root.path()), record.to_string().as_bytes()).unwrap();
            Record::find(state.path(), root.path()).unwrap().map(|record| record.parity)
        };
        assert_eq!(find(None), None);
        assert_eq!(find(Some(serde_json::to_value(parity()).unwrap())), Some(parity()));
    }

    #[test]
    fn a_record_counts_only_for_the_code_it_was_made_on() {
        let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let record = |test: &str, passed| Record {
            fingerprint: super::super::source::fingerprint(root.path()).unwrap(),
            environment: "production".parse().unwrap(),
            state_commit: None,
            tests: [(test.parse().unwrap(), passed)].into(),
            parity: parity(),
            with: Vec::new(),
        };
        std::fs::write(root.path().join("a"), "1").unwrap();
        record("unit", true).keep(state.path(), root.path()).unwrap();
        record("smoke", false).keep(state.path(), root.path()).unwrap();
        let found = Record::find(state.path(), root.path()).unwrap().unwrap();
        assert_eq!(found.tests.len(), 2, "tests of the same code add up");
        let mixed = Record { with: vec!["auth=pr:1 (1a2b3c4)".into()], ..record("mixed", true) };
        mixed.keep(state.path(), root.path()).unwrap();
        let found = Record::find(state.path(), root.path()).unwrap().unwrap();
        assert_eq!(found.tests.len(), 2, "tests of a mix say nothing of what an environment runs");
        let found = Record::find_mixed(state.path(), root.path()).unwrap().unwrap();
        assert_eq!(found.tests.len(), 1);
        std::fs::write(root.path().join("a"), "2").unwrap();
        assert_eq!(Record::find(state.path(), root.path()).unwrap(), None);
    }
}
