//! Kustomizations: `images`, where `name` is what manifests say and `newName`, `newTag` and `digest` what they get instead
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::HashMap;

use super::slot::{Kind, Parts, Slot, Slots, Written};
use super::yaml::{At, Doc};
use super::{Of, unnamed};
use crate::document::DocumentError;

/// Where the images are.
pub(super) fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<Slots, DocumentError> {
    let mut slots = Slots::new();
    let names = of.names();
    let Some(top) = doc.only()? else { return Ok(slots) };
    spelled(doc, &top, &["images"])?;
    let Some(images) = doc.get(&top, "images") else { return Ok(slots) };
    let mut renamed: Vec<(String, At)> = Vec::new();
    let mut seen: HashMap<String, At> = HashMap::new();
    for at in doc.items(&images) {
        let Some(name) = doc.get(&at, "name") else { return Err(doc.wrong(&at, "`name` is missing")) };
        spelled(doc, &at, &["name", "newName", "newTag", "digest", "tagSuffix"])?;
        if let Some(suffix) = doc.get(&at, "tagSuffix") {
            return Err(doc.wrong(&suffix, "`tagSuffix` makes another tag of the one that is here: write the tag"));
        }
        let called = doc.said(&name).unwrap_or_default().to_owned();
        if called.contains(['\\', '^', '$', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|']) {
            let shown = crate::text::neutral_line(&called, 80);
            let message =
                format!("`{shown}` is a pattern to kustomize: which images it is of is known only to the base");
            return Err(doc.wrong(&name, &message));
        }
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
        // Kustomize applies it all the same: what it changes is to be judged, too.
        let Some(service) = service else { return Err(unnamed(doc, &name, &called)) };
        let new_name = doc.get(&at, "newName").filter(|new| doc.said(new).is_some());
        if let Some(new) = new_name.and_then(|new| doc.said(&new)).filter(|new| *new != called) {
            renamed.push((new.to_owned(), at));
        }
        let parts = Parts {
            registry: None,
            kind: Kind::Kustomize { fixed: new_name.is_none() },
            repository: new_name.unwrap_or(name),
            tag: doc.entry(&at, "newTag"),
            digest: doc.get(&at, "digest"),
        };
        slots.entry(service).or_default().push(Slot { at, written: Written::Parts(Box::new(parts)) });
    }
    // Entries are applied one after the other, each to what those before it made.
    for (new, at) in renamed {
        if let Some(other) = seen.get(&new) {
            let shown = crate::text::neutral_line(&new, 80);
            let message =
                format!("`newName: {shown}` is the `name` at {}, which would change it again", doc.place(other));
            return Err(doc.wrong(&at, &message));
        }
    }
    Ok(slots)
}

/// Keys that kustomize takes for others: it reads them as Go does JSON, by any case.
fn spelled(doc: &Doc<'_>, table: &At, known: &[&str]) -> Result<(), DocumentError> {
    let fold = |key: &str| key.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase();
    for (key, at, _) in doc.entries(table) {
        if let Some(meant) = known.iter().find(|known| **known != key && fold(known) == fold(&key)) {
            let message =
                format!("kustomize reads `{}` as `{meant}`: write it so", crate::text::neutral_line(&key, 80));
            return Err(doc.wrong(&at, &message));
        }
    }
    Ok(())
}
