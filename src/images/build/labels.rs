//! What an image says of itself: put on it as it is published, so that equal contents stay one image in the engine.

use std::collections::BTreeMap;

use super::Definition;
use crate::engine::label;
use crate::images::about;
use crate::reference::{Digest, ImageRef};

/// Where the definitions come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The catalog's address, without credentials.
    pub source: Option<String>,
    /// For each definition by name, the commit that last changed it; none where it is changed and not committed.
    pub revisions: BTreeMap<String, String>,
}

/// The labels of an image on a parent that is published under this name and digest.
pub fn of(definition: &Definition, origin: &Origin, parent: Option<(&ImageRef, &Digest)>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (label::OWNER.to_owned(), "onramp".to_owned()),
        (label::DEFINITION.to_owned(), definition.key.to_string()),
        ("org.opencontainers.image.title".to_owned(), definition.name.to_string()),
        ("org.opencontainers.image.description".to_owned(), definition.description.clone()),
        (about::OWNER.to_owned(), definition.owner.clone()),
    ]);
    // What its parent says of itself an image inherits; an empty text takes it back.
    let silence = parent.map(|_| String::new());
    let mut put = |key: &str, value: Option<String>| labels.extend(value.map(|value| (key.to_owned(), value)));
    put(about::SOURCE, origin.source.clone().or_else(|| silence.clone()));
    put(about::REVISION, origin.revisions.get(definition.name.as_str()).cloned().or_else(|| silence.clone()));
    put(about::END_OF_LIFE, definition.end_of_life.map(|date| date.to_string()).or_else(|| silence.clone()));
    put(about::DEPRECATED, definition.deprecated.clone().or(silence));
    put(about::BASE_NAME, parent.map(|(name, _)| name.to_string()));
    put(about::BASE_DIGEST, parent.map(|(_, digest)| digest.to_string()));
    labels
}

/// Whether a published image is of this definition, and of the parent as it is published now.
pub fn is_of(labels: &BTreeMap<String, String>, definition: &Definition, parent: Option<&Digest>) -> bool {
    let says = |key: &str, value: Option<&Digest>| labels.get(key).map(String::as_str) == value.map(Digest::as_str);
    says(label::DEFINITION, Some(&definition.key)) && says(about::BASE_DIGEST, parent)
}
