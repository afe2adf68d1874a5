//! Conflict markers: written where both sides changed the same lines, and found again where nobody decided yet.

use super::Options;
use super::text::{Line, Piece};
use crate::text::neutral_line;

/// The longest label of a marker, in characters.
const LABEL_CAP: usize = 100;

/// Text with a marked place for every clash, and the lines that they begin in, counted from one.
pub(super) struct Marked {
    pub(super) text: Vec<u8>,
    pub(super) places: Vec<usize>,
    /// Whether the last line is a marker.
    pub(super) ends_in_marker: bool,
}

/// Writes merged lines; each clash with what the project, the old and the new render have.
pub(super) fn mark(pieces: &[Piece<'_>], options: &Options) -> Marked {
    let mut marked = Marked { text: Vec::new(), places: Vec::new(), ends_in_marker: false };
    let mut line = 1;
    let mut put = |text: &mut Vec<u8>, lines: &[Line<'_>]| {
        text.extend(lines.concat());
        line += lines.len();
        line
    };
    let sign_line =
        |sign: &str, label: &str| format!("{sign} {}", neutral_line(label, LABEL_CAP)).trim_end().to_owned() + "\n";
    let mine_label = sign_line("<<<<<<<", &options.mine);
    let base_label = sign_line("|||||||", &options.base);
    let their_label = sign_line(">>>>>>>", &options.theirs);
    for piece in pieces {
        match piece {
            Piece::Settled { merged, .. } => {
                put(&mut marked.text, merged);
                marked.ends_in_marker &= merged.is_empty();
            }
            Piece::Clash { base, theirs, mine } => {
                let place = put(&mut marked.text, &[]);
                marked.places.push(place);
                put(&mut marked.text, &[mine_label.as_bytes()]);
                put(&mut marked.text, mine);
                put(&mut marked.text, &[base_label.as_bytes()]);
                put(&mut marked.text, base);
                put(&mut marked.text, &[b"=======\n"]);
                put(&mut marked.text, theirs);
                put(&mut marked.text, &[their_label.as_bytes()]);
                marked.ends_in_marker = true;
            }
        }
    }
    marked
}

/// The same lines with one side's own at every clash, and where those are.
pub(super) fn resolve(pieces: &[Piece<'_>], side: Side) -> Marked {
    let mut marked = Marked { text: Vec::new(), places: Vec::new(), ends_in_marker: false };
    let mut line = 1;
    for piece in pieces {
        let lines = match piece {
            Piece::Settled { merged, .. } => merged,
            Piece::Clash { mine, theirs, .. } => {
                marked.places.push(line);
                if side == Side::Mine { mine } else { theirs }
            }
        };
        line += lines.len();
        marked.text.extend(lines.concat());
    }
    marked
}

/// Whose lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Mine,
    Theirs,
}

/// Whether a conflict is left in a file. A line of `=======` alone is a heading; two kinds of markers in their order,
/// each at the beginning of a line, are not.
pub fn has_markers(text: &[u8]) -> bool {
    let (mut opened, mut divided) = (false, false);
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let labelled = |sign: &[u8]| line.strip_prefix(sign).is_some_and(|rest| rest.is_empty() || rest[0] == b' ');
        if labelled(b"<<<<<<<") {
            opened = true;
        } else if labelled(b">>>>>>>") {
            if opened || divided {
                return true;
            }
        } else if labelled(b"|||||||") || line == b"=======" {
            if opened {
                return true;
            }
            divided = true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_conflict_is_found() {
        for left in [
            "a\n<<<<<<< shop\nx\n||||||| web 1\ny\n=======\nz\n>>>>>>> web 2\n",
            "<<<<<<< shop\r\nx\r\n=======\r\nz\r\n>>>>>>> web 2\r\n",
            "<<<<<<<\nx\n=======\n",
            "x\n=======\nz\n>>>>>>> web 2",
            "<<<<<<< shop\nx\n>>>>>>> web 2\n",
        ] {
            assert!(has_markers(left.as_bytes()), "{left:?}");
        }
    }

    #[test]
    fn what_looks_like_one_is_none() {
        for text in [
            "",
            "Title\n=======\n\ntext\n\nOther\n=======\n",
            "    <<<<<<< shown in a manual\n    =======\n    >>>>>>> indented\n",
            "<<<<<<<<<<<<\n=======\n>>>>>>>>>>>>\n",
            "cat <<<<<<< x\n=======\n",
            "> > > > > > > quoted\n=======\n",
            ">>>>>>> quoted deeply\nanswer\n",
            "<<<<<<<EOF\n=======\n",
        ] {
            assert!(!has_markers(text.as_bytes()), "{text:?}");
        }
    }
}
