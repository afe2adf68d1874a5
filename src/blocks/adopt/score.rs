//! How much of a render a project has.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::project::manifest;
use crate::tree::{Entry, Tree};

/// How much of a render a project has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Files of the render that the project has, byte for byte.
    pub same: usize,
    /// Files of the render that the project has, with other contents.
    pub edited: usize,
    /// Files of the render that the project has not.
    pub missing: usize,
    /// Lines of the render that the project has, at the same path.
    pub lines_same: usize,
    /// Lines of the render in all.
    pub lines: usize,
    /// Lines of `onramp.toml` that the project has: it may be written by hand, and says something all the same.
    #[serde(skip)]
    declared: usize,
}

impl Score {
    /// Compares a render with a project.
    pub fn of(render: &Tree, project: &Tree) -> Self {
        let mut score = Self::default();
        for (path, entry) in render.iter() {
            if path.as_str() == manifest::FILE {
                score.declared = project.get(path.as_str()).map_or(0, |there| common(entry, there));
                continue;
            }
            let lines = weight(entry);
            score.lines += lines;
            match project.get(path.as_str()) {
                None => score.missing += 1,
                Some(there) if there == entry => {
                    score.same += 1;
                    score.lines_same += lines;
                }
                Some(there) => {
                    score.edited += 1;
                    score.lines_same += common(entry, there);
                }
            }
        }
        score
    }

    /// What is compared: lines that the project has, less those that it has not.
    pub fn value(&self) -> i64 {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        2 * signed(self.lines_same) - signed(self.lines) + signed(self.same) - signed(self.missing)
            + signed(self.declared)
    }

    /// Lines that the project has, of 100.
    pub fn percent(&self) -> usize {
        (self.lines_same * 100).checked_div(self.lines).unwrap_or(0)
    }
}

/// The lines of a file; one, of what is no text.
fn weight(entry: &Entry) -> usize {
    entry.text().map_or(1, |text| text.lines().count().max(1))
}

/// How many lines two files have in common, wherever they stand.
fn common(one: &Entry, other: &Entry) -> usize {
    let (Some(one), Some(other)) = (one.text(), other.text()) else { return 0 };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in other.lines() {
        *counts.entry(line.trim_end()).or_default() += 1;
    }
    let taken = one.lines().filter(|line| match counts.get_mut(line.trim_end()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    taken.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &'static str)]) -> Tree {
        files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file(*text))).collect()
    }

    #[test]
    fn a_render_that_the_project_has_counts_for_it() {
        let project = tree(&[("a", "1\n2\n3\n"), ("b", "x\n"), ("mine", "y\n")]);
        let all = Score::of(&tree(&[("a", "1\n2\n3\n"), ("b", "x\n")]), &project);
        let less = Score::of(&tree(&[("a", "1\n2\n3\n")]), &project);
        let other = Score::of(&tree(&[("a", "1\n2\nz\n"), ("b", "x\n")]), &project);
        let more = Score::of(&tree(&[("a", "1\n2\n3\n"), ("b", "x\n"), ("c", "1\n")]), &project);
        assert!(all.value() > less.value() && all.value() > other.value() && all.value() > more.value());
        assert_eq!((other.same, other.edited, other.lines_same, other.percent()), (1, 1, 3, 75));
    }
}
