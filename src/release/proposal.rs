//! Proposing a deployment: the edit, the commit, the branch, the pull request.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::deployment::{self, Change};
use super::story::{self, Story};
use super::{Error, Evidence, Gate, Plan, Trailers, gate, provenance};
use crate::forge::{Forge, Proposal, PullRequest};
use crate::git::{Commit, Identity, RefUpdate};
use crate::name::Name;
use crate::reference::ImageRef;
use crate::registry::Access;
use crate::state::State;
use crate::state::policy::Merge;
use crate::task::blocking;

/// What came of a deployment.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The environment declares exactly this already.
    Nothing,
    /// It is proposed.
    Proposed {
        /// The pull request.
        pull: Box<PullRequest>,
        /// What it changes.
        changes: Vec<Change>,
        /// Whether it is new; otherwise the open one was brought up to date.
        new: bool,
        /// What it still lacks, and where.
        gate: Gate,
        /// The merge commit, where the environment's policy let it through at once.
        merged: Option<Commit>,
    },
}

/// The commit that a deployment proposes.
struct Prepared {
    changes: Vec<Change>,
    title: String,
    body: String,
    branch: String,
    base_branch: String,
}

/// Proposes the plan with these images: commits onto the default branch's head, pushes the branch if it is where it was
/// seen, and opens the pull request or brings the open one up to date. Merges where policy says `merge = "auto"` and
/// lacks nothing.
pub async fn propose(
    state: &State,
    (forge, access): (&dyn Forge, &Access),
    me: &Identity,
    plan: &Plan,
    images: BTreeMap<Name, ImageRef>,
    evidence: Evidence,
    message: Option<String>,
) -> Result<Outcome, Error> {
    let work = {
        let (state, me, plan) = (state.clone(), me.clone(), plan.clone());
        move || prepare(&state, &me, &plan, images, &evidence, message.as_deref())
    };
    let Some(prepared) = blocking(work).await? else { return Ok(Outcome::Nothing) };
    let (pull, new) = match forge.find_open(&prepared.branch).await? {
        Some(open) if open.title == prepared.title && open.body == prepared.body => (open, false),
        Some(open) => (forge.update(open.number, prepared.title, prepared.body).await?, false),
        None => {
            let Prepared { title, body, branch: head_branch, base_branch, .. } = prepared;
            (forge.create(Proposal { title, body, head_branch, base_branch }).await?, true)
        }
    };
    let gate = gate::examine(state, me, &pull, access, Timestamp::now()).await?;
    let merged = match gate.merge {
        Merge::Auto if gate.is_open() => Some(gate::merge(forge, &pull, &gate).await?),
        Merge::Auto | Merge::Manual => None,
    };
    Ok(Outcome::Proposed { pull: Box::new(pull), changes: prepared.changes, new, gate, merged })
}

fn prepare(
    state: &State,
    me: &Identity,
    plan: &Plan,
    images: BTreeMap<Name, ImageRef>,
    evidence: &Evidence,
    message: Option<&str>,
) -> Result<Option<Prepared>, Error> {
    let mirror = state.mirror();
    let head = state.head()?;
    let declared = state.app(&head, &plan.environment, &plan.app)?;
    let old = declared.as_ref().map(|declared| declared.text.as_str());
    let format = state.rules(&head)?.format;
    let text = format.edit(&plan.environment, &plan.app, old, &plan.edits(&images))?;
    if old == Some(text.as_str()) {
        return Ok(None);
    }
    let after = format.read(plan.file.as_ref(), &plan.environment, &plan.app, &text)?.services;
    let changes = deployment::changes(declared.as_ref().map(|declared| &declared.services), &after);
    let previous = provenance::of(state, &head, &plan.environment, &plan.app)?
        .and_then(|provenance| provenance.trailers)
        .map(|trailers| trailers.source);
    let trailers = Trailers {
        app: plan.app.clone(),
        environment: plan.environment.clone(),
        source: plan.source.clone(),
        images,
        tests: evidence.tests.clone(),
    };
    let name = format!("refs/heads/{}", plan.branch);
    let there = mirror.refs(&name)?.remove(&name);
    // Why, was said when the branch was proposed first; it still holds unless something else is said now.
    let before = there.as_ref().map(|there| mirror.describe(there)).transpose()?.map(|(message, _)| message);
    let words = message.or_else(|| before.as_deref().and_then(story::words));
    let (file, previous) = (plan.file.as_str(), previous.as_ref());
    let story = Story { file, trailers: &trailers, changes: &changes, previous, evidence, message: words };
    let commit_message = story.commit_message();
    // The same words on the same head with the same file: the branch is right as it is, and approvals of it stay.
    let same = match &there {
        Some(there) => {
            before.as_deref() == Some(commit_message.as_str())
                && mirror.parents(there)? == [head.clone()]
                && mirror.read(there, &plan.file, crate::document::CAP)?.as_deref() == Some(text.as_bytes())
                && mirror.changed(&head, there)? == [plan.file.clone()]
        }
        None => false,
    };
    if !same {
        let change = (plan.file.clone(), Some(text.into_bytes()));
        let commit = mirror.commit(std::slice::from_ref(&head), &[change], &commit_message, me)?;
        mirror.push(&[RefUpdate { name, expected: there, target: Some(commit) }])?;
    }
    Ok(Some(Prepared {
        title: story.title(),
        body: story.body(),
        changes,
        branch: plan.branch.clone(),
        base_branch: mirror.default_branch()?,
    }))
}
