//! Puppet's Hiera: a key a service, at the top of a YAML file (<https://www.puppet.com/docs/puppet/7/hiera_config_yaml_5.html>).
//! `image` of `[format]` says which: `profile::{app}::{service}::image`.

use super::Of;
use super::images::Filled;
use super::slot::{Slot, Slots, Written};
use super::yaml::Doc;
use crate::document::DocumentError;

/// Where the images are.
pub(super) fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<Slots, DocumentError> {
    let mut slots = Slots::new();
    let names = of.names();
    let Some(top) = doc.only()? else { return Ok(slots) };
    for (key, at) in doc.keys(&top) {
        // Puppet makes one key of `:a` and `a`, and of merges something of its own.
        if key == "<<" || key.starts_with(':') {
            let shown = crate::text::neutral_line(key, 80);
            return Err(doc.wrong(&at, &format!("`{shown}` is another key to Puppet than to others: write it out")));
        }
    }
    for (name, key, at) in doc.entries(&top) {
        let Some(service) = names.service(&name).map_err(|why| doc.wrong(&key, &why))? else { continue };
        // Hiera fills `%{…}` in at every lookup.
        if doc.scalar(&at).is_some_and(|text| text.contains("%{")) {
            return Err(doc.wrong(&at, &format!("services.{service}: Hiera fills its image in at every lookup")));
        }
        // A pattern can fit what is no image: `profile::shop::port: 80`.
        if doc.said(&at).is_some_and(|text| !text.contains(['/', ':', '@'])) {
            match names {
                Filled::Pattern(..) => continue,
                Filled::Table(_) => {
                    return Err(
                        doc.wrong(&at, &format!("services.{service}: an image has a tag, a digest or a registry"))
                    );
                }
            }
        }
        slots.entry(service).or_default().push(Slot { at, written: Written::Whole });
    }
    Ok(slots)
}
