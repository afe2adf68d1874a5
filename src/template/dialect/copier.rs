//! `copier.yml`, as Copier 9.19 reads it.

mod actions;
mod load;
mod questions;
mod settings;

use super::super::yaml::{BadYaml, Content, Node};
use super::super::{Dialect, Error, Template, Value};
use crate::text::neutral_line;
use crate::tree::Tree;

pub(super) use settings::set as set_option;

/// The Copier whose templates are read. One that asks for a later one is refused.
const VERSION: [u64; 3] = [9, 19, 1];

/// Reads a source tree with a `copier.yml` at its top.
pub fn read(label: &str, source: Tree) -> Result<Template, Error> {
    let config = load::config(label, &source)?;
    let (rules, actions) = (settings::rules(&config)?, actions::read(&config)?);
    let questions = questions::read(&config)?;
    Ok(Template { dialect: Dialect::Copier, label: label.to_owned(), source, questions, rules, actions })
}

/// Whether a path is the one where Copier looks for a template's settings.
pub fn is_config(path: &str) -> bool {
    path.strip_prefix("copier.").is_some_and(|end| end.eq_ignore_ascii_case("yml") || end.eq_ignore_ascii_case("yaml"))
}

/// A setting or question, and the file that it stands in.
struct Item {
    key: String,
    file: String,
    /// Where its key stands.
    line: usize,
    node: Node,
}

/// The merged contents of `copier.yml`.
struct Config<'a> {
    label: &'a str,
    items: Vec<Item>,
}

impl Config<'_> {
    /// A setting by its name, which begins with an underscore.
    fn setting(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.key == name)
    }

    fn wrong(&self, item: &Item, node: &Node, message: impl AsRef<str>) -> Error {
        self.wrong_at(&format!("{}:{}", item.file, node.line.max(1)), message)
    }

    fn wrong_at(&self, place: &str, message: impl AsRef<str>) -> Error {
        Error::Wrong {
            label: self.label.to_owned(),
            place: neutral_line(place, 200),
            message: neutral_line(message.as_ref(), 300),
        }
    }

    fn bad(&self, item: &Item, error: &BadYaml) -> Error {
        self.wrong_at(&format!("{}:{}:{}", item.file, error.line, error.column), &error.message)
    }

    fn value(&self, item: &Item, node: &Node) -> Result<Value, Error> {
        node.value().map_err(|error| self.bad(item, &error))
    }

    /// A text; numbers and the like are written as Python writes them.
    fn text(&self, item: &Item, node: &Node) -> Result<String, Error> {
        match &node.content {
            Content::Scalar(Value::Null) => Ok(String::new()),
            Content::Scalar(_) => Ok(node.key()),
            _ => Err(self.wrong(item, node, format!("{}: expected text", item.key))),
        }
    }

    /// The items of a list; none of what is not there.
    fn list<'n>(&self, item: &Item, node: &'n Node) -> Result<&'n [Node], Error> {
        match &node.content {
            Content::Sequence(items) => Ok(items),
            Content::Scalar(Value::Null) => Ok(&[]),
            _ => Err(self.wrong(item, node, format!("{}: expected a list", item.key))),
        }
    }

    /// A setting that is a list of texts.
    fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let Some(item) = self.setting(name) else { return Ok(Vec::new()) };
        self.list(item, &item.node)?.iter().map(|node| self.text(item, node)).collect()
    }

    fn place(item: &Item, node: &Node) -> String {
        neutral_line(&format!("{}:{}", item.file, node.line.max(1)), 200)
    }
}

#[cfg(test)]
mod tests;
