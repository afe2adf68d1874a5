//! A template and answers become a tree. Nothing is written: what is wrong is known before a file is.

mod binary;
mod clash;
mod links;
mod names;
mod newlines;
mod patterns;
mod sources;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Map;

use self::clash::Clashes;
use self::links::End;
use self::names::Names;
use self::patterns::Patterns;
use self::sources::Source;
use super::engine::{FILE_CAP, room};
use super::{Answers, Dialect, Engine, Error, Suffix, Template, Value};
use crate::text;
use crate::tree::{Contents, Entry, Spool, Tree, TreePath};

/// The most that all rendered files may weigh, in bytes.
const TOTAL_CAP: usize = 256 * 1024 * 1024;
/// The most files that a template may be rendered to.
const MOST_FILES: usize = 200_000;
/// Where Copier keeps answers unless a template says otherwise.
const ANSWERS_FILE: &str = ".copier-answers.yml";

/// What a template rendered to.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The files.
    pub tree: Tree,
    /// Of each file, which file of the source it came from, and whether that was rendered or copied.
    pub origins: BTreeMap<TreePath, Origin>,
    /// The files that are given once (`skip_if_exists`).
    pub once: BTreeSet<TreePath>,
}

/// Where a rendered file came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its path in the template's source.
    pub source: TreePath,
    /// Whether its contents are a template.
    pub rendered: bool,
    /// The variables that a `yield` in its name sets; none of most files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yielded: Option<Box<Map<String, Value>>>,
}

/// Renders a whole template. `facts` are the variables that are known beside the answers; of a Copier template,
/// `_copier_answers` and the answers file's name in `_copier_conf` are made complete here.
pub fn render(template: &Template, answers: &Answers, facts: &Map<String, Value>) -> Result<Rendered, Error> {
    let mut engine = Engine::new(template, facts)?;
    room::with_room(&template.label, || render_by(&mut engine, template, answers)).unwrap_or_else(|error| {
        let place = "its files".to_owned();
        Err(Error::Wrong { label: template.label.clone(), place, message: error.to_string() })
    })
}

/// The same by an engine that is there.
fn render_by(engine: &mut Engine, template: &Template, answers: &Answers) -> Result<Rendered, Error> {
    for (name, value) in answers.kept.iter().chain(&answers.passing) {
        engine.set(name, value);
    }
    let answers_file = match template.dialect {
        Dialect::Copier => Some(copiers_facts(engine, template, answers)?),
        Dialect::Block | Dialect::Cookiecutter => None,
    };
    // Copier tells its patterns, and not its files.
    let operation = engine.get("_copier_operation").unwrap_or_else(|| "copy".into());
    engine.forget("_copier_operation");
    let more = Map::from_iter([("_copier_operation".to_owned(), operation)]);
    let engine = &*engine;
    let rules = &template.rules;
    let patterns = |place: &str, patterns: &[String]| {
        let patterns = patterns.iter().map(|pattern| engine.text_with(place, pattern, &more));
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        Patterns::git(patterns.iter().map(String::as_str)).map_err(|why| engine.mistake(place, &why))
    };
    let rendering = Rendering {
        template,
        engine,
        names: Names { engine, syntax: &rules.syntax, answers_file: answers_file.as_deref() },
        exclude: patterns("what it excludes", &rules.exclude)?,
        once: patterns("what it skips if it exists", &rules.skip_if_exists)?,
        copy: Patterns::shell(rules.copy_only.iter().map(String::as_str))
            .map_err(|why| engine.mistake("what it copies without rendering", &why))?,
        total: 0,
        clashes: Clashes::default(),
        spool: Spool::default(),
        out: Rendered::default(),
    };
    rendering.run()
}

/// Completes what Copier's templates know; the path of the answers file.
fn copiers_facts(engine: &mut Engine, template: &Template, answers: &Answers) -> Result<String, Error> {
    let object = |value: Option<Value>| match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let mut conf = object(engine.get("_copier_conf"));
    let file = match &template.rules.answers_file {
        Some(file) => engine.text("its answers file", file)?,
        None => conf.get("answers_file").and_then(Value::as_str).unwrap_or(ANSWERS_FILE).to_owned(),
    };
    conf.insert("answers_file".to_owned(), file.clone().into());
    engine.set("_copier_conf", &conf.into());
    let mut remembered = object(engine.get("_copier_answers"));
    for (name, value) in answers.kept.iter().filter(|(name, _)| !name.starts_with('_')) {
        remembered.insert(name.clone(), value.clone());
    }
    engine.set("_copier_answers", &remembered.into());
    Ok(file)
}

/// One template being rendered.
struct Rendering<'a> {
    template: &'a Template,
    engine: &'a Engine,
    names: Names<'a>,
    exclude: Patterns,
    once: Patterns,
    copy: Patterns,
    total: usize,
    clashes: Clashes,
    /// Where rendered contents go.
    spool: Spool,
    out: Rendered,
}

impl Rendering<'_> {
    fn run(mut self) -> Result<Rendered, Error> {
        sources::each(self.template, self.engine, |source| self.source(source))?;
        for (path, entry) in self.out.tree.iter() {
            if let (Entry::Link { .. }, End::Outside | End::Loop) =
                (entry, links::follow(&self.out.tree, "", path.as_str()))
            {
                let source = self.out.origins.get(path).map_or(path, |origin| &origin.source);
                let why = "this link would lead out of the project, or to itself";
                return Err(refused(self.template, source, why.to_owned()));
            }
        }
        Ok(Rendered { tree: self.out.tree.compact(), ..self.out })
    }

    fn source(&mut self, source: &Source) -> Result<(), Error> {
        let copied = self.copied(&source.name);
        let template = copied.is_none() && self.is_template(source.path.file_name());
        if !template && self.replaced(source.path.as_str()) {
            return Ok(());
        }
        let name = self.without_suffix(&source.name, template);
        let (name, literal) = name.split_at(copied.unwrap_or(name.len()));
        for (path, yielded) in self.names.of(&source.path, name)? {
            if template || !self.replaced(&path) {
                self.take(source, &format!("{path}{literal}"), template, yielded)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, source: &Source, path: &str, template: bool, yielded: Map<String, Value>) -> Result<(), Error> {
        let Some(path) = self.checked(&source.path, path)? else { return Ok(()) };
        if self.exclude.matches(path.as_str()) {
            return Ok(());
        }
        self.clashes
            .add(&path, &source.path, &self.out.origins)
            .map_err(|message| wrong(self.template, &source.path, message))?;
        let (entry, rendered) = self.entry(source, template, &yielded)?;
        if rendered {
            self.total += entry.contents().map_or(0, Contents::len);
        }
        if self.total > TOTAL_CAP {
            let why = format!("the rendered files are larger than {} together", text::bytes(TOTAL_CAP as u64));
            return Err(refused(self.template, &source.path, why));
        }
        if self.out.tree.len() >= MOST_FILES {
            let why = format!("the template is rendered to more than {MOST_FILES} files");
            return Err(refused(self.template, &source.path, why));
        }
        if self.once.matches(path.as_str()) {
            self.out.once.insert(path.clone());
        }
        let yielded = Some(yielded).filter(|yielded| !yielded.is_empty()).map(Box::new);
        self.out.origins.insert(path.clone(), Origin { source: source.path.clone(), rendered, yielded });
        self.out.tree.insert(path, entry);
        Ok(())
    }

    /// What a source becomes, and whether it was rendered.
    fn entry(&mut self, source: &Source, template: bool, more: &Map<String, Value>) -> Result<(Entry, bool), Error> {
        if !template {
            return Ok((source.entry.clone(), false));
        }
        let (contents, executable) = match &source.entry {
            Entry::File { contents, executable } => (contents, *executable),
            Entry::Link { target } => {
                let target = self.engine.text_with(&format!("link {}", source.path), target, more)?;
                return Ok((Entry::Link { target }, false));
            }
        };
        if self.template.dialect == Dialect::Cookiecutter && binary::is(source.path.file_name(), &contents.bytes()) {
            return Ok((source.entry.clone(), false));
        }
        let Some(text) = contents.text() else {
            return match self.template.rules.suffix {
                Suffix::Every => Ok((source.entry.clone(), false)),
                Suffix::Only(_) => Err(wrong(self.template, &source.path, "a template must be UTF-8 text".to_owned())),
            };
        };
        let mut rendered = self.engine.file(source.path.as_str(), &text, more)?;
        if self.template.dialect == Dialect::Cookiecutter {
            rendered = newlines::like(&text, self.engine.get("_new_lines").as_ref(), rendered);
        }
        if rendered.len() > FILE_CAP {
            let message = format!("the output is larger than {}", text::bytes(FILE_CAP as u64));
            return Err(wrong(self.template, &source.path, message));
        }
        Ok((Entry::File { contents: self.spool.keep(rendered), executable }, true))
    }

    /// Where the part of a name ends that is a template, if the file is copied without rendering: after the first
    /// directory that is copied whole, or at its end.
    fn copied(&self, name: &str) -> Option<usize> {
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        ends.into_iter().find(|end| self.copy.matches(&name[..*end]))
    }

    fn is_template(&self, name: &str) -> bool {
        match &self.template.rules.suffix {
            Suffix::Every => true,
            Suffix::Only(suffix) => name.ends_with(suffix.as_str()),
        }
    }

    /// Whether a file stands back, because the template holds another one of the same name with the suffix.
    fn replaced(&self, path: &str) -> bool {
        match &self.template.rules.suffix {
            Suffix::Every => false,
            Suffix::Only(suffix) => self.template.source.get(&format!("{path}{suffix}")).is_some(),
        }
    }

    /// The name without its last extension, as Copier drops it: of a suffix with two dots, only the last part goes.
    fn without_suffix<'n>(&self, name: &'n str, template: bool) -> &'n str {
        let Suffix::Only(_) = &self.template.rules.suffix else { return name };
        if !template {
            return name;
        }
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        match name[last..].rfind('.') {
            Some(dot) if dot > 0 && last + dot + 1 < name.len() => &name[..last + dot],
            _ => name,
        }
    }

    /// A rendered path, if a project may have it; none where its last name is empty.
    fn checked(&self, source: &TreePath, path: &str) -> Result<Option<TreePath>, Error> {
        // As file systems read it: `a//b` and `a/./b` are `a/b`.
        let plain = if path.starts_with('/') { Cow::Borrowed(path) } else { without_empty_names(path) };
        if plain.is_empty() {
            return Ok(None);
        }
        let parsed = plain.parse::<TreePath>().and_then(|parsed| parsed.check().map(|()| parsed));
        parsed.map(Some).map_err(|why| {
            let why = format!("it is rendered to `{}`, and {why}", text::neutral_line(path, 80));
            refused(self.template, source, why)
        })
    }
}

fn without_empty_names(path: &str) -> Cow<'_, str> {
    let kept = |name: &&str| !matches!(*name, "" | ".");
    if path.split('/').all(|name| kept(&name)) {
        return path.into();
    }
    path.split('/').filter(kept).collect::<Vec<_>>().join("/").into()
}

fn wrong(template: &Template, path: &TreePath, message: String) -> Error {
    Error::Wrong { label: template.label.clone(), place: text::neutral_line(path.as_str(), 200), message }
}

fn refused(template: &Template, path: &TreePath, why: String) -> Error {
    Error::Refused { label: template.label.clone(), place: text::neutral_line(path.as_str(), 200), why }
}

#[cfg(test)]
mod tests;
