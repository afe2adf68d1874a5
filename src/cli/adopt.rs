//! `onramp adopt`

use serde::Serialize;

use super::block::{self, Answering, Chosen};
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::permission::TrustingPython;
use crate::blocks::BlockId;
use crate::blocks::adopt::{self, Adoption, Explanation, Score};
use crate::project::{Scaffolded, lock};
use crate::task::blocking;
use crate::text;

/// Find out which version of a block, with which answers, explains this repository, and lock it.
///
/// Every released version is rendered with the answers that the repository shows, and compared with what is there. Nothing
/// but onramp.lock is written, and the block's record in onramp.toml where there is one: from then on the repository's
/// differences are its own edits, and `onramp update` keeps them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp adopt php-web --dry-run
  onramp adopt php-web --version 1.0 --data database=true
  onramp adopt gh:acme/service-template
")]
pub struct Arguments {
    /// The block, directory or URL
    template: String,
    /// Adopt although less than half of what the block renders is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    answering: Answering,
    #[command(flatten)]
    trusting: TrustingPython,
}

/// What explains the repository, and after that what was locked.
#[derive(Serialize)]
struct Adopted {
    block: BlockId,
    answers: serde_json::Map<String, serde_json::Value>,
    score: Score,
    percent: usize,
    /// Other versions, the nearest first.
    others: Vec<Other>,
    /// How many older ones were not tried: there is an end to what is.
    not_tried: usize,
    changed: Vec<String>,
    done: bool,
    next: Vec<String>,
}

#[derive(Serialize)]
struct Other {
    version: String,
    percent: usize,
}

impl Arguments {
    /// Tries the versions, shows the best one, locks it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.locked {
            return Err(Failure::usage("adopting a block changes onramp.lock, which --locked forbids"));
        }
        let place = Scaffolded::find_or_here(&cx.dir)?;
        let mut candidates = self.chosen.all(cx, &self.template, place.manifest.as_ref()).await?;
        let not_tried = candidates.not_tried;
        // What can explain nothing without Python asks for it before anything renders.
        for block in &mut candidates.blocks {
            self.trusting.decide(cx, block)?;
        }
        let facts = block::facts(cx, candidates.catalog.as_ref(), &place.name(), &place.folder())?.at(&place.root);
        let (surroundings, answering) = (cx.clone(), self.answering.clone());
        let root = place.root.clone();
        let mut explained = blocking(move || -> Result<Vec<Explanation>, Failure> {
            let project = adopt::project::read(&root)?;
            let mut explained = Vec::new();
            for block in candidates.blocks {
                let sources = answering.sources(&surroundings, &block.template)?;
                explained.push(adopt::explain(block, &facts, &sources, &project)?);
            }
            Ok(explained)
        })
        .await?;
        // Of versions that explain as much, the newest: it comes first.
        explained.sort_by_key(|explanation| std::cmp::Reverse(explanation.score.value()));
        let mut explained = explained.into_iter();
        let Some(best) = explained.next() else { return Err(Failure::usage("there is no version to try")) };
        let adoption = Adoption::plan(&place, &best.block, &best.layer)?;
        let mut adopted = Adopted { not_tried, ..Adopted::plan(&best, explained.as_slice(), &adoption) };
        if best.score.percent() < 50 && !self.force && !cx.dry_run {
            let message = format!(
                "{} explains only {} % of what it renders; this repository was hardly made from it",
                best.block.id, adopted.percent
            );
            return Err(Failure::new(crate::error::Class::Failed, message)
                .hint("nothing was changed; --force adopts it all the same, --dry-run shows what was found"));
        }
        if !cx.proceed(&adopted) {
            return Ok(Verdict::Ok);
        }
        adoption.apply(&place.root)?;
        adopted.done = true;
        cx.report(&adopted);
        Ok(Verdict::Ok)
    }
}

impl Adopted {
    fn plan(best: &Explanation, others: &[Explanation], adoption: &Adoption) -> Self {
        let other =
            |other: &Explanation| Other { version: other.block.id.version.to_string(), percent: other.score.percent() };
        Self {
            block: best.block.id.clone(),
            answers: best.layer.answers.kept.clone(),
            score: best.score,
            percent: best.score.percent(),
            others: others.iter().take(5).map(other).collect(),
            not_tried: 0,
            changed: adoption.changes.iter().map(|change| change.path.to_string()).collect(),
            done: false,
            next: vec!["git diff".to_owned(), "onramp outdated".to_owned()],
        }
    }
}

impl Report for Adopted {
    fn text(&self) -> String {
        if self.done {
            let mut lines = vec![format!("{} is adopted, in {}", named(&self.block), lock::FILE)];
            lines.extend(self.next.iter().map(|next| format!("  next: {next}")));
            return lines.join("\n") + "\n";
        }
        let score = &self.score;
        let mut lines = vec![format!(
            "{} explains {} % of what it renders: {} files the same, {} edited here, {} not here",
            named(&self.block),
            self.percent,
            score.same,
            score.edited,
            score.missing
        )];
        for (id, value) in &self.answers {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("  {id} = {}", text::neutral_line(&value, 100)));
        }
        let others: Vec<String> =
            self.others.iter().map(|other| format!("{} ({} %)", other.version, other.percent)).collect();
        if !others.is_empty() {
            lines.push(format!("  less: {}", text::neutral_line(&others.join(", "), 200)));
        }
        if self.not_tried > 0 {
            lines.push(format!("  {} older ones were not tried; --version says which ones are", self.not_tried));
        }
        lines.extend(block::file_lines("change", self.changed.iter().map(String::as_str)));
        lines.join("\n") + "\n"
    }
}

/// A block with its version, or the word that it has none.
fn named(block: &BlockId) -> String {
    format!("{} {}", block.name, text::neutral_line(&block.version.label(&block.commit), 80))
}
