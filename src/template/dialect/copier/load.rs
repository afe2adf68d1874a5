//! The documents of `copier.yml` and of the files that it includes, merged as Copier merges them.

use regex::Regex;

use super::super::super::yaml::{self, Content, Node};
use super::super::super::{Error, Value};
use super::{Config, Item};
use crate::text::neutral_line;
use crate::tree::Tree;

/// The lists that every document adds to; of all else, the last document decides.
const ADDED: [&str; 4] = ["_exclude", "_jinja_extensions", "_secret_questions", "_skip_if_exists"];
/// How deep files may include each other.
const DEEPEST: usize = 8;
/// How many files may be included.
const MOST_FILES: usize = 200;
/// The most settings and questions together.
const MOST_ITEMS: usize = super::super::MOST_QUESTIONS + 100;

/// Reads and merges the settings and questions of a template.
pub fn config<'a>(label: &'a str, source: &Tree) -> Result<Config<'a>, Error> {
    let mut config = Config { label, items: Vec::new() };
    let mut names = source.paths().map(|path| path.as_str().to_owned()).filter(|path| super::is_config(path));
    let Some(file) = names.next() else { return Err(config.wrong_at("copier.yml", "missing")) };
    if let Some(other) = names.next() {
        return Err(config.wrong_at(&other, format!("there is a {file}, too; Copier reads only one")));
    }
    let mut loader = Loader { config: &config, source, files: 0 };
    let mut merged: Vec<Item> = Vec::new();
    for (file, document) in loader.documents(&file, 0)? {
        let Content::Mapping(pairs) = document.content else {
            return Err(config.wrong_at(&format!("{file}:{}", document.line), "expected settings and questions"));
        };
        for (key, node) in pairs {
            let item = Item { key: key.key(), file: file.clone(), line: key.line, node };
            match merged.iter_mut().find(|known| known.key == item.key) {
                None => merged.push(item),
                Some(known) => match (&mut known.node.content, item.node.content) {
                    (Content::Sequence(items), Content::Sequence(more)) if ADDED.contains(&item.key.as_str()) => {
                        items.extend(more);
                    }
                    // It keeps its place in the order, as Python's dictionaries do.
                    (_, content) => *known = Item { node: Node { content, ..item.node }, ..item },
                },
            }
            if merged.len() > MOST_ITEMS {
                return Err(config.wrong_at(&format!("{file}:{}", key.line), "too many settings and questions"));
            }
        }
    }
    config.items = merged;
    Ok(config)
}

struct Loader<'a, 'c> {
    config: &'a Config<'c>,
    source: &'a Tree,
    files: usize,
}

impl Loader<'_, '_> {
    /// The documents of a file, lists and includes at their top flattened; each with the file that it stands in.
    fn documents(&mut self, file: &str, depth: usize) -> Result<Vec<(String, Node)>, Error> {
        self.files += 1;
        if depth > DEEPEST || self.files > MOST_FILES {
            return Err(self.config.wrong_at(file, "files include each other without an end"));
        }
        let text = super::super::text(self.config.label, self.source, file)?;
        let bad = |error: &yaml::BadYaml| {
            self.config.wrong_at(&format!("{file}:{}:{}", error.line, error.column), &error.message)
        };
        let nodes = yaml::parse_all(&text).map_err(|error| bad(&error))?;
        let mut documents = Vec::new();
        for node in nodes {
            self.flatten(file, node, depth, &mut documents)?;
        }
        Ok(documents)
    }

    fn flatten(&mut self, file: &str, node: Node, depth: usize, out: &mut Vec<(String, Node)>) -> Result<(), Error> {
        match node.content {
            // What Python takes for nothing.
            Content::Scalar(Value::Null) => {}
            Content::Sequence(items) => {
                for item in items {
                    self.flatten(file, item, depth, out)?;
                }
            }
            Content::Tagged(ref tag, ref pattern) if tag == "!include" => {
                for included in self.included(file, &node, pattern)? {
                    out.extend(self.documents(&included, depth + 1)?);
                }
            }
            content => {
                let node = Node { content, ..node };
                let node = self.expanded(file, node, depth)?;
                out.push((file.to_owned(), node));
            }
        }
        Ok(())
    }

    /// A value with the includes inside it replaced by the lists that they stand for.
    fn expanded(&mut self, file: &str, node: Node, depth: usize) -> Result<Node, Error> {
        let content = match node.content {
            Content::Sequence(items) => Content::Sequence(
                items.into_iter().map(|item| self.expanded(file, item, depth)).collect::<Result<_, _>>()?,
            ),
            Content::Mapping(pairs) => {
                let pair = |(key, value)| Ok((key, self.expanded(file, value, depth)?));
                Content::Mapping(pairs.into_iter().map(pair).collect::<Result<_, Error>>()?)
            }
            Content::Tagged(ref tag, ref pattern) if tag == "!include" => {
                let mut items = Vec::new();
                for included in self.included(file, &node, pattern)? {
                    for (_, mut document) in self.documents(&included, depth + 1)? {
                        moved(&mut document, node.line, node.column);
                        items.push(document);
                    }
                }
                Content::Sequence(items)
            }
            other => other,
        };
        Ok(Node { content, ..node })
    }

    /// The files of the template that a pattern names, in order.
    fn included(&self, file: &str, node: &Node, pattern: &str) -> Result<Vec<String>, Error> {
        let place = format!("{file}:{}", node.line);
        let outside = pattern.starts_with('/') || pattern.split('/').any(|name| name == "..") || pattern.contains('\\');
        if outside {
            return Err(Error::Refused {
                label: self.config.label.to_owned(),
                place: neutral_line(&place, 200),
                why: format!("it includes `{}`, which lies outside", neutral_line(pattern, 80)),
            });
        }
        let Some(regex) = glob(pattern) else {
            return Err(self.config.wrong_at(&place, format!("`{pattern}` is no pattern of files")));
        };
        let paths = self.source.paths().filter(|path| regex.is_match(path.as_str()));
        Ok(paths.map(|path| path.as_str().to_owned()).collect())
    }
}

/// Python's `Path.glob`, as a regular expression.
fn glob(pattern: &str) -> Option<Regex> {
    let mut regex = String::from("^");
    let names: Vec<&str> = pattern.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    for (index, name) in names.iter().enumerate() {
        let last = index + 1 == names.len();
        if *name == "**" {
            regex.push_str(if last { ".*" } else { "(?:[^/]+/)*" });
            continue;
        }
        let mut characters = name.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '[' => {
                    regex.push('[');
                    if characters.next_if_eq(&'!').is_some() {
                        regex.push('^');
                    }
                    for c in characters.by_ref() {
                        match c {
                            ']' => break,
                            '-' => regex.push('-'),
                            c => regex.push_str(&regex::escape(&c.to_string())),
                        }
                    }
                    regex.push(']');
                }
                c => regex.push_str(&regex::escape(&c.to_string())),
            }
        }
        if !last {
            regex.push('/');
        }
    }
    regex.push('$');
    regex::RegexBuilder::new(&regex).size_limit(256 * 1024).build().ok()
}

/// What is included stands where it is included.
fn moved(node: &mut Node, line: usize, column: usize) {
    (node.line, node.column) = (line, column);
    match &mut node.content {
        Content::Sequence(items) => items.iter_mut().for_each(|item| moved(item, line, column)),
        Content::Mapping(pairs) => pairs.iter_mut().for_each(|(key, value)| {
            moved(key, line, column);
            moved(value, line, column);
        }),
        Content::Scalar(_) | Content::Tagged(..) => {}
    }
}
