//! `onramp pr …`: the pull requests of the state repository.

mod approve;
mod list;
mod merge;
mod show;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// List, show, approve and merge the pull requests of the state repository.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr list
  onramp pr show 3
  onramp pr merge 3
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Approve(approve::Arguments),
    Merge(merge::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::List(arguments) => arguments.run(cx).await,
            Command::Show(arguments) => arguments.run(cx).await,
            Command::Approve(arguments) => arguments.run(cx).await,
            Command::Merge(arguments) => arguments.run(cx).await,
        }
    }
}
