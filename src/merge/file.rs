//! Merging one file: its shape by itself, its regions to their owner, then its structure or its lines.

use super::shape::{self, is_text};
use super::text::{self, Piece, lines};
use super::{ConflictKind, Options, Style, keep, markers};
use crate::tree::TreePath;

/// What three versions of a file merge to.
pub(super) struct Merged {
    pub(super) contents: Vec<u8>,
    pub(super) clashes: Vec<Clash>,
    /// What the template wanted and did not get, as a patch or whole.
    pub(super) rejected: Option<Vec<u8>>,
}

/// A place in a file where both sides changed the same.
pub(super) struct Clash {
    pub(super) kind: ConflictKind,
    pub(super) line: Option<usize>,
    pub(super) detail: String,
}

/// Merges base, theirs and mine; none if one of them is not text.
pub(super) fn merge(path: &TreePath, texts: [&[u8]; 3], options: &Options) -> Option<Merged> {
    if !texts.iter().all(|text| is_text(text)) {
        return None;
    }
    let (texts, shape) = shape::plain(texts);
    let [base, theirs, mine] = keep::settle(texts);
    let pieces = text::merge(&lines(&base), &lines(&theirs), &lines(&mine));
    let detail = || "both changed the same lines".to_owned();
    Some(shown(path, &pieces, shape, options, ConflictKind::Lines, detail))
}

/// Merges what both added; none if one of them is not text, or if nothing says which lines belong together.
pub(super) fn merge_added(path: &TreePath, texts: [&[u8]; 2], options: &Options) -> Option<Merged> {
    if !texts.iter().all(|text| is_text(text)) || options.style == Style::Rej {
        return None;
    }
    let [theirs, mine] = texts;
    let ([_, theirs, mine], shape) = shape::plain([mine, theirs, mine]);
    let pieces = text::without_base(&lines(&theirs), &lines(&mine));
    let detail = || "both added the file, with different lines".to_owned();
    Some(shown(path, &pieces, shape, options, ConflictKind::Added, detail))
}

/// A merge in the style that was asked for.
fn shown(
    path: &TreePath,
    pieces: &[Piece<'_>],
    shape: shape::Shape,
    options: &Options,
    kind: ConflictKind,
    detail: impl Fn() -> String,
) -> Merged {
    let marked = match options.style {
        Style::Inline => markers::mark(pieces, options),
        Style::Rej => markers::keep_mine(pieces),
    };
    let rejects = options.style == Style::Rej && !marked.places.is_empty();
    Merged {
        contents: shape.give(marked.text, marked.ends_in_marker),
        clashes: marked.places.into_iter().map(|line| Clash { kind, line: Some(line), detail: detail() }).collect(),
        rejected: rejects.then(|| text::patch(pieces, path.as_str(), &options.base, &options.theirs)),
    }
}
