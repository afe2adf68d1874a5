//! A block tried out: rendered with every pair of answers, held against its golden trees, and updated from every version
//! that was released.

pub mod check;
pub mod golden;
mod update;

use serde::Serialize;

use super::checkout::Release;
use super::{Checkout, Error, cases};
use crate::blocks::facts::Operation;
use crate::blocks::{Block, Layer};
use crate::error::chain;
use crate::event::Observer;
use crate::name::Name;
use crate::template::resolve::Sources;
use crate::text::neutral;

use golden::Golden;

/// What a test of a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is rendered with these answers.
    Answers,
    /// Its render is what `tests/<case>/expected/` holds.
    Golden,
    /// A project of a released version is updated to this one.
    Update,
    /// A check of its own, in a container.
    Check,
}

impl Kind {
    /// `answers`
    pub fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Golden => "golden",
            Self::Update => "update",
            Self::Check => "check",
        }
    }
}

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Result {
    /// As it should.
    Passed,
    /// Not so.
    Failed,
    /// It was not run, and why is told.
    Skipped,
    /// The golden tree was written anew.
    Updated,
}

/// One test, run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The block.
    pub block: Name,
    /// What it is.
    pub kind: Kind,
    /// The answers, the golden tree, the version or the check.
    pub name: String,
    /// How it went.
    pub result: Result,
    /// What went wrong, or why it was not run: lines for people.
    pub detail: String,
}

impl Outcome {
    fn new(block: &Name, kind: Kind, name: impl Into<String>, result: Result, detail: impl AsRef<str>) -> Self {
        Self { block: block.clone(), kind, name: name.into(), result, detail: neutral(detail.as_ref()) }
    }

    fn of(block: &Name, kind: Kind, name: impl Into<String>, outcome: std::result::Result<(), String>) -> Self {
        match outcome {
            Ok(()) => Self::new(block, kind, name, Result::Passed, ""),
            Err(detail) => Self::new(block, kind, name, Result::Failed, detail),
        }
    }

    /// Whether it went wrong.
    pub fn failed(&self) -> bool {
        self.result == Result::Failed
    }
}

/// What is tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write golden trees anew instead of comparing with them.
    pub update_golden: bool,
}

/// Tries a block out, its checks in containers apart.
pub fn run(
    checkout: &Checkout,
    name: &Name,
    options: Options,
    observer: &dyn Observer,
) -> std::result::Result<Vec<Outcome>, Error> {
    let block = checkout.working(name)?;
    let goldens = golden::read(checkout, name)?;
    let known: Vec<_> = goldens.iter().map(|golden| golden.answers.clone()).collect();
    let mut outcomes = answers(&block, &known);
    for golden in &goldens {
        outcomes.push(golden_outcome(checkout, &block, golden, options)?);
    }
    for release in checkout.releases(name)? {
        let task = format!("update {name} from {}", release.version);
        observer.started(&task);
        outcomes.extend(from_release(checkout, &block, &release, &known));
        observer.ended(&task);
    }
    Ok(outcomes)
}

/// Renders a block with every pair of answers.
fn answers(block: &Block, known: &[crate::template::question::Values]) -> Vec<Outcome> {
    let name = &block.id.name;
    let cases = cases::make(block, known);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for case in &cases.cases {
        let sources = Sources { given: case.given.clone(), ..Sources::default() };
        let made = Layer::make(block, &cases::facts(), Operation::Copy, &sources, None);
        let outcome = made.map(drop).map_err(|error| chain(&error));
        outcomes.push(Outcome::of(name, Kind::Answers, &case.name, outcome));
    }
    for error in &cases.failed {
        outcomes.push(Outcome::new(name, Kind::Answers, "questions", Result::Failed, chain(error)));
    }
    if cases.cut {
        let detail = format!("only the first {} answer sets were tried", cases.cases.len());
        outcomes.push(Outcome::new(name, Kind::Answers, "the rest", Result::Skipped, detail));
    }
    outcomes
}

fn golden_outcome(
    checkout: &Checkout,
    block: &Block,
    golden: &Golden,
    options: Options,
) -> std::result::Result<Outcome, Error> {
    let name = &block.id.name;
    let rendered = match golden.render(block) {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Outcome::new(name, Kind::Golden, &golden.name, Result::Failed, chain(&error))),
    };
    if options.update_golden {
        let result = if golden.write(checkout, name, &rendered)? { Result::Updated } else { Result::Passed };
        return Ok(Outcome::new(name, Kind::Golden, &golden.name, result, ""));
    }
    Ok(Outcome::of(name, Kind::Golden, &golden.name, golden.compare(&rendered)))
}

fn from_release(
    checkout: &Checkout,
    block: &Block,
    release: &Release,
    known: &[crate::template::question::Values],
) -> Vec<Outcome> {
    let name = &block.id.name;
    let label = format!("from {}", release.version);
    match checkout.released(name, release) {
        Ok(old) if old.content == block.content => Vec::new(),
        Ok(old) => update::from(&old, block, &label, known),
        // Projects of a version that cannot be read cannot be updated from it either: that is told, and is no mistake of
        // this version.
        Err(error) => vec![Outcome::new(name, Kind::Update, label, Result::Skipped, chain(&error))],
    }
}
