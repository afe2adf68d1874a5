//! What runs a sandbox: the engine itself, or the swarm that it manages.

use std::str::FromStr;

use serde::Serialize;

use super::{Error, SandboxId};
use crate::engine::{Engine, Swarm, label};

/// What a sandbox is asked to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The engine.
    Engine,
    /// The swarm that the engine manages.
    Swarm,
}

/// What a sandbox runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// The engine.
    #[default]
    Engine,
    /// A swarm.
    Swarm(#[serde(skip)] Standing),
}

/// What a swarm's services are made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The id of the node that is spoken to.
    pub node: String,
    /// Whether programs there may gain what their service may.
    pub lenient: bool,
    /// The image of the relays through which its services are reached.
    pub relay: String,
}

impl FromStr for Asked {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "engine" => Ok(Self::Engine),
            "swarm" => Ok(Self::Swarm),
            _ => Err("a sandbox runs on `engine` or on `swarm`"),
        }
    }
}

impl On {
    /// Whether a swarm runs it.
    pub fn is_swarm(&self) -> bool {
        matches!(self, Self::Swarm(_))
    }

    /// Whether the engine itself runs it.
    pub fn is_engine(&self) -> bool {
        !self.is_swarm()
    }

    /// What a sandbox is to run on: what was asked for, or else where it is.
    pub async fn find(engine: &Engine, id: &SandboxId, asked: Option<Asked>) -> Result<Self, Error> {
        let node = match (asked, &engine.place().swarm) {
            (Some(Asked::Engine), _) | (None, Swarm::None | Swarm::Worker(_)) => return Ok(Self::Engine),
            (Some(Asked::Swarm), Swarm::None) => return Err(Error::NoSwarm { host: engine.host().to_owned() }),
            (Some(Asked::Swarm), Swarm::Worker(manager)) => {
                let (host, manager) = (engine.host().to_owned(), manager.clone());
                return Err(Error::NoManager { host, manager });
            }
            (None, Swarm::Manager(_)) if !is_on_swarm(engine, id).await? => return Ok(Self::Engine),
            (_, Swarm::Manager(node)) => node.clone(),
        };
        Ok(Self::Swarm(Standing {
            node,
            lenient: !engine.bars_privileges(),
            relay: super::relay::image(engine).await?,
        }))
    }
}

/// Whether a swarm runs a sandbox now.
pub async fn is_on_swarm(engine: &Engine, id: &SandboxId) -> Result<bool, Error> {
    if !matches!(engine.place().swarm, Swarm::Manager(_)) {
        return Ok(false);
    }
    let containers = engine.containers(&[(label::SANDBOX, id.as_str())]).await?;
    Ok(containers.iter().any(|container| container.labels.contains_key(label::CONTAINER)))
}

/// Refuses what cannot be done to a sandbox that a swarm runs, or is to run.
pub async fn refuse(engine: &Engine, id: &SandboxId, asked: Option<Asked>, what: &'static str) -> Result<(), Error> {
    let swarm = match asked {
        Some(asked) => asked == Asked::Swarm,
        None => is_on_swarm(engine, id).await?,
    };
    if swarm { Err(Error::NotOnSwarm { what: what.to_owned() }) } else { Ok(()) }
}
