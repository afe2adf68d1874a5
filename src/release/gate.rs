//! The gate before a merge: what the pull request would really change, held against the policy of the base branch.
//!
//! A pull request is judged by the files that its merge changes, never by its branch's name or its own `state.toml`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Error, Trailers, deployment, provenance};
use crate::forge::{Checked, Forge, PullRequest};
use crate::git::{Commit, Identity};
use crate::name::Name;
use crate::state::policy::Merge;
use crate::state::{Cure, ENVIRONMENTS, Environment, Facts, RULES, Rules, State, Unmet, unmet};

/// What one part of a pull request lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `production/shop`, or a file that belongs to no environment.
    pub of: String,
    /// What is missing.
    pub unmet: Vec<Unmet>,
}

/// What a pull request was held against, and how it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The base branch's commit.
    pub base: Commit,
    /// The proposed commit.
    pub head: Commit,
    /// Who merges, by the policy of everything it touches.
    pub merge: Merge,
    /// What is missing. Empty: nothing is.
    pub findings: Vec<Finding>,
    /// The message that its merge commit gets.
    pub message: String,
}

impl Gate {
    /// Whether nothing is missing.
    pub fn is_open(&self) -> bool {
        self.findings.is_empty()
    }

    /// The error that says what is missing, if anything is.
    pub fn require(&self, number: u64) -> Result<(), Error> {
        if self.is_open() {
            return Ok(());
        }
        Err(Error::Refused { number, findings: self.findings.clone() })
    }
}

/// Holds a pull request against the policy of its base branch.
pub fn examine(state: &State, me: &Identity, pull: &PullRequest, now: Timestamp) -> Result<Gate, Error> {
    let mirror = state.mirror();
    let base = mirror.resolve(&format!("refs/heads/{}", pull.base_branch))?;
    let head = mirror.resolve(pull.head_commit.as_str())?;
    let rules = state.rules(&base)?;
    let (words, _) = mirror.describe(&head)?;
    let trailers = Trailers::parse(&words);
    let message = merge_message(pull, trailers.as_ref());
    let merged = mirror.merge(&base, &head, &message, me)?;
    let mut merge = Merge::Auto;
    let mut findings = Vec::new();
    for path in mirror.changed(&base, &merged)? {
        let missing = match place(&rules, &path) {
            Place::Declaration(environment, app) => {
                if environment.policy.merge == Merge::Manual {
                    merge = Merge::Manual;
                }
                let facts = facts(state, &base, &merged, environment, &app, pull, trailers.as_ref(), now)?;
                (format!("{}/{app}", environment.name), unmet(environment, &facts))
            }
            Place::Rules => {
                // The merged rules must still be rules.
                state.rules(&merged)?;
                merge = Merge::Manual;
                (path, strictest(&rules, &people(state, &head, pull)?, now))
            }
            Place::Unknown => {
                merge = Merge::Manual;
                (path, strictest(&rules, &people(state, &head, pull)?, now))
            }
            Place::Elsewhere => continue,
        };
        if !missing.1.is_empty() {
            findings.push(Finding { of: missing.0, unmet: missing.1 });
        }
    }
    Ok(Gate { base, head, merge, findings, message })
}

/// Merges what the gate let through; the merge commit. Refused where something is missing.
pub async fn merge(forge: &dyn Forge, pull: &PullRequest, gate: &Gate) -> Result<Commit, Error> {
    gate.require(pull.number)?;
    let Gate { head, base, message, .. } = gate.clone();
    Ok(forge.merge(pull.number, Checked { head, base, message }).await?)
}

/// The commands that would satisfy what is missing, each once.
pub fn commands(number: u64, findings: &[Finding]) -> Vec<String> {
    let mut commands = Vec::new();
    for finding in findings {
        let environment = finding.of.split('/').next().unwrap_or_default();
        for unmet in &finding.unmet {
            let command = match &unmet.cure {
                Cure::Approve => format!("onramp pr approve {number}"),
                Cure::Test => format!("onramp test && onramp deploy {environment}"),
                Cure::Deploy(before) => format!("onramp deploy {before}"),
                Cure::Wait(until) => format!("onramp pr merge {number}  # from {until}"),
            };
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    commands
}

/// What a file of the state repository is.
enum Place<'a> {
    /// An app in an environment.
    Declaration(&'a Environment, Name),
    /// `state.toml`.
    Rules,
    /// Under `environments/`, but of none that `state.toml` has, or no declaration.
    Unknown,
    /// Nothing that onramp reads.
    Elsewhere,
}

fn place<'a>(rules: &'a Rules, path: &str) -> Place<'a> {
    if path == RULES {
        return Place::Rules;
    }
    let Some(inside) = path.strip_prefix(ENVIRONMENTS).and_then(|rest| rest.strip_prefix('/')) else {
        return Place::Elsewhere;
    };
    let declaration = || {
        let (environment, file) = inside.split_once('/')?;
        let app = file.strip_suffix(".toml")?.parse().ok()?;
        Some((rules.environments.iter().find(|e| e.name.as_str() == environment)?, app))
    };
    declaration().map_or(Place::Unknown, |(environment, app)| Place::Declaration(environment, app))
}

#[expect(clippy::too_many_arguments, reason = "each is one thing that the facts come from")]
fn facts(
    state: &State,
    base: &Commit,
    merged: &Commit,
    environment: &Environment,
    app: &Name,
    pull: &PullRequest,
    trailers: Option<&Trailers>,
    now: Timestamp,
) -> Result<Facts, Error> {
    let before = state.declared(base, &environment.name, app)?.map(|declared| declared.services);
    // What cannot be read is not merged: the error says where.
    let after = state.declared(merged, &environment.name, app)?.map(|declared| declared.services).unwrap_or_default();
    let changes = deployment::changes(before.as_ref(), &after);
    let ours = trailers.filter(|trailers| trailers.app == *app && trailers.environment == environment.name);
    // Test results count for the images they were made with. Services that the source does not build (a database) have
    // no image of their own in the trailers.
    let tests = ours
        .filter(|trailers| {
            trailers
                .images
                .iter()
                .all(|(service, image)| after.get(service).and_then(|s| s.image.as_ref()) == Some(image))
        })
        .filter(|trailers| {
            let changed =
                |change: &deployment::Change| change.from.is_none() || trailers.images.contains_key(&change.service);
            changes.iter().all(changed)
        })
        .map(|trailers| trailers.tests.clone())
        .unwrap_or_default();
    let mut digests = BTreeMap::new();
    let mut there = BTreeMap::new();
    for change in &changes {
        let Some(digest) = change.to.digest() else { continue };
        digests.insert(change.service.clone(), digest.clone());
        let Some(after) = &environment.after else { continue };
        let declared = state.declared(base, after, app)?;
        let image = declared.as_ref().and_then(|d| d.services.get(&change.service)).and_then(|s| s.image.as_ref());
        if let Some(declared) = image.and_then(|image| image.digest()) {
            let since = provenance::declared_since(state, base, after, app, &change.service, declared)?;
            there.insert(change.service.clone(), (declared.clone(), since.unwrap_or(now)));
        }
    }
    let (authors, approvals) = people(state, &pull.head_commit, pull)?;
    Ok(Facts { authors, approvals, tests, digests, before: there, now })
}

/// Who is behind a change, and who approved it. Whoever made the proposed commit is behind it too, also where somebody
/// else opened the pull request.
fn people(state: &State, head: &Commit, pull: &PullRequest) -> Result<(Vec<String>, Vec<String>), Error> {
    let authors = vec![pull.author.id.clone(), state.mirror().author(head)?.email];
    Ok((authors, pull.approved_by().map(|person| person.id.clone()).collect()))
}

/// What a change outside every environment lacks: the approvals that the strictest environment asks for, because it
/// decides over all of them.
fn strictest(rules: &Rules, (authors, approvals): &(Vec<String>, Vec<String>), now: Timestamp) -> Vec<Unmet> {
    let Some(environment) = rules.environments.iter().max_by_key(|environment| environment.policy.approvals) else {
        return Vec::new();
    };
    let facts = Facts {
        authors: authors.clone(),
        approvals: approvals.clone(),
        tests: BTreeMap::new(),
        digests: BTreeMap::new(),
        before: BTreeMap::new(),
        now,
    };
    unmet(environment, &facts).into_iter().filter(|unmet| unmet.rule == "approvals").collect()
}

fn merge_message(pull: &PullRequest, trailers: Option<&Trailers>) -> String {
    let title = crate::text::neutral_line(&pull.title, 200);
    let mut message = format!("Merge pull request #{} from {}\n\n{title}\n", pull.number, pull.head_branch);
    if let Some(trailers) = trailers {
        message.push_str(&format!("\n{trailers}"));
    }
    message
}
