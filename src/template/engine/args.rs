//! Arguments as Python takes them: by position or by name.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The arguments of one call.
pub struct Args<'a> {
    place: &'a str,
    positional: &'a [Value],
    named: Option<Kwargs>,
}

impl<'a> Args<'a> {
    /// Those of a call to `place`. A call that has more than `most` is wrong.
    pub fn new(place: &'a str, args: &'a [Value], most: usize) -> Result<Self, Error> {
        let (positional, named) = match args.split_last() {
            Some((last, before)) if last.is_kwargs() => (before, Some(Kwargs::try_from(last.clone())?)),
            _ => (args, None),
        };
        if positional.len() > most {
            return Err(Error::new(ErrorKind::TooManyArguments, format!("{place} takes at most {most}")));
        }
        Ok(Self { place, positional, named })
    }

    /// One argument, if it was given and is not `none`.
    pub fn get(&self, index: usize, name: &str) -> Option<Value> {
        let value = self.positional.get(index).cloned();
        let value = value.or_else(|| self.named.as_ref().and_then(|named| named.get::<Value>(name).ok()));
        value.filter(|value| !value.is_none() && !value.is_undefined())
    }

    /// An argument that must be there.
    pub fn need(&self, index: usize, name: &str) -> Result<Value, Error> {
        self.get(index, name)
            .ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("{} needs `{name}`", self.place)))
    }

    /// A text.
    pub fn text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.get(index, name) else { return Ok(None) };
        match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.wrong(name, "a string", &value)),
        }
    }

    /// A whole number.
    pub fn int(&self, index: usize, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(index, name) else { return Ok(None) };
        match i64::try_from(value.clone()) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong(name, "an integer", &value)),
        }
    }

    /// Whether it is true.
    pub fn flag(&self, index: usize, name: &str) -> bool {
        self.get(index, name).is_some_and(|value| value.is_true())
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Value) -> Error {
        fail(format!("`{name}` of {} is {wanted}, not {}", self.place, value.kind()))
    }
}

/// What a filter or method cannot do.
pub fn fail(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// The items of a list, or an error that names the filter.
pub fn items(place: &str, value: &Value) -> Result<Vec<Value>, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => value.try_iter()?.checked().collect(),
        kind => Err(fail(format!("{place} needs a list, not {kind}"))),
    }
}
