//! Where names lead: asked of the engine, whose containers carry their names, and of no file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Mutex;

use super::Hostname;
use crate::engine::{self, Container, Engine, label};
use crate::reference::Digest;

/// Which router: that of one user's onramp on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouterId(String);

impl RouterId {
    /// The router of the onramp that keeps its state there.
    pub fn of(state: &Path) -> Self {
        Self(Digest::of(state.as_os_str().as_encoded_bytes()).hex()[..16].to_owned())
    }

    /// As it is written on containers.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name that a container is reached by; none where nobody asked for one.
pub fn name_of(container: &Container) -> Option<Hostname> {
    container.labels.get(label::HOSTNAME).and_then(|name| Hostname::asked(name))
}

/// The containers that ask for a router, whether they run or not.
pub async fn containers(engine: &Engine, router: &RouterId) -> Result<Vec<Container>, engine::Error> {
    engine.containers(&[(label::ROUTER, router.as_str())]).await
}

/// Names and the addresses that they lead to.
type Table = BTreeMap<Hostname, SocketAddr>;

/// What is known of a router's names.
pub struct Routes {
    engine: Engine,
    router: RouterId,
    /// The last answer of the engine, and when it was asked.
    last: Mutex<Option<(Instant, Arc<Table>)>>,
}

impl Routes {
    /// Nothing was asked yet.
    pub fn new(engine: Engine, router: RouterId) -> Self {
        Self { engine, router, last: Mutex::default() }
    }

    /// The address that a name leads to now; none where nothing of that name runs. A port changes hands: what counts is an answer
    /// of the engine to a question that was put after this one. Many at once share one.
    pub async fn address(&self, name: &Hostname) -> Result<Option<SocketAddr>, engine::Error> {
        let now = Instant::now();
        let mut last = self.last.lock().await;
        let table = match &*last {
            Some((asked, table)) if *asked >= now => table.clone(),
            _ => {
                let asked = Instant::now();
                let table = Arc::new(self.ask().await?);
                *last = Some((asked, table.clone()));
                table
            }
        };
        Ok(table.get(name).copied())
    }

    async fn ask(&self) -> Result<Table, engine::Error> {
        let running = containers(&self.engine, &self.router).await?.into_iter().filter(|container| container.running);
        Ok(running.filter_map(|container| Some((name_of(&container)?, container.address?))).collect())
    }
}
