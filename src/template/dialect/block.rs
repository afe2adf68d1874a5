//! `block.toml`.

use super::super::{Error, Template};
use crate::tree::Tree;

/// Reads a source tree with a `block.toml` at its top.
pub fn read(_label: &str, _source: Tree) -> Result<Template, Error> {
    unimplemented!("skeleton")
}
