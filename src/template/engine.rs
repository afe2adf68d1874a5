//! Jinja2, as Copier's and Cookiecutter's templates use it, with limits on time, memory and output.

use serde_json::Map;

use super::{Error, Template, Value};

/// Renders the texts of one template. It knows the answers so far.
pub struct Engine {
    _skeleton: (),
}

impl Engine {
    /// An engine for a template's texts: its delimiters, its includes, what it knows beside answers (`_copier_conf`,
    /// `_project`, …).
    pub fn new(_template: &Template, _facts: &Map<String, Value>) -> Result<Self, Error> {
        unimplemented!("skeleton")
    }

    /// Makes a variable known to the texts that follow.
    pub fn set(&mut self, _name: &str, _value: &Value) {
        unimplemented!("skeleton")
    }

    /// What it knows under a name.
    pub fn get(&self, _name: &str) -> Option<Value> {
        unimplemented!("skeleton")
    }

    /// Renders a text; `place` is what errors call it: `copier.yml:12`.
    pub fn text(&self, _place: &str, _template: &str) -> Result<String, Error> {
        unimplemented!("skeleton")
    }

    /// The same with more variables, for this text alone.
    pub fn text_with(&self, _place: &str, _template: &str, _more: &Map<String, Value>) -> Result<String, Error> {
        unimplemented!("skeleton")
    }
}
