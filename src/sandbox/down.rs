//! Taking a sandbox away: its containers and network, and its data where that was asked for.

use std::path::Path;

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;

use super::data::{self, layers};
use super::identity::image_prefix;
use super::{Error, gate, router};
use crate::engine::{Engine, Volume, label};

/// How long a service with data may take to end cleanly, in seconds.
const GRACE: u8 = 10;

/// What `down` removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The sandbox.
    pub sandbox: String,
    /// Containers; those with data end cleanly first.
    pub containers: Vec<Removal>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Images that were built for it.
    pub images: Vec<String>,
    /// Volumes that stay.
    pub kept: Vec<String>,
    /// The layers that those which go lie on.
    #[serde(skip)]
    freed: Vec<String>,
}

impl Plan {
    /// Nothing goes.
    pub fn nothing(sandbox: &str) -> Self {
        Self {
            sandbox: sandbox.to_owned(),
            containers: Vec::new(),
            networks: Vec::new(),
            volumes: Vec::new(),
            images: Vec::new(),
            kept: Vec::new(),
            freed: Vec::new(),
        }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty() && self.images.is_empty()
    }
}

/// A container to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its name.
    pub name: String,
    /// Whether it has data to write out.
    pub has_data: bool,
}

/// Looks at what carries the sandbox's label; nothing else is ever touched.
pub async fn plan(engine: &Engine, sandbox: &str, data: bool) -> Result<Plan, Error> {
    let labels = [(label::SANDBOX, sandbox)];
    let (containers, (networks, volumes)) =
        try_join(engine.containers(&labels), try_join(engine.networks(&labels), engine.volumes(&labels))).await?;
    let filled: Vec<&String> = volumes.iter().filter_map(|volume| volume.labels.get(label::SERVICE)).collect();
    let has_data = |c: &crate::engine::Container| {
        c.running && c.labels.get(label::SERVICE).is_some_and(|service| filled.contains(&service))
    };
    let removals =
        containers.iter().map(|c| Removal { has_data: !data && has_data(c), name: c.name.clone() }).collect();
    let freed = volumes.iter().filter(|_| data).flat_map(layers).collect();
    // What holds secrets holds nothing once no container has it.
    let goes = |volume: &Volume| data || volume.labels.contains_key(label::SECRET_FILES);
    let (volumes, kept): (Vec<Volume>, Vec<Volume>) = volumes.into_iter().partition(goes);
    let names = |volumes: Vec<Volume>| volumes.into_iter().map(|volume| volume.name).collect();
    let (volumes, kept): (Vec<String>, Vec<String>) = (names(volumes), names(kept));
    let networks = networks.into_iter().map(|(name, _)| name).collect();
    // Images stay with the data: the next `up` need not build.
    let built = if data { engine.images_labelled(&labels).await? } else { Vec::new() };
    // Labels are inherited: an image that somebody built on ours, or named anew, is theirs.
    let ours = |tag: &String| tag.starts_with(&image_prefix(sandbox));
    let images = built.into_iter().flat_map(|image| image.repo_tags).filter(ours).collect();
    Ok(Plan { sandbox: sandbox.to_owned(), containers: removals, networks, volumes, images, kept, freed })
}

/// Removes what the plan names.
pub async fn apply(engine: &Engine, state: &Path, plan: &Plan) -> Result<(), Error> {
    let remove = |removal: &Removal| {
        let removal = removal.clone();
        async move {
            if removal.has_data {
                engine.stop_container(&removal.name, GRACE).await?;
            }
            engine.remove_container(&removal.name).await
        }
    };
    try_join_all(plan.containers.iter().map(remove)).await?;
    engine.remove_secrets(&[(label::SANDBOX, plan.sandbox.as_str())]).await?;
    if !plan.networks.is_empty() {
        gate::end(state, &plan.sandbox).await?;
    }
    let networks = try_join_all(plan.networks.iter().map(|name| engine.remove_network(name)));
    let volumes = try_join_all(plan.volumes.iter().map(|name| engine.remove_volume(name)));
    try_join(networks, volumes).await?;
    if !plan.volumes.is_empty() {
        data::sweep(engine, &plan.sandbox, &plan.freed).await?;
    }
    for image in &plan.images {
        engine.untag(image).await?;
    }
    router::end_unwanted(engine, state).await
}

/// Takes it away, and what the engine was still at for it meanwhile.
pub async fn all(engine: &Engine, state: &Path, sandbox: &str, data: bool) -> Result<(), Error> {
    loop {
        let plan = plan(engine, sandbox, data).await?;
        if plan.is_empty() {
            return Ok(());
        }
        apply(engine, state, &plan).await?;
        // An image that somebody uses stays.
        if plan.containers.is_empty() && plan.networks.is_empty() && plan.volumes.is_empty() {
            return Ok(());
        }
    }
}
