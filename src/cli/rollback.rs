//! `onramp rollback`

use super::asking::Asking;
use super::context::Context;
use super::failure::Failure;
use super::forge::Desk;
use super::output::Verdict;
use super::proposed;
use crate::name::Name;
use crate::release::proposal::Merging;
use crate::release::rollback::{self, To};
use crate::task::blocking;

/// Put an app in an environment back to what was declared before, as a pull request.
///
/// The whole declaration comes back as it was, images by digest: nothing is built. What an environment ran before need not have been in the
/// one before it again; approvals, tests and freezes hold. Without `--to` it goes back by one deployment.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp rollback production
  onramp rollback production shop --to 2             as before the last two deployments
  onramp rollback production shop --to 1a2b3c4       as of a commit of the state repository
  onramp rollback production shop --now              merge it at once, if policy lets it through
")]
pub struct Arguments {
    /// The environment
    environment: Name,
    /// The app; where it is left out, the project's own
    app: Option<Name>,
    /// How many deployments back, or a commit of the state repository
    #[arg(long, value_name = "N|COMMIT", default_value = "1")]
    to: To,
    /// Merge it at once; what policy does not let through stays proposed, and is an error
    #[arg(long, conflicts_with = "draft")]
    now: bool,
    /// Why, for the pull request and the commit
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

impl Arguments {
    /// Plans from the declaration's history; proposes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("`rollback` pushes a branch; --offline forbids it"));
        }
        let app = match self.app {
            Some(app) => app,
            None => cx.project()?.manifest.name,
        };
        self.asking.check(cx)?;
        let desk = Desk::open(cx).await?;
        let (state, head, environment) = (desk.state.clone(), desk.head()?, self.environment);
        let mut draft = blocking(move || rollback::draft(&state, &head, &environment, &app, &self.to)).await?;
        draft.message = self.message;
        draft.unready = self.asking.draft();
        if !cx.proceed(&draft) {
            return Ok(Verdict::Ok);
        }
        cx.signed(&draft.images()).await?;
        let merging = if self.now { Merging::Now } else { Merging::Policy };
        proposed::propose(cx, &desk, draft, merging, &self.asking).await
    }
}
