//! `onramp state …`: the state repository itself, read and checked.

mod check;
mod diff;
mod lint;
mod show;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use crate::git::Commit;
use crate::name::Name;
use crate::state::State;
use crate::state::diff::Declared;

/// Read and check what the environments declare.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp state show                        the environments and what they ask for
  onramp state show production shop        what production declares for shop
  onramp state diff staging production     what staging has and production has not
  onramp state lint                        everything that is wrong with the state repository
  onramp state check --base main           in CI: what the environments' policy lacks of this change
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(show::Arguments),
    Diff(diff::Arguments),
    Lint(lint::Arguments),
    Check(check::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::Show(arguments) => arguments.run(cx).await,
            Command::Diff(arguments) => arguments.run(cx).await,
            Command::Lint(arguments) => arguments.run(cx).await,
            Command::Check(arguments) => arguments.run(cx).await,
        }
    }
}

/// A place in the history of the state repository: `production`, `production@1a2b3c4`, or a commit, tag or branch.
#[derive(Clone, Debug)]
struct Side {
    what: String,
    at: Option<String>,
}

impl FromStr for Side {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('@') {
            Some((what, at)) => Self { what: what.to_owned(), at: Some(at.to_owned()) },
            None => Self { what: text.to_owned(), at: None },
        })
    }
}

/// What a side turned out to be.
struct Found {
    /// The environment; none where all are meant.
    environment: Option<Name>,
    commit: Commit,
}

impl Side {
    /// An environment of that name goes before a branch or tag of it.
    fn find(&self, state: &State) -> Result<Found, Failure> {
        let commit = match &self.at {
            Some(at) => state.find(at)?,
            None => state.head()?,
        };
        let rules = state.rules(&commit)?;
        let name = self.what.parse::<Name>().ok();
        match name.map(|name| rules.environment(&name).map(|found| found.name.clone())) {
            Some(Ok(environment)) => Ok(Found { environment: Some(environment), commit }),
            Some(Err(unknown)) if self.at.is_some() => Err(unknown.into()),
            // Neither: what was meant is told by the names of environments.
            Some(Err(unknown)) => match state.find(&self.what) {
                Ok(commit) => Ok(Found { environment: None, commit }),
                Err(_) => Err(unknown.into()),
            },
            None => Ok(Found { environment: None, commit: state.find(&self.what)? }),
        }
    }
}

/// The state repository; without one there is nothing to look at.
pub(super) async fn open(cx: &Context) -> Result<Arc<State>, Failure> {
    cx.settings.state()?;
    Ok(cx.state().await?.expect("it is set"))
}

/// What an environment declares, by app and service.
fn declared(state: &State, commit: &Commit, environment: &Name) -> Result<Declared, Failure> {
    let apps = state.everything(commit, environment)?;
    Ok(apps.into_iter().map(|(app, declared)| (app, declared.services)).collect::<BTreeMap<_, _>>())
}
