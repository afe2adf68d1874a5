//! What of an environment's policy does not hold for a change, by what its commit says and the state repository bears out.

use super::trailers::Origin;
use super::{Error, Trailers, rollback};
use crate::git::Commit;
use crate::name::Name;
use crate::state::{Environment, State};

/// What asks that a digest was in the environment before, and for how long.
const BEFORE: [&str; 2] = ["after", "soak"];

/// The rules that a change to an app need not meet: of what the environment itself declared before, where it goes back to exactly
/// that; for a hotfix, where the environment's policy has `hotfix = true`. All others hold.
pub fn rules(
    state: &State,
    base: &Commit,
    merged: &Commit,
    environment: &Environment,
    app: &Name,
    said: &[Trailers],
) -> Result<&'static [&'static str], Error> {
    let said = said.iter().find(|trailers| trailers.is_about(&environment.name, app));
    let excused = match said.map(|said| &said.origin) {
        Some(Origin::Rollback(to)) => rollback::is_one(state, base, merged, &environment.name, app, to)?,
        Some(Origin::Hotfix(reason)) => environment.policy.hotfix && !reason.trim().is_empty(),
        Some(Origin::Project | Origin::Promoted { .. }) | None => false,
    };
    Ok(if excused { &BEFORE } else { &[] })
}
