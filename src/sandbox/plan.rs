//! What `up` will do: the wanted sandbox compared with what is there. Pure: data in, plan out.

mod build;
mod cluster;
mod data;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use build::BuildTag;
pub(super) use data::data_labels;
use wanted::RunImage;
pub use wanted::{Begin, Wanted};

use super::closure::{Member, ServiceId};
use super::copied::{self, Copied};
use super::data::{DataVolume, Frozen, Golden, Inventory};
use super::debug::Xdebug;
use super::mask::Masks;
use super::router::Hostname;
use super::{Error, On, SandboxId, SecretFiles, with};
use crate::engine::{Container, ContainerSpec, Mount, NetworkSpec, Place, PortBinding, Ports, Root, Source, label};
use crate::git::Commit;
use crate::name::Name;
use crate::project::Lock;
use crate::project::egress::Endpoint;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::text::neutral_line;

/// The environment that a sandbox is made from, at a commit of the state repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentAt {
    /// The environment.
    pub environment: Name,
    /// The state repository's commit; none where no state repository is set.
    pub commit: Option<Commit>,
}

impl std::fmt::Display for EnvironmentAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.commit {
            Some(commit) => write!(f, "{}@{}", self.environment, commit.short()),
            None => write!(f, "{} (no state repository)", self.environment),
        }
    }
}

/// What the engine has already.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// Containers of this sandbox.
    pub containers: Vec<Container>,
    /// Its networks by name, and whether each has a way out: more than are wanted where what a killed onramp asked for came late.
    pub networks: Vec<(String, bool)>,
    /// What there is of data.
    pub data: Inventory,
    /// Those of the wanted images that are there.
    pub images: BTreeSet<String>,
    /// Where it runs.
    pub place: Place,
}

/// What happens to one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It runs as wanted.
    Keep,
    /// It is there as wanted and does not run.
    Start,
    /// It is there otherwise than wanted.
    Replace,
    /// It is not there.
    Create,
}

/// Where a service's image comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Built from the project's code.
    Built,
    /// The digest that the environment declares.
    Environment,
    /// What `--with` mixes in.
    With,
    /// `image` in onramp.toml.
    Override,
    /// `fallback` in onramp.toml: the environment does not declare the service yet.
    Fallback,
}

/// One service of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct ServicePlan {
    /// Which.
    pub service: ServiceId,
    /// What happens to it.
    pub action: Action,
    /// Where its image comes from.
    pub origin: Origin,
    /// Its image.
    pub image: String,
    /// What is mixed in here, `auth=pr:12 (1a2b3c4)`; none where it runs as the environment declares it.
    pub with: Option<String>,
    /// The container. Not shown: it holds the values of secrets.
    #[serde(skip)]
    pub spec: ContainerSpec,
    /// The container through which it is reached, where a swarm runs it.
    #[serde(skip)]
    pub relay: Option<ContainerSpec>,
    /// The container of the engine by which its data is filled, before a swarm runs it.
    #[serde(skip)]
    pub filler: Option<ContainerSpec>,
    /// The service, for its readiness.
    #[serde(skip)]
    pub definition: Service,
    /// Who must be ready first.
    pub needs: Vec<ServiceId>,
    /// Directories of the project that are copied into it.
    pub copies: Vec<Copied>,
    /// Whether its PHP is debugged.
    pub xdebug: bool,
    /// Files that are put into it when it is made, as a tar.
    #[serde(skip)]
    pub files: Option<Vec<u8>>,
    /// The hosts and ports outside that it reaches, through the sandbox's gate.
    pub egress: Vec<Endpoint>,
    /// The name that it is reached by through the router.
    pub hostname: Option<Hostname>,
    /// The volume that holds its data.
    pub volume: Option<String>,
    /// Seed files, absolute, in order.
    #[serde(skip)]
    pub seed: Vec<PathBuf>,
    /// What is masked of them.
    #[serde(skip)]
    pub masks: Option<Masks>,
    /// The secrets that it reads from files.
    #[serde(skip)]
    pub secrets: Option<SecretFiles>,
    /// The program that migrates before it takes over.
    pub migrate: Option<Vec<String>>,
    /// Whether it fills its data: until it answers, and has its seeds, that is nobody's.
    #[serde(skip)]
    pub fills: bool,
    /// The program that fills its data once it answers.
    #[serde(skip)]
    pub seed_command: Option<Vec<String>>,
    /// The golden copy that is made of its data once the seeds are in.
    #[serde(skip)]
    pub golden: Option<Golden>,
}

/// A build that is needed.
#[derive(Clone, Debug, Serialize)]
pub struct BuildPlan {
    /// The service: one of the project's own by its name, one of another app as `app/service`.
    pub service: String,
    /// The image's name.
    pub tag: String,
    /// The base image, by digest; none where the Dockerfile names its own.
    pub base: Option<ImageRef>,
    /// The build context.
    pub context: PathBuf,
    /// Directories that are laid over what was built.
    #[serde(skip)]
    pub over: Vec<Copied>,
}

/// A volume that is needed.
#[derive(Clone, Debug, Serialize)]
pub struct VolumePlan {
    /// Its name.
    pub name: String,
    /// Whose data it holds.
    pub service: ServiceId,
    /// How it begins.
    pub begins: Filling,
    /// Its labels.
    #[serde(skip)]
    pub labels: Vec<(String, String)>,
    /// Whether it takes over from one that is there, which goes once the service answers.
    pub takes_over: bool,
}

/// How a new data volume begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filling {
    /// Empty; the service fills it, from its seeds if it has any.
    Empty,
    /// As a clone of its golden copy.
    Golden(#[serde(skip)] Frozen),
    /// As a clone of a part of a snapshot.
    Snapshot(#[serde(skip)] Frozen),
}

/// What `up` will do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// What it is made from.
    pub environment: EnvironmentAt,
    /// What runs it.
    #[serde(skip_serializing_if = "On::is_engine")]
    pub on: On,
    /// Images to pull, by digest.
    pub pull: Vec<ImageRef>,
    /// Images to build.
    pub build: Vec<BuildPlan>,
    /// Whether the networks that are there must go: they are open and must be closed, or the other way round, or are others than
    /// those that are wanted.
    pub renew_network: bool,
    /// Those that are there, if they must go.
    #[serde(skip)]
    pub former_networks: Vec<String>,
    /// The networks to make.
    #[serde(skip)]
    pub networks: Vec<NetworkSpec>,
    /// Volumes to make.
    pub volumes: Vec<VolumePlan>,
    /// The services, those needed first.
    pub services: Vec<ServicePlan>,
    /// Containers of services that are not wanted any more.
    pub remove: Vec<String>,
    /// Data volumes that others took over from: they go at the end.
    #[serde(skip)]
    pub former: Vec<DataVolume>,
    /// Whether something was mixed in before that is not any more: what was built for it goes.
    #[serde(skip)]
    pub unmixed: bool,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// Compares what is wanted with what is there.
pub fn plan(wanted: &Wanted<'_>, existing: &Existing) -> Result<Plan, Error> {
    let id = wanted.id;
    let mut plan = Plan::of_networks(wanted, existing);
    let all = existing.data.of_sandbox(id);
    let current = existing.data.current(id);
    let lent = wanted.lent(&current);
    plan.former = all.into_iter().filter(|data| !current.contains(data)).collect();
    let numbers = wanted.numbers(&existing.containers);
    for member in wanted.members {
        let (origin, image) = wanted.image(member)?;
        let name = match &image {
            RunImage::Built(tag) => tag.tag.clone(),
            RunImage::Pinned(image) => image.to_string(),
        };
        if !existing.images.contains(&name) {
            match image {
                RunImage::Built(tag) => plan.add_build(member, tag, existing),
                RunImage::Pinned(image) if !plan.pull.contains(&image) => plan.pull.push(image),
                RunImage::Pinned(_) => {}
            }
        }
        plan.notes.extend(wanted.why_writable(member, &existing.place));
        let secrets = SecretFiles::of(member, wanted.key, &lent);
        let mut spec = wanted.container(member, &name, &existing.place, &lent);
        if existing.place.plain {
            wanted.number(member, &numbers, &mut spec);
        }
        let data = member
            .service
            .data
            .as_ref()
            .map(|target| plan.add_data(target, &spec, secrets.as_ref(), member, wanted, existing));
        let (volume, golden) = data.unzip();
        if let (Some(name), Some(target)) = (&volume, &member.service.data) {
            spec.mounts.push(Mount { target: target.clone(), source: Source::Volume(name.clone()) });
            spec.mounts.sort();
        }
        let begins =
            plan.volumes.iter().find(|filled| Some(&filled.name) == volume.as_ref()).map(|filled| &filled.begins);
        // What its service answered with has all of them, and so has a clone.
        let fills = begins == Some(&Filling::Empty);
        let seeds = wanted.seeds.get(&member.id.service).filter(|_| member.own && fills);
        let seed_command = seeds.and_then(|seeds| seeds.command.clone());
        let filled = seeds.is_some() && wanted.on.is_swarm();
        let filler = filled.then(|| ContainerSpec {
            port: spec.port.map(|port| PortBinding { host: None, ..port }),
            root: Root::Writable,
            ..spec.clone()
        });
        let relay = wanted.cluster(member, &mut spec, secrets.as_ref());
        let action = plan.action(existing, &spec, relay.as_ref());
        plan.services.push(ServicePlan {
            service: member.id.clone(),
            action,
            origin,
            image: name,
            spec,
            relay,
            filler,
            with: member.with.as_ref().map(|part| part.told.clone()),
            definition: member.service.clone(),
            needs: member.needs.clone(),
            copies: match wanted.on {
                On::Engine => copied::of(&wanted.project.root, member, existing.place.elsewhere),
                On::Swarm(_) => Vec::new(),
            },
            xdebug: wanted.debugged(member).is_some(),
            files: wanted.debugged(member).and_then(Xdebug::files),
            egress: wanted.reach(member),
            hostname: wanted.hostname(member),
            volume,
            seed: seeds.map(|seeds| seeds.files.clone()).unwrap_or_default(),
            masks: seeds.filter(|seeds| !seeds.mask.is_empty()).map(|seeds| wanted.masks(seeds)),
            migrate: member.service.migrate.clone(),
            fills,
            seed_command,
            secrets,
            golden: golden.flatten(),
        });
    }
    plan.restores_all(wanted.begin)?;
    plan.tell_dropped(existing);
    if wanted.on.is_swarm() {
        plan.settle_on_swarm(wanted)?;
    }
    plan.remove = plan.unwanted(existing);
    Ok(plan)
}

/// Whether a container was made as this says.
fn is_as(container: &Container, spec: &ContainerSpec) -> bool {
    container.labels.get(label::SPEC) == Some(&spec.digest().to_string())
}

impl Plan {
    /// A plan of the networks, and nothing on them yet.
    fn of_networks(wanted: &Wanted<'_>, existing: &Existing) -> Self {
        let networks = wanted.networks();
        let mut named: Vec<_> = networks.iter().map(|network| (network.name.clone(), network.egress)).collect();
        let mut there = existing.networks.clone();
        named.sort();
        there.sort();
        let right = there == named;
        there.dedup();
        Self {
            sandbox: wanted.id.clone(),
            environment: wanted.environment.clone(),
            on: wanted.on.clone(),
            pull: Vec::new(),
            build: Vec::new(),
            renew_network: !existing.networks.is_empty() && !right,
            former_networks: there.into_iter().map(|(name, _)| name).filter(|_| !right).collect(),
            networks: networks.into_iter().filter(|_| !right).collect(),
            volumes: Vec::new(),
            services: Vec::new(),
            remove: Vec::new(),
            former: Vec::new(),
            unmixed: false,
            notes: Vec::new(),
        }
    }

    /// What happens to a service that is to have this container, and this relay.
    fn action(&self, existing: &Existing, spec: &ContainerSpec, relay: Option<&ContainerSpec>) -> Action {
        let there = |name: &str| existing.containers.iter().find(|container| container.name == name);
        let related =
            relay.is_none_or(|relay| there(&relay.name).is_some_and(|there| there.running && is_as(there, relay)));
        match there(&spec.name) {
            None => Action::Create,
            // Containers on a network that is gone cannot be started again.
            Some(_) if !self.networks.is_empty() => Action::Replace,
            Some(container) if !is_as(container, spec) => Action::Replace,
            Some(container) if container.running && related => Action::Keep,
            // A killed `up` made it and may not have put its seeds in.
            Some(container) if !container.started => Action::Replace,
            Some(_) => Action::Start,
        }
    }

    /// The containers that are there and that nothing of the plan is.
    fn unwanted(&self, existing: &Existing) -> Vec<String> {
        let specs = || self.services.iter().flat_map(|service| service.relay.iter().chain([&service.spec]));
        let unwanted = |name: &&String| specs().all(|spec| spec.name != **name);
        existing.containers.iter().map(|container| &container.name).filter(unwanted).cloned().collect()
    }

    /// Whether some service reaches some hosts outside.
    pub fn has_gate(&self) -> bool {
        self.services.iter().any(|service| !service.egress.is_empty())
    }

    /// Whether some service has a name.
    pub fn has_names(&self) -> bool {
        self.services.iter().any(|service| service.hostname.is_some())
    }

    /// Refuses what cannot work with an engine that is where it is, before anything is made.
    pub fn can_be_at(&self, place: &Place, host: &str) -> Result<(), Error> {
        let host = host.to_owned();
        let secret = self.services.iter().find(|service| service.secrets.is_some());
        let published = self.services.iter().find(|service| service.definition.port.is_some());
        match published {
            _ if place.plain && secret.is_some() => Err(Error::NoSecretFiles { host }),
            _ if self.has_gate() && !place.here => Err(Error::NoGateElsewhere { host }),
            Some(service) if place.ports == Ports::There || (place.plain && !service.spec.egress && !place.here) => {
                Err(Error::OutOfReach { host, service: service.service.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a snapshot that has data of services which are not in the sandbox.
    fn restores_all(&self, begin: &Begin) -> Result<(), Error> {
        if let Begin::Snapshot(snapshot) = begin {
            let restored = |service: &&ServiceId| self.volumes.iter().any(|volume| volume.service == **service);
            let foreign: Vec<String> =
                snapshot.services.iter().filter(|service| !restored(service)).map(ToString::to_string).collect();
            if !foreign.is_empty() {
                return Err(Error::NotOurs { snapshot: snapshot.name.clone(), services: foreign });
            }
        }
        Ok(())
    }

    /// What is mixed in, in words, each once, with the services that it is about.
    pub fn mixed(&self) -> BTreeMap<&str, Vec<&ServiceId>> {
        let mut mixed: BTreeMap<&str, Vec<&ServiceId>> = BTreeMap::new();
        for service in &self.services {
            if let Some(told) = &service.with {
                mixed.entry(told).or_default().push(&service.service);
            }
        }
        mixed
    }

    /// Says what was mixed in before and is not any more: a sandbox is what its command says.
    fn tell_dropped(&mut self, existing: &Existing) {
        let mixed = self.mixed();
        let before: BTreeSet<&str> = existing.containers.iter().filter_map(with::of_container).collect();
        let asked = |told: &str| told.split(" (").next().unwrap_or_default().to_owned();
        let still: BTreeSet<String> = mixed.keys().map(|told| asked(told)).collect();
        let dropped: Vec<String> = before.into_iter().map(asked).filter(|before| !still.contains(before)).collect();
        self.unmixed = !dropped.is_empty();
        self.notes.extend(dropped.into_iter().map(|asked| {
            let (asked, environment) = (neutral_line(&asked, 200), &self.environment.environment);
            format!("{asked} is not mixed in any more: {environment}'s own runs again; `--with {asked}` keeps it")
        }));
    }

    /// The services whose data is replaced by other data.
    pub fn taken_over(&self) -> Vec<String> {
        self.volumes.iter().filter(|volume| volume.takes_over).map(|volume| volume.service.to_string()).collect()
    }

    /// Builds a service's image, on a base that is pulled where it is missing.
    fn add_build(&mut self, member: &Member, tag: &BuildTag, existing: &Existing) {
        let missing = tag.base.iter().filter(|base| !existing.images.contains(&base.to_string()));
        let missing: Vec<ImageRef> = missing.filter(|base| !self.pull.contains(base)).cloned().collect();
        self.pull.extend(missing);
        let service = if member.own { member.id.service.to_string() } else { member.id.to_string() };
        let BuildTag { tag, base, context, over } = tag.clone();
        self.build.push(BuildPlan { service, tag, base, context, over });
    }
}

/// A reference by digest: its own, or the one that the lock holds for its tag.
pub fn pinned(image: &ImageRef, lock: &Lock) -> Result<ImageRef, Error> {
    if let Some(digest) = image.digest() {
        return Ok(image.at(digest.clone()));
    }
    let locked = lock.images.get(image).ok_or_else(|| Error::NotLocked { image: image.to_string() })?;
    Ok(image.at(locked.digest.clone()))
}

pub(super) fn sandbox_labels(id: &SandboxId) -> impl Iterator<Item = (String, String)> {
    [
        (label::SANDBOX.to_owned(), id.as_str().to_owned()),
        (label::PROJECT_DIR.to_owned(), id.directory.display().to_string()),
        (label::BRANCH.to_owned(), id.branch.clone().unwrap_or_default()),
    ]
    .into_iter()
    .chain(id.beside.iter().map(|other| (label::BESIDE.to_owned(), other.clone())))
}
