//! `cookiecutter.json`, as Cookiecutter 2.7 reads it.

use super::super::question::cast::python_text;
use super::super::question::{Choice, Choices, Kind, When};
use super::super::{
    Actions, Dialect, Error, Hook, Named, Question, QuestionId, Rules, Suffix, Syntax, Template, Undefined, Value,
};
use super::copier::set_option;
use crate::text::neutral_line;
use crate::tree::Tree;

/// The manifest's name.
const FILE: &str = "cookiecutter.json";
/// The hooks that there are, in the order in which they run.
const HOOKS: [&str; 3] = ["pre_prompt", "pre_gen_project", "post_gen_project"];
/// How deep templates may lie in one another.
const DEEPEST: usize = 4;

type Map = serde_json::Map<String, Value>;

/// One of the templates of a repository that holds several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// What it is called.
    pub name: String,
    /// What a person sees.
    pub title: String,
    /// Its directory in the repository.
    pub path: String,
}

/// Which of the templates of a repository is meant: a template of its own that asks one question and gives no files.
#[derive(Clone, Debug)]
pub struct Menu {
    /// What asks.
    pub template: Template,
    /// What there is to choose from.
    pub nested: Vec<Nested>,
}

/// Reads a source tree with a `cookiecutter.json` at its top. Of several templates in it, the first is read.
pub fn read(label: &str, source: &Tree) -> Result<Template, Error> {
    let first = first(label, source)?;
    let source = source.under(&first);
    Manifest::parse(label, &source)?.template(source)
}

/// The directory of the first template in a source tree; empty where the tree itself is one.
pub fn first(label: &str, source: &Tree) -> Result<String, Error> {
    let mut directory = String::new();
    for level in 0.. {
        let Some(menu) = menu(label, &source.under(&directory), level)? else { break };
        directory = inside(&directory, &menu.nested[0].path);
    }
    Ok(directory)
}

/// A directory in a directory, either of which may be the top.
pub fn inside(above: &str, below: &str) -> String {
    if above.is_empty() { below.to_owned() } else { format!("{above}/{below}") }
}

/// What is to be chosen first, if a source tree holds several templates. `level` is how many choices came before. Every
/// path that it offers is there.
pub fn menu(label: &str, source: &Tree, level: usize) -> Result<Option<Menu>, Error> {
    let manifest = Manifest::parse(label, source)?;
    let nested = manifest.nested()?;
    if nested.is_empty() {
        return Ok(None);
    }
    if level >= DEEPEST {
        return Err(manifest.wrong(FILE, "its templates lie too deep in one another"));
    }
    if let Some(lost) = nested.iter().find(|one| source.get(&format!("{}/{FILE}", one.path)).is_none()) {
        let message = format!("`{}` lies in `{}`, which has no {FILE}", lost.name, lost.path);
        return Err(manifest.wrong(&manifest.place("templates"), message));
    }
    if let Some(hook) = hooks(source).into_iter().find(|hook| hook.name == HOOKS[0]) {
        let why = "it would run before one of several templates is chosen, which onramp does not do".to_owned();
        let place = neutral_line(&hook.path, 120) + ":1";
        return Err(Error::Refused { label: label.to_owned(), place, why });
    }
    let key = if manifest.variables.get("templates").is_some_and(is_some) { "templates" } else { "template" };
    let id = if level == 0 { "template".to_owned() } else { format!("template_{}", level + 1) };
    let id = id.try_into().map_err(|problem: String| manifest.wrong(FILE, problem))?;
    let mut question = Question::new(id, manifest.place(key));
    let prompt = manifest.variables.get("__prompts__").and_then(|prompts| prompts.get("template")?.as_str());
    prompt.unwrap_or("Select a template").clone_into(&mut question.help);
    question.kind = Kind::Str;
    question.default = Some(nested[0].name.clone().into());
    let choice = |one: &Nested| Choice { label: one.title.clone(), value: one.name.clone().into(), disabled: None };
    question.choices = Choices::Listed(nested.iter().map(choice).collect());
    let template = Template {
        dialect: Dialect::Cookiecutter,
        label: label.to_owned(),
        source: Tree::default(),
        questions: vec![question],
        rules: Rules::default(),
        actions: Actions::default(),
    };
    Ok(Some(Menu { template, nested }))
}

struct Manifest {
    label: String,
    text: String,
    variables: Map,
}

impl Manifest {
    fn parse(label: &str, source: &Tree) -> Result<Self, Error> {
        let text = super::text(label, source, FILE)?;
        let mut manifest = Self { label: label.to_owned(), text, variables: Map::new() };
        let parsed: Value = serde_json::from_str(&manifest.text).map_err(|error| {
            let place = format!("{FILE}:{}:{}", error.line(), error.column().max(1));
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            manifest.wrong(&place, format!("no JSON: {message}"))
        })?;
        match parsed {
            Value::Object(variables) => manifest.variables = variables,
            _ => return Err(manifest.wrong(FILE, "expected a table of variables")),
        }
        Ok(manifest)
    }

    fn wrong(&self, place: &str, message: impl AsRef<str>) -> Error {
        Error::Wrong {
            label: self.label.clone(),
            place: neutral_line(place, 200),
            message: neutral_line(message.as_ref(), 300),
        }
    }

    /// Where a key is written, as well as its text tells.
    fn place(&self, key: &str) -> String {
        let quoted = Value::String(key.to_owned()).to_string();
        let is_key = |at: &usize| self.text[at + quoted.len()..].trim_start().starts_with(':');
        let at = self.text.match_indices(&quoted).map(|(at, _)| at).find(is_key);
        at.map_or(FILE.to_owned(), |at| format!("{FILE}:{}", self.text[..at].matches('\n').count() + 1))
    }

    /// The templates that it lists, in either of the forms that there are.
    fn nested(&self) -> Result<Vec<Nested>, Error> {
        let inside = |key: &str, path: &str| {
            let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
            if path.starts_with('/') || names.is_empty() || names.contains(&"..") || path.contains('\\') {
                let why = format!("`{}` leads out of it", neutral_line(path, 80));
                return Err(Error::Refused { label: self.label.clone(), place: self.place(key), why });
            }
            Ok(names.join("/"))
        };
        if let Some(Value::Object(templates)) = self.variables.get("templates").filter(|templates| is_some(templates)) {
            let one = |(name, about): (&String, &Value)| {
                let text = |key: &str| about.get(key).and_then(Value::as_str);
                let path = text("path").ok_or_else(|| self.wrong(&self.place(name), format!("{name}: no `path`")))?;
                let (title, description) = (text("title").unwrap_or(name), text("description").unwrap_or(name));
                let title = if title == description { title.to_owned() } else { format!("{title} ({description})") };
                Ok(Nested { name: name.clone(), title, path: inside(name, path)? })
            };
            return templates.iter().map(one).collect();
        }
        let Some(Value::Array(options)) = self.variables.get("template").filter(|options| is_some(options)) else {
            return Ok(Vec::new());
        };
        // The older form: `Web app (./web)`.
        let one = |option: &Value| {
            let text = option.as_str().unwrap_or_default();
            let path = text.find('(').and_then(|start| text.get(start + 1..text.rfind(')')?));
            let path = path.ok_or_else(|| self.wrong(&self.place("template"), format!("`{text}` names no path")))?;
            Ok(Nested { name: text.to_owned(), title: text.to_owned(), path: inside("template", path)? })
        };
        options.iter().map(one).collect()
    }

    fn template(&self, source: Tree) -> Result<Template, Error> {
        let syntax = self.syntax()?;
        let rules = Rules {
            subdirectory: self.directory(&source, &syntax)?,
            suffix: Suffix::Every,
            syntax,
            copy_only: self.texts("_copy_without_render")?,
            extensions: self.extensions()?,
            undefined: Undefined::Strict,
            facts: self.facts(),
            ..Rules::default()
        };
        let questions = self.questions()?;
        let actions = Actions { hooks: hooks(&source), ..Actions::default() };
        Ok(Template { dialect: Dialect::Cookiecutter, label: self.label.clone(), source, questions, rules, actions })
    }

    /// The directory whose name is a template: what becomes the project.
    fn directory(&self, source: &Tree, syntax: &Syntax) -> Result<String, Error> {
        let (start, end) = &syntax.variable;
        let fits = |name: &&str| name.contains("cookiecutter") && name.contains(start) && name.contains(end);
        let tops = source.paths().filter_map(|path| path.as_str().split_once('/').map(|(top, _)| top));
        tops.into_iter().find(fits).map(str::to_owned).ok_or_else(|| {
            self.wrong(FILE, format!("no directory beside it is called like `{start}cookiecutter.name{end}`"))
        })
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Error> {
        match self.variables.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.iter().map(python_text).collect()),
            Some(_) => Err(self.wrong(&self.place(key), format!("{key}: expected a list"))),
        }
    }

    fn syntax(&self) -> Result<Syntax, Error> {
        let mut syntax = Syntax::default();
        match self.variables.get("_jinja2_env_vars") {
            None | Some(Value::Null) => {}
            Some(Value::Object(options)) => {
                for (name, value) in options {
                    set_option(&mut syntax, name, value)
                        .map_err(|message| self.wrong(&self.place(name), format!("_jinja2_env_vars: {message}")))?;
                }
            }
            Some(_) => return Err(self.wrong(&self.place("_jinja2_env_vars"), "_jinja2_env_vars: expected a table")),
        }
        Ok(syntax)
    }

    fn extensions(&self) -> Result<Vec<Named>, Error> {
        let place = self.place("_extensions");
        let foreign = self.texts("_extensions")?.into_iter().filter(|name| !super::is_native_extension(name));
        Ok(foreign.map(|name| Named { name, place: place.clone() }).collect())
    }

    /// What templates see as it is written: variables with one underscore, and everything else before it was asked.
    fn facts(&self) -> Map {
        let mut facts: Map = Map::new();
        let mut written = Map::new();
        for (key, value) in &self.variables {
            if !key.starts_with('_') {
                written.insert(key.clone(), value.clone());
            } else if !key.starts_with("__") {
                facts.insert(key.clone(), value.clone());
            }
        }
        facts.insert("_cookiecutter".to_owned(), Value::Object(written));
        facts
    }

    /// The questions: single values and choices first, tables after them, as Cookiecutter asks.
    fn questions(&self) -> Result<Vec<Question>, Error> {
        let no_prompts = Map::new();
        let prompts = match self.variables.get("__prompts__") {
            Some(Value::Object(prompts)) => prompts,
            _ => &no_prompts,
        };
        let asked = |key: &str| key != "__prompts__" && (!key.starts_with('_') || key.starts_with("__"));
        let late = |key: &str, value: &Value| value.is_object() && !key.starts_with("__");
        let mut questions = Vec::new();
        for pass in [false, true] {
            for (key, value) in &self.variables {
                if !asked(key) || late(key, value) != pass {
                    continue;
                }
                if questions.len() >= super::MOST_QUESTIONS {
                    return Err(self.wrong(&self.place(key), format!("more than {} variables", super::MOST_QUESTIONS)));
                }
                questions.push(self.question(key, value, prompts.get(key))?);
            }
        }
        Ok(questions)
    }

    fn question(&self, key: &str, value: &Value, prompt: Option<&Value>) -> Result<Question, Error> {
        let place = self.place(key);
        let id: QuestionId = key.to_owned().try_into().map_err(|problem: String| self.wrong(&place, problem))?;
        let mut question = Question::new(id, place.clone());
        question.help = match prompt {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Object(labels)) => labels.get("__prompt__").and_then(Value::as_str).unwrap_or_default().into(),
            _ => String::new(),
        };
        let private = key.starts_with("__");
        if private {
            question.when = When::Fixed(false);
        }
        let value = texts(value);
        question.kind = kind(&value);
        match value {
            Value::Array(options) if !private => {
                let Some(first) = options.first() else {
                    return Err(self.wrong(&place, format!("{key}: the list of choices is empty")));
                };
                question.kind = if options.iter().any(Value::is_string) { Kind::Str } else { Kind::Json };
                question.default = Some(first.clone());
                let label = |option: &Value| {
                    let text = python_text(option);
                    prompt.and_then(|labels| labels.get(&text)?.as_str()).map_or(text, str::to_owned)
                };
                let choice = |option: Value| Choice { label: label(&option), value: option, disabled: None };
                question.choices = Choices::Listed(options.into_iter().map(choice).collect());
            }
            value => question.default = Some(value),
        }
        Ok(question)
    }
}

/// The type of a variable by its value: what is rendered is text, tables and lists stay what they are.
fn kind(value: &Value) -> Kind {
    match value {
        Value::String(_) => Kind::Str,
        Value::Bool(_) => Kind::Bool,
        Value::Null => Kind::Yaml,
        _ => Kind::Json,
    }
}

/// Cookiecutter makes numbers text, however deep.
fn texts(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::String(python_text(value)),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), texts(value))).collect(),
        other => other.clone(),
    }
}

fn is_some(value: &Value) -> bool {
    super::super::question::cast::truth(value)
}

fn hooks(source: &Tree) -> Vec<Hook> {
    let mut hooks = Vec::new();
    for name in HOOKS {
        for path in source.paths() {
            let Some(file) = path.as_str().strip_prefix("hooks/") else { continue };
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            if stem == name && !file.contains('/') && !file.ends_with('~') {
                hooks.push(Hook { name: name.to_owned(), path: path.as_str().to_owned() });
            }
        }
    }
    hooks
}

#[cfg(test)]
mod tests;
