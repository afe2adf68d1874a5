//! Where what an environment declares came from: the commit that declared it, and the trailers that say of which source.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Error, TRAIN, Trailers};
use crate::git::{self, Commit, Mirror};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::{Digest, ImageRef};
use crate::state::State;

/// The commit of the state repository that last changed a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The commit on the default branch.
    pub commit: Commit,
    /// When it was made.
    pub at: Timestamp,
    /// What it says about itself, for each app; empty for a change by hand.
    pub trailers: Vec<Trailers>,
}

impl Provenance {
    /// What it says of an app in an environment.
    pub fn about(&self, environment: &Name, app: &Name) -> Option<&Trailers> {
        self.trailers.iter().find(|trailers| trailers.is_about(environment, app))
    }
}

/// How far back a declaration's history is looked at, in changes.
pub const DEPTH: usize = 200;

/// Where an app's declaration in an environment came from; none where it is not declared.
pub fn of(state: &State, head: &Commit, environment: &Name, app: &Name) -> Result<Option<Provenance>, Error> {
    let path = state.rules(head)?.format.path(environment, app);
    match state.mirror().history(head, &path, 1)?.into_iter().next() {
        Some(commit) => Ok(Some(of_commit(state.mirror(), commit)?)),
        None => Ok(None),
    }
}

/// What a commit of the default branch says. A merge that a forge made without words is asked for what it merged.
pub fn of_commit(mirror: &Mirror, commit: Commit) -> Result<Provenance, git::Error> {
    let (message, at) = mirror.describe(&commit)?;
    let mut trailers = Trailers::parse(&message);
    if trailers.is_empty()
        && let Some(merged) = mirror.parents(&commit)?.get(1)
    {
        trailers = Trailers::parse(&mirror.describe(merged)?.0);
    }
    Ok(Provenance { commit, at, trailers })
}

/// What was said last of the images that an environment declares of an app: by the newest deployment all of whose images it
/// declares still, while nothing but those changed since. A change by hand of another image ends what tests had told.
pub fn said_of(
    state: &State,
    head: &Commit,
    environment: &Name,
    app: &Name,
    declared: &BTreeMap<Name, Service>,
) -> Result<Option<Trailers>, Error> {
    let images = |services: &BTreeMap<Name, Service>| -> BTreeMap<Name, Option<ImageRef>> {
        services.iter().map(|(name, service)| (name.clone(), service.image.clone())).collect()
    };
    let now = images(declared);
    let path = state.rules(head)?.format.path(environment, app);
    for commit in state.mirror().history(head, &path, DEPTH)? {
        let then = state.declared(&commit, environment, app).ok().flatten();
        if then.is_none_or(|then| images(&then.services) != now) {
            return Ok(None);
        }
        if let Some(said) = of_commit(state.mirror(), commit)?.about(environment, app) {
            return Ok(Some(said.clone()));
        }
    }
    Ok(None)
}

/// Since when a service of an environment has been at a digest without a break, looking back from `head`.
///
/// A commit of the past that cannot be read counts as a break: a soak is then longer, never shorter.
pub fn declared_since(
    state: &State,
    head: &Commit,
    environment: &Name,
    app: &Name,
    service: &Name,
    digest: &Digest,
) -> Result<Option<Timestamp>, Error> {
    let mut since = None;
    let path = state.rules(head)?.format.path(environment, app);
    for commit in state.mirror().history(head, &path, DEPTH)? {
        let declared = state.declared(&commit, environment, app).ok().flatten();
        let image = declared.as_ref().and_then(|d| d.services.get(service)).and_then(|s| s.image.as_ref());
        if image.and_then(ImageRef::digest) != Some(digest) {
            break;
        }
        since = Some(state.mirror().describe(&commit)?.1);
    }
    Ok(since)
}

/// The images that were already built from a source commit: declared somewhere once, or proposed now. What was tested in
/// one environment goes to the next as the same digest, and what ran before comes back as the same digest.
pub fn built_from(
    state: &State,
    head: &Commit,
    app: &Name,
    source: &Commit,
) -> Result<BTreeMap<Name, ImageRef>, Error> {
    let mut said = Vec::new();
    for (name, commit) in state.mirror().refs("refs/heads/deploy/")? {
        if name.ends_with(&format!("/{app}")) || name.ends_with(&format!("/{TRAIN}")) {
            said.extend(Trailers::parse(&state.mirror().describe(&commit)?.0));
        }
    }
    let rules = state.rules(head)?;
    for environment in &rules.environments {
        let path = rules.format.path(&environment.name, app);
        for commit in state.mirror().history(head, &path, DEPTH)? {
            said.extend(of_commit(state.mirror(), commit)?.trailers);
        }
    }
    let ours = said.into_iter().filter(|trailers| trailers.app == *app && trailers.source.as_ref() == Some(source));
    Ok(ours.flat_map(|trailers| trailers.images).collect())
}
