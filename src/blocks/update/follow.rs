//! Where a project's blocks come from: what they were, what they could be, and who needs whom.

use std::collections::BTreeMap;
use std::path::Path;

use semver::VersionReq;

use super::{Followed, differing};
use crate::blocks::cache::Store;
use crate::blocks::facts::{Facts, Operation};
use crate::blocks::fetch::{self, At, Release};
use crate::blocks::held::Held;
use crate::blocks::location::Location;
use crate::blocks::manifest::Kind;
use crate::blocks::takeover::{self, Takeover};
use crate::blocks::{Block, BlockId, Catalog, Error, Layer, builtin, layer};
use crate::name::Name;
use crate::project::lock::LockedBlock;
use crate::project::{Lock, Scaffolded};
use crate::template::question::Values;
use crate::template::resolve::{Ask, Sources};
use crate::trust::{self, Decision, Trust};
use crate::version::Version;

/// Which version a block shall come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The newest that `onramp.toml` allows; of a foreign template the newest.
    #[default]
    Declared,
    /// The newest that is this: `--version`.
    Requirement(String),
    /// This one, newer or older: `--to`.
    Exactly(String),
    /// This branch, tag or commit of a foreign template.
    Reference(String),
}

/// What a project follows, and with what.
pub struct Follow<'a> {
    /// onramp's cache directory.
    pub cache: &'a Path,
    /// Use no network.
    pub offline: bool,
    /// The company's catalog; none where no block is of one.
    pub catalog: Option<&'a Catalog>,
    /// The project.
    pub place: &'a Scaffolded,
    /// What is the case there now.
    pub facts: &'a Facts,
    /// What the user allowed templates to do.
    pub trust: Trust,
}

impl Follow<'_> {
    /// What a block was when the project was rendered from it.
    pub fn base(&self, name: &Name, locked: &LockedBlock) -> Result<Block, Error> {
        let directory = if layer::is_foreign(locked) { String::new() } else { format!("blocks/{name}") };
        let source = if locked.source == builtin::SOURCE {
            match (Store::new(self.cache).tree(&locked.content), locked.version.semantic()) {
                (Some(tree), _) => tree,
                (None, Some(version)) => {
                    let block = builtin::block(name, version)?;
                    if block.content != locked.content {
                        return Err(gone(locked, "this onramp brings another one"));
                    }
                    block.template.source
                }
                (None, None) => return Err(gone(locked, "it has no version")),
            }
        } else {
            fetch::base(self.cache, locked, &directory, &self.place.root, self.offline)?
        };
        let id = BlockId {
            name: name.clone(),
            version: locked.version.clone(),
            source: locked.source.clone(),
            commit: locked.commit.clone(),
            asked: name.to_string(),
            described: String::new(),
        };
        let place = format!("{} of {id}", crate::blocks::manifest::FILE);
        let block = Block::read_within(id, Path::new(&place), source, layer::directory(locked))?;
        let mut block = block.kept_in(self.cache);
        // The old version's Python runs if the user allowed it then, not because the new one's is allowed.
        self.allow_known(&mut block);
        Ok(block)
    }

    /// Lets a block's Python run where the user allowed it before.
    fn allow_known(&self, block: &mut Block) {
        if self.trust.decide(&block.id.source, &trust::extensions(&block.template)) == Decision::Known {
            block.allow_python();
        }
    }

    /// What a block shall be.
    pub fn target(&self, name: &Name, locked: &LockedBlock, wanted: &Wanted) -> Result<Block, Error> {
        Ok(self.wanted(name, locked, wanted)?.kept_in(self.cache))
    }

    fn wanted(&self, name: &Name, locked: &LockedBlock, wanted: &Wanted) -> Result<Block, Error> {
        if layer::is_foreign(locked) {
            let at = match wanted {
                Wanted::Declared => At::Latest { prereleases: false },
                Wanted::Requirement(text) | Wanted::Exactly(text) => At::Requirement(text.clone()),
                Wanted::Reference(name) => At::Reference(name.clone()),
            };
            return self.fetched(name, locked, &at);
        }
        let requirement = match wanted {
            Wanted::Declared => self.declared(name).unwrap_or(VersionReq::STAR),
            Wanted::Requirement(text) => requirement(text)?,
            Wanted::Exactly(text) => requirement(&format!("={}", text.trim_start_matches('v')))?,
            Wanted::Reference(text) => return Err(fetch::Error::BadRequirement { requirement: text.clone() }.into()),
        };
        self.catalog(locked)?.block(name.as_str(), &requirement)
    }

    /// The versions of a block that are released, newest first, with the commits that they are released at.
    pub fn releases(&self, name: &Name, locked: &LockedBlock) -> Result<Vec<Release>, Error> {
        if layer::is_foreign(locked) {
            return Ok(fetch::versions(self.cache, &self.location(locked)?, self.offline)?);
        }
        self.catalog(locked)?.released(name.as_str())
    }

    /// What `onramp.toml` says that a block must be compatible with.
    pub fn declared(&self, name: &Name) -> Option<VersionReq> {
        Some(self.place.manifest.as_ref()?.blocks.get(name)?.version.clone())
    }

    /// A block with its two renders; none where nothing changes: the same version with the same answers. `changed` are the
    /// answers that other blocks of this update got, for those who share them.
    pub fn followed(
        &self,
        name: &Name,
        locked: &LockedBlock,
        to: Block,
        sources: &Sources,
        changed: &Values,
        person: Option<&mut dyn Ask>,
    ) -> Result<Option<Followed>, Error> {
        let facts = self.facts_for(locked);
        let values = locked.values();
        let asks = |id: &str| to.template.questions.iter().any(|question| question.id.as_str() == id);
        let declared = self.place.manifest.as_ref().and_then(|manifest| manifest.blocks.get(name));
        let mut sources = Sources { before: values.clone(), ..sources.clone() };
        let shared = to.manifest.iter().flat_map(|manifest| &manifest.shares);
        let shared = shared.filter_map(|id| Some((id.to_string(), changed.get(id.as_str())?.clone())));
        for (id, answer) in declared.map(|declared| differing(declared, &values)).into_iter().flatten().chain(shared) {
            if asks(&id) && !sources.given.contains_key(&id) {
                sources.given.insert(id, answer);
            }
        }
        sources.typed.retain(|id, _| asks(id));
        sources.given.retain(|id, _| asks(id));
        let same = to.content == locked.content && to.id.version == locked.version;
        let nothing_new = sources.typed.is_empty() && sources.given.is_empty() && !sources.reask;
        let new_facts = facts != Facts::from_kept(&locked.facts, &facts);
        if same && nothing_new && !new_facts && !locked.files.is_empty() && to.template.rules.external.is_empty() {
            return Ok(None);
        }
        let from = if same { to.clone() } else { self.base(name, locked)? };
        let mut new = Layer::make(&to, &facts, Operation::Update, &sources, person)?;
        // Where a file was rendered from is asked by who gives it back, and not here.
        new.rendered.origins.clear();
        let new_facts = new_facts || new.facts.external != facts.external;
        if same && new.answers.kept == values && !new_facts && !locked.files.is_empty() {
            return Ok(None);
        }
        let secret = from.template.questions.iter().filter(|question| question.secret).map(|question| &question.id);
        let secrets = secret.filter_map(|id| Some((id.to_string(), new.answers.passing.get(id.as_str())?.clone())));
        let mut base = Layer::again_with(&from, locked, &facts, secrets.collect())?;
        base.rendered.origins.clear();
        // The bases of this update and the next: their sources may be gone by then.
        let store = Store::new(self.cache);
        for side in [&from, &to] {
            store.keep_tree(&side.content, &side.whole)?;
        }
        Ok(Some(Followed { name: name.clone(), locked: locked.clone(), base, to, new }))
    }

    /// Projects of Copier's and cruft's: what their own files say becomes part of the lock, as if onramp had rendered them.
    /// The names of the blocks that are new there, or newer than the lock thought.
    pub fn take_over(&self, held: &dyn Held, lock: &mut Lock) -> Result<Vec<Name>, Error> {
        let mut taken = Vec::new();
        for takeover in takeover::find(held)? {
            // How a person wrote it may mean nothing from here; the lock knows where that was.
            let asked = lock.blocks.values().find(|l| layer::is_foreign(l) && layer::asked(l) == takeover.source);
            let place = asked.map_or(takeover.source.as_str(), |locked| &locked.source);
            let location = Location::recorded(place, &self.place.root)?;
            let source = location.to_string();
            let known = lock.blocks.iter().find(|(_, locked)| {
                locked.source == source && layer::is_foreign(locked) && takeover.is_same_directory(locked)
            });
            if known.is_some_and(|(_, locked)| takeover.is_locked_as(&source, locked)) {
                continue;
            }
            let known = known.map(|(name, _)| name.clone());
            let (name, locked) = self.rendered_by(&takeover, &location)?;
            let name = known.unwrap_or(name);
            lock.blocks.insert(name.clone(), locked);
            taken.push(name);
        }
        Ok(taken)
    }

    /// What the lock would say if onramp had rendered what another tool did.
    fn rendered_by(&self, takeover: &Takeover, location: &Location) -> Result<(Name, LockedBlock), Error> {
        let at = match takeover.reference() {
            "" => At::Latest { prereleases: false },
            reference => At::Reference(reference.to_owned()),
        };
        let fetched = fetch::fetch(self.cache, location, &at, self.offline)?;
        let mut block = Block::fetched(&takeover.source, fetched, takeover.directory.as_deref())?;
        self.allow_known(&mut block);
        let sources = Sources { before: takeover.answers.clone(), ..Sources::default() };
        let layer = Layer::make(&block, self.facts, Operation::Copy, &sources, None)?;
        Ok((block.id.name.clone(), layer.locked(&block)))
    }

    /// Whether everything that the blocks of a project need will be there: those that change in their new version, the
    /// others in the one that they have.
    pub fn check_needs(&self, lock: &Lock, targets: &BTreeMap<Name, Block>) -> Result<(), Error> {
        let version = |name: &Name| match targets.get(name) {
            Some(block) => Some(block.id.version.clone()),
            None => lock.blocks.get(name).map(|locked| locked.version.clone()),
        };
        for (name, locked) in &lock.blocks {
            let block = match targets.get(name) {
                Some(block) => block.clone(),
                None if layer::is_foreign(locked) => continue,
                // One that cannot be had any more needs nothing new.
                None => match self.base(name, locked) {
                    Ok(block) => block,
                    Err(_) => continue,
                },
            };
            for (required, requirement) in block.manifest.iter().flat_map(|manifest| &manifest.requires) {
                let (block, required, requirement) = (block.id.to_string(), required.clone(), requirement.clone());
                match version(&required) {
                    None => return Err(Error::Lacking { block, required, requirement }),
                    Some(found) if !found.semantic().is_some_and(|found| requirement.matches(found)) => {
                        return Err(Error::Unmet { block, required, requirement, found });
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    fn fetched(&self, name: &Name, locked: &LockedBlock, at: &At) -> Result<Block, Error> {
        let fetched = fetch::fetch(self.cache, &self.location(locked)?, at, self.offline)?;
        let mut block = Block::fetched(layer::asked(locked), fetched, layer::directory(locked))?;
        block.id.name = name.clone();
        Ok(block)
    }

    fn location(&self, locked: &LockedBlock) -> Result<Location, Error> {
        Ok(Location::recorded(&locked.source, &self.place.root)?)
    }

    fn catalog(&self, locked: &LockedBlock) -> Result<&Catalog, Error> {
        self.catalog.ok_or_else(|| gone(locked, "no catalog is set"))
    }

    /// What a new version is told: the company's facts as they are; the project's, where it has no `onramp.toml` to say
    /// otherwise, as they were.
    fn facts_for(&self, locked: &LockedBlock) -> Facts {
        let kept = Facts::from_kept(&locked.facts, self.facts);
        let project = if self.place.manifest.is_some() { self.facts.project.clone() } else { kept.project.clone() };
        if layer::is_foreign(locked) {
            return Facts { project, ..kept };
        }
        Facts { project, folder: kept.folder, external: kept.external, ..self.facts.clone() }
    }
}

/// The order in which blocks are taken: those that others require first, apps before parts.
pub fn in_order(targets: &BTreeMap<Name, Block>) -> Vec<Name> {
    fn visit<'a>(
        name: &'a Name,
        targets: &'a BTreeMap<Name, Block>,
        order: &mut Vec<&'a Name>,
        path: &mut Vec<&'a Name>,
    ) {
        if order.contains(&name) || path.contains(&name) {
            return;
        }
        path.push(name);
        let requires = targets[name].manifest.iter().flat_map(|manifest| manifest.requires.keys());
        for (required, _) in requires.filter_map(|required| targets.get_key_value(required)) {
            visit(required, targets, order, path);
        }
        path.pop();
        order.push(name);
    }
    let is_part = |name: &&Name| targets[*name].manifest.as_ref().is_some_and(|manifest| manifest.kind == Kind::Part);
    let mut names: Vec<&Name> = targets.keys().collect();
    names.sort_by_key(is_part);
    let mut order = Vec::new();
    for name in names {
        visit(name, targets, &mut order, &mut Vec::new());
    }
    order.into_iter().cloned().collect()
}

fn requirement(text: &str) -> Result<VersionReq, Error> {
    text.parse().map_err(|_| fetch::Error::BadRequirement { requirement: text.to_owned() }.into())
}

fn gone(locked: &LockedBlock, why: &str) -> Error {
    let source_of = locked.source.clone();
    let (version, commit, why) = (locked.version.to_string(), locked.commit.clone(), why.to_owned());
    fetch::Error::Gone { source_of, version, commit, why }.into()
}

/// Whether a block's newest release is what the project has: the version may be the same and what it stands for not.
pub fn is_moved(to: &Block, locked: &LockedBlock) -> bool {
    to.id.version == locked.version
        && to.content != locked.content
        && !to.id.commit.is_empty()
        && !matches!(to.id.version, Version::Bare(_))
}
