//! Checks of a machine: each looks at one thing, says what it found, and how to cure it with one command.

mod checks;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{self, Address};
use crate::error::Fault;
use crate::paths::Paths;
use crate::settings::Settings;
use crate::text::neutral_line;

/// One check takes at most this long: all of them run at once.
const LIMIT: Duration = Duration::from_millis(2500);

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: `engine`.
    pub check: &'static str,
    /// Whether it is well.
    pub well: bool,
    /// What was found, one line.
    pub detail: String,
    /// The command that cures it.
    pub cure: Option<String>,
}

/// What the checks look at.
#[derive(Clone)]
pub struct Machine {
    /// onramp's directories.
    pub paths: Paths,
    /// The user's settings.
    pub settings: Settings,
    /// Where the engine is, or why that is not clear.
    pub engine: Result<Address, Arc<engine::Error>>,
    /// Where the check runs, for git's settings.
    pub directory: std::path::PathBuf,
}

impl Finding {
    fn well(check: &'static str, detail: impl AsRef<str>) -> Self {
        Self { check, well: true, detail: neutral_line(detail.as_ref(), 160), cure: None }
    }

    fn ill(check: &'static str, detail: impl AsRef<str>, cure: impl Into<String>) -> Self {
        Self { check, well: false, detail: neutral_line(detail.as_ref(), 300), cure: Some(cure.into()) }
    }

    /// From an error, whose first next command is the cure.
    fn fault(check: &'static str, fault: &dyn Fault, otherwise: &str) -> Self {
        let cure = fault.next().into_iter().next().unwrap_or_else(|| otherwise.to_owned());
        Self::ill(check, crate::error::chain(fault), cure)
    }
}

/// Runs every check at once. None takes longer than its limit. `forge_access` looks whether the forge can be talked to;
/// it is the caller's, who may read variables.
pub async fn examine(machine: &Machine, forge_access: impl Future<Output = Result<(), String>>) -> Vec<Finding> {
    let (disk, git, identity, engine, registry, catalog, state, forge) = tokio::join!(
        checks::disk(machine),
        checks::git(),
        checks::identity(machine),
        checks::engine(machine),
        checks::registry(machine),
        checks::catalog(machine),
        checks::state(machine),
        checks::forge(machine, forge_access),
    );
    let company = Some(checks::company(machine));
    let findings = [Some(disk), Some(git), Some(identity), Some(engine), company, registry, catalog, state, forge];
    findings.into_iter().flatten().collect()
}
