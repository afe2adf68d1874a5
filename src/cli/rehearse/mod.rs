//! `onramp rehearse …`: what would happen there, played here first.

mod deploy;
mod report;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// Play here what would happen in an environment.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp rehearse deploy production
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Deploy(deploy::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Deploy(arguments) => arguments.run(cx).await,
        }
    }
}
