//! YAML whose lines stay as they are: block mappings and block lists are spliced line by line. What has anchors, tags on
//! collections, several documents or keys that are no scalars is left to the merge by lines.

mod read;

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use read::{Entry, Kind, Node, at, nodes};

use super::value::{self, Patch, Value};

/// A YAML text in its lines.
pub(super) struct Yaml {
    lines: Vec<String>,
    root: Node,
}

/// A run of lines that is one entry of a mapping or a list, and the comments above it.
struct Chunk {
    lead: String,
    body: String,
}

impl super::Document for Yaml {
    fn read(text: &str) -> Option<Self> {
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        // Ends of documents, and lines that only other readers take for lines, lead to places that are not there.
        if lines.iter().any(|line| line.starts_with("...")) || text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\r']) {
            return None;
        }
        let root = nodes(text, &lines)?;
        matches!(root.kind, Kind::Map { .. }).then_some(Self { lines, root })
    }

    fn value(&self) -> Value {
        value_of(&self.root)
    }

    fn patched(&self, patch: &Patch, from: &Self, base: Option<&Self>) -> Option<String> {
        let end = |document: &Self| document.lines.len();
        let base = base.map(|base| (base, Some(&base.root), 0..end(base)));
        self.emit(&self.root, 0..end(self), patch, (from, Some(&from.root), 0..end(from)), base.as_ref())
    }
}

fn value_of(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, style: ScalarStyle::Plain, tag } => Value::Scalar(format!("{tag} {text}")),
        Kind::Scalar { text, tag, .. } => Value::Scalar(format!("{tag} \"{text}")),
        Kind::List { items, .. } => Value::List(items.iter().map(value_of).collect()),
        Kind::Map { entries, .. } => {
            Value::Map(entries.iter().map(|(key, _, node)| (key.clone(), value_of(node))).collect())
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn column(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Lines that begin at one column, as they begin at another one.
fn moved(lines: &[String], from: usize, to: usize) -> String {
    let line = |line: &String| match line.get(from..) {
        _ if line.trim().is_empty() => line.clone(),
        Some(rest) if line[..from].trim().is_empty() => format!("{}{rest}", " ".repeat(to)),
        // Less indented than what it belongs to: a comment.
        _ => format!("{}{}", " ".repeat(to), line.trim_start()),
    };
    lines.iter().map(line).collect()
}

/// A document, a node of it if it has that, and the lines that are the node's.
type Place<'a> = (&'a Yaml, Option<&'a Node>, Range<usize>);

impl Yaml {
    /// Where the parts of a block begin and end: the first line of each, and the line after its last that is neither
    /// empty nor a comment that stands where the next part's would.
    fn bodies(&self, starts: &[usize], column_of: usize, region: &Range<usize>) -> Option<Vec<Range<usize>>> {
        let end_of = |i: usize| starts.get(i + 1).copied().unwrap_or(region.end);
        let body = |(i, begin): (usize, &usize)| {
            let mut end = end_of(i);
            let outside = |line: &str| line.trim().is_empty() || is_comment(line) && column(line) <= column_of;
            while end > begin + 1 && outside(&self.lines[end - 1]) {
                end -= 1;
            }
            // Each part has lines of its own, all beginning at the same column.
            let own = region.contains(begin) && *begin < end && column(&self.lines[*begin]) == column_of;
            own.then_some(*begin..end)
        };
        starts.iter().enumerate().map(body).collect()
    }

    /// The entries of a block mapping: their lines.
    fn entries(&self, entries: &[Entry], region: &Range<usize>) -> Option<Vec<Range<usize>>> {
        let starts: Vec<usize> = entries.iter().map(|(_, key, _)| key.line() - 1).collect();
        let column = entries.first().map_or(0, |(_, key, _)| key.col());
        self.bodies(&starts, column, region)
    }

    /// The items of a block list of scalars: their lines.
    fn items(&self, items: &[Node], region: &Range<usize>) -> Option<Vec<Range<usize>>> {
        let starts: Vec<usize> = items.iter().map(|item| item.start.line() - 1).collect();
        let dash = |line: &usize| self.lines.get(*line).is_some_and(|line| line.trim_start().starts_with("- "));
        let column = starts.first().map_or(0, |first| column(&self.lines[*first]));
        starts.iter().all(dash).then(|| self.bodies(&starts, column, region)).flatten()
    }

    fn chunks(&self, bodies: &[Range<usize>], region: &Range<usize>) -> (Vec<Chunk>, String) {
        let mut done = region.start;
        let chunk = |body: &Range<usize>| {
            let lead = self.lines[done..body.start].concat();
            done = body.end;
            Chunk { lead, body: self.lines[body.clone()].concat() }
        };
        let chunks = bodies.iter().map(chunk).collect();
        (chunks, self.lines[done..region.end].concat())
    }

    /// The lines of a node with a patch.
    fn emit(
        &self,
        node: &Node,
        region: Range<usize>,
        patch: &Patch,
        from: Place<'_>,
        base: Option<&Place<'_>>,
    ) -> Option<String> {
        match (patch, &node.kind, from.1.map(|node| &node.kind)) {
            (Patch::Inside(patches), Kind::Map { block: true, entries }, theirs) => {
                let their_entries = match theirs {
                    Some(Kind::Map { block: true, entries }) => entries.as_slice(),
                    Some(Kind::Map { block: false, entries }) if !entries.is_empty() => return None,
                    // Where the other text has no map, it has none of its keys.
                    _ => &[],
                };
                self.emit_map(entries, region, patches, (from.0, their_entries, from.2), base)
            }
            (
                Patch::Elements { gone, new },
                Kind::List { block: true, items },
                Some(Kind::List { block: true, items: their_items }),
            ) => self.emit_list(items, region, (gone, new), (from.0, their_items, from.2), base),
            _ => None,
        }
    }

    fn emit_map(
        &self,
        entries: &[Entry],
        region: Range<usize>,
        patches: &[(String, Patch)],
        (from, their_entries, their_region): (&Self, &[Entry], Range<usize>),
        base: Option<&Place<'_>>,
    ) -> Option<String> {
        let bodies = self.entries(entries, &region)?;
        let their_bodies = from.entries(their_entries, &their_region)?;
        let (mut chunks, tail) = self.chunks(&bodies, &region);
        let their_column = their_entries.first().map_or(0, |(_, key, _)| key.col());
        let my_column = entries.first().map_or(their_column, |(_, key, _)| key.col());
        let mut keys: Vec<&str> = entries.iter().map(|(key, _, _)| key.as_str()).collect();
        let their_keys: Vec<&str> = their_entries.iter().map(|(key, _, _)| key.as_str()).collect();
        for (key, patch) in patches {
            let at = keys.iter().position(|name| name == key);
            let own = entries.iter().position(|(name, _, _)| name == key);
            let new = their_keys.iter().position(|name| name == key);
            let old = base.map(|(base, node, region)| base.entry(*node, region, key));
            match (at, own, new) {
                (Some(at), Some(own), None) if *patch == Patch::Take => {
                    self.unchanged(&bodies[own], old.as_ref().map(|(base, _, body)| (*base, body))).then_some(())?;
                    keys.remove(at);
                    let gone = chunks.remove(at);
                    // Its comments go with it where the template took them, too.
                    let lead: String = gone
                        .lead
                        .split_inclusive('\n')
                        .filter(|line| {
                            let theirs =
                                |document: &Self| document.lines.iter().any(|other| other.trim() == line.trim());
                            let was = old.as_ref().is_some_and(|(base, _, _)| theirs(base));
                            line.trim().is_empty() || !was || theirs(from)
                        })
                        .collect();
                    match chunks.get_mut(at) {
                        Some(next) if !lead.trim().is_empty() => next.lead = lead + &next.lead,
                        Some(next) if at == 0 || next.lead.is_empty() => next.lead = lead,
                        _ if lead.trim().is_empty() => {}
                        _ => return None,
                    }
                }
                (Some(at), Some(own), new) => {
                    let theirs = match new {
                        Some(new) => (from, Some(&their_entries[new].2), their_bodies[new].clone()),
                        None => (from, None, 0..0),
                    };
                    chunks[at].body =
                        self.emit_entry(&entries[own], bodies[own].clone(), patch, theirs, their_column, old)?;
                }
                (None, _, Some(new)) => {
                    let at = value::place(&keys, &their_keys, &key.as_str());
                    let body = &their_bodies[new];
                    let before = if new == 0 { their_region.start } else { their_bodies[new - 1].end };
                    let known = |line: &&String| !is_comment(line) || !self.lines.contains(line);
                    let lead: Vec<String> = from.lines[before..body.start].iter().filter(known).cloned().collect();
                    let chunk = Chunk {
                        lead: moved(&lead, their_column, my_column),
                        body: moved(&from.lines[body.clone()], their_column, my_column),
                    };
                    let first_lead = chunks.first().map(|chunk| chunk.lead.clone()).unwrap_or_default();
                    keys.insert(at, key);
                    chunks.insert(at, chunk);
                    // What stands at the top of the file stays there.
                    if at == 0 && chunks.len() > 1 && region.start == 0 && !first_lead.is_empty() {
                        chunks[0].lead = first_lead;
                        chunks[1].lead.clear();
                    }
                }
                _ => {}
            }
        }
        let lines: String = chunks.into_iter().map(|chunk| chunk.lead + &chunk.body).collect();
        Some(lines + &tail)
    }

    /// The lines of an entry that stays, with a patch.
    fn emit_entry<'a>(
        &self,
        (_, key, node): &Entry,
        body: Range<usize>,
        patch: &Patch,
        (from, source, their_body): Place<'a>,
        their_column: usize,
        old: Option<Place<'a>>,
    ) -> Option<String> {
        if *patch != Patch::Take {
            let inside = |document: &Self, node: &Node, body: &Range<usize>| {
                let first = node.start.line() - 1;
                let own = first > body.start && body.contains(&first);
                own.then(|| {
                    let above = document.lines[body.start + 1..first].iter().rev();
                    let comments = above.take_while(|line| line.trim().is_empty() || is_comment(line)).count();
                    first - comments..body.end
                })
            };
            let region = inside(self, node, &body)?;
            let place = |(document, node, body): Place<'a>| {
                let region = node.and_then(|node| inside(document, node, &body));
                // What does not begin on a line of its own has no lines of its own.
                (document, node.filter(|_| region.is_some()), region.unwrap_or(0..0))
            };
            let (theirs, base) = (place((from, source, their_body)), old.map(place));
            let head = self.lines[body.start..region.start].concat();
            let rest = self.emit(node, region, patch, theirs, base.as_ref())?;
            return Some(head + &rest);
        }
        if let (Some(own), Some(new)) = (self.one_line(node, &body), from.one_line(source?, &their_body)) {
            let line = &self.lines[body.start];
            let start = line.len() - at(&self.lines, node.start)?.len();
            return Some(format!("{}{new}{}", &line[..start], &line[start + own.len()..]));
        }
        self.unchanged(&body, old.as_ref().map(|(base, _, body)| (*base, body))).then_some(())?;
        Some(moved(&from.lines[their_body], their_column, key.col()))
    }

    /// The text of a scalar that stands with its key on one line.
    fn one_line(&self, node: &Node, body: &Range<usize>) -> Option<&str> {
        let Kind::Scalar { text, style, tag } = &node.kind else { return None };
        if body.len() != 1 || node.start.line() - 1 != body.start || !tag.is_empty() || text.is_empty() {
            return None;
        }
        let rest = at(&self.lines, node.start)?;
        let length = match style {
            ScalarStyle::Plain => rest.starts_with(text.as_str()).then_some(text.len())?,
            ScalarStyle::SingleQuoted => {
                let mut quotes = rest.match_indices('\'').map(|(at, _)| at).skip(1).peekable();
                loop {
                    let quote = quotes.next()?;
                    if quotes.next_if(|next| *next == quote + 1).is_none() {
                        break quote + 1;
                    }
                }
            }
            ScalarStyle::DoubleQuoted => {
                let mut escaped = false;
                let ends = |(_, c): &(usize, char)| {
                    let ends = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                };
                rest.char_indices().skip(1).find(ends).map(|(at, _)| at + 1)?
            }
            ScalarStyle::Literal | ScalarStyle::Folded => return None,
        };
        rest.get(..length)
    }

    fn emit_list(
        &self,
        items: &[Node],
        region: Range<usize>,
        (gone, new): (&[Value], &[Value]),
        (from, their_items, their_region): (&Self, &[Node], Range<usize>),
        base: Option<&Place<'_>>,
    ) -> Option<String> {
        let bodies = self.items(items, &region)?;
        let their_bodies = from.items(their_items, &their_region)?;
        let (mut chunks, tail) = self.chunks(&bodies, &region);
        let mut values: Vec<Value> = items.iter().map(value_of).collect();
        let their_values: Vec<Value> = their_items.iter().map(value_of).collect();
        let first =
            |document: &Self, bodies: &[Range<usize>]| bodies.first().map(|body| column(&document.lines[body.start]));
        let their_column = first(from, &their_bodies)?;
        let my_column = first(self, &bodies)?;
        while let Some(at) = values.iter().position(|value| gone.contains(value)) {
            if base.is_some() {
                // A comment beside it may be the project's.
                let was = |(base, _, region): &Place<'_>| {
                    base.lines[region.clone()].iter().any(|line| line.trim() == chunks[at].body.trim())
                };
                base.is_some_and(was).then_some(())?;
            }
            values.remove(at);
            let lead = chunks.remove(at).lead;
            if !lead.trim().is_empty() {
                let next = chunks.get_mut(at)?;
                next.lead = lead + &next.lead;
            }
        }
        for one in new {
            let source = their_values.iter().position(|value| value == one)?;
            let at = value::place(&values, &their_values, one);
            values.insert(at, one.clone());
            let body = moved(&from.lines[their_bodies[source].clone()], their_column, my_column);
            chunks.insert(at, Chunk { lead: String::new(), body });
        }
        let lines: String = chunks.into_iter().map(|chunk| chunk.lead + &chunk.body).collect();
        Some(lines + &tail)
    }

    /// What a base has under a key: the node, if it has one, and its lines.
    fn entry<'a>(&'a self, node: Option<&'a Node>, region: &Range<usize>, key: &str) -> Place<'a> {
        let found = || {
            let Kind::Map { block: true, entries } = &node?.kind else { return None };
            let bodies = self.entries(entries, region)?;
            let at = entries.iter().position(|(name, _, _)| name == key)?;
            Some((&entries[at].2, bodies[at].clone()))
        };
        match found() {
            Some((node, body)) => (self, Some(node), body),
            None => (self, None, 0..0),
        }
    }

    /// Whether lines are what the base has, wherever they begin.
    fn unchanged(&self, body: &Range<usize>, base: Option<(&Self, &Range<usize>)>) -> bool {
        let Some((base, old)) = base else { return true };
        let text = |document: &Self, body: &Range<usize>| -> Vec<String> {
            document.lines[body.clone()].iter().map(|line| line.trim().to_owned()).collect()
        };
        text(self, body) == text(base, old)
    }
}
