//! Ignore files: lines, of which each says something by itself. What the template added is put where it has it, what it
//! took away goes, and nothing clashes.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{ByLines, Merged};

fn is_pattern(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// The most lines of a file that is merged pattern by pattern.
const LONG: usize = 2000;

/// Merges three versions. The merge by lines is taken when it brings no pattern twice.
pub(super) fn merge(texts: [&str; 3], by_lines: Option<ByLines<'_>>) -> Option<Merged> {
    let [base, theirs, mine] = texts.map(|text| text.lines().collect::<Vec<_>>());
    if [&base, &theirs, &mine].iter().any(|lines| lines.len() > LONG) {
        return None;
    }
    let once = |by_lines: &ByLines<'_>| {
        let count = |lines: &[&str], line: &str| lines.iter().filter(|one| **one == line).count();
        let merged: Vec<&str> = by_lines.mine.lines().collect();
        let new = theirs.iter().filter(|line| is_pattern(line) && !base.contains(line));
        let mut new = new.into_iter();
        by_lines.mine == by_lines.theirs
            && new.all(|line| count(&merged, line) == 1.max(count(&mine, line)).max(count(&theirs, line)))
    };
    if by_lines.as_ref().is_some_and(once) {
        return Some(Merged::Lines { keys: Vec::new() });
    }
    let mut merged = mine;
    let ops = capture_diff_slices(Algorithm::Histogram, &base, &theirs);
    for op in ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        for gone in base[op.old_range()].iter().filter(|line| is_pattern(line) && !theirs.contains(line)) {
            if let Some(at) = merged.iter().position(|line| line == gone) {
                merged.remove(at);
            }
        }
        let new = &theirs[op.new_range()];
        let known = |merged: &[&str], line: &&str| is_pattern(line) && merged.contains(line);
        if !new.iter().any(|line| is_pattern(line) && !known(&merged, line)) {
            continue;
        }
        let before = theirs[..op.new_range().start].iter().rev().filter(|line| is_pattern(line));
        let after = before.into_iter().find_map(|line| merged.iter().rposition(|one| one == line));
        let mut at = match after {
            Some(before) => before + 1,
            None if op.new_range().start == 0 => 0,
            None => merged.len(),
        };
        for line in new {
            if !known(&merged, line) {
                merged.insert(at, line);
                at += 1;
            }
        }
    }
    Some(Merged::Clean(merged.iter().flat_map(|line| [line, "\n"]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, theirs: &str, mine: &str) -> String {
        let [base, theirs, mine] = [base, theirs, mine].map(|text| text.replace(' ', "\n") + "\n");
        match merge([&base, &theirs, &mine], None) {
            Some(Merged::Clean(text)) => text.replace('\n', " "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn both_sides_lines_are_there_once() {
        insta::assert_snapshot!(merged("a b", "a x b", "a y b"), @"a x y b ");
        insta::assert_snapshot!(merged("a b", "a b x", "a b x mine"), @"a b x mine ");
        insta::assert_snapshot!(merged("a b c", "a c", "mine a b c"), @"mine a c ");
        insta::assert_snapshot!(merged("a", "a #new x", "a #mine y"), @"a #new x #mine y ");
        insta::assert_snapshot!(merged("a", "first a", "b a"), @"first b a ");
    }
}
