//! After an onramp that was killed: what it had asked of the engine may be done after the next one has looked, and take from under
//! it what it relies on. The engine tells nobody what it is at. But it does one thing at a time to a container, a network or a
//! volume, and so whoever comes next has to wait for its turn with each.

use std::path::Path;

use futures_util::future::try_join_all;

use super::{Error, data, down};
use crate::engine::{Engine, label};
use crate::event::Observer;
use crate::turn::Turn;

/// Sees to it that nothing is under way in a sandbox whose turn is held, if the one that had it before was killed. Its containers and
/// its network are taken away, and its data stays; whether there were any.
pub async fn settle(
    engine: &Engine,
    state: &Path,
    sandbox: &str,
    turn: &mut Turn,
    observer: &dyn Observer,
) -> Result<bool, Error> {
    if !turn.was_cut_off() {
        return Ok(false);
    }
    let was_there = !down::plan(engine, sandbox, false).await?.is_empty();
    if was_there {
        observer
            .note("an earlier onramp was cut off at work on this sandbox: its services are made anew, its data stays");
    }
    finish(engine, state, sandbox, false, turn).await?;
    Ok(was_there)
}

/// Takes a sandbox away, with its data or without, until nothing more comes, and sweeps what was made for it and is nobody's.
pub async fn finish(engine: &Engine, state: &Path, sandbox: &str, data: bool, turn: &mut Turn) -> Result<(), Error> {
    down::all(engine, state, sandbox, data).await?;
    // One that is being removed answers when it is gone.
    let volumes = engine.volumes(&[(label::SANDBOX, sandbox)]).await?;
    try_join_all(volumes.iter().map(|volume| engine.wait_for_volume(&volume.name))).await?;
    data::sweep(engine, sandbox, &[]).await?;
    turn.settled();
    Ok(())
}
