//! `onramp catalog test`

use serde::Serialize;

use crate::blocks::Block;
use crate::blocks::manifest::Check;
use crate::catalog::trial::{self, Kind, Options, Outcome, Result as Went, check};
use crate::catalog::{Checkout, Error, cases};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::task::blocking;
use crate::text;
use crate::tree::Tree;

/// Try blocks out: with every pair of answers, against golden trees, and by updates from every released version.
///
/// A golden tree is `blocks/<name>/tests/<case>/`: `answers.toml`, and in `expected/` what the block renders to. A check of
/// the block's own (`[checks.<name>]` in block.toml) runs in a container without a network, in a fresh render.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog test
  onramp catalog test web --update-golden
  onramp catalog test web --checks
")]
pub struct Arguments {
    /// Blocks, by name or directory [default: all]
    #[arg(value_name = "BLOCK")]
    blocks: Vec<String>,
    /// Write golden trees anew instead of comparing with them
    #[arg(long)]
    update_golden: bool,
    /// Fail where no engine answers, instead of skipping the blocks' own checks
    #[arg(long, conflicts_with = "no_checks")]
    checks: bool,
    /// Leave the blocks' own checks out
    #[arg(long)]
    no_checks: bool,
}

#[derive(Serialize)]
struct Tested {
    catalog: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    tests: Vec<Outcome>,
}

/// A check to run, and what it is run over: the render, or why there is none.
type Planned = (Name, Name, Check, Result<Tree, String>);

impl Arguments {
    /// Tries the blocks out.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (directory, observer) = (cx.dir.clone(), cx.observer.clone());
        let (wanted, options) = (self.blocks.clone(), Options { update_golden: self.update_golden && !cx.dry_run });
        let (catalog, mut tests, planned) = blocking(move || -> Result<_, Error> {
            let checkout = Checkout::find(&directory)?;
            let (mut tests, mut planned): (Vec<Outcome>, Vec<Planned>) = (Vec::new(), Vec::new());
            for name in checkout.choose(&wanted, &directory)? {
                tests.extend(trial::run(&checkout, &name, options, &*observer)?);
                planned.extend(checks(&checkout.working(&name)?));
            }
            Ok((checkout.root().display().to_string(), tests, planned))
        })
        .await?;
        tests.extend(self.check(cx, planned).await?);
        let count = |wanted: &[Went]| tests.iter().filter(|test| wanted.contains(&test.result)).count();
        let tested = Tested {
            catalog,
            passed: count(&[Went::Passed, Went::Updated]),
            failed: count(&[Went::Failed]),
            skipped: count(&[Went::Skipped]),
            tests,
        };
        cx.report(&tested);
        Ok(if tested.failed > 0 { Verdict::Failed } else { Verdict::Ok })
    }

    async fn check(&self, cx: &Context, planned: Vec<Planned>) -> Result<Vec<Outcome>, Failure> {
        if planned.is_empty() || self.no_checks {
            return Ok(Vec::new());
        }
        let engine = match cx.engine().await {
            Ok(engine) => engine,
            Err(failure) if self.checks => return Err(failure),
            Err(failure) => {
                let skipped = |(block, name, _, _): Planned| {
                    let detail = format!("no engine answers: {}", failure.message);
                    let (kind, result) = (Kind::Check, Went::Skipped);
                    Outcome { block, kind, name: name.to_string(), result, detail }
                };
                return Ok(planned.into_iter().map(skipped).collect());
            }
        };
        check::sweep(&engine).await?;
        let mut outcomes = Vec::new();
        for (block, name, spec, rendered) in planned {
            outcomes.push(match rendered {
                Ok(tree) => {
                    let task = format!("check {name} of {block}");
                    cx.waiting(&task, check::run(&engine, &block, &name, &spec, &tree)).await
                }
                Err(detail) => {
                    let (kind, result) = (Kind::Check, Went::Failed);
                    Outcome { block, kind, name: name.to_string(), result, detail }
                }
            });
        }
        Ok(outcomes)
    }
}

/// A block's own checks, over its render with the defaults.
fn checks(block: &Block) -> Vec<Planned> {
    let Some(manifest) = block.manifest.as_ref().filter(|manifest| !manifest.checks.is_empty()) else {
        return Vec::new();
    };
    let answered = cases::answer(block, serde_json::Map::new(), &std::collections::BTreeMap::new());
    let rendered = answered.and_then(|(_, answers)| cases::rendered(block, &answers));
    let rendered = rendered.map(|rendered| rendered.tree).map_err(|error| crate::error::chain(&error));
    let planned =
        |(name, check): (&Name, &Check)| (block.id.name.clone(), name.clone(), check.clone(), rendered.clone());
    manifest.checks.iter().map(planned).collect()
}

impl Report for Tested {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut details = String::new();
        for test in &self.tests {
            let went = match test.result {
                Went::Passed => console::style("ok").green(),
                Went::Updated => console::style("written").cyan(),
                Went::Skipped => console::style("skipped").yellow(),
                Went::Failed => console::style("FAILED").red().bold(),
            };
            let name = text::neutral_line(&test.name, 100);
            rows.push(vec![went.to_string(), test.block.to_string(), test.kind.name().to_owned(), name.clone()]);
            if !test.detail.is_empty() {
                details.push_str(&format!("\n{} {} {name}:\n", test.block, test.kind.name()));
                test.detail.lines().for_each(|line| details.push_str(&format!("  {line}\n")));
            }
        }
        let summary = format!("\n{} passed, {} failed, {} skipped\n", self.passed, self.failed, self.skipped);
        format!("{}{details}{summary}", text::table(&rows))
    }
}
