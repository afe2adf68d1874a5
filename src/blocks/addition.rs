//! A block added to a project: its files, its tables in `onramp.toml`, its place in `onramp.lock`.

use std::collections::BTreeSet;
use std::path::Path;

use super::Error;
use super::block::{Block, BlockId};
use super::layer::{self, Layer, Tables};
use super::manifest::Kind;
use super::spelling::{self, Spelled};
use super::undo::{Then, Undo, Unfinished};
use crate::directory::Directory;
use crate::merge::{self, Change, Merged};
use crate::project::{Lock, lock, manifest};
use crate::tree::{Entry, Tree, TreePath};

/// What adding blocks changes. Nothing is changed yet.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The blocks, those that others of them require first.
    pub blocks: Vec<BlockId>,
    /// The services that they add.
    pub services: Vec<String>,
    /// Every file that changes, `onramp.toml` and `onramp.lock` among them.
    pub changes: Vec<Change>,
    /// Files that were there, and were merged with what a block brings.
    pub merged: Vec<TreePath>,
}

/// What to do with files that the project has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// Refuse.
    Refuse,
    /// Merge those that can be merged by structure without a conflict.
    Merge,
}

impl Addition {
    /// Plans what blocks bring into a project at `root` with this lock. Nothing is written.
    pub fn plan(root: &Path, lock: &Lock, added: &[(Block, Layer)], present: Present) -> Result<Self, Error> {
        let mut after = lock.clone();
        let mut plan = Self { blocks: Vec::new(), services: Vec::new(), changes: Vec::new(), merged: Vec::new() };
        let toml: TreePath = path(manifest::FILE);
        let root = Directory::open(root)?;
        let read = |path: &TreePath| root.read([path]).map(|tree| tree.get(path.as_str()).cloned());
        let before = read(&toml)?;
        let mut project = before.as_ref().and_then(Entry::text).map(String::from);
        let mut files = Tree::default();
        let mut taken = Vec::new();
        let (mut brought, mut spelled) = (Spelled::default(), spelling::Project::new(&root, BTreeSet::new()));
        let mut alike = Vec::new();
        for (block, layer) in added {
            block.check_kind(Kind::Part)?;
            // What onramp.toml does not declare any more, the lock may still tell of.
            if project.is_none() && after.blocks.contains_key(&block.id.name) {
                return Err(Error::Taken { table: format!("blocks.{}", block.id.name) });
            }
            for (path, entry) in layer.files() {
                if let Some(other) = brought.take(path).map_or_else(|| spelled.other(path), |other| Ok(Some(other)))? {
                    alike.push((path.clone(), other));
                    continue;
                }
                let there = match files.get(path.as_str()) {
                    Some(planned) => Some(planned.clone()),
                    None => read(path)?,
                };
                let entry = match there {
                    None => entry.clone(),
                    // What an addition that was killed has left, or what nobody needs to argue about.
                    Some(there) if there == *entry => continue,
                    Some(there) => match (present, joined(path, &there, entry)) {
                        (Present::Merge, Some(merged)) => {
                            plan.merged.push(path.clone());
                            merged
                        }
                        (_, merged) => {
                            let owner = layer::owners(&after, path).into_iter().next().map(str::to_owned);
                            taken.push((path.clone(), owner, merged.is_some()));
                            continue;
                        }
                    },
                };
                files.insert(path.clone(), entry);
            }
            if let Some(text) = &project {
                let part = layer.rendered.tree.get(manifest::FILE).and_then(Entry::text).unwrap_or_default();
                let joined = layer::join(text, &part, Tables::All)?;
                layer::check(block, &joined)?;
                project = Some(joined);
            }
            plan.services.extend(layer.services.iter().cloned());
            after.blocks.insert(block.id.name.clone(), layer.locked(block));
            plan.blocks.push(block.id.clone());
        }
        if !alike.is_empty() {
            return Err(Error::Alike { paths: alike });
        }
        if !taken.is_empty() {
            return Err(Error::Present { paths: taken });
        }
        for (path, entry) in files {
            plan.changes.push(Change { before: read(&path)?, path, after: Some(entry) });
        }
        if let Some(project) = project {
            plan.changes.push(Change { path: toml, before, after: Some(Entry::file(project)) });
        }
        let lock_path: TreePath = path(lock::FILE);
        let before = read(&lock_path)?;
        plan.changes.push(Change { path: lock_path, before, after: Some(Entry::file(after.render())) });
        Ok(plan)
    }

    /// The files that are new to the project.
    pub fn created(&self) -> impl Iterator<Item = &TreePath> {
        self.changes.iter().filter(|change| change.before.is_none()).map(|change| &change.path)
    }

    /// What it does, in a line.
    pub fn title(&self) -> String {
        format!("addition of {}", self.blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }

    /// Changes the project: all of it, or nothing. What it replaces is kept as the way back.
    pub fn apply(&self, root: &Path, state: &Path, then: Then) -> Result<Option<Unfinished>, Error> {
        let operations = self.changes.iter().cloned().map(Into::into).collect();
        Ok(Undo::of(state, root).change(&self.title(), operations, then)?)
    }
}

/// Two versions of one file made one, where that needs no decision: their structure says how.
fn joined(path: &TreePath, there: &Entry, brought: &Entry) -> Option<Entry> {
    let tree = |entry: &Entry| -> Tree { [(path.clone(), entry.clone())].into_iter().collect() };
    let Merged { changes, conflicts, .. } =
        merge::merge(&Tree::default(), &tree(brought), &tree(there), &merge::Options::default());
    if !conflicts.is_empty() {
        return None;
    }
    match changes.into_iter().find(|change| change.path == *path) {
        Some(change) => change.after,
        None => Some(there.clone()),
    }
}

fn path(name: &str) -> TreePath {
    name.parse().expect("a plain name")
}
