//! npm's `package-lock.json`, versions 1 to 3, and `node_modules/.package-lock.json`, which tells what is installed.

use std::io::BufRead;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess};

use super::json::{self, Members, Object};
use super::{Ecosystem, Found, Unread};

/// A package of versions 2 and 3, listed by its place: `node_modules/a/node_modules/b`.
#[derive(Deserialize)]
struct Placed {
    /// Only where it is not the place's: an alias.
    name: Option<String>,
    version: Option<String>,
    /// A link into the project's own tree.
    #[serde(default)]
    link: bool,
}

#[derive(Default)]
struct Lock {
    packages: Option<Found>,
    /// Of version 1; version 2 has it for old readers, beside the other.
    dependencies: Option<Found>,
}

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let mut lock = Lock::default();
    json::read(stream, Object(&mut lock))?;
    *found = match (lock.packages, lock.dependencies) {
        (Some(packages), _) => packages,
        (None, Some(dependencies)) => dependencies,
        // A project without dependencies has a lock without either.
        (None, None) => return Ok(()),
    };
    Ok(())
}

impl<'de> Members<'de> for Lock {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, object: &mut A) -> Result<bool, A::Error> {
        match key {
            "packages" => {
                let found = self.packages.get_or_insert_default();
                object.next_value_seed(json::each(|place: String, package: Placed| placed(found, &place, &package)))?;
            }
            "dependencies" => object.next_value_seed(Nested(self.dependencies.get_or_insert_default()))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn placed(found: &mut Found, place: &str, package: &Placed) -> Result<(), Unread> {
    // What is in no `node_modules` is the project's own: itself and its workspaces.
    let Some((_, at)) = place.rsplit_once("node_modules/").filter(|_| !package.link) else { return Ok(()) };
    let name = package.name.as_deref().unwrap_or(at);
    found.add(Ecosystem::Npm, name, package.version.as_deref().unwrap_or_default(), None)
}

/// Packages of version 1, by name, each with its own below it. The JSON reader's limit of depth bounds this one's.
struct Nested<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Nested<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("packages by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            let mut package = Package { found: &mut *self.0, version: String::new() };
            object.next_value_seed(Object(&mut package))?;
            let version = package.version;
            // An alias: `npm:real-name@1.2.3`.
            let (name, version) = match version.strip_prefix("npm:").and_then(|alias| alias.rsplit_once('@')) {
                Some((real, version)) => (real, version),
                None => (name.as_str(), version.as_str()),
            };
            self.0.add(Ecosystem::Npm, name, version, None).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

struct Package<'a> {
    found: &'a mut Found,
    version: String,
}

impl<'de> Members<'de> for Package<'_> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, object: &mut A) -> Result<bool, A::Error> {
        match key {
            "version" => self.version = object.next_value()?,
            "dependencies" => object.next_value_seed(Nested(&mut *self.found))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
