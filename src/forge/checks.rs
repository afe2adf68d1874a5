//! What a forge's checks say about a commit: the statuses and pipelines that CI reports there, and those that we do.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{Error, Forge, PullRequest, Standing};
use crate::event::Observer;
use crate::text::neutral_line;

/// The first pause between two looks, doubled with each, and the longest one: a forge counts requests.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// How many names of checks are told.
const NAMES: usize = 5;

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It says nothing against the commit.
    Passed,
    /// It is not done, or waits for somebody.
    Running,
    /// It is against it.
    Failed,
}

/// One check of a commit. Its name is whatever CI wrote: neutralise it before a terminal sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// How it stands.
    pub outcome: Outcome,
}

/// What is said about a commit, beside what CI says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What says it. A later one of the same name takes its place.
    pub context: String,
    /// Whether it says nothing against the commit.
    pub passed: bool,
    /// One line of at most [`Status::LONGEST`] characters.
    pub description: String,
}

impl Status {
    /// The most characters of a description that every forge takes: GitHub's limit.
    pub const LONGEST: usize = 140;
}

/// Waits until every check of what a pull request proposes has passed; what they are then. The first one that fails ends it,
/// and so does a commit that is pushed meanwhile.
///
/// CI that has not reported anything yet is waited for: where there is no check, nothing was checked.
pub async fn wait(
    forge: &dyn Forge,
    pull: &PullRequest,
    limit: Duration,
    observer: &dyn Observer,
) -> Result<Vec<Check>, Error> {
    let task = format!("wait for the checks of pull request {}", pull.number);
    observer.started(&task);
    let outcome = look_until(forge, pull, Instant::now() + limit, &|state| observer.step(&task, state)).await;
    observer.ended(&task);
    outcome
}

async fn look_until(
    forge: &dyn Forge,
    pull: &PullRequest,
    end: Instant,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Check>, Error> {
    let number = pull.number;
    let mut pause = PAUSE;
    loop {
        let checks = forge.checks(pull).await?;
        let (failed, running) = (named(&checks, Outcome::Failed), named(&checks, Outcome::Running));
        if !failed.is_empty() {
            return Err(Error::Unchecked { number, commit: pull.head_commit.clone(), detail: told("failed", &failed) });
        }
        if running.is_empty() && !checks.is_empty() {
            return Ok(checks);
        }
        let detail = if checks.is_empty() { "no check was reported".to_owned() } else { told("not done", &running) };
        if Instant::now() + pause > end {
            return Err(Error::Unchecked { number, commit: pull.head_commit.clone(), detail });
        }
        tell(&detail);
        tokio::time::sleep(pause).await;
        pause = LONGEST.min(pause * 2);
        let now = forge.get(number).await?;
        if now.state != Standing::Open {
            return Err(Error::NotOpen { number, state: now.state });
        }
        if now.head_commit != pull.head_commit {
            return Err(Error::Moved { number, detail: format!("it proposes {} now", now.head_commit.short()) });
        }
    }
}

fn named(checks: &[Check], outcome: Outcome) -> Vec<&str> {
    checks.iter().filter(|check| check.outcome == outcome).map(|check| check.name.as_str()).collect()
}

/// `failed: unit, smoke and 3 more`
fn told(what: &str, names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| neutral_line(name, 60)).collect();
    let more = names.len().saturating_sub(NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{what}: {}{more}", shown.join(", "))
}
