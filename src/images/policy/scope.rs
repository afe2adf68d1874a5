//! Which images a rule is about: a registry, exactly, and a pattern for the path in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reference::is_registry;
use crate::text::neutral_line;

/// The longest scope, in characters, and the most parts of its path: no honest one is longer.
const LONGEST: usize = 256;
const PARTS: usize = 16;
/// What stands for any number of parts.
const ANY: &str = "**";

/// `host[:port]/path`. The host is meant exactly; in the path `*` stands for any text of one part, `**` for any number of
/// parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// Whether a repository, `host[:port]/path`, lies in it.
    pub fn covers(&self, repository: &str) -> bool {
        let (host, path) = halves(&self.0);
        let (its_host, its_path) = halves(repository);
        let parts: Vec<&str> = path.split('/').collect();
        let its_parts: Vec<&str> = its_path.split('/').collect();
        host == its_host && matches(&parts, &its_parts, |part| *part == ANY, |part, its| part_matches(part, its))
    }

    /// How much of it is written out. Of two scopes that cover an image the one with more is closer to it.
    pub fn length(&self) -> usize {
        self.0.chars().filter(|c| *c != '*').count()
    }
}

fn halves(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

fn part_matches(pattern: &str, part: &str) -> bool {
    matches(pattern.as_bytes(), part.as_bytes(), |byte| *byte == b'*', |a, b| a == b)
}

/// Matches a sequence against a pattern in which some elements stand for any number of elements. Going back to the last of
/// those is enough, so that no pattern takes long.
fn matches<P, T>(pattern: &[P], text: &[T], any: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at, mut reached) = (0, 0);
    let mut back = None;
    while reached < text.len() {
        if pattern.get(at).is_some_and(&any) {
            back = Some((at, reached));
            at += 1;
        } else if pattern.get(at).is_some_and(|element| one(element, &text[reached])) {
            at += 1;
            reached += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            at = star + 1;
            reached = from + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(any)
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = neutral_line(text, 80);
        let (host, path) = halves(text);
        if !is_registry(host) {
            return Err(format!("`{shown}` does not begin with a registry (host[:port], without `*`)"));
        }
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*".contains(c);
        let part = |part: &str| {
            let well = !part.is_empty() && part.chars().all(letter);
            well && (part == ANY || !part.contains(ANY)) && !matches!(part, "." | "..")
        };
        if text.len() > LONGEST || path.split('/').count() > PARTS || !path.split('/').all(part) {
            return Err(format!("`{shown}` is no scope: a registry and a path, with `*` in a part or `**` for parts"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Scope {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_its_pattern_says() {
        let covers = |scope: &str, repository: &str| scope.parse::<Scope>().unwrap().covers(repository);
        for (scope, yes, no) in [
            (
                "r.test/base/php",
                &["r.test/base/php"][..],
                &["r.test/base/php2", "r.test/base", "r.test/base/php/x"][..],
            ),
            ("r.test/base/*", &["r.test/base/php"], &["r.test/base/a/b", "r.test/base", "r.test/bases/php"]),
            ("r.test/base/**", &["r.test/base/php", "r.test/base/a/b"], &["r.test/x/base/php", "r.test/bases/php"]),
            ("r.test/**", &["r.test/a", "r.test/a/b/c"], &["r.test:5000/a", "r.test.evil/a", "evil/r.test/a"]),
            ("r.test/**/php", &["r.test/php", "r.test/a/b/php"], &["r.test/a/php2"]),
            ("r.test/base/php-*-x", &["r.test/base/php-8-x", "r.test/base/php--x"], &["r.test/base/php-x"]),
            ("r.test:5000/a", &["r.test:5000/a"], &["r.test/a", "r.test:500/a"]),
        ] {
            for repository in yes {
                assert!(covers(scope, repository), "{scope} {repository}");
            }
            for repository in no {
                assert!(!covers(scope, repository), "{scope} {repository}");
            }
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        let long = format!("r.test/{}", "a".repeat(300));
        let deep = format!("r.test/{}a", "a/".repeat(20));
        for text in [
            "",
            "*",
            "r.test",
            "r.test/",
            "*.test/a",
            "base/php",
            "r.test//a",
            "r.test/a/",
            "r.test/A",
            "r.test/a b",
            "r.test/../a",
            "r.test/a**",
            "r.test/***",
            "r.test/a:1",
            "r.test/a@sha256:0",
            &long,
            &deep,
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_matcher_agrees_with_a_regular_expression(pattern in "[ab*]{0,6}(/[ab*]{1,4}){0,3}", path in "[ab]{1,6}(/[ab]{1,4}){0,4}") {
            let Ok(scope) = format!("r.test/{pattern}").parse::<Scope>() else { return Ok(()) };
            // `**` is any number of parts, none among them, so the slash beside it goes with it.
            let mut expression = String::from("^");
            for part in pattern.split('/') {
                expression += &match part {
                    "**" => "(?:/[^/]+)*".to_owned(),
                    part => format!("/{}", part.replace('*', "[^/]*")),
                };
            }
            let expected = regex::Regex::new(&format!("{expression}$")).unwrap().is_match(&format!("/{path}"));
            proptest::prop_assert_eq!(scope.covers(&format!("r.test/{path}")), expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", repository in ".*") {
            if let Ok(scope) = text.parse::<Scope>() {
                let _ = scope.covers(&repository);
            }
        }
    }
}
