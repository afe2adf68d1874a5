//! Copier's `_external_data`: YAML files of the project that its templates read.

mod project;

use std::path::{Component, Path};

use serde_json::{Map, json};

pub use self::project::Project;
use self::project::Unread;
use super::{Engine, Error, Template, Value, yaml};
use crate::text::{self, neutral_line};

/// The variable that holds it.
pub const NAME: &str = "_external_data";
/// The largest file that is read, in bytes.
pub const CAP: u64 = 1024 * 1024;

/// A file that a template reads in the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// What its templates call it: `_external_data.<name>`.
    pub name: String,
    /// Its path in the project; a template.
    pub path: String,
    /// `copier.yml:12`
    pub place: String,
}

/// Tells the questions' templates what is there with the answers so far. Copier reads a file when it is first asked for,
/// and its path may be an answer that is still to come, so what cannot be read yet is no mistake yet.
pub fn tell(template: &Template, project: Option<&Project>, engine: &mut Engine) {
    if template.rules.external.is_empty() {
        return;
    }
    let mut all = Map::new();
    for external in &template.rules.external {
        let found = external.read(template, project, engine).ok().flatten();
        all.insert(external.name.clone(), found.unwrap_or_else(|| json!({})));
        engine.set(NAME, &Value::Object(all.clone()));
    }
}

/// What is there once every question is answered, and the paths where nothing is; none where the template reads nothing.
pub fn read(
    template: &Template,
    project: Option<&Project>,
    engine: &mut Engine,
) -> Result<Option<(Value, Vec<String>)>, Error> {
    if template.rules.external.is_empty() {
        return Ok(None);
    }
    let (mut all, mut missing) = (Map::new(), Vec::new());
    for external in &template.rules.external {
        let found = external.read(template, project, engine)?;
        if found.is_none() {
            missing.push(neutral_line(&engine.text(&external.place, &external.path)?, 200));
        }
        all.insert(external.name.clone(), found.unwrap_or_else(|| json!({})));
        engine.set(NAME, &Value::Object(all.clone()));
    }
    Ok(Some((Value::Object(all), missing)))
}

impl External {
    /// What the file holds; none where there is none.
    fn read(&self, template: &Template, project: Option<&Project>, engine: &Engine) -> Result<Option<Value>, Error> {
        let path = engine.text(&self.place, &self.path)?;
        let refused = |why: &str| Error::Refused {
            label: template.label.clone(),
            place: self.place.clone(),
            why: format!("{NAME}: {}: `{}` {why}", neutral_line(&self.name, 60), neutral_line(&path, 200)),
        };
        let wrong = |why: &str| Error::Wrong {
            label: template.label.clone(),
            place: self.place.clone(),
            message: format!("{NAME}: {}: {} {why}", neutral_line(&self.name, 60), neutral_line(&path, 200)),
        };
        let relative = Path::new(&path);
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refused("leads outside the project"));
        }
        // What git keeps there is not the project's: addresses with credentials are in it.
        if relative.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git")) {
            return Err(refused("is git's own"));
        }
        let contents = match project.map(|project| project.text(&path)).transpose() {
            Ok(contents) => contents.flatten(),
            Err(Unread::Outside) => return Err(refused("leads outside the project")),
            Err(Unread::TooLarge) => return Err(wrong(&format!("is larger than {}", text::bytes(CAP)))),
            Err(Unread::Other(why)) => return Err(wrong(&why)),
        };
        let Some(contents) = contents else { return Ok(None) };
        yaml::parse(&contents).map(Some).map_err(|error| wrong(&format!("is no YAML: {error}")))
    }
}
