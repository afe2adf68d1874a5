//! `onramp test`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::attest::{Attested, Attesting, attest};
use super::context::Context;
use super::failure::Failure;
use super::junit;
use super::output::{self, Report, Verdict};
use super::up::{self, Reap};
use super::with::Mixing;
use crate::files;
use crate::name::Name;
use crate::project::{Lock, Project};
use crate::release;
use crate::sandbox::beside::{self, Maker};
use crate::sandbox::changed::{self, Passed};
use crate::sandbox::parity::{Look, Parity, Summary};
use crate::sandbox::plan::Begin;
use crate::sandbox::record::Record;
use crate::sandbox::run::{self, Case, CaseResult, Ending, Lane, Outcome, Run};
use crate::sandbox::{SandboxKey, View, source};
use crate::task::blocking;
use crate::text::did_you_mean;

/// The most red cases of one test that are shown.
const SHOWN: usize = 20;

/// Run the project's tests in its sandbox, which is brought up first.
///
/// What they found is kept with the code's fingerprint, for `onramp deploy` to tell.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp test                       all of [tests]
  onramp test unit                  one of them, and what it needs
  onramp test --changed             those that a change since they passed can affect
  onramp test --junit report.xml    for Jenkins
  onramp test --with auth=pr:12     together with what a pull request proposes for another app
  onramp test --reap                in CI: the sandbox ends, with its data, when the job's shell does
  onramp test --artifacts out       screenshots, coverage: what [tests] names
  onramp test --image registry.acme.test/apps/shop@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 --key ci.key
")]
pub struct Arguments {
    /// Only these tests, and those that they need
    tests: Vec<Name>,
    /// Only tests of which something is not as it was when they last passed, and those that they need
    #[arg(long)]
    changed: bool,
    /// The environment to take the other services from
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
    #[command(flatten)]
    mixing: Mixing,
    /// Write the results here, as XML that Jenkins reads (`JUnit`'s)
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Copy what the tests leave behind here, instead of `.onramp/artifacts` in the project
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    #[command(flatten)]
    attesting: Attesting,
    #[command(flatten)]
    reap: Reap,
}

#[derive(Serialize)]
struct Results {
    passed: bool,
    with: Vec<String>,
    tests: Vec<Outcome>,
    unchanged: Vec<Name>,
    attested: Vec<Attested>,
    parity: Summary,
    parity_line: String,
}

impl Arguments {
    /// Brings the sandbox up, runs the tests, keeps and reports the results.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        check(&project, &self.tests)?;
        let now = || {
            let root = project.root.clone();
            blocking(move || source::fingerprint(&root))
        };
        let fingerprint = now().await?;
        let asker = self.reap.asker()?;
        let key = self.attesting.key(cx)?;
        // What is signed says of which commit the tests were.
        let signer = key.map(|key| Ok::<_, Failure>((key, release::source(&project.root)?.1))).transpose()?;
        let mix = self.mixing.find(cx, &self.environment).await?;
        let with = mix.told();
        let view = cx.view_with(&self.environment, mix);
        let (view, engine, _) = tokio::try_join!(view, cx.engine(), cx.policy())?;
        let given = self.attesting.given(cx, &view).await?;
        let view = view.with_images(&given);
        let Some(brought) = up::make(cx, &engine, view, &Begin::AsItWas, asker.as_ref()).await? else {
            return Ok(Verdict::Ok);
        };
        let view = brought.view;
        let (inputs, before) = (changed::inputs(&engine, &view).await?, Passed::find(&cx.paths.state, &project.root));
        let chosen = self.tests.iter().chain(view.project.manifest.tests.keys().filter(|_| self.tests.is_empty()));
        let (mut unchanged, chosen): (Vec<Name>, Vec<Name>) =
            chosen.cloned().partition(|test| self.changed && before.with(test, &inputs));
        let artifacts = self.artifacts.as_ref().map(|directory| cx.dir.join(directory));
        let lanes = run::schedule(&view.project.manifest.tests, &chosen);
        let hearing = |name: &Name, text: &str| {
            // Of tests that run at the same time each line says whose it is.
            let named = || text.lines().map(|line| format!("{name}: {line}\n")).collect();
            let text: String = if lanes.len() > 1 { named() } else { text.to_owned() };
            if !cx.json {
                output::print(&text);
            }
        };
        let tests = outcomes(cx, &view, &lanes, artifacts.as_deref(), &hearing).await?;
        // One that another needs has run all the same.
        unchanged.retain(|test| tests.iter().all(|outcome| outcome.test != *test));
        let parity = Parity::of(&engine, &view, Look::IntoImages).await?.summary();
        // An edit is live in the sandbox: results of code that changed meanwhile are nobody's evidence.
        let same_code = now().await? == fingerprint;
        if let Some(file) = &self.junit {
            let text = junit::document(project.manifest.name.as_str(), &tests);
            files::write(&cx.dir.join(file), text.as_bytes())?;
        }
        // Of a test that was skipped nothing was found.
        let found = tests.iter().filter(|outcome| outcome.result != Ending::Skipped);
        let found: BTreeMap<Name, bool> = found.map(|outcome| (outcome.test.clone(), outcome.passed)).collect();
        let environment = view.environment.environment.clone();
        let state_commit = view.environment.commit.clone();
        let attested = match &signer {
            Some(signer) if same_code => attest(cx, &view, &given, signer, found.clone(), &parity).await?,
            _ => Vec::new(),
        };
        let record = Record { fingerprint, environment, state_commit, tests: found, parity: parity.clone(), with };
        // Images that were given are not made of this code.
        if same_code && given.is_empty() {
            before.keep(&green(&tests), &inputs)?;
            record.keep(&cx.paths.state, &project.root)?;
        } else if !same_code {
            cx.observer.note("files changed while the tests ran, so these results are no evidence for a deployment");
        }
        let passed = tests.iter().all(|outcome| outcome.passed);
        cx.report(&Results {
            passed,
            with: view.mix.told(),
            tests,
            unchanged,
            attested,
            parity_line: parity.to_string(),
            parity,
        });
        Ok(if passed { Verdict::Ok } else { Verdict::Failed })
    }
}

/// Whether the project has the tests that were asked for, or any.
pub fn check(project: &Project, asked: &[Name]) -> Result<(), Failure> {
    let known = &project.manifest.tests;
    if let Some(unknown) = asked.iter().find(|test| !known.contains_key(*test)) {
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
    Ok(())
}

/// Runs the tests of these lanes in the sandbox and beside it.
pub async fn outcomes(
    cx: &Context,
    view: &View,
    lanes: &[Lane],
    artifacts: Option<&Path>,
    hearing: &(dyn Fn(&Name, &str) + Send + Sync),
) -> Result<Vec<Outcome>, Failure> {
    let engine = cx.engine().await?;
    beside::sweep(&engine, &cx.paths.state, &view.id).await?;
    let (lock, state) = (Lock::load(&view.project.root)?, cx.paths.state.clone());
    let key = blocking(move || SandboxKey::open(&state)).await?;
    let maker = Maker {
        engine: &engine,
        view,
        lock: &lock,
        key: &key,
        state: &cx.paths.state,
        limit: cx.timeout,
        observer: &cx.observer,
    };
    let outcomes = Run { maker, artifacts, hearing }.all(lanes).await;
    cx.give_back(&engine, &view.project, &view.id).await;
    Ok(outcomes?)
}

/// Which tests need not run again until something changes. A flaky one may be red the next time.
pub fn green(tests: &[Outcome]) -> BTreeMap<Name, bool> {
    tests.iter().map(|outcome| (outcome.test.clone(), outcome.result == Ending::Passed)).collect()
}

impl Report for Results {
    fn text(&self) -> String {
        let unchanged = self.unchanged.iter().map(|test| format!("{test} unchanged since it passed\n"));
        let with =
            self.with.iter().map(|told| format!("tested with {told}, so this is no evidence for a deployment\n"));
        let attested = self.attested.iter().map(|of| format!("signed with {}: {}\n", of.key, of.image));
        self.tests.iter().map(told).chain(unchanged).chain(with).chain(attested).collect()
    }
}

/// One test's result, and what of it somebody looks for first.
pub fn told(outcome: &Outcome) -> String {
    let reason = outcome.last.reason.as_deref().unwrap_or_default();
    let verdict = match outcome.result {
        Ending::Passed => console::style("passed".to_owned()).green(),
        Ending::Flaky => console::style(format!("flaky: passed in run {}", outcome.earlier.len() + 1)).yellow(),
        Ending::Failed => console::style(format!("failed: {reason}")).red(),
        Ending::Skipped => console::style(format!("skipped: {reason}")).yellow(),
    };
    let mut out = format!("{} {verdict} ({} ms)\n", outcome.test, outcome.duration_ms());
    let is_red = |case: &&Case| matches!(case.result, CaseResult::Failed | CaseResult::Error);
    let red: Vec<&Case> = outcome.last.cases.iter().filter(is_red).collect();
    for case in red.iter().take(SHOWN) {
        out.push_str(&format!("  {} {}: {}\n", case.class, case.name, case.message));
    }
    if red.len() > SHOWN {
        out.push_str(&format!("  and {} more\n", red.len() - SHOWN));
    }
    if let Some(directory) = &outcome.artifacts {
        out.push_str(&format!("  artifacts {}\n", directory.display()));
    }
    out
}
