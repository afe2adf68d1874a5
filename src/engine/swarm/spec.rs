//! How a swarm is told of a container.

use std::collections::HashMap;

use bollard::models::{
    EndpointSpec, EndpointSpecModeEnum, Limit, Mount as RawMount, MountTmpfsOptions, MountType,
    NetworkAttachmentConfig, ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicated, TaskSpec, TaskSpecContainerSpec,
    TaskSpecContainerSpecDnsConfig, TaskSpecContainerSpecPrivileges, TaskSpecPlacement, TaskSpecResources,
    TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum,
};

use super::super::container::NOT_INHERITED;
use super::super::{CAPABILITIES, ContainerSpec, label};
use super::{KeptSecret, cluster_name};

/// What a directory in memory holds at most, in bytes, and its mode: anybody who runs there writes to it.
const MEMORY: (i64, i64) = (256 * 1024 * 1024, 0o1777);

impl ContainerSpec {
    /// The service of this container: one task, which does not run yet and is not started again when it ends. Nothing of
    /// it is published: a swarm would listen on every address of a node.
    pub(super) fn service(&self, image: &str, read_only: bool, secrets: &[KeptSecret]) -> ServiceSpec {
        let labels = self.cluster_labels();
        let cluster = self.cluster.clone().unwrap_or_default();
        let networks = std::iter::once((&self.network, &self.aliases)).chain(&self.joins);
        let attached = |(network, aliases): (&String, &Vec<String>)| NetworkAttachmentConfig {
            target: Some(network.clone()),
            aliases: Some(aliases.clone()),
            driver_opts: None,
        };
        let mounts = self.mounts.iter().map(super::super::Mount::raw);
        let container = TaskSpecContainerSpec {
            image: Some(image.to_owned()),
            // A task says of itself what its image must not say for it.
            labels: Some(labels.clone()),
            command: self.entrypoint.clone(),
            args: self.command.clone(),
            env: Some(self.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            user: self.user.clone(),
            // Engines before 25.0 do not know it, and let a program gain what its container may.
            privileges: Some(TaskSpecContainerSpecPrivileges { no_new_privileges: Some(true), ..Default::default() }),
            read_only: Some(read_only),
            mounts: Some(mounts.chain(self.in_memory(read_only).into_keys().map(memory)).collect()),
            dns_config: (!self.egress).then(|| TaskSpecContainerSpecDnsConfig {
                nameservers: Some(vec!["127.0.0.1".to_owned()]),
                ..Default::default()
            }),
            secrets: Some(secrets.iter().map(KeptSecret::reference).collect()),
            capability_drop: Some(vec!["ALL".to_owned()]),
            capability_add: Some(
                CAPABILITIES.into_iter().map(str::to_owned).chain(self.capabilities.clone()).collect(),
            ),
            ..Default::default()
        };
        let task = TaskSpec {
            container_spec: Some(container),
            resources: Some(TaskSpecResources { limits: Some(self.limits.for_task()), ..Default::default() }),
            restart_policy: Some(TaskSpecRestartPolicy {
                condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
                ..Default::default()
            }),
            placement: Some(TaskSpecPlacement {
                constraints: cluster.node.map(|node| vec![format!("node.id=={node}")]),
                ..Default::default()
            }),
            networks: Some(networks.map(attached).collect()),
            ..Default::default()
        };
        ServiceSpec {
            name: Some(cluster_name(&self.name)),
            labels: Some(labels),
            task_template: Some(task),
            mode: Some(ServiceSpecMode {
                replicated: Some(ServiceSpecModeReplicated { replicas: Some(0) }),
                ..Default::default()
            }),
            // Its names lead to the task itself, and to nothing while there is none.
            endpoint_spec: Some(EndpointSpec { mode: Some(EndpointSpecModeEnum::DNSRR), ports: None }),
            ..Default::default()
        }
    }

    fn cluster_labels(&self) -> HashMap<String, String> {
        let mut labels: HashMap<String, String> = self.labels.clone().into_iter().collect();
        labels.insert(label::OWNER.to_owned(), "onramp".to_owned());
        labels.insert(label::SPEC.to_owned(), self.digest().to_string());
        labels.insert(label::CONTAINER.to_owned(), self.name.clone());
        labels.extend(self.port.map(|port| (label::RELAYED.to_owned(), port.container.to_string())));
        for key in NOT_INHERITED {
            labels.entry(key.to_owned()).or_default();
        }
        labels
    }
}

/// A directory in memory, empty at the start.
fn memory(target: String) -> RawMount {
    let (size, mode) = MEMORY;
    RawMount {
        target: Some(target),
        typ: Some(MountType::TMPFS),
        tmpfs_options: Some(MountTmpfsOptions { size_bytes: Some(size), mode: Some(mode), options: None }),
        ..Default::default()
    }
}

impl super::super::Limits {
    /// Tells a swarm.
    fn for_task(self) -> Limit {
        Limit {
            memory_bytes: self.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            nano_cpus: self.cpus.map(|thousandths| i64::from(thousandths) * super::super::limits::NANO_PER_THOUSANDTH),
            pids: Some(self.pids.unwrap_or(super::super::PIDS).into()),
        }
    }

    /// What a swarm has.
    pub(super) fn of_task(limit: &Limit) -> Self {
        let limited = |number: Option<i64>| number.filter(|number| *number > 0);
        let small = |number: i64| u32::try_from(number).ok();
        Self {
            memory: limited(limit.memory_bytes).and_then(|bytes| u64::try_from(bytes).ok()),
            pids: limited(limit.pids).and_then(small),
            cpus: limited(limit.nano_cpus).and_then(|nano| small(nano / super::super::limits::NANO_PER_THOUSANDTH)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Cluster, Limits};

    #[test]
    fn a_service_publishes_nothing_and_may_no_more_than_a_container() {
        let spec = ContainerSpec {
            name: "onramp.shop.shop.web".into(),
            image: "web".into(),
            network: "closed".into(),
            aliases: vec!["web.shop".into()],
            joins: [("own".to_owned(), vec!["web".to_owned()])].into(),
            cluster: Some(Cluster { node: Some("n1".into()), secrets: None }),
            limits: Limits { memory: Some(1 << 20), pids: None, cpus: Some(500) },
            ..ContainerSpec::default()
        };
        let service = spec.service("sha256:1", true, &[]);
        assert_eq!(service.endpoint_spec.and_then(|endpoint| endpoint.ports), None);
        let task = service.task_template.unwrap();
        assert_eq!(task.placement.unwrap().constraints, Some(vec!["node.id==n1".to_owned()]));
        assert_eq!(Limits::of_task(&task.resources.unwrap().limits.unwrap()).pids, Some(super::super::super::PIDS));
        let container = task.container_spec.unwrap();
        assert_eq!(container.capability_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!((container.read_only, container.mounts.map(|mounts| mounts.len())), (Some(true), Some(3)));
        let nameservers = container.dns_config.and_then(|dns| dns.nameservers);
        assert_eq!(nameservers, Some(vec!["127.0.0.1".to_owned()]), "no name from outside");
    }
}
