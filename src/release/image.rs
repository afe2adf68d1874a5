//! Building what is deployed: from the commit's own files, on the locked base, pushed for its digest.

use std::collections::BTreeMap;
use std::path::Path;

use super::deployment::Build;
use super::{Error, Plan};
use crate::engine::{BuildSpec, Credentials, Engine, LayerProgress};
use crate::event::{Event, Observer};
use crate::git::Worktree;
use crate::images::about;
use crate::name::Name;
use crate::reference::ImageRef;
use crate::sandbox::source;
use crate::task::blocking;

/// What builds and pushes.
pub struct Workshop<'a> {
    /// Builds and pushes.
    pub engine: &'a Engine,
    /// By registry (`host[:port]`): each is shown its own and no other's.
    pub credentials: &'a BTreeMap<String, Credentials>,
    /// The work tree that the project lies in.
    pub worktree: &'a Worktree,
    /// The project's directory.
    pub project: &'a Path,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl Workshop<'_> {
    /// Builds and pushes the plan's images; every service's image, by digest, those that were there before among them.
    pub async fn build(&self, plan: &Plan) -> Result<BTreeMap<Name, ImageRef>, Error> {
        let mut images = plan.reused.clone();
        for build in &plan.builds {
            self.make(plan, build).await?;
            images.insert(build.service.clone(), self.push(&build.image).await?);
        }
        Ok(images)
    }

    async fn make(&self, plan: &Plan, build: &Build) -> Result<(), Error> {
        let task = format!("build {}", build.image.short_name());
        self.observer.started(&task);
        let (tree, directory) = (self.worktree.clone(), self.project.join(&build.context));
        let commit = plan.source.clone();
        let archive = blocking(move || tree.archive(&commit, &directory)).await?;
        // The same files that a sandbox builds from: an engine's builder itself knows nothing of `.dockerignore`.
        let context = source::without_ignored(&archive)?;
        let spec = BuildSpec {
            tag: build.image.to_string(),
            context: context.into(),
            arguments: [("BASE".to_owned(), build.base.to_string())].into(),
            labels: labels(plan, build),
        };
        self.engine.build(spec, &mut |line| self.observer.step(&task, line)).await?;
        self.observer.finished(&task, &format!("from source {}", plan.source.short()));
        Ok(())
    }

    async fn push(&self, image: &ImageRef) -> Result<ImageRef, Error> {
        let task = format!("push {}", image.short_name());
        self.observer.started(&task);
        let mut progress = |layer: LayerProgress| {
            let (done, total) = (layer.done, layer.total);
            self.observer.event(Event::Progress { task: task.clone(), done, total });
        };
        let digest = self.engine.push(image, self.credentials.get(image.registry()), &mut progress).await?;
        self.observer.finished(&task, &format!("{} in {}", digest.short(), image.repository()));
        Ok(image.at(digest))
    }
}

/// What the image says of itself (OCI image specification 1.1, annotations).
fn labels(plan: &Plan, build: &Build) -> BTreeMap<String, String> {
    // What its base says of itself an image inherits; an empty text takes it back.
    let inherited = [about::SOURCE, about::OWNER, about::END_OF_LIFE, about::DEPRECATED];
    let mut labels: BTreeMap<String, String> = inherited.map(|key| (key.to_owned(), String::new())).into();
    labels.insert(about::REVISION.to_owned(), plan.source.to_string());
    labels.insert(about::BASE_NAME.to_owned(), build.base_name.to_string());
    labels.extend(build.base.digest().map(|digest| (about::BASE_DIGEST.to_owned(), digest.to_string())));
    labels
}
