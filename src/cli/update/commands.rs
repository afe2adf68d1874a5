//! What the blocks of an update run: migrations and hooks before the files change, tasks and migrations after.

use std::path::Path;

use crate::blocks::Error;
use crate::blocks::facts::Operation;
use crate::blocks::undo::{self, Record, Undo};
use crate::blocks::update::Followed;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::permission::Running;
use crate::directory::Directory;
use crate::template::Stage;
use crate::template::run::{Between, Shown};

/// The commands of all blocks, in order.
pub struct Commands {
    before: Vec<Running>,
    after: Vec<Running>,
}

impl Commands {
    /// Those of the blocks that change.
    pub fn of(followed: &[Followed]) -> Result<Self, Error> {
        let mut commands = Self { before: Vec::new(), after: Vec::new() };
        for Followed { locked, to, new, .. } in followed {
            let between = Between { from: &locked.version, to: &to.id.version };
            let migrations = |stage| new.migrations(to, stage, between);
            let before = migrations(Stage::Before)?.then(new.before(to, Operation::Update)?);
            let after = new.after(to, Operation::Update)?.then(migrations(Stage::After)?);
            commands.before.extend((!before.is_empty()).then(|| Running::new(to, before)));
            commands.after.extend((!after.is_empty()).then(|| Running::new(to, after)));
        }
        Ok(commands)
    }

    /// What people see of them.
    pub fn shown(&self) -> Vec<Shown> {
        self.before.iter().chain(&self.after).flat_map(Running::shown).cloned().collect()
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

    /// Runs what comes after. Where that fails, the update is taken back.
    pub async fn run_after(&self, cx: &Context, root: &Path, mut record: Record) -> Result<(), Failure> {
        for command in &self.after {
            if let Err(failure) = command.run(cx, root).await {
                let hint = match taken_back(cx, root, record) {
                    Ok(()) => "the update was taken back; what the command did to other files stays".to_owned(),
                    Err(second) => format!("the update could not be taken back and stays: {second}"),
                };
                return Err(failure.hint(hint).next("onramp update --skip-tasks"));
            }
        }
        Ok(record.settle(root)?)
    }
}

/// Takes this update back, and no other one.
fn taken_back(cx: &Context, root: &Path, mut record: Record) -> Result<(), undo::Error> {
    record.settle(root)?;
    let plan = record.plan(&Directory::open(root)?)?;
    if !plan.operations.is_empty() {
        Undo::of(&cx.paths.state, root).apply(&plan, false)?;
    }
    Ok(())
}
