//! What every command is given: where it runs, what is set, how it may speak.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};

use super::failure::Failure;
use super::finish;
use super::output::{self, Report};
use super::progress;
use super::{Global, prompt, signatures};
use crate::blocks::Transaction;
use crate::blocks::undo::Undo;
use crate::engine::{Address, Engine};
use crate::event::Observer;
use crate::forge;
use crate::git::{Identity, Mirror, RepoUrl, Wanted};
use crate::images;
use crate::images::lock::Complete;
use crate::images::policy::Policy;
use crate::images::pull::{Prepared, Pull};
use crate::name::Name;
use crate::paths::Paths;
use crate::project::{Lock, Project, Scaffolded};
use crate::reference::ImageRef;
use crate::registry::Access;
use crate::sandbox::router::RouterId;
use crate::sandbox::with::Mix;
use crate::sandbox::{self, SandboxId, View, owned};
use crate::settings::Settings;
use crate::state::State;
use crate::task::blocking;
use crate::turn::Turn;

/// The resolved surroundings of one command.
#[derive(Clone)]
pub struct Context {
    /// Where the command was asked to run (`-C`, else the working directory).
    pub dir: PathBuf,
    /// onramp's own directories.
    pub paths: Paths,
    /// The user's settings.
    pub settings: Settings,
    /// Print one JSON document.
    pub json: bool,
    /// Stop after the plan.
    pub dry_run: bool,
    /// Say yes to every confirmation.
    pub yes: bool,
    /// Whether a person is there to be asked.
    pub interactive: bool,
    /// Use no network.
    pub offline: bool,
    /// Leave `onramp.lock` as it is.
    pub locked: bool,
    /// How long to wait for a service, a server or a lock.
    pub timeout: Duration,
    /// How registries are spoken to.
    pub registries: Access,
    /// Who listens to progress.
    pub observer: Arc<dyn Observer>,
    quiet: bool,
    /// What the catalog says of signatures, once it was asked.
    policy: Arc<Mutex<Option<Policy>>>,
    /// The engine, once it was asked for its version.
    engine: Arc<OnceCell<Engine>>,
}

/// What became of a change that an earlier onramp did not bring to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// There was none.
    Nothing,
    /// It was all but done, and is complete now.
    Completed,
    /// It was taken back.
    TakenBack(String),
}

impl Context {
    /// Resolves the global arguments, the environment and the settings, once.
    pub fn resolve(global: &Global) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(crate::error::Class::Io, format!("cannot tell the working directory: {error}"))
        })?;
        let dir = global.directory.as_deref().map_or(here.clone(), |directory| here.join(directory));
        if !dir.is_dir() {
            return Err(Failure::usage(format!("-C {}: no such directory", dir.display())));
        }
        let paths = Paths::of_user()?;
        let settings = Settings::resolve(&paths, |name| std::env::var(name).ok())?;
        let in_ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty());
        let interactive = !global.no_input && !global.json && !in_ci && prompt::has_terminal();
        let registries = Access::new(global.timeout.0, settings.mirrors.clone());
        Ok(Self {
            dir,
            paths,
            settings,
            json: global.json,
            dry_run: global.dry_run,
            yes: global.yes,
            interactive,
            offline: global.offline,
            locked: global.locked,
            timeout: global.timeout.0,
            registries,
            observer: progress::observer(global.quiet || global.json, global.verbose),
            quiet: global.quiet,
            policy: Arc::default(),
            engine: Arc::default(),
        })
    }

    /// The same with other settings.
    pub fn with(&self, settings: Settings) -> Self {
        let registries = Access::new(self.timeout, settings.mirrors.clone());
        Self { settings, registries, policy: Arc::default(), ..self.clone() }
    }

    /// The same for work that goes on by itself: nobody is asked, and what happens is told to this observer alone.
    pub fn unattended(&self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, quiet: true, json: false, interactive: false, ..self.clone() }
    }

    /// The same with the state repository as it was fetched last.
    pub fn as_fetched(&self) -> Self {
        Self { offline: true, ..self.clone() }
    }

    /// The project that the command runs in.
    pub fn project(&self) -> Result<Project, Failure> {
        let project = Project::find(&self.dir)?;
        Ok(if self.recovered(&project.root)? == Recovery::Nothing { project } else { Project::find(&self.dir)? })
    }

    /// The project that the command runs in, or the directory that a foreign template was rendered to.
    pub fn scaffolded(&self) -> Result<Scaffolded, Failure> {
        let place = Scaffolded::find(&self.dir)?;
        Ok(if self.recovered(&place.root)? == Recovery::Nothing { place } else { Scaffolded::find(&self.dir)? })
    }

    /// Puts right what an onramp that was killed in the middle of a change left in a project.
    pub fn recovered(&self, root: &std::path::Path) -> Result<Recovery, Failure> {
        let mut recovery = Recovery::Nothing;
        if let Some(recovered) = Transaction::recover(root)? {
            self.observer.note(if recovered.completed {
                "an earlier onramp was killed when its change was all but done; it is complete now"
            } else {
                "an earlier onramp was killed in the middle of a change; everything is back as it was before it"
            });
            for (path, beside) in &recovered.beside {
                let note = format!("{path} was edited since, and stays; what stood there before is in {beside}");
                self.observer.note(&note);
            }
            recovery = if recovered.completed {
                Recovery::Completed
            } else {
                Recovery::TakenBack("change that was cut off".to_owned())
            };
        }
        for taken in Undo::of(&self.paths.state, root).recover()? {
            self.observer.note(&format!(
                "an earlier onramp was killed before the blocks' own commands had ended: {}",
                finish::told(&taken)
            ));
            recovery = Recovery::TakenBack(taken.what);
        }
        Ok(recovery)
    }

    /// The state repository, brought up to date; none where none is set.
    pub async fn state(&self) -> Result<Option<Arc<State>>, Failure> {
        let Some(setting) = &self.settings.state else { return Ok(None) };
        let url: RepoUrl = setting.value.parse()?;
        let kind = self.settings.forge.as_ref().map(|forge| forge.value.kind);
        let wanted = kind.map_or(Wanted::Branches, forge::wanted);
        let state = Arc::new(State::open(&self.paths.cache, url, wanted));
        let (fetched, offline) = (state.clone(), self.offline);
        self.waiting("fetch the state repository", blocking(move || fetched.refresh(offline))).await?;
        Ok(Some(state))
    }

    /// The project's sandbox against an environment.
    pub async fn view(&self, environment: &Name) -> Result<View, Failure> {
        self.view_with(environment, Mix::default()).await
    }

    /// The same with this mixed in.
    pub async fn view_with(&self, environment: &Name, mix: Mix) -> Result<View, Failure> {
        let project = self.project()?;
        let state = self.state().await?;
        if state.is_none() {
            self.observer.note(
                "no state repository is set, so the sandbox has only what onramp.toml says (`onramp join` sets one)",
            );
        }
        let environment = environment.clone();
        let router = RouterId::of(&self.paths.state);
        blocking(move || {
            if let Some(state) = &state {
                state.rules(&state.head()?)?.environment(&environment)?;
            }
            let mut view = View::read(project, &environment, state.as_deref(), mix)?;
            view.router = view.project.manifest.sandbox.hostnames.then_some(router);
            Ok(view)
        })
        .await
    }

    /// The loopback port that is set for names.
    pub fn hostnames_port(&self) -> Option<u16> {
        self.settings.hostnames_port.as_ref().map(|port| port.value.get())
    }

    /// The project's lock with every reference of the sandbox in it. What is new in it is not written yet: it may turn out
    /// to lack a signature.
    pub async fn locked_images(&self, view: &View) -> Result<Complete, Failure> {
        let lock = Lock::load(&view.project.root)?;
        let needed = view.tagged();
        let complete = images::lock::complete(&lock, &needed, self.lock_forbidden(), &self.registries);
        let complete = self.waiting("ask the registry what tags mean", complete).await?;
        self.remember(&view.project.root, &view.pinned(&complete.lock)?.into_iter().collect())?;
        Ok(complete)
    }

    /// Waits for something outside, and says so to a person who waits with us.
    pub async fn waiting<T>(&self, task: &str, work: impl Future<Output = T>) -> T {
        self.observer.started(task);
        let done = work.await;
        self.observer.ended(task);
        done
    }

    /// Why the lock may not change, if it may not.
    pub fn lock_forbidden(&self) -> Option<&'static str> {
        match (self.locked, self.offline) {
            (true, _) => Some("--locked forbids to change it"),
            (_, true) => Some("--offline forbids to ask the registry"),
            _ => None,
        }
    }

    /// Pulls those of these images, all by digest, that the engine lacks.
    pub async fn pull_missing(&self, engine: &Engine, images: &[ImageRef]) -> Result<(), Failure> {
        let plans = images::pull::plan(engine, images, None).await?;
        let missing: Vec<ImageRef> = plans.into_iter().filter(|plan| !plan.present).map(|plan| plan.image).collect();
        self.pull(engine, &missing).await
    }

    /// Pulls images that the engine lacks, all by digest.
    pub async fn pull(&self, engine: &Engine, missing: &[ImageRef]) -> Result<(), Failure> {
        if self.offline && !missing.is_empty() {
            return Err(images::Error::Offline { images: missing.to_vec() }.into());
        }
        let pull = self.pull_of(engine, None);
        let prepared = self.prepare(&pull, missing).await?;
        self.pull_prepared(&pull, prepared).await?;
        self.limit_cache().await;
        Ok(())
    }

    /// Asks what a pull will take. What is locked and gone is told by its tag.
    pub async fn prepare(&self, pull: &Pull<'_>, missing: &[ImageRef]) -> Result<Prepared, Failure> {
        let prepared = self.waiting("ask the registry about images", pull.prepare(missing)).await;
        if let Err(images::Error::Absent { image }) = &prepared
            && let Ok(project) = Project::find(&self.dir)
            && let Some(gone) = images::lock::gone(&Lock::load(&project.root)?, image, &self.registries).await
        {
            return Err(gone.into());
        }
        Ok(prepared?)
    }

    /// Pulls what was prepared, if it has the signatures that the policy wants.
    pub async fn pull_prepared(&self, pull: &Pull<'_>, prepared: Prepared) -> Result<(), Failure> {
        let images: Vec<ImageRef> = prepared.details().into_keys().cloned().collect();
        self.signed(&images).await?;
        Ok(pull.apply(prepared).await?)
    }

    /// Waits for what an onramp that was killed had begun with a sandbox, and puts right what it left; whether it was up.
    pub async fn settle(&self, engine: &Engine, sandbox: &str, turn: &mut Turn) -> Result<bool, Failure> {
        if self.dry_run {
            return Ok(false);
        }
        Ok(sandbox::settle(engine, &self.paths.state, sandbox, turn, &*self.observer).await?)
    }

    /// Gives back to the developer what programs of a sandbox made in the project's directories. That it could not be is no
    /// failure of what was asked for.
    pub async fn give_back(&self, engine: &Engine, project: &Project, id: &SandboxId) {
        let told = match owned::give_back(engine, project, id).await {
            Ok(left) if left.is_empty() => return,
            Ok(left) => format!("what the superuser of a container made in {} stays the superuser's", left.join(", ")),
            Err(error) => format!("what the superuser of a container made stays the superuser's: {error}"),
        };
        self.observer.note(&told);
    }

    /// How many bytes the layers of images may take in the cache.
    pub fn cache_limit(&self) -> u64 {
        self.settings.cache_limit.as_ref().map_or(images::store::LIMIT, |limit| limit.value)
    }

    /// Keeps the cache of images within its limit, after something was read into it. That it could not be is no failure of
    /// what was asked for.
    pub async fn limit_cache(&self) {
        let (cache, state, limit) = (self.paths.cache.clone(), self.paths.state.clone(), self.cache_limit());
        let observer = self.observer.clone();
        let _ = blocking(move || images::prune::limit(&cache, &state, limit, &*observer)).await;
    }

    /// Remembers what a project's sandbox needs, so that nothing of it is pruned.
    pub fn remember(&self, root: &std::path::Path, images: &BTreeSet<ImageRef>) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        Ok(images::known::note_project(&self.paths.state, root, images)?)
    }

    /// Remembers that a project needs these as well.
    pub fn remember_more(&self, root: &std::path::Path, images: &[ImageRef]) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        Ok(images::known::note_more(&self.paths.state, root, images)?)
    }

    /// A pull into this engine, for the engine's own platform unless another one is named.
    pub fn pull_of<'a>(&'a self, engine: &'a Engine, platform: Option<&'a str>) -> Pull<'a> {
        Pull {
            engine,
            cache: &self.paths.cache,
            state: &self.paths.state,
            platform,
            registries: self.registries.clone(),
            observer: &self.observer,
        }
    }

    /// What holds for signatures on images: the rules of the user's catalog, as the user accepted them. Asked for early, it
    /// is fetched beside other things.
    pub async fn policy(&self) -> Result<Policy, Failure> {
        let mut held = self.policy.lock().await;
        if held.is_none() {
            *held = Some(signatures::policy(self).await?);
        }
        Ok(held.clone().unwrap_or_default())
    }

    /// Refuses images, all by digest, that lack a signature which the policy wants. The engine has not seen them yet.
    pub async fn signed(&self, images: &[ImageRef]) -> Result<(), Failure> {
        let mut policy = self.policy().await?;
        if images.iter().all(|image| policy.demand(image).is_none()) {
            return Ok(());
        }
        if signatures::settle(self, &mut policy)? {
            *self.policy.lock().await = Some(policy.clone());
        }
        let checked = policy.check_all(images, self.offline, &self.registries);
        self.waiting("check signatures", checked).await?;
        Ok(())
    }

    /// Whether the forge can be talked to with what is set: a token was found. Nothing is sent, but what asks for an app's token.
    pub async fn forge_access(&self) -> Result<(), String> {
        let (Some(forge), Some(state)) = (&self.settings.forge, &self.settings.state) else { return Ok(()) };
        let url: RepoUrl = state.value.parse().map_err(|error: crate::git::Error| error.to_string())?;
        let mirror = Mirror::new(&self.paths.cache, url, forge::wanted(forge.value.kind));
        let me = Identity::find(&self.dir).map_err(|error| error.to_string())?;
        let variable = |name: &str| std::env::var(name).ok();
        let connected = forge::connect(&forge.value, &mirror, &me, false, self.timeout, &variable).await;
        connected.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The machine, as `doctor` looks at it.
    pub fn machine(&self) -> crate::doctor::Machine {
        crate::doctor::Machine {
            paths: self.paths.clone(),
            settings: self.settings.clone(),
            engine: Address::find(|name| std::env::var(name).ok()).map_err(Arc::new),
            directory: self.dir.clone(),
        }
    }

    /// The engine, asked for its version.
    pub async fn engine(&self) -> Result<Engine, Failure> {
        let connect = async { Ok(Engine::connect(&Address::find(|name| std::env::var(name).ok())?).await?) };
        self.engine.get_or_try_init(|| connect).await.cloned()
    }

    /// Prints a command's result.
    pub fn report(&self, report: &impl Report) {
        if self.json {
            let document = output::document(report);
            output::print(&output::json(&document, output::Lines::Several));
        } else {
            output::print(&report.text());
        }
    }

    /// Shows the plan. Tells whether to go on: `--dry-run` makes the plan the result, and stops.
    pub fn proceed(&self, plan: &impl Report) -> bool {
        if self.dry_run {
            self.report(plan);
            return false;
        }
        if !self.quiet && !self.json {
            let text = plan.text();
            if !text.is_empty() {
                output::say(text.trim_end());
            }
        }
        true
    }

    /// Asks before something is destroyed. Without a person to ask, `--yes` must have said so.
    pub fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !self.interactive {
            return Err(Failure::usage(format!("{question} Nobody is here to be asked; --yes says yes.")));
        }
        if prompt::confirm(&format!("{question} (--yes says yes)"))? {
            return Ok(());
        }
        Err(Failure::usage("you said no; nothing was changed"))
    }
}
