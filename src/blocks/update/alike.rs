//! What an update brings under a path that the project has in another spelling is a conflict: beside the project's file, the
//! block's.

use super::working::Working;
use super::{Plan, free_beside};
use crate::blocks::Error;
use crate::blocks::spelling::{Project, Spelled};
use crate::merge::{Conflict, ConflictKind};
use crate::tree::TreePath;

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
        let (stays, how) = match in_the_way(working, &other)? {
            Some(file) => (file, "would stand in it"),
            None => (other, "is the same"),
        };
        let beside = free_beside(working, &stays)?;
        working.put(beside.clone(), entry);
        plan.moved.retain(|(_, to)| *to != path);
        plan.conflicts.push(Conflict {
            detail: format!("on some file systems {path} {how}; it stays, the template's is in {beside}"),
            path: stays,
            kind: ConflictKind::Added,
            line: None,
            beside: Some(beside),
        });
    }
    Ok(())
}

/// The file or link that stands where a path needs a directory.
fn in_the_way(working: &mut Working<'_>, path: &TreePath) -> Result<Option<TreePath>, Error> {
    for (end, _) in path.as_str().match_indices('/') {
        let Ok(above) = path.as_str()[..end].parse() else { continue };
        if working.get(&above)?.is_some() {
            return Ok(Some(above));
        }
    }
    Ok(None)
}
