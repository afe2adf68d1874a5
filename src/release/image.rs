//! Building what is deployed: from the commit's own files, on the locked base, pushed for its digest.

use std::collections::BTreeMap;

use super::deployment::Build;
use super::{Error, Plan, blocking};
use crate::engine::{BuildSpec, Credentials, Engine};
use crate::event::{Event, Observer};
use crate::git::Worktree;
use crate::name::Name;
use crate::reference::ImageRef;

/// Builds and pushes the plan's images; every built service's image, by digest, those that were there before among them.
pub async fn build(
    engine: &Engine,
    credentials: Option<&Credentials>,
    worktree: &Worktree,
    project: &std::path::Path,
    plan: &Plan,
    observer: &dyn Observer,
) -> Result<BTreeMap<Name, ImageRef>, Error> {
    let mut images = plan.reused.clone();
    for build in &plan.builds {
        let image = one(engine, credentials, worktree, project, plan, build, observer).await?;
        images.insert(build.service.clone(), image);
    }
    Ok(images)
}

async fn one(
    engine: &Engine,
    credentials: Option<&Credentials>,
    worktree: &Worktree,
    project: &std::path::Path,
    plan: &Plan,
    build: &Build,
    observer: &dyn Observer,
) -> Result<ImageRef, Error> {
    let task = format!("build {}", build.image.short_name());
    observer.started(&task);
    let (tree, directory) = (worktree.clone(), project.join(&build.context));
    let commit = plan.source.clone();
    let context = blocking(move || tree.archive(&commit, &directory)).await?;
    let spec = BuildSpec {
        tag: build.image.to_string(),
        context,
        arguments: [("BASE".to_owned(), build.base.to_string())].into(),
        labels: [("org.opencontainers.image.revision".to_owned(), plan.source.to_string())].into(),
    };
    engine.build(spec, &mut |line| observer.step(&task, line)).await?;
    observer.finished(&task, &format!("from source {}", plan.source.short()));

    let task = format!("push {}", build.image.short_name());
    observer.started(&task);
    let mut progress = |layer: crate::engine::LayerProgress| {
        let (done, total) = (layer.done, layer.total);
        observer.event(Event::Progress { task: task.clone(), done, total });
    };
    let digest = engine.push(&build.image, credentials, &mut progress).await?;
    observer.finished(&task, &format!("{} in {}", digest.short(), build.image.repository()));
    Ok(build.image.at(digest))
}
