//! What blocks run once a project's files have changed: all of it, or the change is taken back, whatever ends it.

use std::path::Path;

use super::context::Context;
use super::failure::Failure;
use super::permission::Running;
use crate::blocks::undo::{TakenBack, Undo, Unfinished};
use crate::text::neutral_line;

/// Runs commands of blocks in a project that they have changed. Where one fails, or this is interrupted, the change is
/// taken back; where onramp is killed, the next one in the project takes it back.
pub async fn run(cx: &Context, root: &Path, change: Unfinished, commands: &[Running]) -> Result<(), Failure> {
    let mut change = Guard { undo: Undo::of(&cx.paths.state, root), cx, change: Some(change) };
    for command in commands {
        if let Err(failure) = command.run(cx, root).await {
            return Err(match change.take_back() {
                Some(told) => failure.hint(told),
                None => failure,
            });
        }
    }
    match change.change.take() {
        Some(change) => Ok(change.finish()?),
        None => Ok(()),
    }
}

/// What was taken back, and what was saved of it.
pub fn told(TakenBack { what, saved }: &TakenBack) -> String {
    let what = neutral_line(what, 200);
    let rest = "what the commands did to other files stays";
    match saved {
        None => format!("the {what} was taken back; {rest}"),
        Some(saved) => {
            let saved = neutral_line(&saved.to_string_lossy(), 500);
            format!("the {what} was taken back, and what was made of its files since is in {saved}; {rest}")
        }
    }
}

struct Guard<'a> {
    undo: Undo,
    cx: &'a Context,
    change: Option<Unfinished>,
}

impl Guard<'_> {
    fn take_back(&mut self) -> Option<String> {
        Some(match self.change.take()?.take_back(&self.undo) {
            Ok(taken) => told(&taken),
            Err(error) => {
                let why = neutral_line(&crate::error::chain(&error), 300);
                format!("the change could not be taken back: {why}; the next onramp in this project tries again")
            }
        })
    }
}

impl Drop for Guard<'_> {
    /// Interrupted: the command that ran was killed.
    fn drop(&mut self) {
        if let Some(told) = self.take_back() {
            self.cx.observer.note(&told);
        }
    }
}
