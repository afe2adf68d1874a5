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
#[derive(Subcommand)]
pub enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Approve(approve::Arguments),
    Merge(merge::Arguments),
}

impl Command {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self {
            Self::List(arguments) => arguments.run(cx).await,
            Self::Show(arguments) => arguments.run(cx).await,
            Self::Approve(arguments) => arguments.run(cx).await,
            Self::Merge(arguments) => arguments.run(cx).await,
        }
    }
}
