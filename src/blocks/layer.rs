//! What one block gives to a project: its answers, rendered to files, with its record in `onramp.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::facts::{Facts, Operation};
use super::{Block, Error};
use crate::document::{self, DocumentError};
use crate::project::lock::{LockedBlock, to_toml};
use crate::project::{self, manifest};
use crate::reference::Digest;
use crate::template::question::Values;
use crate::template::resolve::{Ask, Sources};
use crate::template::{Answers, Engine, Rendered, Stage, external, render, resolve, run};
use crate::text::neutral;
use crate::tree::{Entry, TreePath};

/// The facts of a lock that are a foreign template's own: how it was asked for, what `git describe` called it.
const ASKED: &str = "asked";
const DESCRIBED: &str = "described";
/// Where in its source it lies, where that is not the top.
const DIRECTORY: &str = "directory";

/// One block's part of a project.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The answers that it was rendered with.
    pub answers: Answers,
    /// What it rendered to; of `onramp.toml` only what comes from this block, its record included.
    pub rendered: Rendered,
    /// The services that it adds to `onramp.toml`.
    pub services: Vec<String>,
    /// What was the case.
    pub facts: Facts,
}

impl Layer {
    /// Answers a block's questions and renders it. Nothing is written.
    pub fn make(
        block: &Block,
        facts: &Facts,
        operation: Operation,
        sources: &Sources,
        person: Option<&mut dyn Ask>,
    ) -> Result<Self, Error> {
        let dialect = block.template.dialect;
        let before = facts.variables(dialect, &block.id, &Answers::default(), operation);
        let mut engine = Engine::new(&block.template, &before)?;
        let sources = Sources { project: facts.root.clone(), ..sources.clone() };
        let answers = resolve::resolve(&block.template, &sources, person, &mut engine)?;
        let facts = Facts { external: read_digest(&answers), ..facts.clone() };
        Self::render(block, &facts, operation, answers)
    }

    /// Renders a block with the answers that `onramp.lock` keeps: what it was when it was written.
    pub fn again(block: &Block, locked: &LockedBlock, now: &Facts) -> Result<Self, Error> {
        Self::again_with(block, locked, now, Values::new())
    }

    /// The same with the answers that are kept nowhere: secrets.
    pub fn again_with(block: &Block, locked: &LockedBlock, now: &Facts, secrets: Values) -> Result<Self, Error> {
        let facts = Facts::from_kept(&locked.facts, now);
        let mut block = block.clone();
        for (fact, own) in [(ASKED, &mut block.id.asked), (DESCRIBED, &mut block.id.described)] {
            if let Some(kept) = locked.facts.get(fact) {
                own.clone_from(kept);
            }
        }
        let sources = Sources { before: locked.values(), given: secrets, ..Sources::default() };
        let layer = Self::make(&block, &facts, Operation::Copy, &sources, None)?;
        if layer.facts.external == facts.external {
            return Ok(layer);
        }
        // The project's data is not what it was. Without any, as Copier has it, what came of it counts as the project's own:
        // an update says where the two differ.
        let without = Facts { root: None, ..facts.clone() };
        let layer = Self::make(&block, &without, Operation::Copy, &sources, None)?;
        Ok(Self { facts: Facts { external: facts.external, ..layer.facts }, ..layer })
    }

    fn render(block: &Block, facts: &Facts, operation: Operation, answers: Answers) -> Result<Self, Error> {
        let variables = facts.variables(block.template.dialect, &block.id, &answers, operation);
        let mut rendered = match &block.store {
            Some(store) => store.rendered(&block.template, &block.rendered_from(), &answers, &variables)?,
            None => render(&block.template, &answers, &variables)?,
        };
        if rendered.tree.get(project::lock::FILE).is_some() {
            return Err(Error::wrong(&block.id, "files/", "it brings an onramp.lock, which onramp itself writes"));
        }
        let services = match &block.manifest {
            Some(_) => record(block, &answers, &variables, &mut rendered)?,
            None => Vec::new(),
        };
        Ok(Self { answers, rendered, services, facts: facts.clone() })
    }

    /// Its files, `onramp.toml` apart.
    pub fn files(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.rendered.tree.iter().filter(|(path, _)| path.as_str() != manifest::FILE)
    }

    /// What the block runs once its files are there.
    pub fn after(&self, block: &Block, operation: Operation) -> Result<run::Plan, Error> {
        let engine = self.engine(block, operation)?;
        Ok(run::Plan::tasks(&block.template, &engine)?.then(run::Plan::hooks(
            &block.template,
            &engine,
            "post_gen_project",
        )?))
    }

    /// What the block runs before its files are there.
    pub fn before(&self, block: &Block, operation: Operation) -> Result<run::Plan, Error> {
        Ok(run::Plan::hooks(&block.template, &self.engine(block, operation)?, "pre_gen_project")?)
    }

    /// What the block runs at this stage of an update between two versions.
    pub fn migrations(&self, block: &Block, stage: Stage, between: run::Between<'_>) -> Result<run::Plan, Error> {
        let engine = self.engine(block, Operation::Update)?;
        Ok(run::Plan::migrations(&block.template, &engine, stage, between)?)
    }

    /// What the template's author says before and after, rendered and neutral.
    pub fn messages(&self, block: &Block, operation: Operation) -> Result<[Option<String>; 2], Error> {
        let messages = &block.template.actions.messages;
        let [before, after] = match operation {
            Operation::Copy => [&messages.before_copy, &messages.after_copy],
            Operation::Update => [&messages.before_update, &messages.after_update],
        };
        if before.is_none() && after.is_none() {
            return Ok([None, None]);
        }
        let engine = self.engine(block, operation)?;
        let said = |message: &Option<String>| -> Result<Option<String>, Error> {
            let Some(template) = message else { return Ok(None) };
            let text = engine.text("its message", template)?;
            Ok(Some(neutral(text.trim())).filter(|text| !text.is_empty()))
        };
        Ok([said(before)?, said(after)?])
    }

    /// An engine that knows all that the block's texts may see.
    fn engine(&self, block: &Block, operation: Operation) -> Result<Engine, Error> {
        let variables = self.facts.variables(block.template.dialect, &block.id, &self.answers, operation);
        let mut engine = Engine::new(&block.template, &variables)?;
        for (id, value) in self.answers.all() {
            engine.set(&id, &value);
        }
        Ok(engine)
    }

    /// What `onramp.lock` says of it.
    pub fn locked(&self, block: &Block) -> LockedBlock {
        let mut facts = self.facts.kept();
        if block.manifest.is_none() {
            facts.insert(ASKED.to_owned(), block.id.asked.clone());
            facts.insert(DESCRIBED.to_owned(), block.id.described.clone());
            if !block.directory.is_empty() {
                facts.insert(DIRECTORY.to_owned(), block.directory.clone());
            }
        }
        let mut locked = LockedBlock {
            source: block.id.source.clone(),
            version: block.id.version.clone(),
            commit: block.id.commit.clone(),
            content: block.content.clone(),
            facts,
            answers: toml::Table::new(),
            json: std::collections::BTreeMap::new(),
            files: self.files().map(|(path, entry)| (path.clone(), entry.digest())).collect(),
        };
        locked.set_values(&self.answers.kept);
        locked
    }
}

/// What an answered template read of the project, as its digest: the lock keeps no copy of what may be secret.
fn read_digest(answers: &Answers) -> String {
    match answers.passing.get(external::NAME) {
        Some(data) if answers.missing.len() < data.as_object().map_or(0, serde_json::Map::len) => {
            Digest::of(data.to_string().as_bytes()).to_string()
        }
        _ => String::new(),
    }
}

/// What errors call the `onramp.toml` that a block renders.
const RENDERED: &str = "the rendered onramp.toml";

/// Puts a block's record, and the services that a part adds, into the `onramp.toml` that it renders; the services' names.
fn record(
    block: &Block,
    answers: &Answers,
    variables: &serde_json::Map<String, serde_json::Value>,
    rendered: &mut Rendered,
) -> Result<Vec<String>, Error> {
    let text = match rendered.tree.get(manifest::FILE) {
        None => String::new(),
        Some(entry) => {
            let text = entry.text();
            text.ok_or_else(|| Error::wrong(&block.id, "files/", "its onramp.toml is not UTF-8 text"))?.into()
        }
    };
    if !text.is_empty() {
        check(block, &text)?;
    }
    let mut document = edit(&text, manifest::FILE)?;
    if !has(&document, "blocks", block.id.name.as_str()) {
        insert(&mut document, "blocks", block.id.name.as_str(), declared(block, answers));
    }
    let mut services = Vec::new();
    let mut engine = Engine::new(&block.template, variables)?;
    for (id, value) in answers.all() {
        engine.set(&id, &value);
    }
    for (name, table) in services_of(block, &engine)? {
        insert(&mut document, "services", &name, table);
        services.push(name);
    }
    // Its texts were templates: only now is it known what they ask for.
    let text = document.to_string();
    project::safety::check(Path::new(RENDERED), &text).map_err(|source| not_rendered(block, source))?;
    let path = manifest::FILE.parse().map_err(|_| Error::wrong(&block.id, manifest::FILE, "no path"))?;
    rendered.tree.insert(path, Entry::file(text));
    Ok(services)
}

/// The rendered `onramp.toml` must be one; where it is not, the block is wrong.
pub fn check(block: &Block, text: &str) -> Result<project::Manifest, Error> {
    manifest::parse(Path::new(RENDERED), text).map_err(|source| not_rendered(block, source))
}

fn not_rendered(block: &Block, source: DocumentError) -> Error {
    Error::Rendered { block: block.id.to_string(), source }
}

/// `[blocks.<name>]`: the version that later ones must be compatible with, and the answers.
fn declared(block: &Block, answers: &Answers) -> Table {
    let mut table = Table::new();
    let version = match block.id.version.semantic() {
        // A requirement without the pre-release would not match it.
        Some(version) if version.pre.is_empty() => format!("{}.{}", version.major, version.minor),
        _ => block.id.version.to_string(),
    };
    table.insert("version", Value::from(version).into());
    let given = answers.kept.iter().filter_map(|(id, answer)| Some((id.as_str(), to_edit(&to_toml(answer)?))));
    let given: toml_edit::InlineTable = given.collect();
    if !given.is_empty() {
        table.insert("answers", Value::InlineTable(given).into());
    }
    table
}

/// A plain value as one that is written.
pub(super) fn to_edit(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(yes) => (*yes).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => Value::Array(values.iter().map(to_edit).collect()),
        toml::Value::Table(table) => {
            Value::InlineTable(table.iter().map(|(key, value)| (key.as_str(), to_edit(value))).collect())
        }
    }
}

/// Whether a locked block is a template that is no block of a catalog.
pub fn is_foreign(locked: &LockedBlock) -> bool {
    locked.facts.contains_key(ASKED)
}

/// How somebody asked for a locked template.
pub fn asked(locked: &LockedBlock) -> &str {
    locked.facts.get(ASKED).unwrap_or(&locked.source)
}

/// Where in its source a locked template lies, if that was said: one of several.
pub fn directory(locked: &LockedBlock) -> Option<&str> {
    locked.facts.get(DIRECTORY).map(String::as_str)
}

/// Which tables of a layer's `onramp.toml` a project gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Its record and its services.
    All,
    /// Its record.
    Record,
}

/// Puts the tables of a layer's `onramp.toml` into a project's.
pub fn join(project: &str, layer: &str, tables: Tables) -> Result<String, Error> {
    let mut document = edit(project, manifest::FILE)?;
    let mut from = edit(layer, manifest::FILE)?;
    let parents: &[&str] = match tables {
        Tables::All => &["blocks", "services"],
        Tables::Record => &["blocks"],
    };
    for parent in parents {
        let Some(tables) = from.get_mut(parent).and_then(Item::as_table_like_mut) else { continue };
        for (name, item) in tables.iter_mut() {
            let name = name.get().to_owned();
            if has(&document, parent, &name) {
                return Err(Error::Taken { table: format!("{parent}.{name}") });
            }
            let mut table = std::mem::take(item).into_table().unwrap_or_default();
            unplaced(&mut table);
            // The first table of one file begins with no empty line, as it does after others.
            let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
            if !prefix.starts_with('\n') {
                let prefix = format!("\n{prefix}");
                table.decor_mut().set_prefix(prefix);
            }
            insert(&mut document, parent, &name, table);
        }
    }
    Ok(document.to_string())
}

fn has(document: &DocumentMut, parent: &str, name: &str) -> bool {
    document.get(parent).and_then(Item::as_table_like).is_some_and(|table| table.contains_key(name))
}

/// Puts a table after its siblings, whichever way the author wrote them.
fn insert(document: &mut DocumentMut, parent: &str, name: &str, table: Table) {
    let mut implicit = Table::new();
    implicit.set_implicit(true);
    let parent = document.entry(parent).or_insert(Item::Table(implicit));
    if let Some(siblings) = parent.as_table_like_mut() {
        siblings.insert(name, Item::Table(table));
    }
}

/// A table's place in one file means nothing in another.
fn unplaced(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => unplaced(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(unplaced),
            Item::Value(_) | Item::None => {}
        }
    }
}

/// The part's `[services.*]`, their texts rendered, the author's comments and order kept.
fn services_of(block: &Block, engine: &Engine) -> Result<Vec<(String, Table)>, Error> {
    let mut document = edit(&block.manifest_text(), super::manifest::FILE)?;
    let Some(services) = document.get_mut("services").and_then(Item::as_table_like_mut) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (name, item) in services.iter_mut() {
        let name = name.get().to_owned();
        let mut table = std::mem::take(item).into_table().unwrap_or_default();
        unplaced(&mut table);
        render_table(&mut table, &format!("services.{name}"), engine)?;
        found.push((name, table));
    }
    Ok(found)
}

fn render_table(table: &mut Table, key: &str, engine: &Engine) -> Result<(), Error> {
    for (name, item) in table.iter_mut() {
        let key = format!("{key}.{}", name.get());
        match item {
            Item::Value(value) => render_value(value, &key, engine)?,
            Item::Table(table) => render_table(table, &key, engine)?,
            Item::ArrayOfTables(tables) => {
                for table in tables.iter_mut() {
                    render_table(table, &key, engine)?;
                }
            }
            Item::None => {}
        }
    }
    Ok(())
}

fn render_value(value: &mut Value, key: &str, engine: &Engine) -> Result<(), Error> {
    match value {
        Value::String(text) => {
            let decor = text.decor().clone();
            *value = engine.text(&format!("block.toml: {key}"), text.value())?.into();
            *value.decor_mut() = decor;
        }
        Value::Array(values) => {
            for value in values.iter_mut() {
                render_value(value, key, engine)?;
            }
        }
        Value::InlineTable(table) => {
            for (name, value) in table.iter_mut() {
                render_value(value, &format!("{key}.{}", name.get()), engine)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The text was parsed before, so it can be edited; if the two parsers ever differ, the file is named.
pub fn edit(text: &str, file: &str) -> Result<DocumentMut, Error> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let message = crate::text::neutral_line(error.message(), 300);
        document::wrong_at(Path::new(file), text, "", message).into()
    })
}

/// The digests of files that several blocks may want at once are one owner's: who else has the path.
pub fn owners<'a>(lock: &'a project::Lock, path: &TreePath) -> BTreeSet<&'a str> {
    lock.blocks.iter().filter(|(_, block)| block.files.contains_key(path)).map(|(name, _)| name.as_str()).collect()
}
