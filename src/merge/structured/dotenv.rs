//! Dotenv files: `KEY=value` lines, comments between them, and values in quotes that may go over several lines.

use super::value::{self, Patch, Value};

/// A dotenv text in its lines.
pub(super) struct Dotenv {
    lines: Vec<String>,
    entries: Vec<Entry>,
}

/// A key, its value as it is written, and the lines that say so.
struct Entry {
    key: String,
    value: String,
    begin: usize,
    end: usize,
}

impl super::Document for Dotenv {
    fn read(text: &str) -> Option<Self> {
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut at = 0;
        while at < lines.len() {
            let begin = at;
            at += 1;
            let line = lines[begin].trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (key, value) = line.split_once('=')?;
            let mut value = value.trim().to_owned();
            if let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'' | '`')) {
                while !closed(&value, quote) {
                    value = format!("{value}\n{}", lines.get(at)?.trim_end());
                    at += 1;
                }
            }
            let key = key.trim();
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            // A key that is there twice is for lines.
            if key.is_empty() || !key.chars().all(is_name) || !seen.insert(key.to_owned()) {
                return None;
            }
            entries.push(Entry { key: key.to_owned(), value, begin, end: at });
        }
        Some(Self { lines, entries })
    }

    fn value(&self) -> Value {
        let scalar = |entry: &Entry| (entry.key.clone(), Value::Scalar(entry.value.clone()));
        Value::Map(self.entries.iter().map(scalar).collect())
    }

    fn patched(&self, patch: &Patch, from: &Self, base: Option<&Self>) -> Option<String> {
        let Patch::Inside(patches) = patch else { return None };
        // Each entry's lines, with the comments above it; what follows the last one is by itself.
        let mut blocks: Vec<(&str, String)> = Vec::new();
        let mut done = 0;
        for entry in &self.entries {
            blocks.push((&entry.key, self.lines[done..entry.end].concat()));
            done = entry.end;
        }
        let rest = self.lines[done..].concat();
        let their_keys: Vec<&str> = from.entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut kept_above = String::new();
        for (key, _) in patches {
            let own = self.entries.iter().find(|entry| entry.key == *key);
            let new = from.entries.iter().position(|entry| entry.key == *key);
            let at = blocks.iter().position(|(name, _)| name == key);
            match (own, at, new) {
                (Some(own), Some(at), new) => {
                    let written = |file: &Self, entry: &Entry| file.lines[entry.begin..entry.end].concat();
                    let old = base
                        .map(|base| base.entries.iter().find(|entry| entry.key == *key).map(|old| written(base, old)));
                    // The value is the base's, what stands around it may not be.
                    old.is_none_or(|old| old == Some(written(self, own))).then_some(())?;
                    let all = self.lines[own.begin..own.end].concat().len();
                    let above = blocks[at].1.len() - all;
                    blocks[at].1.truncate(above);
                    if let Some(new) = new.map(|new| &from.entries[new]) {
                        blocks[at].1 += &written(from, new);
                        continue;
                    }
                    // Comments above a key that goes stay: they may be about more than it.
                    let (_, above) = blocks.remove(at);
                    match blocks.get_mut(at) {
                        Some((_, next)) => *next = above + next,
                        None => kept_above += &above,
                    }
                }
                (None, _, Some(new)) => {
                    let keys: Vec<&str> = blocks.iter().map(|(key, _)| *key).collect();
                    let at = value::place(&keys, &their_keys, &key.as_str());
                    let begin = new.checked_sub(1).map_or(0, |before| from.entries[before].end);
                    let lines = from.lines[begin..from.entries[new].end].concat();
                    let missing_end = at > 0 && !blocks[at - 1].1.ends_with('\n');
                    blocks.insert(at, (their_keys[new], if missing_end { format!("\n{lines}") } else { lines }));
                }
                _ => {}
            }
        }
        Some(blocks.into_iter().map(|(_, lines)| lines).collect::<String>() + &kept_above + &rest)
    }
}

/// Whether a quoted value ends in what was read of it.
fn closed(value: &str, quote: char) -> bool {
    let mut escaped = false;
    value.chars().skip(1).any(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped && quote == '"';
        ends
    })
}
