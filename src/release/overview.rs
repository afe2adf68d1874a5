//! What every environment runs: app by environment, digest, source, age, open pull requests.

mod index;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use index::Index;

use super::provenance::Provenance;
use super::{Error, TRAIN, Trailers, branch_of, provenance};
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
    let mut said: BTreeMap<Commit, Provenance> = BTreeMap::new();
    // A train's branch does not name its apps; its commit does. One that is not here is of no help.
    let mut proposed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for pull in pulls {
        let (branch, number) = (&pull.head_branch, pull.number);
        if branch.ends_with(&format!("/{TRAIN}")) {
            let message = state.mirror().describe(&pull.head_commit).map(|(message, _)| message);
            for trailers in Trailers::parse(&message.unwrap_or_default()) {
                let branch = branch_of(&trailers.environment, trailers.app.as_str());
                proposed.entry(branch).or_default().push(number);
            }
        } else {
            proposed.entry(branch.clone()).or_default().push(number);
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for environment in wanted {
        for (app, path, digests) in declarations(state, head, &environment, &mut index)? {
            let commit = index.commit(&path).cloned();
            if let Some(commit) = &commit
                && !said.contains_key(commit)
            {
                said.insert(commit.clone(), provenance::of_commit(state.mirror(), commit.clone())?);
            }
            let provenance = commit.as_ref().and_then(|commit| said.get(commit));
            let source = provenance.and_then(|provenance| provenance.about(&environment, &app));
            entries.push(Entry {
                digests,
                since: provenance.map(|provenance| provenance.at),
                source: source.and_then(|trailers| trailers.source.clone()),
                pulls: proposed.remove(&branch_of(&environment, app.as_str())).unwrap_or_default(),
                app,
                environment: environment.clone(),
                commit,
            });
        }
        // What is proposed for the first time is declared nowhere yet.
        for pull in pulls {
            let app = pull.head_branch.strip_prefix(&branch_of(&environment, "")).and_then(|app| app.parse().ok());
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
