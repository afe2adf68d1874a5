//! Proposing a change of the state repository: the commit, the branch, the pull request, and what it takes the place of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::deployment::Change;
use super::draft::{Draft, Kind, Section};
use super::leak::{self, Secret};
use super::promotion::{self, Route, Which};
use super::trailers::Origin;
use super::{Error, Evidence, Gate, Plan, TRAIN, Trailers, background, branch_of, gate, story};
use crate::forge::{Forge, Proposal, PullRequest, Words};
use crate::git::{Commit, Identity, RefUpdate};
use crate::name::Name;
use crate::project::service::{EnvValue, is_secret_name};
use crate::reference::ImageRef;
use crate::registry::Access;
use crate::state::State;
use crate::state::policy::Merge;
use crate::task::blocking;

/// Where changes are proposed.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The state repository.
    pub state: &'a State,
    /// Its forge.
    pub forge: &'a dyn Forge,
    /// How registries are spoken to, for what policy asks of images.
    pub registries: &'a Access,
    /// Who proposes.
    pub me: &'a Identity,
    /// What must not be sent: values that this machine keeps secret.
    pub secrets: &'a [Secret],
}

/// Who merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    /// As the environment's policy says.
    Policy,
    /// We, at once, where the policy lets it through.
    Now,
    /// Nobody yet: something is waited for first.
    Later,
}

impl Merging {
    /// Whether we merge what the gate says this of.
    pub fn merges(self, gate: &Gate) -> bool {
        let wanted = match self {
            Self::Now => true,
            Self::Policy => gate.merge == Merge::Auto,
            Self::Later => false,
        };
        wanted && gate.is_open()
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The environment declares exactly this already.
    Nothing,
    /// It is proposed.
    Proposed {
        /// The pull request.
        pull: Box<PullRequest>,
        /// The images that it changes.
        changes: Vec<Changed>,
        /// The open one that was brought up to date, as it was before. None where it is new.
        before: Option<Box<PullRequest>>,
        /// Pull requests whose place it took: closed, or without the app from now on.
        superseded: Vec<u64>,
        /// What it still lacks, and where.
        gate: Gate,
        /// The merge commit, where it was let through at once.
        merged: Option<Commit>,
    },
}

/// An image that changes, and of which app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The app.
    pub app: Name,
    /// What changes.
    #[serde(flatten)]
    pub change: Change,
}

/// The draft of a deployment: the plan with these images.
pub fn deployment(
    state: &State,
    plan: &Plan,
    images: BTreeMap<Name, ImageRef>,
    evidence: Evidence,
) -> Result<Draft, Error> {
    let base = state.head()?;
    let declared = state.app(&base, &plan.environment, &plan.app)?;
    let old = declared.as_ref().map(|declared| declared.text.as_str());
    let format = state.rules(&base)?.format;
    let text = format.edit(&plan.environment, &plan.app, old, &plan.edits(&images))?;
    let trailers = Trailers {
        app: plan.app.clone(),
        environment: plan.environment.clone(),
        source: Some(plan.source.clone()),
        made: plan.made,
        images,
        tests: evidence.tests.clone(),
        origin: plan.hotfix.clone().map_or(Origin::Project, Origin::Hotfix),
    };
    let section = Section::of(&format, declared.as_ref(), text, trailers, evidence)?;
    let draft = Draft::one(Kind::Deployment, &plan.environment, &plan.app, base, section);
    Ok(Draft { unready: plan.unready, ..draft })
}

/// Proposes a draft: commits onto the commit that it was planned on, pushes the branch if it is where it was seen, opens the
/// pull request or brings the open one up to date, and closes those whose place it takes. Merges where policy says so and
/// nothing is missing.
///
/// Each step is found done by the next call, wherever one was killed.
pub async fn propose(place: &Place<'_>, mut draft: Draft, merging: Merging) -> Result<Outcome, Error> {
    if draft.sections.is_empty() {
        return Ok(Outcome::Nothing);
    }
    let (pull, before) = publish(place, &mut draft).await?;
    let superseded = supersede(place, &draft, &pull).await?;
    let gate = gate::examine(place.state, place.me, &pull, place.registries, Timestamp::now()).await?;
    let merged = if merging.merges(&gate) { Some(gate::merge(place.forge, &pull, &gate).await?) } else { None };
    let changed = |section: &Section| {
        let app = section.app.clone();
        section.changes.clone().into_iter().map(move |change| Changed { app: app.clone(), change })
    };
    let changes = draft.sections.iter().flat_map(changed).collect();
    Ok(Outcome::Proposed { pull: Box::new(pull), changes, before, superseded, gate, merged })
}

/// Pushes the branch and says what it is about; the pull request, and what it was before where it is not new.
async fn publish(place: &Place<'_>, draft: &mut Draft) -> Result<(PullRequest, Option<Box<PullRequest>>), Error> {
    let pushed = {
        let (state, me, secrets) = (place.state.clone(), place.me.clone(), place.secrets.to_vec());
        let mut draft = draft.clone();
        blocking(move || push(&state, &me, &secrets, &mut draft).map(|base| (draft, base)))
    };
    let (complete, base_branch) = pushed.await?;
    *draft = complete;
    let (title, body) = (story::title(draft), story::body(draft));
    let unready = draft.unready;
    let before = place.forge.find_open(&draft.branch).await?.map(Box::new);
    let pull = match &before {
        Some(open) if open.title == title && open.body.trim() == body.trim() && open.draft == unready => {
            (**open).clone()
        }
        Some(open) => place.forge.update(open.number, Words { title, body, draft: unready }).await?,
        None => {
            let head_branch = draft.branch.clone();
            place.forge.create(Proposal { title, body, draft: unready, head_branch, base_branch }).await?
        }
    };
    // What was to wait is not merged because a forge did not understand.
    Ok((pull.turned(unready)?, before))
}

/// Brings the draft's branch to what it proposes; the branch that it is to be merged into. Nothing is sent where any of its
/// texts holds what must not be.
fn push(state: &State, me: &Identity, secrets: &[Secret], draft: &mut Draft) -> Result<String, Error> {
    let mirror = state.mirror();
    let name = format!("refs/heads/{}", draft.branch);
    let there = mirror.refs(&name)?.remove(&name);
    // Why, was said when the branch was proposed first; it still holds unless something else is said now.
    let before = there.as_ref().map(|there| mirror.describe(there)).transpose()?.map(|(message, _)| message);
    if draft.message.is_none() {
        draft.message = before.as_deref().and_then(story::words).map(str::to_owned);
    }
    background::gather(state, draft)?;
    let message = story::commit_message(draft);
    refuse_leaks(state, secrets, draft, &message)?;
    // The same words on the same head with the same files: the branch is right as it is, and approvals of it stay.
    let same = match &there {
        Some(there) => before.as_deref() == Some(message.as_str()) && proposes(state, there, draft)?,
        None => false,
    };
    if !same {
        let change = |section: &Section| (section.file.clone(), Some(section.text.clone().into_bytes()));
        let changes: Vec<_> = draft.sections.iter().map(change).collect();
        let commit = mirror.commit(std::slice::from_ref(&draft.base), &changes, &message, me)?;
        mirror.push(&[RefUpdate { name, expected: there, target: Some(commit) }])?;
    }
    Ok(mirror.default_branch()?)
}

/// Whether a commit is the draft's base with exactly its files.
fn proposes(state: &State, commit: &Commit, draft: &Draft) -> Result<bool, Error> {
    let mirror = state.mirror();
    if mirror.parents(commit)? != [draft.base.clone()] {
        return Ok(false);
    }
    let mut files: Vec<&str> = draft.sections.iter().map(|section| section.file.as_str()).collect();
    files.sort_unstable();
    if mirror.changed(&draft.base, commit)? != files {
        return Ok(false);
    }
    for section in &draft.sections {
        let there = mirror.read(commit, &section.file, crate::document::CAP)?;
        if there.as_deref() != Some(section.text.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Looks through everything that is sent: words, and lines that files do not have yet. Values of variables that look secret
/// are the declarations' own, of now and then; in their files they are where somebody put them.
fn refuse_leaks(state: &State, secrets: &[Secret], draft: &Draft, message: &str) -> Result<(), Error> {
    let mut declared = Vec::new();
    for section in &draft.sections {
        let old = state.declared(&draft.base, &draft.environment, &section.app)?;
        let lines: Vec<&str> = old.as_ref().map(|old| old.text.lines().collect()).unwrap_or_default();
        let new: Vec<&str> = section.text.lines().filter(|line| !lines.contains(line)).collect();
        leak::check(&section.file, &new.join("\n"), secrets)?;
        let services = old.iter().flat_map(|old| old.services.values()).chain(section.services.values());
        for (name, value) in services.flat_map(|service| &service.env) {
            // Names that everybody reads are no secret, whatever a variable is called.
            let known = |value: &str| {
                let images = section.services.values().filter_map(|service| service.image.as_ref());
                let names = [draft.environment.as_str(), section.app.as_str()].map(str::to_owned);
                names.into_iter().chain(images.map(ImageRef::repository)).any(|text| text.contains(value))
            };
            if let EnvValue::Plain(value) = value
                && is_secret_name(name)
                && !known(value)
            {
                declared.push(Secret { name: name.clone(), value: value.clone() });
            }
        }
    }
    let all = || secrets.iter().chain(&declared);
    leak::check("the title of the pull request", &story::title(draft), all())?;
    leak::check("the body of the pull request", &story::body(draft), all())?;
    leak::check("the message of the commit", message, all())
}

/// Closes the pull requests whose place this one took; a train that proposes more apps goes on without this one's. Their numbers.
async fn supersede(place: &Place<'_>, draft: &Draft, pull: &PullRequest) -> Result<Vec<u64>, Error> {
    let mut superseded = Vec::new();
    let environment = &draft.environment;
    if draft.is_train() {
        for open in place.forge.list().await? {
            let is_of = |section: &Section| open.head_branch == branch_of(environment, section.app.as_str());
            if let Some(section) = draft.sections.iter().find(|section| is_of(section)) {
                let words =
                    format!("`{}` is proposed together with others by pull request #{} now.", section.app, pull.number);
                place.forge.close(open.number, words).await?;
                superseded.push(open.number);
            }
        }
    } else if let Some(section) = draft.sections.first()
        && let Some(open) = place.forge.find_open(&branch_of(environment, TRAIN)).await?
        && let Some(rest) = without(place, &open, environment, &section.app).await?
    {
        if let Some(mut rest) = rest {
            rest.unready = open.draft;
            publish(place, &mut rest).await?;
        } else {
            let words = format!("`{}` is proposed by pull request #{} by itself now.", section.app, pull.number);
            place.forge.close(open.number, words).await?;
        }
        superseded.push(open.number);
    }
    Ok(superseded)
}

/// The draft of an open train without an app; `Some(None)` where nothing is left of it, none where it has not got the app.
async fn without(
    place: &Place<'_>,
    open: &PullRequest,
    environment: &Name,
    app: &Name,
) -> Result<Option<Option<Draft>>, Error> {
    let (state, head, environment, app) =
        (place.state.clone(), open.head_commit.clone(), environment.clone(), app.clone());
    blocking(move || {
        let said = Trailers::parse(&state.mirror().describe(&head)?.0);
        let (without, rest): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.is_about(&environment, &app));
        if without.is_empty() {
            return Ok(None);
        }
        let Some(Origin::Promoted { from, at }) = rest.first().map(|said| said.origin.clone()) else {
            return Ok(Some(None));
        };
        let route = Route { from, at, to: environment };
        let apps = rest.into_iter().map(|said| said.app).collect();
        let draft = promotion::draft(&state, &state.head()?, &route, &Which::These(apps))?;
        Ok(Some(Some(draft).filter(|draft| !draft.sections.is_empty())))
    })
    .await
}
