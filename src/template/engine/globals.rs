//! What Jinja keeps between two uses: `cycler` and `joiner`, with the attributes that minijinja's lack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use minijinja::value::{Object, ObjectRepr, Rest, Tuple, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, Value};

use super::args::{Args, fail};
use super::{curtain, scope};

/// Goes round its items.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    position: AtomicUsize,
}

/// `cycler('a', 'b')`.
pub fn cycler(items: Rest<Value>) -> Result<Value, Error> {
    if items.is_empty() {
        return Err(fail("cycler: at least one item has to be provided"));
    }
    Ok(Value::from_object(Cycler { items: items.0, position: AtomicUsize::new(0) }))
}

impl Cycler {
    fn current(&self) -> Value {
        self.items[self.position.load(Ordering::Relaxed)].clone()
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "current" => Some(self.current()),
            "items" => Some(Value::from(Tuple::from(self.items.clone()))),
            "pos" => Some(Value::from(self.position.load(Ordering::Relaxed))),
            _ => None,
        }
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let () = minijinja::value::from_args(args)?;
        match method {
            "next" => {
                let current = self.current();
                let next = (self.position.load(Ordering::Relaxed) + 1) % self.items.len();
                self.position.store(next, Ordering::Relaxed);
                Ok(current)
            }
            "reset" => {
                self.position.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// Nothing at first, then what stands between.
#[derive(Debug)]
struct Joiner {
    between: Value,
    used: AtomicBool,
}

/// `joiner(', ')`, `joiner(sep=', ')`.
pub fn joiner(args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let between = Args::new("joiner", &args, 1)?.get(0, "sep").unwrap_or_else(|| Value::from(", "));
    Ok(Value::from_object(Joiner { between, used: AtomicBool::new(false) }))
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let () = minijinja::value::from_args(args)?;
        Ok(if self.used.swap(true, Ordering::Relaxed) { self.between.clone() } else { Value::from("") })
    }
}

/// minijinja's own that can be called.
const CALLABLE: [&str; 2] = ["::BoxedFunction", "::Loop"];
/// And its macros.
const MACRO: &str = "::Macro";

/// Whether it can be called. What is undefined can, in Jinja, which is how a method that is not called looks here.
pub fn is_callable(value: &Value) -> bool {
    let named = |name: &str| CALLABLE.iter().any(|suffix| name.ends_with(suffix));
    value.is_undefined()
        || value.downcast_object_ref::<Joiner>().is_some()
        || curtain::is_seeing(value)
        || is_macro(value)
        || value.as_object().is_some_and(|object| named(object.type_name()))
}

/// Whether it is a macro as it was written.
pub fn is_macro(value: &Value) -> bool {
    scope::is_variadic(value) || value.as_object().is_some_and(|object| object.type_name().ends_with(MACRO))
}
