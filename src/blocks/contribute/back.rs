//! A change of a rendered file, turned back into changes of its template; or why that cannot be done with certainty.

use std::ops::Range;

use super::align::{self, Lines, Step, Token, Unclear};
use super::edit::{Change, Edit, Piece};
use super::hunk::{Hunk, lines};
use super::trace::{Kind, Parts, Trace};

/// How far a change is looked for to mean the same elsewhere, in bytes.
const SLIDE_CAP: usize = 100_000;

/// Why a change cannot be turned back with certainty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncertain {
    /// It may stand on either side of a tag.
    #[error("it stands where the template's line {line} decides what is rendered, and may belong to either side")]
    Border {
        /// The template's line.
        line: usize,
    },
    /// The value of an expression was changed.
    #[error("it changes the value of `{expression}`, which is an answer and not the template's text")]
    Value {
        /// The expression.
        expression: String,
    },
    /// Text that was joined to a value may be part of it.
    #[error("it joins text to the value of `{expression}`, so it may be the value that changed")]
    Joined {
        /// The expression.
        expression: String,
    },
    /// A value stands in more than one place.
    #[error("which text of it is the value of `{expression}` is not certain")]
    Ambiguous {
        /// The expression.
        expression: String,
    },
    /// It is output of a loop that calls itself, a filter, a macro.
    #[error("it changes what the template's line {line} makes, which is no plain text of it")]
    Opaque {
        /// The template's line.
        line: usize,
    },
    /// It is the text of another file.
    #[error("it changes what the template's line {line} includes, which is the text of another file of the block")]
    Included {
        /// The template's line.
        line: usize,
    },
    /// Which old line became which new one.
    #[error("which line became which is not certain")]
    Lines,
    /// It is too much to compare.
    #[error("it is too large to be compared with certainty")]
    TooLarge,
}

/// Something between two literals of the output: a value, or a tag.
#[derive(Clone, Debug)]
struct Between {
    output: Range<usize>,
    /// The part; of a tag, the literal after it.
    part: usize,
    /// The literals around it.
    around: (usize, usize),
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Value,
    Opaque,
    Border,
}

impl Between {
    /// Whether it is a place, and has no text that tells where.
    fn is_place(&self) -> bool {
        self.output.is_empty()
    }

    fn cut_by(&self, range: &Range<usize>) -> bool {
        let touches = self.output.end > range.start && self.output.start < range.end;
        !self.is_place() && touches && (self.output.start < range.start || self.output.end > range.end)
    }

    fn inside(&self, range: &Range<usize>) -> bool {
        if self.is_place() {
            range.start < self.output.start && self.output.start < range.end
        } else {
            range.start <= self.output.start && self.output.end <= range.end
        }
    }
}

/// The old output with the parts that it is made of.
pub struct Fabric<'a> {
    parts: &'a Parts,
    trace: &'a Trace,
    literals: Vec<(usize, Range<usize>)>,
    between: Vec<Between>,
}

impl<'a> Fabric<'a> {
    /// The fabric of an output.
    pub fn of(parts: &'a Parts, trace: &'a Trace) -> Self {
        let mut fabric = Self { parts, trace, literals: Vec::new(), between: Vec::new() };
        let is_literal = |part: usize| matches!(parts.part(part).kind, Kind::Literal { .. });
        let mut last: Option<usize> = None;
        for span in &trace.spans {
            let output = span.output.clone();
            if is_literal(span.part) {
                if let Some(before) = last.filter(|&before| is_literal(before)) {
                    let place = output.start..output.start;
                    let around = (before, span.part);
                    fabric.between.push(Between { output: place, part: span.part, around, sort: Sort::Border });
                }
                fabric.literals.push((span.part, output));
            } else {
                let sort = if parts.part(span.part).kind == Kind::Expression { Sort::Value } else { Sort::Opaque };
                let around = (span.part - 1, span.part + 1);
                fabric.between.push(Between { output, part: span.part, around, sort });
            }
            last = Some(span.part);
        }
        fabric
    }

    /// How often a literal stands in the output.
    pub fn times(&self, part: usize) -> usize {
        self.trace.spans.iter().filter(|span| span.part == part).count()
    }

    /// The expressions of the output with what they rendered to.
    pub fn values(&self) -> impl Iterator<Item = (usize, &Range<usize>)> {
        self.between.iter().filter(|b| b.sort == Sort::Value).map(|b| (b.part, &b.output))
    }

    /// The old output.
    pub fn text(&self) -> &str {
        &self.trace.text
    }

    /// Turns a change back.
    pub fn turn_back(&self, hunk: &Hunk, new: &str) -> Result<Vec<Edit>, Uncertain> {
        let text = &new[hunk.new.clone()];
        if hunk.old.is_empty() {
            self.insertion(hunk.old.start, text)
        } else if text.is_empty() {
            self.deletion(&hunk.old)
        } else {
            self.replacement(hunk, text)
        }
    }

    /// A change of several lines as changes of one line each, where every line certainly became one other.
    pub fn split(&self, hunk: &Hunk, new: &str) -> Option<Vec<Hunk>> {
        let (old_lines, new_lines) = (lines(&self.text()[hunk.old.clone()]), lines(&new[hunk.new.clone()]));
        if old_lines.len() < 2 || old_lines.len() != new_lines.len() {
            return None;
        }
        let aligned = Lines::align(&old_lines, &new_lines)?;
        let paired = aligned.steps().iter().all(|step| matches!(step, Step::Pair(i, j) if i == j));
        if !paired || !(0..old_lines.len()).all(|i| aligned.line_is_certain(i)) {
            return None;
        }
        let (mut old_at, mut new_at) = (hunk.old.start, hunk.new.start);
        let mut hunks = Vec::new();
        for (i, (old, new)) in old_lines.iter().zip(new_lines).enumerate() {
            let (old_line, new_line) = (hunk.old_lines.start + i, hunk.new_lines.start + i);
            if *old != new {
                hunks.push(Hunk {
                    old: old_at..old_at + old.len(),
                    new: new_at..new_at + new.len(),
                    old_lines: old_line..old_line + 1,
                    new_lines: new_line..new_line + 1,
                });
            }
            (old_at, new_at) = (old_at + old.len(), new_at + new.len());
        }
        Some(hunks)
    }

    fn insertion(&self, at: usize, text: &str) -> Result<Vec<Edit>, Uncertain> {
        let (old, new) = (self.text().as_bytes(), text.as_bytes());
        // What was inserted here may as well have been inserted a little before or after.
        let left = (0..at.min(SLIDE_CAP)).take_while(|k| old[at - 1 - k] == new[new.len() - 1 - k % new.len()]).count();
        let right = (0..(old.len() - at).min(SLIDE_CAP)).take_while(|k| old[at + k] == new[k % new.len()]).count();
        let range = at - left..at + right;
        let touched = |b: &&Between| {
            if b.is_place() {
                range.start <= b.output.start && b.output.start <= range.end
            } else {
                b.output.start < range.end && b.output.end > range.start || b.output.start < at && at < b.output.end
            }
        };
        if let Some(found) = self.between.iter().find(touched) {
            return Err(self.border(found));
        }
        Ok(vec![self.write(at..at, text)?])
    }

    fn deletion(&self, range: &Range<usize>) -> Result<Vec<Edit>, Uncertain> {
        let old = self.text().as_bytes();
        let (a, b) = (range.start, range.end);
        let left = (0..a.min(SLIDE_CAP)).take_while(|k| old[a - 1 - k] == old[b - 1 - k]).count();
        let right = (0..(old.len() - b).min(SLIDE_CAP)).take_while(|k| old[a + k] == old[b + k]).count();
        let near: Vec<&Between> =
            self.between.iter().filter(|x| x.output.start <= b + right && x.output.end >= a - left).collect();
        if near.is_empty() {
            return self.delete(range);
        }
        // Each place where deleting as much gives the same text, by what it does to values and tags.
        let mut found: Vec<(Vec<u8>, Range<usize>)> = Vec::new();
        for start in a - left..=a + right {
            let candidate = start..start + (b - a);
            let whole = self.text().is_char_boundary(candidate.start) && self.text().is_char_boundary(candidate.end);
            let wrong = |x: &&Between| x.cut_by(&candidate) || (x.sort == Sort::Opaque && x.inside(&candidate));
            if !whole || near.iter().any(wrong) {
                continue;
            }
            let side =
                |x: &&Between| if x.inside(&candidate) { 1 } else { u8::from(x.output.start >= candidate.end) * 2 };
            let sides: Vec<u8> = near.iter().map(side).collect();
            if found.last().is_none_or(|(last, _)| *last != sides) {
                found.push((sides, candidate));
            }
        }
        if found.len() > 1 {
            // Rather what lies between two tags than what crosses one.
            let crosses = |sides: &[u8]| near.iter().zip(sides).any(|(x, side)| x.is_place() && *side == 1);
            found.retain(|(sides, _)| !crosses(sides));
        }
        match found.as_slice() {
            [(_, only)] => self.delete(only),
            _ => Err(self.border(near[0])),
        }
    }

    fn delete(&self, range: &Range<usize>) -> Result<Vec<Edit>, Uncertain> {
        if let Some(cut) = self.between.iter().find(|x| x.cut_by(range)) {
            return Err(self.border(cut));
        }
        let mut edits = Vec::new();
        for (part, output) in &self.literals {
            let clipped = output.start.max(range.start)..output.end.min(range.end);
            if clipped.start < clipped.end {
                let range = clipped.start - output.start..clipped.end - output.start;
                edits.push(Edit { part: *part, change: Change::Replace { range, with: Vec::new() } });
            }
        }
        for x in self.between.iter().filter(|x| !x.is_place() && x.inside(range)) {
            edits.push(Edit { part: x.part, change: Change::Remove });
        }
        Ok(edits)
    }

    fn replacement(&self, hunk: &Hunk, text: &str) -> Result<Vec<Edit>, Uncertain> {
        let range = &hunk.old;
        // A tag right before or behind its lines concerns it, too: a line may have been added on its other side.
        let near = |x: &&Between| x.output.end + 1 >= range.start && x.output.start <= range.end;
        let near: Vec<&Between> = self
            .between
            .iter()
            .filter(|x| if x.is_place() { near(x) } else { x.output.start < range.end && x.output.end > range.start })
            .collect();
        if near.is_empty() {
            return Ok(vec![self.write(range.clone(), text)?]);
        }
        if let Some(cut) = near.iter().find(|x| x.cut_by(range)) {
            return Err(self.border(cut));
        }
        let (old, new) = (lines(&self.text()[range.clone()]), lines(text));
        let aligned = Lines::align(&old, &new).ok_or(Uncertain::TooLarge)?;
        let mut starts = vec![range.start];
        for line in &old {
            starts.push(starts[starts.len() - 1] + line.len());
        }
        for (i, start) in starts.iter().enumerate() {
            let at = |x: &&&Between| x.is_place() && x.output.start <= *start && x.output.start + 1 >= *start;
            if let Some(found) = near.iter().find(at).filter(|_| !aligned.place_is_certain(i)) {
                return Err(self.border(found));
            }
        }
        let mut edits = Vec::new();
        let mut at = range.start;
        for step in aligned.steps() {
            match step {
                Step::Insert(j) => edits.push(self.write(at..at, new[j])?),
                Step::Delete(i) | Step::Pair(i, _) => {
                    let line = starts[i]..starts[i + 1];
                    let touches =
                        |x: &&&Between| !x.is_place() && x.output.start < line.end && x.output.end > line.start;
                    if near.iter().any(|x| touches(&x) || x.inside(&line)) && !aligned.line_is_certain(i) {
                        return Err(Uncertain::Lines);
                    }
                    if let Step::Pair(_, j) = step {
                        self.line(&line, new[j], &mut edits)?;
                    } else {
                        let wrong = |x: &&&Between| x.inside(&line) && (x.is_place() || x.sort == Sort::Opaque);
                        if let Some(found) = near.iter().find(wrong) {
                            return Err(self.border(found));
                        }
                        edits.extend(self.delete(&line)?);
                    }
                    at = line.end;
                }
            }
        }
        Ok(edits)
    }

    /// One line became another one.
    fn line(&self, old: &Range<usize>, new: &str, edits: &mut Vec<Edit>) -> Result<(), Uncertain> {
        let mut old = old.clone();
        let mut new = new;
        let inside =
            |range: &Range<usize>| -> Vec<&Between> { self.between.iter().filter(|x| x.inside(range)).collect() };
        if let Some(cut) = self.between.iter().find(|x| x.cut_by(&old)) {
            return Err(self.border(cut));
        }
        let mut within = inside(&old);
        // Text before a tag at the end of a line is on its inner side, where the line's own text is.
        let at_end = |x: &&Between| x.is_place() && x.output.start + 1 == old.end;
        if within.iter().any(at_end) && within.iter().all(|x| !x.is_place() || at_end(x)) {
            let Some(body) = new.strip_suffix('\n').filter(|_| self.text()[..old.end].ends_with('\n')) else {
                return Err(self.border(within[within.len() - 1]));
            };
            new = body;
            old.end -= 1;
            within = inside(&old);
        }
        if within.is_empty() {
            if self.text()[old.clone()] != *new {
                edits.push(self.write(old, new)?);
            }
            return Ok(());
        }
        let text = self.text();
        let mut tokens = Vec::new();
        let mut runs = Vec::new();
        let mut start = old.start;
        for x in &within {
            tokens.extend(text[start..x.output.start].chars().map(Token::Char));
            tokens.push(if x.is_place() {
                Token::Border
            } else {
                Token::Value(text[x.output.clone()].chars().collect())
            });
            runs.push((x.around.0, start..x.output.start));
            start = x.output.end;
        }
        tokens.extend(text[start..old.end].chars().map(Token::Char));
        runs.push((within[within.len() - 1].around.1, start..old.end));
        let chars: Vec<(usize, char)> = new.char_indices().collect();
        let plain: Vec<char> = chars.iter().map(|(_, c)| *c).collect();
        let places = align::places(&tokens, &plain).map_err(|unclear| match unclear {
            Unclear::TooLarge => Uncertain::TooLarge,
            Unclear::Gone(index) => self.gone(within[index]),
            Unclear::Ambiguous(index) => self.ambiguous(within[index]),
        })?;
        let byte = |index: usize| chars.get(index).map_or(new.len(), |(at, _)| *at);
        let mut from = 0;
        let mut written = Vec::new();
        for (x, place) in within.iter().zip(&places) {
            let to = byte(*place);
            written.push(&new[from..to]);
            from = to + x.output.len();
            if !x.is_place() && joined(text, &x.output, new, &(to..from), &old) {
                return Err(Uncertain::Joined { expression: self.shown(x) });
            }
        }
        written.push(&new[from..]);
        for ((part, range), new) in runs.into_iter().zip(written) {
            if text[range.clone()] != *new {
                edits.push(self.write_to(part, range, new)?);
            }
        }
        Ok(())
    }

    /// Writes a text where only one literal can hold it.
    fn write(&self, range: Range<usize>, text: &str) -> Result<Edit, Uncertain> {
        let mut owners =
            self.literals.iter().filter(|(_, output)| output.start <= range.start && range.end <= output.end);
        match (owners.next(), owners.next()) {
            (Some((part, _)), None) => self.write_to(*part, range, text),
            _ => Err(self
                .between
                .iter()
                .find(|x| x.output.end >= range.start)
                .map_or(Uncertain::Lines, |x| self.border(x))),
        }
    }

    fn write_to(&self, part: usize, range: Range<usize>, text: &str) -> Result<Edit, Uncertain> {
        // In a loop it stands in the output more than once.
        let holds = |output: &Range<usize>| output.start <= range.start && range.end <= output.end;
        let found = self.literals.iter().find(|(own, output)| *own == part && holds(output));
        let (_, output) = found.ok_or(Uncertain::Lines)?;
        let range = range.start - output.start..range.end - output.start;
        Ok(Edit { part, change: Change::Replace { range, with: vec![Piece::Text(text.to_owned())] } })
    }

    fn shown(&self, x: &Between) -> String {
        crate::text::neutral_line(self.parts.expression(x.part), 80)
    }

    fn border(&self, x: &Between) -> Uncertain {
        match x.sort {
            Sort::Border => Uncertain::Border { line: self.parts.line(x.around.0 + 1) },
            Sort::Opaque if self.parts.is_include(x.part) => Uncertain::Included { line: self.parts.line(x.part) },
            Sort::Opaque => Uncertain::Opaque { line: self.parts.line(x.part) },
            Sort::Value => Uncertain::Ambiguous { expression: self.shown(x) },
        }
    }

    fn gone(&self, x: &Between) -> Uncertain {
        match x.sort {
            Sort::Value => Uncertain::Value { expression: self.shown(x) },
            _ => self.border(x),
        }
    }

    fn ambiguous(&self, x: &Between) -> Uncertain {
        self.border(x)
    }
}

/// Whether text was put right beside a value that could be more of it: `8.2` became `8.2.1`, `shop` became `my-shop`.
fn joined(old: &str, before: &Range<usize>, new: &str, after: &Range<usize>, line: &Range<usize>) -> bool {
    let part_of_value = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '@' | '~' | '%');
    let grows = |near: Option<char>, next: Option<char>| match near {
        Some('.' | ',' | ':' | '/') => next.is_some_and(char::is_alphanumeric),
        Some(c) => part_of_value(c),
        None => false,
    };
    let (old_left, new_left) = (&old[line.start..before.start], &new[..after.start]);
    let (old_right, new_right) = (&old[before.end..line.end], &new[after.end..]);
    let mut left = new_left.chars().rev();
    let mut right = new_right.chars();
    let left = (old_left.chars().next_back() != new_left.chars().next_back()) && grows(left.next(), left.next());
    let right = (old_right.chars().next() != new_right.chars().next()) && grows(right.next(), right.next());
    left || right
}

#[cfg(test)]
mod tests;
