//! What is there of a sandbox.

use serde::Serialize;

use super::router::{self, Hostname};
use super::{Error, SandboxId, gate, with};
use crate::engine::{Container, Engine, label};

/// One service of a sandbox as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// `app/service`.
    pub service: String,
    /// The container's name.
    pub container: String,
    /// Whether it runs.
    pub running: bool,
    /// The engine's words: `Up 3 seconds`.
    pub status: String,
    /// `127.0.0.1:port`; where its network publishes none, its own address.
    pub address: Option<String>,
    /// The name that it is reached by through the router.
    pub hostname: Option<Hostname>,
    /// What is mixed in here, `auth=pr:12 (1a2b3c4)`; none where it runs as its environment declares it.
    pub with: Option<String>,
    /// The hosts and ports outside that it reaches, through the gate.
    pub egress: Vec<String>,
}

/// The services of a sandbox, by name; empty when it is not up.
pub async fn services(engine: &Engine, id: &SandboxId) -> Result<Vec<ServiceStatus>, Error> {
    let mut containers = engine.containers(&[(label::SANDBOX, id.as_str())]).await?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    // What only carries files to volumes is none.
    let services = containers.into_iter().filter(|container| container.labels.contains_key(label::SERVICE));
    Ok(services.map(status).collect())
}

fn status(container: Container) -> ServiceStatus {
    ServiceStatus {
        service: container.labels.get(label::SERVICE).cloned().unwrap_or_default(),
        running: container.running,
        status: crate::text::neutral_line(&container.status, 60),
        address: container.address.map(|address| address.to_string()),
        hostname: router::name_of(&container),
        with: with::of_container(&container).map(|told| crate::text::neutral_line(told, 200)),
        egress: gate::reached_by(&container).map(str::to_owned).collect(),
        container: container.name,
    }
}

/// The running container of a service, by `service` or `app/service`.
pub async fn container(engine: &Engine, id: &SandboxId, service: &str) -> Result<ServiceStatus, Error> {
    let all = services(engine, id).await?;
    if all.is_empty() {
        return Err(Error::NotUp { sandbox: id.to_string() });
    }
    let own = format!("{}/{service}", id.project);
    let known = all.iter().map(|status| status.service.clone()).collect();
    let found = all.into_iter().find(|status| status.service == service || status.service == own);
    found.ok_or_else(|| Error::NoService {
        sandbox: id.to_string(),
        service: crate::text::neutral_line(service, 60),
        known,
    })
}
