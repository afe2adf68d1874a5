//! JSON whose text stays as it is: only what a patch touches is written anew.

use std::collections::HashSet;
use std::ops::Range;

use super::value::{self, Patch, Value};

/// A JSON text, and where in it everything is.
pub(super) struct Json {
    text: String,
    root: Node,
}

struct Node {
    span: Range<usize>,
    kind: Kind,
}

enum Kind {
    Scalar,
    List(Vec<Node>),
    /// Keys, where each of them begins, and their values.
    Map(Vec<(String, usize, Node)>),
}

/// An element or a member with what stands between it and its neighbours.
struct Part {
    lead: String,
    body: String,
}

impl super::Document for Json {
    fn read(text: &str) -> Option<Self> {
        // The reader below only finds places: what it reads is known to be JSON, and not too deep.
        serde_json::from_str::<serde_json::Value>(text).ok()?;
        let mut reader = Reader { text, at: 0 };
        let root = reader.node()?;
        matches!(root.kind, Kind::Map(_)).then(|| Self { text: text.to_owned(), root })
    }

    fn value(&self) -> Value {
        self.value_of(&self.root)
    }

    fn patched(&self, patch: &Patch, from: &Self, _base: Option<&Self>) -> Option<String> {
        let root = self.emit(&self.root, patch, from, Some(&from.root))?;
        Some(format!("{}{root}{}", &self.text[..self.root.span.start], &self.text[self.root.span.end..]))
    }
}

impl Json {
    fn value_of(&self, node: &Node) -> Value {
        let text = &self.text[node.span.clone()];
        match &node.kind {
            Kind::Scalar => Value::Scalar(decoded(text).map_or_else(|| text.to_owned(), |text| format!("\"{text}"))),
            Kind::List(nodes) => Value::List(nodes.iter().map(|node| self.value_of(node)).collect()),
            Kind::Map(map) => Value::Map(map.iter().map(|(key, _, node)| (key.clone(), self.value_of(node))).collect()),
        }
    }

    /// A node's text with a patch.
    fn emit(&self, node: &Node, patch: &Patch, from: &Self, source: Option<&Node>) -> Option<String> {
        match (&node.kind, patch, source) {
            (_, Patch::Take, Some(source)) => Some(from.moved(source.span.clone(), Some(self.indent(node.span.start)))),
            (Kind::Map(map), Patch::Inside(patches), source) => {
                // Where the other text has no map, it has none of its keys.
                let theirs = match source.map(|source| &source.kind) {
                    Some(Kind::Map(theirs)) => theirs.as_slice(),
                    _ => &[],
                };
                let places: Vec<_> = map.iter().map(|(_, start, node)| *start..node.span.end).collect();
                let mut parts = self.parts(node, &places)?;
                let mut keys: Vec<&str> = map.iter().map(|(key, _, _)| key.as_str()).collect();
                let their_keys: Vec<&str> = theirs.iter().map(|(key, _, _)| key.as_str()).collect();
                let (first, next) = self.leads(node, &parts);
                for (key, patch) in patches {
                    let new = theirs.iter().find(|(name, _, _)| name == key);
                    let at = keys.iter().position(|name| name == key);
                    match (at, new) {
                        (Some(at), None) if *patch == Patch::Take => {
                            keys.remove(at);
                            remove(&mut parts, at);
                        }
                        (Some(at), new) => {
                            let (_, start, own) = map.iter().find(|(name, _, _)| name == key)?;
                            let value = self.emit(own, patch, from, new.map(|(_, _, source)| source))?;
                            parts[at].body = format!("{}{value}", &self.text[*start..own.span.start]);
                        }
                        (None, Some((_, start, source))) => {
                            let at = value::place(&keys, &their_keys, &key.as_str());
                            keys.insert(at, key);
                            let indent = first.rsplit_once('\n').map(|(_, indent)| indent);
                            insert(&mut parts, at, from.moved(*start..source.span.end, indent), &first, &next);
                        }
                        (None, None) => {}
                    }
                }
                Some(self.joined(node, &parts))
            }
            (Kind::List(list), Patch::Elements { gone, new }, Some(Node { kind: Kind::List(theirs), .. })) => {
                let places: Vec<_> = list.iter().map(|node| node.span.clone()).collect();
                let mut parts = self.parts(node, &places)?;
                let (first, next) = self.leads(node, &parts);
                let mut values: Vec<Value> = list.iter().map(|node| self.value_of(node)).collect();
                let their_values: Vec<Value> = theirs.iter().map(|node| from.value_of(node)).collect();
                while let Some(at) = values.iter().position(|value| gone.contains(value)) {
                    values.remove(at);
                    remove(&mut parts, at);
                }
                for one in new {
                    let source = &theirs[their_values.iter().position(|value| value == one)?];
                    let at = value::place(&values, &their_values, one);
                    values.insert(at, one.clone());
                    insert(&mut parts, at, from.text[source.span.clone()].to_owned(), &first, &next);
                }
                Some(self.joined(node, &parts))
            }
            _ => None,
        }
    }

    /// What stands before the first and before any other part of a node, as this text has it.
    fn leads(&self, node: &Node, parts: &[Part]) -> (String, String) {
        match parts {
            [] if self.text.trim().contains('\n') || self.text.trim() == "{}" => {
                let lead = format!("\n{}{}", self.indent(node.span.start), self.unit());
                (lead.clone(), lead)
            }
            [] => (String::new(), " ".to_owned()),
            [one] if !one.lead.contains('\n') => (one.lead.clone(), " ".to_owned()),
            [one] => (one.lead.clone(), one.lead.clone()),
            [one, two, ..] => (one.lead.clone(), two.lead.clone()),
        }
    }

    /// A node's parts; none where commas begin lines: joined again, they would end them.
    fn parts(&self, node: &Node, places: &[Range<usize>]) -> Option<Vec<Part>> {
        let mut done = node.span.start + 1;
        let part = |place: &Range<usize>| {
            let between = &self.text[done..place.start];
            let lead = if done == node.span.start + 1 { between } else { between.strip_prefix(',')? };
            done = place.end;
            Some(Part { lead: lead.to_owned(), body: self.text[place.clone()].to_owned() })
        };
        places.iter().map(part).collect()
    }

    /// Parts within their brackets.
    fn joined(&self, node: &Node, parts: &[Part]) -> String {
        let text = &self.text[node.span.clone()];
        let (open, close) = (&text[..1], &text[text.len() - 1..]);
        let parts: Vec<String> = parts.iter().map(|part| format!("{}{}", part.lead, part.body)).collect();
        let last = match &node.kind {
            Kind::List(list) => list.last().map(|node| node.span.end),
            Kind::Map(map) => map.last().map(|(_, _, node)| node.span.end),
            Kind::Scalar => None,
        };
        let tail = match (parts.first(), last) {
            (Some(_), Some(last)) => self.text[last..node.span.end - 1].to_owned(),
            (Some(first), None) if first.starts_with('\n') => format!("\n{}", self.indent(node.span.start)),
            _ => String::new(),
        };
        format!("{open}{}{tail}{close}", parts.join(","))
    }

    /// The white space that the line of a place begins with.
    fn indent(&self, at: usize) -> &str {
        let line = &self.text[self.text[..at].rfind('\n').map_or(0, |end| end + 1)..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// By how much this text indents.
    fn unit(&self) -> String {
        let first = match &self.root.kind {
            Kind::Map(map) => map.first().map(|(_, start, _)| self.indent(*start)),
            _ => None,
        };
        first.filter(|indent| !indent.is_empty()).unwrap_or("  ").to_owned()
    }

    /// A part of this text as it stands in a line that is indented otherwise, or on one line. No string holds a line
    /// break.
    fn moved(&self, span: Range<usize>, indent: Option<&str>) -> String {
        let own = self.indent(span.start);
        let mut lines = self.text[span].split('\n');
        let first = lines.next().unwrap_or_default().trim_end().to_owned();
        let rest = lines.map(|line| match indent {
            Some(indent) => format!("\n{indent}{}", line.strip_prefix(own).unwrap_or(line.trim_start())),
            None => format!(" {}", line.trim()),
        });
        first + &rest.collect::<String>()
    }
}

fn insert(parts: &mut Vec<Part>, at: usize, body: String, first: &str, next: &str) {
    if at == 0
        && let Some(part) = parts.first_mut()
    {
        next.clone_into(&mut part.lead);
    }
    let lead = if at == 0 { first } else { next };
    parts.insert(at, Part { lead: lead.to_owned(), body });
}

fn remove(parts: &mut Vec<Part>, at: usize) {
    let gone = parts.remove(at);
    if at == 0
        && let Some(part) = parts.first_mut()
    {
        part.lead = gone.lead;
    }
}

/// A string's characters.
fn decoded(text: &str) -> Option<String> {
    text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten()
}

/// Finds where everything is in what is known to be JSON.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text.as_bytes().get(self.at).copied()
    }

    fn node(&mut self) -> Option<Node> {
        let first = self.peek()?;
        let start = self.at;
        let kind = match first {
            b'{' => {
                let mut seen = HashSet::new();
                Kind::Map(self.several(b'}', |reader| {
                    reader.peek()?;
                    let start = reader.at;
                    let key = reader.string()?;
                    reader.peek()?;
                    reader.at += 1;
                    // A key that is there twice has no value that can be told.
                    seen.insert(key.clone()).then_some(())?;
                    Some((key, start, reader.node()?))
                })?)
            }
            b'[' => Kind::List(self.several(b']', Self::node)?),
            b'"' => {
                self.string()?;
                Kind::Scalar
            }
            _ => {
                let rest = &self.text[self.at..];
                self.at += rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                Kind::Scalar
            }
        };
        Some(Node { span: start..self.at, kind })
    }

    /// Parts and commas up to a closing bracket.
    fn several<T>(&mut self, close: u8, mut part: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.at += 1;
        let mut parts = Vec::new();
        while self.peek()? != close {
            if self.text.as_bytes()[self.at] == b',' {
                self.at += 1;
            }
            parts.push(part(self)?);
        }
        self.at += 1;
        Some(parts)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let mut escaped = false;
        for (at, byte) in self.text.bytes().enumerate().skip(start + 1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = at + 1;
                    return decoded(&self.text[start..self.at]);
                }
                _ => {}
            }
        }
        None
    }
}
