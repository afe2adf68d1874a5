//! What a template runs: tasks, migrations and hooks. Planned first, as plain data that can be shown; run in order, in
//! the real project, only when somebody who trusts the template says so.

mod error;
mod process;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Map;

use super::{Command, Engine, Error as TemplateError, Stage, Task, Template, Value};
use crate::text::neutral_line;
use crate::tree::{Entry, Text};
use crate::version::Version;

pub use error::Error;
pub use process::{Surroundings, pre_prompt};

/// What stands for the directory of the template's source until a command runs, as `_copier_conf.src_path` has it.
const SOURCE: &str = "/onramp:template";
/// The same for the project's directory: `_copier_conf.dst_path`.
const PROJECT: &str = "/onramp:project";

/// Commands, in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The commands.
    pub commands: Vec<Planned>,
}

/// A command, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What people see of it.
    pub shown: Shown,
    action: Action,
    directory: PathBuf,
    variables: Vec<(String, String)>,
}

/// What people see of a command before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Where the template says so: `copier.yml:12`.
    pub place: String,
    /// The command, neutral, one line.
    pub words: String,
    /// Where it runs, from the project's directory; empty: there.
    pub directory: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Shell(String),
    Words(Vec<String>),
    Script { name: String, contents: String },
}

/// The versions that an update goes between.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// What the project was rendered from.
    pub from: &'a Version,
    /// What it will be rendered from.
    pub to: &'a Version,
}

impl Plan {
    /// The tasks that run after rendering.
    pub fn tasks(template: &Template, engine: &Engine) -> Result<Self, TemplateError> {
        let mut plan = Self::default();
        for task in &template.actions.tasks {
            plan.add(task, engine, &[("stage", "task".into())])?;
        }
        Ok(plan.without_secrets(template, engine))
    }

    /// The migrations of one stage of an update: those whose version is above the one that the project has, and not above
    /// the one that it gets. None where either is no version, as Copier has it, or where the update goes back.
    pub fn migrations(
        template: &Template,
        engine: &Engine,
        stage: Stage,
        between: Between<'_>,
    ) -> Result<Self, TemplateError> {
        let mut plan = Self::default();
        let (Some(from), Some(to)) = (between.from.pep440(), between.to.pep440()) else { return Ok(plan) };
        if to < from {
            return Ok(plan);
        }
        let name = match stage {
            Stage::Before => "before",
            Stage::After => "after",
        };
        let mut known: Vec<(&str, Value)> = vec![
            ("stage", name.into()),
            ("version_from", between.from.to_string().into()),
            ("version_to", between.to.to_string().into()),
            ("version_pep440_from", from.to_string().into()),
            ("version_pep440_to", to.to_string().into()),
        ];
        for migration in &template.actions.migrations {
            if migration.stage.is_some_and(|only| only != stage) {
                continue;
            }
            // What a migration with a version knows, those after it know, too: so it is in Copier.
            if let Some(version) = &migration.version {
                let current: pep440_rs::Version = version.parse().map_err(|_| TemplateError::Wrong {
                    label: template.label.clone(),
                    place: neutral_line(&migration.task.place, 120),
                    message: format!("`{}` is no version", neutral_line(version, 60)),
                })?;
                if current > to || current <= from {
                    continue;
                }
                known.retain(|(name, _)| !name.ends_with("current"));
                known.push(("version_current", version.as_str().into()));
                known.push(("version_pep440_current", current.to_string().into()));
            }
            plan.add(&migration.task, engine, &known)?;
        }
        Ok(plan.without_secrets(template, engine))
    }

    /// Cookiecutter's hooks of one name: `pre_gen_project` or `post_gen_project`.
    pub fn hooks(template: &Template, engine: &Engine, name: &str) -> Result<Self, TemplateError> {
        let mut plan = Self::default();
        for hook in template.actions.hooks.iter().filter(|hook| hook.name == name) {
            let contents = engine.file(&hook.path, &script(template, &hook.path)?, &Map::new())?;
            plan.commands.push(Planned::script(&hook.path, contents));
        }
        Ok(plan)
    }

    /// The same plan, whose commands are shown with stars where a secret answer stands.
    fn without_secrets(mut self, template: &Template, engine: &Engine) -> Self {
        let secrets = template.questions.iter().filter(|question| question.secret);
        let values: Vec<String> = secrets
            .filter_map(|question| engine.get(question.id.as_str()))
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .filter(|value| !value.is_empty())
            .collect();
        for command in &mut self.commands {
            for value in &values {
                command.shown.words = command.shown.words.replace(value.as_str(), "***");
            }
        }
        self
    }

    /// Whether nothing would run.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Everything of another plan, after this one.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.commands.extend(other.commands);
        self
    }

    /// What people see of it.
    pub fn shown(&self) -> Vec<&Shown> {
        self.commands.iter().map(|command| &command.shown).collect()
    }

    fn add(&mut self, task: &Task, engine: &Engine, known: &[(&str, Value)]) -> Result<(), TemplateError> {
        let mut more: Map<String, Value> =
            known.iter().map(|(name, value)| (format!("_{name}"), value.clone())).collect();
        more.extend(task.variables.iter().map(|(name, value)| (format!("_{name}"), value.clone())));
        if let Some(Value::Object(mut conf)) = engine.get("_copier_conf") {
            conf.insert("src_path".to_owned(), SOURCE.into());
            conf.insert("dst_path".to_owned(), PROJECT.into());
            more.insert("_copier_conf".to_owned(), conf.into());
        }
        let text = |template: &str| engine.text_with(&task.place, template, &more);
        if let Some(when) = &task.when
            && !is_true(&text(when)?)
        {
            return Ok(());
        }
        let action = match &task.command {
            Command::Shell(line) => Action::Shell(text(line)?),
            Command::Words(words) => Action::Words(words.iter().map(|word| text(word)).collect::<Result<_, _>>()?),
        };
        let directory = match &task.directory {
            Some(directory) => text(&directory.to_string_lossy())?,
            None => String::new(),
        };
        let operation = engine.get("_copier_operation").map(|value| ("COPIER_OPERATION".to_owned(), plain(&value)));
        let given = known.iter().map(|(name, value)| (*name, value));
        let given = given.chain(task.variables.iter().map(|(name, value)| (name.as_str(), value)));
        let variables = given.map(|(name, value)| (name.to_uppercase(), plain(value))).chain(operation).collect();
        let shown = Shown {
            place: neutral_line(&task.place, 120),
            words: action.shown(),
            directory: neutral_line(&directory, 200),
        };
        self.commands.push(Planned { shown, action, directory: directory.into(), variables });
        Ok(())
    }
}

impl Planned {
    fn script(path: &str, contents: String) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let shown = Shown {
            place: neutral_line(path, 120),
            words: format!("the hook {}", neutral_line(path, 200)),
            directory: String::new(),
        };
        let action = Action::Script { name, contents };
        Self { shown, action, directory: PathBuf::new(), variables: Vec::new() }
    }
}

impl Action {
    fn shown(&self) -> String {
        let words = match self {
            Self::Shell(line) => line.clone(),
            // As somebody would type it.
            Self::Words(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            Self::Script { name, .. } => name.clone(),
        };
        neutral_line(&words.replace(SOURCE, "<template>").replace(PROJECT, "<project>"), 1000)
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,<>".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The text of a hook, before it is rendered.
fn script(template: &Template, path: &str) -> Result<Text, TemplateError> {
    template.source.get(path).and_then(Entry::text).ok_or_else(|| TemplateError::Wrong {
        label: template.label.clone(),
        place: neutral_line(path, 120),
        message: "it is no text".to_owned(),
    })
}

/// Whether a condition holds, as Copier reads what it renders to.
fn is_true(text: &str) -> bool {
    let word = text.trim().to_lowercase();
    if let Ok(number) = word.parse::<f64>() {
        return number != 0.0;
    }
    !matches!(word.as_str(), "" | "n" | "no" | "f" | "false" | "off" | "~" | "null" | "none")
}

/// A value as a variable of the environment, as Python's `str` has it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}
