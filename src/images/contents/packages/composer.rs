//! Composer's `composer.lock` and `vendor/composer/installed.json`, the latter as Composer 1 and 2 write it.

use std::io::BufRead;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::json::{self, Members, Object};
use super::{Ecosystem, Found, Unread};

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: Option<String>,
}

struct Document<'a>(&'a mut Found);

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    json::read(stream, Object(&mut Document(found)))
}

impl Document<'_> {
    fn add(&mut self, entry: &Entry) -> Result<(), Unread> {
        self.0.add(Ecosystem::Composer, &entry.name, entry.version.as_deref().unwrap_or_default(), None)
    }
}

impl<'de> Members<'de> for Document<'_> {
    /// What is installed is all in `packages`; a lock has `packages-dev` beside it.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, object: &mut A) -> Result<bool, A::Error> {
        let wanted = matches!(key, "packages" | "packages-dev");
        if wanted {
            object.next_value_seed(json::each(|_, entry: Entry| self.add(&entry)))?;
        }
        Ok(wanted)
    }

    /// Composer 1 wrote what is installed as a list.
    fn list<A: SeqAccess<'de>>(&mut self, list: A) -> Result<(), A::Error> {
        let list = serde::de::value::SeqAccessDeserializer::new(list);
        json::each(|_, entry: Entry| self.add(&entry)).deserialize(list)
    }
}
