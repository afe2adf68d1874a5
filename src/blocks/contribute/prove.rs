//! The proof that a changed template is what was meant: rendered with the project's answers it is the project's file, and
//! with every other set of answers it differs only by the same change.

use std::collections::BTreeMap;

use super::edit::Edit;
use super::trace::{NoMap, Parts, Trace};

/// A set of answers, as one template's text is rendered with it.
pub struct World<'a> {
    /// What it is called: `database=true`.
    pub label: String,
    /// Renders a text.
    pub render: Box<Render<'a>>,
}

/// Renders a template's text; or why it does not render.
pub type Render<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Why a change is not taken although it could be turned back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// With the project's answers something else is rendered than the project's file.
    #[error("rendered again, the changed template gives something else")]
    Differs,
    /// With other answers something else changes, too.
    #[error("with {world} it would change something else, too")]
    Elsewhere {
        /// The answers.
        world: String,
    },
    /// With other answers it cannot be rendered.
    #[error("with {world} the changed template does not render: {message}")]
    Fails {
        /// The answers.
        world: String,
        /// Why.
        message: String,
    },
}

/// One file's changes, held against every set of answers.
pub struct Prover<'a> {
    parts: &'a Parts,
    worlds: Vec<(&'a World<'a>, Trace)>,
    /// Copied as it stands: nothing renders it.
    copied: bool,
}

impl<'a> Prover<'a> {
    /// A prover of a file. The first world is the project's. A world in which the file's template does not render has
    /// nothing to say of it.
    pub fn of(parts: &'a Parts, worlds: &'a [World<'a>], copied: bool) -> Result<Self, NoMap> {
        let mut known = Vec::new();
        for (index, world) in worlds.iter().enumerate() {
            match parts.trace(&world.render) {
                Ok(trace) => known.push((world, trace)),
                Err(NoMap::Fails(_)) if index > 0 => {}
                Err(other) => return Err(other),
            }
        }
        Ok(Self { parts, worlds: known, copied })
    }

    /// The template that it proves changes of.
    pub fn parts(&self) -> &Parts {
        self.parts
    }

    /// The project's output.
    pub fn mine(&self) -> &Trace {
        &self.worlds[0].1
    }

    /// Proves changes together; the new source.
    pub fn prove(&self, edits: &[Edit], expected: &str) -> Result<String, Unproved> {
        let source = self.parts.edited(edits);
        for (index, (world, trace)) in self.worlds.iter().enumerate() {
            let fails = |message| Unproved::Fails { world: world.label.clone(), message };
            let rendered = if self.copied { source.clone() } else { (world.render)(&source).map_err(fails)? };
            let values = self.values(world, edits)?;
            let meant = trace.edited(self.parts, edits, &|part| values.get(&part).cloned().unwrap_or_default());
            if index == 0 && (rendered != *expected || meant != *expected) {
                return Err(Unproved::Differs);
            }
            if rendered != meant {
                return Err(Unproved::Elsewhere { world: world.label.clone() });
            }
        }
        Ok(source)
    }

    /// What the expressions that were written into literals are here.
    fn values(&self, world: &World<'_>, edits: &[Edit]) -> Result<BTreeMap<usize, String>, Unproved> {
        let (start, end) = &self.parts.syntax().variable;
        let mut values = BTreeMap::new();
        for part in edits.iter().flat_map(Edit::expressions) {
            let text = format!("{start} {} {end}", self.parts.expression(part));
            let fails = |message| Unproved::Fails { world: world.label.clone(), message };
            values.insert(part, (world.render)(&text).map_err(fails)?);
        }
        Ok(values)
    }
}
