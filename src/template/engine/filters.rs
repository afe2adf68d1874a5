//! Filters that Copier's templates know and Jinja2 lacks: `regex_search`, `regex_replace`, `to_json`, `slugify`.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};
use regex::{Captures, Regex, RegexBuilder};

use super::FILE_CAP;
use crate::text;

/// What compiling a pattern costs, in the fuel of a template.
const PATTERN_FUEL: u64 = 500;

/// Adds them.
pub fn add(environment: &mut Environment<'_>) {
    environment.add_filter("regex_search", search);
    environment.add_filter("regex_replace", replace);
    environment.add_filter("to_json", to_json);
    environment.add_filter("slugify", |text: &str| text::slug(text, 200));
}

/// The first match, or none.
#[expect(clippy::needless_pass_by_value, reason = "filters are given their options so")]
fn search(state: &State, text: &str, pattern: &str, options: Kwargs) -> Result<Option<String>, Error> {
    let regex = compile(state, "regex_search", pattern, &options)?;
    Ok(regex.find(text).map(|found| found.as_str().to_owned()))
}

/// The text with every match replaced. Groups are Python's: `\1`, `\g<name>`.
#[expect(clippy::needless_pass_by_value, reason = "filters are given their options so")]
fn replace(state: &State, text: &str, pattern: &str, replacement: &str, options: Kwargs) -> Result<String, Error> {
    let regex = compile(state, "regex_replace", pattern, &options)?;
    let replacement = rust_groups(replacement);
    let mut out = String::new();
    let mut after = 0;
    for captures in regex.captures_iter(text) {
        let whole = captures.get_match();
        out.push_str(&text[after..whole.start()]);
        expand(&captures, &replacement, &mut out)?;
        after = whole.end();
    }
    out.push_str(&text[after..]);
    Ok(out)
}

fn expand(captures: &Captures<'_>, replacement: &str, out: &mut String) -> Result<(), Error> {
    captures.expand(replacement, out);
    if out.len() > FILE_CAP {
        return Err(Error::new(ErrorKind::InvalidOperation, "regex_replace makes too much text"));
    }
    Ok(())
}

/// `\1` and `\g<name>` in Rust's words: `${1}`, `${name}`. A dollar is only a dollar.
fn rust_groups(replacement: &str) -> String {
    let mut out = String::new();
    let mut rest = replacement.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match rest.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    out.push_str("${");
                    out.push(digit);
                    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                        out.push(digit);
                    }
                    out.push('}');
                }
                Some('g') if rest.peek() == Some(&'<') => {
                    let name: String = rest.by_ref().skip(1).take_while(|c| *c != '>').collect();
                    out.extend(["${", &name, "}"]);
                }
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// JSON as it is, without the escapes that HTML would need.
fn to_json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn compile(state: &State, filter: &str, pattern: &str, options: &Kwargs) -> Result<Regex, Error> {
    state.consume_fuel(PATTERN_FUEL + pattern.len() as u64)?;
    let (ignore_case, multiline): (Option<bool>, Option<bool>) =
        (options.get("ignorecase")?, options.get("multiline")?);
    options.assert_all_used()?;
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case.unwrap_or(false))
        .multi_line(multiline.unwrap_or(false))
        .size_limit(1024 * 1024)
        .dfa_size_limit(1024 * 1024)
        .build()
        .map_err(|error| {
            let why = text::neutral_line(&error.to_string(), 300);
            Error::new(ErrorKind::InvalidOperation, format!("{filter}: no regular expression: {why}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> String {
        let mut environment = Environment::new();
        add(&mut environment);
        environment.render_str(template, ()).unwrap_or_else(|error| format!("error: {error}"))
    }

    #[test]
    fn filters_do_what_copiers_do() {
        let cases = [
            (r"{{ 'shop-1' | regex_search('[0-9]+') }}", "1"),
            (r"{% if 'Shop' | regex_search('^[a-z]+$') %}yes{% else %}no{% endif %}", "no"),
            (r"{% if 'Shop' | regex_search('^[a-z]+$', ignorecase=true) %}yes{% endif %}", "yes"),
            (r"{{ 'a.b.c' | regex_replace('([a-z])\\.', '\\1$-') }}", "a$-b$-c"),
            (r"{{ 'key=value' | regex_replace('(?P<k>\\w+)=(?P<v>\\w+)', '\\g<v>=\\g<k>') }}", "value=key"),
            (r"{{ 'My Shop (new)' | slugify }}", "my-shop-new"),
            (r#"{{ {"a": ["<b>", 1, true, none]} | to_json }}"#, r#"{"a":["<b>",1,true,null]}"#),
        ];
        for (template, expected) in cases {
            assert_eq!(rendered(template), expected, "{template}");
        }
        assert!(rendered("{{ 'a' | regex_search('(') }}").contains("regex_search: no regular expression"));
    }

    proptest::proptest! {
        #[test]
        fn replacements_are_literal_without_backslashes(text in "[^\\\\]{0,20}") {
            let regex = Regex::new("x").unwrap();
            proptest::prop_assert_eq!(regex.replace("x", rust_groups(&text).as_str()), text);
        }
    }
}
