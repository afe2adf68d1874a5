//! What an update brings under a path that the project has in another spelling is a conflict: beside the project's file, the
//! block's.

use super::working::Working;
use super::{Plan, free_beside};
use crate::blocks::Error;
use crate::blocks::spelling::{Project, Spelled};
use crate::merge::{Conflict, ConflictKind};

/// Finds them, and puts them beside.
pub(super) fn settle(working: &mut Working<'_>, plan: &mut Plan) -> Result<(), Error> {
    let (came, went) = working.came_and_went();
    let mut project = Project::new(working.root(), went);
    let mut brought = Spelled::default();
    for path in came {
        let other = match project.other(&path)? {
            Some(other) => Some(other),
            None => brought.take(&path),
        };
        let Some(other) = other else { continue };
        let entry = working.get(&path)?;
        working.put(path.clone(), None);
        let beside = free_beside(working, &other)?;
        working.put(beside.clone(), entry);
        plan.moved.retain(|(_, to)| *to != path);
        plan.conflicts.push(Conflict {
            detail: format!("on some file systems {path} is the same; it stays, the template's is in {beside}"),
            path: other,
            kind: ConflictKind::Added,
            line: None,
            beside: Some(beside),
        });
    }
    Ok(())
}
