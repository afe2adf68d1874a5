//! `onramp image`

mod build;
mod diff;
mod inspect;
mod list;
mod lock;
mod outdated;
mod prune;
mod pull;
mod push;
mod sign;
mod tree;
mod verify;

use clap::Subcommand;
use jiff::SignedDuration;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use crate::images::catalogue::Freshness;
use crate::images::contents::Reader;
use crate::images::name;
use crate::reference::ImageRef;

/// The company's base images: what there is, what this project uses, what is here.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image list
  onramp image pull
  onramp image outdated
  onramp image inspect php-apache:8.2
  onramp image verify php-apache:8.2
  onramp image diff php-apache:8.1 php-apache:8.2
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
    Tree(tree::Arguments),
    Pull(pull::Arguments),
    Lock(lock::Arguments),
    Outdated(outdated::Arguments),
    Inspect(inspect::Arguments),
    Diff(diff::Arguments),
    Prune(prune::Arguments),
    Verify(verify::Arguments),
    Sign(sign::Arguments),
    Build(build::Arguments),
    Push(push::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let outcome = match self.command {
            Command::List(arguments) => arguments.run(cx).await,
            Command::Tree(arguments) => arguments.run(cx).await,
            Command::Pull(arguments) => arguments.run(cx).await,
            Command::Lock(arguments) => arguments.run(cx).await,
            Command::Outdated(arguments) => arguments.run(cx).await,
            Command::Inspect(arguments) => arguments.run(cx).await,
            Command::Diff(arguments) => arguments.run(cx).await,
            // Its limit may be another one, for once.
            Command::Prune(arguments) => return arguments.run(cx).await,
            Command::Verify(arguments) => arguments.run(cx).await,
            Command::Sign(arguments) => arguments.run(cx).await,
            Command::Build(arguments) => arguments.run(cx).await,
            Command::Push(arguments) => arguments.run(cx).await,
        };
        cx.limit_cache().await;
        outcome
    }
}

/// How fresh an answer must be: `--offline` takes what is remembered.
fn freshness(cx: &Context, age: SignedDuration) -> Freshness {
    if cx.offline { Freshness::Remembered } else { Freshness::Within(age) }
}

/// What reads images without pulling them.
fn reader(cx: &Context) -> Reader {
    Reader::new(&cx.paths.cache, cx.offline, &cx.registries, cx.observer.clone())
}

/// What a person means by an image: a whole reference, or one of the company's registry.
fn reference(cx: &Context, text: &str) -> Result<ImageRef, Failure> {
    let company = if name::is_short(text) { cx.settings.registry()? } else { "" };
    Ok(name::expand(text, company)?)
}
