//! `onramp hostnames …`: the names that services are reached by, and who vouches for them.

mod ca;
mod status;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// Show the names that services are reached by, and the certificate authority behind them.
///
/// `[sandbox] hostnames = true` in onramp.toml gives every service that answers by HTTP a name below localhost. `onramp up`
/// starts the router that they lead to, on loopback.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp hostnames status
  onramp hostnames ca
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Status(status::Arguments),
    Ca(ca::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Status(arguments) => arguments.run(cx).await,
            Command::Ca(arguments) => arguments.run(cx).await,
        }
    }
}
