//! What a project would contribute: every change of a block's files, turned back or named. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::file::{self, NoFile};
use super::prove::World;
use super::restore::Possible;
use super::trace::{Loops, Parts};
use super::variants;
use crate::blocks::facts::Operation;
use crate::blocks::{Block, BlockId, Error, Layer};
use crate::merge;
use crate::project::{lock, manifest};
use crate::template::resolve::Sources;
use crate::template::{Engine, resolve};
use crate::tree::{Entry, Tree, TreePath};

/// What a contribution is planned from.
pub struct Inputs<'a> {
    /// The block, as the project has it.
    pub block: &'a Block,
    /// Its part of the project, rendered again.
    pub layer: &'a Layer,
    /// The files of the project, of all the block's paths that are there, and those that are to be added.
    pub project: &'a Tree,
    /// The paths that somebody named; none: every file of the block.
    pub paths: &'a [TreePath],
    /// The digests of what the project was given, as its lock has them.
    pub given: &'a lock::Files,
}

/// A change that goes into the block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The project's file.
    pub path: TreePath,
    /// The first and the last of its lines; none: the whole file.
    pub lines: Option<(usize, usize)>,
    /// The file of the block that it goes into.
    pub source: TreePath,
    /// New text that could be an answer's value, and stays as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub possible: Vec<Possible>,
}

/// A change that stays in the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The project's file.
    pub path: TreePath,
    /// The first and the last of its lines; none: the whole file.
    pub lines: Option<(usize, usize)>,
    /// Why.
    pub why: String,
}

/// What a project would contribute to a block.
#[derive(Clone, Debug, Serialize)]
pub struct Contribution {
    /// The block, as the project has it.
    pub block: BlockId,
    /// The block's files that change: what is there at its version, and what it becomes.
    #[serde(skip)]
    pub files: BTreeMap<TreePath, (Option<Entry>, Entry)>,
    /// What is taken.
    pub taken: Vec<Taken>,
    /// What the block's repository has already, released or not.
    pub already: Vec<Taken>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
    /// How many other answer sets every taken change was held against.
    pub answer_sets: usize,
}

/// The texts of one template with one set of answers.
struct Answered {
    label: String,
    engine: Engine,
}

/// Plans a contribution.
pub fn plan(inputs: &Inputs<'_>) -> Result<Contribution, Error> {
    let block = inputs.block;
    let worlds = worlds(inputs)?;
    let mut contribution = Contribution {
        block: block.id.clone(),
        files: BTreeMap::new(),
        taken: Vec::new(),
        already: Vec::new(),
        left_out: Vec::new(),
        answer_sets: worlds.len() - 1,
    };
    let mut several = BTreeSet::new();
    let mut sources = BTreeSet::new();
    for origin in inputs.layer.rendered.origins.values() {
        if !sources.insert(&origin.source) {
            several.insert(&origin.source);
        }
    }
    let asked = |path: &TreePath| inputs.paths.is_empty() || inputs.paths.iter().any(|named| is_under(path, named));
    for (path, given) in inputs.layer.rendered.tree.iter().filter(|(path, _)| asked(path)) {
        let Some(origin) = inputs.layer.rendered.origins.get(path) else { continue };
        let mine = inputs.project.get(path.as_str());
        let own = path.as_str() == manifest::FILE;
        // What is given once is the project's own from then on.
        let own_by_now = own || inputs.layer.rendered.once.contains(path);
        if mine == Some(given) || (own_by_now && !inputs.paths.contains(path)) {
            continue;
        }
        let whole = if own {
            Err("onramp.toml is the project's own".to_owned())
        } else if inputs.given.get(path).is_some_and(|digest| *digest != given.digest()) {
            Err("rendered again, the block gives something else here than the project was given".to_owned())
        } else if several.contains(&origin.source) {
            Err("its template makes several files".to_owned())
        } else {
            Ok(())
        };
        let Some(mine) = mine.filter(|_| whole.is_ok()) else {
            let why =
                whole.err().unwrap_or_else(|| "it is deleted here; the block's other projects have it".to_owned());
            contribution.left_out.push(LeftOut { path: path.clone(), lines: None, why });
            continue;
        };
        let source = block.template.source.get(origin.source.as_str());
        let one = One { inputs, path, given, mine, origin, source, worlds: &worlds };
        if let Err(why) = one.turn_back(&mut contribution) {
            contribution.left_out.push(LeftOut { path: path.clone(), lines: None, why });
        }
    }
    add_new(inputs, &mut contribution);
    Ok(contribution)
}

/// Whether a path is another one or lies under it.
pub fn is_under(path: &TreePath, directory: &TreePath) -> bool {
    path.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The engines of the project's answers, first, and of others.
fn worlds(inputs: &Inputs<'_>) -> Result<Vec<Answered>, Error> {
    let (block, layer) = (inputs.block, inputs.layer);
    let engine = |answers: &crate::template::Answers| -> Result<Engine, Error> {
        let variables = layer.facts.variables(block.template.dialect, &block.id, answers, Operation::Copy);
        let mut engine = Engine::new(&block.template, &variables)?;
        for (id, value) in answers.all() {
            engine.set(&id, &value);
        }
        Ok(engine)
    };
    let mut worlds = vec![Answered { label: "the project's answers".to_owned(), engine: engine(&layer.answers)? }];
    for (label, before) in variants::of(&block.template.questions, &layer.answers) {
        let sources = Sources { before, project: layer.facts.root.clone(), ..Sources::default() };
        let unanswered = crate::template::Answers::default();
        let variables = layer.facts.variables(block.template.dialect, &block.id, &unanswered, Operation::Copy);
        let mut asking = Engine::new(&block.template, &variables)?;
        // Answers that the block's own validators refuse are nobody's.
        let Ok(answers) = resolve::resolve(&block.template, &sources, None, &mut asking) else { continue };
        worlds.push(Answered { label, engine: engine(&answers)? });
    }
    Ok(worlds)
}

/// One file of the block in the project.
struct One<'a> {
    inputs: &'a Inputs<'a>,
    path: &'a TreePath,
    given: &'a Entry,
    mine: &'a Entry,
    origin: &'a crate::template::render::Origin,
    source: Option<&'a Entry>,
    worlds: &'a [Answered],
}

impl One<'_> {
    /// Puts what can be turned back into the contribution; why nothing of the file can.
    fn turn_back(&self, contribution: &mut Contribution) -> Result<(), String> {
        let Some(source) = self.source else { return Err("its source is not in the block".to_owned()) };
        let (Entry::File { contents: given, executable: was }, Entry::File { contents: mine, executable }) =
            (self.given, self.mine)
        else {
            return self.whole(contribution, source);
        };
        let Entry::File { contents: template, .. } = source else {
            return Err("the block has a link here, which it follows".to_owned());
        };
        let (Some(template), Some(given), Some(mine)) = (template.text(), given.text(), mine.text()) else {
            return self.whole(contribution, source);
        };
        let (template, given, mine) = (&*template, &*given, &*mine);
        if given == mine {
            let contents = source.contents().cloned().unwrap_or_default();
            self.take(contribution, source, Entry::File { contents, executable: *executable });
            return Ok(());
        }
        let copied = !self.origin.rendered;
        let parts = |loops| {
            if copied { Ok(Parts::copied(template)) } else { Parts::of(template, self.syntax(), loops) }
        };
        let traced = parts(Loops::Traced).map_err(|why| why.to_string())?;
        let worlds: Vec<World<'_>> = if copied {
            vec![World { label: String::new(), render: Box::new(|text: &str| Ok(text.to_owned())) }]
        } else {
            self.worlds.iter().map(|answered| self.world(answered)).collect()
        };
        let answers: Vec<(String, String)> = self
            .inputs
            .layer
            .answers
            .kept
            .iter()
            .filter_map(|(id, value)| match value {
                serde_json::Value::String(text) => Some((id.clone(), text.clone())),
                serde_json::Value::Number(number) => Some((id.clone(), number.to_string())),
                _ => None,
            })
            .collect();
        let mut outcome = file::turn_back(&traced, copied, &worlds, &answers, given, mine);
        if matches!(outcome, Err(NoFile::NoMap(_))) && traced.repeats() {
            // A loop that does not bear marks need not take the rest of the file with it.
            let opaque = parts(Loops::Opaque).map_err(|why| why.to_string())?;
            outcome = file::turn_back(&opaque, copied, &worlds, &answers, given, mine);
        }
        let outcome = outcome.map_err(|why: NoFile| why.to_string())?;
        let lines = |lines: &std::ops::Range<usize>| Some((lines.start, lines.end.saturating_sub(1).max(lines.start)));
        for left in outcome.left_out {
            let (lines, why) = (lines(&left.lines), left.why.to_string());
            contribution.left_out.push(LeftOut { path: self.path.clone(), lines, why });
        }
        for taken in &outcome.taken {
            contribution.taken.push(Taken {
                path: self.path.clone(),
                lines: lines(&taken.lines),
                source: self.origin.source.clone(),
                possible: taken.possible.clone(),
            });
        }
        if !outcome.taken.is_empty() || was != executable {
            let after = Entry::File { contents: outcome.source.into(), executable: *executable };
            contribution.files.insert(self.origin.source.clone(), (Some(source.clone()), after));
        }
        Ok(())
    }

    fn world<'w>(&'w self, answered: &'w Answered) -> World<'w> {
        let render = move |text: &str| {
            let path = self.origin.source.as_str();
            let none = serde_json::Map::new();
            let yielded = self.origin.yielded.as_deref().unwrap_or(&none);
            answered.engine.file(path, text, yielded).map_err(|error| error.to_string())
        };
        World { label: answered.label.clone(), render: Box::new(render) }
    }

    fn syntax(&self) -> &crate::template::Syntax {
        &self.inputs.block.template.rules.syntax
    }

    /// A file that is no text, or no file: taken as a whole where the block copies it as it is.
    fn whole(&self, contribution: &mut Contribution, source: &Entry) -> Result<(), String> {
        if self.origin.rendered {
            return Err("one of it and its template is no text".to_owned());
        }
        match (source, self.mine) {
            (Entry::File { .. }, Entry::File { .. }) | (Entry::Link { .. }, Entry::Link { .. }) => {
                self.take(contribution, source, self.mine.clone());
                Ok(())
            }
            _ => Err("it is a file on one side and a link on the other".to_owned()),
        }
    }

    fn take(&self, contribution: &mut Contribution, source: &Entry, after: Entry) {
        contribution.files.insert(self.origin.source.clone(), (Some(source.clone()), after));
        contribution.taken.push(Taken {
            path: self.path.clone(),
            lines: None,
            source: self.origin.source.clone(),
            possible: Vec::new(),
        });
    }
}

/// Files of the project's own that somebody named one by one: they become files that the block copies.
fn add_new(inputs: &Inputs<'_>, contribution: &mut Contribution) {
    let rules = &inputs.block.template.rules;
    for path in inputs.paths {
        let Some(mine) = inputs.project.get(path.as_str()) else { continue };
        if inputs.layer.rendered.tree.get(path.as_str()).is_some() {
            continue;
        }
        let ours = [manifest::FILE, lock::FILE].contains(&path.as_str());
        let place = rules.subdirectory.trim_matches('/');
        let name = if place.is_empty() { path.to_string() } else { format!("{place}/{path}") };
        let templated = [&rules.syntax.block.0, &rules.syntax.variable.0, &rules.syntax.comment.0];
        let rendered = match &rules.suffix {
            crate::template::Suffix::Every => true,
            crate::template::Suffix::Only(suffix) => name.ends_with(suffix.as_str()),
        };
        let why = if ours {
            Some("it is onramp's own".to_owned())
        } else if rendered {
            Some("the block would render it as a template; add it there by hand".to_owned())
        } else if templated.iter().any(|start| name.contains(start.as_str())) {
            Some("its path would be a template".to_owned())
        } else {
            None
        };
        match (why, name.parse::<TreePath>()) {
            (None, Ok(source)) => {
                contribution.files.insert(source.clone(), (None, mine.clone()));
                contribution.taken.push(Taken { path: path.clone(), lines: None, source, possible: Vec::new() });
            }
            (why, _) => {
                let why = why.unwrap_or_else(|| "its path is too long in the block".to_owned());
                contribution.left_out.push(LeftOut { path: path.clone(), lines: None, why });
            }
        }
    }
}

impl Contribution {
    /// The change as a patch of the block at its version.
    pub fn patch(&self) -> Result<Vec<u8>, Error> {
        let before = self.files.iter().filter_map(|(path, (old, _))| Some((path.clone(), old.clone()?))).collect();
        let changes = self.files.iter().map(|(path, (_, after))| (path.clone(), after.clone())).collect();
        super::propose::patch(&before, &changes)
    }

    /// Fits the changes onto what the block's repository holds now: what changed there meanwhile, too, at the same place,
    /// is left out. Paths are those of the block's source.
    pub fn onto(&mut self, released: &Tree, head: &Tree) -> BTreeMap<TreePath, Entry> {
        loop {
            let mut theirs = released.clone();
            for (path, (_, after)) in &self.files {
                theirs.insert(path.clone(), after.clone());
            }
            let options = merge::Options {
                mine: "the repository now".to_owned(),
                base: self.block.to_string(),
                theirs: "the contribution".to_owned(),
                ..merge::Options::default()
            };
            let touched = |tree: &Tree| -> Tree {
                let own = |path: &TreePath| self.files.contains_key(path);
                tree.iter().filter(|(path, _)| own(path)).map(|(path, entry)| (path.clone(), entry.clone())).collect()
            };
            let merged = merge::merge(&touched(released), &touched(&theirs), &touched(head), &options);
            let clashes: BTreeSet<TreePath> = merged.conflicts.iter().map(|conflict| conflict.path.clone()).collect();
            let clashes: Vec<TreePath> = self.files.keys().filter(|path| clashes.contains(*path)).cloned().collect();
            if clashes.is_empty() && merged.conflicts.is_empty() {
                let changes = |path: &TreePath| merged.changes.iter().any(|change| change.path == *path);
                let (new, already) =
                    std::mem::take(&mut self.taken).into_iter().partition(|taken: &Taken| changes(&taken.source));
                (self.taken, self.already) = (new, already);
                return merged.changes.into_iter().filter_map(|change| Some((change.path, change.after?))).collect();
            }
            let why = format!("the block's repository changed the same place since {}", self.block.version);
            let gone: Vec<TreePath> = if clashes.is_empty() { self.files.keys().cloned().collect() } else { clashes };
            self.leave_out(&gone.into_iter().collect(), &why);
        }
    }

    /// Leaves out what goes into these files of the block.
    pub fn leave_out(&mut self, sources: &BTreeSet<TreePath>, why: &str) {
        self.files.retain(|path, _| !sources.contains(path));
        for taken in [&mut self.taken, &mut self.already] {
            let (out, kept): (Vec<Taken>, _) =
                std::mem::take(taken).into_iter().partition(|taken| sources.contains(&taken.source));
            *taken = kept;
            let left = |taken: Taken| LeftOut { path: taken.path, lines: taken.lines, why: why.to_owned() };
            self.left_out.extend(out.into_iter().map(left));
        }
    }
}
