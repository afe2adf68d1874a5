//! `onramp pr …`: the pull requests of the state repository, and those of the catalog.

mod approve;
mod list;
mod merge;
mod ready;
mod show;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use crate::settings::Settings;

/// List, show, make ready, approve and merge the pull requests of the state repository, or with --catalog those of the catalog.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp pr list
  onramp pr show 3
  onramp pr merge 3
  onramp pr list --catalog
")]
pub struct Arguments {
    /// Those of the catalog: what projects contribute to blocks
    #[arg(long, global = true)]
    catalog: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Ready(ready::Arguments),
    Approve(approve::Arguments),
    Merge(merge::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let of = if self.catalog { Of::Catalog } else { Of::State };
        let cx = &match of {
            Of::State => cx.clone(),
            // The desk is the same, whatever lies on it.
            Of::Catalog => cx.with(Settings { state: cx.settings.catalog.clone(), ..cx.settings.clone() }),
        };
        match self.command {
            Command::List(arguments) => arguments.run(cx).await,
            Command::Show(arguments) => arguments.run(cx, of).await,
            Command::Ready(arguments) => arguments.run(cx).await,
            Command::Approve(arguments) => arguments.run(cx).await,
            Command::Merge(arguments) => arguments.run(cx, of).await,
        }
    }
}

/// Whose pull requests are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The state repository's, which policy judges.
    State,
    /// The catalog's, which somebody else than the author approves.
    Catalog,
}
