//! `onramp update`

mod commands;
mod diff;
mod report;
mod undo;

use std::collections::BTreeMap;

use super::block::{self, Answering};
use super::catalog;
use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use super::permission::{self, Trusting, changes_itself};
use super::prompt::Terminal;
use crate::blocks::undo::Then;
use crate::blocks::update::{self, Follow, Followed, Manner, Plan, Wanted, in_order, is_moved, unresolved};
use crate::blocks::{Block, Catalog, Error, Facts, builtin, layer};
use crate::directory::Directory;
use crate::merge::Style;
use crate::name::Name;
use crate::project::{Lock, Scaffolded};
use crate::task::{aside, blocking};
use crate::template::question::Values;
use crate::template::resolve::Ask;
use crate::trust::{self, Trust};
use commands::Commands;
use report::Report;

/// Bring a project's blocks up to date, and keep every edit.
///
/// What a block was when the project was rendered, what it is now and what the project made of it are merged. Nothing that
/// somebody wrote is lost: where both changed the same, both are kept and a person decides. All files change at once or
/// none does; git's index, HEAD and stash stay as they are. While conflicts are left it ends with 1, and so
/// does a dry run that foresees some.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp update
  onramp update php-web --dry-run
  onramp update php-web --version 2
  onramp update php-web --to 1.0.0        an older version, too
  onramp update --undo
")]
pub struct Arguments {
    /// The block [default: all of the project's]
    block: Option<String>,
    /// The newest version that is this, also where onramp.toml allows only older ones
    #[arg(long, value_name = "REQ", requires = "block")]
    version: Option<String>,
    /// This version, newer or older
    #[arg(long, value_name = "VERSION", requires = "block", conflicts_with = "version")]
    to: Option<String>,
    /// The branch, tag or commit of a template that is no block of the catalog
    #[arg(long = "ref", value_name = "REF", requires = "block", conflicts_with_all = ["version", "to"], value_parser = block::reference)]
    reference: Option<String>,
    /// How conflicts are left: inline, as markers in the file, or rej, in a file beside it
    #[arg(long, value_name = "STYLE", value_enum, default_value = "inline", hide_possible_values = true)]
    conflict: Conflict,
    /// Ask every question again
    #[arg(long)]
    reask: bool,
    /// Give back the exact tree from before the last update
    #[arg(long, conflicts_with_all = ["block", "reask"])]
    undo: bool,
    /// Undo also what was edited since; the edited files are saved outside the project first
    #[arg(long, requires = "undo")]
    force: bool,
    #[command(flatten)]
    answering: Answering,
    #[command(flatten)]
    trusting: Trusting,
}

/// How conflicts are left.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Conflict {
    Inline,
    Rej,
}

/// An update before it is made.
struct Prepared {
    place: Scaffolded,
    lock: Lock,
    manner: Manner,
    followed: Vec<Followed>,
    /// None where nothing changes.
    plan: Option<Plan>,
    commands: Commands,
}

impl Arguments {
    /// Plans the update, shows it, makes it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.locked {
            return Err(Failure::usage("an update changes onramp.lock, which --locked forbids"));
        }
        if self.undo {
            return undo::run(cx, self.force);
        }
        let place = cx.scaffolded()?;
        let left = unresolved(&Directory::open(&place.root)?, &place.lock)?;
        if !left.is_empty() {
            return Err(Error::Unresolved { paths: left }.into());
        }
        let catalog = catalog_of(cx, &place).await?;
        let facts = block::facts(cx, catalog.as_ref(), &place.name(), &place.folder())?.at(&place.root);
        let this = cx.clone();
        let mut aimed = blocking(move || self.aim(&this, place, catalog, facts)).await?;
        aimed.prompted(cx).await?;
        let this = cx.clone();
        let prepared = block::rendering(move || aimed.prepare(&this)).await?;
        let Prepared { place, lock, manner, followed, plan, commands } = prepared;
        let Some(mut plan) = plan else {
            cx.report(&Report::up_to_date(&place));
            return Ok(Verdict::Ok);
        };
        let mut report = Report::new(&place, &plan, &commands, cx.dry_run);
        let verdict = |plan: &Plan| if plan.conflicts.is_empty() { Verdict::Ok } else { Verdict::Failed };
        if !cx.proceed(&report) {
            return Ok(verdict(&plan));
        }
        if commands.come_first() {
            commands.run_before(cx, &place.root).await?;
            // They may have changed what is merged.
            plan = update::plan(&Directory::open(&place.root)?, &lock, &followed, &manner)?;
            report = Report::new(&place, &plan, &commands, cx.dry_run);
        }
        let then = if plan.conflicts.is_empty() { commands.then() } else { Then::Nothing };
        let verdict = verdict(&plan);
        // Only what changes counts from here on: the trees are most of what a large project takes.
        drop((followed, lock));
        let unfinished = aside(|| update::apply(&place.root, &cx.paths.state, plan, then))?;
        if let Some(unfinished) = unfinished {
            commands.run_after(cx, &place.root, unfinished).await?;
        }
        report.done(&commands);
        cx.report(&report);
        Ok(verdict)
    }

    /// Finds what every block shall be.
    fn aim(self, cx: &Context, place: Scaffolded, catalog: Option<Catalog>, facts: Facts) -> Result<Aimed, Failure> {
        let lock = place.lock.clone();
        let mut aimed =
            Aimed { arguments: self, place, catalog, facts, lock, taken: Vec::new(), targets: BTreeMap::new() };
        let mut lock = aimed.lock.clone();
        let follow = aimed.follow(cx)?;
        let taken = follow.take_over(&Directory::open(&aimed.place.root)?, &mut lock)?;
        let targets = aimed.arguments.targets(cx, &follow, &lock)?;
        (aimed.lock, aimed.taken, aimed.targets) = (lock, taken, targets);
        Ok(aimed)
    }

    fn targets(&self, cx: &Context, follow: &Follow<'_>, lock: &Lock) -> Result<BTreeMap<Name, Block>, Failure> {
        let mut targets: BTreeMap<Name, Block> = BTreeMap::new();
        for (name, locked) in &lock.blocks {
            if self.block.as_ref().is_some_and(|block| block != name.as_str()) {
                continue;
            }
            let to = follow.target(name, locked, &self.wanted())?;
            // What its own hooks made of it is what the project has, and no tag that was moved.
            let same = changes_itself(&to.template) && to.id.commit == locked.commit && !locked.files.is_empty();
            let to = if same {
                follow.base(name, locked)?
            } else if self.wanted() == Wanted::Declared && is_moved(&to, locked) {
                cx.observer.note(&format!(
                    "{name} {} is not what it was: its tag was moved. The project stays with what it has; \
                     `onramp update {name} --to {}` takes the new one",
                    locked.version, locked.version
                ));
                follow.base(name, locked)?
            } else if self.wanted() == Wanted::Declared && to.id.version < locked.version {
                // Nobody asked for an older one.
                follow.base(name, locked)?
            } else {
                to
            };
            targets.insert(name.clone(), to);
        }
        if let (Some(block), true) = (&self.block, targets.is_empty()) {
            return Err(Error::NotThere { name: block.clone(), known: lock.blocks.keys().cloned().collect() }.into());
        }
        follow.check_needs(lock, &targets)?;
        Ok(targets)
    }

    fn wanted(&self) -> Wanted {
        match (&self.version, &self.to, &self.reference) {
            (Some(requirement), ..) => Wanted::Requirement(requirement.clone()),
            (_, Some(version), _) => Wanted::Exactly(version.clone()),
            (.., Some(reference)) => Wanted::Reference(reference.clone()),
            (None, None, None) => Wanted::Declared,
        }
    }
}

/// What every block shall be, before it is rendered.
struct Aimed {
    arguments: Arguments,
    place: Scaffolded,
    catalog: Option<Catalog>,
    facts: Facts,
    lock: Lock,
    /// The blocks that another tool brought there.
    taken: Vec<Name>,
    targets: BTreeMap<Name, Block>,
}

impl Aimed {
    fn follow<'a>(&'a self, cx: &'a Context) -> Result<Follow<'a>, Failure> {
        Ok(Follow {
            cache: &cx.paths.cache,
            offline: cx.offline,
            catalog: self.catalog.as_ref(),
            place: &self.place,
            facts: &self.facts,
            trust: Trust::load(&trust::place(&cx.paths))?,
        })
    }

    /// Runs the hooks that may change what a block asks, of those that come to another commit.
    async fn prompted(&mut self, cx: &Context) -> Result<(), Failure> {
        for (name, block) in &mut self.targets {
            if changes_itself(&block.template) && block.id.commit != self.lock.blocks[name].commit {
                let permission = self.arguments.trusting.decide(cx, block)?;
                *block = permission::prompted(cx, block.clone(), permission).await?;
            }
        }
        Ok(())
    }

    /// Plans the update.
    fn prepare(self, cx: &Context) -> Result<Prepared, Failure> {
        let mut followed = self.followed(cx, &self.follow(cx)?)?;
        let Self { arguments, place, lock, taken, targets, .. } = self;
        let style = match arguments.conflict {
            Conflict::Inline => Style::Inline,
            Conflict::Rej => Style::Rej,
        };
        let manner = Manner { style, project: place.name() };
        let commands = Commands::of(&followed)?;
        // Nothing renders from here on, and of a large template the source is large.
        drop(targets);
        for block in &mut followed {
            block.to.release();
        }
        let plan = if followed.is_empty() && taken.is_empty() {
            None
        } else {
            Some(update::plan(&Directory::open(&place.root)?, &lock, &followed, &manner)?)
        };
        Ok(Prepared { place, lock, manner, followed, plan, commands })
    }

    /// The blocks that change, with what they were and what they will be.
    fn followed(&self, cx: &Context, follow: &Follow<'_>) -> Result<Vec<Followed>, Failure> {
        let Self { arguments, lock, targets, .. } = self;
        arguments.answering.check(targets.values().map(|block| &block.template))?;
        let (mut followed, mut changed) = (Vec::new(), Values::new());
        for name in in_order(targets) {
            let (mut to, locked) = (targets[&name].clone(), &lock.blocks[&name]);
            // What renders with Python asks before it renders, all else before it runs.
            if !to.template.rules.extensions.is_empty() {
                arguments.trusting.decide(cx, &mut to)?;
            }
            let mut sources = arguments.answering.sources(cx, &to.template)?;
            sources.reask = arguments.reask;
            let mut terminal = Terminal;
            let person = arguments.answering.ask(cx).then_some(&mut terminal as &mut dyn Ask);
            if let Some(mut block) = follow.followed(&name, locked, to, &sources, &changed, person)? {
                arguments.trusting.decide(cx, &mut block.to)?;
                block::note_unused(cx, &block.new.answers);
                let before = locked.values();
                let new = block.new.answers.kept.iter().filter(|(id, value)| before.get(*id) != Some(value));
                changed.extend(new.map(|(id, value)| (id.clone(), value.clone())));
                followed.push(block);
            }
        }
        Ok(followed)
    }
}

/// The catalog that the blocks of a project are of; none where no block is of one.
pub async fn catalog_of(cx: &Context, place: &Scaffolded) -> Result<Option<Catalog>, Failure> {
    let of_catalog = |locked: &crate::project::lock::LockedBlock| !layer::is_foreign(locked);
    if !place.lock.blocks.values().any(of_catalog) {
        return Ok(None);
    }
    // What onramp brought goes on being what onramp brings, unless somebody says otherwise.
    let builtin = place.lock.blocks.values().filter(|locked| of_catalog(locked)).all(|l| l.source == builtin::SOURCE);
    if builtin && cx.settings.catalog.is_none() && place.manifest.as_ref().is_none_or(|m| m.catalog.is_none()) {
        return Ok(Some(Catalog::Builtin));
    }
    Ok(Some(catalog::open(cx, place.manifest.as_ref()).await?))
}
