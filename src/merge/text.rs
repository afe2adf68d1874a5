//! Three-way merging of lines, as git does it: changes that neither overlap nor touch are all taken, others are clashes,
//! as small as they can be.

use std::ops::Range;

use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

/// A line with its end.
pub(super) type Line<'a> = &'a [u8];

/// A run of lines of a merge.
pub(super) enum Piece<'a> {
    /// What both sides agree on, or only one of them changed, and what it was.
    Settled { base: Vec<Line<'a>>, merged: Vec<Line<'a>> },
    /// What both sides changed, and not to the same.
    Clash { base: Vec<Line<'a>>, theirs: Vec<Line<'a>>, mine: Vec<Line<'a>> },
}

/// The lines of a text, with their ends.
pub(super) fn lines(text: &[u8]) -> Vec<Line<'_>> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// A run of lines that one side made of a run of the base's.
struct Edit {
    base: Range<usize>,
    side: Range<usize>,
}

fn edits(base: &[Line<'_>], side: &[Line<'_>]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for op in capture_diff_slices(Algorithm::Histogram, base, side) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        match edits.last_mut().filter(|last| last.base.end == op.old_range().start) {
            Some(last) => {
                last.base.end = op.old_range().end;
                last.side.end = op.new_range().end;
            }
            None => edits.push(Edit { base: op.old_range(), side: op.new_range() }),
        }
    }
    edits
}

/// One side's edits, taken in the base's order.
struct Side<'a, 'b> {
    lines: &'b [Line<'a>],
    edits: std::iter::Peekable<std::vec::IntoIter<Edit>>,
    /// Where the last edit ends in the base and here; until the next one, both go on alike.
    base_end: usize,
    end: usize,
}

impl<'a, 'b> Side<'a, 'b> {
    fn new(base: &[Line<'_>], lines: &'b [Line<'a>]) -> Self {
        Self { lines, edits: edits(base, lines).into_iter().peekable(), base_end: 0, end: 0 }
    }

    fn next_start(&mut self) -> Option<usize> {
        self.edits.peek().map(|edit| edit.base.start)
    }

    /// Takes the next edit if it overlaps or touches what ends at `end`; where it ends.
    fn touching(&mut self, end: usize) -> Option<usize> {
        let edit = self.edits.next_if(|edit| edit.base.start <= end)?;
        self.end = edit.side.end;
        self.base_end = edit.base.end;
        Some(edit.base.end)
    }

    /// Where this side has what the base has at a line that lies between edits.
    fn at(&self, base: usize) -> usize {
        self.end + (base - self.base_end)
    }
}

/// Merges what two sides made of a base.
pub(super) fn merge<'a>(base: &[Line<'a>], theirs: &[Line<'a>], mine: &[Line<'a>]) -> Vec<Piece<'a>> {
    let (mut theirs, mut mine) = (Side::new(base, theirs), Side::new(base, mine));
    let mut pieces = Vec::new();
    let mut done = 0;
    loop {
        let start = [theirs.next_start(), mine.next_start()].into_iter().flatten().min();
        let start_or_end = start.unwrap_or(base.len());
        if start_or_end > done {
            let same = base[done..start_or_end].to_vec();
            pieces.push(Piece::Settled { base: same.clone(), merged: same });
        }
        let Some(start) = start else { break };
        let (their_start, my_start) = (theirs.at(start), mine.at(start));
        let mut end = start;
        let (mut they_changed, mut i_changed) = (false, false);
        loop {
            if let Some(their_end) = theirs.touching(end) {
                they_changed = true;
                end = end.max(their_end);
            } else if let Some(my_end) = mine.touching(end) {
                i_changed = true;
                end = end.max(my_end);
            } else {
                break;
            }
        }
        let base = base[start..end].to_vec();
        let their_lines = &theirs.lines[their_start..theirs.at(end)];
        let my_lines = &mine.lines[my_start..mine.at(end)];
        match (they_changed, i_changed) {
            (true, true) if their_lines != my_lines => pieces.extend(clash(base, their_lines, my_lines)),
            (true, false) => pieces.push(Piece::Settled { base, merged: their_lines.to_vec() }),
            _ => pieces.push(Piece::Settled { base, merged: my_lines.to_vec() }),
        }
        done = end;
    }
    pieces
}

/// A clash without the lines that both sides begin and end with.
fn clash<'a>(base: Vec<Line<'a>>, theirs: &[Line<'a>], mine: &[Line<'a>]) -> [Piece<'a>; 3] {
    let same = |count: &mut usize, pair: (&Line<'_>, &Line<'_>)| {
        let equal = pair.0 == pair.1;
        *count += usize::from(equal);
        equal.then_some(*count)
    };
    let head = theirs.iter().zip(mine).scan(0, |n, pair| same(n, pair)).last().unwrap_or(0);
    let (theirs, mine, first) = (&theirs[head..], &mine[head..], mine[..head].to_vec());
    let tail = theirs.iter().rev().zip(mine.iter().rev()).scan(0, |n, pair| same(n, pair)).last().unwrap_or(0);
    let last = mine[mine.len() - tail..].to_vec();
    [
        Piece::Settled { base: Vec::new(), merged: first },
        Piece::Clash { base, theirs: theirs[..theirs.len() - tail].to_vec(), mine: mine[..mine.len() - tail].to_vec() },
        Piece::Settled { base: Vec::new(), merged: last },
    ]
}

/// The most equal lines between two differences that are shown as one.
const GAP: usize = 3;

/// What two sides have in common when there never was a base; every difference is a clash.
pub(super) fn without_base<'a>(theirs: &[Line<'a>], mine: &[Line<'a>]) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let ops = capture_diff_slices(Algorithm::Histogram, mine, theirs);
    for (i, op) in ops.iter().enumerate() {
        let (new_mine, new_theirs) = (&mine[op.old_range()], &theirs[op.new_range()]);
        let equal = matches!(op, DiffOp::Equal { .. });
        let between = i > 0 && i + 1 < ops.len() && new_mine.len() <= GAP;
        match pieces.last_mut() {
            Some(Piece::Clash { theirs, mine, .. }) if !equal || between => {
                theirs.extend(new_theirs);
                mine.extend(new_mine);
            }
            _ if equal => pieces.push(Piece::Settled { base: Vec::new(), merged: new_mine.to_vec() }),
            _ => pieces.push(Piece::Clash { base: Vec::new(), theirs: new_theirs.to_vec(), mine: new_mine.to_vec() }),
        }
    }
    pieces
}

/// What the template wanted where the sides clash, as a patch of its old render.
pub(super) fn patch(pieces: &[Piece<'_>], path: &str, base_label: &str, their_label: &str) -> Vec<u8> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (base, wanted) = match piece {
            Piece::Settled { base, .. } => (base, base),
            Piece::Clash { base, theirs, .. } => (base, theirs),
        };
        old.extend(base.concat());
        new.extend(wanted.concat());
    }
    let diff = TextDiff::from_lines(&old[..], &new[..]);
    let mut written = Vec::new();
    diff.unified_diff()
        .header(&format!("{path}\t{base_label}"), &format!("{path}\t{their_label}"))
        .to_writer(&mut written)
        .expect("memory takes what is written to it");
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The merged lines, clashes as `{mine|base|theirs}`.
    fn show(pieces: &[Piece<'_>]) -> String {
        let text = |lines: &[Line<'_>]| String::from_utf8(lines.concat()).unwrap().replace('\n', " ");
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Settled { merged, .. } => text(merged),
                Piece::Clash { base, theirs, mine } => format!("{{{}|{}|{}}}", text(mine), text(base), text(theirs)),
            })
            .collect()
    }

    fn merged(base: &str, theirs: &str, mine: &str) -> String {
        let [base, theirs, mine] = [base, theirs, mine].map(|text| text.replace(' ', "\n") + "\n");
        show(&merge(&lines(base.as_bytes()), &lines(theirs.as_bytes()), &lines(mine.as_bytes())))
    }

    #[test]
    fn changes_apart_are_all_taken() {
        insta::assert_snapshot!(merged("a b c d e", "A b c d e f", "a b C e"), @"A b C e f ");
        insta::assert_snapshot!(merged("a b c", "x a b c", "a b c y"), @"x a b c y ");
        insta::assert_snapshot!(merged("a b c", "a c", "a c"), @"a c ");
    }

    #[test]
    fn clashes_are_small() {
        insta::assert_snapshot!(merged("a b c d", "a B c d", "a x c d"), @"a {x |b |B }c d ");
        insta::assert_snapshot!(merged("a b c", "a 1 B 2 c", "a 1 x 2 c"), @"a 1 {x |b |B }2 c ");
        insta::assert_snapshot!(merged("a b c d", "a B c d", "a b C d"), @"a {b C |b c |B c }d ");
        insta::assert_snapshot!(merged("a b", "a", "a x"), @"a {x |b |}");
    }

    #[test]
    fn without_a_base_what_is_equal_stays() {
        let [theirs, mine] = ["h a b c d e 2 f", "h x a b c d e 1 f"].map(|text| text.replace(' ', "\n") + "\n");
        insta::assert_snapshot!(
            show(&without_base(&lines(theirs.as_bytes()), &lines(mine.as_bytes()))),
            @"h {x ||}a b c d e {1 ||2 }f "
        );
    }

    proptest::proptest! {
        #[test]
        fn who_changed_nothing_changes_nothing(one in "([abc]\n){0,9}", other in "([abc]\n){0,9}") {
            let (one, other) = (lines(one.as_bytes()), lines(other.as_bytes()));
            for (base, theirs, mine) in [(&one, &other, &one), (&one, &one, &other), (&one, &other, &other)] {
                let mut merged = Vec::new();
                for piece in merge(base, theirs, mine) {
                    let Piece::Settled { merged: lines, .. } = piece else { panic!("a clash of nothing") };
                    merged.extend(lines);
                }
                proptest::prop_assert_eq!(&merged, &other);
            }
        }

        #[test]
        fn the_pieces_are_the_base_and_hold_both_sides(
            base in "([abcd]\n){0,9}", theirs in "([abcdT]\n){0,9}", mine in "([abcdM]\n){0,9}"
        ) {
            let [base, theirs, mine] = [&base, &theirs, &mine].map(|text| lines(text.as_bytes()));
            let pieces = merge(&base, &theirs, &mine);
            let of_base: Vec<_> = pieces.iter().flat_map(|piece| match piece {
                Piece::Settled { base, .. } | Piece::Clash { base, .. } => base.clone(),
            }).collect();
            proptest::prop_assert_eq!(of_base, base);
            let all = |line: Line<'_>| pieces.iter().flat_map(|piece| match piece {
                Piece::Settled { merged, .. } => vec![merged],
                Piece::Clash { mine, theirs, .. } => vec![mine, theirs],
            }).flatten().filter(|one| **one == line).count();
            for added in [&b"M\n"[..], b"T\n"] {
                let wanted = mine.iter().chain(&theirs).filter(|line| **line == added).count();
                proptest::prop_assert_eq!(all(added), wanted);
            }
        }
    }
}
