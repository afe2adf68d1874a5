//! What every environment runs: app by environment, digest, source, age, open pull requests.

mod index;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use index::Index;

use super::{Error, Trailers, provenance};
use crate::forge::PullRequest;
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::Digest;
use crate::state::State;

/// One app in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// Its services' digests.
    pub digests: BTreeMap<Name, Digest>,
    /// The commit of the state repository that last changed it.
    pub commit: Option<Commit>,
    /// When that was.
    pub since: Option<Timestamp>,
    /// The source that the last deployment said it came from.
    pub source: Option<Commit>,
    /// Open pull requests that propose a change to it, by the branch they come from.
    pub pulls: Vec<u64>,
}

/// What the environments declare at a commit; of one environment where one is named.
pub fn read(
    state: &State,
    head: &Commit,
    environment: Option<&Name>,
    pulls: &[PullRequest],
) -> Result<Vec<Entry>, Error> {
    let rules = state.rules(head)?;
    let wanted = match environment {
        Some(name) => vec![rules.environment(name)?.name.clone()],
        None => rules.environments.iter().map(|environment| environment.name.clone()).collect(),
    };
    let mut index = Index::open(state, head)?;
    let mut said: BTreeMap<Commit, (Timestamp, Option<Trailers>)> = BTreeMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    for environment in wanted {
        for (app, path, digests) in declarations(state, head, &environment, &mut index)? {
            let commit = index.commit(&path).cloned();
            if let Some(commit) = &commit
                && !said.contains_key(commit)
            {
                let provenance = provenance::of_commit(state.mirror(), commit.clone())?;
                said.insert(commit.clone(), (provenance.at, provenance.trailers));
            }
            let provenance = commit.as_ref().and_then(|commit| said.get(commit));
            let source = provenance
                .and_then(|(_, trailers)| trailers.as_ref())
                .filter(|trailers| trailers.app == app && trailers.environment == environment);
            let branch = format!("deploy/{environment}/{app}");
            entries.push(Entry {
                digests,
                since: provenance.map(|(at, _)| *at),
                source: source.map(|trailers| trailers.source.clone()),
                pulls: pulls.iter().filter(|pull| pull.head_branch == branch).map(|pull| pull.number).collect(),
                app,
                environment: environment.clone(),
                commit,
            });
        }
        // What is proposed for the first time is declared nowhere yet.
        for pull in pulls {
            let app = pull.head_branch.strip_prefix(&format!("deploy/{environment}/")).and_then(|app| app.parse().ok());
            if let Some(app) = app
                && !entries.iter().any(|entry| entry.app == app && entry.environment == environment)
            {
                let digests = BTreeMap::new();
                let (environment, pulls) = (environment.clone(), vec![pull.number]);
                entries.push(Entry { app, environment, digests, commit: None, since: None, source: None, pulls });
            }
        }
    }
    index.keep();
    Ok(entries)
}

/// An app that an environment declares, the file, and its services' digests.
type Declaration = (Name, String, BTreeMap<Name, Digest>);

/// What an environment declares, by app; what is known already is not read again.
fn declarations(
    state: &State,
    head: &Commit,
    environment: &Name,
    index: &mut Index,
) -> Result<Vec<Declaration>, Error> {
    let mut found: Vec<Declaration> = Vec::new();
    let mut stamps: BTreeMap<Name, String> = BTreeMap::new();
    let unknown = state.wanted(head, environment, &mut |listed| {
        let Some(digests) = index.digests(listed) else {
            stamps.insert(listed.app.clone(), listed.stamp.to_owned());
            return true;
        };
        found.push((listed.app.clone(), listed.path.to_owned(), digests));
        false
    })?;
    for (app, declared) in unknown {
        let digest =
            |(name, service): (&Name, &Service)| Some((name.clone(), service.image.as_ref()?.digest()?.clone()));
        let digests: BTreeMap<Name, Digest> = declared.services.iter().filter_map(digest).collect();
        index.found(&declared.path, stamps.remove(&app).unwrap_or_default(), &digests);
        found.push((app, declared.path, digests));
    }
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok(found)
}
