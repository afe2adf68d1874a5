//! A project follows its blocks: what each was when it was rendered, what it is now, and what the project made of it
//! become one plan. Nothing is written here; the plan is one transaction.

mod alike;
mod apply;
mod follow;
mod record;
mod working;

use std::collections::{BTreeMap, BTreeSet};

pub use apply::apply;
pub use follow::{Follow, Wanted, in_order, is_moved};
pub use record::{differing, without as without_record};

use super::facts::Operation;
use super::held::Held;
use super::{Block, Error, Layer, takeover};
use crate::directory::Directory;
use crate::merge::{self, Change, Conflict, Options, Style};
use crate::name::Name;
use crate::project::lock::{Left, LockedBlock};
use crate::project::scaffolded::FOREIGN;
use crate::project::{Lock, lock, manifest};
use crate::template::{Stage, run};
use crate::tree::{Entry, Tree, TreePath};
use crate::version::Version;
use working::Working;

/// A block that changes: what it was and what it will be.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Its name in the project.
    pub name: Name,
    /// What the lock says of it.
    pub locked: LockedBlock,
    /// What it was rendered to.
    pub base: Layer,
    /// What it will be.
    pub to: Block,
    /// What that renders to.
    pub new: Layer,
}

impl Followed {
    /// What the block runs before the files change, and what once they have.
    pub fn commands(&self) -> Result<[run::Plan; 2], Error> {
        let actions = &self.to.template.actions;
        if actions.tasks.is_empty() && actions.migrations.is_empty() && actions.hooks.is_empty() {
            return Ok(Default::default());
        }
        let between = run::Between { from: &self.locked.version, to: &self.to.id.version };
        let migrations = |stage| self.new.migrations(&self.to, stage, between);
        let before = migrations(Stage::Before)?.then(self.new.before(&self.to, Operation::Update)?);
        let after = self.new.after(&self.to, Operation::Update)?.then(migrations(Stage::After)?);
        Ok([before, after])
    }
}

/// What an update changes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The blocks, in the order in which they are taken.
    pub blocks: Vec<Updated>,
    /// Every file that changes, by path: `onramp.lock` among them.
    pub changes: Vec<Change>,
    /// What a person must decide.
    pub conflicts: Vec<Conflict>,
    /// Files that the templates moved: from, to.
    pub moved: Vec<(TreePath, TreePath)>,
    /// The lock afterwards.
    pub lock: Lock,
}

/// One block of an update.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Updated {
    /// Its name.
    pub name: Name,
    /// The version that the project has.
    pub from: Version,
    /// The version that it gets.
    pub to: Version,
    /// The answers that differ from those of before.
    pub answers: serde_json::Map<String, serde_json::Value>,
    /// Files of which only a new render tells what they once were, because the one of then cannot be repeated (a date, a
    /// secret): their merge may ask for more decisions than it should.
    pub unsure: Vec<TreePath>,
}

/// How an update treats conflicts, and what the project is called in them.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How conflicts are shown.
    pub style: Style,
    /// The project's name.
    pub project: String,
}

impl Plan {
    /// What it does, in a line.
    pub fn title(&self) -> String {
        let blocks = self.blocks.iter().map(|block| {
            let came = if block.from == block.to { String::new() } else { format!("{} to ", block.from) };
            format!("{} {came}{}", block.name, block.to)
        });
        format!("update of {}", blocks.collect::<Vec<_>>().join(", "))
    }
}

/// Plans an update of blocks, the first of them first.
pub fn plan(root: &dyn Held, lock: &Lock, followed: &[Followed], manner: &Manner) -> Result<Plan, Error> {
    let mut working = Working::new(root);
    let mut plan =
        Plan { blocks: Vec::new(), changes: Vec::new(), conflicts: Vec::new(), moved: Vec::new(), lock: lock.clone() };
    for block in followed {
        one(&mut working, &mut plan, block, manner)?;
    }
    alike::settle(&mut working, &mut plan)?;
    for conflict in &mut plan.conflicts {
        if conflict.line.is_none() && conflict.beside.is_none() {
            leave_word(&mut working, conflict)?;
        }
    }
    let left = |conflict: &Conflict| match &conflict.beside {
        Some(beside) => (beside.clone(), Left::Beside),
        None => (conflict.path.clone(), Left::Markers),
    };
    plan.lock.conflicts = plan.conflicts.iter().map(left).collect();
    let path = plain(lock::FILE);
    working.get(&path)?;
    working.put(path, Some(Entry::file(plan.lock.render())));
    plan.changes = working.changes();
    plan.conflicts.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    plan.moved.sort();
    Ok(plan)
}

/// Takes one block's changes into the plan.
fn one(working: &mut Working<'_>, plan: &mut Plan, block: &Followed, manner: &Manner) -> Result<(), Error> {
    let others: BTreeSet<TreePath> = plan
        .lock
        .blocks
        .iter()
        .filter(|(name, _)| **name != block.name)
        .flat_map(|(_, other)| other.files.keys().cloned())
        .collect();
    let mut base = block.base.rendered.tree.clone();
    let mut theirs = block.new.rendered.tree.clone();
    let toml = plain(manifest::FILE);
    let (base_toml, new_toml) = (base.remove(toml.as_str()), theirs.remove(toml.as_str()));
    let mine = working.mine(&base, &theirs, &others)?;
    let unsure = correct(&mut base, &mine, &block.locked);
    // What another block has as well does not go because this one gives it up.
    let shared: Vec<TreePath> =
        base.paths().filter(|path| theirs.get(path.as_str()).is_none() && others.contains(*path)).cloned().collect();
    for path in shared {
        base.remove(path.as_str());
    }
    for path in answers_files(block) {
        // It says what was rendered, so it is as the template has it, whoever wrote into it.
        let says = |own: &Entry| own.text().is_some_and(|text| text.contains("_src_path"));
        if let Some(own) = mine.get(path.as_str())
            && (FOREIGN.contains(&path.as_str()) || says(own))
        {
            base.insert(path, own.clone());
        }
    }
    let once = block.base.rendered.once.union(&block.new.rendered.once).cloned().collect();
    let label = |version: &Version| format!("{} {version}", block.name).trim_end().to_owned();
    let options = Options {
        style: manner.style,
        mine: manner.project.clone(),
        base: label(&block.locked.version),
        theirs: label(&block.to.id.version),
        once,
    };
    let merged = merge_where_free(working, &base, &theirs, mine, &options)?;
    for change in merged.changes {
        working.get(&change.path)?;
        working.put(change.path, change.after);
    }
    plan.conflicts.extend(merged.conflicts);
    plan.moved.extend(merged.moved);
    if let Some(own) = working.get(&toml)? {
        project_file(working, plan, block, &options, [base_toml, new_toml], &own)?;
    }
    foreign_files(working, block)?;
    let mut locked = block.new.locked(&block.to);
    // The project's word for it, whatever its source is called by now.
    let answers = block.new.answers.kept.iter().filter(|(id, value)| block.locked.values().get(*id) != Some(value));
    let answers = answers.map(|(id, value)| (id.clone(), value.clone())).collect();
    if locked.facts.get("folder") != block.locked.facts.get("folder")
        && let Some(folder) = block.locked.facts.get("folder")
    {
        locked.facts.insert("folder".to_owned(), folder.clone());
    }
    plan.lock.blocks.insert(block.name.clone(), locked);
    let (from, to) = (block.locked.version.clone(), block.to.id.version.clone());
    plan.blocks.push(Updated { name: block.name.clone(), from, to, answers, unsure });
    Ok(())
}

/// Merges, and merges again where a file of the project's stands in a place that the merge took for free.
fn merge_where_free(
    working: &mut Working<'_>,
    base: &Tree,
    theirs: &Tree,
    mut mine: Tree,
    options: &Options,
) -> Result<merge::Merged, Error> {
    loop {
        let merged = merge::merge(base, theirs, &mine, options);
        let mut missed = Vec::new();
        for change in merged.changes.iter().filter(|change| change.before.is_none()) {
            if let Some(entry) = working.get(&change.path)? {
                missed.push((change.path.clone(), entry));
            }
        }
        if missed.is_empty() {
            return Ok(merged);
        }
        for (path, entry) in missed {
            mine.insert(path, entry);
        }
    }
}

/// What a file that nobody edited was once, it still is, whatever a new render of the old version says. The files of which
/// only that render tells.
fn correct(base: &mut Tree, mine: &Tree, locked: &LockedBlock) -> Vec<TreePath> {
    let mut unsure = Vec::new();
    for (path, digest) in &locked.files {
        if base.get(path.as_str()).is_some_and(|entry| entry.digest() == *digest) {
            continue;
        }
        match mine.get(path.as_str()) {
            Some(own) if own.digest() == *digest => {
                base.insert(path.clone(), own.clone());
            }
            Some(_) => unsure.push(path.clone()),
            None => {}
        }
    }
    unsure
}

/// The files in which a foreign template keeps answers.
fn answers_files(block: &Followed) -> Vec<TreePath> {
    let own = block.to.template.rules.answers_file.as_deref();
    let names = FOREIGN.iter().copied().chain(own);
    let rendered = |path: &TreePath| block.new.rendered.tree.get(path.as_str()).is_some();
    names.filter_map(|name| name.parse().ok()).filter(rendered).collect()
}

/// Merges what a block gives to `onramp.toml`. The project's file stays one that can be read: where both changed the same,
/// its own stays, and the block's is beside it. The block's record there follows the update.
fn project_file(
    working: &mut Working<'_>,
    plan: &mut Plan,
    block: &Followed,
    options: &Options,
    [base, new]: [Option<Entry>; 2],
    own: &Entry,
) -> Result<(), Error> {
    let path = plain(manifest::FILE);
    let Some(text) = own.text() else { return Ok(()) };
    let renewed = record::renewed(&text, &block.name, &block.to.id.version, &block.new.answers.kept)?;
    let tree = |entry: Option<Entry>| -> Result<Tree, Error> {
        let Some(text) = entry.as_ref().and_then(Entry::text) else { return Ok(Tree::default()) };
        Ok([(path.clone(), Entry::file(record::without_all(&text)?))].into_iter().collect())
    };
    let mine = [(path.clone(), Entry::File { contents: renewed.clone().into(), executable: own.executable() })];
    let options = Options { style: Style::Rej, ..options.clone() };
    let (base, new, mut mine) = (tree(base)?, tree(new)?, mine.into_iter().collect::<Tree>());
    let beside: TreePath = plain(&format!("{path}.rej"));
    if let Some(there) = working.get(&beside)? {
        mine.insert(beside, there);
    }
    let mut merged = merge_where_free(working, &base, &new, mine, &options)?;
    let broken = |change: &Change| {
        let text = change.after.as_ref().and_then(Entry::text);
        change.path == path && text.is_none_or(|text| manifest::parse(manifest::FILE.as_ref(), &text).is_err())
    };
    if merged.changes.iter().any(broken) {
        // Two right files need not make a right one; then it is a person's to make.
        merged = beside_it(working, &path, &new)?;
    }
    working.put(path.clone(), Some(Entry::File { contents: renewed.into(), executable: own.executable() }));
    for change in merged.changes {
        working.get(&change.path)?;
        working.put(change.path, change.after);
    }
    plan.conflicts.extend(merged.conflicts);
    Ok(())
}

/// The project's file as it is, and the template's whole beside it.
fn beside_it(working: &mut Working<'_>, path: &TreePath, new: &Tree) -> Result<merge::Merged, Error> {
    let beside = free_beside(working, path)?;
    let detail = format!("the two together are no project; the project's stays, the template's is in {beside}");
    let kind = merge::ConflictKind::Key;
    let conflict = Conflict { path: path.clone(), kind, line: None, beside: Some(beside.clone()), detail };
    let change = Change { path: beside, before: None, after: new.get(path.as_str()).cloned() };
    Ok(merge::Merged { changes: vec![change], conflicts: vec![conflict], moved: Vec::new() })
}

/// A conflict that shows in no file, such as a file that only the template deleted, gets one that says so: whoever removes
/// it has decided.
fn leave_word(working: &mut Working<'_>, conflict: &mut Conflict) -> Result<(), Error> {
    let beside = free_beside(working, &conflict.path)?;
    working.put(beside.clone(), Some(Entry::file(format!("{}: {}\n", conflict.path, conflict.detail))));
    conflict.detail.push_str(&format!("; {beside} is there until you have decided"));
    conflict.beside = Some(beside);
    Ok(())
}

/// A path beside a file at which nothing stands.
fn free_beside(working: &mut Working<'_>, path: &TreePath) -> Result<TreePath, Error> {
    for number in 1_usize.. {
        let suffix = if number == 1 { ".rej".to_owned() } else { format!(".rej.{number}") };
        let near = format!("{path}{suffix}").parse();
        // As long as a path may be: then at the top.
        let candidate: TreePath = near.unwrap_or_else(|_| plain(&format!("conflict{suffix}")));
        if working.get(&candidate)?.is_none() {
            return Ok(candidate);
        }
    }
    unreachable!("a directory holds less than every number")
}

/// Keeps cruft's own file up to date. Copier's is rendered by its template.
fn foreign_files(working: &mut Working<'_>, block: &Followed) -> Result<(), Error> {
    for taken in takeover::find(working.root())? {
        let same = taken.is_locked_as(&block.locked.source, &block.locked)
            || block.locked.facts.get("asked").is_some_and(|asked| *asked == taken.source);
        if let Some(Entry::File { contents, executable }) = working.get(&taken.file)?
            && same
            && let Some(text) = contents.text()
            && let Some(renewed) = taken.renewed(&text, &block.to, &block.new.answers)
        {
            working.put(taken.file.clone(), Some(Entry::File { contents: renewed.into(), executable }));
        }
    }
    Ok(())
}

/// The files of blocks in which a conflict is left: markers in them, or a rejected side beside them.
pub fn unresolved(root: &Directory, lock: &Lock) -> Result<Vec<TreePath>, Error> {
    let mut left = BTreeSet::new();
    let rendered: BTreeMap<&TreePath, _> = lock.blocks.values().flat_map(|block| &block.files).collect();
    let toml = plain(manifest::FILE);
    for path in rendered.keys().copied().chain([&toml]) {
        let tree = root.read([path])?;
        if let Some(entry) = tree.get(path.as_str())
            && entry.contents().is_some_and(|contents| merge::has_markers(&contents.bytes()))
            // A template may well be about conflicts.
            && rendered.get(path).is_none_or(|digest| entry.digest() != **digest)
        {
            left.insert(path.clone());
        }
    }
    for (path, how) in &lock.conflicts {
        let tree = root.read([path])?;
        let Some(entry) = tree.get(path.as_str()) else { continue };
        let marked = || entry.contents().is_some_and(|contents| merge::has_markers(&contents.bytes()));
        if *how == Left::Beside || marked() {
            left.insert(path.clone());
        }
    }
    Ok(left.into_iter().collect())
}

fn plain(name: &str) -> TreePath {
    name.parse().expect("a plain name")
}
