//! The sandbox that is wanted: what each of its services is made from, and its container.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{BuildTag, EnvironmentAt, Origin, pinned, sandbox_labels};
use crate::engine::{Container, ContainerSpec, Limits, Mount, Place, PortBinding, Root, Source, label};
use crate::name::Name;
use crate::project::egress::Endpoint;
use crate::project::limits::Memory;
use crate::project::safety;
use crate::project::service::{EnvValue, Secret, Service, SyncMode};
use crate::project::{Lock, Project};
use crate::reference::ImageRef;
use crate::sandbox::closure::{Member, ServiceId};
use crate::sandbox::data::DataVolume;
use crate::sandbox::data::snapshot::Snapshot;
use crate::sandbox::debug::Xdebug;
use crate::sandbox::mask::Masks;
use crate::sandbox::router::{Hostname, RouterId};
use crate::sandbox::seed::Seeds;
use crate::sandbox::{Error, On, SandboxId, SandboxKey, SecretFiles, copied, gate, secret};

/// Everything the plan is made from.
pub struct Wanted<'a> {
    /// The project.
    pub project: &'a Project,
    /// The sandbox.
    pub id: &'a SandboxId,
    /// Its services.
    pub members: &'a [Member],
    /// What the project's tags mean.
    pub lock: &'a Lock,
    /// Where the declared services come from.
    pub environment: &'a EnvironmentAt,
    /// The images that services are built as: a name that changes with their code.
    pub builds: &'a BTreeMap<ServiceId, BuildTag>,
    /// The seeds of each service.
    pub seeds: &'a BTreeMap<Name, Seeds>,
    /// What secrets are derived from.
    pub key: &'a SandboxKey,
    /// How the project's own data begins.
    pub begin: &'a Begin,
    /// The service that is debugged.
    pub xdebug: Option<&'a Xdebug>,
    /// The router by which services are reached by name; none where they are not.
    pub router: Option<&'a RouterId>,
    /// What runs it.
    pub on: &'a On,
}

/// How the data of a project's own services begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// As it was left; what was never there is made.
    #[default]
    AsItWas,
    /// Anew, from its seeds.
    Anew,
    /// As a snapshot has it.
    Snapshot(Snapshot),
}

/// The image of a service: built under a name, or pinned by digest.
pub(super) enum RunImage<'a> {
    Built(&'a BuildTag),
    Pinned(ImageRef),
}

impl Wanted<'_> {
    /// How a service is debugged; none if it is not.
    pub(super) fn debugged(&self, member: &Member) -> Option<&Xdebug> {
        self.xdebug.filter(|xdebug| member.own && xdebug.service == member.id.service)
    }

    pub(super) fn image(&self, member: &Member) -> Result<(Origin, RunImage<'_>), Error> {
        if let Some(build) = self.builds.get(&member.id) {
            let origin = if member.own { Origin::Built } else { Origin::With };
            return Ok((origin, RunImage::Built(build)));
        }
        let declared = member.declared.as_ref().and_then(|service| service.image.as_ref());
        let (origin, image) = match (&member.service.image, &member.service.fallback) {
            (Some(image), _) if Some(image) == declared => (Origin::Environment, image),
            (Some(image), _) if member.with.is_some() => (Origin::With, image),
            (Some(image), _) => (Origin::Override, image),
            (None, Some(fallback)) => (Origin::Fallback, fallback),
            (None, None) => {
                let (service, environment) = (member.id.to_string(), self.environment.environment.to_string());
                return Err(Error::NothingToRun { service, environment });
            }
        };
        Ok((origin, RunImage::Pinned(pinned(image, self.lock)?)))
    }

    pub(super) fn masks(&self, seeds: &Seeds) -> Masks {
        Masks::new(&seeds.mask, self.key.of_masks(&self.id.home()))
    }

    /// The secrets of another machine that are in the data which the sandbox goes on with: its services are told these.
    pub(super) fn lent(&self, current: &[DataVolume]) -> BTreeMap<String, String> {
        let mut lent = BTreeMap::new();
        for member in self.members {
            let part = match self.begin {
                Begin::Snapshot(snapshot) => snapshot.parts.get(&member.id),
                Begin::Anew | Begin::AsItWas => None,
            };
            let there = current.iter().find(|data| data.service == member.id);
            let there = there.filter(|_| !(member.own && *self.begin == Begin::Anew));
            let text = part.map_or(there.and_then(|data| data.secrets.as_ref()), |part| part.secrets.as_ref());
            lent.extend(secret::lent(text.map(String::as_str)));
        }
        lent
    }

    /// Whether files of ours come among those of a service's image: seeds, copied directories, what debugs.
    pub(super) fn puts_files_into(&self, member: &Member, place: &Place) -> bool {
        // A swarm starts what it runs at once.
        if self.on.is_swarm() {
            return false;
        }
        let copies = || !copied::of(&self.project.root, member, place.elsewhere).is_empty();
        !member.service.seed.files().is_empty() || copies() || self.debugged(member).is_some()
    }

    /// What to say of a service that is not as read-only as a file asks.
    pub(super) fn why_writable(&self, member: &Member, place: &Place) -> Option<String> {
        let put = member.service.read_only == Some(true) && self.puts_files_into(member, place);
        let why = "seeds, copied directories or Xdebug come among them";
        put.then(|| format!("{} can write to the files of its image here: {why}", member.id))
    }

    /// Where a service goes through the gate; where all is open there is none.
    pub(super) fn reach(&self, member: &Member) -> Vec<Endpoint> {
        let named = member.service.egress.iter().flatten().filter(|_| !self.project.manifest.sandbox.egress);
        named.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The name of a service. One that is only asked for a connection may speak anything but HTTP.
    pub(super) fn hostname(&self, member: &Member) -> Option<Hostname> {
        let answers = member.service.ready.as_ref().and(member.service.port).and(self.router);
        answers.map(|_| Hostname::of(self.id, &member.id))
    }

    /// The last number of each container's address, where addresses are given: as it has it, or else the lowest free one.
    pub(super) fn numbers(&self, existing: &[Container]) -> BTreeMap<String, u8> {
        let names: Vec<String> =
            self.members.iter().map(|member| self.id.container(&member.id.app, &member.id.service)).collect();
        let number = |container: &Container| container.labels.get(label::NUMBER)?.parse().ok();
        let held = existing.iter().filter_map(|container| Some((container.name.clone(), number(container)?)));
        let mut numbers: BTreeMap<String, u8> = held.filter(|(name, _)| names.contains(name)).collect();
        for name in names {
            // What the machine itself has is 1; above are those of migrations.
            let free = (2..=125).find(|number| !numbers.values().any(|taken| taken == number));
            numbers.entry(name).or_insert(free.unwrap_or(125));
        }
        numbers
    }

    /// Gives a container its address, and those of all others that it knows by name.
    pub(super) fn number(&self, member: &Member, numbers: &BTreeMap<String, u8>, spec: &mut ContainerSpec) {
        let of = |id: &ServiceId| numbers.get(&self.id.container(&id.app, &id.service)).copied();
        let across = self.members.iter().map(|other| (format!("{}.{}", other.id.service, other.id.app), &other.id));
        let within = self.members.iter().filter(|other| other.id.app == member.id.app);
        let names = across.chain(within.map(|other| (other.id.service.to_string(), &other.id)));
        spec.hosts = names.filter_map(|(name, id)| Some((name, of(id)?))).collect();
        spec.address = of(&member.id);
        spec.links.clear();
        spec.labels.extend(spec.address.map(|number| (label::NUMBER.to_owned(), number.to_string())));
    }

    /// The container of a service, its data aside.
    pub(super) fn container(
        &self,
        member: &Member,
        image: &str,
        place: &Place,
        lent: &BTreeMap<String, String>,
    ) -> ContainerSpec {
        let ServiceId { app, service } = &member.id;
        let mut labels: BTreeMap<String, String> = sandbox_labels(self.id).collect();
        labels.insert(label::SERVICE.to_owned(), member.id.to_string());
        labels.extend(member.with.as_ref().map(|part| (label::WITH.to_owned(), part.told.clone())));
        let mut mounts: Vec<Mount> = Vec::new();
        if member.own && !self.on.is_swarm() {
            for (local, shown) in &member.service.sync {
                let source = match shown.mode() {
                    SyncMode::Bind if !place.elsewhere => {
                        Source::Directory(self.project.root.join(local).display().to_string())
                    }
                    _ => Source::Empty,
                };
                mounts.push(Mount { target: shown.target().clone(), source });
            }
        }
        mounts.extend(SecretFiles::of(member, self.key, lent).map(|files| files.mount(self.id)));
        // Inside an app its services go by their own names; across apps by `service.app`. Two apps may each have a `db`.
        let siblings = self.members.iter().filter(|other| other.id.app == *app && other.id != member.id);
        let links = siblings.map(|other| (other.id.service.to_string(), self.id.container(app, &other.id.service)));
        let env = member.service.env.iter().map(|(key, value)| {
            let value = match value {
                EnvValue::Plain(text) => text.clone(),
                EnvValue::Secret(secret) if secret.file => SecretFiles::path(&secret.secret),
                EnvValue::Secret(Secret { secret, .. }) => {
                    lent.get(secret).cloned().unwrap_or_else(|| self.key.value(secret))
                }
            };
            (key.clone(), value)
        });
        let reach = self.reach(member);
        let mut env: BTreeMap<String, String> = env.collect();
        if !reach.is_empty() {
            let text: Vec<String> = reach.iter().map(ToString::to_string).collect();
            labels.insert(label::REACHES.to_owned(), text.join(","));
            for (name, value) in gate::variables(self.members.iter().map(|member| &member.id)) {
                env.entry(name.to_owned()).or_insert(value);
            }
        }
        if let Some((name, router)) = self.hostname(member).zip(self.router) {
            labels.insert(label::HOSTNAME.to_owned(), name.to_string());
            labels.insert(label::ROUTER.to_owned(), router.as_str().to_owned());
        }
        let publish = member.service.publish.filter(|_| member.own);
        if let Some(xdebug) = self.debugged(member) {
            xdebug.add_to(&mut env);
        }
        ContainerSpec {
            name: self.id.container(app, service),
            image: image.to_owned(),
            command: member.service.command.clone(),
            entrypoint: None,
            user: member.service.user.clone(),
            env,
            labels,
            network: self.id.network(),
            joins: BTreeMap::new(),
            cluster: None,
            aliases: vec![format!("{service}.{app}")],
            links: links.collect(),
            address: None,
            hosts: BTreeMap::new(),
            egress: self.project.manifest.sandbox.egress,
            gateway_names: reach.iter().map(|_| gate::NAME.to_owned()).collect(),
            port: member.service.port.map(|container| PortBinding { container, host: publish }),
            mounts,
            root: match member.service.read_only {
                _ if self.puts_files_into(member, place) => Root::Writable,
                Some(read_only) => Root::ReadOnly(read_only),
                None => Root::AsImage,
            },
            tmpfs: member.service.tmpfs.iter().cloned().collect(),
            limits: limits(&member.service, place.processors),
            capabilities: member.service.cap_add.iter().map(|name| safety::plain(name)).collect(),
            restart: false,
        }
    }
}

/// What a service may take here. An engine refuses more processors than it has.
fn limits(service: &Service, processors: Option<u32>) -> Limits {
    let most = processors.map(|count| count.saturating_mul(1000));
    Limits {
        memory: service.limits.memory.map(Memory::bytes),
        pids: service.limits.pids.map(NonZeroU32::get),
        cpus: service.limits.cpus.zip(most).map(|(cpus, most)| cpus.thousandths().min(most)),
    }
}
