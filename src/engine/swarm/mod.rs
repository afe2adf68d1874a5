//! Services of a swarm: containers that a cluster runs, on a node of its choice or on this one.
//!
//! They are called as their containers are where the engine itself runs them, and every call that takes a container's name
//! takes theirs. A swarm has names of its own, shorter ones: [`cluster_name`] makes them. Decision 29 tells why it is so.

mod secret;
mod spec;
mod task;

use std::borrow::Cow;
use std::collections::HashMap;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as Raw;
use bollard::models::{Service, ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicated};
use bollard::query_parameters::{InspectServiceOptions, ListServicesOptions, UpdateServiceOptions};

pub use secret::KeptSecret;
pub(super) use task::Output;

use super::container::{NOT_INHERITED, variables};
use super::image::raw_credentials;
use super::{Container, ContainerFacts, ContainerSpec, Credentials, Engine, Error, Limits, Swarm};
use super::{carries, is_status, label, label_filter};
use crate::reference::Digest;

/// How much of a name a swarm's own has of it, in bytes: with the digest it is below 63.
const SHOWN: usize = 46;
/// How often a change of a service is tried that the swarm changed at the same time.
const TURNS: usize = 10;

/// What a swarm calls something of this name: its names have no dots and 63 characters at most.
pub fn cluster_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let shown: String = name.chars().map(plain).take(SHOWN).collect();
    format!("{shown}_{}", &Digest::of(name.as_bytes()).hex()[..12])
}

/// What the container is called through which one that a swarm runs is reached.
pub fn relay_of(name: &str) -> String {
    format!("{name}.relay")
}

impl Engine {
    /// Whether it can be asked for services.
    fn manages(&self) -> bool {
        matches!(self.place().swarm, Swarm::Manager(_))
    }

    /// The service that runs a container of this name; none where the engine itself runs it, or nobody does.
    pub(super) async fn clustered(&self, name: &str) -> Result<Option<Service>, Error> {
        if !self.manages() {
            return Ok(None);
        }
        match self.docker.inspect_service(&cluster_name(name), None::<InspectServiceOptions>).await {
            Ok(service) => {
                Ok(Some(service).filter(|service| carries(&labels_of(service), &[(label::CONTAINER, name)])))
            }
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(Self::failed(format!("inspect service {name}"), error)),
        }
    }

    /// Has the swarm know a container, which does not run yet. Other nodes pull its image with these credentials.
    pub async fn create_service(
        &self,
        spec: &ContainerSpec,
        secrets: &[KeptSecret],
        credentials: Option<&Credentials>,
    ) -> Result<(), Error> {
        let image = self.image(&spec.image).await?.ok_or_else(|| Error::NoImage { image: spec.image.clone() })?;
        // What has no digest is here and nowhere else: a name would be looked for at Docker's own registry.
        let image = if spec.image.contains('@') { spec.image.clone() } else { image.id };
        let read_only = self.is_read_only(spec).await?;
        let request = spec.service(&image, read_only, secrets);
        let made = self.docker.create_service(request, credentials.map(raw_credentials)).await;
        made.map(drop).map_err(|e| Self::failed(format!("create service {}", spec.name), e))
    }

    /// Has the swarm run it. One whose task has ended gets another one.
    pub(super) async fn start_service(&self, name: &str, service: Service) -> Result<(), Error> {
        let before = self.tasks(name).await?;
        if before.iter().any(task::is_on_its_way) {
            return Ok(());
        }
        let mut service = Some(service);
        for _ in 0..TURNS {
            let Some(Service { id: Some(id), version: Some(version), spec: Some(spec), .. }) = service else { break };
            let options = UpdateServiceOptions {
                version: version.index.and_then(|index| i32::try_from(index).ok()).unwrap_or_default(),
                registry_auth_from: "spec".to_owned(),
                ..Default::default()
            };
            let updated = self.docker.update_service(&id, running(spec), options, None::<DockerCredentials>).await;
            match updated {
                Ok(_) => return self.wait_for_another(name, &before).await,
                Err(Raw::DockerResponseServerError { message, .. }) if message.contains("out of sequence") => {}
                Err(error) => return Err(Self::failed(format!("start service {name}"), error)),
            }
            service = self.clustered(name).await?;
        }
        Err(Error::Broken { verb: format!("start service {name}"), detail: "it changes all the time".to_owned() })
    }

    /// Removes a service with its containers and secrets; one that is not there is removed.
    pub(super) async fn remove_service(&self, name: &str) -> Result<(), Error> {
        if let Some(id) = self.clustered(name).await?.and_then(|service| service.id) {
            match self.docker.delete_service(&id).await {
                Ok(()) => {}
                Err(error) if is_status(&error, 404) => {}
                Err(error) => return Err(Self::failed(format!("remove service {name}"), error)),
            }
        }
        if self.manages() {
            // Also what a killed one left behind.
            self.end_tasks(name).await?;
            self.remove_secrets(&[(label::CONTAINER, name)]).await?;
        }
        Ok(())
    }

    /// How what a swarm runs was made, asked of the swarm, wherever it runs.
    pub(super) async fn service_facts(&self, service: Service) -> Result<ContainerFacts, Error> {
        let labels = labels_of(&service);
        let task = service.spec.and_then(|spec| spec.task_template).unwrap_or_default();
        let (spec, resources) = (task.container_spec.unwrap_or_default(), task.resources.unwrap_or_default());
        let image = self.image(spec.image.as_deref().unwrap_or_default()).await?;
        let (image_id, defaults) = image.map(|image| (image.id, image.defaults)).unwrap_or_default();
        let mut env = defaults.env;
        env.extend(variables(spec.env));
        Ok(ContainerFacts {
            image_id,
            command: spec.args.unwrap_or(defaults.command),
            user: spec.user.unwrap_or(defaults.user),
            env,
            ports: labels.get(label::RELAYED).and_then(|port| port.parse().ok()).into_iter().collect(),
            limits: resources.limits.as_ref().map(Limits::of_task).unwrap_or_default(),
            mounts: spec.mounts.into_iter().flatten().filter_map(|mount| mount.target).collect(),
            read_only: spec.read_only == Some(true),
        })
    }

    /// These containers without those that the engine runs for a swarm, and with the swarm's services in their place.
    pub(super) async fn with_clustered(
        &self,
        found: Vec<Container>,
        labels: &[(&str, &str)],
    ) -> Result<Vec<Container>, Error> {
        if !self.manages() {
            return Ok(found);
        }
        let options = ListServicesOptions { filters: Some(label_filter(labels)), status: None };
        let services = self.docker.list_services(Some(options)).await.map_err(|e| Self::failed("list services", e))?;
        let tasks = self.tasks_of(labels).await?;
        let (here, mut all): (Vec<Container>, Vec<Container>) =
            found.into_iter().partition(|container| container.labels.contains_key(label::CONTAINER));
        for service in services {
            let labels_of_it = labels_of(&service);
            let Some(name) = labels_of_it.get(label::CONTAINER).cloned() else { continue };
            if !carries(&labels_of_it, labels) {
                continue;
            }
            let own = |container: &&Container| container.labels.get(label::CONTAINER) == Some(&name);
            let container = here.iter().filter(own).max_by_key(|container| (container.running, container.created));
            let task = tasks.iter().filter(|task| task.service_id == service.id).max_by_key(|task| task::order(task));
            let relay = all.iter().find(|container| container.name == relay_of(&name));
            let replicas = replicas(&service);
            let told = |task: &bollard::models::Task| task::told(task);
            all.push(Container {
                id: service.id.clone().unwrap_or_default(),
                image_id: container.map(|container| container.image_id.clone()).unwrap_or_default(),
                created: service.created_at.as_ref().and_then(|text| text.parse().ok()),
                running: task.is_some_and(task::runs),
                started: replicas > 0,
                status: task.map_or_else(|| "not started".to_owned(), told),
                address: relay.and_then(|relay| relay.address),
                addresses: container.map(|container| container.addresses.clone()).unwrap_or_default(),
                name,
                labels: labels_of_it,
            });
        }
        Ok(all)
    }

    /// What the engine itself calls a container that it or a swarm runs; it must be one that runs here.
    pub(super) async fn at_hand<'a>(&self, name: &'a str) -> Result<Cow<'a, str>, Error> {
        match self.at_hand_if_there(name).await? {
            Some(found) => Ok(found),
            None => Err(self.away(name).await?),
        }
    }

    /// The same; none where a swarm runs it, and not here.
    pub(super) async fn at_hand_if_there<'a>(&self, name: &'a str) -> Result<Option<Cow<'a, str>>, Error> {
        if self.clustered(name).await?.is_none() {
            return Ok(Some(Cow::Borrowed(name)));
        }
        Ok(self.container_of(name).await?.map(Cow::Owned))
    }
}

/// What a service says of itself. What its image says is not among it.
fn labels_of(service: &Service) -> HashMap<String, String> {
    let mut labels = service.spec.as_ref().and_then(|spec| spec.labels.clone()).unwrap_or_default();
    labels.retain(|key, value| !(value.is_empty() && NOT_INHERITED.contains(&key.as_str())));
    labels
}

fn replicas(service: &Service) -> i64 {
    let mode = service.spec.as_ref().and_then(|spec| spec.mode.as_ref());
    mode.and_then(|mode| mode.replicated.as_ref()?.replicas).unwrap_or_default()
}

/// The same, to be run: once more where it has been run before.
fn running(spec: ServiceSpec) -> ServiceSpec {
    let mut task = spec.task_template.unwrap_or_default();
    task.force_update = Some(task.force_update.unwrap_or_default() + 1);
    let replicated = Some(ServiceSpecModeReplicated { replicas: Some(1) });
    let mode = Some(ServiceSpecMode { replicated, ..Default::default() });
    ServiceSpec { task_template: Some(task), mode, ..spec }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_takes_every_name_and_tells_two_apart() {
        let long = format!("onramp.shop-main-1a2b3c4d.{}.web", "a".repeat(60));
        let names = [long.as_str(), &format!("{long}2"), "onramp.shop.db", "onramp.sh.opdb", "a.b", "a-b"];
        let made: std::collections::BTreeSet<String> = names.iter().map(|name| cluster_name(name)).collect();
        assert_eq!(made.len(), names.len(), "{made:?}");
        for name in made {
            assert!(name.len() <= 63, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()), "{name}");
        }
    }
}
