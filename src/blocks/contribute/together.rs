//! The proof that a contribution and what its repository changed meanwhile make together what both meant: rendered with
//! the project's answers, and with every other set of answers, the merged templates give the merge of what each side
//! renders to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::plan::Contribution;
use super::variants;
use crate::blocks::facts::Operation;
use crate::blocks::{Block, Error, Layer, manifest};
use crate::merge;
use crate::template::Rendered;
use crate::template::question::Values;
use crate::template::resolve::Sources;
use crate::tree::{Entry, Tree, TreePath};
use crate::trust;

/// What cannot be proved.
pub struct Clash {
    /// The block's files whose changes are not taken.
    pub sources: BTreeSet<TreePath>,
    /// Why.
    pub why: String,
}

/// The four versions of a block.
struct Versions {
    released: Block,
    contributed: Block,
    head: Block,
    together: Block,
}

/// Holds the contribution, placed onto the repository's head, against what both sides render to. `layer` is the project's.
pub fn prove(
    block: &Block,
    head: &Tree,
    contribution: &Contribution,
    placed: &BTreeMap<TreePath, Entry>,
    layer: &Layer,
) -> Result<(), Clash> {
    let all = |why: String| Clash { sources: contribution.files.keys().cloned().collect(), why };
    let does_not_render = |label: &str, error: &Error| {
        all(format!(
            "with {label}, and with what the repository changed, it does not render: {}",
            crate::error::chain(error)
        ))
    };
    let mine = "the project's answers";
    let versions = Versions::of(block, head, contribution, placed).map_err(|error| does_not_render(mine, &error))?;
    versions
        .check(layer, &layer.answers.all())
        .map_err(|error| does_not_render(mine, &error))?
        .proved(contribution, mine)?;
    for (label, values) in variants::of(&versions.head.template.questions, &layer.answers) {
        // Answers that one of the versions refuses are nobody's.
        if let Ok(held) = versions.check(layer, &values) {
            held.proved(contribution, &label)?;
        }
    }
    Ok(())
}

impl Versions {
    fn of(
        block: &Block,
        head: &Tree,
        contribution: &Contribution,
        placed: &BTreeMap<TreePath, Entry>,
    ) -> Result<Self, Error> {
        let with = |tree: &Tree, changes: &mut dyn Iterator<Item = (&TreePath, &Entry)>| -> Result<Block, Error> {
            let mut tree = tree.clone();
            for (path, entry) in changes {
                tree.insert(path.clone(), entry.clone());
            }
            let mut id = block.id.clone();
            // The repository may be on its way to another version.
            if let Some(text) = tree.get(manifest::FILE).and_then(Entry::text) {
                id.version = manifest::parse(Path::new(manifest::FILE), &text)?.version.into();
            }
            let mut read = Block::read(id, Path::new(manifest::FILE), tree)?;
            // Only the Python that was allowed runs: what the repository changed of it was not.
            let wanted = |block: &Block| trust::extensions(&block.template);
            let same = wanted(block).into_iter().map(|c| c.digest).eq(wanted(&read).into_iter().map(|c| c.digest));
            if same {
                read.template.rules.python = block.template.rules.python.clone();
            }
            Ok(read)
        };
        let mine = || contribution.files.iter().map(|(path, (_, after))| (path, after));
        Ok(Self {
            released: block.clone(),
            contributed: with(&block.template.source, &mut mine())?,
            head: with(head, &mut std::iter::empty())?,
            together: with(head, &mut placed.iter())?,
        })
    }

    /// Renders all four with one set of answers.
    fn check(&self, layer: &Layer, values: &Values) -> Result<Held, Error> {
        let render = |block: &Block| -> Result<Rendered, Error> {
            let sources = Sources { before: values.clone(), ..Sources::default() };
            Ok(Layer::make(block, &layer.facts, Operation::Copy, &sources, None)?.rendered)
        };
        Ok(Held {
            released: render(&self.released)?.tree,
            contributed: render(&self.contributed)?.tree,
            head: render(&self.head)?.tree,
            together: render(&self.together)?,
        })
    }
}

/// What the four versions render to.
struct Held {
    released: Tree,
    contributed: Tree,
    head: Tree,
    together: Rendered,
}

impl Held {
    fn proved(self, contribution: &Contribution, label: &str) -> Result<(), Clash> {
        let options = merge::Options {
            mine: "the repository now".to_owned(),
            base: "the released version".to_owned(),
            theirs: "the contribution".to_owned(),
            ..merge::Options::default()
        };
        // A block's record in onramp.toml says which version it is.
        let files = |tree: &Tree| -> Tree {
            let files = tree.iter().filter(|(path, _)| path.as_str() != crate::project::manifest::FILE);
            files.map(|(path, entry)| (path.clone(), entry.clone())).collect()
        };
        let mut meant = files(&self.head);
        let merged = merge::merge(&files(&self.released), &files(&self.contributed), &meant, &options);
        for change in merged.changes {
            match change.after {
                Some(after) => drop(meant.insert(change.path, after)),
                None => drop(meant.remove(change.path.as_str())),
            }
        }
        let together = files(&self.together.tree);
        let mut wrong: BTreeSet<&TreePath> = merged.conflicts.iter().map(|conflict| &conflict.path).collect();
        let paths = together.paths().chain(meant.paths());
        wrong.extend(paths.filter(|path| together.get(path.as_str()) != meant.get(path.as_str())));
        if wrong.is_empty() {
            return Ok(());
        }
        let origins = &self.together.origins;
        let mut sources: BTreeSet<TreePath> = wrong
            .iter()
            .filter_map(|path| Some(origins.get(*path)?.source.clone()))
            .filter(|source| contribution.files.contains_key(source))
            .collect();
        if sources.is_empty() {
            // What is wrong comes from another file, which includes one of these.
            sources = contribution.files.keys().cloned().collect();
        }
        let why = format!(
            "with {label}, it and what the block's repository changed since {} do not render to both",
            contribution.block.version
        );
        Err(Clash { sources, why })
    }
}
