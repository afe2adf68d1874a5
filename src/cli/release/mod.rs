//! `onramp release …`: what the environments run.

mod status;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// See what the environments run.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp release status
  onramp release status --json
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Status(status::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Status(arguments) => arguments.run(cx).await,
        }
    }
}
