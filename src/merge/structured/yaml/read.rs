//! YAML's events, read to nodes that know where they begin.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

/// How deep a document may be.
const DEPTH: usize = 64;

pub(super) struct Node {
    pub(super) start: Marker,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Scalar { text: String, style: ScalarStyle, tag: String },
    List { block: bool, items: Vec<Node> },
    Map { block: bool, entries: Vec<Entry> },
}

/// A key, where it begins, and what it has.
pub(super) type Entry = (String, Marker, Node);

/// The node of a text's only document; none where it is broken, or more than nodes of the plain kind.
pub(super) fn nodes(text: &str, lines: &[String]) -> Option<Node> {
    Reader { parser: Parser::new_from_str(text), lines }.document()
}

/// Events to nodes.
struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    lines: &'t [String],
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Marker)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        Some((event, span.start))
    }

    /// The only document; a text that says nothing is an empty map.
    fn document(&mut self) -> Option<Node> {
        let empty = Node { start: Marker::default(), kind: Kind::Map { block: true, entries: Vec::new() } };
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) if root.is_none() => {}
                (Event::StreamEnd, _) => return Some(root.unwrap_or(empty)),
                (Event::DocumentEnd, _) => {}
                (event, start) if root.is_none() => root = Some(self.node(event, start, 0)?),
                _ => return None,
            }
        }
    }

    fn node(&mut self, event: Event<'t>, start: Marker, depth: usize) -> Option<Node> {
        let flow = |sign| at(self.lines, start).is_some_and(|rest| rest.starts_with(sign));
        let kind = match event {
            _ if depth > DEPTH => return None,
            Event::Scalar(text, style, 0, tag) => {
                Kind::Scalar { text: text.into_owned(), style, tag: tag.map(|tag| tag.to_string()).unwrap_or_default() }
            }
            Event::SequenceStart(0, None) => {
                let block = !flow('[');
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Kind::List { block, items },
                        (event, start) => items.push(self.node(event, start, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(0, None) => {
                let block = !flow('{');
                let (mut entries, mut seen) = (Vec::new(), HashSet::new());
                loop {
                    let (event, key_start) = self.next()?;
                    if event == Event::MappingEnd {
                        break Kind::Map { block, entries };
                    }
                    let key = self.node(event, key_start, depth + 1)?;
                    let Kind::Scalar { text, .. } = key.kind else { return None };
                    // A key that is there twice has no value that can be told.
                    seen.insert(text.clone()).then_some(())?;
                    let (event, start) = self.next()?;
                    entries.push((text, key_start, self.node(event, start, depth + 1)?));
                }
            }
            _ => return None,
        };
        Some(Node { start, kind })
    }
}

/// What stands at a place, to the end of its line.
pub(super) fn at(lines: &[String], marker: Marker) -> Option<&str> {
    let line = lines.get(marker.line().checked_sub(1)?)?;
    let (byte, _) = line.char_indices().nth(marker.col())?;
    Some(&line[byte..])
}
