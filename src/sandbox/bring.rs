//! Bringing one service to where it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::copied::{self, Outcome};
use super::data::{Golden, Maker};
use super::migrate;
use super::plan::{Action, ServicePlan};
use super::up::Packed;
use super::{Error, SandboxId, SecretFiles, ServiceId, ready, seed};
use crate::engine::{ContainerSpec, Engine};
use crate::event::Observer;
use crate::project::service::Service;

/// How long a service may take to end cleanly after its seeds went in, in seconds.
pub(super) const GRACE: u8 = 60;

/// What services are brought up with.
pub struct Bringing<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Whose services they are.
    pub sandbox: &'a SandboxId,
    /// The seed files that go into their containers.
    pub seeds: &'a Packed,
    /// How long one may take to answer.
    pub limit: Duration,
    /// Who is told what happens.
    pub observer: &'a Arc<dyn Observer>,
    /// Whether another service, or the network, failed: then there is nothing to wait for.
    pub failed: watch::Receiver<bool>,
}

/// A service that answers.
pub struct Brought {
    /// Where it answers on this machine; none for a service without a port.
    pub url: Option<String>,
    /// What it answered.
    pub answer: String,
    /// What was done for it: what was to be kept may have had to be made anew.
    pub action: Action,
    /// How many files were copied into it, or removed from it.
    pub copied: usize,
}

impl Bringing<'_> {
    /// Brings a service to where it answers, once its network is there and its needs do. None where another one failed meanwhile;
    /// what changes data is at its end then, because nothing breaks it off.
    pub async fn service(
        &self,
        plan: &ServicePlan,
        network: watch::Receiver<bool>,
        needs: Vec<watch::Receiver<bool>>,
    ) -> Result<Option<Brought>, Error> {
        let (engine, name) = (self.engine, &plan.spec.name);
        let task = plan.service.to_string();
        let mut awaited = vec![network];
        awaited.extend(needs);
        if plan.action != Action::Keep {
            self.observer.started(&task);
        }
        let made = matches!(plan.action, Action::Create | Action::Replace);
        if let Some(command) = plan.migrate.as_ref().filter(|_| made) {
            // Whoever it takes over from answers meanwhile, and goes on where this fails.
            if !self.met(&mut awaited).await {
                return Ok(None);
            }
            self.observer.step(&task, "migrating");
            migrate::run(engine, self.sandbox, plan, command, self.limit).await?;
        }
        if plan.action == Action::Replace {
            engine.remove_container(name).await?;
        }
        // Most are made while their network is: the engine asks for it when they start.
        if made && engine.makes_on_network(&plan.spec) && !self.met(&mut awaited[..1]).await {
            return Ok(None);
        }
        let clustered = plan.spec.cluster.is_some();
        if made && clustered {
            let mut spec = plan.spec.clone();
            if let Some(filler) = &plan.filler
                && let Some(volume) = &plan.volume
            {
                self.observer.step(&task, "seeding");
                let Some(filled) = self.fill(plan, filler, volume).await? else { return Ok(None) };
                spec = spec.on(volume, &filled);
            }
            self.create_clustered(plan, &spec).await?;
        } else if made {
            self.create(plan, &plan.spec).await?;
            self.put_seeds(plan).await?;
            self.put_files(plan).await?;
        }
        let mut action = plan.action;
        let copied = match copied::bring(engine, name, &plan.copies, action == Action::Keep, None).await? {
            Outcome::Done { count, .. } => count,
            Outcome::Stuck => {
                let why = "making it anew: it cannot be rid of files that are not in the project any more";
                self.observer.step(&task, why);
                engine.remove_container(name).await?;
                self.create(plan, &plan.spec).await?;
                self.put_files(plan).await?;
                action = Action::Replace;
                copied::bring(engine, name, &plan.copies, false, None).await?.count()
            }
        };
        if !self.met(&mut awaited).await {
            return Ok(None);
        }
        if action != Action::Keep {
            self.observer.step(&task, "starting");
            self.start(plan).await?;
        }
        self.observer.step(&task, "waiting for an answer");
        let answered = || self.unless_failed(self.reached(plan));
        let Some(mut found) = answered().await.transpose()? else { return Ok(None) };
        if let Some(command) = plan.seed_command.as_ref().filter(|_| !clustered) {
            self.observer.step(&task, "seeding");
            seed::run(engine, name, &plan.service, command, self.limit).await?;
        }
        if let Some(volume) = plan.volume.as_ref().filter(|_| plan.fills) {
            engine.remove_volume(&self.sandbox.seeding(volume)).await?;
        }
        if let Some(golden) = &plan.golden
            && let Some(volume) = &plan.volume
            && !clustered
        {
            self.observer.step(&task, "keeping a golden copy of its data");
            self.keep_golden(plan, golden, volume).await?;
            let Some(again) = answered().await.transpose()? else { return Ok(None) };
            found = again;
        }
        let (at, answer) = found;
        let url = at.map(|at| match plan.definition.ready {
            Some(_) => format!("http://{at}/"),
            None => at.to_string(),
        });
        if action != Action::Keep {
            self.observer.finished(&task, &answer);
        }
        Ok(Some(Brought { url, answer, action, copied }))
    }

    /// Waits until what is awaited is there; not where something else failed meanwhile.
    async fn met(&self, awaited: &mut [watch::Receiver<bool>]) -> bool {
        for need in awaited {
            // The sender lives as long as this future: only readiness ends the wait.
            let ready = async { drop(need.wait_for(|ready| *ready).await) };
            if self.unless_failed(ready).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Puts the seed files into a container that was made.
    pub(super) async fn put_seeds(&self, plan: &ServicePlan) -> Result<(), Error> {
        let seeds = self.seeds.lock().expect("nobody panics with it").remove(&plan.service);
        match seeds {
            Some(tar) => Ok(self.engine.put_tar(&plan.spec.name, "/", tar).await?),
            None => Ok(()),
        }
    }

    /// Puts files into a container that was made.
    async fn put_files(&self, plan: &ServicePlan) -> Result<(), Error> {
        match &plan.files {
            Some(tar) => Ok(self.engine.put_files(&plan.spec.name, "/", tar.clone()).await?),
            None => Ok(()),
        }
    }

    /// What a wait comes to, unless another service fails before.
    pub(super) async fn unless_failed<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut failed = self.failed.clone();
        tokio::select! {
            biased;
            done = wait => Some(done),
            Ok(_) = failed.wait_for(|failed| *failed) => None,
        }
    }

    /// Ends a service whose seeds are in, freezes its data as the golden copy, and starts it on a clone.
    async fn keep_golden(&self, plan: &ServicePlan, golden: &Golden, volume: &str) -> Result<(), Error> {
        let (engine, name) = (self.engine, &plan.spec.name);
        engine.stop_container(name, GRACE).await?;
        if engine.wait_for_exit(name).await?.by_force() {
            // What was not closed cleanly is no golden copy. It is this sandbox's data all the same.
            return self.start(plan).await;
        }
        engine.remove_container(name).await?;
        let now = golden.make(&self.maker(plan), volume).await?;
        self.create(plan, &plan.spec.on(volume, &now)).await?;
        self.start(plan).await
    }

    /// What volumes of a service are made with.
    pub(super) fn maker<'b>(&'b self, plan: &'b ServicePlan) -> Maker<'b> {
        Maker { engine: self.engine, id: self.sandbox, image: &plan.image }
    }

    /// Makes a service's container.
    async fn create(&self, plan: &ServicePlan, spec: &ContainerSpec) -> Result<(), Error> {
        if let Some(secrets) = &plan.secrets {
            secrets.prepare(self.engine, self.sandbox).await?;
        }
        Ok(self.engine.create_container(spec).await.map(drop)?)
    }

    /// Starts a service. One whose port was taken is made anew by the next `up`, since it holds no port at all.
    async fn start(&self, plan: &ServicePlan) -> Result<(), Error> {
        let (engine, name) = (self.engine, &plan.spec.name);
        if plan.spec.cluster.is_some() {
            return self.start_clustered(plan).await;
        }
        match start(engine, self.sandbox, name, plan.secrets.as_ref()).await {
            Err(error @ Error::Engine(crate::engine::Error::PortTaken { .. })) => {
                engine.remove_container(name).await?;
                Err(error)
            }
            other => other,
        }
    }
}

/// Starts a container, with the secrets that it reads from files: those of an earlier start are gone.
pub(super) async fn start(
    engine: &Engine,
    sandbox: &SandboxId,
    name: &str,
    secrets: Option<&SecretFiles>,
) -> Result<(), Error> {
    match secrets {
        Some(secrets) => secrets.start(engine, sandbox, name).await,
        None => Ok(engine.start_container(name).await?),
    }
}

/// Waits until the service answers, it ends, or the time is over: whichever is first. The address it answers at, and
/// what it answered.
pub(super) async fn answered(
    engine: &Engine,
    name: &str,
    service: &ServiceId,
    definition: &Service,
    limit: Duration,
) -> Result<(Option<SocketAddr>, String), Error> {
    let port = match definition.port {
        Some(port) => engine.published(name, port).await?,
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
        answer = probing => return Ok((port.map(|port| port.at), answer)),
        () = tokio::time::sleep(limit) => None,
    };
    let service = service.to_string();
    let log = engine.last_words(name, 20).await;
    Err(match ended {
        Some(exit_code) => Error::Ended { service, exit_code, log },
        None => Error::NotReady { service, seconds: limit.as_secs(), last, log },
    })
}
