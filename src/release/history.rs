//! What was deployed when, from git alone: the state repository's default branch tells all of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde::Serialize;

use super::deployment::{self, Change};
use super::trailers::Origin;
use super::{Error, provenance};
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::Service;
use crate::state::State;

/// How many commits of the default branch are looked at.
const DEPTH: usize = 50_000;
/// The most changes that one commit is told to make: what moves more moved the repository.
const FILES: usize = 2_000;

/// One change of what an environment declares of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// What it was.
    pub kind: Kind,
    /// When the default branch had it.
    pub at: Timestamp,
    /// The commit of the default branch.
    pub commit: Commit,
    /// Who made the change, as git has it.
    pub by: String,
    /// Who merged it, where that is somebody else.
    pub merged_by: Option<String>,
    /// The pull request that it was merged by.
    pub pull: Option<u64>,
    /// The project's commit, where that is known.
    pub source: Option<Commit>,
    /// Seconds from the project's commit until then, where that is known.
    pub lead: Option<i64>,
    /// The environment that it came from.
    pub from: Option<Name>,
    /// Why the environment before was left out.
    pub reason: Option<String>,
    /// The images that changed.
    pub changes: Vec<Change>,
}

/// What a change was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A project's commit was deployed.
    Deploy,
    /// Another environment's declaration was brought.
    Promote,
    /// The declaration was put back.
    Rollback,
    /// A project's commit was deployed past the environment before.
    Hotfix,
    /// A file was changed by hand.
    Hand,
    /// The app is not declared any more.
    Removed,
}

impl Kind {
    /// As it is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Hotfix => "hotfix",
            Self::Hand => "by hand",
            Self::Removed => "removed",
        }
    }
}

/// Which changes are told.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this app.
    pub app: Option<Name>,
    /// In this environment.
    pub environment: Option<Name>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// So many at most.
    pub most: Option<usize>,
}

/// Reads the changes, newest first.
pub fn read(state: &State, head: &Commit, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let rules = state.rules(head)?;
    let directory = match (&filter.environment, &filter.app) {
        (Some(environment), Some(app)) => rules.format.path(&rules.environment(environment)?.name, app),
        (Some(environment), None) => rules.format.directory(&rules.environment(environment)?.name),
        (None, _) => rules.format.root().to_owned(),
    };
    let wanted = |(environment, app): &(Name, Name)| {
        filter.app.as_ref().is_none_or(|wanted| wanted == app)
            && filter.environment.as_ref().is_none_or(|wanted| wanted == environment)
    };
    let mirror = state.mirror();
    let mut entries = Vec::new();
    for (commit, files) in mirror.changes(head, None, &directory, DEPTH)? {
        let placed = files.iter().filter_map(|file| rules.format.place(file)?.ok()).filter(wanted);
        let placed: Vec<(Name, Name)> = placed.take(FILES).collect();
        if placed.is_empty() {
            continue;
        }
        let about = About::of(state, &commit)?;
        if filter.since.is_some_and(|since| about.at < since) {
            // Clocks of machines differ, history's order does not: what is older is past.
            break;
        }
        for (environment, app) in placed {
            entries.push(about.entry(state, environment, app));
            if filter.most.is_some_and(|most| entries.len() >= most) {
                return Ok(entries);
            }
        }
    }
    Ok(entries)
}

/// What a commit of the default branch says of itself.
struct About {
    provenance: provenance::Provenance,
    at: Timestamp,
    parent: Option<Commit>,
    by: String,
    merged_by: Option<String>,
    pull: Option<u64>,
}

impl About {
    fn of(state: &State, commit: &Commit) -> Result<Self, Error> {
        let mirror = state.mirror();
        let (message, at) = mirror.describe(commit)?;
        let provenance = provenance::of_commit(mirror, commit.clone())?;
        let parents = mirror.parents(commit)?;
        let who = mirror.author(commit)?.name;
        let proposed = parents.get(1).map(|proposed| mirror.author(proposed)).transpose()?.map(|author| author.name);
        let (by, merged_by) = match proposed {
            Some(by) => (by.clone(), Some(who).filter(|who| *who != by)),
            None => (who, None),
        };
        Ok(Self { provenance, at, parent: parents.into_iter().next(), by, merged_by, pull: pull_of(&message) })
    }

    fn entry(&self, state: &State, environment: Name, app: Name) -> Entry {
        let services = |commit: &Commit| -> Option<BTreeMap<Name, Service>> {
            // A file of the past that nobody can read is told as one that declares nothing.
            Some(state.declared(commit, &environment, &app).ok().flatten()?.services)
        };
        let commit = &self.provenance.commit;
        let (before, after) = (self.parent.as_ref().and_then(services), services(commit));
        let changes = after.as_ref().map(|after| deployment::changes(before.as_ref(), after)).unwrap_or_default();
        let declared = after.clone().unwrap_or_default();
        // What somebody wrote by hand, of images that the commit did not bring, tells nothing of where they are from.
        let said = self.provenance.about(&environment, &app).filter(|said| said.fit(&declared, &changes));
        let (kind, from, reason) = match said.map(|said| &said.origin) {
            _ if after.is_none() => (Kind::Removed, None, None),
            Some(Origin::Project) => (Kind::Deploy, None, None),
            Some(Origin::Promoted { from, .. }) => (Kind::Promote, Some(from.clone()), None),
            Some(Origin::Rollback(_)) => (Kind::Rollback, None, None),
            Some(Origin::Hotfix(reason)) => (Kind::Hotfix, None, Some(reason.clone())),
            None => (Kind::Hand, None, None),
        };
        let made = said.and_then(|said| said.made);
        let lead = made.map(|made| self.at.duration_since(made).as_secs().max(0));
        Entry {
            kind,
            at: self.at,
            commit: commit.clone(),
            by: self.by.clone(),
            merged_by: self.merged_by.clone(),
            pull: self.pull,
            source: said.and_then(|said| said.source.clone()),
            lead,
            from,
            reason,
            changes,
            app,
            environment,
        }
    }
}

/// The number of the pull request that a merge's message names: `GitHub`'s and ours say `#3`, `GitLab`'s `!3`.
fn pull_of(message: &str) -> Option<u64> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"\AMerge pull request #(\d{1,12})\b|^See merge request \S{0,200}!(\d{1,12})$|\AMerge pull request .{0,200}\(#(\d{1,12})\)";
        Regex::new(&format!("(?m){pattern}")).expect("it is a pattern")
    });
    let found = NUMBER.captures(message)?;
    (1..=3).find_map(|group| found.get(group))?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_name_their_pull_request() {
        assert_eq!(pull_of("Merge pull request #12 from deploy/test/shop\n\nDeploy"), Some(12));
        assert_eq!(pull_of("Merge branch 'x' into 'main'\n\nDeploy\n\nSee merge request acme/state!7"), Some(7));
        assert_eq!(pull_of("Merge pull request 'Deploy' (#9) from x into main"), Some(9));
        for none in ["", "Deploy shop (see #3)", "Merge pull request #99999999999999999999"] {
            assert_eq!(pull_of(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "(Merge pull request |#|!|[0-9]|\n|\\PC){0,30}") {
            let _ = pull_of(&text);
        }
    }
}
