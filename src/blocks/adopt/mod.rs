//! Which version of a block, with which answers, explains a project that is there already.
//!
//! Answers are read out of the project where a template says `{{ question }}` in a line or a name, tried where a question
//! has choices, and compared by how many lines of the render the project has. Nothing of the project is changed; what it
//! has other than the render counts as its own edits from then on.

mod infer;
pub mod project;
mod score;

pub use score::Score;

use std::path::Path;

use super::facts::{Facts, Operation};
use super::layer::{self, Tables};
use super::transaction::{Directories, Transaction};
use super::{Block, Error, Layer};
use crate::files;
use crate::merge::Change;
use crate::project::{Scaffolded, lock, manifest};
use crate::template::question::{Choices, Kind, Question, Value, Values};
use crate::template::resolve::Sources;
use crate::tree::{Entry, Tree};

/// The most renders that one version is tried with.
const TRIES: usize = 400;

/// How a block explains a project.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The block, at the version that is tried.
    pub block: Block,
    /// What it renders to with the answers that explain most.
    pub layer: Layer,
    /// How much of that the project has.
    pub score: Score,
}

/// The answers with which this block explains most of a project. `sources` are answers that are known; they are kept.
pub fn explain(block: Block, facts: &Facts, sources: &Sources, project: &Tree) -> Result<Explanation, Error> {
    let known = |id: &str| sources.typed.contains_key(id) || sources.given.contains_key(id);
    let attempt = |given: &Values| -> Result<Layer, Error> {
        let mut sources = sources.clone();
        sources.before.extend(given.iter().map(|(id, value)| (id.clone(), value.clone())));
        Layer::make(&block, facts, Operation::Copy, &sources, None)
    };
    // What names and lines say. A question that cannot be answered otherwise needs it before the first render.
    let read = infer::answers(&block.template, project);
    let mut best = Values::new();
    for (id, values) in &read {
        if let Some((value, _)) = values.first()
            && !known(id)
        {
            best.insert(id.clone(), value.clone());
        }
    }
    // One that must be answered, and is read nowhere, begins with its first choice.
    for question in block.template.questions.iter().filter(|question| question.default.is_none()) {
        let id = question.id.as_str();
        if let Choices::Listed(choices) = &question.choices
            && let Some(first) = choices.first()
            && !known(id)
            && !best.contains_key(id)
        {
            let value = if question.multiselect { Value::Array(Vec::new()) } else { first.value.clone() };
            best.insert(id.to_owned(), value);
        }
    }
    let mut layer = match attempt(&best) {
        Ok(layer) => layer,
        // What was read may be wrong together; the defaults are right.
        Err(error) => {
            best.clear();
            attempt(&best).map_err(|_| error)?
        }
    };
    let mut score = Score::of(&layer.rendered.tree, project);
    let mut tries = 0;
    loop {
        let before = score;
        for question in &block.template.questions {
            let id = question.id.as_str();
            if known(id) {
                continue;
            }
            for value in candidates(question, &layer, read.get(id)) {
                let current = layer.answers.kept.get(id).or_else(|| layer.answers.passing.get(id));
                if current == Some(&value) || tries == TRIES {
                    continue;
                }
                tries += 1;
                let mut given = best.clone();
                given.insert(id.to_owned(), value);
                // An answer that the block does not take explains nothing.
                let Ok(other) = attempt(&given) else { continue };
                let better = Score::of(&other.rendered.tree, project);
                if better.value() > score.value() {
                    (best, layer, score) = (given, other, better);
                }
            }
        }
        if score.value() <= before.value() || tries == TRIES {
            break;
        }
    }
    Ok(Explanation { block, layer, score })
}

/// The answers that are worth a try.
fn candidates(question: &Question, layer: &Layer, read: Option<&Vec<(Value, usize)>>) -> Vec<Value> {
    const MOST_READ: usize = 5;
    let mut values: Vec<Value> = match (&question.choices, question.kind) {
        (Choices::Listed(choices), _) if question.multiselect => {
            // Every set would be too many; each choice alone, and one more or less than now.
            let now =
                layer.answers.kept.get(question.id.as_str()).and_then(Value::as_array).cloned().unwrap_or_default();
            let toggled = choices.iter().map(|choice| {
                let mut set = now.clone();
                match set.iter().position(|value| *value == choice.value) {
                    Some(there) => drop(set.remove(there)),
                    None => set.push(choice.value.clone()),
                }
                Value::Array(set)
            });
            toggled.collect()
        }
        (Choices::Listed(choices), _) => choices.iter().map(|choice| choice.value.clone()).collect(),
        (_, Kind::Bool) => vec![true.into(), false.into()],
        _ => Vec::new(),
    };
    values.extend(read.into_iter().flatten().take(MOST_READ).map(|(value, _)| value.clone()));
    values
}

/// What adopting a block changes: the lock, and the record in `onramp.toml` where there is one.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The files.
    pub changes: Vec<Change>,
}

impl Adoption {
    /// Plans the adoption of a block that explains a project.
    pub fn plan(place: &Scaffolded, block: &Block, explained: &Layer) -> Result<Self, Error> {
        if place.lock.blocks.contains_key(&block.id.name) {
            return Err(Error::Taken { table: format!("blocks.{}", block.id.name) });
        }
        let text = |name: &str| match files::read_text(&place.root.join(name), lock::CAP) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
        let change = |name: &str, before: Option<String>, after: String| Change {
            path: name.parse().expect("a plain name"),
            before: before.map(Entry::file),
            after: Some(Entry::file(after)),
        };
        let mut changes = Vec::new();
        let record = explained.rendered.tree.get(manifest::FILE).and_then(Entry::text);
        let declared = place.manifest.as_ref().is_some_and(|manifest| manifest.blocks.contains_key(&block.id.name));
        if let (Some(before), Some(record), false) = (text(manifest::FILE)?, record, declared) {
            let after = layer::join(&before, &record, Tables::Record)?;
            changes.push(change(manifest::FILE, Some(before), after));
        }
        let mut after = place.lock.clone();
        after.blocks.insert(block.id.name.clone(), explained.locked(block));
        changes.push(change(lock::FILE, text(lock::FILE)?, after.render()));
        Ok(Self { changes })
    }

    /// Writes it: both files, or none.
    pub fn apply(&self, root: &Path) -> Result<(), Error> {
        let operations = self.changes.iter().cloned().map(Into::into).collect();
        Ok(Transaction::begin(root, operations, &Directories::default())?.apply()?)
    }
}
