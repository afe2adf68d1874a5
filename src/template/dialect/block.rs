//! `block.toml`: what a catalog's block asks, how it is rendered and what it runs. What the catalog says of it (name,
//! version, owner, services) is [`crate::blocks::manifest`]'s.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::super::question::{Choices, Kind, When};
use super::super::{
    Actions, Command, Dialect, Error, Migration, Named, Question, QuestionId, Rules, Stage, Suffix, Task, Template,
    Value,
};
use crate::document::{self, DocumentError};
use crate::project::lock::to_json;
use crate::text::neutral_line;
use crate::tree::Tree;

/// The manifest's name.
pub const FILE: &str = "block.toml";
/// The directory of a block that is rendered.
pub const FILES: &str = "files";

/// What `block.toml` says to a template. The catalog's keys are left to the catalog.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    questions: Asked,
    #[serde(default)]
    render: Render,
    #[serde(default)]
    tasks: Vec<Spanned<Action>>,
    #[serde(default)]
    migrations: Vec<Spanned<Action>>,
    #[serde(default)]
    reads: Vec<Spanned<String>>,
    #[serde(default)]
    sends: Vec<Spanned<String>>,
    #[serde(default)]
    shares: Vec<Spanned<QuestionId>>,
}

/// Questions in the order of the file, because later ones see the answers of earlier ones.
#[derive(Default)]
struct Asked(Vec<(Spanned<QuestionId>, Table)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    r#type: Option<Kind>,
    #[serde(default)]
    help: String,
    default: Option<Spanned<toml::Value>>,
    #[serde(default)]
    placeholder: String,
    choices: Option<Spanned<toml::Value>>,
    #[serde(default)]
    multiselect: bool,
    multiline: Option<When>,
    #[serde(default)]
    secret: bool,
    when: Option<When>,
    validator: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Render {
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    skip_if_exists: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    run: Line,
    when: Option<When>,
    directory: Option<PathBuf>,
    version: Option<Spanned<String>>,
    stage: Option<Spanned<Stage>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a command, or a list of its words")]
enum Line {
    Shell(String),
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Asked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of questions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Asked, A::Error> {
                let mut questions = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    questions.push(entry);
                }
                Ok(Asked(questions))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Reads a source tree with a `block.toml` at its top.
pub fn read(label: &str, source: Tree) -> Result<Template, Error> {
    let text = super::text(label, &source, FILE)?;
    let path = PathBuf::from(format!("{FILE} of {label}"));
    let (questions, rules, actions) = parse(&path, &text)?;
    Ok(Template { dialect: Dialect::Block, label: label.to_owned(), source, questions, rules, actions })
}

/// Reads the questions, the rules of rendering and the actions of a `block.toml`. `path` is what errors call it.
pub fn parse(path: &Path, text: &str) -> Result<(Vec<Question>, Rules, Actions), DocumentError> {
    let manifest: Manifest = document::parse(path, text)?;
    let file = File { path, text };
    if let Some((id, _)) = manifest.questions.0.get(super::MOST_QUESTIONS) {
        return Err(file.wrong(id.span().start, &format!("more than {} questions", super::MOST_QUESTIONS)));
    }
    let questions: Vec<Question> =
        manifest.questions.0.into_iter().map(|(id, table)| file.question(id, table)).collect::<Result<_, _>>()?;
    for shared in &manifest.shares {
        match questions.iter().find(|question| question.id == *shared.get_ref()) {
            None => {
                let message = format!("it shares `{}`, which it does not ask", shared.get_ref());
                return Err(file.wrong(shared.span().start, &message));
            }
            Some(question) if question.secret => {
                let message = format!("it shares `{}`, which is a secret", shared.get_ref());
                return Err(file.wrong(shared.span().start, &message));
            }
            Some(_) => {}
        }
    }
    let rules = Rules {
        subdirectory: FILES.to_owned(),
        suffix: Suffix::Only(".jinja".to_owned()),
        exclude: manifest.render.exclude,
        skip_if_exists: manifest.render.skip_if_exists,
        preserve_symlinks: true,
        ..Rules::default()
    };
    let tasks = manifest.tasks.into_iter().map(|run| file.task(run)).collect::<Result<_, _>>()?;
    let migrations = manifest.migrations.into_iter().map(|run| file.migration(run)).collect::<Result<_, _>>()?;
    let reads = manifest.reads.into_iter().map(|text| file.named(text, "reads")).collect::<Result<_, _>>()?;
    let sends = manifest.sends.into_iter().map(|text| file.named(text, "sends")).collect::<Result<_, _>>()?;
    Ok((questions, rules, Actions { tasks, migrations, reads, sends, ..Actions::default() }))
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn wrong(&self, offset: usize, message: &str) -> DocumentError {
        document::wrong(self.path, self.text, offset, neutral_line(message, 300))
    }

    fn place(&self, offset: usize) -> String {
        let line = self.text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
        format!("{FILE}:{line}")
    }

    /// One of the things that the manifest lists under a key.
    fn named(&self, text: Spanned<String>, key: &str) -> Result<Named, DocumentError> {
        let start = text.span().start;
        match text.into_inner() {
            name if name.trim().is_empty() => Err(self.wrong(start, &format!("{key}: an empty text names nothing"))),
            name => Ok(Named { name, place: self.place(start) }),
        }
    }

    fn question(&self, id: Spanned<QuestionId>, table: Table) -> Result<Question, DocumentError> {
        let start = id.span().start;
        let id = id.into_inner();
        // A leading underscore is for the variables that onramp gives.
        let word = id.as_str().starts_with(|c: char| c.is_ascii_alphabetic())
            && id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !word {
            return Err(
                self.wrong(start, &format!("`{id}` is no question: a letter, then letters, digits and underscores"))
            );
        }
        let at = table.default.as_ref().map_or(start, |default| default.span().start);
        let default = table.default.map(|default| to_json(default.get_ref()));
        let kind = table.r#type.unwrap_or(match &default {
            None => Kind::Str,
            some => Kind::of_default(some.as_ref()),
        });
        let choices = match &table.choices {
            None => Choices::Any,
            Some(choices) => Choices::read(&to_json(choices.get_ref()))
                .map_err(|problem| self.wrong(choices.span().start, &format!("questions.{id}: {problem}")))?,
        };
        if let (Choices::Listed(listed), Some(written)) = (&choices, &table.choices)
            && let Some(choice) = listed.iter().find(|choice| !fits(kind, &choice.value))
        {
            let message = format!("questions.{id}: choice {} is no {}", choice.value, kind.name());
            return Err(self.wrong(written.span().start, &message));
        }
        if table.multiselect && table.choices.is_none() {
            return Err(self.wrong(start, &format!("questions.{id}: multiselect is for a question with choices")));
        }
        if let Some(default) = &default {
            self.check_default(at, &id, kind, default, &choices, table.multiselect)?;
        }
        if table.secret && default.is_none() {
            let message = format!("questions.{id}: a secret has a default, since it is not kept for the next update");
            return Err(self.wrong(start, &message));
        }
        Ok(Question {
            kind,
            help: table.help,
            default,
            placeholder: table.placeholder,
            choices,
            multiselect: table.multiselect,
            multiline: table.multiline.unwrap_or(When::Fixed(false)),
            secret: table.secret,
            when: table.when.unwrap_or(When::Fixed(true)),
            validator: table.validator,
            ..Question::new(id, self.place(start))
        })
    }

    /// A default that is no template is checked here; the outcome of one is checked when it is known.
    fn check_default(
        &self,
        at: usize,
        id: &QuestionId,
        kind: Kind,
        default: &Value,
        choices: &Choices,
        multiselect: bool,
    ) -> Result<(), DocumentError> {
        let items = match default {
            Value::Array(items) if multiselect => items.iter().collect(),
            Value::String(_) => return Ok(()),
            _ if multiselect => {
                let message = format!("questions.{id}: the default of a multiselect is a list, or a template of one");
                return Err(self.wrong(at, &message));
            }
            other => vec![other],
        };
        for item in items {
            if !fits(kind, item) {
                return Err(self.wrong(at, &format!("questions.{id}: default {item} is no {}", kind.name())));
            }
            let listed = match choices {
                Choices::Listed(listed) if !item.is_string() => listed,
                _ => continue,
            };
            if !listed.iter().any(|choice| super::super::question::cast::same(&choice.value, item)) {
                return Err(self.wrong(at, &format!("questions.{id}: default {item} is none of its choices")));
            }
        }
        Ok(())
    }

    fn task(&self, run: Spanned<Action>) -> Result<Task, DocumentError> {
        let place = self.place(run.span().start);
        let run = run.into_inner();
        if let Some(at) = run.version.map(|v| v.span().start).or(run.stage.map(|s| s.span().start)) {
            return Err(self.wrong(at, "version and stage are a migration's; a task runs at every change"));
        }
        Ok(task(run.run, run.when, run.directory, place))
    }

    fn migration(&self, run: Spanned<Action>) -> Result<Migration, DocumentError> {
        let place = self.place(run.span().start);
        let run = run.into_inner();
        if let Some(version) = &run.version
            && let Err(error) = version.get_ref().parse::<semver::Version>()
        {
            return Err(self.wrong(version.span().start, &format!("`{}` is no version: {error}", version.get_ref())));
        }
        Ok(Migration {
            version: run.version.map(Spanned::into_inner),
            stage: Some(run.stage.map_or(Stage::After, Spanned::into_inner)),
            task: task(run.run, run.when, run.directory, place),
        })
    }
}

fn task(line: Line, when: Option<When>, directory: Option<PathBuf>, place: String) -> Task {
    let command = match line {
        Line::Shell(line) => Command::Shell(line),
        Line::Words(words) => Command::Words(words),
    };
    let when = when.map(|when| match when {
        When::Fixed(yes) => yes.to_string(),
        When::Template(template) => template,
    });
    Task { command, when, directory, variables: Vec::new(), place }
}

/// Whether a value that a manifest writes is of a type, without the casts that rendered texts need.
fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Str | Kind::Path => value.is_string(),
        // A text may be a template of one.
        Kind::Int => value.is_i64() || super::is_template(value),
        Kind::Float => value.is_number() || super::is_template(value),
        Kind::Bool => value.is_boolean() || super::is_template(value),
        Kind::Json | Kind::Yaml => true,
    }
}
