//! `onramp release …`: what the environments run.

mod status;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;

/// See what the environments run.
#[derive(Subcommand)]
pub enum Command {
    Status(status::Arguments),
}

impl Command {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self {
            Self::Status(arguments) => arguments.run(cx).await,
        }
    }
}
