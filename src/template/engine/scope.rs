//! What Jinja's imports, includes and macros see, where minijinja's see more or take less: `import` and `include … without
//! context` see no variables, a macro that speaks of `varargs` and `kwargs` takes any arguments.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object, ObjectRepr, Tuple};
use minijinja::{Environment, Error, State, Value};

use super::args::fail;
use super::{curtain, mutable, rewrite};

/// Holds what a macro is to hand out beside its text.
#[derive(Debug, Default)]
struct Shelf(Mutex<Value>);

impl Object for Shelf {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (value,): (Value,) = minijinja::value::from_args(args)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        Ok(Value::from(()))
    }
}

/// A macro that takes more than its signature says.
#[derive(Debug)]
struct Variadic {
    name: String,
    /// The same with two arguments more: those beyond the others.
    inner: Value,
}

impl Variadic {
    /// The names of its arguments.
    fn arguments(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> =
            self.inner.get_attr("arguments")?.try_iter()?.map(|name| name.to_string()).collect();
        names.truncate(names.len().saturating_sub(2));
        Ok(names)
    }
}

impl Object for Variadic {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "name" => Some(self.name.as_str().into()),
            "arguments" => {
                Some(Tuple::from(self.arguments().ok()?.into_iter().map(Value::from).collect::<Vec<_>>()).into())
            }
            "catch_varargs" | "catch_kwargs" => Some(true.into()),
            "caller" => self.inner.get_attr("caller").ok(),
            _ => None,
        }
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let names = self.arguments()?;
        let (positional, named) = match args.split_last() {
            Some((last, before)) if last.is_kwargs() => (before, Some(last)),
            _ => (args, None),
        };
        let (own, more) = positional.split_at(positional.len().min(names.len()));
        let takes_caller = self.inner.get_attr("caller")?.is_true();
        let pairs = named.and_then(Value::as_object).and_then(minijinja::value::DynObject::try_iter_pairs);
        let (mut inner, mut others) = (Vec::new(), Vec::new());
        for (key, value) in pairs.into_iter().flatten() {
            let name = key.to_string();
            if names.contains(&name) || (takes_caller && name == "caller") {
                inner.push((name, value));
            } else {
                others.push((key, value));
            }
        }
        state.consume_fuel((more.len() + others.len()) as u64)?;
        inner.push((rewrite::VARARGS.to_owned(), Tuple::from(more.to_vec()).into()));
        inner.push((rewrite::KWARGS.to_owned(), mutable::literal(&Value::from_pairs(others))));
        let mut args = own.to_vec();
        args.push(inner.into_iter().collect::<Kwargs>().into());
        self.inner.call(state, &args)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", self.name)
    }
}

/// Whether it is a macro that takes any arguments.
pub fn is_variadic(value: &Value) -> bool {
    value.downcast_object_ref::<Variadic>().is_some()
}

/// Adds what the rewritten texts call.
pub fn add(environment: &mut Environment<'_>) {
    environment.add_function(rewrite::IMPORT, |state: &mut State, import: Value, name: Value| {
        curtain::module(state, &name, |state| {
            let shelf = Arc::new(Shelf::default());
            curtain::alone(state, &import, &[name.clone(), Value::from_dyn_object(shelf.clone())])?;
            let module = shelf.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Ok(module)
        })
    });
    environment.add_function(rewrite::INCLUDE, |state: &mut State, include: Value, name: Value| {
        curtain::alone(state, &include, &[name])
    });
    environment
        .add_function(rewrite::VARIADIC, |name: String, inner: Value| Value::from_object(Variadic { name, inner }));
    environment.add_function(rewrite::UNSUPPORTED, |what: &str| Err::<Value, _>(fail(what)));
}
