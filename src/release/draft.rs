//! What a pull request of the state repository does and says: a section for each app. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::background::Background;
use super::deployment::{self, Change};
use super::trailers::Origin;
use super::{Error, Evidence, Trailers, branch_of};
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::state::{AppState, Format, diff};

/// What a pull request does and says.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// Where all of it is to run.
    pub environment: Name,
    /// The branch that proposes it.
    pub branch: String,
    /// The commit of the state repository that it was planned on.
    pub base: Commit,
    /// What becomes of each app, by name.
    pub sections: Vec<Section>,
    /// Apps that were asked for, and are as they would be.
    pub unchanged: Vec<Name>,
    /// Apps of the environment before that are left out: the environment does not declare them yet.
    pub new_ones: Vec<Name>,
    /// Why, in the author's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the forge is to have it as a draft, which nobody merges yet.
    pub unready: bool,
}

/// What a pull request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Kind {
    /// A project's commit goes to an environment.
    Deployment,
    /// What one environment runs goes to another one.
    Promotion {
        /// That environment.
        from: Name,
        /// The commit that it was read at.
        at: Commit,
        /// Whether it is a train: it has its branch even where it has one app.
        train: bool,
    },
    /// An environment goes back to what it ran.
    Rollback {
        /// Since which commit it ran that.
        to: Commit,
    },
}

/// What becomes of one app.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// The app.
    pub app: Name,
    /// Its file.
    pub file: String,
    /// The project's commit that it is then of, where that is known.
    pub source: Option<Commit>,
    /// The images that change.
    pub changes: Vec<Change>,
    /// What else changes, key by key.
    pub settings: Vec<diff::Change>,
    /// What the other environment has otherwise, and this one keeps.
    pub stays: Vec<diff::Change>,
    /// Services that the other environment does not have, and this one keeps.
    pub kept: Vec<Name>,
    /// Why the environment before is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotfix: Option<String>,
    /// The file's new text.
    #[serde(skip)]
    pub text: String,
    /// What the commit says of it.
    #[serde(skip)]
    pub trailers: Trailers,
    /// What is known about the code.
    #[serde(skip)]
    pub evidence: Evidence,
    /// The services that it then has.
    #[serde(skip)]
    pub services: BTreeMap<Name, Service>,
    /// What else its readers should know.
    #[serde(skip)]
    pub background: Background,
}

impl Section {
    /// The section that gives a declaration this text; none where it has it. The text is checked.
    pub fn of(
        format: &Format,
        declared: Option<&AppState>,
        text: String,
        trailers: Trailers,
        evidence: Evidence,
    ) -> Result<Option<Self>, Error> {
        if declared.is_some_and(|declared| declared.text == text) {
            return Ok(None);
        }
        let (environment, app) = (&trailers.environment, &trailers.app);
        let file = format.path(environment, app);
        let services = format.read(Path::new(&file), environment, app, &text)?.services;
        let before = declared.map(|declared| &declared.services);
        let hotfix = match &trailers.origin {
            Origin::Hotfix(reason) => Some(reason.clone()),
            _ => None,
        };
        Ok(Some(Self {
            app: trailers.app.clone(),
            file,
            source: trailers.source.clone(),
            changes: deployment::changes(before, &services),
            settings: settings(&trailers.app, before, &services),
            stays: Vec::new(),
            kept: Vec::new(),
            hotfix,
            text,
            trailers,
            evidence,
            services,
            background: Background::default(),
        }))
    }
}

/// What differs between two declarations of an app beside its images. Of a service that is new, its image says it all.
pub fn settings(
    app: &Name,
    before: Option<&BTreeMap<Name, Service>>,
    after: &BTreeMap<Name, Service>,
) -> Vec<diff::Change> {
    let Some(before) = before else { return Vec::new() };
    let side = |services: &BTreeMap<Name, Service>| [(app.clone(), services.clone())].into();
    let mut changes = diff::diff(&side(before), &side(after));
    changes.retain(|change| before.contains_key(&change.service) && change.key != "image");
    changes
}

impl Draft {
    /// A draft about one app.
    pub fn one(kind: Kind, environment: &Name, app: &Name, base: Commit, section: Option<Section>) -> Self {
        let branch = branch_of(environment, app.as_str());
        let unchanged = if section.is_none() { vec![app.clone()] } else { Vec::new() };
        let environment = environment.clone();
        let sections = section.into_iter().collect();
        let new_ones = Vec::new();
        Self { kind, environment, branch, base, sections, unchanged, new_ones, message: None, unready: false }
    }

    /// The images that it declares anew.
    pub fn images(&self) -> Vec<ImageRef> {
        self.sections.iter().flat_map(|section| &section.changes).map(|change| change.to.clone()).collect()
    }

    /// Whether it is a release train.
    pub fn is_train(&self) -> bool {
        matches!(self.kind, Kind::Promotion { train: true, .. })
    }
}
