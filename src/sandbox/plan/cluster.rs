//! A sandbox on a swarm: what is otherwise there, and what cannot be had.

use super::{Origin, Plan, ServicePlan, Wanted, sandbox_labels};
use crate::engine::{Cluster, ContainerSpec, Limits, NetworkSpec, PortBinding, Root, relay_of};
use crate::sandbox::closure::Member;
use crate::sandbox::on::Standing;
use crate::sandbox::{Error, On, SecretFiles};

/// What a relay may take: it only passes bytes on.
const RELAY: Limits = Limits { memory: Some(256 * 1024 * 1024), pids: Some(64), cpus: None };
/// Who a relay runs as: nobody.
const NOBODY: &str = "65534:65534";

impl Wanted<'_> {
    /// The networks of the sandbox. On a swarm its services are on one of all, where they are known by service and app, and on
    /// one of their app's, where the service's name will do; what reaches them from here is on the engine's own.
    pub(super) fn networks(&self) -> Vec<NetworkSpec> {
        let network = |name: String, overlay: bool| NetworkSpec {
            name,
            labels: sandbox_labels(self.id).collect(),
            egress: self.project.manifest.sandbox.egress,
            preferred: self.id.preferred_subnet(),
            overlay,
        };
        let mut networks = vec![network(self.id.network(), false)];
        if self.on.is_swarm() {
            let apps: std::collections::BTreeSet<_> = self.members.iter().map(|member| &member.id.app).collect();
            networks.push(network(self.id.overlay(None), true));
            networks.extend(apps.into_iter().map(|app| network(self.id.overlay(Some(app)), true)));
        }
        networks
    }

    /// What a swarm is told of a service, and the relay that leads to it; nothing where the engine runs it. What was built
    /// here, and what has data here, runs on the node that is spoken to. The rest runs where the swarm likes.
    pub(super) fn cluster(
        &self,
        member: &Member,
        spec: &mut ContainerSpec,
        secrets: Option<&SecretFiles>,
    ) -> Option<ContainerSpec> {
        let On::Swarm(Standing { node, relay, .. }) = self.on else { return None };
        let (app, service) = (&member.id.app, &member.id.service);
        let secrets = secrets.map(|files| {
            let kept = files.mount(self.id);
            spec.mounts.retain(|mount| *mount != kept);
            files.digest().to_string()
        });
        let stays = self.builds.contains_key(&member.id) || !spec.mounts.is_empty();
        spec.cluster = Some(Cluster { node: stays.then(|| node.clone()), secrets });
        spec.network = self.id.overlay(None);
        spec.joins = [(self.id.overlay(Some(app)), vec![service.to_string()])].into();
        spec.links.clear();
        let port = spec.port?;
        spec.port = Some(PortBinding { host: None, ..port });
        Some(ContainerSpec {
            name: relay_of(&spec.name),
            image: relay.clone(),
            command: Some(vec!["relay".to_owned(), format!("{service}.{app}:{}", port.container)]),
            user: Some(NOBODY.to_owned()),
            // It has no home, and no settings.
            env: [("HOME".to_owned(), "/".to_owned())].into(),
            labels: sandbox_labels(self.id).collect(),
            network: self.id.network(),
            joins: [(self.id.overlay(None), Vec::new())].into(),
            egress: spec.egress,
            port: Some(port),
            root: Root::ReadOnly(true),
            limits: RELAY,
            ..ContainerSpec::default()
        })
    }
}

impl Plan {
    /// Refuses what a swarm cannot do, and says what it does otherwise.
    pub(super) fn settle_on_swarm(&mut self, wanted: &Wanted<'_>) -> Result<(), Error> {
        let is_own = |service: &ServicePlan| service.service.app == self.sandbox.project;
        let refused = |service: &ServicePlan| {
            if service.xdebug {
                Some("be debugged: its connections have no way to the editor")
            } else if !service.egress.is_empty() {
                Some("reach what its `egress` names: the gate has no end of a swarm's network")
            } else if service.migrate.is_some() {
                Some(
                    "be migrated before it takes over: leave `migrate` out of onramp.toml, or run it with `onramp exec`",
                )
            } else if service.filler.is_some() && !service.needs.is_empty() {
                Some("be seeded, since it needs others: its seeds go in before the swarm runs it")
            } else if is_own(service) && !service.definition.sync.is_empty() && service.origin != Origin::Built {
                Some("show the directories of its `sync`: only an image that is built here has them")
            } else {
                None
            }
        };
        for service in &self.services {
            if let Some(why) = refused(service) {
                return Err(Error::NotOnSwarm { what: format!("{} cannot {why}", service.service) });
            }
            if !service.definition.sync.is_empty() && service.origin == Origin::Built {
                self.notes.push(format!(
                    "{} has the directories of its `sync` as they are now: a swarm shows none, so `onramp up` builds it \
                     anew after a change",
                    service.service
                ));
            }
        }
        if wanted.project.manifest.sandbox.hostnames {
            self.notes
                .push("its services have no names of their own on a swarm: the router leads to this engine".to_owned());
        }
        if matches!(wanted.on, On::Swarm(Standing { lenient: true, .. })) {
            self.notes.push(
                "engines before 25.0 cannot keep what a swarm runs from gaining privileges (setuid): it gains no more than the \
                 capabilities that its service has"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
