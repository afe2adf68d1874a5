//! Rehearsing a deployment: the environment as it is now, in a sandbox beside the project's own; the deployment, as it would
//! be applied, while a probe watches; the way back.
//!
//! [`script`] says what is played, [`Stage`] plays it, [`probe`] watches, [`compare`] tells whether everything is as before.

mod compare;
mod probe;
mod script;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use compare::{AnswerAfter, DataAfter, Standing};
pub use probe::Watched;
pub use script::{Inputs, Played, Script, context, script};

use super::Error;
use crate::engine::Engine;
use crate::error::{Class, Fault};
use crate::event::{Observer, Silent};
use crate::project::Lock;
use crate::sandbox::beside::Beside;
use crate::sandbox::plan::Begin;
use crate::sandbox::{self, SandboxKey, View, up};

/// What a rehearsal is played with. The images that are not built are there.
pub struct Stage<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// onramp's state directory.
    pub state: &'a Path,
    /// What the project's tags mean.
    pub lock: &'a Lock,
    /// What secrets are derived from.
    pub key: &'a SandboxKey,
    /// How long a service may take to answer.
    pub limit: Duration,
    /// Who is told what happens.
    pub observer: &'a Arc<dyn Observer>,
}

/// What a rehearsal came to.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsed {
    /// Whether the deployment and the way back went well, and everything is as before then.
    pub passed: bool,
    /// The deployment.
    pub deployment: Step,
    /// The way back.
    pub rollback: Step,
    /// The answers after the way back.
    pub answers: Vec<AnswerAfter>,
    /// The data after the way back; empty where no service has a `check`.
    pub data: Vec<DataAfter>,
}

/// The deployment, or the way back from it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Why it failed; none where it went well.
    pub failed: Option<Broken>,
    /// How long it took until everything was ready, in milliseconds; none where it failed.
    pub healthy_ms: Option<u64>,
    /// What the probe saw meanwhile.
    pub probe: Watched,
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// In one line.
    pub message: String,
    /// What its program said last.
    pub hint: Option<String>,
}

impl Stage<'_> {
    /// Plays it, and takes away everything that was made for it.
    pub async fn play(&self, script: &Script) -> Result<Rehearsed, Error> {
        let beside = Beside::hold(self.engine, self.state, script.before.id.clone())?;
        self.build(script).await?;
        let rehearsed = self.acts(script).await;
        let removed = beside.down().await;
        // Why it could not be played counts more than what is left of it, which the next one takes away.
        let rehearsed = rehearsed?;
        removed?;
        Ok(rehearsed)
    }

    async fn acts(&self, script: &Script) -> Result<Rehearsed, Error> {
        let silent: Arc<dyn Observer> = Arc::new(Silent);
        let task = format!("{} as {} is now", script.played.app, script.played.environment);
        self.observer.started(&task);
        self.apply(&script.before, &silent).await?;
        self.observer.finished(&task, &format!("in sandbox {}", script.before.id));
        let before = compare::before(self, script).await?;

        let deployment = self.step(script, &script.after, "the deployment").await?;
        let rollback = self.step(script, &script.before, "the way back").await?;
        let (answers, data) = match rollback.failed {
            None => (before.answers(script).await, before.data(self, script).await?),
            // What does not run has nothing to compare.
            Some(_) => (Vec::new(), Vec::new()),
        };
        let same = answers.iter().map(|answer| answer.standing).chain(data.iter().map(|data| data.standing));
        let passed = deployment.failed.is_none()
            && rollback.failed.is_none()
            && same.into_iter().all(|standing| standing != Standing::Changed);
        Ok(Rehearsed { passed, deployment, rollback, answers, data })
    }

    /// Makes the sandbox what a view of it says while the probe watches. That it cannot be is a result; that the engine fails
    /// is none.
    async fn step(&self, script: &Script, view: &View, task: &str) -> Result<Step, Error> {
        self.observer.started(task);
        let probe = probe::Probe::start(script.port, &script.played.probe.paths);
        let began = Instant::now();
        let applied = self.apply(view, self.observer).await;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let probe = probe.end(applied.is_ok()).await;
        let (failed, told) = match applied {
            Ok(()) => (None, format!("in {took} ms")),
            Err(error) if error.class() == Class::Failed => {
                let broken = Broken { message: error.to_string(), hint: error.hint() };
                let told = format!("failed: {}", broken.message);
                (Some(broken), told)
            }
            Err(error) => return Err(error.into()),
        };
        self.observer.finished(task, &told);
        Ok(Step { healthy_ms: failed.is_none().then_some(took), failed, probe })
    }

    async fn apply(&self, view: &View, observer: &Arc<dyn Observer>) -> Result<(), sandbox::Error> {
        let plan = view.plan(self.engine, self.lock, self.key, &Begin::AsItWas).await?;
        up::apply(self.engine, self.state, &plan, self.limit, observer).await.map(drop)
    }

    /// Builds what the deployment builds, so that it begins with an image.
    async fn build(&self, script: &Script) -> Result<(), Error> {
        let plan = script.after.plan(self.engine, self.lock, self.key, &Begin::AsItWas).await?;
        Ok(up::build_all(self.engine, &plan, self.observer).await?)
    }
}
