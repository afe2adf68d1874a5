//! Jinja2, as Copier's and Cookiecutter's templates use it, with limits on time, memory and output.

mod args;
mod bridge;
mod curtain;
mod filters;
mod format;
mod globals;
mod methods;
mod mutable;
mod rewrite;
pub mod room;
mod scope;
mod variables;

use std::borrow::Cow;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::Map;

use self::bridge::Bridge;
pub use self::bridge::{PROGRAM_OF_USER, Python};
pub use self::filters::ITEMS;
use self::rewrite::For;
use self::variables::Variables;
use super::question::cast::python_float;
use super::{Dialect, Error, Syntax, Template, Undefined, Value};
use crate::text;
use crate::tree::Tree;

/// The most that one rendered file may weigh, in bytes.
pub const FILE_CAP: usize = 8 * 1024 * 1024;
/// How much one text may compute: instructions, and 64 bytes of memory each. The largest honest ones take thousands.
const TEXT_FUEL: u64 = 500_000;
/// How much all texts of a template may compute together.
const WHOLE_FUEL: u64 = 100_000_000;
/// A text that is too short to be deep, in bytes.
const SMALL: usize = 500;
/// A text that is long enough for expressions that are too deep to compile, in bytes.
const LARGE: usize = 64 * 1024;
/// The most words of an expression in such a text.
const MOST_WORDS: usize = 20_000;

/// Renders the texts of one template. It knows the answers so far.
pub struct Engine {
    environment: Environment<'static>,
    variables: Arc<Variables>,
    label: String,
    /// What begins anything that is not plain text.
    starts: Vec<String>,
    line_comment: Option<String>,
    /// What begins a statement.
    statements: Vec<String>,
    spent: AtomicU64,
    /// Python, where the template's extensions need it.
    bridge: Option<Mutex<Bridge>>,
}

impl Engine {
    /// An engine for a template's texts: its delimiters, its includes, what it knows beside answers (`_copier_conf`,
    /// `_project`, …).
    pub fn new(template: &Template, facts: &Map<String, Value>) -> Result<Self, Error> {
        let bridge = bridge(template)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(match template.rules.undefined {
            Undefined::Strict => UndefinedBehavior::Strict,
            Undefined::Lenient => UndefinedBehavior::Lenient,
        });
        // Escaping by the name's suffix would put `&quot;` into html templates; Copier does not escape.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out, state, value| {
            if value.kind() == ValueKind::Number && !value.is_integer() {
                let number = python_float(f64::try_from(value.clone())?);
                return out.write_str(&number).map_err(minijinja::Error::from);
            }
            minijinja::escape_formatter(out, state, value)
        });
        environment.set_fuel(Some(TEXT_FUEL));
        // Errors name the variable that is undefined.
        environment.set_debug(true);
        environment.set_syntax(syntax(&template.label, &template.rules.syntax)?);
        environment.set_unknown_method_callback(methods::call);
        filters::add(&mut environment);
        let syntax = environment.syntax().clone();
        let source = template.source.clone();
        let comment = template.rules.syntax.line_comment.clone();
        let directories = match template.dialect {
            // As Cookiecutter has them.
            Dialect::Cookiecutter => vec![format!("{}/", template.rules.subdirectory), "templates/".to_owned()],
            Dialect::Block | Dialect::Copier => vec![String::new()],
        };
        environment.set_loader(move |name| {
            let found = directories.iter().find_map(|directory| included(&source, &format!("{directory}{name}")));
            Ok(found.map(|text| {
                let text = without_line_comments(&text, comment.as_deref());
                rewrite::apply(&text, &rewrite::edits(&text, &syntax, For::Rendering)).into_owned()
            }))
        });
        let mut variables = Variables::new(template.dialect == Dialect::Cookiecutter);
        for (name, value) in template.rules.facts.iter().chain(facts) {
            variables.set(name, value);
        }
        Ok(Self {
            environment,
            variables: Arc::new(variables),
            label: template.label.clone(),
            starts: starts(&template.rules.syntax),
            line_comment: template.rules.syntax.line_comment.clone(),
            statements: statements(&template.rules.syntax),
            spent: AtomicU64::new(0),
            bridge: bridge.map(Mutex::new),
        })
    }

    /// Makes a variable known to the texts that follow. Of a Cookiecutter template, it is `cookiecutter.<name>`.
    pub fn set(&mut self, name: &str, value: &Value) {
        Arc::make_mut(&mut self.variables).set(name, value);
        if let Some(bridge) = &mut self.bridge {
            bridge.get_mut().unwrap_or_else(PoisonError::into_inner).forget();
        }
    }

    /// Makes a variable unknown again.
    pub fn forget(&mut self, name: &str) {
        Arc::make_mut(&mut self.variables).forget(name);
    }

    /// What it knows under a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.variables.get(name)
    }

    /// Renders a text; `place` is what errors call it: `copier.yml:12`.
    pub fn text(&self, place: &str, template: &str) -> Result<String, Error> {
        self.text_with(place, template, &Map::new())
    }

    /// The same with more variables, for this text alone.
    pub fn text_with(&self, place: &str, template: &str, more: &Map<String, Value>) -> Result<String, Error> {
        self.run(&Place::Value(place), template, more)
    }

    /// Renders a file of the template; errors say its line.
    pub fn file(&self, path: &str, template: &str, more: &Map<String, Value>) -> Result<String, Error> {
        self.run(&Place::File(path), template, more)
    }

    /// What is wrong with the template, in its words.
    pub(super) fn mistake(&self, place: &str, message: &str) -> Error {
        Error::Wrong {
            label: self.label.clone(),
            place: text::neutral_line(place, 200),
            message: text::neutral_line(message, 500),
        }
    }

    fn run(&self, place: &Place<'_>, source: &str, more: &Map<String, Value>) -> Result<String, Error> {
        let source = newlines(source);
        if !self.starts.iter().any(|start| source.contains(start.as_str())) {
            let keep = self.environment.syntax().keep_trailing_newline();
            let text = if keep { &source } else { source.strip_suffix('\n').unwrap_or(&source) };
            return Ok(text.to_owned());
        }
        if let Some(bridge) = &self.bridge {
            let mut bridge = bridge.lock().unwrap_or_else(PoisonError::into_inner);
            return bridge.render(place.name(), &source, more, || self.variables.all()).map_err(|wrong| {
                let at = match (place, wrong.line) {
                    (Place::File(name), Some(line)) => format!("{name}:{line}"),
                    _ => place.name().to_owned(),
                };
                self.mistake(&at, &wrong.message)
            });
        }
        if self.spent.load(Ordering::Relaxed) > WHOLE_FUEL {
            return Err(self.wrong(place, &ErrorKind::OutOfFuel.into()));
        }
        if source.len() > LARGE && rewrite::longest(&source, self.environment.syntax()) > MOST_WORDS {
            return Err(self.mistake(place.name(), &format!("one expression has more than {MOST_WORDS} words")));
        }
        // What is wrong holds values, too, so it is read where there is room for them.
        let run = || self.compiled(place.name(), &source, more).map_err(|error| self.wrong(place, &error));
        // Only statements make values grow, and only long texts are deep.
        if source.len() < SMALL && !self.statements.iter().any(|start| source.contains(start.as_str())) {
            return run();
        }
        let watched = format!("{}: {}", self.label, place.name());
        room::with_room(&watched, run).unwrap_or_else(|error| Err(self.mistake(place.name(), &error.to_string())))
    }

    fn compiled(&self, name: &str, source: &str, more: &Map<String, Value>) -> Result<String, minijinja::Error> {
        let mut out = Capped(Vec::new());
        let source = &without_line_comments(source, self.line_comment.as_deref());
        let source = rewrite::apply(source, &rewrite::edits(source, self.environment.syntax(), For::Rendering));
        let template = self.environment.template_from_named_str(name, &source)?;
        let rendered = template.render_captured_to(self.variables.with(more), &mut out)?;
        if let Some((spent, _)) = rendered.state().fuel_levels() {
            self.spent.fetch_add(spent, Ordering::Relaxed);
        }
        Ok(String::from_utf8(out.0).expect("templates write text"))
    }

    fn wrong(&self, place: &Place<'_>, error: &minijinja::Error) -> Error {
        // The innermost error is where it happened: in the file that was included.
        let mut innermost = error;
        while let Some(inner) = std::error::Error::source(innermost).and_then(|e| e.downcast_ref::<minijinja::Error>())
        {
            innermost = inner;
        }
        // Where the template is a file, its line leads there; inside a value of a manifest it would mislead.
        let place = match (innermost.name(), innermost.line()) {
            (Some(name), Some(line)) if matches!(place, Place::File(_)) || name != place.name() => {
                format!("{name}:{line}")
            }
            _ => place.name().to_owned(),
        };
        let message = match (innermost.kind(), innermost.detail()) {
            (ErrorKind::OutOfFuel, _) => "the template takes too long or too much memory".to_owned(),
            (ErrorKind::WriteFailure, _) => format!("the output is larger than {}", text::bytes(FILE_CAP as u64)),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        self.mistake(&place, &message)
    }
}

/// Python for a template's extensions, if it has some.
fn bridge(template: &Template) -> Result<Option<Bridge>, Error> {
    let Some(extension) = template.rules.extensions.first() else { return Ok(None) };
    let place = text::neutral_line(&extension.place, 200);
    let name = text::neutral_line(&extension.name, 80);
    match &template.rules.python {
        Python::Refused => {
            let what = format!("the Jinja extension {name}");
            Err(Error::NeedsPython { label: template.label.clone(), place, what })
        }
        Python::Allowed { program } => Bridge::start(template, program).map(Some).map_err(|wrong| {
            let message = text::neutral_line(&wrong.message, 300);
            let message = format!("its Jinja extensions cannot be used: {message}");
            Error::Wrong { label: template.label.clone(), place, message }
        }),
    }
}

/// Where a text stands.
enum Place<'a> {
    /// It is a file of the template.
    File(&'a str),
    /// It is a value in a file.
    Value(&'a str),
}

impl Place<'_> {
    fn name(&self) -> &str {
        match self {
            Self::File(name) | Self::Value(name) => name,
        }
    }
}

/// The template's delimiters and whitespace rules, in minijinja's words.
pub fn syntax(label: &str, syntax: &Syntax) -> Result<SyntaxConfig, Error> {
    let owned = |(start, end): &(String, String)| (start.clone(), end.clone());
    let mut builder = SyntaxConfig::builder();
    let (start, end) = owned(&syntax.block);
    builder.block_delimiters(start, end);
    let (start, end) = owned(&syntax.variable);
    builder.variable_delimiters(start, end);
    let (start, end) = owned(&syntax.comment);
    builder.comment_delimiters(start, end);
    builder.line_statement_prefix(syntax.line_statement.clone().unwrap_or_default());
    builder.line_comment_prefix(syntax.line_comment.clone().unwrap_or_default());
    builder
        .trim_blocks(syntax.trim_blocks)
        .lstrip_blocks(syntax.lstrip_blocks)
        .keep_trailing_newline(syntax.keep_trailing_newline);
    builder.build().map_err(|error| Error::Wrong {
        label: label.to_owned(),
        place: "its delimiters".to_owned(),
        message: text::neutral_line(&error.to_string(), 200),
    })
}

/// What begins anything that is not plain text.
fn starts(syntax: &Syntax) -> Vec<String> {
    let pairs = [&syntax.block, &syntax.variable, &syntax.comment];
    let prefixes = [&syntax.line_statement, &syntax.line_comment];
    let all = pairs.into_iter().map(|pair| &pair.0).chain(prefixes.into_iter().flatten());
    all.filter(|start| !start.is_empty()).cloned().collect()
}

fn statements(syntax: &Syntax) -> Vec<String> {
    [Some(&syntax.block.0), syntax.line_statement.as_ref()].into_iter().flatten().cloned().collect()
}

/// Jinja knows one end of a line: `\n`.
fn newlines(source: &str) -> Cow<'_, str> {
    if source.contains('\r') { source.replace("\r\n", "\n").replace('\r', "\n").into() } else { source.into() }
}

/// A file of the template that another one includes. There is no other file that it could.
fn included(source: &Tree, path: &str) -> Option<String> {
    source.get(path)?.text().map(|text| newlines(&text).into_owned())
}

/// What is parsed of a source: `now` tags, `%` and literals that change in minijinja's words. Lines stay where they are.
pub fn readable(source: &str, syntax: &SyntaxConfig) -> String {
    let source = newlines(source);
    rewrite::apply(&source, &rewrite::edits(&source, syntax, For::Reading)).into_owned()
}

/// Jinja's comments to the end of a line leave the line's end; minijinja's would take it.
fn without_line_comments<'s>(source: &'s str, prefix: Option<&str>) -> Cow<'s, str> {
    let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty() && source.contains(prefix)) else {
        return source.into();
    };
    let line = |line: &str| match line.find(prefix) {
        Some(start) => {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            format!("{}{end}", line[..start].trim_end_matches([' ', '\t']))
        }
        None => line.to_owned(),
    };
    source.split_inclusive('\n').map(line).collect::<String>().into()
}

/// Takes what one file may weigh, and no more.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FILE_CAP {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
