//! YAML whose values know where they are written, what is shared with others, and what they are to other readers.
//!
//! What the text means is said by [`crate::template::yaml`], which has the limits; here are the places. An alias or a merge leads to
//! what is written elsewhere: that can be read, and is not edited.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::document::{self, DocumentError};
use crate::template::Value;
use crate::template::yaml::{self, Loader};

/// A text and its values.
pub(super) struct Doc<'t> {
    /// What errors call it.
    pub path: &'t Path,
    pub text: &'t str,
    nodes: Vec<Node>,
    /// The first value of each document.
    roots: Vec<usize>,
    /// What each anchor is on.
    anchors: BTreeMap<usize, usize>,
    /// Where each anchor is used first, in bytes.
    uses: BTreeMap<usize, usize>,
}

struct Node {
    /// In bytes, where it begins.
    start: usize,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    Scalar {
        text: String,
        style: ScalarStyle,
        tagged: bool,
        span: Range<usize>,
    },
    List(Vec<usize>),
    /// Keys and values.
    Map(Vec<(usize, usize)>),
    Alias(usize),
}

/// A value in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    node: usize,
    /// Where it is what leads here that others can take, too: an alias, a merge, or the use of an anchor.
    pub shared: Option<usize>,
    pub way: Way,
}

/// The way to a value through keys and positions, as a hash: keys can be long, and the values below them many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way([u8; 32]);

impl Way {
    /// To a document.
    fn to(document: usize) -> Self {
        Self([0; 32]).step(&document.to_string())
    }

    /// One step on.
    pub fn step(self, name: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0).update(name.as_bytes());
        Self(hash.finalize().into())
    }
}

/// What takes the place of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub range: Range<usize>,
    pub text: String,
}

impl<'t> Doc<'t> {
    /// Reads a text. `path` is what errors call it.
    pub fn parse(path: &'t Path, text: &'t str) -> Result<Self, DocumentError> {
        values(path, text)?;
        let skipped = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
        let mut doc =
            Self { path, text, nodes: Vec::new(), roots: Vec::new(), anchors: BTreeMap::new(), uses: BTreeMap::new() };
        let mut reader =
            Reader { doc: &mut doc, parser: Parser::new_from_str(&text[skipped..]), offsets: offsets(text, skipped) };
        match reader.documents() {
            Some(()) => Ok(doc),
            // What was read to values a moment ago has events, too.
            None => Err(document::wrong(path, text, 0, "its places cannot be told".to_owned())),
        }
    }

    /// The documents that say something.
    pub fn documents(&self) -> impl Iterator<Item = At> + '_ {
        self.roots.iter().enumerate().map(|(at, node)| self.enter(*node, None, Way::to(at)))
    }

    /// The one document: a table. None where the text says nothing.
    pub fn only(&self) -> Result<Option<At>, DocumentError> {
        let mut all = self.documents();
        let Some(first) = all.next() else { return Ok(None) };
        if let Some(second) = all.next() {
            return Err(
                self.wrong(&second, "expected one document, and there is another: nobody can tell which one counts")
            );
        }
        match &self.nodes[first.node].kind {
            Kind::Map(_) => Ok(Some(first)),
            Kind::Scalar { text, .. } if text.is_empty() => Ok(None),
            _ => Err(self.wrong(&first, "expected a table")),
        }
    }

    /// A mistake at a value.
    pub fn wrong(&self, at: &At, message: &str) -> DocumentError {
        document::wrong(self.path, self.text, self.nodes[at.node].start, message.to_owned())
    }

    /// Where a value is written, for people: `file:line`.
    pub fn place(&self, at: &At) -> String {
        self.place_of(self.nodes[at.node].start)
    }

    pub fn place_of(&self, offset: usize) -> String {
        format!("{}:{}", self.path.display(), self.text[..offset].matches('\n').count() + 1)
    }

    /// The value of a node, aliases followed.
    fn enter(&self, node: usize, shared: Option<usize>, way: Way) -> At {
        let here = &self.nodes[node];
        if let Kind::Alias(anchor) = here.kind {
            let target = self.anchors.get(&anchor).copied().unwrap_or(node);
            return At { node: target, shared: shared.or(Some(here.start)), way };
        }
        let used = || self.uses.get(&here.anchor).copied();
        At { node, shared: shared.or_else(|| (here.anchor > 0).then(used).flatten()), way }
    }

    fn step(&self, from: &At, node: usize, name: &str, through: Option<usize>) -> At {
        self.enter(node, from.shared.or(through), from.way.step(name))
    }

    /// The entries of a table: keys, where these are written, values. What a merge brings comes after its own.
    pub fn entries(&self, at: &At) -> Vec<(String, At, At)> {
        let (mut found, mut names) = (Vec::new(), HashSet::new());
        let mut tables = vec![(*at, None)];
        let mut looked = HashSet::new();
        while let Some((table, through)) = tables.pop() {
            let Kind::Map(pairs) = &self.nodes[table.node].kind else { continue };
            // A table that is merged once more brings nothing new; and so no number of merges takes long.
            if !looked.insert(table.node) {
                continue;
            }
            for (key, value) in pairs {
                let Kind::Scalar { text, style, .. } = &self.nodes[*key].kind else { continue };
                let start = self.nodes[*key].start;
                if text == "<<" && *style == ScalarStyle::Plain {
                    let merged = self.enter(*value, Some(start), at.way);
                    match &self.nodes[merged.node].kind {
                        Kind::List(items) => {
                            let items = items.iter().rev().map(|item| self.enter(*item, Some(start), at.way));
                            tables.extend(items.map(|item| (item, Some(start))));
                        }
                        _ => tables.push((merged, Some(start))),
                    }
                } else if names.insert(text.as_str()) {
                    let from = At { shared: table.shared.or(through), ..*at };
                    let key = At { node: *key, shared: from.shared, way: at.way.step(text) };
                    found.push((text.clone(), key, self.step(&from, *value, text, through)));
                }
            }
        }
        found
    }

    /// The keys that are written in a table itself, merges among them.
    pub fn keys(&self, at: &At) -> Vec<(&str, At)> {
        let Kind::Map(pairs) = &self.nodes[at.node].kind else { return Vec::new() };
        let key = |(key, _): &(usize, usize)| {
            let key = self.enter(*key, None, at.way);
            Some((self.scalar(&key)?, key))
        };
        pairs.iter().filter_map(key).collect()
    }

    /// The value of a key.
    pub fn get(&self, at: &At, key: &str) -> Option<At> {
        self.entry(at, key).map(|(_, value)| value)
    }

    /// A key and its value.
    pub fn entry(&self, at: &At, key: &str) -> Option<(At, At)> {
        self.entries(at).into_iter().find(|(name, ..)| name == key).map(|(_, key, value)| (key, value))
    }

    /// What the keys lead to, one after the other.
    pub fn find(&self, at: &At, keys: &[&str]) -> Option<At> {
        keys.iter().try_fold(*at, |at, key| self.get(&at, key))
    }

    /// The items of a list.
    pub fn items(&self, at: &At) -> Vec<At> {
        let Kind::List(items) = &self.nodes[at.node].kind else { return Vec::new() };
        items.iter().enumerate().map(|(index, item)| self.step(at, *item, &index.to_string(), None)).collect()
    }

    /// The text of a single value, as it is written but for quotes.
    pub fn scalar(&self, at: &At) -> Option<&str> {
        match &self.nodes[at.node].kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is a table.
    pub fn is_table(&self, at: &At) -> bool {
        matches!(self.nodes[at.node].kind, Kind::Map(_))
    }

    /// A single value that says something: neither nothing nor an empty text.
    pub fn said(&self, at: &At) -> Option<&str> {
        let Kind::Scalar { text, style, .. } = &self.nodes[at.node].kind else { return None };
        let null = *style == ScalarStyle::Plain && matches!(text.as_str(), "~" | "null" | "Null" | "NULL");
        (!text.is_empty() && !null).then_some(text)
    }

    /// Whether it is a text to every reader: unquoted, `1.10` is the number 1.1 to some.
    pub fn is_text(&self, at: &At) -> bool {
        match &self.nodes[at.node].kind {
            Kind::Scalar { text, style: ScalarStyle::Plain, tagged, .. } => {
                !tagged && values(self.path, text).is_ok_and(|all| all.values().all(|v| matches!(v, Value::String(_))))
            }
            Kind::Scalar { tagged, .. } => !tagged,
            _ => false,
        }
    }

    /// The bytes of a single value with its quotes, and the quote. Why it is not edited, where it is not.
    pub fn span(&self, at: &At) -> Result<(Range<usize>, &'static str), String> {
        if let Some(offset) = at.shared {
            return Err(format!("it is shared: what is written there holds by {}, too", self.place_of(offset)));
        }
        let Kind::Scalar { style, tagged, span, .. } = &self.nodes[at.node].kind else {
            return Err("it is no text".to_owned());
        };
        match style {
            _ if *tagged => Err("it has a tag, which could give it another meaning".to_owned()),
            ScalarStyle::Literal | ScalarStyle::Folded => Err("it is written as a block of lines".to_owned()),
            _ if span.is_empty() => Err("it is empty, written with escapes, or over several lines".to_owned()),
            _ => Ok((span.clone(), quote(*style))),
        }
    }

    /// The line that holds nothing but an entry, with its line end; why there is none.
    pub fn line(&self, key: &At, value: &At) -> Result<Range<usize>, String> {
        let (key, value) = (self.span(key)?.0, self.span(value)?.0);
        let start = self.text[..key.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[value.end..].find('\n').map_or(self.text.len(), |at| value.end + at + 1);
        let blank = |range: Range<usize>| self.text[range].trim().is_empty();
        if blank(start..key.start) && blank(value.end..end) && self.text[key.end..value.start].trim() == ":" {
            Ok(start..end)
        } else {
            Err("it does not have a line of its own".to_owned())
        }
    }
}

/// What a text says: every single value by the way to it. Empty lists and tables are told, too.
pub(super) fn values(path: &Path, text: &str) -> Result<BTreeMap<Way, Value>, DocumentError> {
    let wrong =
        |line, column, message, hint| DocumentError::Wrong { path: path.to_owned(), line, column, message, hint };
    let documents = yaml::parse_as(text, Loader::Go).map_err(|bad| {
        let braces = text.lines().position(|line| line.contains("{{"));
        match braces {
            Some(at) => {
                let message = "it is a template (`{{`): what it says is known only once it is rendered".to_owned();
                wrong(at + 1, 1, message, Some("name the file of values that it is rendered with".to_owned()))
            }
            None => wrong(bad.line, bad.column, bad.message, None),
        }
    })?;
    let mut found = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        let value = document.value().map_err(|bad| wrong(bad.line, bad.column, bad.message, None))?;
        flatten(Way::to(at), value, &mut found);
    }
    Ok(found)
}

fn flatten(at: Way, value: Value, found: &mut BTreeMap<Way, Value>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                flatten(at.step(&key), value, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.into_iter().enumerate() {
                flatten(at.step(&index.to_string()), item, found);
            }
        }
        other => drop(found.insert(at, other)),
    }
}

fn quote(style: ScalarStyle) -> &'static str {
    match style {
        ScalarStyle::SingleQuoted => "'",
        ScalarStyle::DoubleQuoted => "\"",
        _ => "",
    }
}

/// The bytes of a single value with its quotes, where it is written as it is. Events begin where its anchor or tag does.
fn literal(text: &str, start: usize, style: ScalarStyle, value: &str) -> Range<usize> {
    let mut rest = &text[start..];
    while rest.starts_with(['&', '!']) {
        rest = rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..].trim_start();
    }
    let (begin, quote) = (text.len() - rest.len(), quote(style));
    let written = format!("{quote}{value}{quote}");
    if rest.starts_with(&written) { begin..begin + written.len() } else { begin..begin }
}

/// Where in bytes each character begins, and the end.
fn offsets(text: &str, skipped: usize) -> Vec<usize> {
    let all = text[skipped..].char_indices().map(|(at, _)| at + skipped);
    all.chain(std::iter::once(text.len())).collect()
}

/// Events to nodes.
struct Reader<'d, 't> {
    doc: &'d mut Doc<'t>,
    parser: Parser<'t, StrInput<'t>>,
    offsets: Vec<usize>,
}

impl<'t> Reader<'_, 't> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.parser.next_event()?.ok()
    }

    fn documents(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Some(()),
                (Event::DocumentStart(_), _) => {
                    let (event, span) = self.next()?;
                    let root = self.node(event, span)?;
                    self.doc.roots.push(root);
                }
                _ => {}
            }
        }
    }

    /// Depth has a limit already: the values were read before.
    fn node(&mut self, event: Event<'t>, span: Span) -> Option<usize> {
        let start = *self.offsets.get(span.start.index())?;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                self.doc.uses.entry(anchor).or_insert(start);
                (Kind::Alias(anchor), 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let span = literal(self.doc.text, start, style, &text);
                (Kind::Scalar { text: text.into_owned(), style, tagged: tag.is_some(), span }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (Kind::List(items), anchor),
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut pairs = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break (Kind::Map(pairs), anchor),
                        (event, span) => {
                            let key = self.node(event, span)?;
                            let (event, span) = self.next()?;
                            pairs.push((key, self.node(event, span)?));
                        }
                    }
                }
            }
            _ => return None,
        };
        self.doc.nodes.push(Node { start, anchor, kind });
        let node = self.doc.nodes.len() - 1;
        if anchor > 0 {
            self.doc.anchors.insert(anchor, node);
        }
        Some(node)
    }
}
