//! YAML as `PyYAML`'s safe loader reads it: version 1.1, where `yes`, `on` and `010` mean what they meant then; and as
//! go-yaml does, where they are asked for. Every value knows its line. Depth, size and what aliases expand to have limits.

mod dump;
pub mod go;
mod scalar;

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

pub use dump::{Style, dump, dump_with};

use super::Value;
use super::question::cast::python_text;
use crate::text::neutral_line;

/// The largest text that is read, in bytes.
const CAP: usize = 1024 * 1024;
/// How deep values may lie in one another.
const DEEPEST: usize = 100;
/// The most values in a text, what aliases stand for counted each time.
const MOST: usize = 100_000;
/// The most bytes of text in those values.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// What is wrong with a YAML text, and where; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct BadYaml {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A value, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is there.
    pub content: Content,
}

/// What is written at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A single value.
    Scalar(Value),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text. A key may be there twice; the last one counts.
    Mapping(Vec<(Node, Node)>),
    /// A text with a tag of its own, such as `!include`.
    Tagged(String, String),
}

impl Node {
    /// The value of a key; of several, the last.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Content::Mapping(pairs) = &self.content else { return None };
        pairs.iter().rev().find(|(name, _)| name.key() == key).map(|(_, value)| value)
    }

    /// Its text as a key.
    pub fn key(&self) -> String {
        match &self.content {
            Content::Scalar(value) => python_text(value),
            Content::Tagged(_, text) => text.clone(),
            Content::Sequence(_) | Content::Mapping(_) => String::new(),
        }
    }

    /// Its value without the places.
    pub fn value(&self) -> Result<Value, BadYaml> {
        Ok(match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => items.iter().map(Self::value).collect::<Result<_, _>>()?,
            Content::Mapping(pairs) => {
                pairs.iter().map(|(key, value)| Ok((key.key(), value.value()?))).collect::<Result<_, BadYaml>>()?
            }
            Content::Tagged(tag, _) => return Err(self.wrong(format!("the tag `{tag}` has no meaning here"))),
        })
    }

    /// A mistake at its place.
    pub fn wrong(&self, message: impl AsRef<str>) -> BadYaml {
        BadYaml { line: self.line, column: self.column, message: neutral_line(message.as_ref(), 300) }
    }
}

/// Whose reading holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// `PyYAML`'s, which Ansible, Copier and Cookiecutter have.
    Python,
    /// go-yaml's, which Compose has. A key stands once, and is text.
    Go,
}

/// Reads one YAML document. Nothing at all is null.
pub fn parse(text: &str) -> Result<Value, BadYaml> {
    let documents = parse_all(text)?;
    match documents.as_slice() {
        [] => Ok(Value::Null),
        [only] => only.value(),
        [_, second, ..] => Err(second.wrong("expected one document, and there is another")),
    }
}

/// Reads every document of a text.
pub fn parse_all(text: &str) -> Result<Vec<Node>, BadYaml> {
    parse_as(text, Loader::Python)
}

/// Reads every document of a text as this loader does.
pub fn parse_as(text: &str, loader: Loader) -> Result<Vec<Node>, BadYaml> {
    let mut reader = Reader::new(text, loader)?;
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        if matches!(event, Event::DocumentStart(_)) {
            let (event, span) = reader.some(span)?;
            documents.push(reader.node(event, span, 0)?.0);
            reader.anchors.clear();
        }
    }
    Ok(documents)
}

/// The items of a list, each as it is written and without its quotes; none if the text is no list.
pub fn items(text: &str) -> Result<Option<Vec<String>>, BadYaml> {
    let mut reader = Reader::new(text, Loader::Python)?;
    let mut depth = 0_usize;
    let mut start = 0;
    let mut items = Vec::new();
    let characters: Vec<char> = text.chars().collect();
    let slice = |start: usize, end: usize| -> String {
        let end = end.min(characters.len());
        characters.get(start..end).unwrap_or_default().iter().collect::<String>().trim().to_owned()
    };
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) if depth < 2 => {
                if depth == 0 && matches!(event, Event::MappingStart(..)) {
                    return Ok(None);
                }
                start = span.start.index();
                depth += 1;
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => {
                depth -= 1;
                if depth == 1 {
                    items.push(slice(start, span.end.index()));
                }
            }
            Event::Scalar(..) | Event::Alias(_) if depth == 0 => return Ok(None),
            Event::Scalar(_, style, ..) if depth == 1 => {
                let raw = slice(span.start.index(), span.end.index());
                let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) && raw.len() > 1;
                items.push(if quoted { raw[1..raw.len() - 1].to_owned() } else { raw });
            }
            Event::Alias(_) if depth == 1 => items.push(slice(span.start.index(), span.end.index())),
            _ => {}
        }
        if items.len() > MOST {
            return Err(at(span, "more values than are read"));
        }
    }
    Ok(Some(items))
}

fn at(span: Span, message: impl AsRef<str>) -> BadYaml {
    let message = neutral_line(message.as_ref(), 300);
    BadYaml { line: span.start.line().max(1), column: span.start.col() + 1, message }
}

/// How much a node is, aliases expanded.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    loader: Loader,
    anchors: HashMap<usize, (Node, Size)>,
    total: Size,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, loader: Loader) -> Result<Self, BadYaml> {
        let none = Span::default();
        if text.len() > CAP {
            return Err(at(none, "more than 1 MiB of YAML"));
        }
        // What PyYAML refuses to read.
        let printable = |c: char| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{fffd}') || c >= '\u{10000}'
        };
        if let Some(offset) = text.find(|c| !printable(c)) {
            let before = &text[..offset];
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
            return Err(BadYaml { line, column, message: "a control character".to_owned() });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let parser = Parser::new_from_str(text);
        Ok(Self { parser, loader, anchors: HashMap::new(), total: Size::default() })
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, BadYaml> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let mark = *error.marker();
                Err(at(Span::empty(mark), error.info()))
            }
        }
    }

    fn some(&mut self, before: Span) -> Result<(Event<'a>, Span), BadYaml> {
        self.next()?.ok_or_else(|| at(before, "the text ends too early"))
    }

    fn count(&mut self, size: Size, span: Span) -> Result<(), BadYaml> {
        self.total.nodes += size.nodes;
        self.total.text += size.text;
        if self.total.nodes > MOST || self.total.text > MOST_TEXT {
            return Err(at(span, "more values than are read, aliases expanded"));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Node, Size), BadYaml> {
        if depth > DEEPEST {
            return Err(at(span, format!("values lie more than {DEEPEST} deep")));
        }
        let mut size = Size { nodes: 1, text: 0 };
        let (content, anchor) = match event {
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(at(span, "an alias of what it lies in"));
                };
                let (node, size) = (node.clone(), *size);
                self.count(size, span)?;
                return Ok((Node { line: span.start.line(), column: span.start.col() + 1, ..node }, size));
            }
            Event::Scalar(text, style, anchor, tag) => {
                size.text = text.len();
                self.count(size, span)?;
                let content = scalar_content(&text, style, tag.as_deref(), self.loader);
                (content.map_err(|message| at(span, message))?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.count(size, span)?;
                collection_tag(tag.as_deref(), "seq").map_err(|message| at(span, message))?;
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.some(span)?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    let (item, more) = self.node(event, span, depth + 1)?;
                    size.nodes += more.nodes;
                    size.text += more.text;
                    items.push(item);
                }
                (Content::Sequence(items), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.count(size, span)?;
                collection_tag(tag.as_deref(), "map").map_err(|message| at(span, message))?;
                (Content::Mapping(self.pairs(span, depth, &mut size)?), anchor)
            }
            _ => return Err(at(span, "expected a value")),
        };
        let node = Node { line: span.start.line(), column: span.start.col() + 1, content };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok((node, size))
    }

    /// The keys and values of a mapping; those that `<<` brings come first, so that its own go before them.
    fn pairs(&mut self, start: Span, depth: usize, size: &mut Size) -> Result<Vec<(Node, Node)>, BadYaml> {
        let mut merged = Vec::new();
        let mut own = Vec::new();
        let mut names = HashSet::new();
        loop {
            let (event, span) = self.some(start)?;
            if event == Event::MappingEnd {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let written = match (&event, self.loader) {
                (Event::Scalar(text, ..), Loader::Go) => Some(text.to_string()),
                _ => None,
            };
            let (mut key, more) = self.node(event, span, depth + 1)?;
            if let Some(name) = written {
                if !names.insert(name.clone()) {
                    return Err(key.wrong(format!("the key `{name}` is there twice")));
                }
                key.content = Content::Scalar(Value::String(name));
            }
            if matches!(key.content, Content::Sequence(_) | Content::Mapping(_)) {
                return Err(key.wrong("a list or a table cannot be a key; quote a text that begins with `{`"));
            }
            size.nodes += more.nodes;
            size.text += more.text;
            let (event, span) = self.some(span)?;
            let (value, more) = self.node(event, span, depth + 1)?;
            size.nodes += more.nodes;
            size.text += more.text;
            if !merge {
                own.push((key, value));
                continue;
            }
            match value.content {
                Content::Mapping(pairs) => merged.extend(pairs),
                Content::Sequence(items) => {
                    // Of several, the first goes before the others: so it comes last.
                    for item in items.into_iter().rev() {
                        match item.content {
                            Content::Mapping(pairs) => merged.extend(pairs),
                            _ => return Err(at(span, "expected a table to merge")),
                        }
                    }
                }
                _ => return Err(at(span, "expected a table, or a list of tables, to merge")),
            }
        }
        merged.extend(own);
        Ok(merged)
    }
}

fn scalar_content(text: &str, style: ScalarStyle, tag: Option<&Tag>, loader: Loader) -> Result<Content, String> {
    let own = |text: &str| Content::Scalar(Value::String(text.to_owned()));
    let resolve = |text: &str| match loader {
        Loader::Python => scalar::resolve(text),
        Loader::Go => Ok(go::resolve(text)),
    };
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => resolve(text).map(Content::Scalar),
            _ => Ok(own(text)),
        };
    };
    if tag.is_yaml_core_schema() {
        let resolved = || resolve(text).ok();
        let value = match tag.suffix.as_str() {
            "str" => Some(Value::String(text.to_owned())),
            "int" => resolved().filter(|value| value.is_i64() || value.is_u64()),
            "float" => resolved().and_then(|value| value.as_f64()).map(Value::from),
            "bool" => resolved().filter(Value::is_boolean),
            "null" => Some(Value::Null),
            _ => None,
        };
        return value.map(Content::Scalar).ok_or_else(|| format!("`{text}` is no `!!{}`", tag.suffix));
    }
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("", "!") | ("!", "") => Ok(own(text)),
        (handle, suffix) => Ok(Content::Tagged(format!("{handle}{suffix}"), text.to_owned())),
    }
}

fn collection_tag(tag: Option<&Tag>, own: &str) -> Result<(), String> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == own => Ok(()),
        Some(tag) => Err(format!("the tag `{}{}` has no meaning here", tag.handle, tag.suffix)),
    }
}

#[cfg(test)]
mod tests;
