//! `WWW-Authenticate`: how a registry says which proof it wants (RFC 9110, section 11; distribution's token specification).

use std::collections::BTreeMap;

/// The proof that a registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password, to the registry itself.
    Basic,
    /// A token that a token service gives.
    Bearer {
        /// The token service's URL, unchecked.
        realm: String,
        /// What the token service calls this registry.
        service: Option<String>,
    },
}

/// The challenge of a header that onramp can meet: Bearer before Basic, as the specification prefers it.
pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = false;
    for header in headers {
        for (scheme, mut parameters) in schemes(header) {
            match scheme.as_str() {
                "bearer" => {
                    if let Some(realm) = parameters.remove("realm") {
                        return Some(Challenge::Bearer { realm, service: parameters.remove("service") });
                    }
                }
                "basic" => basic = true,
                _ => {}
            }
        }
    }
    basic.then_some(Challenge::Basic)
}

/// Splits `Scheme a="b", c=d, Other e=f` into its schemes and their parameters, names in lower case.
fn schemes(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start_matches([' ', '\t']);
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.entry(word).or_insert(value);
                }
                rest = after;
            }
            None if !word.is_empty() => found.push((word, BTreeMap::new())),
            None => {}
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    found
}

/// A parameter's value, quoted or bare, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &quoted[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c => out.push(c),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let cases = [
            (
                r#"Bearer realm="https://a.test/token",service="reg",scope="repository:a:pull,push""#,
                Some(bearer("https://a.test/token", Some("reg"))),
            ),
            (r#"bearer service=reg , realm="https://a.test/t\"x""#, Some(bearer("https://a.test/t\"x", Some("reg")))),
            (r#"Basic realm="basic-realm""#, Some(Challenge::Basic)),
            (r#"Basic realm="x", Bearer realm="https://a.test""#, Some(bearer("https://a.test", None))),
            (r#"Bearer scope="x""#, None),
            ("Negotiate", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(parse([header]), expected, "{header}");
        }
        assert_eq!(parse(["Negotiate", "Basic"]), Some(Challenge::Basic));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_parser_panic_or_hang(header in ".*") {
            let _ = parse([header.as_str()]);
        }

        #[test]
        fn a_quoted_realm_survives(realm in "[ -~]*") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{quoted}\",service=x");
            proptest::prop_assert_eq!(parse([header.as_str()]), Some(bearer(&realm, Some("x"))));
        }
    }
}
