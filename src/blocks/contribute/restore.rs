//! Answers' values in text that was written anew: their expressions again where the file has them so already, and
//! otherwise named, so that a person decides.

use std::collections::BTreeMap;

use super::back::Fabric;
use super::edit::{Change, Edit, Piece};
use super::trace::Parts;

/// The shortest value that is looked for, in characters.
const SHORTEST: usize = 3;
/// How many characters before a value must be the same.
const CONTEXT: usize = 4;
/// Words that are many things beside an answer.
const COMMON: [&str; 24] = [
    "true", "false", "yes", "none", "null", "main", "master", "test", "tests", "name", "default", "web", "app", "api",
    "src", "lib", "latest", "public", "private", "the", "and", "for", "with", "auto",
];

/// New text that holds an answer's value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Possible {
    /// The question.
    pub question: String,
    /// The line with its value.
    pub text: String,
}

/// What is known of a file's values.
pub struct Known<'a> {
    parts: &'a Parts,
    /// Of each value, the part with its expression, and what stands before and after it.
    uses: BTreeMap<String, Vec<(usize, String, Option<char>)>>,
    answers: &'a [(String, String)],
}

impl<'a> Known<'a> {
    /// What a file's output tells.
    pub fn of(parts: &'a Parts, fabric: &Fabric<'_>, answers: &'a [(String, String)]) -> Self {
        let mut uses: BTreeMap<String, Vec<(usize, String, Option<char>)>> = BTreeMap::new();
        for (part, output) in fabric.values() {
            let text = fabric.text();
            let value = &text[output.clone()];
            let plain = parts.expression(part).chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
            // What a loop goes over is known in it alone, and another thing each time.
            if plain && telling(value) && parts.loop_line(part).is_none() {
                let after = text[output.end..].chars().next();
                uses.entry(value.to_owned()).or_default().push((part, before(&text[..output.start]), after));
            }
        }
        // A value that two expressions have tells of neither.
        uses.retain(|_, uses| uses.iter().all(|(part, ..)| parts.expression(*part) == parts.expression(uses[0].0)));
        Self { parts, uses, answers }
    }

    /// Makes values in new text their expressions again; what could be one and is none.
    pub fn restore(&self, edits: &mut [Edit]) -> Vec<Possible> {
        let mut possible = Vec::new();
        for edit in edits {
            let Change::Replace { range, with } = &mut edit.change else { continue };
            let old = &self.parts.text(edit.part)[range.clone()];
            let mut pieces = Vec::new();
            for piece in with.drain(..) {
                match piece {
                    Piece::Text(text) => self.cut(old, &text, &mut pieces),
                    other @ Piece::Expression(_) => pieces.push(other),
                }
            }
            for piece in &pieces {
                if let Piece::Text(text) = piece {
                    self.name(old, text, &mut possible);
                }
            }
            *with = pieces;
        }
        possible
    }

    /// Cuts a new text where it holds a value just as the file does elsewhere.
    fn cut(&self, old: &str, text: &str, pieces: &mut Vec<Piece>) {
        let mut from = 0;
        while let Some((at, length, part)) = self.next(old, text, from) {
            pieces.push(Piece::Text(text[from..at].to_owned()));
            pieces.push(Piece::Expression(part));
            from = at + length;
        }
        pieces.push(Piece::Text(text[from..].to_owned()));
    }

    fn next(&self, old: &str, text: &str, from: usize) -> Option<(usize, usize, usize)> {
        let found = self.uses.iter().filter(|(value, _)| !old.contains(value.as_str())).filter_map(|(value, uses)| {
            words(text, value).filter(|at| *at >= from).find_map(|at| {
                let (left, right) = (before(&text[..at]), text[at + value.len()..].chars().next());
                let same = uses.iter().find(|(_, before, after)| *before == left && *after == right);
                // A whole line that is only the value says nothing.
                let same = same.filter(|_| !left.trim().is_empty());
                same.map(|(part, ..)| (at, value.len(), *part))
            })
        });
        found.min_by_key(|(at, length, _)| (*at, usize::MAX - length))
    }

    fn name(&self, old: &str, text: &str, possible: &mut Vec<Possible>) {
        for (question, value) in self.answers.iter().filter(|(_, value)| telling(value)) {
            let known = words(old, value).count();
            for at in words(text, value).skip(known) {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line = text[line..].lines().next().unwrap_or_default();
                let found = Possible { question: question.clone(), text: crate::text::neutral_line(line.trim(), 120) };
                if !possible.contains(&found) {
                    possible.push(found);
                }
            }
        }
    }
}

/// Whether a value is found by itself in a text, and not by chance.
fn telling(value: &str) -> bool {
    value.chars().count() >= SHORTEST
        && !value.contains('\n')
        && value.chars().any(char::is_alphanumeric)
        && !COMMON.contains(&value.to_lowercase().as_str())
}

/// What stands right before, in its line.
fn before(text: &str) -> String {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let start = line.char_indices().rev().nth(CONTEXT - 1).map_or(0, |(at, _)| at);
    line[start..].to_owned()
}

/// Where a value stands in a text as a word of its own.
fn words<'t>(text: &'t str, value: &'t str) -> impl Iterator<Item = usize> + 't {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let apart = move |at: usize| {
        let before = text[..at].chars().next_back().is_some_and(word);
        let after = text[at + value.len()..].chars().next().is_some_and(word);
        !before && !after
    };
    text.match_indices(value).map(|(at, _)| at).filter(move |at| apart(*at))
}
