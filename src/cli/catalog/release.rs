//! `onramp catalog release`

use std::sync::Arc;

use clap::ValueEnum;
use jiff::Timestamp;
use semver::Version;
use serde::Serialize;

use crate::catalog::change::Bump;
use crate::catalog::release::{self, Plan, Released, Wanted};
use crate::catalog::trial::{self, Options, golden};
use crate::catalog::{Checkout, Error, lint};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::error::Class;
use crate::name::Name;
use crate::task::blocking;

/// Release a block: its version, its changelog, a commit and the tag <block>/vX.Y.Z.
///
/// The version is at least what the changes ask for: major where a question or file is gone, a question may refuse former
/// answers, or a requirement changed; minor where something is new; else patch (before 1.0, one place further right). A
/// block with lint errors or failing tests is not released. Nothing is pushed without --push.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog release web --dry-run
  onramp catalog release web
  onramp catalog release web --bump minor --push
")]
pub struct Arguments {
    /// The block
    block: String,
    /// The version, such as 1.2.0 [default: the least that the changes ask for]
    #[arg(long, value_name = "X.Y.Z", conflicts_with = "bump")]
    version: Option<Version>,
    /// How much to raise the version by
    #[arg(long, value_enum)]
    bump: Option<Step>,
    /// Push the branch and the tag to `origin`
    #[arg(long)]
    push: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Step {
    Major,
    Minor,
    Patch,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Planned(Plan);

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    released: Released,
    pushed: bool,
}

impl Arguments {
    /// Plans, checks, releases.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let wanted = match (self.version, self.bump) {
            (Some(version), _) => Wanted::Version(version),
            (None, Some(Step::Major)) => Wanted::Bump(Bump::Major),
            (None, Some(Step::Minor)) => Wanted::Bump(Bump::Minor),
            (None, Some(Step::Patch)) => Wanted::Bump(Bump::Patch),
            (None, None) => Wanted::Least,
        };
        let (directory, block) = (cx.dir.clone(), self.block);
        let (checkout, plan) = blocking(move || -> Result<_, Error> {
            let checkout = Arc::new(Checkout::find(&directory)?);
            let chosen = checkout.choose(std::slice::from_ref(&block), &directory)?;
            let [name] = chosen.as_slice() else {
                return Err(Error::NoBlock { name: block, path: checkout.root().to_owned(), meant: None });
            };
            let plan = release::plan(&checkout, name, &wanted, Timestamp::now())?;
            Ok((checkout, plan))
        })
        .await?;
        let (looked, name, observer) = (checkout.clone(), plan.block.clone(), cx.observer.clone());
        let unfit = blocking(move || unfit(&looked, &name, &*observer)).await?;
        if let Some(failure) = unfit {
            return Err(failure);
        }
        let planned = Planned(plan);
        if !cx.proceed(&planned) {
            return Ok(Verdict::Ok);
        }
        let kept = checkout.clone();
        let released = blocking(move || release::apply(&kept, planned.0)).await?;
        if self.push {
            let tag = released.plan.tag.clone();
            let push = blocking(move || checkout.worktree.push("origin", &[tag]));
            cx.waiting("push the release", push).await?;
        }
        cx.report(&Done { released, pushed: self.push });
        Ok(Verdict::Ok)
    }
}

/// Why a block is not fit to be released, if it is not.
fn unfit(checkout: &Checkout, name: &Name, observer: &dyn crate::event::Observer) -> Result<Option<Failure>, Error> {
    let known: Vec<_> = golden::read(checkout, name)?.into_iter().map(|golden| golden.answers).collect();
    let findings = lint::block(checkout, name, &known)?;
    if let Some(first) = findings.first().filter(|_| lint::has_errors(&findings)) {
        let message = format!("{name} has lint errors; the first: {}: {}", first.place, first.message);
        return Ok(Some(Failure::new(Class::Failed, message).next(format!("onramp catalog lint {name}"))));
    }
    let outcomes = trial::run(checkout, name, Options::default(), observer)?;
    let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
    Ok(outcomes.iter().find(|outcome| outcome.failed()).map(|first| {
        let detail = first.detail.lines().next().unwrap_or_default();
        let what = format!("{} {}: {detail}", first.kind.name(), first.name);
        let message = format!("{failed} of {} tests of {name} fail; the first: {what}", outcomes.len());
        Failure::new(Class::Failed, message).next(format!("onramp catalog test {name}"))
    }))
}

impl Report for Planned {
    fn text(&self) -> String {
        let plan = &self.0;
        let from = plan.from.as_ref().map_or_else(|| "its first release".to_owned(), |from| format!("after {from}"));
        let mut out = format!("release {} {}, {from}\n", plan.block, plan.version);
        for reason in &plan.reasons {
            out.push_str(&format!("  {reason}\n"));
        }
        plan.files.iter().for_each(|file| out.push_str(&format!("  commit  {file}\n")));
        out.push_str(&format!("  tag     {}\n\n", plan.tag));
        out.push_str(&crate::text::neutral(&plan.section));
        out
    }
}

impl Report for Done {
    fn text(&self) -> String {
        let plan = &self.released.plan;
        let mut out =
            format!("released {} {} as {} at {}\n", plan.block, plan.version, plan.tag, self.released.commit.short());
        if !self.pushed {
            out.push_str(&format!("nothing was pushed: git push --atomic origin HEAD {}\n", plan.tag));
        }
        out
    }
}
