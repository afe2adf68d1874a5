//! What a forge's checks say about a commit: the statuses and pipelines that CI reports there.

use serde::Serialize;

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It says nothing against the commit.
    Passed,
    /// It is not done, or waits for somebody.
    Running,
    /// It is against it.
    Failed,
}

/// One check of a commit. Its name is whatever CI wrote: neutralise it before a terminal sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// How it stands.
    pub outcome: Outcome,
}
