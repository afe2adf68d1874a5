//! `onramp promote`

use std::collections::BTreeSet;

use super::asking::Asking;
use super::context::Context;
use super::failure::Failure;
use super::forge::Desk;
use super::output::Verdict;
use super::proposed;
use crate::name::Name;
use crate::release::promotion::{self, Route, Which};
use crate::release::proposal::Merging;
use crate::task::blocking;

/// Bring what one environment declares to the next: the same digests and configuration, as a pull request.
///
/// Replicas, platform, limits, Puppet code and the names of secrets stay the environment's own; a variable goes along unless the
/// environment has given it a value of its own. Several apps, or all that both environments declare, go as one release train: one pull request with a
/// section for each. A later `promote` updates it.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp promote staging production                  this project
  onramp promote staging production shop auth        these, as one release train
  onramp promote staging production --all --dry-run
  onramp promote staging production --draft           nobody merges it yet
")]
pub struct Arguments {
    /// The environment that has it
    from: Name,
    /// The environment that gets it
    to: Name,
    /// The apps; where none is named, the project's own
    #[arg(value_name = "APP", conflicts_with = "all")]
    apps: Vec<Name>,
    /// All apps that both environments declare
    #[arg(long)]
    all: bool,
    /// Why, for the pull request and the commit
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

impl Arguments {
    /// Plans from both declarations; proposes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("`promote` pushes a branch; --offline forbids it"));
        }
        let which = match <[Name; 1]>::try_from(self.apps) {
            Ok([app]) => Which::One(app),
            Err(_) if self.all => Which::All,
            Err(none) if none.is_empty() => Which::One(cx.project()?.manifest.name),
            Err(apps) => Which::These(apps.into_iter().collect::<BTreeSet<_>>()),
        };
        self.asking.check(cx)?;
        let desk = Desk::open(cx).await?;
        let (state, head) = (desk.state.clone(), desk.head()?);
        let route = Route { from: self.from, at: head.clone(), to: self.to };
        let planned = blocking(move || promotion::draft(&state, &head, &route, &which));
        let mut draft = cx.waiting("compare the environments", planned).await?;
        draft.message = self.message;
        draft.unready = self.asking.draft();
        if !cx.proceed(&draft) {
            return Ok(Verdict::Ok);
        }
        cx.signed(&draft.images()).await?;
        proposed::propose(cx, &desk, draft, Merging::Policy, &self.asking).await
    }
}
