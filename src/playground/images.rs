//! The playground's images: built where their definition is new, published where the registry lacks them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::watch;

use super::definition::Definition;
use super::{Error, Playground, rootfs};
use crate::engine::{BuildSpec, Engine, label};
use crate::event::{Event, Observer};
use crate::reference::{Digest, ImageRef};
use crate::registry::Registry;

/// Builds those definitions that the engine has no image of, each as soon as its parent is there.
pub async fn build(
    engine: &Engine,
    definitions: &[&Definition],
    home: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<(), Error> {
    let gates: BTreeMap<&str, watch::Sender<bool>> =
        definitions.iter().map(|definition| (definition.name.as_str(), watch::Sender::new(false))).collect();
    let builds = definitions.iter().map(|definition| {
        let parent =
            definition.parent.as_ref().and_then(|parent| gates.get(parent.as_str())).map(watch::Sender::subscribe);
        let gate = &gates[definition.name.as_str()];
        let parent_name = definitions.iter().find(|other| Some(&other.name) == definition.parent.as_ref());
        async move {
            if let Some(mut parent) = parent {
                let _ = parent.wait_for(|built| *built).await;
            }
            build_one(engine, definition, parent_name.copied(), home, observer).await?;
            gate.send_replace(true);
            Ok::<_, Error>(())
        }
    });
    try_join_all(builds).await.map(|_| ())
}

async fn build_one(
    engine: &Engine,
    definition: &Definition,
    parent: Option<&Definition>,
    home: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<(), Error> {
    let tag = definition.local_name();
    if engine.image(&tag).await?.is_some() {
        return Ok(());
    }
    let task = format!("build {}", definition.path);
    observer.started(&task);
    let base = match (&definition.rootfs, parent) {
        (Some(rootfs), _) => rootfs::prepare(engine, definition, rootfs, home, observer).await?,
        (None, Some(parent)) => parent.local_name(),
        (None, None) => {
            return Err(Error::Template { what: definition.path.clone(), why: "neither parent nor rootfs".into() });
        }
    };
    let spec = BuildSpec {
        tag,
        context: definition.context(),
        arguments: [("BASE".to_owned(), base)].into(),
        labels: [(label::DEFINITION.to_owned(), definition.key.to_string())].into(),
    };
    engine.build(spec, &mut |step| observer.step(&task, step)).await?;
    observer.finished(&task, &definition.tag);
    Ok(())
}

/// Where a definition's image goes in the playground's registry.
pub fn place(playground: &Playground, definition: &Definition) -> ImageRef {
    let text = format!("{}/{}:{}", playground.registry(), definition.path, definition.tag);
    text.parse().expect("definitions have names and tags of the right form")
}

/// The digest under which the registry holds an image of exactly this definition; none where it does not.
pub async fn published(
    registry: &Registry,
    place: &ImageRef,
    definition: &Definition,
) -> Result<Option<Digest>, Error> {
    let Some(facts) = registry.find(place).await? else { return Ok(None) };
    let same = facts.labels.get(label::DEFINITION) == Some(&definition.key.to_string());
    Ok(same.then_some(facts.digest))
}

/// Pushes an image to the playground's registry, unless it is there; its digest.
pub async fn publish(
    engine: &Engine,
    registry: &Registry,
    playground: &Playground,
    definition: &Definition,
    observer: &Arc<dyn Observer>,
) -> Result<ImageRef, Error> {
    let place = place(playground, definition);
    if let Some(digest) = published(registry, &place, definition).await? {
        return Ok(place.at(digest));
    }
    let task = format!("push {}", definition.path);
    observer.started(&task);
    engine.tag(&definition.local_name(), &place.repository(), &definition.tag).await?;
    let mut progress = |layer: crate::engine::LayerProgress| {
        observer.event(Event::Progress { task: task.clone(), done: layer.done, total: layer.total });
    };
    let digest = engine.push(&place, None, &mut progress).await?;
    // The registry's name is taken off again, so that the engine has it only once somebody pulled it: as at work.
    engine.untag(&place.to_string()).await?;
    observer.finished(&task, digest.short());
    Ok(place.at(digest))
}
