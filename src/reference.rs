//! Names of images: `ImageRef` and `Digest`, parsed once at the edge.
//!
//! The grammar is the distribution project's `reference` package, without implicit names: onramp never guesses a
//! registry, so a reference always names one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The sha256 digest of a manifest, config or layer: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text is no digest or image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}", crate::text::neutral_line(text, 120))]
pub struct ParseError {
    text: String,
    what: &'static str,
}

impl crate::error::Fault for ParseError {
    fn class(&self) -> crate::error::Class {
        crate::error::Class::Usage
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// The digest with this sha256 hash.
    pub fn from_hash(hash: &[u8]) -> Self {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            use fmt::Write;
            write!(text, "{byte:02x}").expect("writing to a string");
        }
        Self(text)
    }

    /// `sha256:…`, whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The hash.
    pub fn bytes(&self) -> [u8; 32] {
        let digits = self.hex().as_bytes();
        let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        std::array::from_fn(|i| value(digits[2 * i]) << 4 | value(digits[2 * i + 1]))
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError { text: text.to_owned(), what: "a digest (sha256: and 64 hexadecimal digits)" })
        }
    }
}

/// A full image reference: `registry[:port]/path[:tag][@digest]`, with a tag, a digest or both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    registry: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// `host[:port]`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path in its registry: `base/php-apache`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the reference has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `registry/path`, what pushes and pulls name.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }

    /// The last part of the path, what people call the image.
    pub fn short_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    #[must_use]
    /// The same repository, by digest alone: what is declared and run.
    pub fn at(&self, digest: Digest) -> Self {
        Self { registry: self.registry.clone(), path: self.path.clone(), tag: None, digest: Some(digest) }
    }

    /// The same repository, by tag alone. The tag must be one (1 to 128 word characters, dots and dashes).
    pub fn tagged(&self, tag: &str) -> Result<Self, ParseError> {
        format!("{}:{tag}", self.repository()).parse()
    }
}

impl FromStr for ImageRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |what| ParseError { text: text.to_owned(), what };
        let shape = || wrong("an image reference (registry/name:tag or registry/name@sha256:…)");
        if text.len() > 512 {
            return Err(shape());
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let (registry, rest) = name.split_once('/').ok_or_else(shape)?;
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_registry(registry) || !path.split('/').all(is_path_part) || !tag.is_none_or(is_tag) {
            return Err(shape());
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong("pinned: it needs a tag or a digest, which `onramp image list --tags` tells"));
        }
        Ok(Self { registry: registry.to_owned(), path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

/// Whether this names a registry host: a domain with a dot or port, an address, or `localhost`.
pub fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    host.split('.').all(label)
        && (host.contains('.') || port.is_some() || host == "localhost")
        && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0))
}

fn is_path_part(part: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let separators_ok = !part.contains("..") && !part.contains("___") && !part.contains("._") && !part.contains("_.");
    bytes.first().is_some_and(|b| alnum(*b))
        && bytes.last().is_some_and(|b| alnum(*b))
        && bytes.iter().all(|b| alnum(*b) || matches!(b, b'.' | b'_' | b'-'))
        && separators_ok
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().enumerate().all(|(i, b)| word(b) || (i > 0 && matches!(b, b'.' | b'-')))
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ParseError;
    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_their_registry() {
        let image: ImageRef = "127.0.0.1:5000/base/php-apache:8.2".parse().unwrap();
        assert_eq!((image.registry(), image.path(), image.tag()), ("127.0.0.1:5000", "base/php-apache", Some("8.2")));
        assert_eq!(image.short_name(), "php-apache");
        for bad in [
            "php",
            "php:8.2",
            "library/php:8",
            "reg.test/php",
            "reg.test/PHP:1",
            "reg.test/a//b:1",
            "reg.test/a:-1",
            "reg.test:99999/a:1",
            "reg.test/a@sha256:12",
            "-x.test/a:1",
            "reg.test/../a:1",
            "reg.test/a b:1",
            "",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_digest_gives_its_hash_back(hash: [u8; 32]) {
            proptest::prop_assert_eq!(Digest::from_hash(&hash).bytes(), hash);
        }

        #[test]
        fn what_parses_prints_the_same(text in "[a-z]{1,5}(\\.[a-z]{1,3}|:[1-9][0-9]{0,3})(/[a-z0-9]{1,6}){1,3}(:[a-z0-9.]{1,5})?(@sha256:[0-9a-f]{64})?") {
            if let Ok(image) = text.parse::<ImageRef>() {
                proptest::prop_assert_eq!(image.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<ImageRef>();
            let _ = text.parse::<Digest>();
        }
    }
}
