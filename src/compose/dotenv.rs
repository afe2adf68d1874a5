//! The `.env` file beside a Compose file: what the variables in it are. Its grammar is Compose's
//! (<https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>).

use std::collections::BTreeMap;

use super::interpolate;

/// The variables of a `.env`, those of later lines made from those before. A line that is none is passed over, and so is
/// what is written to blow up.
pub(super) fn read(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut size = 0;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        let trimmed = line.trim_start();
        let assigned = trimmed.strip_prefix("export ").unwrap_or(trimmed);
        let Some((name, _)) = assigned.split_once('=').filter(|_| !trimmed.starts_with('#')) else {
            rest = rest.get(line.len() + 1..).unwrap_or_default();
            continue;
        };
        let begin = line.len() - assigned.len() + name.len() + 1;
        let (value, end) = value(&rest[begin..], &variables);
        if let Some(value) = value.filter(|value| size + value.len() <= interpolate::MOST) {
            size += value.len();
            variables.insert(name.trim().to_owned(), value);
        }
        let after = &rest[begin + end..];
        rest = after.split_once('\n').map_or("", |(_, after)| after);
    }
    variables
}

/// The value that a text begins with, none where it cannot be told, and where it ends. A quoted one may have several
/// lines.
fn value(text: &str, known: &BTreeMap<String, String>) -> (Option<String>, usize) {
    let fill = |text: &str| interpolate::fill(text, &|name| known.get(name).cloned()).ok().map(|filled| filled.text);
    let blank = text.len() - text.trim_start_matches([' ', '\t']).len();
    let inside = &text[blank..];
    if let Some(single) = inside.strip_prefix('\'')
        && let Some(end) = single.find('\'')
    {
        return (Some(single[..end].to_owned()), blank + end + 2);
    }
    if let Some(double) = inside.strip_prefix('"')
        && let Some(end) = closing(double)
    {
        return (fill(&unescape(&double[..end])), blank + end + 2);
    }
    let line = text.split('\n').next().unwrap_or_default();
    let comment = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
    (fill(line[..comment].trim()), line.len())
}

/// Where a double-quoted value ends.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// What backslashes mean in double quotes; a dollar that they protect stays one.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match characters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_variables() {
        let text = "# comment\nA=1\nexport B = two words # more\n\nC='$A #x'\nD=\"a\\n$A\\$\"\nE=${A}0\nF=\"x\ny\"\nG=${NONE}\n\
                    nonsense\nH=\r\nI=a#b\n";
        let read = read(text);
        let told: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$A #x"),
            ("D", "a\n1$"),
            ("E", "10"),
            ("F", "x\ny"),
            ("H", ""),
            ("I", "a#b"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_written_to_blow_up_is_passed_over() {
        let mut text = "A0=laugh\n".to_owned();
        for level in 1..60 {
            text.push_str(&format!("A{level}=$A{0}$A{0}\n", level - 1));
        }
        text.push_str(&(0..100_000).map(|number| format!("B{number}=$A14\n")).collect::<String>());
        let read = read(&text);
        assert!(read.contains_key("A14") && !read.contains_key("A15"));
        assert!(read.values().map(String::len).sum::<usize>() <= interpolate::MOST);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([A=\"'\\\\$ #\n]|é){0,30}|.{0,40}") {
            let _ = read(&text);
        }
    }
}
