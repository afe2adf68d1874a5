//! What each `--with` means: asked of the state repository, the forge, the registry and the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Error, Mix, Part, PartBuild, What, With, checkout};
use crate::files::{self, FileError};
use crate::forge::{Forge, Standing};
use crate::git::Commit;
use crate::images;
use crate::name::Name;
use crate::project::service::Service;
use crate::project::{Lock, Project, lock, manifest};
use crate::reference::ImageRef;
use crate::registry::Access;
use crate::sandbox::closure::ServiceId;
use crate::state::{AppState, State};
use crate::task::blocking;
use crate::text::neutral_line;

/// How many of the files that a pull request changes an error names.
const FILES: usize = 5;

/// Where it is found out.
pub struct Sources<'a> {
    /// The state repository, fetched.
    pub state: &'a State,
    /// The commit of it that everything else is taken from.
    pub commit: &'a Commit,
    /// The sandbox's environment.
    pub environment: &'a Name,
    /// The project's own app.
    pub own: &'a Name,
    /// The state repository's forge; none where no pull request is asked for.
    pub forge: Option<&'a dyn Forge>,
    /// How registries are spoken to; none where they may not be.
    pub registries: Option<&'a Access>,
    /// onramp's cache directory.
    pub cache: &'a Path,
    /// Where relative directories begin.
    pub here: &'a Path,
}

/// What one `--with` comes to.
struct Found {
    /// The app's services, as they would be declared.
    services: BTreeMap<Name, Service>,
    /// What the services are built from that are.
    builds: BTreeMap<Name, PartBuild>,
    /// The commit that it was then.
    at: Option<Commit>,
}

impl Sources<'_> {
    /// All of it, one after the other.
    pub async fn mix(&self, asked: &[With]) -> Result<Mix, Error> {
        let mut mix = Mix { commit: Some(self.commit.clone()), ..Mix::default() };
        for with in asked {
            if with.app == *self.own {
                return Err(Error::Own { app: with.app.clone() });
            }
            let declared = self.declared(&with.app)?;
            // Two may each be about another service of one app.
            let before = mix.apps.get(&with.app).unwrap_or(&declared.services);
            let found = self.find(with, &declared).await?;
            let told = match &found.at {
                Some(commit) => format!("{with} ({})", commit.short()),
                None => with.to_string(),
            };
            let names: BTreeSet<&Name> = found.services.keys().chain(declared.services.keys()).collect();
            let other = |name: &&&Name| {
                found.services.get(**name) != declared.services.get(**name) || found.builds.contains_key(**name)
            };
            let changed: Vec<Name> = names.iter().filter(other).map(|name| (**name).clone()).collect();
            let mut after = before.clone();
            for service in changed {
                let id = ServiceId { app: with.app.clone(), service: service.clone() };
                let part = Part { told: told.clone(), build: found.builds.get(&service).cloned() };
                if let Some(there) = mix.parts.get(&id) {
                    return Err(Error::Twice { one: there.told.clone(), other: told, service: id.to_string() });
                }
                mix.parts.insert(id, part);
                match found.services.get(&service) {
                    Some(changed) => after.insert(service, changed.clone()),
                    None => after.remove(&service),
                };
            }
            mix.apps.insert(with.app.clone(), after);
        }
        Ok(mix)
    }

    fn declared(&self, app: &Name) -> Result<AppState, Error> {
        let found = self.state.app(self.commit, self.environment, app)?;
        let known = || self.state.apps(self.commit, self.environment);
        match found {
            Some(found) => Ok(found),
            None => Err(Error::NoApp { app: app.clone(), environment: self.environment.clone(), known: known()? }),
        }
    }

    async fn find(&self, with: &With, declared: &AppState) -> Result<Found, Error> {
        match &with.what {
            What::Digest(digest) => {
                let service = self.one(with, declared)?;
                let image = declared.services[&service].image.as_ref().expect("an environment names images");
                self.image(with, declared, &service, image.at(digest.clone())).await
            }
            What::Image(image) => {
                let service = self.one(with, declared)?;
                self.image(with, declared, &service, image.clone()).await
            }
            What::Pull(number) => self.pull(with, declared, *number).await,
            What::Branch(branch) => {
                let url = declared.source.clone().ok_or_else(|| Error::NoSource {
                    path: declared.path.clone(),
                    app: with.app.clone(),
                    branch: branch.clone(),
                })?;
                let (cache, branch, offline) = (self.cache.to_owned(), branch.clone(), self.registries.is_none());
                let (place, commit) = blocking(move || checkout::branch(&cache, url, &branch, offline)).await?;
                Ok(Found { at: Some(commit), ..self.directory(with, declared, &place)? })
            }
            What::Directory(path) => self.directory(with, declared, &self.here.join(path)),
        }
    }

    /// The service that is meant: the one that is named, or the only one.
    fn one(&self, with: &With, declared: &AppState) -> Result<Name, Error> {
        let (app, environment) = (with.app.clone(), self.environment.clone());
        let mut known: Vec<Name> = declared.services.keys().cloned().collect();
        match &with.service {
            Some(service) if known.contains(service) => Ok(service.clone()),
            Some(service) => Err(Error::NoService { app, service: service.clone(), environment, known }),
            None if known.len() == 1 => Ok(known.remove(0)),
            None => Err(Error::Which { app, environment, asked: with.to_string(), known }),
        }
    }

    /// An image of the repository that is declared, which its registry has.
    async fn image(&self, with: &With, declared: &AppState, service: &Name, image: ImageRef) -> Result<Found, Error> {
        let mut services = declared.services.clone();
        let changed = services.get_mut(service).expect("it is one of them");
        let repository = changed.image.as_ref().map(ImageRef::repository).unwrap_or_default();
        if image.repository() != repository {
            return Err(Error::OtherRepository {
                image: image.to_string(),
                declared: repository,
                environment: self.environment.clone(),
                service: format!("{}/{service}", with.app),
            });
        }
        let digest = match (self.registries, image.digest()) {
            (Some(registries), _) => {
                let asked = BTreeSet::from([image.clone()]);
                images::lock::resolve(&asked, registries.clone()).await?.remove(&image).map(|locked| locked.digest)
            }
            (None, digest) => digest.cloned(),
        };
        let Some(digest) = digest else { return Err(images::Error::Offline { images: vec![image] }.into()) };
        changed.image = Some(image.at(digest));
        Ok(Found { services, builds: BTreeMap::new(), at: None })
    }

    /// What an open pull request declares of the app in this environment; where it is about another environment, the images that
    /// it changes there. Of the one service that is named, or of all.
    async fn pull(&self, with: &With, declared: &AppState, number: u64) -> Result<Found, Error> {
        let forge = self.forge.expect("whoever asks for a pull request brings its forge");
        let pull = forge.get(number).await?;
        if pull.state != Standing::Open {
            return Err(Error::NotOpen { number, standing: pull.state.as_str() });
        }
        let (state, commit, environment) = (self.state.clone(), self.commit.clone(), self.environment.clone());
        let (app, service, declared) = (with.app.clone(), with.service.clone(), declared.services.clone());
        blocking(move || {
            let (mirror, head) = (state.mirror(), &pull.head_commit);
            // What comes from a fork is on no branch of the repository.
            if mirror.describe(head).is_err() {
                mirror.fetch_commit(head)?;
            }
            let base = mirror.merge_base(&commit, head)?;
            let changed = mirror.changed(&base, head)?;
            let format = state.rules(&base)?.format;
            let about = |path: &String| {
                let (environment, of) = format.place(path)?.ok()?;
                (of == app).then_some(environment)
            };
            let about: Vec<Name> = changed.iter().filter_map(about).collect();
            let at = |commit: &Commit, environment: &Name| -> Result<BTreeMap<Name, Service>, Error> {
                Ok(state.declared(commit, environment, &app)?.map(|app| app.services).unwrap_or_default())
            };
            let mut services = match about.as_slice() {
                here if here.contains(&environment) => at(head, &environment)?,
                [other] => {
                    let (before, there) = (at(&base, other)?, at(head, other)?);
                    let image = |of: &BTreeMap<Name, Service>, name: &Name| of.get(name)?.image.clone();
                    let laid = |(name, service): (Name, Service)| {
                        // What it leaves alone there is not of the pull request.
                        let proposed = image(&there, &name).filter(|to| image(&before, &name).as_ref() != Some(to));
                        let image = proposed.or(service.image.clone());
                        (name, Service { image, ..service })
                    };
                    declared.clone().into_iter().map(laid).collect()
                }
                _ => declared.clone(),
            };
            if services == declared {
                let also = changed.iter().take(FILES).map(|path| neutral_line(path, 100)).collect();
                return Err(Error::NotAbout { number, app, environment, also });
            }
            if let Some(service) = service {
                let names: BTreeSet<&Name> = services.keys().chain(declared.keys()).collect();
                let other = |name: &&Name| services.get(*name) != declared.get(*name);
                let changes: Vec<Name> = names.into_iter().filter(other).cloned().collect();
                if !changes.contains(&service) {
                    let service = format!("{app}/{service}");
                    return Err(Error::NotOfPull { number, service, environment, changes });
                }
                let mut rest = declared;
                match services.remove(&service) {
                    Some(changed) => rest.insert(service, changed),
                    None => rest.remove(&service),
                };
                services = rest;
            }
            Ok(Found { services, builds: BTreeMap::new(), at: Some(pull.head_commit) })
        })
        .await
    }

    /// A directory: a project of that name, as `up` would build it there, or a Dockerfile.
    fn directory(&self, with: &With, declared: &AppState, directory: &Path) -> Result<Found, Error> {
        let root = directory.canonicalize().map_err(FileError::io("read", directory))?;
        let mut builds = BTreeMap::new();
        if root.join(manifest::FILE).exists() {
            // A link in somebody's source leads nowhere else.
            files::confined(&root, Path::new(manifest::FILE))?;
            if root.join(lock::FILE).exists() {
                files::confined(&root, Path::new(lock::FILE))?;
            }
            let project = Project::find(&root)?;
            if project.manifest.name != with.app {
                let (found, app) = (project.manifest.name, with.app.clone());
                return Err(Error::OtherProject { path: root, found, app });
            }
            let lock = Lock::load(&root).map_err(crate::project::Error::from)?;
            let wanted = |name: &Name| {
                with.service.as_ref().is_none_or(|service| service == name) && declared.services.contains_key(name)
            };
            for (name, service) in project.manifest.services.iter().filter(|(name, _)| wanted(name)) {
                let Some(build) = &service.build else { continue };
                let context = files::confined(&root, Path::new(&build.context))?;
                let locked = lock.images.get(&build.base).map(|locked| &locked.digest);
                let digest = build.base.digest().or(locked).ok_or_else(|| {
                    let image = build.base.to_string();
                    match &with.what {
                        What::Branch(_) => Error::BranchNotLocked { image, asked: with.to_string() },
                        _ => Error::NotLocked { image, path: root.join(lock::FILE) },
                    }
                })?;
                builds.insert(name.clone(), PartBuild { context, base: Some(build.base.at(digest.clone())) });
            }
            if builds.is_empty() {
                let (app, environment) = (with.app.clone(), self.environment.clone());
                return Err(Error::NothingBuilt { path: root, app, environment });
            }
        } else if root.join("Dockerfile").exists() {
            builds.insert(self.one(with, declared)?, PartBuild { context: root, base: None });
        } else {
            return Err(Error::NothingThere { path: root });
        }
        Ok(Found { services: declared.services.clone(), builds, at: None })
    }
}
