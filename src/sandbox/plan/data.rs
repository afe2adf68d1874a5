//! Where the data of a service comes from: what is there, a copy of something, or its seeds.

use super::{Begin, Existing, Filling, Plan, VolumePlan, Wanted, sandbox_labels};
use crate::engine::{ContainerSpec, label};
use crate::sandbox::closure::{Member, ServiceId};
use crate::sandbox::data::Golden;
use crate::sandbox::{SandboxId, SecretFiles};

impl Plan {
    /// Finds the volume of a service's data, or plans one; and the golden copy that is to be made of it.
    pub(super) fn add_data(
        &mut self,
        target: &str,
        spec: &ContainerSpec,
        secrets: Option<&SecretFiles>,
        member: &Member,
        wanted: &Wanted<'_>,
        existing: &Existing,
    ) -> (String, Option<Golden>) {
        let (id, service) = (wanted.id, &member.id);
        let there = existing.data.current(id).into_iter().find(|data| data.service == *service);
        let seed = wanted.seeds.get(&service.service).filter(|_| member.own).map(|seeds| seeds.digest.to_string());
        let filling = match (wanted.begin, &there) {
            (Begin::Snapshot(snapshot), _) if snapshot.parts.contains_key(service) => {
                Some(Filling::Snapshot(snapshot.parts[service].clone()))
            }
            (Begin::Anew, _) if member.own => Some(Filling::Empty),
            (_, None) => Some(Filling::Empty),
            _ => None,
        };
        // One that a seed command did not come to an end with has its number, too.
        let all = existing.data.of_sandbox(id).into_iter().filter(|data| data.service == *service);
        let generation = all.map(|data| data.generation).max().unwrap_or(0) + 1;
        let Some(mut filling) = filling else {
            let there = there.expect("what is not there is filled");
            if there.seed != seed {
                self.notes.push(format!(
                    "the seeds of {service} changed since its data was made; `onramp up --fresh` makes it anew"
                ));
            }
            return (there.name, None);
        };
        let name = id.volume(&service.app, &service.service, generation);
        let mut golden = None;
        if filling == Filling::Empty
            && let Some(seed) = &seed
            && stands_alone(member)
        {
            let secrets = secrets.map(|files| files.digest().to_string());
            let key = Golden::key(spec, target, &format!("{seed}{}", secrets.unwrap_or_default()));
            if let Some(frozen) = existing.data.golden(&key) {
                filling = Filling::Golden(frozen);
            } else {
                let next = id.volume(&service.app, &service.service, generation + 1);
                golden = Some(Golden { key, labels: data_labels(id, service, Some(seed), None), next });
            }
        }
        let (seed, secrets) = match &filling {
            Filling::Snapshot(frozen) => (frozen.seed.clone(), frozen.secrets.as_deref()),
            _ => (seed, None),
        };
        let labels = data_labels(id, service, seed.as_deref(), secrets);
        let (service, takes_over) = (service.clone(), there.is_some());
        self.former.extend(there);
        self.volumes.push(VolumePlan { name: name.clone(), service, begins: filling, labels, takes_over });
        (name, golden)
    }
}

/// Whether what a service holds after its seeds is of its own making: it asks nobody else, here or outside, and shows no
/// directory of the project, and its port tells when the seeds are in.
fn stands_alone(member: &Member) -> bool {
    let asks_outside = member.service.egress.as_ref().is_some_and(|named| !named.is_empty());
    !asks_outside && member.needs.is_empty() && member.service.sync.is_empty() && member.service.port.is_some()
}

/// What is written on a sandbox's data.
pub(in crate::sandbox) fn data_labels(
    id: &SandboxId,
    service: &ServiceId,
    seed: Option<&str>,
    secrets: Option<&str>,
) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = sandbox_labels(id).collect();
    labels.push((label::SERVICE.to_owned(), service.to_string()));
    labels.extend(seed.map(|seed| (label::SEED.to_owned(), seed.to_owned())));
    labels.extend(secrets.map(|secrets| (label::SECRETS.to_owned(), secrets.to_owned())));
    labels
}
