//! What sees no variables: an import or include without context while it runs, and the macros that it brings whenever they
//! are called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::args::fail;
use super::globals;

/// The name under which a text finds its [`Curtain`].
pub const NAME: &str = "__curtain";

/// While it is drawn, a text's variables are unknown.
#[derive(Debug, Default)]
pub struct Curtain {
    drawn: AtomicBool,
    /// The modules that were imported without context, by name: each is made once, as in Jinja.
    modules: Mutex<BTreeMap<String, Value>>,
}

impl Curtain {
    /// Whether the variables are unknown.
    pub fn is_drawn(&self) -> bool {
        self.drawn.load(Ordering::Relaxed)
    }

    /// Draws or lifts it while something runs that is told how it was.
    fn while_drawn<T>(&self, drawn: bool, run: impl FnOnce(bool) -> T) -> T {
        let before = self.drawn.swap(drawn, Ordering::Relaxed);
        let result = run(before);
        self.drawn.store(before, Ordering::Relaxed);
        result
    }
}

impl Object for Curtain {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

fn of(state: &State) -> Result<Arc<Curtain>, Error> {
    let curtain = state.lookup(NAME).and_then(|curtain| curtain.downcast_object::<Curtain>());
    curtain.ok_or_else(|| fail("variables cannot be hidden"))
}

/// Calls a macro that sees no variables: those around it are unknown to every macro, those of the answers are hidden.
pub fn alone(state: &mut State, inner: &Value, args: &[Value]) -> Result<Value, Error> {
    of(state)?.while_drawn(true, |_| inner.call(state, args))
}

/// The module of a name, made where it is not there yet.
pub fn module(
    state: &mut State,
    name: &Value,
    make: impl FnOnce(&mut State) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let curtain = of(state)?;
    let modules = || curtain.modules.lock().unwrap_or_else(PoisonError::into_inner);
    let known = name.as_str().and_then(|name| modules().get(name).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let made = Value::from_object(Module(make(state)?));
    if let Some(name) = name.as_str() {
        modules().insert(name.to_owned(), made.clone());
    }
    Ok(made)
}

/// A module that was imported without context.
#[derive(Debug)]
struct Module(Value);

impl Object for Module {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let value = self.0.get_item(key).ok().filter(|value| !value.is_undefined())?;
        Some(seeing(value, false))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.0.try_iter().map_or(Enumerator::Empty, |keys| Enumerator::Values(keys.collect()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A macro that sees, wherever it is called, what is seen where it was written.
#[derive(Debug)]
struct Seeing {
    inner: Value,
    /// Whether that is the variables.
    variables: bool,
}

/// A value that sees them or does not, if it is a macro.
fn seeing(value: Value, variables: bool) -> Value {
    if globals::is_macro(&value) { Value::from_object(Seeing { inner: value, variables }) } else { value }
}

/// Whether it is a macro that sees what is seen where it was written.
pub fn is_seeing(value: &Value) -> bool {
    value.downcast_object_ref::<Seeing>().is_some()
}

impl Object for Seeing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.inner.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        of(state)?.while_drawn(!self.variables, |drawn| {
            // What it is given to call, `caller` above all, is of where it is called.
            let given = |value: &Value| match value.as_object().filter(|_| value.is_kwargs()) {
                None => seeing(value.clone(), !drawn),
                Some(named) => {
                    let pairs = named.try_iter_pairs().into_iter().flatten();
                    pairs.map(|(name, value)| (name.to_string(), seeing(value, !drawn))).collect::<Kwargs>().into()
                }
            };
            let args: Vec<Value> = args.iter().map(given).collect();
            self.inner.call(state, &args)
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}
