//! Making a sandbox what its plan says: pulls and builds, then every service as soon as its needs are ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;
use tokio::sync::watch;

use super::data::{self, Golden, Maker};
use super::plan::{Action, BuildPlan, Filling, Plan, ServicePlan, VolumePlan};
use super::source::Context;
use super::{Error, SandboxId, ServiceId, ready};
use crate::engine::{BuildSpec, Engine, label};
use crate::event::Observer;
use crate::files::{self, FileError};
use crate::project::service::Service;
use crate::task::blocking;

/// Where images with database seeds look for them, by the convention of Docker's official images.
const SEED_DIRECTORY: &str = "docker-entrypoint-initdb.d";
/// How long a service may take to end cleanly after its seeds went in, in seconds.
const GRACE: u8 = 60;
/// What a program ends with that was ended by force: 128 and the signal's number.
const KILLED: i64 = 137;
/// The largest seed file, in bytes.
pub(super) const SEED_CAP: u64 = 256 * 1024 * 1024;

/// A service that runs and answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Which.
    pub service: ServiceId,
    /// What was done for it.
    pub action: Action,
    /// Where it answers on this machine; none for a service without a port.
    pub url: Option<String>,
    /// What it answered.
    pub answer: String,
    /// From the beginning of `up`, in milliseconds.
    pub ready_ms: u64,
}

/// Makes the sandbox what the plan says. The plan's pulls must have been made.
pub async fn apply(
    engine: &Engine,
    plan: &Plan,
    limit: Duration,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<Running>, Error> {
    let began = Instant::now();
    let builds = plan.build.iter().map(|build| self::build(engine, plan.sandbox.builder(), build, observer));
    try_join_all(builds).await?;
    if plan.renew_network {
        // A network goes only once nobody is on it.
        try_join_all(plan.services.iter().map(|service| engine.remove_container(&service.spec.name))).await?;
        try_join_all(plan.remove.iter().map(|name| engine.remove_container(name))).await?;
        engine.remove_network(&plan.sandbox.network()).await?;
    }
    // A data volume that others take over from goes last, and comes back where they do not answer.
    let running = match make(engine, plan, limit, observer, began).await {
        Ok(running) => running,
        Err(error) => {
            go_back(engine, plan, observer).await?;
            return Err(error);
        }
    };
    remove_former_data(engine, plan).await?;
    remove_former_builds(engine, plan).await?;
    Ok(running)
}

/// Makes the network, the data and the services.
async fn make(
    engine: &Engine,
    plan: &Plan,
    limit: Duration,
    observer: &Arc<dyn Observer>,
    began: Instant,
) -> Result<Vec<Running>, Error> {
    let network = async {
        match &plan.network {
            Some(spec) => engine.create_network(spec).await.map(|_| ()),
            None => Ok(()),
        }
    };
    let volumes = try_join_all(plan.volumes.iter().map(|volume| fill(engine, plan, volume)));
    let remove = try_join_all(plan.remove.iter().map(|name| engine.remove_container(name)));
    try_join(network, try_join(volumes, remove)).await?;

    let gates: BTreeMap<&ServiceId, watch::Sender<bool>> =
        plan.services.iter().map(|service| (&service.service, watch::Sender::new(false))).collect();
    let services = plan.services.iter().map(|service| {
        let needs: Vec<watch::Receiver<bool>> = service.needs.iter().map(|need| gates[need].subscribe()).collect();
        let gate = &gates[&service.service];
        async move {
            let (url, answer) = bring(engine, &plan.sandbox, service, needs, limit, observer).await?;
            gate.send_replace(true);
            let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok::<_, Error>(Running { service: service.service.clone(), action: service.action, url, answer, ready_ms })
        }
    });
    try_join_all(services).await
}

/// Makes a data volume as it is to begin.
async fn fill(engine: &Engine, plan: &Plan, volume: &VolumePlan) -> Result<(), crate::engine::Error> {
    let service = plan.services.iter().find(|service| service.service == volume.service);
    let image = service.map_or("", |service| service.image.as_str());
    let maker = Maker { engine, id: &plan.sandbox, image };
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
    let freed: Vec<String> = plan.former.iter().flat_map(|data| data.layers.clone()).collect();
    Ok(data::sweep(engine, plan.sandbox.as_str(), &freed).await?)
}

/// Takes away the data that was to take over, with whatever uses it: what was there before is the sandbox's data again.
async fn go_back(engine: &Engine, plan: &Plan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    for volume in plan.volumes.iter().filter(|volume| volume.takes_over) {
        let Some(service) = plan.services.iter().find(|service| service.service == volume.service) else { continue };
        engine.remove_container(&service.spec.name).await?;
        engine.remove_volume(&volume.name).await?;
        if let Some(golden) = &service.golden {
            engine.remove_volume(&golden.next).await?;
        }
        observer.note(&format!("the data of {} is as it was before; `onramp up` starts it again", volume.service));
    }
    Ok(())
}

/// Takes the images away that services which were built now were built as before.
async fn remove_former_builds(engine: &Engine, plan: &Plan) -> Result<(), Error> {
    if plan.build.is_empty() {
        return Ok(());
    }
    let current = |tag: &String| plan.services.iter().any(|service| service.image == *tag);
    for image in engine.images_labelled(&[(label::SANDBOX, plan.sandbox.as_str())]).await? {
        // Labels are inherited: an image that somebody built on ours, or named anew, is theirs.
        for tag in image.repo_tags.iter().filter(|tag| tag.starts_with(&plan.sandbox.image_prefix()) && !current(tag)) {
            engine.untag(tag).await?;
        }
    }
    Ok(())
}

async fn build(engine: &Engine, sandbox: &str, plan: &BuildPlan, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let task = format!("build {}", plan.service);
    observer.started(&task);
    let context = plan.context.clone();
    let tar = blocking(move || Context::read(&context)?.tar()).await?;
    let spec = BuildSpec {
        tag: plan.tag.clone(),
        context: tar,
        arguments: [("BASE".to_owned(), plan.base.to_string())].into(),
        labels: [
            (label::SANDBOX.to_owned(), sandbox.to_owned()),
            (label::SERVICE.to_owned(), plan.service.to_string()),
        ]
        .into(),
    };
    engine.build(spec, &mut |step| observer.step(&task, step)).await?;
    observer.finished(&task, &format!("on {}", plan.base.short_name()));
    Ok(())
}

/// Brings one service to where it answers: its URL and what it answered.
async fn bring(
    engine: &Engine,
    sandbox: &SandboxId,
    plan: &ServicePlan,
    needs: Vec<watch::Receiver<bool>>,
    limit: Duration,
    observer: &Arc<dyn Observer>,
) -> Result<(Option<String>, String), Error> {
    let name = &plan.spec.name;
    let task = plan.service.to_string();
    if plan.action != Action::Keep {
        observer.started(&task);
    }
    if plan.action == Action::Replace {
        engine.remove_container(name).await?;
    }
    if matches!(plan.action, Action::Create | Action::Replace) {
        engine.create_container(&plan.spec).await?;
        if !plan.seed.is_empty() {
            engine.put_files(name, "/", seed_tar(&plan.seed).await?).await?;
        }
    }
    for mut need in needs {
        // The sender lives as long as this future: only readiness ends the wait.
        let _ = need.wait_for(|ready| *ready).await;
    }
    if plan.action != Action::Keep {
        observer.step(&task, "starting");
        start(engine, name).await?;
    }
    observer.step(&task, "waiting for an answer");
    let answered = || answered(engine, name, &plan.service, &plan.definition, limit);
    let (mut port, mut answer) = answered().await?;
    if let Some(golden) = &plan.golden
        && let Some(volume) = &plan.volume
    {
        observer.step(&task, "keeping a golden copy of its data");
        keep_golden(engine, sandbox, plan, golden, volume).await?;
        (port, answer) = answered().await?;
    }
    let url = port.map(|port| match plan.definition.ready {
        Some(_) => format!("http://127.0.0.1:{port}/"),
        None => format!("127.0.0.1:{port}"),
    });
    if plan.action != Action::Keep {
        observer.finished(&task, &answer);
    }
    Ok((url, answer))
}

/// Starts a container. One whose port was taken is made anew by the next `up`, since it holds no port at all.
async fn start(engine: &Engine, name: &str) -> Result<(), Error> {
    match engine.start_container(name).await {
        Err(error @ crate::engine::Error::PortTaken { .. }) => {
            engine.remove_container(name).await?;
            Err(error.into())
        }
        other => Ok(other?),
    }
}

/// Ends a service whose seeds are in, freezes its data as the golden copy, and starts it on a clone.
async fn keep_golden(
    engine: &Engine,
    sandbox: &SandboxId,
    plan: &ServicePlan,
    golden: &Golden,
    volume: &str,
) -> Result<(), Error> {
    let name = &plan.spec.name;
    engine.stop_container(name, GRACE).await?;
    if engine.wait_for_exit(name).await?.exit_code == KILLED {
        // What was not closed cleanly is no golden copy. It is this sandbox's data all the same.
        return start(engine, name).await;
    }
    engine.remove_container(name).await?;
    let now = golden.make(&Maker { engine, id: sandbox, image: &plan.image }, volume).await?;
    engine.create_container(&plan.spec.on(volume, &now)).await?;
    start(engine, name).await
}

/// Waits until the service answers, it ends, or the time is over: whichever is first. The loopback port it answers on, and
/// what it answered.
pub(super) async fn answered(
    engine: &Engine,
    name: &str,
    service: &ServiceId,
    definition: &Service,
    limit: Duration,
) -> Result<(Option<u16>, String), Error> {
    let port = match definition.port {
        Some(port) => engine.host_port(name, port).await?,
        None => None,
    };
    let mut last = String::new();
    let probing = async {
        match port {
            Some(port) => ready::wait(definition, port, &mut last).await,
            // A service without a port has nothing to answer with; running is all it can do.
            None if definition.port.is_none() => "running".to_owned(),
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        // A container that ended is told before a port that somebody else may have taken over.
        biased;
        ended = engine.wait_for_exit(name) => Some(ended?.exit_code),
        answer = probing => return Ok((port, answer)),
        () = tokio::time::sleep(limit) => None,
    };
    let service = service.to_string();
    let log = engine.last_words(name, 20).await;
    Err(match ended {
        Some(exit_code) => Error::Ended { service, exit_code, log },
        None => Error::NotReady { service, seconds: limit.as_secs(), last, log },
    })
}

/// The seed files under the names that their order gives them.
async fn seed_tar(files: &[std::path::PathBuf]) -> Result<Vec<u8>, FileError> {
    let files = files.to_vec();
    let pack = move || {
        let mut tar = tar::Builder::new(Vec::new());
        for (i, path) in files.iter().enumerate() {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            let contents = files::read(path, SEED_CAP)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            let place = Path::new(SEED_DIRECTORY).join(format!("{:03}-{file_name}", i + 1));
            tar.append_data(&mut header, place, contents.as_slice()).map_err(FileError::io("read", path))?;
        }
        tar.into_inner().map_err(FileError::io("read", Path::new(SEED_DIRECTORY)))
    };
    blocking(pack).await
}
