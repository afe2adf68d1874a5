//! What must not be sent: texts of a pull request are looked through for tokens, and for values that somebody keeps secret.

use std::sync::LazyLock;

use regex::Regex;

use super::Error;

/// A value shorter than this is found by chance.
const SHORTEST: usize = 8;

/// The shapes of tokens, as those who give them out document them. `GitHub`: "About authentication"; `GitLab`: "Token prefixes"; AWS:
/// "IAM identifiers"; the others likewise.
static SHAPES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let shapes = [
        ("a token of GitHub", r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
        ("a token of GitHub", r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
        ("a token of GitLab", r"\bgl[a-z]{2,6}-[A-Za-z0-9_-]{20,}"),
        ("an access key of AWS", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a token of Slack", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a key of Google's", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("a key of Stripe", r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
        ("a token of npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a token of Docker Hub", r"\bdckr_[a-z]{3}_[A-Za-z0-9_-]{20,}"),
        ("a JSON Web Token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        ("a private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY( BLOCK)?-----"),
        ("an address with a password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/:@]{1,100}@"),
    ];
    shapes.map(|(what, pattern)| (what, Regex::new(pattern).expect("it is a pattern"))).into()
});

/// A value that somebody keeps secret.
#[derive(Clone)]
pub struct Secret {
    /// The variable that has it.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Not what it is: only what it is called.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// Refuses a text that holds what looks like a token, or one of these values. `place` is what errors call it.
pub fn check<'s>(place: &str, text: &str, secrets: impl IntoIterator<Item = &'s Secret>) -> Result<(), Error> {
    let leak = |what: String| Err(Error::Leak { place: place.to_owned(), what });
    if let Some((what, _)) = SHAPES.iter().find(|(_, shape)| shape.is_match(text)) {
        return leak((*what).to_owned());
    }
    for secret in secrets {
        if secret.value.chars().count() >= SHORTEST && text.contains(&secret.value) {
            return leak(format!("the value of {}", crate::text::neutral_line(&secret.name, 60)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let secret = |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned() };
        let secrets = [secret("DB_PASSWORD", "correct-horse"), secret("SHORT_TOKEN", "abc")];
        check("the body", text, &secrets).err().map(|error| error.to_string())
    }

    #[test]
    fn tokens_and_values_are_found_and_never_told() {
        let tokens = [
            format!("ghp_{}", "a1B2".repeat(9)),
            format!("see glpat-{}", "x1_Y".repeat(5)),
            format!("AKIA{}", "ABCD".repeat(4)),
            format!("xoxb-{}", "1234567890"),
            "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            "https://ann:hunter2@git.acme.test/x".to_owned(),
            format!("eyJ{0}.eyJ{0}.{0}", "abcdefgh12"),
        ];
        for token in tokens {
            let told = found(&format!("words {token} words")).unwrap_or_else(|| panic!("{token}"));
            assert!(!told.contains(&token[token.len() - 4..]), "{told}");
        }
        assert_eq!(found("it is correct-horse."), Some("the body holds the value of DB_PASSWORD".to_owned()));
    }

    #[test]
    fn what_is_none_passes() {
        let digest = crate::reference::Digest::of(b"x");
        let commit = "a".repeat(40);
        for text in [
            format!("r.test/a@{digest} and {commit}"),
            "https://git.acme.test/shop/compare/a...b".to_owned(),
            "abc, Token: none, ssh://git@host/x, 10:30, me@acme.test".to_owned(),
        ] {
            assert_eq!(found(&text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_value_is_found_wherever_it_stands(before in "\\PC{0,20}", value in "[ -~]{8,20}", after in "\\PC{0,20}") {
            let secrets = [Secret { name: "X_TOKEN".to_owned(), value: value.clone() }];
            let refused = check("x", &format!("{before}{value}{after}"), &secrets).is_err();
            proptest::prop_assert!(refused);
        }
    }
}
