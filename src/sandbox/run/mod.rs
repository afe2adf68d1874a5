//! Running a project's tests: [`schedule`] says in which order, [`program`] runs each, [`Outcome`] tells how it went.

mod artifacts;
mod outcome;
mod program;
mod report;
mod schedule;

pub use outcome::{Attempt, Ending, Outcome};
pub use report::{Case, CaseResult};
pub use schedule::{Lane, schedule};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::watch;

use self::program::Ran;
use super::beside::{Beside, Maker};
use super::data::Inventory;
use super::{Error, SandboxId, SecretFiles, bring, secret, status};
use crate::engine::{self, Watch, label};
use crate::name::Name;
use crate::project::test::Test;

/// What programs end with that a signal ended: 128 and its number. A container that ends sends its programs some.
const SIGNALLED: RangeInclusive<i64> = 129..=192;
/// How long a container may take to be gone whose programs are.
const GONE: Duration = Duration::from_secs(2);

/// What tests run with.
pub struct Run<'a> {
    /// The sandbox that they run in or beside.
    pub maker: Maker<'a>,
    /// The directory for what the tests leave behind, one in it for each; none for the project's own.
    pub artifacts: Option<&'a Path>,
    /// Who hears what the programs say, and which test says it.
    pub hearing: &'a (dyn Fn(&Name, &str) + Send + Sync),
}

/// Whether each test passed, once that is known.
type Gates<'a> = BTreeMap<&'a Name, watch::Sender<Option<bool>>>;

impl Run<'_> {
    /// Runs the tests of all lanes; how they went, by name.
    pub async fn all(&self, lanes: &[Lane]) -> Result<Vec<Outcome>, Error> {
        for name in lanes.iter().flat_map(|lane| &lane.tests) {
            // Only onramp writes to the place that it takes by itself.
            if self.artifacts.is_some() && !self.maker.view.project.manifest.tests[name].artifacts.is_empty() {
                artifacts::replaceable(&self.place(name)?)?;
            }
        }
        let gates: Gates<'_> =
            lanes.iter().flat_map(|lane| &lane.tests).map(|test| (test, watch::Sender::new(None))).collect();
        let outcomes = try_join_all(lanes.iter().map(|lane| self.lane(lane, &gates))).await?;
        let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        outcomes.sort_by(|a, b| a.test.cmp(&b.test));
        Ok(outcomes)
    }

    /// Runs the tests of one lane, one after the other.
    async fn lane(&self, lane: &Lane, gates: &Gates<'_>) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = Vec::new();
        let mut beside = None;
        for name in &lane.tests {
            let test = &self.maker.view.project.manifest.tests[name];
            let outcome = if let Some(need) = unmet(test, gates).await {
                Outcome::skipped(name, need)
            } else {
                if let (None, true, Some(group)) = (&beside, lane.isolated, &lane.group) {
                    beside = Some(Beside::up(&self.maker, group).await?);
                }
                let id = beside.as_ref().map_or(&self.maker.view.id, |beside| &beside.id);
                self.test(id, name, test).await?
            };
            gates[name].send_replace(Some(outcome.passed));
            outcomes.push(outcome);
        }
        if let Some(beside) = beside {
            beside.down().await?;
        }
        Ok(outcomes)
    }

    /// Runs one test, again while it is red and may be.
    async fn test(&self, id: &SandboxId, name: &Name, test: &Test) -> Result<Outcome, Error> {
        let mut earlier = Vec::new();
        loop {
            let attempt = self.attempt(id, name, test).await?;
            match &attempt.reason {
                Some(reason) if earlier.len() < usize::from(test.retries) => {
                    let again = format!("{name}: {reason}; run again ({} of {})", earlier.len() + 1, test.retries);
                    self.maker.observer.note(&again);
                    earlier.push(attempt);
                }
                _ => {
                    let artifacts = self.copy_out(id, name, test).await?;
                    return Ok(Outcome { artifacts, ..Outcome::ran(name, attempt, earlier) });
                }
            }
        }
    }

    /// Copies out what a test left behind; where it is now.
    async fn copy_out(&self, id: &SandboxId, name: &Name, test: &Test) -> Result<Option<PathBuf>, Error> {
        if test.artifacts.is_empty() {
            return Ok(None);
        }
        let engine = self.maker.engine;
        let container = status::container(engine, id, test.r#in.as_str()).await?.container;
        let into = self.place(name)?;
        for missing in artifacts::copy_out(engine, &container, &test.artifacts, &into).await? {
            self.maker.observer.note(&format!("artifacts of {name}: {missing}"));
        }
        Ok(Some(into))
    }

    /// Whether a test's service ended while it ran, and how.
    async fn ended(&self, id: &SandboxId, container: &str, test: &Test, ran: &Ran) -> Result<Option<String>, Error> {
        let (engine, service) = (self.maker.engine, &test.r#in);
        // The engine tells the end of a program before that of the container which it went with; and another test may have
        // started that again.
        let wait = tokio::time::timeout(GONE, engine.wait_for_exit(container));
        let suspect = ran.broken_off.is_some() || ran.exit_code.is_some_and(|code| SIGNALLED.contains(&code));
        let goes_on =
            !suspect && (ran.exit_code == Some(0) || status::container(engine, id, service.as_str()).await?.running);
        let ended = if goes_on { None } else { wait.await.ok().transpose()? };
        Ok(match (ended, &ran.broken_off) {
            (Some(Watch { exit_code }), _) => Some(format!("{service} ended while it ran, with exit code {exit_code}")),
            // Another test has started it again already.
            (None, Some(engine::Error::Refused { status: 409, .. })) => Some(format!("{service} ended while it ran")),
            (None, _) => None,
        })
    }

    /// Where what a test leaves behind goes.
    fn place(&self, test: &Name) -> Result<PathBuf, Error> {
        let home = match self.artifacts {
            Some(directory) => directory.to_owned(),
            None => artifacts::home(&self.maker.view.project.root)?,
        };
        Ok(home.components().collect::<PathBuf>().join(test.as_str()))
    }

    /// Runs a test's program once.
    async fn attempt(&self, id: &SandboxId, name: &Name, test: &Test) -> Result<Attempt, Error> {
        let engine = self.maker.engine;
        let status::ServiceStatus { container, running, .. } =
            status::container(engine, id, test.r#in.as_str()).await?;
        if !running {
            self.maker.observer.note(&format!("{0} does not run: {0} is started again", test.r#in));
            if let Err(why) = self.start_again(id, &container, &test.r#in).await? {
                return Ok(Attempt { reason: Some(why), ..Attempt::default() });
            }
        }
        let before = self.report(&container, test).await?;
        let hearing = |text: &str| (self.hearing)(name, text);
        let ran = program::run(engine, &container, test, &hearing).await;
        let mut lost = None;
        if ran.survived {
            self.maker
                .observer
                .note(&format!("{name} could not be ended inside of {0}: {0} is started again", test.r#in));
            engine.stop_container(&container, 0).await?;
            self.must_answer(id, &container, &test.r#in).await?;
        } else if let Some(reason) = self.ended(id, &container, test, &ran).await? {
            self.maker.observer.note(&format!("{name}: {reason}; {} is started again", test.r#in));
            // The next test tells where it does not start.
            let _ = self.start_again(id, &container, &test.r#in).await?;
            lost = Some(reason);
        } else if let Some(error) = ran.broken_off {
            return Err(error.into());
        }
        let cases = match (before, self.report(&container, test).await?) {
            (Some(before), Some(now)) => report::read(&before, now),
            _ => Ok(Vec::new()),
        };
        let reason = match (ran.exit_code, test.timeout, &cases) {
            _ if lost.is_some() => lost,
            (Some(0), _, Ok(_)) => None,
            (Some(0), _, Err(why)) => Some(format!("its report {why}")),
            (None, Some(limit), _) => Some(format!("timed out after {limit}")),
            (code, ..) => Some(format!("exit code {}", code.unwrap_or_default())),
        };
        let (exit_code, duration_ms, output) = (ran.exit_code, ran.duration_ms, ran.output);
        Ok(Attempt { reason, exit_code, duration_ms, output, cases: cases.unwrap_or_default() })
    }

    /// The report of a test as it stands now; none where the test has none.
    async fn report(&self, container: &str, test: &Test) -> Result<Option<report::Found>, Error> {
        let Some(path) = &test.junit else { return Ok(None) };
        Ok(Some(report::find(self.maker.engine, container, path).await?))
    }

    /// Starts a service again that does not run, or that another test has started meanwhile; why it does not come up.
    async fn start_again(&self, id: &SandboxId, container: &str, service: &Name) -> Result<Result<(), String>, Error> {
        match self.must_answer(id, container, service).await {
            Err(error @ (Error::Ended { .. } | Error::NotReady { .. })) => Ok(Err(error.to_string())),
            other => other.map(Ok),
        }
    }

    /// Starts a service, and waits until it answers.
    async fn must_answer(&self, id: &SandboxId, container: &str, service: &Name) -> Result<(), Error> {
        let member = self.maker.view.members.iter().find(|member| member.own && member.id.service == *service);
        let member = member.expect("a test runs in a service of its project");
        let volumes = self.maker.engine.volumes(&[(label::SANDBOX, id.as_str())]).await?;
        let data = Inventory::of(volumes).current(id);
        let lent = data.iter().flat_map(|data| secret::lent(data.secrets.as_deref())).collect();
        let secrets = SecretFiles::of(member, self.maker.key, &lent);
        bring::start(self.maker.engine, id, container, secrets.as_ref()).await?;
        bring::answered(self.maker.engine, container, &member.id, &member.service, self.maker.limit).await?;
        Ok(())
    }
}

/// Waits for the tests that this one needs; the first of them that did not pass.
async fn unmet<'a>(test: &'a Test, gates: &Gates<'_>) -> Option<&'a Name> {
    for need in &test.needs {
        let mut gate = gates[need].subscribe();
        // The sender lives as long as all lanes: only the test's end ends the wait.
        let passed = gate.wait_for(Option::is_some).await.is_ok_and(|passed| *passed == Some(true));
        if !passed {
            return Some(need);
        }
    }
    None
}
