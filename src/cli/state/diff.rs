//! `onramp state diff`

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Found, Side};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::ImageRef;
use crate::state::State;
use crate::state::diff::{Change, Declared, diff};
use crate::task::blocking;
use crate::text::{neutral_line, table};

/// Compare two environments, or what was declared at two commits.
#[derive(clap::Args)]
#[command(
    before_help = "Examples:
  onramp state diff staging production
  onramp state diff production@1a2b3c4       production then and now
  onramp state diff 1a2b3c4 5d6e7f8          every environment at two commits
",
    after_help = "It ends with 0, whatever differs; with --exit-code it ends with 1 where something does, as git diff has it."
)]
pub struct Arguments {
    /// An environment, maybe at a commit, or a commit, tag or branch of the state repository
    #[arg(value_name = "FROM")]
    from: Side,
    /// What it is compared with; where it is left out, what is declared now
    #[arg(value_name = "TO")]
    to: Option<Side>,
    /// End with 1 where something differs
    #[arg(long)]
    exit_code: bool,
}

#[derive(Serialize)]
struct Compared {
    from: At,
    to: At,
    changes: Vec<Of>,
}

/// One side.
#[derive(Serialize)]
struct At {
    environment: Option<Name>,
    commit: Commit,
}

/// A change, and where two commits are compared the environment that it is in.
#[derive(Serialize)]
struct Of {
    environment: Option<Name>,
    #[serde(flatten)]
    change: Change,
}

impl Arguments {
    /// Reads both, compares, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let state = super::open(cx).await?;
        let exit_code = self.exit_code;
        let compared = blocking(move || compare(&state, &self.from, self.to.as_ref())).await?;
        cx.report(&compared);
        Ok(if exit_code && !compared.changes.is_empty() { Verdict::Failed } else { Verdict::Ok })
    }
}

fn compare(state: &State, from: &Side, to: Option<&Side>) -> Result<Compared, Failure> {
    let from = from.find(state)?;
    let to = match to {
        Some(to) => to.find(state)?,
        None => Found { environment: from.environment.clone(), commit: state.head()? },
    };
    let mut changes = Vec::new();
    match (&from.environment, &to.environment) {
        (Some(one), Some(other)) => {
            let (one, other) = (super::declared(state, &from.commit, one)?, super::declared(state, &to.commit, other)?);
            changes.extend(diff(&one, &other).into_iter().map(|change| Of { environment: None, change }));
        }
        (None, None) => {
            let names = |commit: &Commit| -> Result<BTreeSet<Name>, Failure> {
                Ok(state.rules(commit)?.environments.into_iter().map(|environment| environment.name).collect())
            };
            let (before, after) = (names(&from.commit)?, names(&to.commit)?);
            let declared = |commit: &Commit, known: &BTreeSet<Name>, name: &Name| -> Result<Declared, Failure> {
                if known.contains(name) { super::declared(state, commit, name) } else { Ok(Declared::new()) }
            };
            for name in before.union(&after) {
                let (one, other) = (declared(&from.commit, &before, name)?, declared(&to.commit, &after, name)?);
                let of = |change| Of { environment: Some(name.clone()), change };
                changes.extend(diff(&one, &other).into_iter().map(of));
            }
        }
        _ => {
            return Err(Failure::usage("an environment cannot be compared with a commit of all of them")
                .hint("name two environments, ENVIRONMENT@COMMIT, or two commits"));
        }
    }
    let at = |found: Found| At { environment: found.environment, commit: found.commit };
    Ok(Compared { from: at(from), to: at(to), changes })
}

impl Report for Compared {
    fn text(&self) -> String {
        if self.changes.is_empty() {
            return "nothing differs\n".to_owned();
        }
        let row = |of: &Of| {
            let change = &of.change;
            let environment = of.environment.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
            let side = |side: &Option<String>| side.as_deref().map_or_else(|| "-".to_owned(), shown);
            vec![
                format!("{environment}{}/{}", change.app, change.service),
                neutral_line(&change.key, 80),
                format!("{} → {}", side(&change.from), side(&change.to)),
            ]
        };
        table(&self.changes.iter().map(row).collect::<Vec<_>>())
    }
}

/// A value as people compare it: of an image, what it is called there and the beginning of its digest.
fn shown(value: &str) -> String {
    let image = value.parse::<ImageRef>().ok();
    let by_digest = image.and_then(|image| Some(format!("{} {}", image.path(), image.digest()?.short())));
    by_digest.unwrap_or_else(|| neutral_line(value, 120))
}
