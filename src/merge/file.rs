//! Merging one file: its shape by itself, its regions to their owner, then its structure or its lines.

use super::markers::{self, Side, resolve};
use super::shape::{self, is_text};
use super::structured::{self, Format};
use super::text::{self, Piece, lines};
use super::{ConflictKind, Options, Style, keep};
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
    let texts = keep::settle(texts);
    let [base, theirs, mine] = &texts;
    let pieces = text::merge(&lines(base), &lines(theirs), &lines(mine));
    let show = |pieces: &[Piece<'_>], kind, detail: &dyn Fn(Place) -> String| {
        shown(path, pieces, shape, options, kind, detail)
    };
    let by_lines = |_: Place| "both changed the same lines".to_owned();
    let Some(format) = Format::of(path.file_name()) else {
        return Some(show(&pieces, ConflictKind::Lines, &by_lines));
    };
    Some(match by_structure(format, [base, theirs, mine], &pieces) {
        Some(structured::Merged::Lines { keys }) => show(&pieces, ConflictKind::Key, &|place| changed(&keys, place)),
        Some(structured::Merged::Clean(text)) => show(&[settled(&text)], ConflictKind::Key, &by_lines),
        Some(structured::Merged::Clash { base, theirs, mine, keys }) => {
            let [base, theirs, mine] = [&base, &theirs, &mine].map(|text| lines(text.as_bytes()));
            show(&text::merge(&base, &theirs, &mine), ConflictKind::Key, &|place| changed(&keys, place))
        }
        None => {
            let mut merged = show(&pieces, ConflictKind::Lines, &by_lines);
            let all_read = texts.iter().all(|text| reads(format, text));
            if merged.clashes.is_empty() && all_read && !reads(format, &resolve(&pieces, Side::Mine).text) {
                let detail = "both changed it, and what the lines merge to cannot be read".to_owned();
                merged.clashes.push(Clash { kind: ConflictKind::Key, line: None, detail });
            }
            merged
        }
    })
}

/// Which of how many clashes.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    of: usize,
}

/// What clashes at a place: its key, or all of them where one place has several.
fn changed(keys: &[String], place: Place) -> String {
    const SHOWN: usize = 5;
    let keys = if keys.len() == place.of { &keys[place.at..=place.at] } else { keys };
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    format!("both changed {}{more}", keys[..keys.len().min(SHOWN)].join(", "))
}

fn settled(text: &str) -> Piece<'_> {
    Piece::Settled { base: Vec::new(), merged: lines(text.as_bytes()) }
}

fn reads(format: Format, text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| structured::reads(format, text))
}

/// What three texts merge to by their structure, if they can.
fn by_structure(format: Format, texts: [&[u8]; 3], pieces: &[Piece<'_>]) -> Option<structured::Merged> {
    let [base, theirs, mine] = texts.map(|text| std::str::from_utf8(text).ok());
    let [as_mine, as_theirs] = [Side::Mine, Side::Theirs].map(|side| String::from_utf8(resolve(pieces, side).text));
    let (as_mine, as_theirs) = (as_mine.ok()?, as_theirs.ok()?);
    let by_lines = structured::ByLines { mine: &as_mine, theirs: &as_theirs };
    structured::merge(format, [base?, theirs?, mine?], Some(by_lines))
}

/// Merges what both added; none if one of them is not text, or if nothing says which lines belong together.
pub(super) fn merge_added(path: &TreePath, texts: [&[u8]; 2], options: &Options) -> Option<Merged> {
    if !texts.iter().all(|text| is_text(text)) {
        return None;
    }
    let [theirs, mine] = texts;
    let ([_, theirs, mine], shape) = shape::plain([mine, theirs, mine]);
    let show = |pieces: &[Piece<'_>], detail: &dyn Fn(Place) -> String| {
        shown(path, pieces, shape, options, ConflictKind::Added, detail)
    };
    let added = |_: Place| "both added the file, with different lines".to_owned();
    let format = Format::of(path.file_name());
    let structured = format.and_then(|format| {
        let [theirs, mine] = [&theirs, &mine].map(|text| std::str::from_utf8(text).ok());
        structured::merge(format, [structured::nothing(format), theirs?, mine?], None)
    });
    match structured {
        Some(structured::Merged::Clean(text)) => Some(show(&[settled(&text)], &added)),
        Some(structured::Merged::Clash { base, theirs, mine, keys }) => {
            let [base, theirs, mine] = [&base, &theirs, &mine].map(|text| lines(text.as_bytes()));
            let detail = |place| format!("both added the file; {}", changed(&keys, place));
            Some(show(&text::merge(&base, &theirs, &mine), &detail))
        }
        _ if options.style == Style::Rej => None,
        _ => Some(show(&text::without_base(&lines(&theirs), &lines(&mine)), &added)),
    }
}

/// A merge in the style that was asked for.
fn shown(
    path: &TreePath,
    pieces: &[Piece<'_>],
    shape: shape::Shape,
    options: &Options,
    kind: ConflictKind,
    detail: &dyn Fn(Place) -> String,
) -> Merged {
    let marked = match options.style {
        Style::Inline => markers::mark(pieces, options),
        Style::Rej => resolve(pieces, Side::Mine),
    };
    let of = marked.places.len();
    let clash = |(at, line)| Clash { kind, line: Some(line), detail: detail(Place { at, of }) };
    Merged {
        contents: shape.give(marked.text, marked.ends_in_marker),
        clashes: marked.places.into_iter().enumerate().map(clash).collect(),
        rejected: (options.style == Style::Rej && of > 0)
            .then(|| text::patch(pieces, path.as_str(), &options.base, &options.theirs)),
    }
}
