//! `Warning: 299`: what a registry's operators say to its users (distribution specification, "Warnings").

use std::sync::Mutex;

use reqwest::header::{HeaderMap, WARNING};

use crate::text::neutral_line;

/// How many different texts are kept, and how long each may be.
const MOST: usize = 20;
const LONGEST: usize = 300;

/// The texts so far, each registry's once.
#[derive(Default)]
pub struct Warnings(Mutex<Vec<(String, String)>>);

impl Warnings {
    /// Keeps what an answer's headers say.
    pub fn take(&self, host: &str, headers: &HeaderMap) {
        for value in headers.get_all(WARNING) {
            let Some(text) = parse(&String::from_utf8_lossy(value.as_bytes())) else { continue };
            self.keep(host, &text);
        }
    }

    /// Keeps a text about a registry.
    pub fn keep(&self, host: &str, text: &str) {
        let text = (host.to_owned(), neutral_line(text.trim(), LONGEST));
        let mut kept = self.0.lock().expect("no panic while held");
        if !text.1.is_empty() && kept.len() < MOST && !kept.contains(&text) {
            kept.push(text);
        }
    }

    /// The registries and texts, neutral, in the order in which they came.
    pub fn all(&self) -> Vec<(String, String)> {
        self.0.lock().expect("no panic while held").clone()
    }

    /// The texts of one registry.
    pub fn of(&self, host: &str) -> Vec<String> {
        self.all().into_iter().filter(|(about, _)| about == host).map(|(_, text)| text).collect()
    }
}

/// The text of `299 - "text"`, which is the only form that the specification allows; others are not for us.
fn parse(header: &str) -> Option<String> {
    let quoted = header.trim().strip_prefix("299 - \"")?;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_the_specification_writes_them() {
        let cases = [
            (r#"299 - "This will end on 2027-01-01.""#, Some("This will end on 2027-01-01.")),
            (r#"299 - "say \"8.3\" \\ instead""#, Some(r#"say "8.3" \ instead"#)),
            (r#"299 - "no end"#, None),
            (r#"110 - "stale""#, None),
            (r#"299 cache "other agent""#, None),
            ("299 - bare", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn each_text_is_kept_once_and_not_too_many() {
        let warnings = Warnings::default();
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(WARNING, "299 - \"base/php:8.1 ends\"".parse().unwrap());
        }
        warnings.take("r.test", &headers);
        assert_eq!(warnings.of("r.test"), ["base/php:8.1 ends"]);
        assert!(warnings.of("other.test").is_empty());
        for n in 0..100 {
            headers.append(WARNING, format!("299 - \"{n}\"").parse().unwrap());
        }
        warnings.take("r.test", &headers);
        assert_eq!(warnings.of("r.test").len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_text_survives(text in "[ -~]*") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            proptest::prop_assert_eq!(parse(&format!("299 - \"{quoted}\"")), Some(text));
        }

        #[test]
        fn no_header_makes_the_parser_panic(header in ".*") {
            let _ = parse(&header);
        }
    }
}
