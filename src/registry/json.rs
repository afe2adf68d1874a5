//! JSON that two readers cannot read differently: no key stands twice, nothing is nested without end.
//!
//! A manifest's digest says which bytes it has, not what they mean. The engine's reader (Go) takes the last of two equal
//! keys, and takes `Layers` for `layers`; ours would see another image in the same bytes. Such documents are refused.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::text::neutral_line;

/// How deep a document may be nested.
const DEPTH: usize = 32;
/// The names that manifests give to their fields (OCI image specification 1.1).
const FIELDS: [&str; 19] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "manifests",
    "config",
    "layers",
    "blobs",
    "subject",
    "annotations",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
];
/// The one of them whose keys are free.
const FREE: &str = "annotations";
/// The names that configs give to the fields that say what an image is and how it runs (the same, "Image Configuration").
const CONFIG_FIELDS: [&str; 20] = [
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "created",
    "config",
    "rootfs",
    "diff_ids",
    "Env",
    "Entrypoint",
    "Cmd",
    "User",
    "WorkingDir",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
];
/// Those of them whose keys are free.
const CONFIG_FREE: [&str; 3] = ["Labels", "ExposedPorts", "Volumes"];

/// Where a descriptor names other places of its content. Following them would let a manifest choose with whom onramp speaks.
const PLACES: &str = "urls";

/// What is wrong with a document from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not what it should be; neutral.
    Malformed(String),
    /// It could be understood, and that would be unsafe; neutral.
    Refused(String),
}

impl Wrong {
    pub fn malformed(detail: impl fmt::Display) -> Self {
        Self::Malformed(neutral_line(&detail.to_string(), 200))
    }

    /// What is wrong, whatever follows from it.
    pub fn detail(self) -> String {
        match self {
            Self::Malformed(detail) | Self::Refused(detail) => detail,
        }
    }

    pub fn refused(detail: impl fmt::Display) -> Self {
        Self::Refused(neutral_line(&detail.to_string(), 200))
    }
}

/// How the keys of a document are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As they are written.
    Exact,
    /// A manifest's: what Go takes for a field must be written as the field is.
    Manifest,
    /// The same of an image's config.
    Config,
}

impl Keys {
    /// The field that Go would take a key for that is written otherwise.
    fn mistaken(self, key: &str) -> Option<&'static str> {
        let fields: &[&'static str] = match self {
            Self::Exact => return None,
            Self::Manifest => &FIELDS,
            Self::Config => &CONFIG_FIELDS,
        };
        fields.iter().copied().find(|field| *field != key && folded(field) == folded(key))
    }

    /// How the keys below a key are compared.
    fn below(self, key: &str) -> Self {
        let free = match self {
            Self::Exact => true,
            Self::Manifest => key == FREE,
            Self::Config => CONFIG_FREE.contains(&key),
        };
        if free { Self::Exact } else { self }
    }
}

/// Refuses a document that two readers could read differently. Needs no more memory than the document's longest path.
pub fn check(bytes: &[u8], keys: Keys) -> Result<(), Wrong> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let checked = Check { keys, depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end());
    checked.map_err(|error| match error.classify() {
        // Only this module's own rules speak of the data.
        serde_json::error::Category::Data => Wrong::refused(error),
        _ => Wrong::malformed(error),
    })
}

/// One value, read and forgotten.
#[derive(Clone, Copy)]
struct Check {
    keys: Keys,
    depth: usize,
}

impl Check {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth > DEPTH {
            return Err(D::Error::custom(format!("it is nested more than {DEPTH} times")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if let Some(field) = self.keys.mistaken(&key) {
                return Err(A::Error::custom(format!("the key `{key}` could be taken for `{field}`")));
            }
            let keys = self.keys.below(&key);
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("the key `{key}` stands twice in one object")));
            }
            if self.keys == Keys::Manifest && key == PLACES {
                if map.next_value::<Option<Vec<IgnoredAny>>>()?.is_some_and(|places| !places.is_empty()) {
                    return Err(A::Error::custom(
                        "it names places outside of the registry (`urls`): onramp follows none",
                    ));
                }
                seen.insert(key);
                continue;
            }
            seen.insert(key);
            map.next_value_seed(Self { keys, ..self }.below())?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.below())?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key as Go's `encoding/json` compares it: without case, with the two letters beyond ASCII that fold into it.
fn folded(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let refused = [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":{"a":1,"a":1}}]"#,
            r#"{"annotations":{"x":"1","x":"2"}}"#,
            r#"{"Layers":[]}"#,
            r#"{"config":{"DIGEST":""}}"#,
            "{\"layer\u{17f}\":[]}",
            r#"{"layers":[{"urls":["https://evil.test/"]}]}"#,
        ];
        for text in refused {
            let outcome = check(text.as_bytes(), Keys::Manifest);
            assert!(matches!(outcome, Err(Wrong::Refused(_))), "{text}: {outcome:?}");
        }
        let fine = [
            r#"{"annotations":{"Layers":"x","layers":"y"},"b":[1,-1,1.5,null,true,"x",{}]}"#,
            r#"{"a":{"urls":null},"b":{"urls":[]}}"#,
        ];
        for text in fine {
            assert_eq!(check(text.as_bytes(), Keys::Manifest), Ok(()), "{text}");
        }
        assert_eq!(check(br#"{"Config":{},"config":{}}"#, Keys::Exact), Ok(()));
        for text in [
            r#"{"config":{},"config":{}}"#,
            r#"{"Config":{}}"#,
            r#"{"rootfs":{"Diff_IDs":[]}}"#,
            r#"{"config":{"env":[]}}"#,
            r#"{"config":{"Labels":{"a":"1","a":"2"}}}"#,
        ] {
            assert!(matches!(check(text.as_bytes(), Keys::Config), Err(Wrong::Refused(_))), "{text}");
        }
        let fine =
            r#"{"config":{"Labels":{"os":"x","OS":"y"},"Volumes":{"/OS":{}}},"container_config":{"Hostname":""}}"#;
        assert_eq!(check(fine.as_bytes(), Keys::Config), Ok(()));
    }

    #[test]
    fn what_is_no_json_is_malformed_and_what_is_deep_is_refused() {
        for text in ["", "{", "{} x", "[1,]", "\u{1b}[2J"] {
            assert!(matches!(check(text.as_bytes(), Keys::Exact), Err(Wrong::Malformed(_))), "{text}");
        }
        for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
            assert!(matches!(check(deep.as_bytes(), Keys::Exact), Err(Wrong::Refused(_))));
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(DEPTH).as_bytes(), Keys::Exact), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_check_panic(bytes: Vec<u8>) {
            let _ = check(&bytes, Keys::Manifest);
        }

        #[test]
        fn a_key_that_stands_twice_is_found_wherever_it_is(key in "[a-z]{1,8}", others in proptest::collection::btree_set("[A-Z]{1,4}", 0..8), at in 0_usize..9) {
            let mut keys: Vec<String> = others.into_iter().collect();
            keys.insert(0, key.clone());
            let once = keys.iter().map(|k| format!("\"{k}\":0")).collect::<Vec<_>>().join(",");
            proptest::prop_assert_eq!(check(format!("{{{once}}}").as_bytes(), Keys::Exact), Ok(()));
            keys.insert(at.min(keys.len()), key);
            let twice = keys.iter().map(|k| format!("\"{k}\":0")).collect::<Vec<_>>().join(",");
            let found = matches!(check(format!("{{{twice}}}").as_bytes(), Keys::Exact), Err(Wrong::Refused(_)));
            proptest::prop_assert!(found);
        }
    }
}
