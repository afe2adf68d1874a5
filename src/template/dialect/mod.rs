//! The manners of those who write templates: `block.toml`, `copier.yml`, `cookiecutter.json`, read into one
//! [`Template`].

pub mod block;
pub mod cookiecutter;
pub mod copier;

use super::{Dialect, Error, Template, Value};
use crate::tree::Tree;

/// The most questions that a template may ask.
const MOST_QUESTIONS: usize = 500;
/// The largest manifest, in bytes.
const MANIFEST_CAP: usize = 1024 * 1024;

/// Which dialect a source tree is written in: it holds `block.toml`, `copier.yml` (or `.yaml`) or `cookiecutter.json` at
/// its top. None where it is no template.
pub fn detect(source: &Tree) -> Option<Dialect> {
    if source.get("block.toml").is_some() {
        return Some(Dialect::Block);
    }
    if source.paths().any(|path| copier::is_config(path.as_str())) {
        return Some(Dialect::Copier);
    }
    source.get("cookiecutter.json").map(|_| Dialect::Cookiecutter)
}

/// The directory in a source tree that is the template, if nobody says otherwise: the first of several. Empty: all of it.
pub fn directory(label: &str, source: &Tree) -> Result<String, Error> {
    match detect(source) {
        Some(Dialect::Cookiecutter) => cookiecutter::first(label, source),
        _ => Ok(String::new()),
    }
}

/// Reads a source tree, whatever its dialect. `label` is what errors call it: `php-web 1.0.0`.
pub fn read(label: &str, source: Tree) -> Result<Template, Error> {
    match detect(&source) {
        Some(Dialect::Block) => block::read(label, source),
        Some(Dialect::Copier) => copier::read(label, source),
        Some(Dialect::Cookiecutter) => cookiecutter::read(label, &source),
        None => Err(Error::NoTemplate { label: label.to_owned() }),
    }
}

/// The text of a manifest in the source tree.
fn text(label: &str, source: &Tree, name: &str) -> Result<String, Error> {
    let wrong =
        |message: &str| Error::Wrong { label: label.to_owned(), place: name.to_owned(), message: message.to_owned() };
    let entry = source.get(name).ok_or_else(|| wrong("missing"))?;
    let contents = entry.contents().ok_or_else(|| wrong("a link, and not a file"))?;
    if contents.len() > MANIFEST_CAP {
        return Err(wrong("more than 1 MiB"));
    }
    let text = contents.text().ok_or_else(|| wrong("not UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// Whether a value is a text that Jinja would change.
fn is_template(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("{{") || text.contains("{%"))
}

/// The Jinja extensions whose tags and filters the engine has by itself.
const NATIVE_EXTENSIONS: [&str; 12] = [
    "cookiecutter.extensions.JsonifyExtension",
    "cookiecutter.extensions.RandomStringExtension",
    "cookiecutter.extensions.SlugifyExtension",
    "cookiecutter.extensions.TimeExtension",
    "cookiecutter.extensions.UUIDExtension",
    "jinja2.ext.autoescape",
    "jinja2.ext.do",
    "jinja2.ext.loopcontrols",
    "jinja2.ext.with_",
    "jinja2_ansible_filters.AnsibleCoreFilters",
    "jinja2_ansible_filters.AnsibleCoreFiltersExtension",
    "jinja2_time.TimeExtension",
];

/// Whether the engine has what this extension brings.
fn is_native_extension(name: &str) -> bool {
    NATIVE_EXTENSIONS.contains(&name)
}
