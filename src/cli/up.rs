//! `onramp up`

use std::num::ParseIntError;
use std::str::FromStr;

use serde::Serialize;

use super::context::Context;
use super::down::no_process;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::with::Mixing;
use super::xdebug;
use crate::engine::{Engine, Volume, label};
use crate::name::{Name, NotAName};
use crate::sandbox::on::Asked;
use crate::sandbox::parity::{Look, Parity};
use crate::sandbox::plan::{Action, Begin, Filling, Plan, ServicePlan, VolumePlan};
use crate::sandbox::reaper::{self, Process};
use crate::sandbox::up::{self, Running};
use crate::sandbox::{SandboxKey, View, turn_on};
use crate::task::blocking;
use crate::text;
use crate::turn::Turn;

/// Start my code, alone, with everything it needs as an environment declares it.
///
/// Services with `build` run from the local code on the locked base image; all others run at the digests that the state
/// repository declares. Run it again after a change: only what changed is made anew.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp up                    against production
  onramp up --env staging      against another environment
  onramp up --with auth=pr:12  with what a pull request proposes for another app; several can be mixed
  onramp up --xdebug           PHP stops where the editor says
  onramp up --on swarm         as services of the swarm that the engine manages
  onramp up --fresh            with the data as the seeds have it
  onramp up --reap             in CI: it ends, with its data, when the job's shell does
  onramp up --dry-run          only show what would be done
")]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// How a sandbox is brought up.
#[derive(clap::Args)]
pub struct Options {
    /// The environment to take the other services from
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    pub environment: Name,
    #[command(flatten)]
    mixing: Mixing,
    /// Make the data of this project's services anew, from their seeds
    #[arg(long)]
    fresh: bool,
    /// Debug PHP step by step until the next `up` without this: Xdebug connects to the editor on this machine
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    xdebug: Option<Debugged>,
    /// The port that the editor listens on
    #[arg(long, value_name = "PORT", default_value_t = 9003, requires = "xdebug")]
    xdebug_port: u16,
    /// Run it on the engine, or on the swarm that the engine manages; without this it stays where it is
    #[arg(long, value_name = "engine|swarm")]
    pub on: Option<Asked>,
    #[command(flatten)]
    reap: Reap,
}

/// Which service is debugged: the one that is built here, or this one.
#[derive(Clone)]
struct Debugged(Option<Name>);

impl FromStr for Debugged {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}

impl Options {
    /// Brings the project's sandbox up so; none after `--dry-run`.
    pub async fn bring_up(&self, cx: &Context) -> Result<Option<BroughtUp>, Failure> {
        let begin = if self.fresh { Begin::Anew } else { Begin::AsItWas };
        let asker = self.reap.asker()?;
        let mix = self.mixing.find(cx, &self.environment).await?;
        let view = cx.view_with(&self.environment, mix);
        let (mut view, engine, _) = tokio::try_join!(view, cx.engine(), cx.policy())?;
        view.on = self.on;
        let Some(Debugged(asked)) = &self.xdebug else {
            return make(cx, &engine, view, &begin, asker.as_ref()).await;
        };
        let debugged = xdebug::settle(cx, &engine, &view, asked.as_ref(), self.xdebug_port).await?;
        view.xdebug = Some(debugged.clone());
        let brought = make(cx, &engine, view, &begin, asker.as_ref()).await?;
        if let Some(brought) = &brought {
            xdebug::connect(cx, brought, &debugged).await?;
        }
        Ok(brought)
    }
}

/// What a sandbox ends with.
#[derive(clap::Args)]
pub struct Reap {
    /// Remove the sandbox, with its data, when this process ends; without a number, the one that started onramp
    #[arg(long, value_name = "PID", num_args = 0..=1, require_equals = true, default_missing_value = "parent")]
    reap: Option<Asker>,
}

/// Whom a sandbox ends with.
#[derive(Clone, Copy)]
enum Asker {
    /// The process that started onramp.
    Parent,
    /// The process with this number.
    Process(u32),
}

impl FromStr for Asker {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "parent" { Ok(Self::Parent) } else { text.parse().map(Self::Process) }
    }
}

impl Reap {
    /// The process that the sandbox is to end with.
    pub fn asker(&self) -> Result<Option<Process>, Failure> {
        let process = match self.reap {
            None => return Ok(None),
            Some(Asker::Process(number)) => Process::of(number).ok_or_else(|| no_process(number))?,
            Some(Asker::Parent) => Process::parent().ok_or_else(|| {
                Failure::usage("the process that started onramp is not to be seen").hint("name one with --reap=PID")
            })?,
        };
        Ok(Some(process))
    }
}

/// A sandbox that is up.
#[derive(Serialize)]
struct Up {
    sandbox: String,
    environment: String,
    services: Vec<Running>,
    parity: Parity,
    parity_line: String,
    notes: Vec<String>,
}

impl Arguments {
    /// Plans, shows, makes, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        report(cx, self.options.bring_up(cx).await?).await
    }
}

/// Brings the project's sandbox up with this data and reports it.
pub async fn bring_up_and_report(
    cx: &Context,
    environment: &Name,
    begin: &Begin,
    asker: Option<&Process>,
) -> Result<Verdict, Failure> {
    report(cx, bring_up(cx, environment, begin, asker).await?).await
}

async fn report(cx: &Context, brought: Option<BroughtUp>) -> Result<Verdict, Failure> {
    let Some(BroughtUp { view, services, plan }) = brought else { return Ok(Verdict::Ok) };
    let engine = cx.engine().await?;
    let parity = Parity::of(&engine, &view, Look::AtContainers).await?;
    cx.report(&Up {
        sandbox: view.id.to_string(),
        environment: view.environment.to_string(),
        services,
        parity_line: parity.summary().to_string(),
        parity,
        notes: plan.notes,
    });
    Ok(Verdict::Ok)
}

/// Whether a volume holds more than secrets.
fn holds_data(volume: &Volume) -> bool {
    !volume.labels.contains_key(label::SECRET_FILES)
}

/// A sandbox that was brought up.
pub struct BroughtUp {
    /// What it was to be.
    pub view: View,
    /// Its running services.
    pub services: Vec<Running>,
    /// What was done.
    pub plan: Plan,
}

/// Brings the project's sandbox up; none after `--dry-run`.
pub async fn bring_up(
    cx: &Context,
    environment: &Name,
    begin: &Begin,
    asker: Option<&Process>,
) -> Result<Option<BroughtUp>, Failure> {
    let view = cx.view(environment);
    let (view, engine, _) = tokio::try_join!(view, cx.engine(), cx.policy())?;
    make(cx, &engine, view, begin, asker).await
}

/// Makes the sandbox what this view of it says; none after `--dry-run`.
pub async fn make(
    cx: &Context,
    engine: &Engine,
    view: View,
    begin: &Begin,
    asker: Option<&Process>,
) -> Result<Option<BroughtUp>, Failure> {
    let mut turn = Turn::take(&cx.paths.state, &turn_on(view.id.as_str()))?;
    cx.settle(engine, view.id.as_str(), &mut turn).await?;
    let lock = cx.locked_images(&view).await?;
    let state = cx.paths.state.clone();
    let key = blocking(move || SandboxKey::open(&state)).await?;
    let plan = view.plan(engine, &lock.lock, &key, begin).await?;
    let needed = view.pinned(&lock.lock)?;
    if !cx.proceed(&plan) {
        return Ok(None);
    }
    for note in &plan.notes {
        cx.observer.note(note);
    }
    let replaced = plan.taken_over();
    if !replaced.is_empty() {
        cx.confirm(&format!("Replace the data of {}?", replaced.join(", ")))?;
    }
    let tied = reaper::asker(&cx.paths.state, view.id.as_str());
    if let Some(process) = asker
        && tied.is_none()
        && engine.volumes(&[(label::SANDBOX, view.id.as_str())]).await?.iter().any(holds_data)
    {
        cx.confirm(&format!(
            "Remove the data that sandbox {} has, too, when process {} ends?",
            view.id, process.number
        ))?;
    }
    // Also what is here already: it may have come before it had to be signed.
    cx.signed(&needed).await?;
    lock.keep(&view.project.root)?;
    cx.pull(engine, &plan.pull).await?;
    if let Some(process) = asker {
        reaper::start(&cx.paths.state, &view.project.root, view.id.as_str(), process)?;
        cx.observer.note(&format!("sandbox {} ends with process {}", view.id, process.number));
    }
    let mut services = turn.during(up::apply(engine, &cx.paths.state, &plan, cx.timeout, &cx.observer)).await?;
    up::name(engine, &cx.paths.state, cx.hostnames_port(), &plan, &mut services).await?;
    // Whoever brings it up again after the process has ended wants it to stay.
    if asker.is_none() && tied.is_some_and(|process| !process.runs()) {
        reaper::forget(&cx.paths.state, view.id.as_str())?;
    }
    drop(turn);
    Ok(Some(BroughtUp { view, services, plan }))
}

impl Report for Plan {
    fn text(&self) -> String {
        let on = if self.on.is_swarm() { " on the swarm" } else { "" };
        let mut out = format!("sandbox {} from {}{on}\n", self.sandbox, self.environment);
        let names = |action| -> Vec<String> {
            let chosen = self.services.iter().filter(|service| service.action == action);
            chosen.map(|service| service.service.to_string()).collect()
        };
        let mut line = |verb: &str, names: &[String]| {
            if !names.is_empty() {
                out.push_str(&format!("  {verb} {}\n", names.join(", ")));
            }
        };
        line(
            "pull   ",
            &self
                .pull
                .iter()
                .map(|image| format!("{} {}", image.path(), image.digest().map_or("", |d| d.short())))
                .collect::<Vec<_>>(),
        );
        line(
            "build  ",
            &self
                .build
                .iter()
                .map(|build| match &build.base {
                    Some(base) => format!("{} on {}", build.service, base.path()),
                    None => build.service.clone(),
                })
                .collect::<Vec<_>>(),
        );
        let mixed = self.mixed().into_iter().map(|(told, services)| {
            let services: Vec<String> = services.into_iter().map(ToString::to_string).collect();
            format!("{} with {}", services.join(" "), text::neutral_line(told, 200))
        });
        line("mix    ", &mixed.collect::<Vec<_>>());
        let data = |chosen: fn(&VolumePlan) -> bool| -> Vec<String> {
            self.volumes.iter().filter(|volume| chosen(volume)).map(|volume| volume.service.to_string()).collect()
        };
        line("clone  ", &data(|volume| matches!(volume.begins, Filling::Golden(_))));
        line("restore", &data(|volume| matches!(volume.begins, Filling::Snapshot(_))));
        let copied = self.services.iter().filter(|service| !service.copies.is_empty());
        line("copy to", &copied.map(|service| service.service.to_string()).collect::<Vec<_>>());
        let debugged = self.services.iter().filter(|service| service.xdebug);
        line("debug  ", &debugged.map(|service| service.service.to_string()).collect::<Vec<_>>());
        line("remove ", &self.remove);
        let reaching = self.services.iter().filter(|service| !service.egress.is_empty());
        let reaches = |service: &ServicePlan| {
            let named: Vec<String> = service.egress.iter().map(ToString::to_string).collect();
            format!("{} from {}", named.join(" "), service.service)
        };
        line("reach  ", &reaching.map(reaches).collect::<Vec<_>>());
        let named: Vec<String> =
            self.services.iter().filter_map(|service| Some(service.hostname.as_ref()?.to_string())).collect();
        line("name   ", &named);
        line("create ", &names(Action::Create));
        line("replace", &names(Action::Replace));
        line("start  ", &names(Action::Start));
        line("keep   ", &names(Action::Keep));
        out
    }
}

impl Report for Up {
    fn text(&self) -> String {
        let row = |service: &Running| {
            let url = service.named.as_ref().or(service.url.as_ref()).cloned().unwrap_or_else(|| "-".to_owned());
            vec![format!("  {}", service.service), url, text::neutral_line(&service.answer, 60)]
        };
        let rows: Vec<Vec<String>> = self.services.iter().map(row).collect();
        format!("{}{}\n", text::table(&rows), self.parity_line)
    }
}
