//! A plan becomes the project: kept to be undone, then changed all at once.

use std::path::Path;

use super::Plan;
use crate::blocks::Error;
use crate::blocks::undo::{Then, Undo, Unfinished};

/// Changes the project, and keeps what that replaces as the way back.
pub fn apply(root: &Path, state: &Path, plan: Plan, then: Then) -> Result<Option<Unfinished>, Error> {
    let title = plan.title();
    let operations = plan.changes.into_iter().map(Into::into).collect();
    drop(plan.lock);
    Ok(Undo::of(state, root).change(&title, operations, then)?)
}
