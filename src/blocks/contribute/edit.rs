//! Changes of a template's parts: made in its source, and in what it renders to.

use std::ops::Range;

use super::trace::{Kind, Parts, Trace};
use crate::template::Syntax;

/// A change of one part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The part.
    pub part: usize,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An expression goes.
    Remove,
    /// Some of a literal's text becomes something else.
    Replace {
        /// Where in the literal.
        range: Range<usize>,
        /// What stands there then.
        with: Vec<Piece>,
    },
}

/// What is written into a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, which renders to itself.
    Text(String),
    /// The expression of another part.
    Expression(usize),
}

impl Edit {
    /// The parts whose expressions it writes.
    pub fn expressions(&self) -> impl Iterator<Item = usize> {
        let pieces = match &self.change {
            Change::Replace { with, .. } => with.as_slice(),
            Change::Remove => &[],
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Expression(part) => Some(*part),
            Piece::Text(_) => None,
        })
    }
}

impl Parts {
    /// The source with these changes. New text is escaped, so that it renders to itself.
    pub fn edited(&self, edits: &[Edit]) -> String {
        let (start, end) = &self.syntax().variable;
        let mut text = String::new();
        let mut cursor = 0;
        for index in 0..self.count() {
            let part = self.part(index);
            if edits.iter().any(|edit| edit.part == index && edit.change == Change::Remove) {
                // With the blanks around it that its own signs take away.
                cursor = self.part(index + 1).source.start;
                continue;
            }
            text.push_str(&self.source()[cursor..part.source.start]);
            cursor = part.source.end;
            let Kind::Literal { raw } = part.kind else {
                text.push_str(self.text(index));
                continue;
            };
            let piece = |piece: &Piece| match piece {
                Piece::Text(text) if raw => text.clone(),
                Piece::Text(text) => escape(text, self.syntax()),
                Piece::Expression(part) => format!("{start} {} {end}", self.expression(*part)),
            };
            text.push_str(&replaced(self.text(index), edits, index, piece));
        }
        text.push_str(&self.source()[cursor..]);
        text
    }
}

impl Trace {
    /// The output with these changes; `value` is what a part's expression renders to here.
    pub fn edited(&self, parts: &Parts, edits: &[Edit], value: &dyn Fn(usize) -> String) -> String {
        let mut text = String::new();
        for span in &self.spans {
            let own = &self.text[span.output.clone()];
            if edits.iter().any(|edit| edit.part == span.part && edit.change == Change::Remove) {
                continue;
            }
            if matches!(parts.part(span.part).kind, Kind::Literal { .. }) {
                let piece = |piece: &Piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Expression(part) => value(*part),
                };
                text.push_str(&replaced(own, edits, span.part, piece));
            } else {
                text.push_str(own);
            }
        }
        text
    }
}

/// A literal's text with the changes of it. Those of one place stand in the order in which they were found.
fn replaced(text: &str, edits: &[Edit], part: usize, show: impl Fn(&Piece) -> String) -> String {
    let mut own: Vec<(&Range<usize>, &Vec<Piece>)> = edits
        .iter()
        .filter(|edit| edit.part == part)
        .filter_map(|edit| match &edit.change {
            Change::Replace { range, with } => Some((range, with)),
            Change::Remove => None,
        })
        .collect();
    own.sort_by_key(|(range, _)| range.start);
    let mut out = String::new();
    let mut cursor = 0;
    for (range, with) in own {
        out.push_str(&text[cursor.min(range.start)..range.start]);
        out.extend(with.iter().map(&show));
        cursor = range.end;
    }
    out.push_str(&text[cursor..]);
    out
}

/// A text as a template that renders to it.
fn escape(text: &str, syntax: &Syntax) -> String {
    let delimiters = [&syntax.block.0, &syntax.variable.0, &syntax.comment.0];
    let (start, end) = &syntax.variable;
    let mut out = String::new();
    let mut rest = text;
    loop {
        let found =
            delimiters.iter().filter_map(|delimiter| Some((rest.find(delimiter.as_str())?, delimiter.as_str())));
        let Some((at, delimiter)) = found.min_by_key(|(at, delimiter)| (*at, usize::MAX - delimiter.len())) else {
            return out + rest;
        };
        out.push_str(&rest[..at]);
        let quoted = delimiter.replace('\\', "\\\\").replace('\'', "\\'");
        out.push_str(&format!("{start} '{quoted}' {end}"));
        rest = &rest[at + delimiter.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::{Loops, tests::renderer};
    use super::*;

    #[test]
    fn changes_are_the_same_in_source_and_output() {
        let syntax = Syntax::default();
        let source = "a {{ name }} b {{- name }}\n{% if off %}x{% endif %}end";
        let parts = Parts::of(source, &syntax, Loops::Traced).unwrap();
        let render = renderer(&syntax, serde_json::json!({"name": "shop", "off": false}));
        let trace = parts.trace(&render).unwrap();
        let replace = |part: usize, range: Range<usize>, with: Piece| Edit {
            part,
            change: Change::Replace { range, with: vec![with] },
        };
        let edits = [
            replace(0, 0..1, Piece::Text("{% if %} {{".into())),
            Edit { part: 3, change: Change::Remove },
            replace(8, 0..0, Piece::Expression(1)),
        ];
        let edited = parts.edited(&edits);
        assert_eq!(edited, "{{ '{%' }} if %} {{ '{{' }} {{ name }} b\n{% if off %}x{% endif %}{{ name }}end");
        let value = |_| "shop".to_owned();
        assert_eq!(render(&edited).unwrap(), trace.edited(&parts, &edits, &value));
        assert_eq!(parts.edited(&[]), source);
    }

    proptest::proptest! {
        #[test]
        fn escaped_text_renders_to_itself(text in "([a-z \\n'\\\\]|\\{\\{|\\}\\}|\\{%|%\\}|-|\\{#|#\\}|raw){0,12}") {
            let syntax = Syntax::default();
            let escaped = escape(&text, &syntax);
            proptest::prop_assert_eq!(renderer(&syntax, serde_json::json!({}))(&escaped).unwrap(), text);
        }
    }
}
