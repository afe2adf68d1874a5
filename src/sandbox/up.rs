//! Making a sandbox what its plan says: pulls and builds, then every service as soon as its needs are ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all, try_join_all};
use serde::Serialize;
use tempfile::SpooledTempFile;
use tokio::sync::watch;

use super::bring::{Bringing, Brought};
use super::data::{self, Inventory, Maker};
use super::mask::Masks;
use super::plan::{Action, BuildPlan, Filling, Plan, VolumePlan, sandbox_labels};
use super::source::{self, Context};
use super::{Error, ServiceId, full, gate, router, seed};
use crate::engine::{Backing, BuildSpec, Engine, VolumeSpec, label};
use crate::event::Observer;
use crate::task::blocking;

/// A service that runs and answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Which.
    pub service: ServiceId,
    /// What was done for it.
    pub action: Action,
    /// Where it answers on this machine; none for a service without a port.
    pub url: Option<String>,
    /// Where it answers by name, through the router.
    pub named: Option<String>,
    /// What it answered.
    pub answer: String,
    /// How many files were copied into it, or removed from it, to make it equal to the project.
    pub copied: usize,
    /// From the beginning of `up`, in milliseconds.
    pub ready_ms: u64,
}

/// Makes the sandbox what the plan says. The plan's pulls must have been made.
pub async fn apply(
    engine: &Engine,
    state: &Path,
    plan: &Plan,
    limit: Duration,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Running>, Error> {
    let began = Instant::now();
    // Seeds that cannot be read are told before anything is touched.
    let seeds = pack_seeds(plan).await?;
    prepare(engine, plan, observer).await?;
    if plan.renew_network || !plan.has_gate() {
        gate::end(state, plan.sandbox.as_str()).await?;
    }
    if plan.renew_network {
        // A network goes only once nobody is on it.
        try_join_all(plan.services.iter().map(|service| engine.remove_container(&service.spec.name))).await?;
        try_join_all(plan.remove.iter().map(|name| engine.remove_container(name))).await?;
        let relays = plan.services.iter().filter_map(|service| service.relay.as_ref());
        try_join_all(relays.map(|relay| engine.remove_container(&relay.name))).await?;
        try_join_all(plan.former_networks.iter().map(|name| engine.remove_network(name))).await?;
    }
    // A data volume that others take over from goes last, and comes back where they do not answer. An engine with thousands of
    // images takes seconds to list them.
    let (made, builds) =
        join(make(engine, state, plan, &seeds, limit, observer, began), former_builds(engine, plan)).await;
    let running = match made {
        Ok(running) => running,
        Err(error) => {
            // Going back makes room.
            let error = full::of(engine.place(), error);
            if let Err(left) = go_back(engine, plan, observer).await {
                observer.note(&format!("the data that was there before could not be brought back: {left}"));
            }
            return Err(error);
        }
    };
    remove_former_data(engine, plan).await?;
    for tag in builds? {
        engine.untag(&tag).await?;
    }
    Ok(running)
}

/// Sees to it that the services that run are reached by their names, at this port if one is set; and that no router is left that
/// nobody asks for any more.
pub async fn name(
    engine: &Engine,
    state: &Path,
    port: Option<u16>,
    plan: &Plan,
    services: &mut [Running],
) -> Result<(), Error> {
    if !plan.has_names() {
        return router::end_unwanted(engine, state).await;
    }
    let standing = router::ensure(engine, state, port).await?;
    for service in services {
        let planned = plan.services.iter().find(|planned| planned.service == service.service);
        service.named = planned.and_then(|planned| planned.hostname.as_ref()).map(|name| standing.url(name));
    }
    Ok(())
}

/// Builds what the plan builds.
pub async fn build_all(engine: &Engine, plan: &Plan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let builds = plan.build.iter().map(|build| self::build(engine, plan.sandbox.builder(), build, observer));
    try_join_all(builds).await.map(drop)
}

/// Makes what services are made of: images and data. Where some of it cannot be made, the data is taken away again.
async fn prepare(engine: &Engine, plan: &Plan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let volumes = join_all(plan.volumes.iter().map(|volume| fill(engine, plan, volume)));
    // All of it comes to its end, also where a part fails: what goes back must not be overtaken.
    let (built, filled) = join(build_all(engine, plan, observer), volumes).await;
    let filled: Result<(), _> = filled.into_iter().collect();
    let made = built.and(filled.map_err(Error::from));
    if made.is_err()
        && let Err(left) = try_join_all(plan.volumes.iter().map(|volume| discard(engine, plan, volume))).await
    {
        observer.note(&format!("data that was just made is left: {left}"));
    }
    made
}

/// Makes the network and the services.
async fn make(
    engine: &Engine,
    state: &Path,
    plan: &Plan,
    seeds: &Packed,
    limit: Duration,
    observer: &Arc<dyn Observer>,
    began: Instant,
) -> Result<Vec<Running>, Error> {
    let failed = watch::Sender::new(false);
    let connected = watch::Sender::new(false);
    let network = async {
        let made = connect(engine, state, plan).await;
        match &made {
            Ok(()) => connected.send_replace(true),
            Err(_) => failed.send_replace(true),
        };
        made
    };
    let services = async {
        try_join_all(plan.remove.iter().map(|name| engine.remove_container(name))).await?;
        let bringing = Bringing { engine, sandbox: &plan.sandbox, seeds, limit, observer, failed: failed.subscribe() };
        bring_all(&bringing, plan, &connected, &failed, began).await
    };
    let (network, brought) = join(network, services).await;
    network?;
    brought
}

/// Makes the networks that services are started on, and the gate beside them.
async fn connect(engine: &Engine, state: &Path, plan: &Plan) -> Result<(), Error> {
    let networks = plan.networks.iter().map(|spec| async move {
        let id = engine.create_network(spec).await?;
        engine.remove_namesakes(&spec.name, &id).await
    });
    try_join_all(networks).await?;
    if plan.has_gate() {
        gate::ensure(engine, state, &plan.sandbox).await?;
    }
    Ok(())
}

/// Brings every service up as soon as the network is there and its needs are ready.
async fn bring_all(
    bringing: &Bringing<'_>,
    plan: &Plan,
    connected: &watch::Sender<bool>,
    failed: &watch::Sender<bool>,
    began: Instant,
) -> Result<Vec<Running>, Error> {
    let gates: BTreeMap<&ServiceId, watch::Sender<bool>> =
        plan.services.iter().map(|service| (&service.service, watch::Sender::new(false))).collect();
    let services = plan.services.iter().map(|service| {
        let needs: Vec<watch::Receiver<bool>> = service.needs.iter().map(|need| gates[need].subscribe()).collect();
        let gate = &gates[&service.service];
        async move {
            let brought = bringing.service(service, connected.subscribe(), needs).await;
            match &brought {
                Ok(Some(_)) => drop(gate.send_replace(true)),
                Ok(None) => {}
                Err(_) => drop(failed.send_replace(true)),
            }
            let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let running = |Brought { url, answer, action, copied }| Running {
                service: service.service.clone(),
                action,
                url,
                named: None,
                answer,
                copied,
                ready_ms,
            };
            Ok::<_, Error>(brought?.map(running))
        }
    });
    let brought: Result<Vec<Option<Running>>, Error> = join_all(services).await.into_iter().collect();
    Ok(brought?.into_iter().flatten().collect())
}

/// The seed files of services as tars, each to be taken once.
pub(super) type Packed = Mutex<BTreeMap<ServiceId, SpooledTempFile>>;

/// Unpacks the seed files that are put into containers, and packs them for these.
async fn pack_seeds(plan: &Plan) -> Result<Packed, Error> {
    let made = plan.services.iter().filter(|service| matches!(service.action, Action::Create | Action::Replace));
    let seeded = made.filter(|service| !service.seed.is_empty());
    let seeded: Vec<_> =
        seeded.map(|service| (service.service.clone(), service.seed.clone(), service.masks.clone())).collect();
    let packed = |(service, files, masks): (ServiceId, Vec<_>, Option<Masks>)| {
        Ok((service, seed::pack(&files, masks.as_ref())?))
    };
    let pack = move || seeded.into_iter().map(packed).collect();
    let packed: Result<BTreeMap<_, _>, Error> = blocking(pack).await;
    packed.map(Mutex::new)
}

/// Makes a data volume as it is to begin.
async fn fill(engine: &Engine, plan: &Plan, volume: &VolumePlan) -> Result<(), crate::engine::Error> {
    let service = plan.services.iter().find(|service| service.service == volume.service);
    let image = service.map_or("", |service| service.image.as_str());
    let maker = Maker { engine, id: &plan.sandbox, image };
    let seeding = plan.sandbox.seeding(&volume.name);
    if volume.begins == Filling::Empty {
        let labels = sandbox_labels(&plan.sandbox).chain([(label::SEEDING.to_owned(), volume.name.clone())]).collect();
        engine.create_volume(&VolumeSpec { name: Some(seeding), labels, backing: Backing::Own }).await?;
    } else {
        // One that was killed before it made the volume left it.
        engine.remove_volume(&seeding).await?;
    }
    match &volume.begins {
        Filling::Empty => data::fresh(&maker, &volume.name, &volume.labels).await,
        Filling::Golden(frozen) | Filling::Snapshot(frozen) => {
            data::clone(&maker, frozen, &volume.name, &volume.labels).await
        }
    }
}

/// Takes away the data that was taken over from, and what it alone lay on.
async fn remove_former_data(engine: &Engine, plan: &Plan) -> Result<(), Error> {
    if plan.volumes.is_empty() && plan.former.is_empty() {
        return Ok(());
    }
    try_join_all(plan.former.iter().map(|data| engine.remove_volume(&data.name))).await?;
    let unfinished = plan.former.iter().filter(|data| data.unfinished);
    try_join_all(unfinished.map(|data| async { engine.remove_volume(&plan.sandbox.seeding(&data.name)).await }))
        .await?;
    let freed: Vec<String> = plan.former.iter().flat_map(|data| data.layers.clone()).collect();
    Ok(data::sweep(engine, plan.sandbox.as_str(), &freed).await?)
}

/// Takes away the data that was to take over, with whatever uses it: what was there before is the sandbox's data again.
async fn go_back(engine: &Engine, plan: &Plan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let there = Inventory::read(engine).await?.of_sandbox(&plan.sandbox);
    for volume in &plan.volumes {
        let Some(service) = plan.services.iter().find(|service| service.service == volume.service) else { continue };
        // What a service did not come to answer with is nobody's data either.
        let unfinished = there.iter().any(|data| data.name == volume.name && data.unfinished);
        if !volume.takes_over && !unfinished {
            continue;
        }
        engine.remove_container(&service.spec.name).await?;
        discard(engine, plan, volume).await?;
        let what = if volume.takes_over { "as it was before" } else { "none, as before" };
        observer.note(&format!("the data of {} is {what}; `onramp up` starts it again", volume.service));
    }
    // What it lay on may be what fills the disk.
    Ok(data::sweep(engine, plan.sandbox.as_str(), &[]).await?)
}

/// Removes new data that no container uses.
async fn discard(engine: &Engine, plan: &Plan, volume: &VolumePlan) -> Result<(), Error> {
    let golden = plan.services.iter().filter(|service| service.service == volume.service);
    let next = golden.filter_map(|service| service.golden.as_ref()).map(|golden| &golden.next);
    for name in std::iter::once(&volume.name).chain(next) {
        engine.remove_container(&plan.sandbox.carrier(name)).await?;
        engine.remove_volume(name).await?;
    }
    Ok(engine.remove_volume(&plan.sandbox.seeding(&volume.name)).await?)
}

/// The images that services which are built now were built as before, and those of what is not mixed in any more.
async fn former_builds(engine: &Engine, plan: &Plan) -> Result<Vec<String>, Error> {
    if plan.build.is_empty() && !plan.unmixed {
        return Ok(Vec::new());
    }
    let images = engine.images_labelled(&[(label::SANDBOX, plan.sandbox.as_str())]).await?;
    let current = |tag: &String| plan.services.iter().any(|service| service.image == *tag);
    // Labels are inherited: an image that somebody built on ours, or named anew, is theirs.
    let ours = |tag: &String| tag.starts_with(&plan.sandbox.image_prefix()) && !current(tag);
    Ok(images.into_iter().flat_map(|image| image.repo_tags).filter(ours).collect())
}

async fn build(engine: &Engine, sandbox: &str, plan: &BuildPlan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let task = format!("build {}", plan.service);
    observer.started(&task);
    let context = plan.context.clone();
    let tar = blocking(move || Context::read(&context)?.tar()).await?;
    let labels = BTreeMap::from([(label::SANDBOX.to_owned(), sandbox.to_owned())]);
    // What is not whole yet has another name.
    let tag = if plan.over.is_empty() { plan.tag.clone() } else { format!("{}.below", plan.tag) };
    let spec = BuildSpec {
        tag: tag.clone(),
        context: tar.into(),
        arguments: plan.base.iter().map(|base| ("BASE".to_owned(), base.to_string())).collect(),
        labels: labels.clone(),
    };
    let below = engine.build(spec, &mut |step| observer.step(&task, step)).await?;
    if !plan.over.is_empty() {
        let over = plan.over.clone();
        let context = blocking(move || source::over(&below, &over)).await?.into();
        let spec = BuildSpec { tag: plan.tag.clone(), context, arguments: BTreeMap::new(), labels };
        engine.build(spec, &mut |step| observer.step(&task, step)).await?;
        engine.untag(&tag).await?;
    }
    let on = plan.base.as_ref().map_or_else(|| plan.tag.clone(), |base| format!("on {}", base.short_name()));
    observer.finished(&task, &on);
    Ok(())
}
