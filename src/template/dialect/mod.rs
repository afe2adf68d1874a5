//! The manners of those who write templates: `block.toml`, `copier.yml`, `cookiecutter.json`, read into one
//! [`Template`].

pub mod block;
pub mod cookiecutter;
pub mod copier;

use super::{Dialect, Error, Template};
use crate::tree::Tree;

/// Which dialect a source tree is written in: it holds `block.toml`, `copier.yml` (or `.yaml`) or `cookiecutter.json` at
/// its top. None where it is no template.
pub fn detect(source: &Tree) -> Option<Dialect> {
    if source.get("block.toml").is_some() {
        return Some(Dialect::Block);
    }
    if ["copier.yml", "copier.yaml"].iter().any(|name| source.get(name).is_some()) {
        return Some(Dialect::Copier);
    }
    source.get("cookiecutter.json").map(|_| Dialect::Cookiecutter)
}

/// Reads a source tree, whatever its dialect. `label` is what errors call it: `php-web 1.0.0`.
pub fn read(label: &str, source: Tree) -> Result<Template, Error> {
    match detect(&source) {
        Some(Dialect::Block) => block::read(label, source),
        Some(Dialect::Copier) => copier::read(label, source),
        Some(Dialect::Cookiecutter) => cookiecutter::read(label, source),
        None => Err(Error::NoTemplate { label: label.to_owned() }),
    }
}
