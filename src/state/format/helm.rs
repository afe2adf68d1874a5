//! Values of Helm charts. Each chart calls its images as it likes: `image` of `[format]` says which key is of which service. What
//! is there is one text, or a table of `repository`, `tag`, `digest` and maybe `registry`.

use super::Of;
use super::images::Filled;
use super::slot::{Kind, Parts, Slot, Slots, Written};
use super::yaml::{At, Doc};
use crate::document::DocumentError;
use crate::name::Name;

/// Where the images are.
pub(super) fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<Slots, DocumentError> {
    let mut slots = Slots::new();
    let Some(top) = doc.only()? else { return Ok(slots) };
    let mut found: Vec<(Name, At)> = Vec::new();
    match of.names() {
        Filled::Table(names) => {
            let there =
                |(service, way): (Name, String)| Some((service, doc.find(&top, &way.split('.').collect::<Vec<_>>())?));
            found.extend(names.into_iter().filter_map(there));
        }
        Filled::Pattern(before, after) => {
            // `a.{service}-b.image`: the way to the tables, then what surrounds the name in a key, then the way inside.
            let (to, prefix) =
                before.rsplit_once('.').map_or((None, before.as_str()), |(to, prefix)| (Some(to), prefix));
            let (suffix, inside) =
                after.split_once('.').map_or((after.as_str(), None), |(suffix, way)| (suffix, Some(way)));
            let steps = |way: Option<&str>| {
                way.map(|way| way.split('.').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
            };
            let follow = |at: &At, way: Option<&str>| steps(way).iter().try_fold(*at, |at, key| doc.get(&at, key));
            for (key, key_at, value) in follow(&top, to).map(|at| doc.entries(&at)).unwrap_or_default() {
                let Some(at) = follow(&value, inside) else { continue };
                let named = Filled::Pattern(prefix.to_owned(), suffix.to_owned()).service(&key);
                found.extend(named.map_err(|why| doc.wrong(&key_at, &why))?.map(|service| (service, at)));
            }
        }
    }
    for (service, at) in found {
        let written =
            if doc.is_table(&at) { Written::Parts(Box::new(parts(doc, &at, &service)?)) } else { Written::Whole };
        slots.entry(service).or_default().push(Slot { at, written });
    }
    Ok(slots)
}

fn parts(doc: &Doc<'_>, at: &At, service: &Name) -> Result<Parts, DocumentError> {
    let repository = doc.get(at, "repository").filter(|at| doc.said(at).is_some());
    let repository =
        repository.ok_or_else(|| doc.wrong(at, &format!("services.{service}: `repository` is missing")))?;
    let registry = doc.get(at, "registry").filter(|at| doc.said(at).is_some());
    Ok(Parts { registry, repository, tag: doc.entry(at, "tag"), digest: doc.get(at, "digest"), kind: Kind::Helm })
}
