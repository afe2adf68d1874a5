//! Every text of a template that is rendered: files, names, questions, rules, commands, services; each with what it uses.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;

use super::jinja::{self, Mistake, Parsed};
use crate::blocks::{Block, manifest};
use crate::template::question::{Choices, Question, When};
use crate::template::{Command, Dialect, Suffix, Value};
use crate::tree::TreePath;

/// Endings of what speaks of a template: its manifests and words for people. They are read elsewhere, or not at all.
const SPOKEN: [&str; 5] = [".toml", ".yml", ".yaml", ".json", ".md"];

/// A text.
#[derive(Clone, Debug)]
pub struct Text {
    /// The file that it stands in.
    pub file: String,
    /// Its first line in that file; none where it is the file's name, or inside a value.
    pub line: Option<usize>,
    /// What it is.
    pub role: Role,
    /// What it uses, or why it is no template.
    pub read: Result<Parsed, Mistake>,
}

/// What a text is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A file's contents.
    Contents,
    /// Contents of a file that is no template by its name, and may be included by one.
    Perhaps,
    /// A file's path.
    Name,
    /// Of the question with this index: what decides on its answer, which sees only the questions before.
    Question(usize),
    /// Of the question with this index: what its answer is checked by, or what a person is told.
    About(usize),
    /// Of the manifest otherwise.
    Manifest,
}

impl Text {
    /// Where a line of it is: `files/a.jinja:3`.
    pub fn place(&self, line: usize) -> String {
        let file = crate::text::neutral_line(&self.file, 200);
        match self.line {
            Some(first) if matches!(self.role, Role::Contents | Role::Perhaps) => {
                format!("{file}:{}", first + line - 1)
            }
            Some(first) => format!("{file}:{first}"),
            None => file,
        }
    }
}

/// All texts of a block. `copied` are files of it that renders take as they are.
pub fn texts(block: &Block, syntax: &SyntaxConfig, copied: &BTreeSet<TreePath>) -> Vec<Text> {
    let mut texts = Texts { block, syntax, found: Vec::new() };
    texts.files(copied);
    for (index, question) in block.template.questions.iter().enumerate() {
        texts.question(index, question);
    }
    texts.rules();
    texts.actions();
    if let Some(manifest) = &block.manifest {
        manifest.services.values().for_each(|service| texts.service(service));
    }
    texts.found
}

struct Texts<'a> {
    block: &'a Block,
    syntax: &'a SyntaxConfig,
    found: Vec<Text>,
}

impl Texts<'_> {
    fn add(&mut self, file: &str, line: Option<usize>, role: Role, text: &str) {
        let starts =
            [self.syntax.block_delimiters().0, self.syntax.variable_delimiters().0, self.syntax.comment_delimiters().0];
        let prefixes = self.syntax.line_statement_prefix().is_some() || self.syntax.line_comment_prefix().is_some();
        if !prefixes && !starts.iter().any(|start| text.contains(start)) {
            return;
        }
        let read = jinja::read(text, self.syntax);
        // What nobody said is a template need not be one.
        if role == Role::Perhaps && read.is_err() {
            return;
        }
        self.found.push(Text { file: file.to_owned(), line, role, read });
    }

    fn files(&mut self, copied: &BTreeSet<TreePath>) {
        let template = &self.block.template;
        let root = match template.rules.subdirectory.trim_end_matches('/') {
            "" | "." => String::new(),
            directory => format!("{directory}/"),
        };
        for (path, entry) in template.source.iter() {
            let rendered = path.as_str().strip_prefix(&root);
            // Golden trees hold outputs; hooks of Cookiecutter are rendered before they run.
            let elsewhere = match template.dialect {
                Dialect::Block => !path.as_str().starts_with("tests/"),
                Dialect::Copier => true,
                Dialect::Cookiecutter => ["hooks/", "templates/"].iter().any(|top| path.as_str().starts_with(top)),
            };
            let is_template = match &template.rules.suffix {
                Suffix::Only(suffix) => path.as_str().ends_with(suffix.as_str()) && (rendered.is_some() || elsewhere),
                Suffix::Every => rendered.is_some() || elsewhere,
            };
            if let Some(name) = rendered {
                self.add(path.as_str(), None, Role::Name, name);
            }
            let Some(text) = entry.text().filter(|_| !copied.contains(path)) else { continue };
            if is_template {
                self.add(path.as_str(), Some(1), Role::Contents, &text);
            } else if elsewhere && !SPOKEN.iter().any(|end| path.as_str().ends_with(end)) {
                self.add(path.as_str(), Some(1), Role::Perhaps, &text);
            }
        }
    }

    fn question(&mut self, index: usize, question: &Question) {
        let (file, line) = place(&question.place);
        let mut deciding: Vec<&str> = Vec::new();
        deciding.extend(question.kind_template.as_deref());
        question.default.iter().for_each(|default| strings(default, &mut deciding));
        for when in [&question.when, &question.ask, &question.multiline] {
            if let When::Template(text) = when {
                deciding.push(text);
            }
        }
        let mut about = vec![question.help.as_str(), question.placeholder.as_str()];
        about.extend(question.validator.as_deref());
        match &question.choices {
            Choices::Any => {}
            Choices::Computed(text) => deciding.push(text),
            Choices::Listed(choices) => {
                for choice in choices {
                    about.push(&choice.label);
                    strings(&choice.value, &mut deciding);
                    deciding.extend(choice.disabled.as_deref());
                }
            }
        }
        for text in deciding {
            self.add(&file, line, Role::Question(index), text);
        }
        for text in about {
            self.add(&file, line, Role::About(index), text);
        }
    }

    fn rules(&mut self) {
        let rules = &self.block.template.rules;
        let file = self.manifest();
        let mut texts: Vec<&str> = vec![&rules.subdirectory];
        texts.extend([&rules.exclude, &rules.skip_if_exists].into_iter().flatten().map(String::as_str));
        texts.extend(rules.answers_file.as_deref());
        for text in texts {
            self.add(file, None, Role::Manifest, text);
        }
    }

    fn actions(&mut self) {
        let actions = &self.block.template.actions;
        let tasks = actions.tasks.iter().chain(actions.migrations.iter().map(|migration| &migration.task));
        for task in tasks {
            let (file, line) = place(&task.place);
            let words = match &task.command {
                Command::Shell(text) => std::slice::from_ref(text),
                Command::Words(words) => words,
            };
            let directory = task.directory.as_ref().and_then(|directory| directory.to_str());
            let mut texts: Vec<&str> =
                words.iter().map(String::as_str).chain(task.when.as_deref()).chain(directory).collect();
            task.variables.iter().for_each(|(_, value)| strings(value, &mut texts));
            for text in texts {
                self.add(&file, line, Role::Manifest, text);
            }
        }
        let messages = &actions.messages;
        let told = [&messages.before_copy, &messages.after_copy, &messages.before_update, &messages.after_update];
        for text in told.into_iter().flatten() {
            self.add(self.manifest(), None, Role::Manifest, text);
        }
    }

    fn service(&mut self, value: &toml::Value) {
        match value {
            toml::Value::String(text) => self.add(manifest::FILE, None, Role::Manifest, text),
            toml::Value::Array(items) => items.iter().for_each(|item| self.service(item)),
            toml::Value::Table(table) => table.values().for_each(|item| self.service(item)),
            _ => {}
        }
    }

    fn manifest(&self) -> &'static str {
        match self.block.template.dialect {
            Dialect::Block => manifest::FILE,
            Dialect::Copier => "copier.yml",
            Dialect::Cookiecutter => "cookiecutter.json",
        }
    }
}

/// `copier.yml:12` as file and line.
fn place(place: &str) -> (String, Option<usize>) {
    match place.rsplit_once(':') {
        Some((file, line)) if line.parse::<usize>().is_ok() => (file.to_owned(), line.parse().ok()),
        _ => (place.to_owned(), None),
    }
}

/// The texts in a value.
fn strings<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, texts)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            texts.push(key);
            strings(value, texts);
        }),
        _ => {}
    }
}
