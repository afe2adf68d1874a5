//! The tasks, migrations and messages of `copier.yml`. They are read here; running them is another matter.

use std::path::PathBuf;

use super::super::super::yaml::{Content, Node};
use super::super::super::{Actions, Command, Error, Messages, Migration, Stage, Task, Value};
use super::{Config, Item};

/// The most tasks and migrations.
const MOST: usize = 500;

/// Everything that a template would run or say.
pub fn read(config: &Config<'_>) -> Result<Actions, Error> {
    let message = |name: &str| match config.setting(name) {
        None => Ok(None),
        Some(item) => config.text(item, &item.node).map(|text| Some(text).filter(|text| !text.is_empty())),
    };
    let messages = Messages {
        before_copy: message("_message_before_copy")?,
        after_copy: message("_message_after_copy")?,
        before_update: message("_message_before_update")?,
        after_update: message("_message_after_update")?,
    };
    let mut tasks = Vec::new();
    if let Some(item) = config.setting("_tasks") {
        for node in capped(config, item)? {
            let mut task = task(config, item, node, &["command", "when", "working_directory"])?;
            task.variables.push(("stage".to_owned(), "task".into()));
            tasks.push(task);
        }
    }
    let mut migrations = Vec::new();
    if let Some(item) = config.setting("_migrations") {
        for node in capped(config, item)? {
            migrations.extend(migration(config, item, node)?);
        }
    }
    Ok(Actions { tasks, migrations, messages, ..Actions::default() })
}

fn capped<'n>(config: &Config<'_>, item: &'n Item) -> Result<&'n [Node], Error> {
    let list = config.list(item, &item.node)?;
    if list.len() > MOST {
        return Err(config.wrong(item, &item.node, format!("{}: more than {MOST}", item.key)));
    }
    Ok(list)
}

/// A command by itself, or with when and where it runs.
fn task(config: &Config<'_>, item: &Item, node: &Node, known: &[&str]) -> Result<Task, Error> {
    let Content::Mapping(pairs) = &node.content else {
        let command = command(config, item, node)?;
        return Ok(Task {
            command,
            when: None,
            directory: None,
            variables: Vec::new(),
            place: Config::place(item, node),
        });
    };
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !known.contains(&key.key().as_str())) {
        let message = format!("{}: a command has {}, and no `{}`", item.key, known.join(", "), key.key());
        return Err(config.wrong(item, key, message));
    }
    let Some(line) = node.get("command") else {
        return Err(config.wrong(item, node, format!("{}: `command` is missing", item.key)));
    };
    let when = match node.get("when").map(|when| &when.content) {
        None => None,
        Some(Content::Scalar(Value::String(template))) => Some(template.clone()),
        Some(Content::Scalar(value)) => Some(super::super::super::question::cast::truth(value).to_string()),
        Some(_) => return Err(config.wrong(item, node, format!("{}: when: expected a template", item.key))),
    };
    let directory = match node.get("working_directory") {
        None => None,
        Some(directory) => Some(PathBuf::from(config.text(item, directory)?)),
    };
    let command = command(config, item, line)?;
    Ok(Task { command, when, directory, variables: Vec::new(), place: Config::place(item, node) })
}

fn command(config: &Config<'_>, item: &Item, node: &Node) -> Result<Command, Error> {
    match &node.content {
        Content::Scalar(Value::String(line)) => Ok(Command::Shell(line.clone())),
        Content::Sequence(words) if !words.is_empty() => {
            Ok(Command::Words(words.iter().map(|word| config.text(item, word)).collect::<Result<_, _>>()?))
        }
        _ => Err(config.wrong(item, node, format!("{}: expected a command, or a list of its words", item.key))),
    }
}

/// A migration of either form. The older one has lists of what runs before and after.
fn migration(config: &Config<'_>, item: &Item, node: &Node) -> Result<Vec<Migration>, Error> {
    let version = match node.get("version") {
        None => None,
        Some(version) => {
            let text = config.text(item, version)?;
            if text.parse::<pep440_rs::Version>().is_err() {
                return Err(config.wrong(item, version, format!("_migrations: `{text}` is no version")));
            }
            Some(text)
        }
    };
    let stages = [(Stage::Before, node.get("before")), (Stage::After, node.get("after"))];
    if stages.iter().all(|(_, list)| list.is_none()) {
        let task = task(config, item, node, &["command", "when", "working_directory", "version"])?;
        // Without a condition of its own it runs after; with one, that decides at either stage.
        let stage = if task.when.is_none() { Some(Stage::After) } else { None };
        return Ok(vec![Migration { version, stage, task }]);
    }
    if version.is_none() {
        return Err(config.wrong(item, node, "_migrations: `version` is missing"));
    }
    let mut migrations = Vec::new();
    for (stage, list) in stages {
        let commands = list.map(|list| config.list(item, list)).transpose()?.unwrap_or_default();
        for line in commands {
            let task = task(config, item, line, &[])?;
            migrations.push(Migration { version: version.clone(), stage: Some(stage), task });
        }
    }
    Ok(migrations)
}
