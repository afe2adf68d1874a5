//! The gate before a merge: what the pull request would really change, held against the policy of the base branch.
//!
//! A pull request is judged by the files that its merge changes, never by its branch's name or its own `state.toml`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::deployment::Change;
use super::proof::Wanted;
use super::{Error, Trailers, deployment, excuse, proof, provenance};
use crate::document;
use crate::forge::{Checked, Forge, PullRequest};
use crate::git::{self, Commit, Identity};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::registry::Access;
use crate::state::policy::Merge;
use crate::state::unmet::{APPROVALS, DRAFT};
use crate::state::{Cure, Environment, Facts, Rules, State, Unmet, unmet};
use crate::task::blocking;

/// What one part of a pull request lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `production/shop`, or a file that belongs to no environment; `#3` of what the pull request lacks as a whole.
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

/// Holds a pull request against the policy of its base branch, and its images against what their registries have.
pub async fn examine(
    state: &State,
    me: &Identity,
    pull: &PullRequest,
    access: &Access,
    now: Timestamp,
) -> Result<Gate, Error> {
    let read = {
        let (state, me, pull) = (state.clone(), me.clone(), pull.clone());
        move || read(&state, &me, &pull, now)
    };
    let Read { base, head, message, parts } = blocking(read).await?;
    let (merge, mut findings) = judge(parts, access).await?;
    if pull.draft {
        let unmet = vec![Unmet { rule: DRAFT, message: "it is a draft".to_owned(), cure: Cure::Ready }];
        findings.push(Finding { of: format!("#{}", pull.number), unmet });
    }
    Ok(Gate { base, head, merge, findings, message })
}

/// Holds what a commit changes against the policy of the branch that it is to be merged into. Who approved it is not known: what
/// is missing of that is not among the findings.
pub async fn check(
    state: &State,
    base: &Commit,
    head: &Commit,
    access: &Access,
    now: Timestamp,
) -> Result<Vec<Finding>, Error> {
    let read = {
        let (state, base, head) = (state.clone(), base.clone(), head.clone());
        move || {
            let mirror = state.mirror();
            let trailers = provenance::of_commit(mirror, head.clone())?.trailers;
            let authors = vec![mirror.author(&head)?.email];
            let (rules, fork) = (state.rules(&base)?, mirror.merge_base(&base, &head)?);
            Case { state: &state, base, fork, merged: head, rules, trailers, authors, approvals: Vec::new(), now }
                .parts()
        }
    };
    let (_, mut findings) = judge(blocking(read).await?, access).await?;
    for finding in &mut findings {
        finding.unmet.retain(|unmet| unmet.rule != APPROVALS);
    }
    findings.retain(|finding| !finding.unmet.is_empty());
    Ok(findings)
}

/// What git says of a pull request.
struct Read {
    base: Commit,
    head: Commit,
    message: String,
    parts: Vec<Part>,
}

/// A change to what an environment declares.
struct Declared {
    app: Name,
    environment: Environment,
    facts: Facts,
    wanted: Wanted,
    /// Rules that it need not meet.
    excused: &'static [&'static str],
}

/// One changed file that matters.
struct Part {
    of: String,
    judged: Judged,
}

enum Judged {
    /// By an environment's policy.
    Environment(Box<Declared>),
    /// By what decides over all of them.
    Strictest(Vec<Unmet>),
}

fn read(state: &State, me: &Identity, pull: &PullRequest, now: Timestamp) -> Result<Read, Error> {
    let mirror = state.mirror();
    let base = mirror.resolve(&format!("refs/heads/{}", pull.base_branch))?;
    let head = mirror.resolve(pull.head_commit.as_str())?;
    let trailers = Trailers::parse(&mirror.describe(&head)?.0);
    let message = merge_message(pull, &trailers);
    let rules = state.rules(&base)?;
    let merged = mirror.merge(&base, &head, &message, me).map_err(|error| match error {
        git::Error::MergeConflict { paths } => {
            let declared = paths.iter().find_map(|path| rules.format.place(path)?.ok());
            let environment = declared.map(|(environment, _)| environment);
            Error::Outdated { number: pull.number, base: pull.base_branch.clone(), paths, environment }
        }
        other => other.into(),
    })?;
    let authors = pull.authors();
    let approvals = pull.approved_by().map(|person| person.id.clone()).collect();
    let parts =
        Case { state, base: base.clone(), fork: base.clone(), merged, rules, trailers, authors, approvals, now }
            .parts()?;
    Ok(Read { base, head, message, parts })
}

/// Who merges, and what is missing.
async fn judge(parts: Vec<Part>, access: &Access) -> Result<(Merge, Vec<Finding>), Error> {
    let mut merge = Merge::Auto;
    let mut findings = Vec::new();
    for Part { of, judged } in parts {
        let unmet = match judged {
            Judged::Strictest(unmet) => {
                merge = Merge::Manual;
                unmet
            }
            Judged::Environment(declared) => {
                let Declared { app, environment, mut facts, wanted, excused } = *declared;
                if environment.policy.merge == Merge::Manual {
                    merge = Merge::Manual;
                }
                let subjects = facts.subjects.values().cloned().collect();
                let proofs = proof::find(access, &app, &subjects, &wanted).await?;
                facts.registered = proofs.images;
                facts.attested = proofs.tests.into_keys().collect();
                let mut lacks = unmet(&environment, &facts);
                lacks.retain(|unmet| !excused.contains(&unmet.rule));
                lacks
            }
        };
        if !unmet.is_empty() {
            findings.push(Finding { of, unmet });
        }
    }
    Ok((merge, findings))
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
        let (environment, app) = finding.of.split_once('/').unwrap_or((&finding.of, ""));
        for unmet in &finding.unmet {
            let command = match &unmet.cure {
                Cure::Ready => format!("onramp pr ready {number}"),
                Cure::Approve => format!("onramp pr approve {number}"),
                Cure::Test => format!("onramp test && onramp deploy {environment}"),
                Cure::Deploy(before) => format!("onramp deploy {before}"),
                Cure::Promote { from, to } => format!("onramp promote {from} {to} {app}"),
                Cure::Attest(images) => {
                    let one = |(service, image): (&Name, &ImageRef)| format!("--image {service}={image}");
                    let images: Vec<String> = images.iter().map(one).collect();
                    format!("onramp test {} --key FILE", images.join(" "))
                }
                Cure::Sign(image) => format!("onramp image sign {image} --key FILE"),
                Cure::Wait(until) => format!("onramp pr merge {number}  # from {until}"),
                Cure::Another => continue,
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
    /// What may decide over any of them: `state.toml`, a key that it names, Puppet's code, what other formats put beside their
    /// files. Which file is which, nobody can tell of all tools that read the repository.
    More,
}

fn place<'a>(rules: &'a Rules, path: &str) -> Place<'a> {
    let declaration = || {
        let (environment, app) = rules.format.place(path)?.ok()?;
        Some((rules.environments.iter().find(|known| known.name == environment)?, app))
    };
    declaration().map_or(Place::More, |(environment, app)| Place::Declaration(environment, app))
}

/// What a pull request's parts are judged by.
struct Case<'a> {
    state: &'a State,
    base: Commit,
    /// From where on there are changes.
    fork: Commit,
    merged: Commit,
    rules: Rules,
    trailers: Vec<Trailers>,
    authors: Vec<String>,
    approvals: Vec<String>,
    now: Timestamp,
}

impl Case<'_> {
    /// The changed files that matter, with what they are judged by.
    fn parts(&self) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        for path in self.state.mirror().changed(&self.fork, &self.merged)? {
            let (of, judged) = match place(&self.rules, &path) {
                Place::Declaration(environment, app) => {
                    let facts = self.facts(environment, &app)?;
                    let key = |path: &str| Ok(self.state.text(&self.base, path)?);
                    let wanted = Wanted::of(&environment.policy, &key)?;
                    let of = format!("{}/{app}", environment.name);
                    let (base, merged) = (&self.base, &self.merged);
                    let excused = excuse::rules(self.state, base, merged, environment, &app, &self.trailers)?;
                    let environment = environment.clone();
                    (of, Judged::Environment(Box::new(Declared { app, environment, facts, wanted, excused })))
                }
                Place::More => {
                    // What is merged must still be rules.
                    self.state.rules(&self.merged)?;
                    (path, Judged::Strictest(self.strictest()))
                }
            };
            parts.push(Part { of, judged });
        }
        Ok(parts)
    }

    /// The facts about the change to one app in one environment.
    fn facts(&self, environment: &Environment, app: &Name) -> Result<Facts, Error> {
        // What cannot be read is not merged: the error says where. A format that the pull request brings does not count yet.
        let declared =
            |commit: &Commit, environment: &Name| self.state.declared_in(&self.rules.format, commit, environment, app);
        let services = |commit: &Commit, environment: &Name| -> Result<BTreeMap<Name, Service>, Error> {
            Ok(declared(commit, environment)?.map(|declared| declared.services).unwrap_or_default())
        };
        let old = services(&self.base, &environment.name)?;
        let proposed = declared(&self.merged, &environment.name)?;
        if let Some(proposed) = &proposed {
            let path = self.rules.format.path(&environment.name, app);
            self.rules.format.keeps(path.as_ref(), &proposed.text, &old, &proposed.services)?;
        }
        let (new, text) = proposed.map(|declared| (declared.services, declared.text)).unwrap_or_default();
        let changes = deployment::changes(Some(&old), &new);
        // What a tag is tomorrow, nobody has tested.
        if let Some(change) = changes.iter().find(|change| change.to.digest().is_none()) {
            let path = self.rules.format.path(&environment.name, app);
            let (service, image) = (&change.service, &change.to);
            let message =
                format!("services.{service}: `{image}` is proposed by its tag: what is merged names its digest");
            return Err(document::wrong_at(path.as_ref(), &text, image.path(), message).into());
        }
        let images: BTreeMap<Name, ImageRef> =
            changes.iter().map(|change| (change.service.clone(), change.to.clone())).collect();
        let all = || {
            let image = |(name, service): (&Name, &Service)| Some((name.clone(), service.image.clone()?));
            new.iter().filter_map(image).filter(|(_, image)| image.digest().is_some())
        };
        let subjects = if images.is_empty() { all().collect() } else { images.clone() };
        let gone = new.is_empty();
        let mut before = BTreeMap::new();
        if let Some(after) = &environment.after {
            let there = services(&self.base, after)?;
            for change in &changes {
                let image = there.get(&change.service).and_then(|service| service.image.as_ref());
                let Some(digest) = image.and_then(ImageRef::digest) else { continue };
                let since = provenance::declared_since(self.state, &self.base, after, app, &change.service, digest)?;
                before.insert(change.service.clone(), (digest.clone(), since.unwrap_or(self.now)));
            }
        }
        let tests = self.tests(&environment.name, app, &new, &changes).unwrap_or_default();
        let (authors, approvals) = (self.authors.clone(), self.approvals.clone());
        let (registered, attested) = Default::default();
        let before_that = self.rules.environments.iter().find(|known| Some(&known.name) == environment.after.as_ref());
        let (earlier, now) = (before_that.and_then(|known| known.after.clone()), self.now);
        Ok(Facts { authors, approvals, tests, images, subjects, gone, registered, attested, before, earlier, now })
    }

    /// The test results that count for this change: those of exactly the images that it declares.
    fn tests(
        &self,
        environment: &Name,
        app: &Name,
        new: &BTreeMap<Name, Service>,
        changes: &[Change],
    ) -> Option<BTreeMap<Name, bool>> {
        let trailers = self.trailers.iter().find(|trailers| trailers.is_about(environment, app))?;
        trailers.fit(new, changes).then(|| trailers.tests.clone())
    }

    /// What a change outside every environment lacks: the approvals that the strictest environment asks for, because it
    /// decides over all of them.
    fn strictest(&self) -> Vec<Unmet> {
        let Some(environment) = self.rules.environments.iter().max_by_key(|e| e.policy.approvals) else {
            return Vec::new();
        };
        let facts = Facts {
            authors: self.authors.clone(),
            approvals: self.approvals.clone(),
            tests: BTreeMap::new(),
            images: BTreeMap::new(),
            subjects: BTreeMap::new(),
            gone: false,
            registered: BTreeMap::new(),
            attested: BTreeSet::new(),
            before: BTreeMap::new(),
            earlier: None,
            now: self.now,
        };
        unmet(environment, &facts).into_iter().filter(|unmet| unmet.rule == APPROVALS).collect()
    }
}

fn merge_message(pull: &PullRequest, trailers: &[Trailers]) -> String {
    let title = crate::text::neutral_line(&pull.title, 200);
    let mut message = format!("Merge pull request #{} from {}\n\n{title}\n", pull.number, pull.head_branch);
    if !trailers.is_empty() {
        message.push('\n');
        message.extend(trailers.iter().map(ToString::to_string));
    }
    message
}
