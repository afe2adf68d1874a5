//! What is signed: the "simple signing" document (containers/image, `docs/containers-signature.5.md`), as cosign writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// The largest payload that is looked at, in bytes. cosign's own have about 250.
pub const CAP: u64 = 64 * 1024;

const TYPE: &str = "cosign container image signature";

/// A payload that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The repository that it names.
    pub identity: Identity,
    /// The manifest or index that it names.
    pub digest: Digest,
    /// What the signer added, as JSON; empty where nothing was.
    pub optional: serde_json::Map<String, serde_json::Value>,
}

/// The repository that a signature names: `host/path`, without tag and digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identity(String);

impl Identity {
    /// An image's repository.
    pub fn of(image: &ImageRef) -> Self {
        Self(canonical(&image.repository()))
    }

    /// `host/path`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identity {
    type Err = String;

    /// A repository, with or without a tag and a digest: cosign lets a signer name those, too.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.split('@').next().unwrap_or(text);
        let name = match name.rsplit_once(':') {
            // A colon before the last slash is a port.
            Some((name, tag)) if !tag.contains('/') => name,
            _ => name,
        };
        // Only a name with a tag or digest is a reference; the repository is what counts here.
        let image: Result<ImageRef, _> = format!("{name}:x").parse();
        image.map(|image| Self::of(&image)).map_err(|_| format!("`{}` names no repository", neutral_line(text, 120)))
    }
}

impl TryFrom<String> for Identity {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Docker's registry has two names; cosign writes the longer one.
fn canonical(repository: &str) -> String {
    match repository.strip_prefix("docker.io/") {
        Some(path) => format!("index.docker.io/{path}"),
        None => repository.to_owned(),
    }
}

/// The document. What is unknown in `critical` must not be passed over; a key that stands twice is refused by serde.
#[derive(Serialize, Deserialize)]
struct Document {
    critical: Critical,
    optional: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: CriticalIdentity,
    image: CriticalImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CriticalIdentity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CriticalImage {
    docker_manifest_digest: Digest,
}

impl Payload {
    /// Reads a payload. The error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| neutral_line(&error.to_string(), 160))?;
        if document.critical.kind != TYPE {
            return Err(format!("it is a `{}`", neutral_line(&document.critical.kind, 60)));
        }
        Ok(Self {
            identity: document.critical.identity.docker_reference.parse()?,
            digest: document.critical.image.docker_manifest_digest,
            optional: document.optional.unwrap_or_default(),
        })
    }

    /// The payload for an image, byte for byte as cosign writes it.
    pub fn bytes(identity: &Identity, digest: &Digest) -> Vec<u8> {
        let document = Document {
            critical: Critical {
                identity: CriticalIdentity { docker_reference: identity.to_string() },
                image: CriticalImage { docker_manifest_digest: digest.clone() },
                kind: TYPE.to_owned(),
            },
            optional: None,
        };
        serde_json::to_vec(&document).expect("a payload is plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b";

    fn payload(reference: &str) -> Result<Payload, String> {
        let kind = "cosign container image signature";
        let text = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"{kind}"}},"optional":null}}"#
        );
        Payload::parse(text.as_bytes())
    }

    #[test]
    fn a_payload_names_a_repository_however_it_is_written() {
        let plain = payload("r.test:5000/base/php").unwrap().identity;
        assert_eq!(plain.as_str(), "r.test:5000/base/php");
        for same in
            ["r.test:5000/base/php:8.2", &format!("r.test:5000/base/php@{DIGEST}"), "r.test:5000/base/php:1@sha256:x"]
        {
            assert_eq!(payload(same).unwrap().identity, plain, "{same}");
        }
        for other in ["r.test/base/php", "r.test:5000/base/php-apache", "r.test:5000/base", "R.test:5000/base/php"] {
            assert_ne!(payload(other).unwrap().identity, plain, "{other}");
        }
        assert_eq!(
            payload("docker.io/library/x").unwrap().identity,
            payload("index.docker.io/library/x:1").unwrap().identity
        );
        for none in ["", "php", "library/php", "r.test/../x", "r.test/a b", "r.test/a\\u0000"] {
            assert!(payload(none).is_err(), "{none}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_no_payload() {
        let good = String::from_utf8(Payload::bytes(&"r.test/a".parse().unwrap(), &DIGEST.parse().unwrap())).unwrap();
        assert!(Payload::parse(good.as_bytes()).is_ok());
        for (from, to) in [
            (r#""type":"#, r#""type":"x","type":"#),
            (r#""image":"#, r#""more":1,"image":"#),
            ("cosign container image signature", "atomic container signature"),
            ("sha256:", "sha512:"),
            (r#""optional":null}"#, r#""optional":null}{}"#),
            (r#""critical":"#, r#""optional":{},"critical":"#),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            assert!(Payload::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Payload::parse("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, text in ".*") {
            let _ = Payload::parse(&bytes);
            let _ = text.parse::<Identity>();
        }

        #[test]
        fn what_is_written_is_read(path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", of: Vec<u8>) {
            let image: ImageRef = format!("registry.acme.test:5000/{path}:1").parse().unwrap();
            let (identity, digest) = (Identity::of(&image), Digest::of(&of));
            let read = Payload::parse(&Payload::bytes(&identity, &digest)).unwrap();
            proptest::prop_assert_eq!(read, Payload { identity, digest, optional: serde_json::Map::new() });
        }
    }
}
