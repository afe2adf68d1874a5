//! Which of the templates in one repository is meant, as Cookiecutter asks it.

use serde_json::Map;

use super::{Block, Error};
use crate::template::dialect::cookiecutter::{self, inside};
use crate::template::question::Values;
use crate::template::resolve::{Ask, Sources};
use crate::template::{Dialect, Engine, QuestionId, Value, resolve};

/// Where the answers to `template` come from, and the person who is asked.
pub struct Choosing<'a, 'p> {
    /// The answers that are there.
    pub sources: &'a Sources,
    /// Who is asked for the others; nobody: the first template is taken.
    pub person: Option<&'p mut dyn Ask>,
}

impl Choosing<'_, '_> {
    /// The block whose template was chosen, and the questions that were answered for it.
    pub fn choose(mut self, block: Block) -> Result<(Block, Vec<QuestionId>), Error> {
        let mut answered = Vec::new();
        if block.template.dialect != Dialect::Cookiecutter {
            return Ok((block, answered));
        }
        let mut directory = String::new();
        while let Some(menu) =
            cookiecutter::menu(&block.template.label, &block.whole.under(&directory), answered.len())?
        {
            let id = menu.template.questions[0].id.clone();
            let mut sources = Sources::default();
            let given = self.sources.given.get(id.as_str()).map(|value| (id.to_string(), value.clone()));
            sources.given = given.into_iter().collect::<Values>();
            sources.typed.extend(self.sources.typed.get(id.as_str()).map(|text| (id.to_string(), text.clone())));
            let mut engine = Engine::new(&menu.template, &Map::new())?;
            let person = self.person.as_mut().map(|person| &mut **person as &mut dyn Ask);
            let answers = resolve::resolve(&menu.template, &sources, person, &mut engine)?;
            let name = answers.kept.get(id.as_str()).and_then(Value::as_str).unwrap_or_default();
            let one = menu.nested.iter().find(|one| one.name == name).unwrap_or(&menu.nested[0]);
            directory = inside(&directory, &one.path);
            answered.push(id);
        }
        Ok((block.within(&directory)?, answered))
    }
}

/// A block once for each of the templates that it holds: for those who do not know which one was meant.
pub fn each(block: Block) -> Result<Vec<Block>, Error> {
    if block.template.dialect != Dialect::Cookiecutter {
        return Ok(vec![block]);
    }
    let (mut open, mut found) = (vec![(String::new(), 0)], Vec::new());
    while let Some((directory, level)) = open.pop() {
        match cookiecutter::menu(&block.template.label, &block.whole.under(&directory), level)? {
            None => found.push(block.clone().within(&directory)?),
            // The first is tried first.
            Some(menu) => {
                open.extend(menu.nested.iter().rev().map(|one| (inside(&directory, &one.path), level + 1)));
            }
        }
    }
    Ok(found)
}
