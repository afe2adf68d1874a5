//! Sandboxes beside a project's own, each for one group of tests or a rehearsal: everything anew, the data too, and gone when they end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::on::Asked;
use super::plan::Begin;
use super::{Error, SandboxId, SandboxKey, View, down, turn_on, up};
use crate::engine::{Engine, label};
use crate::event::{Observer, Silent};
use crate::name::Name;
use crate::project::Lock;
use crate::turn::Turn;

/// How long taking one away may hold up the end of an interrupted run.
const REMOVAL: Duration = Duration::from_secs(30);

/// What sandboxes beside another one are made with.
pub struct Maker<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The sandbox that they are beside. It is up, so that images and golden copies are there.
    pub view: &'a View,
    /// What the project's tags mean.
    pub lock: &'a Lock,
    /// What secrets are derived from.
    pub key: &'a SandboxKey,
    /// onramp's state directory.
    pub state: &'a Path,
    /// How long a service may take to answer.
    pub limit: Duration,
    /// Who is told what happens.
    pub observer: &'a Arc<dyn Observer>,
}

/// A sandbox beside another one. An interrupted run drops it, and with it the sandbox.
pub struct Beside<'a> {
    engine: &'a Engine,
    state: &'a Path,
    /// Which.
    pub id: SandboxId,
    there: bool,
    _turn: Turn,
}

impl<'a> Beside<'a> {
    /// Brings one up for a group of tests. Its data begins as the golden copies are; what has none is seeded.
    pub async fn up(maker: &Maker<'a>, group: &Name) -> Result<Self, Error> {
        let Maker { engine, lock, key, .. } = *maker;
        // The engine runs it, also where a swarm runs the one that it is beside.
        let mut view = View {
            id: maker.view.id.beside(group),
            xdebug: None,
            router: None,
            on: Some(Asked::Engine),
            ..maker.view.clone()
        };
        // A port that is published is that of the sandbox which this one is beside.
        view.members.iter_mut().for_each(|member| member.service.publish = None);
        let beside = Self::hold(engine, maker.state, view.id.clone())?;
        let plan = view.plan(engine, lock, key, &Begin::AsItWas).await?;
        let task = format!("sandbox {}", beside.id);
        maker.observer.started(&task);
        // Its services are called as those of the sandbox that it is beside.
        let silent: Arc<dyn Observer> = Arc::new(Silent);
        up::apply(engine, maker.state, &plan, maker.limit, &silent).await?;
        maker.observer.finished(&task, &format!("for the tests of {group}"));
        Ok(beside)
    }

    /// Takes the turn on one: whatever is made of it goes when this is dropped.
    pub fn hold(engine: &'a Engine, state: &'a Path, id: SandboxId) -> Result<Self, Error> {
        let turn = Turn::take(state, &turn_on(id.as_str()))?;
        Ok(Self { engine, state, id, there: true, _turn: turn })
    }

    /// Takes it away, its data too.
    pub async fn down(mut self) -> Result<(), Error> {
        // Broken off in the middle, or failed, it is tried once more where this is dropped.
        down::all(self.engine, self.state, self.id.as_str(), true).await?;
        self.there = false;
        Ok(())
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let (true, Ok(runtime)) = (self.there, Handle::try_current()) else { return };
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return;
        }
        // What cannot be taken away now is taken away by the next run.
        tokio::task::block_in_place(|| {
            let away = down::all(self.engine, self.state, self.id.as_str(), true);
            let _ = runtime.block_on(async { tokio::time::timeout(REMOVAL, away).await });
        });
    }
}

/// Takes away what killed runs left beside a sandbox. What somebody is at work on stays.
pub async fn sweep(engine: &Engine, state: &Path, id: &SandboxId) -> Result<(), Error> {
    let labels = [(label::BESIDE, id.as_str())];
    let (containers, (networks, volumes)) =
        try_join(engine.containers(&labels), try_join(engine.networks(&labels), engine.volumes(&labels))).await?;
    let containers = containers.iter().map(|container| &container.labels);
    let networks = networks.iter().map(|(_, labels)| labels);
    let all = containers.chain(networks).chain(volumes.iter().map(|volume| &volume.labels));
    let left: BTreeSet<&String> = all.filter_map(|labels| labels.get(label::SANDBOX)).collect();
    try_join_all(left.into_iter().map(|sandbox| async move {
        let Ok(_turn) = Turn::take(state, &turn_on(sandbox)) else { return Ok(()) };
        down::all(engine, state, sandbox, true).await
    }))
    .await?;
    Ok(())
}
