//! `onramp watch`

mod follow;
mod screen;
mod told;

use std::convert::Infallible;
use std::str::FromStr;

use self::follow::Following;
use self::told::{Event, Teller};
use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use super::up::Options;
use super::{Span, down, interrupted, test};
use crate::error::Class;
use crate::name::Name;
use crate::sandbox::watch::{Ear, Means};
use crate::sandbox::{on, turn_on, view};
use crate::turn::Turn;

/// Follow the project's files: whatever is saved is in the sandbox at once, and tested.
///
/// Each change does as little as it can: what `sync` shows is there already or is copied, what is built is built anew, a
/// change of onramp.toml is planned and made. A file with a mistake in it changes nothing. Files that git ignores are not
/// followed. Ctrl-C ends it; the sandbox stays up.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp watch                     bring the sandbox up and follow the files
  onramp watch --test              run the tests that a change can affect
  onramp watch --test=unit         only this one, and what it needs
  onramp watch --test --down       at the end, take the sandbox down; its data stays
  onramp watch --json              one JSON document a line, for editors and scripts
")]
pub struct Arguments {
    /// Run the tests that a change can affect: all of [tests], or this one
    #[arg(long = "test", value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    tests: Vec<Asked>,
    /// Look at all files by itself, with this pause, where the system does not tell what changes
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s")]
    poll: Option<Span>,
    /// Take the sandbox down at the end; its data stays
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    up: Options,
}

/// A test that was asked for.
#[derive(Clone)]
enum Asked {
    All,
    One(String),
}

impl FromStr for Asked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.is_empty() { Self::All } else { Self::One(text.to_owned()) })
    }
}

/// Why a swarm is none for it.
const FOLLOWING: &str = "no file is followed: what runs there has the files of its image";

/// Which tests are run after a change.
pub enum Tests {
    /// None.
    None,
    /// All that the project has.
    All,
    /// These.
    Only(Vec<Name>),
}

impl Arguments {
    /// Brings the sandbox up and follows the files until it is interrupted: that is its end, and no failure.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let mut teller = Teller::new(cx);
        let number = tokio::select! {
            ended = self.follow(cx, &mut teller) => return ended,
            number = interrupted() => number,
        };
        let Some(sandbox) = teller.sandbox() else {
            return Err(Failure::new(Class::Signal(number), "interrupted")
                .hint("what was begun stays; the same command brings it to its end"));
        };
        if self.down {
            down::take_down(&cx.unattended(cx.observer.clone())).await?;
        }
        teller.tell(Event::Ended { sandbox, down: self.down });
        Ok(Verdict::Ok)
    }

    async fn follow(&self, cx: &Context, teller: &mut Teller) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        let tests = self.tests()?;
        match &tests {
            Tests::None => {}
            Tests::All => test::check(&project, &[])?,
            Tests::Only(names) => test::check(&project, names)?,
        }
        let turn = Turn::take(&cx.paths.state, &watch_on(view::id(&project).as_str()))?;
        let means = self.poll.map_or(Means::Told, |pause| Means::Polled(pause.0));
        // What changes while the sandbox comes up is not missed.
        let ear = Ear::open(&project.root, means).await?;
        on::refuse(&cx.engine().await?, &view::id(&project), self.up.on, FOLLOWING).await?;
        let Some(brought) = self.up.bring_up(cx).await? else { return Ok(Verdict::Ok) };
        let engine = cx.engine().await?;
        Following::new(cx, engine, brought, tests, turn).run(ear, teller).await
    }

    fn tests(&self) -> Result<Tests, Failure> {
        if self.tests.is_empty() {
            return Ok(Tests::None);
        }
        let mut names = Vec::new();
        for asked in &self.tests {
            match asked {
                Asked::All => return Ok(Tests::All),
                Asked::One(name) => {
                    names.push(name.parse().map_err(|error| Failure::usage(format!("--test: {error}")))?);
                }
            }
        }
        Ok(Tests::Only(names))
    }
}

/// What whoever follows the files of a sandbox's project has the turn on.
pub fn watch_on(sandbox: &str) -> String {
    format!("the watch of {}", turn_on(sandbox))
}
