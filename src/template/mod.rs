//! Templates: what a catalog's block, a Copier template and a Cookiecutter template have in common. Read from a tree,
//! asked about, rendered to a tree.
//!
//! A template comes from somebody else, so nothing in it is trusted: its texts are made neutral before a terminal sees
//! them, it renders with limits and reads nothing outside itself and the project, its paths stay inside the project.

pub mod dialect;
pub mod engine;
mod error;
pub mod external;
pub mod question;
pub mod render;
pub mod resolve;
pub mod run;
pub mod yaml;

use std::path::PathBuf;

pub use engine::{Engine, Python};
pub use error::Error;
pub use external::External;
pub use question::{Answers, Question, QuestionId, Value};
pub use render::{Rendered, render};

use crate::tree::Tree;

/// Whose manners a template follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// A catalog's block: `block.toml` and `files/`.
    Block,
    /// `copier.yml`.
    Copier,
    /// `cookiecutter.json`.
    Cookiecutter,
}

/// A template, read whole.
#[derive(Clone, Debug)]
pub struct Template {
    /// Whose manners it follows.
    pub dialect: Dialect,
    /// What errors call it: `php-web 1.0.0`.
    pub label: String,
    /// Every file of it, the manifest too: what templates may include.
    pub source: Tree,
    /// What it asks, in order.
    pub questions: Vec<Question>,
    /// How it is rendered.
    pub rules: Rules,
    /// What it would run.
    pub actions: Actions,
}

/// How a template is rendered.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The directory of the source that is rendered; a template. Empty: all of it. (`files` of a block; Copier's
    /// `_subdirectory`; Cookiecutter's `{{cookiecutter.…}}` directory.)
    pub subdirectory: String,
    /// Which files are templates.
    pub suffix: Suffix,
    /// Jinja's delimiters and whitespace rules.
    pub syntax: Syntax,
    /// Patterns of what is not rendered, as gitignore reads them; templates.
    pub exclude: Vec<String>,
    /// Patterns of what is given once: where the project has it, it stays; templates.
    pub skip_if_exists: Vec<String>,
    /// Patterns of what is copied without rendering (Cookiecutter's `_copy_without_render`).
    pub copy_only: Vec<String>,
    /// The answers file that the template asks for (Copier's `_answers_file`); a template.
    pub answers_file: Option<String>,
    /// The project's YAML files that it reads (Copier's `_external_data`).
    pub external: Vec<External>,
    /// Whether symbolic links stay links (Copier's `_preserve_symlinks`), else they are followed inside the template.
    pub preserve_symlinks: bool,
    /// Jinja extensions that need Python, with the place that names them.
    pub extensions: Vec<Named>,
    /// Whether Python may run for them: the user's trust, which no template gives itself.
    pub python: Python,
    /// Whether an undefined variable is a mistake of the template, or empty.
    pub undefined: Undefined,
    /// Variables known beside answers, that the template itself sets (Cookiecutter's private variables).
    pub facts: serde_json::Map<String, Value>,
}

/// Something with the place in the template that says so: `copier.yml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What.
    pub name: String,
    /// Where.
    pub place: String,
}

/// Which files are templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// Those whose name ends so; the ending is dropped.
    Only(String),
    /// Every text file.
    Every,
}

impl Default for Suffix {
    fn default() -> Self {
        Self::Only(".jinja".to_owned())
    }
}

/// What an undefined variable means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    /// A mistake.
    #[default]
    Strict,
    /// Nothing, as Jinja has it.
    Lenient,
}

/// Jinja's delimiters and whitespace rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// `{%`, `%}`
    pub block: (String, String),
    /// `{{`, `}}`
    pub variable: (String, String),
    /// `{#`, `#}`
    pub comment: (String, String),
    /// `#` at the beginning of a line, where set.
    pub line_statement: Option<String>,
    /// `##`, where set.
    pub line_comment: Option<String>,
    /// Drop the newline after a block.
    pub trim_blocks: bool,
    /// Drop the blanks before a block.
    pub lstrip_blocks: bool,
    /// Keep a file's last newline.
    pub keep_trailing_newline: bool,
}

impl Default for Syntax {
    fn default() -> Self {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Self {
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
            line_statement: None,
            line_comment: None,
            trim_blocks: false,
            lstrip_blocks: false,
            keep_trailing_newline: true,
        }
    }
}

/// What a template would run, read, send or say. Nothing of it happens without trust.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// After rendering, in order.
    pub tasks: Vec<Task>,
    /// Between versions.
    pub migrations: Vec<Migration>,
    /// Cookiecutter's hooks.
    pub hooks: Vec<Hook>,
    /// What it says it reads outside itself and the project (`reads` of a block).
    pub reads: Vec<Named>,
    /// Where it says it sends something (`sends` of a block).
    pub sends: Vec<Named>,
    /// What it says to a person.
    pub messages: Messages,
}

/// What a template says to a person, before and after. All texts are templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Before a project begins, or a block is added to one.
    pub before_copy: Option<String>,
    /// When that is done.
    pub after_copy: Option<String>,
    /// Before an update.
    pub before_update: Option<String>,
    /// When that is done.
    pub after_update: Option<String>,
}

/// A command of a template. All texts are templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What runs.
    pub command: Command,
    /// Whether it runs; none: it does.
    pub when: Option<String>,
    /// Where, from the project's directory.
    pub directory: Option<PathBuf>,
    /// Variables of its environment, in capitals, and of its templates, after an underscore.
    pub variables: Vec<(String, Value)>,
    /// `copier.yml:12`
    pub place: String,
}

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A line for `/bin/sh`.
    Shell(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// A task between versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// It runs when an update crosses this version; none: at every update.
    pub version: Option<String>,
    /// Before the files change, or after; none: at both, where the task's `when` sees the variable `_stage` and decides.
    pub stage: Option<Stage>,
    /// What runs.
    pub task: Task,
}

/// When a migration runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the files change.
    Before,
    /// After.
    After,
}

/// A script of a Cookiecutter template, rendered before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// `pre_prompt`, `pre_gen_project` or `post_gen_project`.
    pub name: String,
    /// The file in the template: `hooks/post_gen_project.py`.
    pub path: String,
}
