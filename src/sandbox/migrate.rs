//! A service's migrations: its `migrate` command, run once in the image that is about to take over, while the one before it
//! still answers.

use std::time::Duration;

use super::bring;
use super::copied;
use super::plan::ServicePlan;
use super::{Error, SandboxId};
use crate::engine::{ContainerSpec, Engine, label};

/// How many of its last lines are told.
const LINES: u32 = 20;

/// Runs it in a container of its own, with the service's variables, secrets and data, and takes that away.
pub async fn run(
    engine: &Engine,
    sandbox: &SandboxId,
    plan: &ServicePlan,
    command: &[String],
    limit: Duration,
) -> Result<(), Error> {
    let spec = spec(&plan.spec, command);
    // What a killed onramp left of one is not this one.
    engine.remove_container(&spec.name).await?;
    if let Some(secrets) = &plan.secrets {
        secrets.prepare(engine, sandbox).await?;
    }
    let ended = async {
        engine.create_container(&spec).await?;
        copied::bring(engine, &spec.name, &plan.copies, false, None).await?;
        bring::start(engine, sandbox, &spec.name, plan.secrets.as_ref()).await?;
        Ok::<_, Error>(engine.wait_for_exit(&spec.name).await?.exit_code)
    };
    let how = match tokio::time::timeout(limit, ended).await {
        Ok(Ok(0)) => None,
        Ok(Ok(code)) => Some(format!("exit code {code}")),
        Ok(Err(error)) => {
            engine.remove_container(&spec.name).await?;
            return Err(error);
        }
        Err(_) => Some(format!("it did not end within {} s", limit.as_secs())),
    };
    let log = if how.is_some() { engine.last_words(&spec.name, LINES).await } else { Vec::new() };
    engine.remove_container(&spec.name).await?;
    match how {
        None => Ok(()),
        Some(how) => Err(Error::MigrationFailed { service: plan.service.to_string(), how, log }),
    }
}

/// The service's container with another program. Nobody can take it for the service: it has no port, no name in the network
/// and no label of a service.
fn spec(service: &ContainerSpec, command: &[String]) -> ContainerSpec {
    let mut labels = service.labels.clone();
    for key in [label::SERVICE, label::HOSTNAME, label::ROUTER, label::NUMBER] {
        labels.remove(key);
    }
    ContainerSpec {
        name: format!("{}.migrate", service.name),
        command: Some(command.to_vec()),
        labels,
        aliases: Vec::new(),
        // Whoever it takes over from has that of the service. Services have those below.
        address: service.address.map(|number| number | 0x80),
        port: None,
        ..service.clone()
    }
}
