//! What templates know: made once, looked up by name, never copied for a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde, Value as Word};
use serde_json::{Map, Value};

use super::curtain::{self, Curtain};

/// The name under which a Cookiecutter template knows its variables.
const COOKIECUTTER: &str = "cookiecutter";

/// Variables by name.
#[derive(Clone, Debug)]
pub struct Variables {
    known: BTreeMap<String, Word>,
    /// Of a Cookiecutter template: what `cookiecutter` holds.
    nested: Option<Map<String, Value>>,
}

impl Variables {
    /// None so far.
    pub fn new(nested: bool) -> Self {
        Self { known: BTreeMap::new(), nested: nested.then(Map::new) }
    }

    /// Makes one known.
    pub fn set(&mut self, name: &str, value: &Value) {
        match (&mut self.nested, value) {
            (Some(nested), Value::Object(more)) if name == COOKIECUTTER => {
                nested.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Some(nested), _) if !name.starts_with("_cookiecutter") => {
                nested.insert(name.to_owned(), value.clone());
            }
            _ => {
                self.known.insert(name.to_owned(), Word::from(Serde(value)));
                return;
            }
        }
        self.known.insert(COOKIECUTTER.to_owned(), Word::from(Serde(&self.nested)));
    }

    /// Makes one unknown again.
    pub fn forget(&mut self, name: &str) {
        if self.nested.as_mut().is_some_and(|nested| nested.shift_remove(name).is_some()) {
            self.known.insert(COOKIECUTTER.to_owned(), Word::from(Serde(&self.nested)));
        } else {
            self.known.remove(name);
        }
    }

    /// What is known under a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        let nested = self.nested.as_ref().and_then(|nested| nested.get(name).cloned());
        nested.or_else(|| serde_json::to_value(self.known.get(name)?).ok())
    }

    /// All of them, as JSON.
    pub fn all(&self) -> Map<String, Value> {
        let known =
            self.known.iter().filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)));
        known.collect()
    }

    /// What one text knows: all of them, and some more that go before.
    pub fn with(self: &Arc<Self>, more: &Map<String, Value>) -> Word {
        let more = more.iter().map(|(name, value)| (name.clone(), Word::from(Serde(value)))).collect();
        Word::from_object(Known { more, below: self.clone(), curtain: Arc::default() })
    }
}

/// Variables for one text above those for all.
#[derive(Debug)]
struct Known {
    more: BTreeMap<String, Word>,
    below: Arc<Variables>,
    curtain: Arc<Curtain>,
}

impl Object for Known {
    fn get_value(self: &Arc<Self>, name: &Word) -> Option<Word> {
        self.get_value_by_str(name.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Word> {
        if name == curtain::NAME {
            return Some(Word::from_dyn_object(self.curtain.clone()));
        }
        if self.curtain.is_drawn() {
            return None;
        }
        self.more.get(name).or_else(|| self.below.known.get(name)).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.more.keys().chain(self.below.known.keys()).map(Word::from).collect())
    }
}
