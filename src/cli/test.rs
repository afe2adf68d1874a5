//! `onramp test`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Report, Verdict};
use super::{junit, up};
use crate::files;
use crate::name::Name;
use crate::project::Lock;
use crate::sandbox::beside::{self, Maker};
use crate::sandbox::plan::Begin;
use crate::sandbox::record::Record;
use crate::sandbox::run::{self, Ending, Outcome, Run};
use crate::sandbox::{SandboxKey, parity, source};
use crate::task::blocking;
use crate::text::did_you_mean;

/// Run the project's tests in its sandbox, which is brought up first.
///
/// What they found is kept with the code's fingerprint, for `onramp deploy` to tell.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp test                       all of [tests]
  onramp test unit                  one of them
  onramp test --junit report.xml    for Jenkins
")]
pub struct Arguments {
    /// Only these tests, and those that they need
    tests: Vec<Name>,
    /// The environment to take the other services from
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
    /// Write the results here, as XML that Jenkins reads (`JUnit`'s)
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Serialize)]
struct Results {
    passed: bool,
    tests: Vec<Outcome>,
    parity: String,
}

impl Arguments {
    /// Brings the sandbox up, runs the tests, keeps and reports the results.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        let known = &project.manifest.tests;
        if let Some(unknown) = self.tests.iter().find(|test| !known.contains_key(*test)) {
            let meant = did_you_mean(unknown.as_str(), known.keys().map(Name::as_str));
            let failure = Failure::usage(format!("onramp.toml has no [tests.{unknown}]"));
            return Err(match meant {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure,
            });
        }
        if known.is_empty() {
            return Err(Failure::usage("onramp.toml has no [tests]").hint("add [tests.unit] with `in` and `run`"));
        }
        let now = || {
            let root = project.root.clone();
            blocking(move || source::fingerprint(&root))
        };
        let fingerprint = now().await?;
        let Some((view, _, _)) = up::bring_up(cx, &self.environment, &Begin::AsItWas).await? else {
            return Ok(Verdict::Ok);
        };
        let engine = cx.engine().await?;
        let lanes = run::schedule(&view.project.manifest.tests, &self.tests);
        let hearing = |name: &Name, text: &str| {
            // Of tests that run at the same time each line says whose it is.
            let named = || text.lines().map(|line| format!("{name}: {line}\n")).collect();
            let text: String = if lanes.len() > 1 { named() } else { text.to_owned() };
            if !cx.json {
                output::print(&text);
            }
        };
        let (root, state) = (view.project.root.clone(), cx.paths.state.clone());
        let key = blocking(move || SandboxKey::open(&state)).await?;
        let lock = Lock::load(&root)?;
        let maker = Maker {
            engine: &engine,
            view: &view,
            lock: &lock,
            key: &key,
            state: &cx.paths.state,
            limit: cx.timeout,
            observer: &cx.observer,
        };
        beside::sweep(&engine, &cx.paths.state, &view.id).await?;
        let outcomes = Run { maker, hearing: &hearing }.all(&lanes).await?;
        let observed = parity::observe(&engine, &view.id).await?;
        let parity = parity::compare(view.environment.clone(), &view.members, &observed).line();
        let passed = outcomes.iter().all(|outcome| outcome.passed);
        // An edit is live in the sandbox: results of code that changed meanwhile are nobody's evidence.
        let same_code = now().await? == fingerprint;
        if let Some(file) = &self.junit {
            let text = junit::document(project.manifest.name.as_str(), &outcomes);
            files::write(&cx.dir.join(file), text.as_bytes())?;
        }
        // Of a test that was skipped nothing was found.
        let found = outcomes.iter().filter(|outcome| outcome.result != Ending::Skipped);
        let tests: BTreeMap<Name, bool> = found.map(|outcome| (outcome.test.clone(), outcome.passed)).collect();
        let environment = view.environment.environment.clone();
        let state_commit = view.environment.commit.clone();
        let record = Record { fingerprint, environment, state_commit, tests, parity: parity.clone() };
        if same_code {
            record.keep(&cx.paths.state, &project.root)?;
        } else {
            cx.observer.note("files changed while the tests ran, so `onramp deploy` will not tell these results");
        }
        cx.report(&Results { passed, tests: outcomes, parity });
        Ok(if passed { Verdict::Ok } else { Verdict::Failed })
    }
}

impl Report for Results {
    fn text(&self) -> String {
        let mut out = String::new();
        for outcome in &self.tests {
            let reason = outcome.last.reason.as_deref().unwrap_or_default();
            let verdict = match outcome.result {
                Ending::Passed => console::style("passed".to_owned()).green(),
                Ending::Flaky => {
                    console::style(format!("flaky: passed in run {}", outcome.earlier.len() + 1)).yellow()
                }
                Ending::Failed => console::style(format!("failed: {reason}")).red(),
                Ending::Skipped => console::style(format!("skipped: {reason}")).yellow(),
            };
            out.push_str(&format!("{} {verdict} ({} ms)\n", outcome.test, outcome.duration_ms()));
        }
        out
    }
}
