//! Health checks that ask over HTTP: `curl` and `wget` of an address in the container itself.

/// The port and path that a check asks for; none where it asks for something else.
pub(super) fn http(words: &[String]) -> Option<(u16, String)> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).map(unquoted).collect();
    if !words.iter().any(|word| matches!(word.rsplit('/').next(), Some("curl" | "wget"))) {
        return None;
    }
    words.iter().find_map(|word| local(word))
}

/// A word of a shell's line without its quotes, and without what ends it.
fn unquoted(word: &str) -> &str {
    let word = word.trim_end_matches(';');
    let inside = ['\'', '"'].iter().find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote));
    inside.unwrap_or(word)
}

/// The port and path of an address on the machine that asks.
fn local(url: &str) -> Option<(u16, String)> {
    let rest = url.strip_prefix("http://").or_else(|| {
        let bare = !url.contains("://") && url.starts_with("localhost");
        bare.then_some(url)
    })?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let path = path.split('#').next().unwrap_or_default();
    (matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]") && port > 0).then(|| (port, path.to_owned()))
}

/// The check that asks for a path: with whichever of the two programs the image has.
pub(super) fn test(port: u16, path: &str) -> String {
    // What a shell would take for its own. A path has no blanks.
    let url = format!("'http://127.0.0.1:{port}{}'", path.replace('\'', "%27"));
    format!("curl -fsS -o /dev/null {url} || wget -q -O /dev/null {url}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Option<(u16, String)> {
        http(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_over_http_is_found() {
        let cases: [(&[&str], u16, &str); 6] = [
            (&["curl", "-f", "http://localhost/health"], 80, "/health"),
            (&["curl -f http://localhost:8080/ || exit 1"], 8080, "/"),
            (&["wget", "--spider", "-q", "http://127.0.0.1:3000"], 3000, "/"),
            (&["/usr/bin/curl --fail 'http://[::1]:80/a?b=c&d#e'; exit"], 80, "/a?b=c&d"),
            (&["curl", "localhost:9000/ping"], 9000, "/ping"),
            (&["curl -sS \"http://0.0.0.0/\""], 80, "/"),
        ];
        for (words, port, path) in cases {
            assert_eq!(asked(words), Some((port, path.to_owned())), "{words:?}");
        }
        let others: [&[&str]; 4] = [
            &["mysqladmin", "ping"],
            &["curl", "https://localhost/"],
            &["curl", "http://example.org/"],
            &["curl", "http://localhost:99999/"],
        ];
        for words in others {
            assert_eq!(asked(words), None, "{words:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_asked_for_is_read_back(port in 1_u16.., path in "/[!-~&&[^#']]{0,12}") {
            proptest::prop_assert_eq!(asked(&[&test(port, &path)]), Some((port, path)));
        }
    }
}
