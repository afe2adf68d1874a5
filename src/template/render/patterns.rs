//! Patterns of paths: gitignore's, as Copier reads them, and the shell's, as Cookiecutter does.

use regex::{RegexSet, RegexSetBuilder};
use unicode_normalization::UnicodeNormalization;

/// The most memory that a list of patterns may take compiled, in bytes.
const COMPILED_CAP: usize = 8 * 1024 * 1024;

/// Patterns of which the last one that matches decides, as in a `.gitignore`, except that what lies in an excluded
/// directory can be included again.
#[derive(Debug)]
pub struct Patterns {
    set: RegexSet,
    include: Vec<bool>,
}

impl Patterns {
    /// Reads patterns, one a line. What is wrong with one of them.
    pub fn git<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut regexes, mut include) = (Vec::new(), Vec::new());
        for line in patterns.into_iter().flat_map(|text| text.split(['\n', '\r'])) {
            let line: String = line.nfd().collect();
            let kept = if line.ends_with("\\ ") { line.as_str() } else { line.trim_end() };
            if kept.is_empty() || kept.starts_with('#') {
                continue;
            }
            let (pattern, matches) = kept.strip_prefix('!').map_or((kept, true), |rest| (rest, false));
            let regex = git_regex(pattern).ok_or_else(|| unreadable(kept))?;
            regexes.push(regex);
            include.push(matches);
        }
        Self::build(&regexes, include)
    }

    /// Reads patterns of whole paths, in which `*` matches slashes, too.
    pub fn shell<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut regexes = Vec::new();
        for pattern in patterns {
            let glob = glob(pattern, ".*", ".", false).ok_or_else(|| unreadable(pattern))?;
            regexes.push(format!("(?s)^{glob}$"));
        }
        let include = vec![true; regexes.len()];
        Self::build(&regexes, include)
    }

    fn build(regexes: &[String], include: Vec<bool>) -> Result<Self, String> {
        let set = RegexSetBuilder::new(regexes).size_limit(COMPILED_CAP).build();
        let set = set.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the patterns are too large".to_owned(),
            _ => "a pattern has a range that is none".to_owned(),
        })?;
        Ok(Self { set, include })
    }

    /// Whether a path is meant.
    pub fn matches(&self, path: &str) -> bool {
        !self.include.is_empty() && self.set.matches(path).iter().next_back().is_some_and(|last| self.include[last])
    }
}

fn unreadable(pattern: &str) -> String {
    format!("`{}` is no pattern of paths", crate::text::neutral_line(pattern, 80))
}

/// A pattern of a `.gitignore` as pathspec, which Copier uses, reads it.
fn git_regex(pattern: &str) -> Option<String> {
    let mut segments: Vec<&str> = pattern.split('/').collect();
    let directory = segments.last() == Some(&"") && pattern != "/";
    if segments[0].is_empty() {
        segments.remove(0);
    } else if (segments.len() == 1 || (segments.len() == 2 && segments[1].is_empty())) && segments[0] != "**" {
        segments.insert(0, "**");
    }
    let last = segments.last_mut()?;
    if last.is_empty() {
        *last = "**";
    }
    segments.dedup_by(|a, b| *a == "**" && *b == "**");
    match segments[..] {
        ["**"] if directory => return Some("/".to_owned()),
        ["**"] | ["**", "*"] => return Some(".".to_owned()),
        ["**", "*", "**"] => return Some("/".to_owned()),
        _ => {}
    }
    let end = segments.len() - 1;
    let mut regex = String::new();
    let mut slash = false;
    for (i, segment) in segments.iter().enumerate() {
        if *segment == "**" {
            match i {
                0 => regex.push_str("^(?:.+/)?"),
                _ if i < end => {
                    regex.push_str("(?:/.+)?");
                    slash = true;
                }
                _ => regex.push('/'),
            }
            continue;
        }
        if i == 0 {
            regex.push('^');
        }
        if slash {
            regex.push('/');
        }
        if *segment == "*" {
            regex.push_str("[^/]+");
        } else {
            regex.push_str(&glob(segment, "[^/]*", "[^/]", true)?);
        }
        if i == end {
            regex.push_str(if *segment == "*" { "/?$" } else { "(?:/|$)" });
        }
        slash = true;
    }
    Some(regex)
}

/// A glob as a regular expression; none if it ends with a lonely backslash.
fn glob(pattern: &str, many: &str, one: &str, escapes: bool) -> Option<String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut regex = String::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        match c {
            '\\' if escapes => {
                regex.push_str(&regex::escape(&chars.get(i)?.to_string()));
                i += 1;
            }
            '*' => regex.push_str(many),
            '?' => regex.push_str(one),
            '[' => {
                let first = i + usize::from(matches!(chars.get(i), Some('!' | '^')));
                let from = first + usize::from(chars.get(first) == Some(&']'));
                let Some(length) = chars[from.min(chars.len())..].iter().position(|c| *c == ']') else {
                    regex.push_str("\\[");
                    continue;
                };
                regex.push('[');
                // Only gitignore takes a caret for a negation.
                match chars[i] {
                    '!' => regex.push('^'),
                    '^' if escapes => regex.push('^'),
                    '^' => regex.push_str("\\^"),
                    _ => {}
                }
                for c in &chars[first..from + length] {
                    if matches!(c, '\\' | '[' | ']' | '&' | '~' | '^') {
                        regex.push('\\');
                    }
                    regex.push(*c);
                }
                regex.push(']');
                i = from + length + 1;
            }
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    Some(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pathspec 1.1 says of the same.
    #[test]
    fn patterns_match_as_pathspec_matches() {
        let cases: &[(&[&str], &str, bool)] = &[
            (&["copier.yml"], "copier.yml", true),
            (&["copier.yml"], "a/copier.yml", true),
            (&["/copier.yml"], "a/copier.yml", false),
            (&["~*"], "a/~x", true),
            (&["*.py[co]"], "a/b.pyc", true),
            (&["*.py[co]"], "a/b.py", false),
            (&[".git"], ".git/config", true),
            (&[".git"], ".gitignore", false),
            (&["dir"], "a/dir/x", true),
            (&["dir/"], "a/dir/x", true),
            (&["dir/"], "a/dir", false),
            (&["a/b"], "x/a/b", false),
            (&["a/b"], "a/b/c", true),
            (&["a/*"], "a/b/c", false),
            (&["a/*"], "a/b", true),
            (&["a/**"], "a/b/c", true),
            (&["a/**/z"], "a/z", true),
            (&["a/**/z"], "a/b/c/z", true),
            (&["**/z"], "b/z", true),
            (&["*", "!keep/"], "keep/x", false),
            (&["*", "!keep/"], "other/x", true),
            (&["*", "!*.md"], "a.md", false),
            (&["*", "!*.md"], "dir/a.md", false),
            (&["# comment"], "# comment", false),
            (&["\\#x"], "#x", true),
            (&["\\!x"], "!x", true),
            (&["x "], "x", true),
            (&["x\\ "], "x ", true),
            (&["[!a]b"], "cb", true),
            (&["[!a]b"], "ab", false),
            (&["[a"], "[a", true),
            (&["a?c"], "a/c", false),
            (&[""], "x", false),
            (&["one\ntwo"], "two", true),
            (&["/"], "x", true),
            (&["**/"], "x", false),
        ];
        for (patterns, path, expected) in cases {
            let patterns = Patterns::git(patterns.iter().copied()).unwrap();
            assert_eq!(patterns.matches(path), *expected, "{patterns:?} {path}");
        }
        assert!(Patterns::git(["a\\"]).is_err());
        assert!(Patterns::git(["[z-a]"]).is_err());
    }

    /// What Python's fnmatch says of the same.
    #[test]
    fn shell_patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("*.html", "a/b.html", true),
            ("*.html", "a/b.htm", false),
            ("docs/*", "docs/a/b", true),
            ("docs", "docs/a", false),
            ("[!d]*", "docs", false),
            ("a[^b]", "a^", true),
            ("a\\b", "a\\b", true),
        ] {
            assert_eq!(Patterns::shell([pattern]).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a/*?!\\[\\]\\\\^&~-]{0,12}|.{0,12}", path in "[a/b]{1,8}") {
            if let Ok(patterns) = Patterns::git([pattern.as_str()]) {
                patterns.matches(&path);
            }
            if let Ok(patterns) = Patterns::shell([pattern.as_str()]) {
                patterns.matches(&path);
            }
        }

        #[test]
        fn a_plain_path_matches_itself(path in "[a-z]{1,4}(/[a-z]{1,4}){0,3}") {
            proptest::prop_assert!(Patterns::git([path.as_str()]).unwrap().matches(&path));
        }
    }
}
