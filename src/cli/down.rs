//! `onramp down`

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::reaper::{self, Process};
use crate::sandbox::{self, SandboxId, beside, down, turn_on, view};
use crate::task::blocking;
use crate::turn::Turn;

/// Stop and remove the sandbox; its data stays unless asked.
///
/// Only what carries this sandbox's label is touched.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp down                 the data stays for the next `onramp up`
  onramp down --data          remove the data too; the next `onramp up` seeds anew
  onramp down --after 4711    once that process has ended
")]
pub struct Arguments {
    /// Remove the data too
    #[arg(long)]
    data: bool,
    /// Wait for the end of this process first; a sandbox that somebody brings up again after that stays
    #[arg(long, value_name = "PID")]
    after: Option<u32>,
}

/// Takes the project's sandbox down; its data stays.
pub async fn take_down(cx: &Context) -> Result<Verdict, Failure> {
    Arguments { data: false, after: None }.run(cx).await
}

impl Arguments {
    /// Plans, asks where data would be lost, waits where that was asked for, removes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        let id = view::id(&project);
        let engine = cx.engine().await?;
        let after = self.after.map(|number| process(cx, &id, number)).transpose()?;
        let mut turn = match after {
            None => Some(Turn::take(&cx.paths.state, &turn_on(id.as_str()))?),
            Some(_) => None,
        };
        let mut plan = down::plan(&engine, id.as_str(), self.data).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        if self.data && (!plan.volumes.is_empty() || after.is_some()) {
            cx.confirm(&format!("Remove the data of sandbox {id}?"))?;
        }
        if let Some(process) = after {
            turn = wait(cx, &id, &process).await?;
            plan = match turn {
                Some(_) => down::plan(&engine, id.as_str(), self.data).await?,
                None => down::Plan::nothing(id.as_str()),
            };
        }
        if let Some(turn) = &mut turn {
            if !plan.containers.is_empty() {
                cx.give_back(&engine, &project, &id).await;
            }
            turn.during(down::apply(&engine, &cx.paths.state, &plan)).await?;
            if turn.was_cut_off() {
                // What the one that was killed had asked for may have come after the look.
                sandbox::finish(&engine, &cx.paths.state, id.as_str(), self.data, turn).await?;
            }
            beside::sweep(&engine, &cx.paths.state, &id).await?;
            if plan.kept.is_empty() {
                reaper::forget(&cx.paths.state, id.as_str())?;
            }
        } else {
            cx.observer.note(&format!("sandbox {id} stays: it does not end with that process any more"));
        }
        drop(turn);
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

/// The process to wait for. One that has ended since the sandbox was tied to it will do.
fn process(cx: &Context, id: &SandboxId, number: u32) -> Result<Process, Failure> {
    let tied = || reaper::asker(&cx.paths.state, id.as_str()).filter(|process| process.number == number);
    Process::of(number).or_else(tied).ok_or_else(|| no_process(number))
}

/// There is no process with this number.
pub fn no_process(number: u32) -> Failure {
    Failure::usage(format!("no process {number} runs on this machine"))
        .hint("`$$` is the number of the shell that you are in")
}

/// Waits for the end of the process, then for the turn on the sandbox; none if the sandbox is not tied to it any more.
async fn wait(cx: &Context, id: &SandboxId, process: &Process) -> Result<Option<Turn>, Failure> {
    let state = cx.paths.state.clone();
    reaper::remember(&state, id.as_str(), process)?;
    process.ended().await?;
    let what = turn_on(id.as_str());
    let turn = blocking(move || Turn::wait(&state, &what)).await?;
    let tied = reaper::asker(&cx.paths.state, id.as_str()).as_ref() == Some(process);
    Ok(tied.then_some(turn))
}

impl Report for down::Plan {
    fn text(&self) -> String {
        if self.is_empty() {
            return format!("sandbox {} is not up\n", self.sandbox);
        }
        let mut out = format!("sandbox {}\n", self.sandbox);
        let containers: Vec<String> = self.containers.iter().map(|removal| removal.name.clone()).collect();
        for (what, names) in [
            ("remove", containers.as_slice()),
            ("remove", &self.networks),
            ("remove", &self.volumes),
            ("remove", &self.images),
            ("keep  ", &self.kept),
        ] {
            for name in names {
                out.push_str(&format!("  {what} {name}\n"));
            }
        }
        out
    }
}
