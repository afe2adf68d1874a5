//! `onramp export …`: a sandbox, for other tools.

mod compose;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// Write the sandbox for other tools.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp export compose > compose.yaml
  onramp export compose --env staging --output compose.yaml
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compose(compose::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Compose(arguments) => arguments.run(cx).await,
        }
    }
}
