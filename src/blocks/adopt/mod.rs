//! Which version of a block, with which answers, explains a project that is there already.
//!
//! Answers are read out of the project where a template says `{{ question }}` in a line or a name, tried where a question
//! has choices, and compared by how many lines of the render the project has. Nothing of the project is changed; what it
//! has other than the render counts as its own edits from then on.

mod infer;
mod score;

pub use score::Score;

use super::facts::{Facts, Operation};
use super::{Block, Error, Layer};
use crate::template::question::{Choices, Kind, Question, Value, Values};
use crate::template::resolve::Sources;
use crate::tree::Tree;

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
