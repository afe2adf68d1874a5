//! `onramp playground`

mod down;
mod page;
mod status;
mod tour;
mod up;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// A practice company on this machine: registry, catalog, state repository, forge.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp playground up      build and start it, or heal what is broken
  onramp playground tour    play a newcomer's first day
  onramp playground down    remove exactly what it made
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Down(down::Arguments),
    Status(status::Arguments),
    Tour(tour::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Up(arguments) => arguments.run(cx).await,
            Command::Down(arguments) => arguments.run(cx).await,
            Command::Status(arguments) => arguments.run(cx).await,
            Command::Tour(arguments) => arguments.run(cx).await,
        }
    }
}
