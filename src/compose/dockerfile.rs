//! What a Dockerfile is built on: the image of its last stage.

use std::collections::BTreeMap;

use super::interpolate;

/// The build argument that onramp gives the base image in.
pub(super) const BASE: &str = "BASE";

/// What a stage begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// The image, its arguments filled in.
    pub image: String,
    /// The line that names it, from 1.
    pub line: usize,
    /// Whether the build argument `BASE` decides it.
    pub takes_base: bool,
}

/// Reads what the last stage of a Dockerfile begins from; `given` are build arguments. Why there is none, where there
/// is none.
pub(super) fn base(text: &str, given: &BTreeMap<String, String>) -> Result<Stage, String> {
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<(Option<String>, Stage)> = Vec::new();
    for (line, instruction) in instructions(text) {
        let (word, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        if word.eq_ignore_ascii_case("ARG") && stages.is_empty() {
            for (name, default) in rest.split_whitespace().filter_map(|word| word.split_once('=')) {
                let default = default.trim_matches(['"', '\'']);
                if let Ok(filled) = interpolate::fill(default, &|name| known(name, given, &arguments)) {
                    arguments.insert(name.to_owned(), filled.text);
                }
            }
        } else if word.eq_ignore_ascii_case("FROM") {
            let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
            let written = words.next().ok_or_else(|| format!("its line {line} has a FROM of nothing"))?;
            let name = words.next().filter(|word| word.eq_ignore_ascii_case("AS")).and_then(|_| words.next());
            let filled = interpolate::fill(written, &|name| known(name, given, &arguments))
                .map_err(|why| format!("its line {line} begins from `{written}`, and {why}"))?;
            let earlier = stages
                .iter()
                .rev()
                .find(|(name, _)| name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(&filled.text)));
            let stage = match earlier {
                Some((_, stage)) => stage.clone(),
                None => Stage { takes_base: names_base(written), image: filled.text, line },
            };
            stages.push((name.map(str::to_owned), stage));
        }
    }
    let (_, last) = stages.pop().ok_or("it has no FROM")?;
    if last.image == "scratch" { Err("it is built on nothing (`FROM scratch`)".to_owned()) } else { Ok(last) }
}

fn known(name: &str, given: &BTreeMap<String, String>, defaults: &BTreeMap<String, String>) -> Option<String> {
    given.get(name).or_else(|| defaults.get(name)).cloned()
}

/// Whether an image's name is the argument `BASE`.
fn names_base(written: &str) -> bool {
    let name = written.strip_prefix("${").map_or_else(
        || written.strip_prefix('$').unwrap_or_default(),
        |braced| braced.split([':', '-', '}']).next().unwrap_or_default(),
    );
    name == BASE
}

/// The instructions, each on one line, with the line that it begins at. Comments and here-documents are left out.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut whole = line.trim().to_owned();
        if whole.is_empty() || whole.starts_with('#') {
            continue;
        }
        while whole.ends_with('\\') {
            whole.pop();
            let Some((_, next)) = lines.find(|(_, line)| !line.trim_start().starts_with('#')) else { break };
            whole.push_str(next.trim());
        }
        let document = |word: &str| {
            let end = word.strip_prefix("<<")?.trim_start_matches('-').trim_matches(['"', '\'']);
            (!end.is_empty()).then(|| end.to_owned())
        };
        for end in whole.split_whitespace().filter_map(document) {
            // Its text is nobody's instruction.
            let _ = lines.by_ref().find(|(_, line)| line.trim_start_matches('\t') == end);
        }
        found.push((number + 1, whole));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(String, usize, bool), String> {
        let given = BTreeMap::from([("GIVEN".to_owned(), "9".to_owned())]);
        base(text, &given).map(|from| (from.image, from.line, from.takes_base))
    }

    #[test]
    fn the_last_stage_counts() {
        let cases = [
            ("FROM php:8.2-apache\nCOPY . /\n", "php:8.2-apache", 1, false),
            ("# syntax\nARG BASE=r.test/php:8\nfrom ${BASE} as web\n", "r.test/php:8", 3, true),
            ("ARG V=\"8.2\"\nARG T=$V-cli\nFROM --platform=$P php:${T}\n", "php:8.2-cli", 3, false),
            ("ARG GIVEN=1\nFROM php:$GIVEN\n", "php:9", 2, false),
            ("FROM composer AS deps\nFROM deps\nFROM php:8 AS Run\nFROM run\n", "php:8", 3, false),
            ("FROM a \\\n  # why\n  AS b\nRUN <<EOF\nFROM users\nEOF\nRUN x \\\n FROM y\n", "a", 1, false),
            ("FROM php:${V:-8.3}\n", "php:8.3", 1, false),
        ];
        for (text, image, line, takes_base) in cases {
            assert_eq!(told(text), Ok((image.to_owned(), line, takes_base)), "{text}");
        }
        for bad in ["", "RUN x\n", "FROM scratch\n", "ARG BASE\nFROM $BASE\n", "FROM\n", "FROM a\nFROM \\"] {
            assert!(told(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(FROM |ARG |\\$|A|=|\\\\|\n|<<E|\\{|\\}| ){0,20}|.{0,40}") {
            let _ = told(&text);
        }
    }
}
