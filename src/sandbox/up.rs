//! Making a sandbox what its plan says: pulls and builds, then every service as soon as its needs are ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;
use tokio::sync::watch;

use super::plan::{Action, BuildPlan, Plan, ServicePlan};
use super::source::Context;
use super::{Error, ServiceId, ready};
use crate::engine::{BuildSpec, Engine, label};
use crate::event::Observer;
use crate::files::{self, FileError};
use crate::task::blocking;

/// Where images with database seeds look for them, by the convention of Docker's official images.
const SEED_DIRECTORY: &str = "docker-entrypoint-initdb.d";
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
    let builds = plan.build.iter().map(|build| self::build(engine, plan.sandbox.as_str(), build, observer));
    try_join_all(builds).await?;
    if plan.renew_network {
        // A network goes only once nobody is on it.
        try_join_all(plan.services.iter().map(|service| engine.remove_container(&service.spec.name))).await?;
        try_join_all(plan.remove.iter().map(|name| engine.remove_container(name))).await?;
        engine.remove_network(&plan.sandbox.network()).await?;
    }
    let network = async {
        match &plan.network {
            Some(spec) => engine.create_network(spec).await.map(|_| ()).map_err(Error::from),
            None => Ok(()),
        }
    };
    let volumes = try_join_all(plan.volumes.iter().map(|volume| engine.create_volume(&volume.name, &volume.labels)));
    let remove = try_join_all(plan.remove.iter().map(|name| engine.remove_container(name)));
    try_join(network, async { try_join(volumes, remove).await.map_err(Error::from) }).await?;

    let gates: BTreeMap<&ServiceId, watch::Sender<bool>> =
        plan.services.iter().map(|service| (&service.service, watch::Sender::new(false))).collect();
    let services = plan.services.iter().map(|service| {
        let needs: Vec<watch::Receiver<bool>> = service.needs.iter().map(|need| gates[need].subscribe()).collect();
        let gate = &gates[&service.service];
        async move {
            let (url, answer) = bring(engine, service, needs, limit, observer).await?;
            gate.send_replace(true);
            let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok::<_, Error>(Running { service: service.service.clone(), action: service.action, url, answer, ready_ms })
        }
    });
    let running = try_join_all(services).await?;
    remove_former_builds(engine, plan).await?;
    Ok(running)
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
    let port = match plan.definition.port {
        Some(port) => engine.host_port(name, port).await?,
        None => None,
    };
    observer.step(&task, "waiting for an answer");
    let answer = answered(engine, plan, port, limit).await?;
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

/// Waits until the service answers, it ends, or the time is over: whichever is first.
async fn answered(engine: &Engine, plan: &ServicePlan, port: Option<u16>, limit: Duration) -> Result<String, Error> {
    let name = &plan.spec.name;
    let mut last = String::new();
    let probing = async {
        match port {
            Some(port) => ready::wait(&plan.definition, port, &mut last).await,
            // A service without a port has nothing to answer with; running is all it can do.
            None if plan.definition.port.is_none() => "running".to_owned(),
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        // A container that ended is told before a port that somebody else may have taken over.
        biased;
        ended = engine.wait_for_exit(name) => Some(ended?.exit_code),
        answer = probing => return Ok(answer),
        () = tokio::time::sleep(limit) => None,
    };
    let service = plan.service.to_string();
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
