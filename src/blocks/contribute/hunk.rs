//! Where two texts differ, line by line.

use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Lines that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Where in the old text, in bytes.
    pub old: Range<usize>,
    /// Where in the new text, in bytes.
    pub new: Range<usize>,
    /// The lines of the old text, from 0.
    pub old_lines: Range<usize>,
    /// The lines of the new text, from 0.
    pub new_lines: Range<usize>,
}

/// The lines of a text, each with its end.
pub fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Where two texts differ, line by line.
pub fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let starts = |lines: &[&str]| {
        let mut starts = vec![0];
        for line in lines {
            starts.push(starts[starts.len() - 1] + line.len());
        }
        starts
    };
    let (old_starts, new_starts) = (starts(&old_lines), starts(&new_lines));
    let mut hunks: Vec<Hunk> = Vec::new();
    for op in capture_diff_slices(Algorithm::Patience, &old_lines, &new_lines) {
        if op.tag() == DiffTag::Equal {
            continue;
        }
        let (a, b) = (op.old_range(), op.new_range());
        match hunks.last_mut() {
            Some(last) if last.old_lines.end == a.start && last.new_lines.end == b.start => {
                last.old_lines.end = a.end;
                last.new_lines.end = b.end;
            }
            _ => hunks.push(Hunk { old: 0..0, new: 0..0, old_lines: a, new_lines: b }),
        }
    }
    for hunk in &mut hunks {
        hunk.old = old_starts[hunk.old_lines.start]..old_starts[hunk.old_lines.end];
        hunk.new = new_starts[hunk.new_lines.start]..new_starts[hunk.new_lines.end];
    }
    hunks
}
