//! One repository of a campaign: what it has, what the update makes of it, and a branch with that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::words::{self, TRAILER, Words};
use super::{Branch, Clash, Command, Outcome, Place, Target};
use crate::blocks::update::{self, Follow, Followed, Manner};
use crate::blocks::{Block, Catalog, Error, Facts, facts, layer, location::Location};
use crate::document;
use crate::error::chain;
use crate::git::{self, Identity, Mirror, Placed, RefUpdate, Snapshot, Wanted};
use crate::merge::Style;
use crate::name::Name;
use crate::project::lock::{self, LockedBlock};
use crate::project::{Lock, Scaffolded, manifest};
use crate::reference::Digest;
use crate::template::external::Project;
use crate::template::question::Values;
use crate::template::resolve::Sources;
use crate::text::neutral_line;
use crate::tree::{Entry, TreePath};
use crate::trust::Trust;

/// The most renders that are kept in memory.
const RENDERS: usize = 64;

/// What a campaign brings, and how.
pub struct Goal {
    /// The block at the version that is brought.
    pub to: Block,
    /// The company's catalog; none where the block is of none.
    pub catalog: Option<Catalog>,
    /// The company's facts.
    pub facts: Facts,
    /// onramp's cache directory.
    pub cache: PathBuf,
    /// What the user allowed templates to do.
    pub trust: Trust,
    /// Use no network.
    pub offline: bool,
    /// Who commits.
    pub me: Identity,
    /// What is done.
    pub manner: Doing,
    /// Which refs of a remote repository are needed.
    pub wanted: Wanted,
    /// What was rendered, by everything that it was rendered from: repositories with the same answers share it.
    pub rendered: Mutex<HashMap<Digest, Option<Arc<Followed>>>>,
}

/// What is done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doing {
    /// Whether branches are made; otherwise it is only looked what they would be.
    pub branches: bool,
    /// Whether a branch is made where there are conflicts, with them in it.
    pub with_conflicts: bool,
}

/// A branch that can be proposed.
pub struct Proposable {
    /// The repository.
    pub mirror: Mirror,
    /// The pull request's title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// The branch that it is to be merged into.
    pub base: String,
}

/// What is known of a repository.
struct Known {
    snapshot: Snapshot,
    mirror: Option<Mirror>,
    place: Scaffolded,
}

impl Goal {
    /// Visits a repository; with its branch, where that can be proposed.
    pub fn visit(&self, target: &Target) -> (Outcome, Option<Proposable>) {
        self.bring(target).unwrap_or_else(|error| {
            let message = neutral_line(&chain(&error), 500);
            (Outcome::Failed { message }, None)
        })
    }

    fn bring(&self, target: &Target) -> Result<(Outcome, Option<Proposable>), Error> {
        let Some(mut known) = self.known(target)? else {
            return Ok((Outcome::Failed { message: "it is no repository".to_owned() }, None));
        };
        let read = |locked: &LockedBlock| locked.facts.contains_key(facts::EXTERNAL);
        let reads = !self.to.template.rules.external.is_empty() || known.place.lock.blocks.values().any(read);
        let root = reads.then(|| {
            let (repository, commit) = known.snapshot.origin();
            Project::Commit { repository, commit }
        });
        let facts = Facts { project: known.place.name(), folder: known.place.folder(), root, ..self.facts.clone() };
        let follow = Follow {
            cache: &self.cache,
            offline: self.offline,
            catalog: self.catalog.as_ref(),
            place: &known.place,
            facts: &facts,
            trust: self.trust.clone(),
        };
        let mut lock = known.place.lock.clone();
        follow.take_over(&known.snapshot, &mut lock)?;
        let Some((name, locked)) = self.in_lock(&lock, &known.place.root) else { return Ok((Outcome::Without, None)) };
        // What is beyond that version is not brought back.
        if locked.version > self.to.id.version {
            return Ok((Outcome::Current, None));
        }
        let Some(followed) = self.followed(&follow, &name, &locked)? else { return Ok((Outcome::Current, None)) };
        follow.check_needs(&lock, &[(name, self.to.clone())].into())?;
        let manner = Manner { style: Style::Inline, project: known.place.name() };
        let plan = update::plan(&known.snapshot, &lock, std::slice::from_ref(&*followed), &manner)?;
        known.place.lock = lock;
        if plan.changes.is_empty() {
            return Ok((Outcome::Current, None));
        }
        let clash = |conflict: &crate::merge::Conflict| Clash {
            path: conflict.path.clone(),
            line: conflict.line,
            detail: neutral_line(&conflict.detail, 300),
        };
        let clashes: Vec<Clash> = plan.conflicts.iter().map(clash).collect();
        let from = locked.version.to_string();
        let commands = Command::all(&followed.commands()?.map(|plan| plan.shown().into_iter().cloned().collect()));
        if !clashes.is_empty() && !self.manner.with_conflicts {
            return Ok((Outcome::Conflicts { from, conflicts: clashes, branch: None, commands }, None));
        }
        let changes: Vec<Placed> = plan.changes.into_iter().map(|change| (change.path, change.after)).collect();
        let words =
            Words { to: &self.to, from: &locked.version, clashes: &clashes, files: changes.len(), commands: &commands };
        let (branch, proposable) = self.branch(&known, &changes, &words)?;
        let outcome = if clashes.is_empty() {
            Outcome::Branched(branch)
        } else {
            Outcome::Conflicts { from, conflicts: clashes, branch: Some(branch), commands: Vec::new() }
        };
        Ok((outcome, proposable))
    }

    /// Opens a repository and reads what it says of itself.
    fn known(&self, target: &Target) -> Result<Option<Known>, Error> {
        let (snapshot, mirror, root) = match &target.place {
            Place::Directory(path) => match Snapshot::open(path)? {
                Some(snapshot) => (snapshot, None, path.clone()),
                None => return Ok(None),
            },
            Place::Remote(url) => {
                let mirror = Mirror::new(&self.cache, url.clone(), self.wanted);
                mirror.refresh(self.offline)?;
                let root = PathBuf::from(url.as_str().trim_end_matches(".git"));
                (mirror.snapshot(&mirror.head()?)?, Some(mirror), root)
            }
        };
        let text = |name: &str, cap: u64| -> Result<Option<String>, git::Error> {
            let path: TreePath = name.parse().expect("a plain name");
            let entry = snapshot.get(&path)?;
            Ok(entry.as_ref().and_then(Entry::text).filter(|text| text.len() as u64 <= cap).map(String::from))
        };
        let lock = text(lock::FILE, lock::CAP)?;
        let lock: Lock = lock.map(|text| Lock::parse(Path::new(lock::FILE), &text)).transpose()?.unwrap_or_default();
        let own = text(manifest::FILE, document::CAP)?;
        let manifest = own.map(|text| manifest::parse(Path::new(manifest::FILE), &text)).transpose()?;
        Ok(Some(Known { snapshot, mirror, place: Scaffolded { root, manifest, lock } }))
    }

    /// The block in a project's lock: of a catalog by its name, otherwise by where it is from.
    fn in_lock(&self, lock: &Lock, root: &Path) -> Option<(Name, LockedBlock)> {
        let place = |source: &str| Location::recorded(source, root).map(|location| location.canonical()).ok();
        let foreign = self.catalog.is_none();
        let wanted = place(&self.to.id.source);
        let same = |(name, locked): &(&Name, &LockedBlock)| {
            layer::is_foreign(locked) == foreign
                && if foreign { wanted.is_some() && place(&locked.source) == wanted } else { **name == self.to.id.name }
        };
        lock.blocks.iter().find(same).map(|(name, locked)| (name.clone(), locked.clone()))
    }

    /// The block's two renders, made once for everybody with the same answers.
    fn followed(&self, follow: &Follow<'_>, name: &Name, locked: &LockedBlock) -> Result<Option<Arc<Followed>>, Error> {
        let declared = follow.place.manifest.as_ref().and_then(|manifest| manifest.blocks.get(name));
        let key = format!(
            "{name}\0{}\0{}\0{:?}\0{}\0{declared:?}\0{:?}\0{}\0{:?}",
            locked.version,
            locked.content,
            locked.facts,
            serde_json::Value::Object(locked.values()),
            follow.facts,
            follow.place.manifest.is_some(),
            locked.files,
        );
        let key = Digest::of(key.as_bytes());
        let known = self.rendered.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made =
            follow.followed(name, locked, self.to.clone(), &Sources::default(), &Values::new(), None)?.map(Arc::new);
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if rendered.len() >= RENDERS {
            rendered.clear();
        }
        rendered.insert(key, made.clone());
        Ok(made)
    }

    /// Commits the changes and sets the branch to it.
    fn branch(
        &self,
        known: &Known,
        changes: &[Placed],
        words: &Words<'_>,
    ) -> Result<(Branch, Option<Proposable>), Error> {
        let name = words::branch(&self.to.id);
        let from = words.from.to_string();
        let files = changes.len();
        let commands = words.commands.to_vec();
        if !self.manner.branches {
            return Ok((Branch { from, name, commit: String::new(), files, commands, pull: None }, None));
        }
        let snapshot = &known.snapshot;
        let made = snapshot.make(changes, &words.commit_message(), &self.me)?;
        let there = snapshot.tip(&name)?;
        if let Some((_, said)) = &there
            && !said.lines().any(|line| line.starts_with(TRAILER))
        {
            let detail = format!("{name} holds somebody's own commits");
            return Err(git::Error::Moved { url: known.place.root.display().to_string(), detail }.into());
        }
        let there = there.map(|(commit, _)| commit);
        let commit = match &there {
            // The same again: what was reviewed stays.
            Some(there) if snapshot.alike(there, &made)? => there.clone(),
            _ => {
                match &known.mirror {
                    None => snapshot.set_branch(&name, there.as_ref(), &made)?,
                    Some(mirror) => mirror.push(&[RefUpdate {
                        name: format!("refs/heads/{name}"),
                        expected: there,
                        target: Some(made.clone()),
                    }])?,
                }
                made
            }
        };
        let proposable = match &known.mirror {
            None => None,
            Some(mirror) => Some(Proposable {
                mirror: mirror.clone(),
                title: words.title(),
                body: words.body(commit.as_str()),
                base: mirror.default_branch()?,
            }),
        };
        Ok((Branch { from, name, commit: commit.to_string(), files, commands, pull: None }, proposable))
    }
}
