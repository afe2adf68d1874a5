//! Variables in the values of a Compose file: `$NAME`, `${NAME:-default}` and the rest of Compose's grammar
//! (<https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md>).

use std::collections::BTreeSet;

/// How deep defaults may lie in one another.
const DEEPEST: usize = 10;
/// The longest text that comes of it, in bytes: what Linux lets a variable be.
const LONGEST: usize = 128 * 1024;
/// The most bytes that all the texts of a file may come to.
pub(super) const MOST: usize = 8 * 1024 * 1024;

/// A text with its variables filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// The text.
    pub text: String,
    /// The variables whose own values are in it.
    pub used: BTreeSet<String>,
}

/// Why a text could not be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfilled {
    /// A variable has neither a value nor a default.
    #[error("`{0}` has no value")]
    NoValue(String),
    /// It is no text of the grammar.
    #[error("`{0}` is no variable; a dollar is written `$$`")]
    Malformed(String),
    /// Variables of variables, or long ones many times.
    #[error("filled in, it is longer than a variable may be")]
    TooLong,
}

/// Fills in the variables that `value` knows.
pub(super) fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<Filled, Unfilled> {
    let mut filled = Filled::default();
    fill_into(&mut filled, text, value, 0)?;
    Ok(filled)
}

fn fill_into(
    filled: &mut Filled,
    text: &str,
    value: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<(), Unfilled> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.text.push_str(&rest[..at]);
        let here = &rest[at..];
        let malformed = || Unfilled::Malformed(here.chars().take(20).collect());
        let after = &here[1..];
        if let Some(escaped) = after.strip_prefix('$') {
            filled.text.push('$');
            rest = escaped;
        } else if let Some(braced) = after.strip_prefix('{') {
            let end = closing(braced).filter(|_| depth < DEEPEST).ok_or_else(malformed)?;
            let (name, operation) = split(&braced[..end]).ok_or_else(malformed)?;
            expand(filled, name, operation, value, depth)?;
            rest = &braced[end + 1..];
        } else {
            let name = &after[..name_length(after)];
            if name.is_empty() {
                return Err(malformed());
            }
            expand(filled, name, "", value, depth)?;
            rest = &after[name.len()..];
        }
    }
    filled.text.push_str(rest);
    Ok(())
}

/// One variable, and what is said for the case that it has no value.
fn expand(
    filled: &mut Filled,
    name: &str,
    operation: &str,
    value: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<(), Unfilled> {
    let none = || Unfilled::NoValue(name.to_owned());
    let (word, empty_is_none) = match operation.strip_prefix(':') {
        Some(rest) => (rest, true),
        None => (operation, false),
    };
    let found = value(name).filter(|value| !(empty_is_none && value.is_empty()));
    match (word.chars().next(), found) {
        (Some('+'), Some(_)) | (Some('-'), None) => fill_into(filled, &word[1..], value, depth + 1),
        (Some('+'), None) => Ok(()),
        (None | Some('-' | '?'), Some(value)) => {
            if filled.text.len() + value.len() > LONGEST {
                return Err(Unfilled::TooLong);
            }
            filled.text.push_str(&value);
            filled.used.insert(name.to_owned());
            Ok(())
        }
        (None | Some('?'), None) => Err(none()),
        (Some(_), _) => Err(Unfilled::Malformed(format!("{name}{operation}"))),
    }
}

/// The name of a variable, and the operation behind it.
fn split(inside: &str) -> Option<(&str, &str)> {
    let (name, operation) = inside.split_at(name_length(inside));
    let sound = operation.is_empty() || operation.trim_start_matches(':').starts_with(['-', '?', '+']);
    (!name.is_empty() && sound).then_some((name, operation))
}

/// How many bytes at the beginning are a variable's name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Where the brace ends that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

/// The same text where every `$` means itself: what is written into a Compose file.
pub(super) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, Unfilled> {
        let value = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        fill(text, &value).map(|filled| filled.text)
    }

    #[test]
    fn variables_have_values_or_defaults_or_are_named() {
        let cases = [
            ("a $SET b", "a value b"),
            ("${SET}s", "values"),
            ("$$SET", "$SET"),
            ("${NONE:-x}", "x"),
            ("${EMPTY:-x}${EMPTY-y}", "x"),
            ("${NONE:-${ALSO:-${SET}}}", "value"),
            ("${SET:+there}${NONE:+not}", "there"),
            ("${SET:?must}", "value"),
            ("${NONE-a}b}", "ab}"),
        ];
        for (text, expected) in cases {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["$NONE", "${NONE}", "${NONE:?must}", "${NONE?}", "${EMPTY:?}", "${A:-$B}"] {
            assert!(matches!(filled(text), Err(Unfilled::NoValue(_))), "{text}");
        }
        for text in ["$", "a$1", "${}", "${A", "${A B}", "${SET!x}"] {
            assert!(matches!(filled(text), Err(Unfilled::Malformed(_))), "{text}");
        }
        let deep = format!("{}{}", "${A:-".repeat(10_000), "}".repeat(10_000));
        assert!(matches!(filled(&deep), Err(Unfilled::Malformed(_))));
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_means_itself(text in "[$a{}:-]{0,12}|.{0,20}") {
            proptest::prop_assert_eq!(filled(&escape(&text)), Ok(text));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[$A{}:?+-]{0,20}|.{0,20}") {
            let _ = filled(&text);
        }
    }
}
