//! `onramp shell`

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use super::terminal;
use crate::sandbox::{status, view};

/// What is run: bash where the image has it.
const SHELL: &str = "command -v bash >/dev/null && exec bash || exec sh";

/// Open a shell in a service of the sandbox.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp shell           in the service under development
  onramp shell db
")]
pub struct Arguments {
    /// The service: `web`, or another app's `auth/api`
    service: Option<String>,
}

impl Arguments {
    /// Runs the shell with this terminal.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.dry_run {
            return Err(Failure::usage("what a program would do cannot be planned: leave out --dry-run"));
        }
        if cx.json {
            return Err(Failure::usage("a shell has no JSON; use `onramp exec --json`"));
        }
        let project = cx.project()?;
        let id = view::id(&project);
        let built = project.manifest.services.iter().find(|(_, service)| service.build.is_some());
        let service = match (self.service, built) {
            (Some(service), _) => service,
            (None, Some((name, _))) => name.to_string(),
            (None, None) => return Err(Failure::usage("no service here has `build`: name one").next("onramp status")),
        };
        let engine = cx.engine().await?;
        let service = status::container(&engine, &id, &service).await?;
        let command = ["sh", "-c", SHELL].map(str::to_owned).to_vec();
        let code = terminal::run(&engine, &service.container, command).await?;
        cx.give_back(&engine, &project, &id).await;
        Ok(Verdict::Code(code))
    }
}
