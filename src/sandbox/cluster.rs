//! Bringing up what a swarm runs: filled here, run there, reached through a relay.

use std::net::SocketAddr;

use super::bring::{Bringing, GRACE, answered, start};
use super::plan::{ServicePlan, sandbox_labels};
use super::{Error, SecretFiles, seed};
use crate::engine::{ContainerSpec, label};
use crate::images::pull::engine_credentials;
use crate::reference::ImageRef;
use crate::registry;

impl Bringing<'_> {
    /// Has a container of the engine put the seeds in, because a swarm starts at once what it runs. The volume that has the
    /// data then; none where another service failed meanwhile.
    pub(super) async fn fill(
        &self,
        plan: &ServicePlan,
        filler: &ContainerSpec,
        volume: &str,
    ) -> Result<Option<String>, Error> {
        let (engine, name) = (self.engine, &filler.name);
        if let Some(secrets) = &plan.secrets {
            secrets.prepare(engine, self.sandbox).await?;
        }
        engine.create_container(filler).await?;
        self.put_seeds(plan).await?;
        start(engine, self.sandbox, name, plan.secrets.as_ref()).await?;
        let answered = answered(engine, name, &plan.service, &plan.definition, self.limit);
        if self.unless_failed(answered).await.transpose()?.is_none() {
            return Ok(None);
        }
        if let Some(command) = &plan.seed_command {
            seed::run(engine, name, &plan.service, command, self.limit).await?;
        }
        engine.stop_container(name, GRACE).await?;
        let by_force = engine.wait_for_exit(name).await?.by_force();
        engine.remove_container(name).await?;
        let filled = match &plan.golden {
            // What was not closed cleanly is no golden copy.
            Some(golden) if !by_force => golden.make(&self.maker(plan), volume).await?,
            _ => volume.to_owned(),
        };
        engine.remove_volume(&self.sandbox.seeding(volume)).await?;
        Ok(Some(filled))
    }

    /// Has the swarm know a service, with the secrets that it reads from files.
    pub(super) async fn create_clustered(&self, plan: &ServicePlan, spec: &ContainerSpec) -> Result<(), Error> {
        let engine = self.engine;
        // Those of one that was killed before the service was there.
        engine.remove_secrets(&[(label::CONTAINER, &spec.name)]).await?;
        let mut kept = Vec::new();
        for (path, value) in plan.secrets.iter().flat_map(SecretFiles::by_path) {
            kept.push(engine.keep_secret(&spec.name, sandbox_labels(self.sandbox), &path, value).await?);
        }
        // Only other nodes ask a registry, each the image's own.
        let goes = spec.cluster.as_ref().is_some_and(|cluster| cluster.node.is_none());
        let credentials = match spec.image.parse::<ImageRef>() {
            Ok(image) if goes => registry::credentials_of_user(image.registry()).await.map(engine_credentials),
            _ => None,
        };
        Ok(engine.create_service(spec, &kept, credentials.as_ref()).await?)
    }

    /// Waits for a service's answer; where what leads to it has ended there will be none.
    pub(super) async fn reached(&self, plan: &ServicePlan) -> Result<(Option<SocketAddr>, String), Error> {
        let (engine, name) = (self.engine, &plan.spec.name);
        let answer = answered(engine, name, &plan.service, &plan.definition, self.limit);
        let Some(relay) = &plan.relay else { return answer.await };
        tokio::select! {
            biased;
            answer = answer => answer,
            ended = engine.wait_for_exit(&relay.name) => {
                ended?;
                let said = engine.last_words(&relay.name, 3).await.join("; ");
                Err(Error::NoRelay { why: format!("the relay to {} ended: {said}", plan.service) })
            }
        }
    }

    /// Has the swarm run a service, and the relay to it anew: it listens once the service does.
    pub(super) async fn start_clustered(&self, plan: &ServicePlan) -> Result<(), Error> {
        let engine = self.engine;
        engine.start_container(&plan.spec.name).await?;
        if let Some(relay) = &plan.relay {
            engine.remove_container(&relay.name).await?;
            engine.create_container(relay).await?;
            engine.start_container(&relay.name).await?;
        }
        Ok(())
    }
}
