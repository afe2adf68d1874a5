//! What a rehearsal plays: the environment's services before and after the deployment, as two views of one sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Error;
use crate::files::{self, FileError};
use crate::git::{Commit, Worktree};
use crate::name::Name;
use crate::project::service::Service;
use crate::project::{Lock, Manifest, Project};
use crate::reference::{Digest, ImageRef};
use crate::release::deployment;
use crate::sandbox::with::{Mix, Part, PartBuild, SOURCES};
use crate::sandbox::{ServiceId, View};
use crate::state::{AppState, State};

/// What is asked for where neither `--probe` nor `ready` says it.
const ROOT: &str = "/";

/// What a rehearsal plays.
pub struct Script {
    /// The environment as it is now.
    pub before: View,
    /// The same after the deployment.
    pub after: View,
    /// The port of this machine on which the probed service answers, before and after.
    pub port: u16,
    /// The paths whose answers must be as before.
    pub paths: Vec<String>,
    /// The programs whose output must be as before.
    pub checks: BTreeMap<ServiceId, Vec<String>>,
    /// What it is, for people.
    pub played: Played,
}

/// What is rehearsed.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// The app.
    pub app: Name,
    /// The environment.
    pub environment: Name,
    /// The state repository's commit that says what it runs.
    pub state_commit: Commit,
    /// The project's commit.
    pub source: Commit,
    /// The services that the deployment replaces or adds, with their image before and after; none after where it is built here.
    pub changes: Vec<Changing>,
    /// The programs that migrate, by service.
    pub migrations: BTreeMap<Name, Vec<String>>,
    /// What is asked for again and again.
    pub probe: Probed,
    /// The services whose data is checked.
    pub checks: Vec<ServiceId>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A service that the deployment replaces or adds.
#[derive(Clone, Debug, Serialize)]
pub struct Changing {
    /// The service.
    pub service: Name,
    /// Its image now; none where it is added.
    pub from: Option<ImageRef>,
    /// Its image then; none where it is built for the rehearsal.
    pub to: Option<ImageRef>,
}

/// What the probe asks for.
#[derive(Clone, Debug, Serialize)]
pub struct Probed {
    /// The service.
    pub service: Name,
    /// The paths, in turn.
    pub paths: Vec<String>,
}

/// What it is written from.
pub struct Inputs<'a> {
    /// The project.
    pub project: &'a Project,
    /// What its deployment would do.
    pub deployment: &'a deployment::Plan,
    /// What the environment declares of the app now.
    pub declared: &'a AppState,
    /// The state repository.
    pub state: &'a State,
    /// The commit of it.
    pub commit: &'a Commit,
    /// The files that each service is built from.
    pub contexts: &'a BTreeMap<Name, PathBuf>,
    /// The paths to ask for; none for the service's own.
    pub probe: &'a [String],
}

/// Writes it; none where the deployment would change nothing. Blocking: reads git.
pub fn script(inputs: &Inputs<'_>) -> Result<Option<Script>, Error> {
    let Inputs { project, deployment, declared, .. } = *inputs;
    let mut notes = Vec::new();
    let (mut after, mut parts, mut changes) = (declared.services.clone(), BTreeMap::new(), Vec::new());
    after.extend(deployment.added.clone());
    let told = format!("the deployment of {}", deployment.source.short());
    for (name, service) in &mut after {
        let from = declared.services.get(name).and_then(|service| service.image.clone());
        let build = deployment.builds.iter().find(|build| build.service == *name);
        let to = deployment.reused.get(name).or(service.image.as_ref()).filter(|_| build.is_none()).cloned();
        if build.is_none() && to == from {
            continue;
        }
        let build = build.and_then(|build| {
            Some(PartBuild { context: inputs.contexts.get(name)?.clone(), base: Some(build.base.clone()) })
        });
        service.image = to.clone().or(service.image.take());
        if service.migrate.is_none()
            && let Some(migrate) = project.manifest.services.get(name).and_then(|service| service.migrate.clone())
        {
            let environment = &deployment.environment;
            notes.push(format!(
                "{environment} declares no `migrate` of {name}: that of onramp.toml runs here, and not there"
            ));
            service.migrate = Some(migrate);
        }
        let id = ServiceId { app: project.manifest.name.clone(), service: name.clone() };
        parts.insert(id, Part { told: told.clone(), build });
        changes.push(Changing { service: name.clone(), from, to });
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let probed = probed(&changes, &after, inputs.probe)
        .ok_or_else(|| Error::NothingToProbe { app: project.manifest.name.clone() })?;
    let port = free_port()?;
    let mix = |apps, parts| Mix { commit: Some(inputs.commit.clone()), apps, parts };
    let view = |services: &BTreeMap<Name, Service>, mix| -> Result<View, Error> {
        let staged = staged(project, services, &probed.service, port);
        let view = View::read(staged, &deployment.environment, Some(inputs.state), mix)?;
        Ok(View { id: view.id.rehearsal(), ..view })
    };
    let before = view(&declared.services, mix(BTreeMap::new(), BTreeMap::new()))?;
    let migrations =
        changes.iter().filter_map(|change| Some((change.service.clone(), after[&change.service].migrate.clone()?)));
    let migrations = migrations.collect();
    let apps = BTreeMap::from([(project.manifest.name.clone(), after.clone())]);
    let after = view(&after, mix(apps, parts))?;
    let checked = |id: &&ServiceId| id.app == project.manifest.name;
    let checks: BTreeMap<ServiceId, Vec<String>> = before
        .members
        .iter()
        .map(|member| &member.id)
        .filter(checked)
        .filter_map(|id| Some((id.clone(), project.manifest.services.get(&id.service)?.check.clone()?)))
        .collect();
    let paths: BTreeSet<String> = probed.paths.iter().cloned().chain([ROOT.to_owned()]).collect();
    let played = Played {
        app: project.manifest.name.clone(),
        environment: deployment.environment.clone(),
        state_commit: inputs.commit.clone(),
        source: deployment.source.clone(),
        changes,
        migrations,
        probe: probed,
        checks: checks.keys().cloned().collect(),
        notes,
    };
    Ok(Some(Script { before, after, port, paths: paths.into_iter().collect(), checks, played }))
}

/// The service that is probed: of those that change and have a port now, the first that says when it is ready, else the first.
fn probed(changes: &[Changing], after: &BTreeMap<Name, Service>, asked: &[String]) -> Option<Probed> {
    let listens = |change: &&Changing| change.from.is_some() && after[&change.service].port.is_some();
    let all: Vec<&Name> = changes.iter().filter(listens).map(|change| &change.service).collect();
    let service = all.iter().find(|name| after[**name].ready.is_some()).or(all.first())?;
    let own = after[*service].ready.as_ref().map_or(ROOT, |ready| &ready.http);
    let paths = if asked.is_empty() { vec![own.to_owned()] } else { asked.to_vec() };
    Some(Probed { service: (*service).clone(), paths })
}

/// The project as a stage for these services: of what `onramp.toml` says only the seeds count, which are there in place of the
/// environment's data.
fn staged(project: &Project, services: &BTreeMap<Name, Service>, probed: &Name, port: u16) -> Project {
    let stage = |(name, service): (&Name, &Service)| {
        let own = project.manifest.services.get(name).filter(|_| service.data.is_some());
        let seed = own.map(|own| own.seed.clone()).unwrap_or_default();
        let publish = (name == probed).then_some(port);
        (name.clone(), Service { publish, seed, ..Service::default() })
    };
    let services = services.iter().map(stage).collect();
    let manifest = Manifest { services, tests: BTreeMap::new(), ..project.manifest.clone() };
    Project { manifest, ..project.clone() }
}

/// A port that nobody listens on at this moment. The service keeps it when its container is another one.
fn free_port() -> Result<u16, Error> {
    let here = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(here.map_err(FileError::io("find a free port of", Path::new("127.0.0.1")))?.port())
}

impl Script {
    /// What must be on the engine before it is played, by digest.
    pub fn images(&self, lock: &Lock) -> Result<Vec<ImageRef>, Error> {
        let mut images = self.before.pinned(lock)?;
        images.extend(self.after.pinned(lock)?);
        images.sort();
        images.dedup();
        Ok(images)
    }
}

/// The files of a commit that a service is built from, as a deployment would build it, in the cache. Blocking: runs git.
pub fn context(cache: &Path, worktree: &Worktree, commit: &Commit, directory: &Path) -> Result<PathBuf, Error> {
    let key = Digest::of(format!("{}\n{}\n{commit}", worktree.root.display(), directory.display()).as_bytes());
    let place = cache.join(SOURCES).join(key.short());
    files::directory_once(&place, |aside| {
        let archive = worktree.archive(commit, directory)?;
        let unpacked = tar::Archive::new(archive.as_slice()).unpack(aside);
        Ok::<_, Error>(unpacked.map_err(FileError::io("unpack", aside))?)
    })?;
    Ok(place)
}
