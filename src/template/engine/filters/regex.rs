//! Regular expressions, as Ansible's filters have them: Python's syntax, with limits.

use fancy_regex::{Captures, Regex, RegexBuilder};
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, State, Value};

use super::super::FILE_CAP;
use super::super::args::{Args, fail};
use crate::text;

/// What compiling a pattern costs, in the fuel of a template.
const PATTERN_FUEL: u64 = 500;
/// How often a match may be tried another way.
const MOST_TRIES: usize = 200_000;
/// The most memory that a compiled pattern may take, in bytes.
const COMPILED_CAP: usize = 1024 * 1024;

/// `regex_search`: the first match, or its groups; none where nothing matches.
pub fn search(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let pattern = args.need(0, "regex")?.to_string();
    let regex = compile(state, &pattern, args.flag(usize::MAX, "ignorecase"), args.flag(usize::MAX, "multiline"))?;
    let Some(found) = regex.captures(text.as_str()).map_err(|error| unmatched(&error))? else {
        return Ok(Value::from(()));
    };
    let mut groups = Vec::new();
    for i in 1.. {
        let Some(group) = args.get(i, "") else { break };
        let group = group.to_string();
        let name = group.strip_prefix("\\g<").and_then(|rest| rest.strip_suffix('>'));
        let name = name.or_else(|| group.strip_prefix('\\')).ok_or_else(|| fail("regex_search: unknown argument"))?;
        let found = match name.parse() {
            Ok(number) => found.get(number),
            Err(_) => found.name(name),
        };
        groups.push(found.map_or_else(|| Value::from(()), |found| Value::from(found.as_str())));
    }
    if groups.is_empty() { Ok(found.get(0).map_or("", |found| found.as_str()).into()) } else { Ok(groups.into()) }
}

/// `regex_findall`: every match, or its group, or its groups.
pub fn findall(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let pattern = args.need(0, "regex")?.to_string();
    let regex = compile(state, &pattern, args.flag(2, "ignorecase"), args.flag(1, "multiline"))?;
    let mut all = Vec::new();
    for found in regex.captures_iter(text.as_str()) {
        let found = found.map_err(|error| unmatched(&error))?;
        state.consume_fuel(1 + found.len() as u64)?;
        let group = |i| found.get(i).map_or("", |found| found.as_str());
        all.push(match found.len() {
            1 => Value::from(group(0)),
            2 => Value::from(group(1)),
            count => Value::from(Tuple::from((1..count).map(group).map(Value::from).collect::<Vec<_>>())),
        });
    }
    Ok(Value::from(all))
}

/// `regex_replace`: the text with every match replaced. Groups are Python's: `\1`, `\g<name>`.
pub fn replace(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = match value.kind() {
        ValueKind::Undefined => String::new(),
        _ => value.to_string(),
    };
    let pattern = args.get(0, "pattern").map_or_else(String::new, |pattern| pattern.to_string());
    let replacement = args.get(1, "replacement").map_or_else(String::new, |replacement| replacement.to_string());
    let regex = compile(state, &pattern, args.flag(2, "ignorecase"), args.flag(usize::MAX, "multiline"))?;
    let replacement = parts(&replacement);
    let mut out = String::new();
    let mut after = 0;
    for found in regex.captures_iter(text.as_str()) {
        let found = found.map_err(|error| unmatched(&error))?;
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[after..whole.start()]);
        expand(&found, &replacement, &mut out)?;
        after = whole.end();
        state.consume_fuel(1)?;
        if out.len() > FILE_CAP {
            return Err(fail("regex_replace makes too much text"));
        }
    }
    out.push_str(&text[after..]);
    Ok(out.into())
}

/// `regex_escape`: the text as a pattern that matches it.
pub fn escape(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let special = |c: char| c.is_ascii() && "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c);
    let escaped = value.to_string().chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    });
    Ok(escaped.into())
}

/// A part of a replacement.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(String),
}

/// A replacement, as Python's `re.sub` reads it.
fn parts(replacement: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = replacement.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let group = match rest.next() {
            Some(digit) if digit.is_ascii_digit() => {
                let second = rest.next_if(char::is_ascii_digit);
                [Some(digit), second].into_iter().flatten().collect()
            }
            Some('g') if rest.peek() == Some(&'<') => rest.by_ref().skip(1).take_while(|c| *c != '>').collect(),
            Some('n') => {
                plain.push('\n');
                continue;
            }
            Some('t') => {
                plain.push('\t');
                continue;
            }
            Some('r') => {
                plain.push('\r');
                continue;
            }
            Some('\\') | None => {
                plain.push('\\');
                continue;
            }
            Some(other) => {
                plain.extend(['\\', other]);
                continue;
            }
        };
        parts.push(Part::Text(std::mem::take(&mut plain)));
        parts.push(Part::Group(group));
    }
    parts.push(Part::Text(plain));
    parts
}

fn expand(found: &Captures<'_, str>, replacement: &[Part], out: &mut String) -> Result<(), Error> {
    for part in replacement {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Group(name) => {
                let group = match name.parse::<usize>() {
                    Ok(number) if number < found.len() => found.get(number),
                    Ok(_) => return Err(fail(format!("regex_replace: there is no group {name}"))),
                    Err(_) => found.name(name),
                };
                out.push_str(group.map_or("", |group| group.as_str()));
            }
        }
    }
    Ok(())
}

fn compile(state: &State, pattern: &str, ignore_case: bool, multiline: bool) -> Result<Regex, Error> {
    state.consume_fuel(PATTERN_FUEL + pattern.len() as u64)?;
    RegexBuilder::new(&rusts(pattern))
        .case_insensitive(ignore_case)
        .multi_line(multiline)
        .backtrack_limit(MOST_TRIES)
        .delegate_size_limit(COMPILED_CAP)
        .delegate_dfa_size_limit(COMPILED_CAP)
        .build()
        .map_err(|error| fail(format!("no regular expression: {}", text::neutral_line(&error.to_string(), 300))))
}

fn unmatched(error: &fancy_regex::Error) -> Error {
    fail(format!("the regular expression takes too long: {}", text::neutral_line(&error.to_string(), 200)))
}

/// A pattern of Python in the words of Rust's: in a class, `[` is itself, and `\Z` is the end of the text.
fn rusts(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut class = 0_usize;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') => out.push_str("\\z"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if class == 0 => {
                class = 1;
                out.push('[');
                out.extend(chars.next_if_eq(&'^'));
                // The first bracket of a class is in it.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' | '&' | '~' if class == 1 => out.extend(['\\', c]),
            ']' => {
                class = 0;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_patterns_are_said_in_rusts_words() {
        assert_eq!(rusts(r"^[^][a]\Z[x&&y]$"), r"^[^\]\[a]\z[x\&\&y]$");
        assert_eq!(
            parts(r"a\1\g<n>\\$1"),
            [
                Part::Text("a".into()),
                Part::Group("1".into()),
                Part::Text(String::new()),
                Part::Group("n".into()),
                Part::Text("\\$1".into())
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn replacements_are_literal_without_backslashes(text in "[^\\\\]{0,20}") {
            proptest::prop_assert_eq!(parts(&text), [Part::Text(text)]);
        }

        #[test]
        fn no_pattern_panics(pattern in "[a\\[\\]\\\\^()?*+{}|&~-]{0,12}") {
            let _ = RegexBuilder::new(&rusts(&pattern)).delegate_size_limit(COMPILED_CAP).build();
        }
    }
}
