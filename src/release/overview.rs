//! What every environment runs: app by environment, digest, source, age, open pull requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::provenance::Provenance;
use super::{Error, TRAIN, Trailers, branch_of, provenance};
use crate::forge::PullRequest;
use crate::git::Commit;
use crate::name::Name;
use crate::reference::Digest;
use crate::state::State;

/// How many commits of the default branch are looked at for a declaration's last change.
const DEPTH: usize = 10_000;

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
    let changed = state.mirror().last_changes(head, rules.format.root(), DEPTH)?;
    let mut said: BTreeMap<Commit, Provenance> = BTreeMap::new();
    // A train's branch does not name its apps; its commit does. One that is not here is of no help.
    let train = |pull: &PullRequest| pull.head_branch.ends_with(&format!("/{TRAIN}"));
    let of_train = |pull: &PullRequest| {
        let message = state.mirror().describe(&pull.head_commit).map(|(message, _)| message);
        (pull.number, Trailers::parse(&message.unwrap_or_default()))
    };
    let trains: BTreeMap<u64, Vec<Trailers>> = pulls.iter().filter(|pull| train(pull)).map(of_train).collect();
    let proposed = |environment: &Name, app: &Name| -> Vec<u64> {
        let branch = branch_of(environment, app.as_str());
        let by_train =
            |number: &u64| trains.get(number).is_some_and(|t| t.iter().any(|t| t.is_about(environment, app)));
        pulls.iter().filter(|p| p.head_branch == branch || by_train(&p.number)).map(|pull| pull.number).collect()
    };
    let mut entries: Vec<Entry> = Vec::new();
    for environment in wanted {
        for (app, declared) in state.everything(head, &environment)? {
            let commit = changed.get(&declared.path).cloned();
            if let Some(commit) = &commit
                && !said.contains_key(commit)
            {
                said.insert(commit.clone(), provenance::of_commit(state.mirror(), commit.clone())?);
            }
            let provenance = commit.as_ref().and_then(|commit| said.get(commit));
            let source = provenance.and_then(|provenance| provenance.about(&environment, &app));
            let digest = |(name, service): (&Name, &crate::project::service::Service)| {
                Some((name.clone(), service.image.as_ref()?.digest()?.clone()))
            };
            entries.push(Entry {
                digests: declared.services.iter().filter_map(digest).collect(),
                since: provenance.map(|provenance| provenance.at),
                source: source.and_then(|trailers| trailers.source.clone()),
                pulls: proposed(&environment, &app),
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
    Ok(entries)
}
