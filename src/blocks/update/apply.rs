//! A plan becomes the project: kept to be undone, then changed all at once.

use std::path::Path;

use super::{Followed, Plan};
use crate::blocks::Error;
use crate::blocks::cache::Store;
use crate::blocks::transaction::{Directories, Transaction};
use crate::blocks::undo::{Record, Undo};

/// What was done.
#[derive(Debug)]
pub struct Applied {
    /// What undoes it.
    pub record: Record,
}

/// Changes the project. What the blocks are now is kept in the cache, as the base of their next update; what they were,
/// as the way back.
pub fn apply(root: &Path, state: &Path, cache: &Path, plan: &Plan, followed: &[Followed]) -> Result<Applied, Error> {
    let store = Store::new(cache);
    for block in followed {
        for side in [&block.from, &block.to] {
            store.keep_tree(&side.content, &side.template.source)?;
        }
    }
    let operations = plan.changes.iter().cloned().map(Into::into).collect();
    let transaction = Transaction::begin(root, operations, &Directories::Emptied)?;
    let record = Undo::of(state, root).keep(&plan.title(), &transaction)?;
    match transaction.apply() {
        Ok(()) => Ok(Applied { record }),
        Err(error) => {
            // Kept for nothing. Left there it does no harm: the project is as it was before.
            let _ = record.drop();
            Err(error.into())
        }
    }
}
