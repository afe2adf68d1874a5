//! How tests went.

use std::path::PathBuf;

use serde::Serialize;

use super::report::Case;
use crate::name::Name;

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The test.
    pub test: Name,
    /// Whether it passed, a flaky one too.
    pub passed: bool,
    /// The same in more words.
    pub result: Ending,
    /// Its last run; nothing was run of a test that was skipped.
    #[serde(flatten)]
    pub last: Attempt,
    /// The runs before that, all red.
    pub earlier: Vec<Attempt>,
    /// The directory with what it left behind; none where it says nothing of that.
    pub artifacts: Option<PathBuf>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The first run of it was green.
    Passed,
    /// A later run of it was green, after red ones.
    Flaky,
    /// Every run of it was red.
    Failed,
    /// A test that it needs did not pass.
    Skipped,
}

/// One run of a test's program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Why it did not pass: `exit code 1`, `timed out after 2m`.
    pub reason: Option<String>,
    /// What its program ended with; none where it was ended, or never ran.
    pub exit_code: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it wrote, both streams, as text; the first mebibyte.
    pub output: String,
    /// The cases of its report.
    pub cases: Vec<Case>,
}

impl Outcome {
    /// Of a test that ran.
    pub fn ran(test: &Name, last: Attempt, earlier: Vec<Attempt>) -> Self {
        let result = match (&last.reason, earlier.is_empty()) {
            (None, true) => Ending::Passed,
            (None, false) => Ending::Flaky,
            (Some(_), _) => Ending::Failed,
        };
        Self { test: test.clone(), passed: last.reason.is_none(), result, last, earlier, artifacts: None }
    }

    /// Of a test that needs one which did not pass.
    pub fn skipped(test: &Name, need: &Name) -> Self {
        let last = Attempt { reason: Some(format!("{need} did not pass")), ..Attempt::default() };
        let (result, earlier) = (Ending::Skipped, Vec::new());
        Self { test: test.clone(), passed: false, result, last, earlier, artifacts: None }
    }

    /// How long all of its runs took, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.earlier.iter().map(|attempt| attempt.duration_ms).sum::<u64>() + self.last.duration_ms
    }
}
