//! `onramp snapshot …`: a sandbox's data, kept under a name.

mod list;
mod place;
mod pull;
mod push;
mod restore;
mod rm;
mod save;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// Keep a sandbox's data under a name, and bring it back.
///
/// A snapshot holds the data of every service of the sandbox. All sandboxes of the project on this machine can be given
/// it. Saving and restoring copy nothing where the engine's machine can lay file systems over each other (overlayfs).
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot save before-migration
  onramp snapshot restore before-migration
  onramp snapshot list
  onramp snapshot push before-migration
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Save(save::Arguments),
    Restore(restore::Arguments),
    List(list::Arguments),
    Rm(rm::Arguments),
    Push(push::Arguments),
    Pull(pull::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Save(arguments) => arguments.run(cx).await,
            Command::Restore(arguments) => arguments.run(cx).await,
            Command::List(arguments) => arguments.run(cx).await,
            Command::Rm(arguments) => arguments.run(cx).await,
            Command::Push(arguments) => arguments.run(cx).await,
            Command::Pull(arguments) => arguments.run(cx).await,
        }
    }
}
