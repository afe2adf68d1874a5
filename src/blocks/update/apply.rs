//! A plan becomes the project: kept to be undone, then changed all at once.

use std::path::Path;

use super::{Followed, Plan};
use crate::blocks::Error;
use crate::blocks::cache::Store;
use crate::blocks::undo::{Then, Undo, Unfinished};

/// Changes the project. What the blocks are now is kept in the cache, as the base of their next update; what they were,
/// as the way back.
pub fn apply(
    root: &Path,
    state: &Path,
    cache: &Path,
    plan: Plan,
    followed: &[Followed],
    then: Then,
) -> Result<Option<Unfinished>, Error> {
    let store = Store::new(cache);
    for block in followed {
        for side in [&block.from, &block.to] {
            store.keep_tree(&side.content, &side.template.source)?;
        }
    }
    let title = plan.title();
    let operations = plan.changes.into_iter().map(Into::into).collect();
    Ok(Undo::of(state, root).change(&title, operations, then)?)
}
