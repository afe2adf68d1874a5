//! Taking the playground away: exactly what carries its label, and its directory.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::{Error, Playground};
use crate::engine::{Engine, label};
use crate::files::FileError;
use crate::sandbox::data::Inventory;

/// What `playground down` removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The playground.
    pub playground: Playground,
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Names of images.
    pub images: Vec<String>,
}

/// Looks for what is the playground's.
pub async fn plan(engine: &Engine, playground: &Playground, keep_images: bool) -> Result<Plan, Error> {
    let own = [(label::PLAYGROUND, playground.id.as_str())];
    let mut containers: Vec<String> = engine.containers(&own).await?.into_iter().map(|c| c.name).collect();
    let mut volumes: Vec<String> = engine.volumes(&own).await?.into_iter().map(|volume| volume.name).collect();
    // Sandboxes of tours that did not end: their project lies in the playground's directory, which goes.
    let sandboxes = [(label::SANDBOX, "")];
    let inside = |labels: &HashMap<String, String>| {
        labels.get(label::PROJECT_DIR).is_some_and(|directory| Path::new(directory).starts_with(&playground.home))
    };
    containers.extend(engine.containers(&sandboxes).await?.into_iter().filter(|c| inside(&c.labels)).map(|c| c.name));
    // Their data, and what was made from it there, unless a sandbox elsewhere is a clone of it.
    volumes.extend(Inventory::read(engine).await?.only_of(|volume| inside(&volume.labels)));
    let networks = engine.networks(&sandboxes).await?.into_iter().filter(|(_, l)| inside(l)).map(|(name, _)| name);
    let networks = networks.collect();
    // Built images are named by their content, and shared by every playground on this engine.
    let everyones = engine.containers(&[(label::PLAYGROUND, "")]).await?;
    let others = everyones.iter().any(|container| container.labels.get(label::PLAYGROUND) != Some(&playground.id));
    let registry = format!("{}/", playground.registry());
    let ours = |name: &&String| name.starts_with(&registry) || (!others && name.starts_with("onramp-playground/"));
    let mut images = Vec::new();
    if !keep_images {
        for image in engine.images_labelled(&[(label::DEFINITION, "")]).await? {
            images.extend(image.repo_tags.iter().chain(&image.repo_digests).filter(ours).cloned());
        }
        images.sort();
    }
    Ok(Plan { playground: playground.clone(), containers, networks, volumes, images })
}

/// Removes what the plan names.
pub async fn apply(engine: &Engine, plan: &Plan) -> Result<(), Error> {
    for container in &plan.containers {
        engine.remove_container(container).await?;
    }
    for network in &plan.networks {
        engine.remove_network(network).await?;
    }
    for volume in &plan.volumes {
        engine.remove_volume(volume).await?;
    }
    for image in &plan.images {
        engine.untag(image).await?;
    }
    let home = &plan.playground.home;
    match std::fs::remove_dir_all(home) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::io("remove", home)(error).into()),
        _ => Ok(()),
    }
}
