//! Snapshots: the data of a sandbox at a moment, under a name, for every sandbox of the project.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;

use super::{Carrier, DataVolume, Freezing, Frozen, Inventory, Maker, freeze};
use crate::engine::{Engine, Volume, label};
use crate::name::Name;
use crate::sandbox::plan::data_labels;
use crate::sandbox::{Error, SandboxId, ServiceId};

/// How long a service may take to end cleanly before its data is frozen, in seconds.
const GRACE: u8 = 60;

/// A snapshot that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// The services whose data it holds.
    pub services: Vec<ServiceId>,
    /// The sandbox it was made of.
    pub sandbox: String,
    /// When, RFC 3339.
    pub made: String,
    /// Where it was pulled from, by digest; none for one that was saved here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// The volumes it is made of, by service.
    #[serde(skip)]
    pub parts: BTreeMap<ServiceId, Frozen>,
}

/// The snapshots of a project, the newest first.
pub fn list(inventory: &Inventory, id: &SandboxId) -> Vec<Snapshot> {
    let mut all: BTreeMap<&str, Vec<&Volume>> = BTreeMap::new();
    for volume in inventory.snapshots(&id.home()) {
        all.entry(volume.labels[label::SNAPSHOT].as_str()).or_default().push(volume);
    }
    let mut found: Vec<Snapshot> = all.into_iter().filter_map(|(name, volumes)| Snapshot::of(name, &volumes)).collect();
    found.sort_by(|a, b| b.made.cmp(&a.made));
    found
}

/// The snapshot of this name.
pub fn find(inventory: &Inventory, id: &SandboxId, name: &Name) -> Result<Snapshot, Error> {
    let all = list(inventory, id);
    let known = all.iter().map(|snapshot| snapshot.name.clone()).collect();
    let found = all.into_iter().find(|snapshot| snapshot.name == name.as_str());
    found.ok_or_else(|| Error::NoSnapshot { project: id.project.to_string(), snapshot: name.to_string(), known })
}

/// Parts of snapshots that lack the others.
pub(super) fn cut_off(inventory: &Inventory) -> Vec<&Volume> {
    let mut all: BTreeMap<(&str, &str), Vec<&Volume>> = BTreeMap::new();
    for volume in inventory.marked(label::SNAPSHOT) {
        let text = |key: &str| volume.labels.get(key).map(String::as_str).unwrap_or_default();
        all.entry((text(label::PROJECT), text(label::SNAPSHOT))).or_default().push(volume);
    }
    all.retain(|(_, name), volumes| Snapshot::of(name, volumes).is_none());
    all.into_values().flatten().collect()
}

impl Snapshot {
    /// Where it comes from, for people.
    pub fn origin(&self) -> String {
        let pulled = self.artifact.as_ref().and_then(|from| from.split('@').next());
        pulled.map_or_else(|| format!("of {}", self.sandbox), |from| format!("from {from}"))
    }

    /// Reads its volumes; none while one is missing.
    fn of(name: &str, volumes: &[&Volume]) -> Option<Self> {
        let parts: BTreeMap<ServiceId, Frozen> =
            volumes.iter().filter_map(|volume| Frozen::of(volume)).map(|part| (part.service.clone(), part)).collect();
        let label = |key: &str| volumes.first().and_then(|volume| volume.labels.get(key)).cloned();
        let whole: BTreeSet<String> = label(label::PARTS)?.split(',').map(str::to_owned).collect();
        let there: BTreeSet<String> = parts.keys().map(ToString::to_string).collect();
        let made = parts.values().map(|part| part.made.clone()).max()?;
        let (name, services) = (name.to_owned(), parts.keys().cloned().collect());
        let artifact = label(label::ARTIFACT);
        (there == whole).then_some(Self { name, services, sandbox: label(label::MADE_FOR)?, made, artifact, parts })
    }
}

/// What `snapshot save` will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavePlan {
    /// The snapshot.
    pub snapshot: Name,
    /// The sandbox.
    pub sandbox: String,
    /// The services whose data is saved.
    pub services: Vec<ServiceId>,
    /// Containers that end for it.
    pub stop: Vec<String>,
    #[serde(skip)]
    saved: Vec<DataVolume>,
    #[serde(skip)]
    id: SandboxId,
    #[serde(skip)]
    image: String,
}

/// Looks at what a sandbox has to save.
pub async fn plan_save(engine: &Engine, id: &SandboxId, name: &Name) -> Result<SavePlan, Error> {
    let labels = [(label::SANDBOX, id.as_str())];
    let (inventory, containers) = try_join(Inventory::read(engine), engine.containers(&labels)).await?;
    if list(&inventory, id).iter().any(|snapshot| snapshot.name == name.as_str()) {
        return Err(Error::SnapshotThere { project: id.project.to_string(), snapshot: name.to_string() });
    }
    let saved = inventory.current(id);
    if saved.is_empty() {
        return Err(Error::NoData { sandbox: id.to_string() });
    }
    let services: Vec<ServiceId> = saved.iter().map(|data| data.service.clone()).collect();
    let holds = |label: Option<&String>| {
        label.and_then(|label| label.parse().ok()).is_some_and(|service: ServiceId| services.contains(&service))
    };
    let stop = containers.iter().filter(|container| holds(container.labels.get(label::SERVICE)));
    let stop = stop.map(|container| container.name.clone()).collect();
    let image = match containers.first() {
        Some(container) => container.image_id.clone(),
        None => any_image(engine, id).await?,
    };
    Ok(SavePlan { snapshot: name.clone(), sandbox: id.to_string(), services, stop, saved, id: id.clone(), image })
}

/// An image that is there, for containers that never run.
pub async fn any_image(engine: &Engine, id: &SandboxId) -> Result<String, Error> {
    engine.any_image().await?.ok_or_else(|| Error::NoImages { sandbox: id.to_string() })
}

/// Ends the services, so that what they hold is whole, and freezes it. The next `up` starts them again.
pub async fn save(engine: &Engine, plan: &SavePlan) -> Result<(), Error> {
    try_join_all(plan.stop.iter().map(|name| engine.stop_container(name, GRACE))).await?;
    for name in &plan.stop {
        if engine.wait_for_exit(name).await?.by_force() {
            return Err(Error::NotWhole { container: name.clone(), seconds: GRACE });
        }
    }
    try_join_all(plan.stop.iter().map(|name| engine.remove_container(name))).await?;
    // Parts of one that was cut off would keep their names, and what they hold.
    remove_cut_off(engine, &Inventory::read(engine).await?, &plan.id, &plan.snapshot).await?;
    let maker = Maker { engine, id: &plan.id, image: &plan.image };
    let marks = marks(&plan.snapshot, &plan.services);
    try_join_all(plan.saved.iter().map(|data| {
        let name = volume(&plan.id, &plan.snapshot, &data.service);
        let next = data.next(&plan.id);
        let labels = data_labels(&plan.id, &data.service, data.seed.as_deref(), data.secrets.as_deref());
        let (maker, marks) = (&maker, &marks);
        async move { freeze(maker, &Freezing { data, labels: &labels, next: &next, name: &name, marks }).await }
    }))
    .await?;
    super::sweep(engine, plan.id.as_str(), &[]).await?;
    Ok(())
}

/// What a part of a snapshot is called.
pub(super) fn volume(id: &SandboxId, snapshot: &Name, part: &ServiceId) -> String {
    let ServiceId { app, service } = part;
    format!("onramp.snapshot.{}.{snapshot}.{app}.{service}", id.home())
}

/// What is written on each part of a snapshot of these services.
pub(super) fn marks<'a>(snapshot: &Name, services: impl IntoIterator<Item = &'a ServiceId>) -> [(String, String); 2] {
    let services: Vec<String> = services.into_iter().map(ToString::to_string).collect();
    [(label::SNAPSHOT.to_owned(), snapshot.to_string()), (label::PARTS.to_owned(), services.join(","))]
}

/// Takes away parts of a snapshot that was cut off before it was whole.
pub(super) async fn remove_cut_off(
    engine: &Engine,
    inventory: &Inventory,
    id: &SandboxId,
    name: &Name,
) -> Result<(), Error> {
    let home = id.home();
    let of_this = |volume: &&Volume| volume.labels[label::SNAPSHOT] == name.as_str();
    let cut_off = inventory.snapshots(&home).filter(of_this);
    try_join_all(cut_off.map(|volume| engine.remove_volume(&volume.name))).await?;
    Ok(())
}

/// Takes a snapshot away. Sandboxes that began with it keep their data.
pub async fn remove(engine: &Engine, id: &SandboxId, snapshot: &Snapshot) -> Result<(), Error> {
    // What a killed onramp had begun to read or to fill is in use.
    Carrier::sweep(engine, id).await?;
    try_join_all(snapshot.parts.values().map(|part| engine.remove_volume(&part.name))).await?;
    let freed: Vec<String> = snapshot.parts.values().flat_map(|part| part.layers.clone()).collect();
    super::sweep(engine, id.as_str(), &freed).await?;
    Ok(())
}
