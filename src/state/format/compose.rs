//! Compose files (<https://github.com/compose-spec/compose-spec/blob/main/spec.md>), as Compose and Swarm take them:
//! `services.<name>.image`. What else a service says is read as `init --from` reads it.

use std::collections::BTreeMap;

use super::slot::{self, Slot, Slots, Written};
use super::yaml::Doc;
use super::{Adapter, Declared, Edits, Of, present, unnamed};
use crate::compose;
use crate::document::DocumentError;
use crate::name::Name;
use crate::project::manifest::check_service;

pub(super) struct Compose;

impl Adapter for Compose {
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError> {
        let doc = Doc::parse(of.path, text)?;
        let (slots, called) = find(of, &doc)?;
        let images = slot::images(&doc, &slots)?;
        let mut services = compose::declared(of.path, text, of.app, &called)?;
        for (name, image) in images {
            let service = services.entry(name.clone()).or_default();
            service.image = Some(image);
            check_service(service).map_err(|why| doc.wrong(&slots[&name][0].at, &format!("services.{name}: {why}")))?;
        }
        services.retain(|name, _| slots.contains_key(name));
        Ok(Declared { services, source: None })
    }

    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError> {
        slot::edit(of, present(of, text, edits)?, edits, |doc| Ok(find(of, doc)?.0))
    }
}

/// The images, and which service is called what in the file.
fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<(Slots, BTreeMap<String, Name>), DocumentError> {
    let (mut slots, mut called) = (Slots::new(), BTreeMap::new());
    let names = of.names();
    let Some(services) = doc.only()?.and_then(|top| doc.get(&top, "services")) else { return Ok((slots, called)) };
    for (name, key, service) in doc.entries(&services) {
        let ours = names.service(&name).map_err(|why| doc.wrong(&key, &why))?;
        let ours = ours.ok_or_else(|| unnamed(doc, &key, &name))?;
        let Some(at) = doc.get(&service, "image") else {
            let why = match doc.get(&service, "extends") {
                Some(_) => {
                    "its image comes from another service by `extends`, and nobody can tell which services an edit would change"
                }
                None => "`image` is missing: an environment runs what it names",
            };
            return Err(doc.wrong(&key, &format!("services.{ours}: {why}")));
        };
        slots.entry(ours.clone()).or_default().push(Slot { at, written: Written::Whole });
        called.insert(name, ours);
    }
    Ok((slots, called))
}
