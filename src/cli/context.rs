//! What every command is given: where it runs, what is set, how it may speak.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::output::{self, Report};
use super::progress;
use super::{Global, prompt};
use crate::engine::Engine;
use crate::event::Observer;
use crate::paths::Paths;
use crate::project::Project;
use crate::settings::Settings;

/// The resolved surroundings of one command.
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
    /// Who listens to progress.
    pub observer: Arc<dyn Observer>,
    quiet: bool,
}

impl Context {
    /// Resolves the global arguments, the environment and the settings, once.
    pub fn resolve(global: &Global) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(crate::error::Class::Io, format!("cannot tell the working directory: {error}"))
        })?;
        let dir = here.join(global.directory.as_deref().unwrap_or(".".as_ref()));
        if !dir.is_dir() {
            return Err(Failure::usage(format!("-C {}: no such directory", dir.display())));
        }
        let paths = Paths::of_user()?;
        let settings = Settings::resolve(&paths, |name| std::env::var(name).ok())?;
        let in_ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty());
        let interactive = !global.no_input && !global.json && !in_ci && prompt::has_terminal();
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
            observer: progress::observer(global.quiet || global.json, global.verbose),
            quiet: global.quiet,
        })
    }

    /// The project that the command runs in.
    pub fn project(&self) -> Result<Project, Failure> {
        Ok(Project::find(&self.dir)?)
    }

    /// The engine, asked for its version.
    pub async fn engine(&self) -> Result<Engine, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Engine::connect(variable("DOCKER_HOST").as_deref(), variable("DOCKER_TLS_VERIFY").is_some()).await?)
    }

    /// Prints a command's result.
    pub fn report(&self, report: &impl Report) {
        if self.json {
            let document = output::document(report);
            output::print(&format!("{}\n", serde_json::to_string_pretty(&document).expect("a document is plain data")));
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
        if prompt::confirm(question)? {
            return Ok(());
        }
        Err(Failure::usage("you said no; nothing was changed"))
    }
}

/// Runs work that waits on files or git where it does not hold up anything else.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Send + 'static,
    Failure: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
