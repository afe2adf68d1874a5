//! Whether a template may do more than give files: asked before anything of it runs, kept in the user's settings.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::context::Context;
use super::failure::Failure;
use super::{output, prompt};
use crate::blocks::Block;
use crate::template::run::{self, Plan, Shown, Surroundings};
use crate::template::{Actions, Template};
use crate::text;
use crate::trust::{self, Capability, Decision, NotTrusted, Trust};

/// How long one command of a template may take, where `--timeout` does not say more.
const LIMIT: Duration = Duration::from_mins(10);

/// What the user says about a template's commands.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Trust")]
pub struct Trusting {
    /// Let the template do what it wants to, now and later
    #[arg(long)]
    trust: bool,
    /// Run nothing of the template; take only its files
    #[arg(long, conflicts_with = "trust")]
    skip_tasks: bool,
}

/// What the user says about a template's Python, where nothing else of it runs.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Trust")]
pub struct TrustingPython {
    /// Let the template render with its own Python, now and later
    #[arg(long)]
    trust: bool,
}

impl TrustingPython {
    /// Decides before a block renders: by what was allowed before, by the flag, or by asking.
    pub fn decide(self, cx: &Context, block: &mut Block) -> Result<(), Failure> {
        let wanted = trust::extensions(&block.template);
        let place = trust::place(&cx.paths);
        if let Decision::Ask(new) = Trust::load(&place)?.decide(&block.id.source, &wanted) {
            let agreed = self.trust || (cx.interactive && agreed(block, &new, "")?);
            if !agreed {
                return Err(NotTrusted { label: block.id.to_string(), new }.into());
            }
            // A dry run takes the word for itself alone.
            if !cx.dry_run {
                Trust::allow(&place, &block.id.source, &block.id.commit, &wanted)?;
            }
        }
        block.allow_python();
        Ok(())
    }
}

/// What a template may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everything that it wants.
    Everything,
    /// Only give files.
    Files,
}

impl Trusting {
    /// Decides before anything of a block runs: by what was allowed before, by the flag, or by asking.
    pub fn decide(self, cx: &Context, block: &mut Block) -> Result<Permission, Failure> {
        if self.skip_tasks {
            block.template.actions = Actions::default();
        }
        let wanted = trust::wanted(&block.template);
        let place = trust::place(&cx.paths);
        let new = match Trust::load(&place)?.decide(&block.id.source, &wanted) {
            Decision::Nothing if self.skip_tasks => return Ok(Permission::Files),
            Decision::Nothing | Decision::Known => {
                block.allow_python();
                return Ok(Permission::Everything);
            }
            Decision::Ask(new) => new,
        };
        if cx.dry_run {
            let list = new.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            cx.observer.note(&format!("{} would need --trust: {list}", block.id));
            return Ok(Permission::Files);
        }
        let agreed = self.trust || (cx.interactive && agreed(block, &new, ", --skip-tasks takes only the files")?);
        if !agreed {
            return Err(NotTrusted { label: block.id.to_string(), new }.into());
        }
        Trust::allow(&place, &block.id.source, &block.id.commit, &wanted)?;
        block.allow_python();
        Ok(Permission::Everything)
    }
}

/// What a block runs in a project, in order. Only a template that runs something is held.
pub struct Running(Option<(Template, Plan)>);

impl Running {
    /// What a block runs.
    pub fn new(block: &Block, plan: Plan) -> Self {
        Self((!plan.is_empty()).then(|| (block.template.clone(), plan)))
    }

    /// What people see of it, a line each.
    pub fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.0.iter().flat_map(|(_, plan)| plan.shown())
    }

    /// Runs it in the project's directory.
    pub async fn run(&self, cx: &Context, directory: &Path) -> Result<(), Failure> {
        match &self.0 {
            Some((template, plan)) => Ok(plan.run(template, &surroundings(cx, directory)).await?),
            None => Ok(()),
        }
    }
}

/// What the blocks that run something say they read outside and send, each once.
pub fn declared<'a>(running: impl Iterator<Item = &'a Running>) -> Vec<Capability> {
    let running = running.flat_map(|running| &running.0);
    let mut all: Vec<Capability> = running.flat_map(|(template, _)| trust::declared(template)).collect();
    let mut seen = BTreeSet::new();
    all.retain(|capability| seen.insert(capability.digest.clone()));
    all
}

/// Whether a template has hooks that may change what it asks and renders.
pub fn changes_itself(template: &Template) -> bool {
    template.actions.hooks.iter().any(|hook| hook.name == "pre_prompt")
}

/// A block after its `pre_prompt` hooks, which may change what it asks.
pub async fn prompted(cx: &Context, block: Block, permission: Permission) -> Result<Block, Failure> {
    if !changes_itself(&block.template) || permission != Permission::Everything || cx.dry_run {
        return Ok(block);
    }
    let source = run::pre_prompt(&block.template, &surroundings(cx, &cx.dir)).await?;
    let mut block = block.with_source(&source)?;
    block.allow_python();
    Ok(block)
}

fn surroundings<'a>(cx: &'a Context, directory: &'a Path) -> Surroundings<'a> {
    Surroundings {
        directory,
        environment: std::env::vars_os().collect(),
        limit: cx.timeout.max(LIMIT),
        observer: &*cx.observer,
    }
}

/// A line of a plan for a command that will run.
pub fn run_lines<'a>(shown: impl Iterator<Item = &'a Shown>) -> Vec<String> {
    shown.map(|shown| format!("  run     {} ({})", shown.words, shown.place)).collect()
}

/// A line of a plan for what a command will read outside or send.
pub fn declared_lines(declared: &[Capability]) -> impl Iterator<Item = String> {
    declared.iter().map(|one| format!("  {:<7} {} ({})", one.kind.verb(), one.what, one.place))
}

/// Shows what a template wants, and asks.
fn agreed(block: &Block, new: &[Capability], otherwise: &str) -> Result<bool, Failure> {
    output::say(&format!("{} from {} wants to", block.id, text::neutral_line(&block.id.source, 200)));
    for capability in new {
        output::say(&format!("  {capability}"));
    }
    prompt::confirm(&format!("Allow this, now and later? (--trust says yes{otherwise})"))
}
