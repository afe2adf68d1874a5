//! What the blocks of an update run: migrations and hooks before the files change, tasks and migrations after.

use std::path::Path;

use crate::blocks::Error;
use crate::blocks::undo::{Then, Unfinished};
use crate::blocks::update::Followed;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::finish;
use crate::cli::permission::{self, Running};
use crate::template::run::Shown;
use crate::trust::Capability;

/// The commands of all blocks, in order.
pub struct Commands {
    before: Vec<Running>,
    after: Vec<Running>,
}

impl Commands {
    /// Those of the blocks that change.
    pub fn of(followed: &[Followed]) -> Result<Self, Error> {
        let mut commands = Self { before: Vec::new(), after: Vec::new() };
        for block in followed {
            let ([before, after], to) = (block.commands()?, &block.to);
            commands.before.extend((!before.is_empty()).then(|| Running::new(to, before)));
            commands.after.extend((!after.is_empty()).then(|| Running::new(to, after)));
        }
        Ok(commands)
    }

    /// What people see of them.
    pub fn shown(&self) -> Vec<Shown> {
        self.all().flat_map(Running::shown).cloned().collect()
    }

    /// What they read outside and send, as their authors say.
    pub fn declared(&self) -> Vec<Capability> {
        permission::declared(self.all())
    }

    fn all(&self) -> impl Iterator<Item = &Running> {
        self.before.iter().chain(&self.after)
    }

    /// Whether something runs before the files change, and may change them itself.
    pub fn come_first(&self) -> bool {
        !self.before.is_empty()
    }

    /// What people see of those that run once the files have changed.
    pub fn last(&self) -> Vec<Shown> {
        self.after.iter().flat_map(Running::shown).cloned().collect()
    }

    /// Runs what comes before the files change.
    pub async fn run_before(&self, cx: &Context, root: &Path) -> Result<(), Failure> {
        for command in &self.before {
            let run = command.run(cx, root).await;
            run.map_err(|failure| failure.hint("nothing was updated; what the command itself did stays"))?;
        }
        Ok(())
    }

    /// What is to come once the files have changed.
    pub fn then(&self) -> Then {
        if self.after.is_empty() { Then::Nothing } else { Then::Commands }
    }

    /// Runs what comes after. Where that does not come to its end, the update is taken back.
    pub async fn run_after(&self, cx: &Context, root: &Path, change: Unfinished) -> Result<(), Failure> {
        let run = finish::run(cx, root, change, &self.after).await;
        run.map_err(|failure| failure.next("onramp update --skip-tasks"))
    }
}
