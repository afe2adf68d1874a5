//! Changes of lines that a loop repeats: they are one change, where every pass was changed alike.

use super::back::Fabric;
use super::edit::Edit;
use super::hunk::Hunk;
use super::restore::Possible;
use super::trace::Parts;

/// Changes of the output that are one change of the template.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where in the output, in order.
    pub hunks: Vec<Hunk>,
    /// What becomes of the template.
    pub edits: Vec<Edit>,
    /// New text that could be an answer's value.
    pub possible: Vec<Possible>,
}

impl Change {
    /// Takes another one in.
    fn join(&mut self, other: Self) {
        self.hunks.extend(other.hunks);
        self.edits.extend(other.edits);
        let new: Vec<Possible> = other.possible.into_iter().filter(|one| !self.possible.contains(one)).collect();
        self.possible.extend(new);
    }

    /// The line of the loop that repeats what is changed, if one does.
    pub fn loop_line(&self, parts: &Parts) -> Option<usize> {
        self.edits.iter().find_map(|edit| parts.loop_line(edit.part))
    }
}

/// Joins those that change the same repeated part.
pub fn joined(parts: &Parts, changes: Vec<Change>) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    for change in changes {
        let repeated = |edit: &Edit| parts.loop_line(edit.part).is_some();
        let shares = |other: &Change| {
            let mut own = change.edits.iter().filter(|edit| repeated(edit));
            own.any(|edit| other.edits.iter().any(|known| known.part == edit.part))
        };
        let (same, apart): (Vec<Change>, Vec<Change>) = found.into_iter().partition(shares);
        found = apart;
        let mut whole: Option<Change> = None;
        for one in same.into_iter().chain([change]) {
            match &mut whole {
                Some(whole) => whole.join(one),
                None => whole = Some(one),
            }
        }
        found.extend(whole);
    }
    for change in &mut found {
        change.hunks.sort_by_key(|hunk| hunk.old.start);
    }
    found.sort_by_key(|change| change.hunks[0].old.start);
    found
}

/// Says once what is to become of each part, where every pass of its loop says it. None where they differ.
pub fn settled(fabric: &Fabric<'_>, edits: &[Edit]) -> Option<Vec<Edit>> {
    let mut settled: Vec<Edit> = Vec::new();
    for edit in edits {
        let times = fabric.times(edit.part).max(1);
        if times == 1 {
            settled.push(edit.clone());
            continue;
        }
        let all = edits.iter().filter(|other| *other == edit).count();
        if !all.is_multiple_of(times) {
            return None;
        }
        if settled.iter().filter(|other| *other == edit).count() < all / times {
            settled.push(edit.clone());
        }
    }
    Some(settled)
}
