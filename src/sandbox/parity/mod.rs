//! How far a sandbox equals its environment: service by service, fact by fact.
//!
//! [`observe`] asks the engine what the containers are, [`compare`] holds that against what is declared, [`puppet`] lets Puppet look,
//! [`score`] counts.

mod compare;
mod observe;
mod puppet;
mod score;

use futures_util::future::try_join;
use serde::Serialize;

pub use score::{Score, Summary};

use super::closure::ServiceId;
use super::plan::EnvironmentAt;
use super::{Error, View};
use crate::engine::Engine;
use crate::task::blocking;
use crate::text::neutral_line;

/// How one fact of the sandbox stands to the environment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The same.
    Equal,
    /// Different here: by a line of `onramp.toml`, by onramp itself, or because the container is of another declaration.
    Overridden,
    /// Declared, and not here.
    Missing,
    /// Nobody can tell: the environment does not say, or it is a secret.
    Unknown,
}

/// How closely is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At what the engine says of containers and images.
    AtContainers,
    /// Also at what Puppet says of images, which takes its time.
    IntoImages,
}

/// One fact of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `digest`, `env.DB_HOST`, `limits.memory`, `needs.auth/api`.
    pub fact: String,
    /// How it stands.
    pub standing: Standing,
    /// The line that makes it so, `onramp.toml:12`; none where no line does.
    pub by: Option<String>,
    /// What makes it so, one line; empty where equal.
    pub why: String,
}

/// The facts of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceParity {
    /// Which.
    pub service: ServiceId,
    /// Its facts, the digest first.
    pub facts: Vec<Fact>,
}

/// How far a sandbox equals its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parity {
    /// The environment.
    pub environment: EnvironmentAt,
    /// What it all comes to.
    pub score: Score,
    /// The services, those needed first; then those of the project's app that the sandbox does not run.
    pub services: Vec<ServiceParity>,
}

impl Parity {
    /// Looks at the sandbox's containers and compares them with what its environment declares.
    pub async fn of(engine: &Engine, view: &View, look: Look) -> Result<Self, Error> {
        let seeded = view.clone();
        let seeds = blocking(move || seeded.seeds());
        let (observed, seeds) = try_join(observe::observe(engine, &view.id), seeds).await?;
        let seeds = seeds.into_iter().map(|(service, seeds)| (service, seeds.digest)).collect();
        let parity = compare::compare(view, &seeds, &observed);
        let mut told = puppet::facts(engine, view, &observed, look == Look::IntoImages).await?;
        let mut services = parity.services;
        for service in &mut services {
            service.facts.extend(told.remove(&service.service).unwrap_or_default());
        }
        Ok(Self::new(parity.environment, services))
    }

    fn new(environment: EnvironmentAt, services: Vec<ServiceParity>) -> Self {
        let score = Score::of(services.iter().flat_map(|service| &service.facts));
        Self { environment, score, services }
    }
}

impl Fact {
    fn new(fact: &str, standing: Standing, by: Option<String>, why: &str) -> Self {
        Self { fact: neutral_line(fact, 80), standing, by, why: neutral_line(why, 160) }
    }
}
