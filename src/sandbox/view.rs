//! Everything that a sandbox's plan is made from, read from the project, the state repository and the engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use futures_util::future::{try_join, try_join_all};

use super::closure::{self, Member};
use super::copied;
use super::data::Inventory;
use super::debug::Xdebug;
use super::on::Asked;
use super::plan::{self, Begin, BuildTag, EnvironmentAt, Existing, Plan, Wanted};
use super::router::RouterId;
use super::seed::Seeds;
use super::source::Context;
use super::with::Mix;
use super::{Error, On, SandboxId, SandboxKey, ServiceId};
use crate::engine::{Engine, label};
use crate::files;
use crate::git::Worktree;
use crate::name::Name;
use crate::project::{Lock, Project};
use crate::reference::{Digest, ImageRef};
use crate::state::State;
use crate::task::blocking;

/// A project, its sandbox, and the services that this has.
#[derive(Clone, Debug)]
pub struct View {
    /// The project.
    pub project: Project,
    /// Its sandbox.
    pub id: SandboxId,
    /// What the sandbox is made from.
    pub environment: EnvironmentAt,
    /// The services, those needed first.
    pub members: Vec<Member>,
    /// Those of the project's app that the environment runs and the sandbox does not.
    pub left_out: Vec<Member>,
    /// What is mixed in.
    pub mix: Mix,
    /// The service that is debugged.
    pub xdebug: Option<Xdebug>,
    /// What it is asked to run on; none to stay where it is.
    pub on: Option<Asked>,
    /// The state repository; none where none is set.
    pub state: Option<State>,
    /// The router by which its services are reached by name; none where they are not.
    pub router: Option<RouterId>,
}

impl View {
    /// Resolves the closure of a project's services against an environment as the state repository declares it now, or did
    /// when it was found out what is mixed in. Blocking: reads files and git.
    pub fn read(project: Project, environment: &Name, state: Option<&State>, mix: Mix) -> Result<Self, Error> {
        if project.manifest.services.is_empty() {
            return Err(Error::NoServices { path: project.root.join(crate::project::manifest::FILE) });
        }
        let id = id(&project);
        let commit = match &mix.commit {
            Some(commit) => Some(commit.clone()),
            None => state.map(State::head).transpose()?,
        };
        let own = &project.manifest.name;
        let mut of_own = BTreeMap::new();
        let mut lookup = |app: &Name| {
            let (Some(state), Some(commit)) = (state, &commit) else { return Ok(None) };
            let services = state.app(commit, environment, app)?.map(|app| app.services);
            if app == own {
                of_own = services.clone().unwrap_or_default();
            }
            Ok(services)
        };
        let members = closure::resolve(&project.manifest, environment.as_str(), &mix, &mut lookup)?;
        let left_out = closure::left_out(own, of_own, &members);
        let environment = EnvironmentAt { environment: environment.clone(), commit };
        let state = state.cloned();
        Ok(Self { project, id, environment, members, left_out, mix, state, xdebug: None, router: None, on: None })
    }

    /// The images that the sandbox is made from, as they are written: base images of what is built, and the rest.
    pub fn images(&self) -> BTreeSet<ImageRef> {
        let images = self.members.iter().filter_map(|member| {
            if let Some(build) = member.with.as_ref().and_then(|part| part.build.as_ref()) {
                return build.base.as_ref();
            }
            let base = member.service.build.as_ref().filter(|_| member.own).map(|build| &build.base);
            base.or(member.service.image.as_ref()).or(member.service.fallback.as_ref())
        });
        images.cloned().collect()
    }

    /// Those of them that must be in the lock before a plan can be made.
    pub fn tagged(&self) -> BTreeSet<ImageRef> {
        self.images().into_iter().filter(|image| image.digest().is_none()).collect()
    }

    /// All of them by digest.
    pub fn pinned(&self, lock: &Lock) -> Result<Vec<ImageRef>, Error> {
        self.images().iter().map(|image| plan::pinned(image, lock)).collect()
    }

    /// Compares what is wanted with what the engine has.
    pub async fn plan(&self, engine: &Engine, lock: &Lock, key: &SandboxKey, begin: &Begin) -> Result<Plan, Error> {
        let on = On::find(engine, &self.id, self.on).await?;
        let (view, locked, shown) = (self.clone(), lock.clone(), on.is_engine());
        let (builds, seeds) = blocking(move || Ok::<_, Error>((view.builds(&locked, shown)?, view.seeds()?))).await?;
        let mut names: BTreeSet<String> = BTreeSet::new();
        for member in &self.members {
            if let Some(build) = builds.get(&member.id) {
                names.insert(build.tag.clone());
                names.extend(build.base.as_ref().map(ToString::to_string));
            } else if let Some(image) = member.service.image.as_ref().or(member.service.fallback.as_ref()) {
                names.insert(plan::pinned(image, lock)?.to_string());
            }
        }
        let existing = self.existing(engine, &names).await?;
        let wanted = Wanted {
            project: &self.project,
            id: &self.id,
            members: &self.members,
            lock,
            environment: &self.environment,
            builds: &builds,
            seeds: &seeds,
            key,
            begin,
            xdebug: self.xdebug.as_ref(),
            // Names lead to containers of this engine.
            router: self.router.as_ref().filter(|_| on.is_engine()),
            on: &on,
        };
        let plan = plan::plan(&wanted, &existing)?;
        plan.can_be_at(engine.place(), engine.host())?;
        Ok(plan)
    }

    async fn existing(&self, engine: &Engine, images: &BTreeSet<String>) -> Result<Existing, Error> {
        let labels = [(label::SANDBOX, self.id.as_str())];
        let presence =
            images.iter().map(|name| async move { Ok::<_, Error>(engine.image(name).await?.map(|_| name.clone())) });
        let things = try_join(engine.containers(&labels), try_join(engine.networks(&labels), Inventory::read(engine)));
        let things = async { things.await.map_err(Error::from) };
        let ((containers, (networks, data)), present) = try_join(things, try_join_all(presence)).await?;
        let images = present.into_iter().flatten().collect();
        let open = |labels: &HashMap<String, String>| labels.get(label::EGRESS).is_some_and(|open| open == "true");
        let networks = networks.into_iter().map(|(name, labels)| (name, open(&labels))).collect();
        Ok(Existing { containers, networks, data, images, place: engine.place().clone() })
    }

    /// The seeds of the project's own services as they are now. Blocking: reads them.
    pub fn seeds(&self) -> Result<BTreeMap<Name, Seeds>, Error> {
        let seeded = self.members.iter().filter(|member| member.own && !member.service.seed.is_empty());
        let read = |member: &Member| Seeds::read(&self.project.root, &member.service.seed);
        seeded.map(|member| Ok((member.id.service.clone(), read(member)?))).collect()
    }

    /// The names of the images that services are built as: the project's own, and those of other apps that are mixed in.
    /// Where no directory is shown in containers, images have them.
    fn builds(&self, lock: &Lock, shown: bool) -> Result<BTreeMap<ServiceId, BuildTag>, Error> {
        let root = &self.project.root;
        let mut builds = BTreeMap::new();
        for member in &self.members {
            let ServiceId { app, service } = &member.id;
            if let Some(part) = member.with.as_ref().and_then(|part| part.build.as_ref()) {
                // Of somebody else's code nothing is shown in the container: it runs what would be deployed.
                let name = format!("{app}.{service}");
                let tag = self.build_tag(member, &name, part.context.clone(), &[], part.base.clone())?;
                builds.insert(member.id.clone(), tag);
            }
        }
        for member in self.members.iter().filter(|member| member.own) {
            let name = &member.id.service;
            for local in member.service.sync.keys() {
                files::confined(root, Path::new(local))?;
            }
            let Some(build) = &member.service.build else { continue };
            let directory = files::confined(root, Path::new(&build.context))?;
            // What is shown in the container anyway does not make the image another one.
            let synced: Vec<_> = member
                .service
                .sync
                .keys()
                .filter(|_| shown)
                .map(|local| Path::new(local).components().collect())
                .collect();
            let base = plan::pinned(&build.base, lock)?;
            let mut tag = self.build_tag(member, name.as_str(), directory, &synced, Some(base))?;
            if !shown {
                tag.lay_over(copied::of(root, member, true))?;
            }
            builds.insert(member.id.clone(), tag);
        }
        Ok(builds)
    }

    /// The name of the image that a directory is built as: another one where its files, without these, or its base change.
    fn build_tag(
        &self,
        member: &Member,
        name: &str,
        context: PathBuf,
        without: &[PathBuf],
        base: Option<ImageRef>,
    ) -> Result<BuildTag, Error> {
        let dockerfile = context.join("Dockerfile");
        if !dockerfile.is_file() {
            return Err(Error::NoDockerfile { service: member.id.to_string(), path: dockerfile });
        }
        let content = Context::read(&context)?.digest(without)?;
        let on = base.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = Digest::of(format!("{content}\n{on}").as_bytes());
        let tag = format!("{}{name}:{}", self.id.image_prefix(), &key.hex()[..16]);
        Ok(BuildTag { tag, context, base, over: Vec::new() })
    }
}

/// The sandbox of a project as it is checked out now.
pub fn id(project: &Project) -> SandboxId {
    // A project outside of git has one sandbox a directory.
    let Ok(worktree) = Worktree::find(&project.root) else {
        return SandboxId::new(&project.manifest.name, None, &project.root);
    };
    SandboxId::new(&project.manifest.name, worktree.branch.as_deref(), &project.root).of_repository(worktree.common)
}
