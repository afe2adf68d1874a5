//! `onramp release …`: what the environments run, and what they ran.

mod history;
mod metrics;
mod status;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// See what the environments run, what they ran, and how well changes get there.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp release status
  onramp release history shop production
  onramp release metrics --html deliveries.html
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Status(status::Arguments),
    History(history::Arguments),
    Metrics(metrics::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Status(arguments) => arguments.run(cx).await,
            Command::History(arguments) => arguments.run(cx).await,
            Command::Metrics(arguments) => arguments.run(cx).await,
        }
    }
}
