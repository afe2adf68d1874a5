//! `onramp add`

use serde::Serialize;

use super::block::{self, Answering, Chosen};
use super::context::Context;
use super::failure::Failure;
use super::finish;
use super::output::{Report, Verdict};
use super::permission::{self, Running, Trusting};
use super::prompt::Terminal;
use crate::blocks::addition::Present;
use crate::blocks::facts::Operation;
use crate::blocks::undo::Then;
use crate::blocks::{Addition, Block, BlockId, Layer};
use crate::project::lock;
use crate::template::run::Shown;
use crate::trust::Capability;

/// Add a part from the catalog, or any template, to this project.
///
/// Writes the part's files, its tables in onramp.toml and its place in onramp.lock, and does the same first for the blocks
/// that it requires. It overwrites nothing and commits nothing: `git diff` shows what it did.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp add cache
  onramp add mail --dry-run
  onramp add gh:acme/ci-template --merge
")]
pub struct Arguments {
    /// The block, directory or URL
    template: String,
    /// Merge with files that are there, where their structure allows it without a conflict
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    answering: Answering,
    #[command(flatten)]
    trusting: Trusting,
}

/// What will be added, and after that what was added.
#[derive(Serialize)]
struct Added {
    project: String,
    block: BlockId,
    /// The blocks that it requires, which are added, too.
    requires: Vec<BlockId>,
    answers: serde_json::Map<String, serde_json::Value>,
    services: Vec<String>,
    files: Vec<String>,
    changed: Vec<String>,
    /// What the template runs.
    runs: Vec<Shown>,
    /// What that reads outside and sends, as its authors say.
    declares: Vec<Capability>,
    done: bool,
    next: Vec<String>,
}

impl Arguments {
    /// Renders the part, shows what it changes, changes it.
    pub async fn run(mut self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.scaffolded()?;
        if cx.locked {
            return Err(Failure::usage("a part changes onramp.lock, which --locked forbids"));
        }
        let lock = project.lock.clone();
        let found = self.chosen.find(cx, &self.template, project.manifest.as_ref()).await?;
        let mut found = found.choose(cx, &mut self.answering).await?;
        let permission = found.prepare(cx, self.trusting, &lock)?;
        found.block = permission::prompted(cx, found.block, permission).await?;
        let facts = block::facts(cx, found.catalog.as_ref(), &project.name(), &project.folder())?.at(&project.root);
        let sources = self.answering.sources(cx, &found.block.template)?;
        let ask = self.answering.ask(cx);
        let present = if self.merge { Present::Merge } else { Present::Refuse };
        let root = project.root.clone();
        let (layer, addition, running, [first, last]) = block::rendering(move || -> Result<_, crate::blocks::Error> {
            let mut terminal = Terminal;
            let person = ask.then_some(&mut terminal);
            let (layer, mut added) = block::layers(&found, &facts, Operation::Copy, &sources, person, &lock)?;
            added.push((found.block, layer.clone()));
            let addition = Addition::plan(&root, &lock, &added, present)?;
            let runs = |(block, layer): &(Block, Layer)| {
                let (before, after) = (layer.before(block, Operation::Copy)?, layer.after(block, Operation::Copy)?);
                Ok(Running::new(block, before.then(after)))
            };
            let running = added.iter().map(runs).collect::<Result<Vec<Running>, crate::blocks::Error>>()?;
            let messages = layer.messages(&added[added.len() - 1].0, Operation::Copy)?;
            Ok((layer, addition, running, messages))
        })
        .await?;
        block::note_unused(cx, &layer.answers);
        if let Some(message) = first {
            cx.observer.note(&message);
        }
        let mut added = Added::plan(&addition, &layer, &running, &project.name());
        if !cx.proceed(&added) {
            return Ok(Verdict::Ok);
        }
        let then = if added.runs.is_empty() { Then::Nothing } else { Then::Commands };
        if let Some(change) = addition.apply(&project.root, &cx.paths.state, then)? {
            finish::run(cx, &project.root, change, &running).await?;
        }
        added.done = true;
        if let Some(message) = last {
            cx.observer.note(&message);
        }
        cx.report(&added);
        Ok(Verdict::Ok)
    }
}

impl Added {
    fn plan(addition: &Addition, layer: &Layer, running: &[Running], project: &str) -> Self {
        let mut blocks = addition.blocks.clone();
        let block = blocks.pop().expect("a block is added");
        let changed =
            addition.changes.iter().filter(|change| change.before.is_some() || change.path.as_str() == lock::FILE);
        Self {
            project: project.to_owned(),
            block,
            requires: blocks,
            answers: layer.answers.kept.clone(),
            services: addition.services.clone(),
            files: addition.created().map(ToString::to_string).filter(|path| path != lock::FILE).collect(),
            changed: changed.map(|change| change.path.to_string()).collect(),
            runs: running.iter().flat_map(Running::shown).cloned().collect(),
            declares: permission::declared(running.iter()),
            done: false,
            next: vec!["git diff".to_owned(), "onramp up".to_owned()],
        }
    }
}

impl Report for Added {
    fn text(&self) -> String {
        if !self.done {
            let mut lines = vec![format!("{} to {}", self.block, self.project)];
            lines.extend(self.services.iter().map(|service| format!("  service {service}")));
            lines.extend(self.requires.iter().map(|block| format!("  with    {block}")));
            lines.extend(block::file_lines("create", self.files.iter().map(String::as_str)));
            lines.extend(block::file_lines("change", self.changed.iter().map(String::as_str)));
            lines.extend(permission::run_lines(self.runs.iter()));
            lines.extend(permission::declared_lines(&self.declares));
            return lines.join("\n") + "\n";
        }
        let mut lines = vec![format!("{} is added to {}; nothing is committed yet", self.block, self.project)];
        let needs = |service| format!("  a service that uses it says so: needs = [\"{service}\"]");
        lines.extend(self.services.iter().map(needs));
        lines.extend(self.next.iter().map(|next| format!("  next: {next}")));
        lines.join("\n") + "\n"
    }
}
