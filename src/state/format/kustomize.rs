//! Kustomizations: `images`, where `name` is what manifests say and `newName`, `newTag` and `digest` what they get instead
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::HashMap;

use super::slot::{self, Kind, Parts, Slot, Slots, Written};
use super::yaml::{At, Doc};
use super::{Adapter, Declared, Edits, Of, of_images, present};
use crate::document::DocumentError;

pub(super) struct Kustomize;

impl Adapter for Kustomize {
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError> {
        let doc = Doc::parse(of.path, text)?;
        Ok(of_images(slot::images(&doc, &find(of, &doc)?)?))
    }

    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError> {
        slot::edit(of, present(of, text, edits)?, edits, |doc| find(of, doc))
    }
}

fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<Slots, DocumentError> {
    let mut slots = Slots::new();
    let names = of.names();
    let Some(images) = doc.only()?.and_then(|top| doc.get(&top, "images")) else { return Ok(slots) };
    let mut seen: HashMap<String, At> = HashMap::new();
    for at in doc.items(&images) {
        let Some(name) = doc.get(&at, "name") else { return Err(doc.wrong(&at, "`name` is missing")) };
        let called = doc.said(&name).unwrap_or_default().to_owned();
        if let Some(other) = seen.insert(called.clone(), at) {
            let message = format!(
                "`{}` is here and at {}: nobody can tell which one counts",
                crate::text::neutral_line(&called, 80),
                doc.place(&other)
            );
            return Err(doc.wrong(&at, &message));
        }
        let hint = "`image` of [format] in state.toml says which service it is of: image = { web = \"registry.acme.test/apps/shop\" }";
        let service = names.service(&called).map_err(|why| doc.wrong(&name, &why).hinted(Some(hint.to_owned())))?;
        let Some(service) = service else { continue };
        let new_name = doc.get(&at, "newName").filter(|new| doc.said(new).is_some());
        let parts = Parts {
            registry: None,
            kind: Kind::Kustomize { fixed: new_name.is_none() },
            repository: new_name.unwrap_or(name),
            tag: doc.entry(&at, "newTag"),
            digest: doc.get(&at, "digest"),
        };
        slots.entry(service).or_default().push(Slot { at, written: Written::Parts(Box::new(parts)) });
    }
    Ok(slots)
}
