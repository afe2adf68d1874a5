//! A block taken out of a project: the files that nobody touched, its tables in `onramp.toml`, its place in `onramp.lock`.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::Item;

use super::layer::edit;
use super::undo::{Then, Undo};
use super::update::{Follow, without_record};
use super::{Error, Layer, layer, takeover};
use crate::directory::Directory;
use crate::merge::Change;
use crate::name::Name;
use crate::project::lock::LockedBlock;
use crate::project::{Lock, lock, manifest};
use crate::tree::{Entry, TreePath};

/// What taking a block out changes. Nothing is changed yet.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The block.
    pub name: Name,
    /// Every file that changes or goes, by path.
    pub changes: Vec<Change>,
    /// Files of the block that the project edited: they stay.
    pub edited: Vec<TreePath>,
    /// Files that other blocks have as well: they stay.
    pub shared: Vec<TreePath>,
    /// The services that go from `onramp.toml`.
    pub services: Vec<String>,
    /// Services of the block that the project edited: they stay.
    pub edited_services: Vec<String>,
}

impl Removal {
    /// Plans it. Nothing is written.
    pub fn plan(follow: &Follow<'_>, lock: &Lock, name: &str) -> Result<Self, Error> {
        let Some((name, locked)) = lock.blocks.get_key_value(name) else {
            return Err(Error::NotThere { name: name.to_owned(), known: lock.blocks.keys().cloned().collect() });
        };
        check_required(follow, lock, name)?;
        let mut plan = Self {
            name: name.clone(),
            changes: Vec::new(),
            edited: Vec::new(),
            shared: Vec::new(),
            services: Vec::new(),
            edited_services: Vec::new(),
        };
        let root = Directory::open(&follow.place.root)?;
        plan.files(&root, lock, locked)?;
        plan.project_file(&root, follow, locked)?;
        let mut after = lock.clone();
        after.blocks.remove(name);
        let path: TreePath = lock::FILE.parse().expect("a plain name");
        let before = root.read([&path])?.remove(lock::FILE);
        plan.changes.push(Change { path, before, after: Some(Entry::file(after.render())) });
        plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(plan)
    }

    /// Changes the project: all of it, or nothing.
    pub fn apply(&self, root: &Path, state: &Path) -> Result<(), Error> {
        let operations = self.changes.iter().cloned().map(Into::into).collect();
        Undo::of(state, root).change(&format!("removal of {}", self.name), operations, Then::Nothing)?;
        Ok(())
    }

    /// The files that go: those of no other block that are as they were rendered.
    fn files(&mut self, root: &Directory, lock: &Lock, locked: &LockedBlock) -> Result<(), Error> {
        let others: BTreeSet<&TreePath> = lock
            .blocks
            .iter()
            .filter(|(other, _)| **other != self.name)
            .flat_map(|(_, other)| other.files.keys())
            .collect();
        let now = root.read(locked.files.keys())?;
        for (path, digest) in &locked.files {
            let Some(entry) = now.get(path.as_str()) else { continue };
            if others.contains(path) {
                self.shared.push(path.clone());
            } else if entry.digest() != *digest {
                self.edited.push(path.clone());
            } else {
                self.changes.push(Change { path: path.clone(), before: Some(entry.clone()), after: None });
            }
        }
        for taken in takeover::find(root)? {
            let known = self.changes.iter().any(|change| change.path == taken.file);
            if !known && !locked.files.contains_key(&taken.file) && taken.is_locked_as(&locked.source, locked) {
                let before = root.read([&taken.file])?.remove(taken.file.as_str());
                self.changes.push(Change { path: taken.file, before, after: None });
            }
        }
        Ok(())
    }

    /// The tables that go from `onramp.toml`: the block's record, and its services as they were rendered.
    fn project_file(&mut self, root: &Directory, follow: &Follow<'_>, locked: &LockedBlock) -> Result<(), Error> {
        let path: TreePath = manifest::FILE.parse().expect("a plain name");
        let Some(before) = root.read([&path])?.remove(manifest::FILE) else { return Ok(()) };
        let Some(text) = before.text() else { return Ok(()) };
        let mut document = edit(&without_record(&text, &self.name)?, manifest::FILE)?;
        if !layer::is_foreign(locked) {
            let block = follow.base(&self.name, locked)?;
            let added: Vec<String> = block.manifest.iter().flat_map(|m| m.services.keys().cloned()).collect();
            if !added.is_empty() {
                let rendered = Layer::again(&block, locked, follow.facts)?;
                let part = rendered.rendered.tree.get(manifest::FILE).and_then(Entry::text).unwrap_or_default();
                let (part, own) = (table(&part)?, table(&text)?);
                let service =
                    |from: &toml::Table, name: &str| from.get("services").and_then(|all| all.get(name)).cloned();
                for name in added {
                    match (service(&own, &name), service(&part, &name)) {
                        (None, _) => {}
                        (Some(own), Some(rendered)) if own == rendered => self.services.push(name),
                        (Some(_), _) => self.edited_services.push(name),
                    }
                }
            }
        }
        self.check_needed(follow)?;
        if let Some(services) = document.get_mut("services").and_then(Item::as_table_like_mut) {
            for name in &self.services {
                services.remove(name);
            }
            if services.is_empty() {
                document.remove("services");
            }
        }
        let after = document.to_string();
        manifest::parse(manifest::FILE.as_ref(), &after)?;
        if after != *text {
            let after = Entry::File { contents: after.into(), executable: before.executable() };
            self.changes.push(Change { path, before: Some(before), after: Some(after) });
        }
        Ok(())
    }

    /// Whether a service that stays, or a test, needs one that goes.
    fn check_needed(&self, follow: &Follow<'_>) -> Result<(), Error> {
        let Some(manifest) = &follow.place.manifest else { return Ok(()) };
        let goes = |name: &str| self.services.iter().any(|service| service == name);
        let mut needed = Vec::new();
        for (name, service) in manifest.services.iter().filter(|(name, _)| !goes(name.as_str())) {
            for need in service.needs.iter().map(ToString::to_string).filter(|need| goes(need)) {
                needed.push((need, format!("services.{name}")));
            }
        }
        for (name, test) in manifest.tests.iter().filter(|(_, test)| goes(test.r#in.as_str())) {
            needed.push((test.r#in.to_string(), format!("tests.{name}")));
        }
        if needed.is_empty() { Ok(()) } else { Err(Error::Needed { block: self.name.clone(), needed }) }
    }
}

/// Whether another block of the project requires this one.
fn check_required(follow: &Follow<'_>, lock: &Lock, name: &Name) -> Result<(), Error> {
    let mut by = Vec::new();
    for (other, locked) in lock.blocks.iter().filter(|(other, locked)| *other != name && !layer::is_foreign(locked)) {
        // One that cannot be had any more is asked nothing.
        let Ok(block) = follow.base(other, locked) else { continue };
        if block.manifest.is_some_and(|manifest| manifest.requires.contains_key(name)) {
            by.push(other.clone());
        }
    }
    if by.is_empty() { Ok(()) } else { Err(Error::Required { block: name.clone(), by }) }
}

fn table(text: &str) -> Result<toml::Table, Error> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = crate::text::neutral_line(error.message(), 300);
        crate::document::wrong_at(manifest::FILE.as_ref(), text, "", message).into()
    })
}
