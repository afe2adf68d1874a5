//! What a text file is besides its lines: byte order mark, line ends, the newline at its end. Each is merged by itself,
//! so that an editor that changed one of them makes no line a conflict.

use std::borrow::Cow;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How a file's lines end; none where there is no line end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Lf,
    Crlf,
    Mixed,
}

/// What the merged file will be besides its lines.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    bom: bool,
    crlf: bool,
    terminated: bool,
}

/// Whether bytes are text, as git decides it: no NUL at the beginning.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    !bytes[..bytes.len().min(8000)].contains(&0)
}

/// What is left when only one side changed something that has two states: they cannot differ in three ways.
fn merged<T: Copy + PartialEq>(base: T, theirs: T, mine: T) -> T {
    if mine == base { theirs } else { mine }
}

/// What a file has, or what its relatives have where it has none.
fn known<T: Copy>(all: [Option<T>; 3], or: T) -> [T; 3] {
    let any = all[0].or(all[2]).or(all[1]).unwrap_or(or);
    all.map(|one| one.unwrap_or(any))
}

/// The lines of base, theirs and mine, each ended by `\n`, and the shape of what they merge to.
pub(super) fn plain(texts: [&[u8]; 3]) -> ([Cow<'_, [u8]>; 3], Shape) {
    let [base, theirs, mine] = texts.map(|text| text.starts_with(BOM));
    let bom = merged(base, theirs, mine);
    let texts = texts.map(|text| text.strip_prefix(BOM).unwrap_or(text));
    let [base, theirs, mine] = known(texts.map(ending), Ending::Lf);
    let mixed = [base, theirs, mine].contains(&Ending::Mixed);
    let crlf = !mixed && merged(base, theirs, mine) == Ending::Crlf;
    let [base, theirs, mine] = known(texts.map(|text| (!text.is_empty()).then(|| text.ends_with(b"\n"))), true);
    let terminated = merged(base, theirs, mine);
    let lines = texts.map(|text| {
        let mut text = Cow::Borrowed(text);
        if !mixed && text.windows(2).any(|pair| pair == b"\r\n") {
            let mut plain = Vec::with_capacity(text.len());
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\r\n") {
                    Some(line) => plain.extend(line.iter().chain(b"\n")),
                    None => plain.extend(line),
                }
            }
            text = Cow::Owned(plain);
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.to_mut().push(b'\n');
        }
        text
    });
    (lines, Shape { bom, crlf, terminated })
}

fn ending(text: &[u8]) -> Option<Ending> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let crlf = lines.next()?.ends_with(b"\r\n");
    let uniform = lines.all(|line| line.ends_with(b"\r\n") == crlf);
    Some(match (uniform, crlf) {
        (true, true) => Ending::Crlf,
        (true, false) => Ending::Lf,
        (false, _) => Ending::Mixed,
    })
}

impl Shape {
    /// Gives merged lines their shape. The line of a conflict marker stays a line.
    pub(super) fn give(self, mut text: Vec<u8>, ends_in_marker: bool) -> Vec<u8> {
        if !self.terminated && !ends_in_marker && text.ends_with(b"\n") {
            text.pop();
        }
        if self.crlf {
            let mut wide = Vec::with_capacity(text.len() + text.len() / 16);
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\n") {
                    Some(line) => wide.extend(line.iter().chain(b"\r\n")),
                    None => wide.extend(line),
                }
            }
            text = wide;
        }
        if self.bom {
            text.splice(0..0, BOM.iter().copied());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_changed_stays() {
        let (lines, shape) = plain([b"a\nb\n", b"a\nB\n", b"\xef\xbb\xbfa\r\nb"]);
        assert_eq!(lines, [&b"a\nb\n"[..], b"a\nB\n", b"a\nb\n"]);
        assert_eq!(shape.give(b"a\nB\n".to_vec(), false), b"\xef\xbb\xbfa\r\nB");
        let (_, shape) = plain([b"a\r\n", b"a\n", b"a\r\nb\r\n"]);
        assert_eq!(shape.give(b"a\nb\n".to_vec(), false), b"a\nb\n");
    }

    #[test]
    fn mixed_line_ends_are_left_alone() {
        let (lines, shape) = plain([b"a\r\nb\n", b"a\r\nb\nc", b"a\r\n"]);
        assert_eq!(lines[2], &b"a\r\n"[..]);
        assert_eq!(shape.give(lines[1].to_vec(), false), b"a\r\nb\nc");
    }

    proptest::proptest! {
        #[test]
        fn equal_texts_keep_every_byte(text in "\u{feff}?[a\r\n]{0,12}") {
            let bytes = text.as_bytes();
            let ([_, _, mine], shape) = plain([bytes; 3]);
            proptest::prop_assert_eq!(shape.give(mine.to_vec(), false), bytes);
        }
    }
}
