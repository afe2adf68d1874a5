//! A command that is written as one line, in its words: quotes and backslashes as a shell has them, and nothing else of
//! it.

/// The words of a line; none where only a shell could run it, or a quote is not closed.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, ';' | '&' | '|' | '<' | '>' | '`') => return None,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let cases = [
            ("php -S 0.0.0.0:80", vec!["php", "-S", "0.0.0.0:80"]),
            ("sh -c 'a && b'", vec!["sh", "-c", "a && b"]),
            (r#"a "b \" c"d  '' \ e"#, vec!["a", "b \" cd", "", " e"]),
            (" ", vec![]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["a && b", "a > b", "a 'b", "a\\", "a; b", "a `b`"] {
            assert_eq!(split(line), None, "{line}");
        }
    }
}
