//! An image where it is written: in one text, or in parts. It is read, and another one is written in its place.

use std::collections::BTreeMap;

use super::yaml::{self, At, Doc, Splice, Way};
use super::{Adapter, Declared, Edits, Of, of_images, present};
use crate::compose;
use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::reference::{Digest, ImageRef};
use crate::template::Value;
use crate::text::neutral_line;

/// Where the image of one service is written.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// What people look for: the text, or the table of the parts.
    pub at: At,
    pub written: Written,
}

#[derive(Clone, Debug)]
pub(super) enum Written {
    /// `registry/name:tag@digest`.
    Whole,
    /// In a table.
    Parts(Box<Parts>),
}

/// An image in the parts that Helm charts and Kustomize have.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub registry: Option<At>,
    pub repository: At,
    /// The key of the tag, and the tag.
    pub tag: Option<(At, At)>,
    pub digest: Option<At>,
    /// What becomes of a tag, and of what is missing.
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A chart puts the parts together in a way of its own: nothing is added, and nothing taken away.
    Helm,
    /// Kustomize has a digest in the place of the tag. Whether the repository is what manifests say, and so stays.
    Kustomize { fixed: bool },
}

/// A format of images alone, by where they are in a file.
pub(super) struct Places(pub fn(&Of<'_>, &Doc<'_>) -> Result<Slots, DocumentError>);

impl Adapter for Places {
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError> {
        let doc = Doc::parse(of.path, text)?;
        Ok(of_images(images(&doc, &(self.0)(of, &doc)?)?))
    }

    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError> {
        edit(of, present(of, text, edits)?, edits, |doc| (self.0)(of, doc))
    }
}

/// The places of every service's image.
pub(super) type Slots = BTreeMap<Name, Vec<Slot>>;

/// How far an edit goes on: what is replaced, and what each value is then; none where it is gone.
#[derive(Default)]
struct Change {
    splices: Vec<Splice>,
    meant: BTreeMap<Way, Option<String>>,
}

impl Slot {
    /// The image that is written there.
    pub fn image(&self, doc: &Doc<'_>) -> Result<ImageRef, DocumentError> {
        let text = match &self.written {
            Written::Whole => doc.said(&self.at).ok_or_else(|| doc.wrong(&self.at, "it names no image"))?.to_owned(),
            Written::Parts(parts) => parts.name(doc, &self.at)?,
        };
        let shown = neutral_line(&text, 120);
        if text.contains("{{") {
            let message = format!("`{shown}` is a template: which image it is, is known only once it is rendered");
            return Err(doc.wrong(&self.at, &message));
        }
        if text.contains('$') {
            let message = format!("`{shown}` is another image wherever its variables are others: write the image");
            return Err(doc.wrong(&self.at, &message));
        }
        compose::image_of(&text).map_err(|_| doc.wrong(&self.at, &format!("`{shown}` names no image")))
    }

    fn change(&self, doc: &Doc<'_>, image: &ImageRef, change: &mut Change) -> Result<(), String> {
        match &self.written {
            Written::Whole => change.replace(doc, &self.at, &image.to_string()),
            Written::Parts(parts) => parts.change(doc, &self.at, image, change),
        }
    }
}

impl Parts {
    /// The whole reference.
    fn name(&self, doc: &Doc<'_>, table: &At) -> Result<String, DocumentError> {
        let said = |at: &Option<At>| at.as_ref().and_then(|at| doc.said(at)).map(str::to_owned);
        let mut name = self.repository(doc);
        let tag = self.tag.as_ref().and_then(|(_, at)| Some((at, doc.said(at)?)));
        if let Some(digest) = said(&self.digest) {
            name = format!("{name}@{digest}");
        } else if let Some((at, tag)) = tag {
            if !doc.is_text(at) {
                let tag = neutral_line(tag, 40);
                return Err(doc.wrong(at, &format!("the tag `{tag}` is no text to what reads it: quote it, \"{tag}\"")));
            }
            name = format!("{name}:{tag}");
        } else {
            // It is not `latest`: what fills it in has a tag of its own.
            return Err(doc.wrong(table, "it has no tag and no digest: which image it is, is known only elsewhere"));
        }
        Ok(name)
    }

    fn repository(&self, doc: &Doc<'_>) -> String {
        let name = doc.said(&self.repository).unwrap_or_default();
        match self.registry.as_ref().and_then(|at| doc.said(at)) {
            Some(registry) => format!("{registry}/{name}"),
            None => name.to_owned(),
        }
    }

    fn change(&self, doc: &Doc<'_>, table: &At, image: &ImageRef, change: &mut Change) -> Result<(), String> {
        let digest = image.digest().ok_or("an environment runs what it names by digest")?;
        let before = compose::image_of(&format!("{}:x", self.repository(doc))).map(|image| image.repository());
        if before.ok().as_ref() != Some(&image.repository()) {
            if self.kind == (Kind::Kustomize { fixed: true }) {
                return Err(format!("it is of another repository: write `newName: {}` there", image.repository()));
            }
            match &self.registry {
                Some(registry) => {
                    change.replace(doc, registry, image.registry())?;
                    change.replace(doc, &self.repository, image.path())?;
                }
                None => change.replace(doc, &self.repository, &image.repository())?,
            }
        }
        match (&self.digest, &self.tag, self.kind) {
            (Some(at), tag, kind) => {
                change.replace(doc, at, digest.as_str())?;
                match (tag, kind) {
                    // Beside a digest, Kustomize would still write the old tag.
                    (Some((key, tag)), Kind::Kustomize { .. }) => change.remove(doc, key, tag),
                    _ => Ok(()),
                }
            }
            (None, Some((key, tag)), Kind::Kustomize { .. }) => {
                let (range, quote) = doc.span(key)?;
                change.splices.push(Splice { range, text: format!("{quote}digest{quote}") });
                change.replace(doc, tag, digest.as_str())?;
                change.meant.insert(key.way, None);
                change.meant.insert(table.way.step("digest"), Some(digest.to_string()));
                Ok(())
            }
            (None, Some((_, tag)), Kind::Helm) if doc.said(tag).is_some_and(|tag| tag.contains('@')) => {
                change.replace(doc, tag, &pinned_tag(digest))
            }
            (None, ..) => {
                Err("it has no digest: write `digest: \"\"` there by hand, where what reads it takes one".to_owned())
            }
        }
    }
}

/// A tag that is no other version's, with the digest that counts.
fn pinned_tag(digest: &Digest) -> String {
    format!("{}@{digest}", digest.short())
}

impl Change {
    fn replace(&mut self, doc: &Doc<'_>, at: &At, text: &str) -> Result<(), String> {
        let (range, quote) = doc.span(at)?;
        let before = doc.scalar(at).unwrap_or_default();
        if before.contains("{{") || before.contains('$') {
            return Err("it is filled in elsewhere".to_owned());
        }
        self.meant.insert(at.way, Some(text.to_owned()));
        if before != text {
            self.splices.push(Splice { range, text: format!("{quote}{text}{quote}") });
        }
        Ok(())
    }

    fn remove(&mut self, doc: &Doc<'_>, key: &At, value: &At) -> Result<(), String> {
        let range = doc.line(key, value)?;
        self.splices.push(Splice { range, text: String::new() });
        self.meant.insert(value.way, None);
        Ok(())
    }
}

/// The images of all services. Where one is written in several places, it is the same in all.
pub(super) fn images(doc: &Doc<'_>, slots: &Slots) -> Result<BTreeMap<Name, ImageRef>, DocumentError> {
    let mut images = BTreeMap::new();
    for (name, slots) in slots {
        let mut first: Option<(ImageRef, &Slot)> = None;
        for slot in slots {
            let image = slot.image(doc)?;
            match &first {
                Some((other, at)) if *other != image => {
                    let message =
                        format!("services.{name}: its image is `{image}` here and `{other}` at {}", doc.place(&at.at));
                    return Err(doc.wrong(&slot.at, &message));
                }
                Some(_) => {}
                None => first = Some((image, slot)),
            }
        }
        images.extend(first.map(|(image, _)| (name.clone(), image)));
    }
    Ok(images)
}

/// The text with these edits: nothing but the bytes of the images is another, and to every reader nothing but the images.
pub(super) fn edit(
    of: &Of<'_>,
    text: &str,
    edits: &Edits,
    slots: impl Fn(&Doc<'_>) -> Result<Slots, DocumentError>,
) -> Result<String, DocumentError> {
    let doc = Doc::parse(of.path, text)?;
    let all = slots(&doc)?;
    let before = images(&doc, &all)?;
    let mut change = Change::default();
    for (name, edit) in edits {
        let image = of.existing(name, edit)?;
        let (Some(places), Some(old)) = (all.get(name), before.get(name)) else {
            return Err(of.by_hand(text, name, image));
        };
        // What else has that image would be left behind.
        let others = before.iter().filter(|(other, there)| *there == old && !edits.contains_key(*other));
        let others: Vec<&At> = others.flat_map(|(other, _)| all[other].iter().map(|slot| &slot.at)).collect();
        if !others.is_empty() && old != image {
            let at: Vec<String> = others.iter().map(|at| doc.place(at)).collect();
            let message = format!(
                "services.{name}: `{old}` is here and at {}: nobody can tell which of them are meant",
                at.join(", ")
            );
            let hint = "`image` of [format] in state.toml says which belong together: image = { web = [\"web\", \"migrate\"] }";
            return Err(doc.wrong(&places[0].at, &message).hinted(Some(hint.to_owned())));
        }
        for slot in places {
            let done = slot.change(&doc, image, &mut change);
            done.map_err(|why| {
                let message = format!("services.{name}: its image cannot be changed here, because {why}");
                doc.wrong(&slot.at, &message).hinted(Some(of.words(image)))
            })?;
        }
    }
    let mut meant = yaml::values(of.path, text)?;
    for (way, value) in std::mem::take(&mut change.meant) {
        match value {
            Some(value) => drop(meant.insert(way, Value::String(value))),
            None => drop(meant.remove(&way)),
        }
    }
    let new = spliced(text, change.splices);
    let refused = || {
        let message = "an edit would change more than the images, or not them alone; edit it by hand".to_owned();
        document::wrong(of.path, text, 0, message)
    };
    match yaml::values(of.path, &new) {
        Ok(values) if values == meant => Ok(new),
        Ok(_) | Err(_) => Err(refused()),
    }
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.range.start);
    // What is written once and belongs to two services is changed once.
    splices.dedup();
    let mut new = text.to_owned();
    for splice in splices.into_iter().rev() {
        new.replace_range(splice.range, &splice.text);
    }
    new
}
