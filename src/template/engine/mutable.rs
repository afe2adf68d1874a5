//! Lists and tables that a template changes: `{% do names.append(x) %}`. Jinja's are Python's; minijinja's never change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::args::{Args, fail};

/// The most lists in lists.
const DEEPEST: usize = 40;

/// A list.
#[derive(Debug, Default)]
pub struct List(Mutex<Vec<Value>>);

/// A table, in the order in which its keys came.
#[derive(Debug, Default)]
pub struct Table(Mutex<Vec<(Value, Value)>>);

fn lock<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A literal of a template, so that it can be changed.
pub fn literal(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Seq if !value.is_tuple() => match value.try_iter() {
            Ok(items) => Value::from_object(List(Mutex::new(items.collect()))),
            Err(_) => value.clone(),
        },
        ValueKind::Map => {
            let pairs = value.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
            Value::from_object(Table(Mutex::new(pairs.into_iter().flatten().collect())))
        }
        _ => value.clone(),
    }
}

/// What is put into a list must not hold one that can change in turn, or it could hold itself: such a one is copied.
fn settled(state: &State, value: &Value, depth: usize) -> Result<Value, Error> {
    if depth > DEEPEST {
        return Err(fail("lists in lists, too deep"));
    }
    let changes = value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Table>().is_some();
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !value.is_tuple() && (changes || value.len().is_some()) => {
            let items = value.try_iter()?.checked().map(|item| {
                state.consume_fuel(1)?;
                settled(state, &item?, depth + 1)
            });
            Ok(Value::from(items.collect::<Result<Vec<_>, _>>()?))
        }
        ValueKind::Map => {
            let pairs = value.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
            let pairs = pairs.into_iter().flatten().map(|(key, value)| {
                state.consume_fuel(1)?;
                Ok((key, settled(state, &value, depth + 1)?))
            });
            Ok(Value::from_pairs(pairs.collect::<Result<Vec<(Value, Value)>, Error>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// An index from the end where it is negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let items = lock(&self.0);
        items.get(place(key.as_i64()?, items.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Args::new(method, args, 2)?;
        state.consume_fuel(lock(&self.0).len() as u64 / 64)?;
        let first = |name: &str| args.need(0, name).or_else(|_| Ok::<_, Error>(Value::from(())));
        let none = Value::from(());
        match method {
            "append" => {
                let item = settled(state, &first("object")?, 0)?;
                lock(&self.0).push(item);
            }
            "extend" => {
                let more = settled(state, &args.need(0, "iterable")?, 0)?;
                let more: Vec<Value> = more.try_iter()?.checked().collect::<Result<_, _>>()?;
                state.consume_fuel(more.len() as u64)?;
                lock(&self.0).extend(more);
            }
            "insert" => {
                let item = settled(state, &args.need(1, "object")?, 0)?;
                let index = args.int(0, "index")?.unwrap_or(0);
                let mut items = lock(&self.0);
                let index = place(index, items.len()).unwrap_or(0).min(items.len());
                items.insert(index, item);
            }
            "pop" => {
                let index = args.int(0, "index")?.unwrap_or(-1);
                let mut items = lock(&self.0);
                let index = place(index, items.len()).filter(|index| *index < items.len());
                return Ok(items.remove(index.ok_or_else(|| fail("pop index out of range"))?));
            }
            "remove" => {
                let wanted = first("value")?;
                let mut items = lock(&self.0);
                let index = items.iter().position(|item| *item == wanted);
                items.remove(index.ok_or_else(|| fail("list.remove(x): x not in list"))?);
            }
            "clear" => lock(&self.0).clear(),
            "reverse" => lock(&self.0).reverse(),
            "sort" => {
                let reverse = args.flag(1, "reverse");
                let mut items = lock(&self.0);
                items.sort();
                if reverse {
                    items.reverse();
                }
            }
            "copy" => return Ok(Value::from_object(Self(Mutex::new(lock(&self.0).clone())))),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(none)
    }
}

impl Table {
    fn put(&self, key: Value, value: Value) {
        let mut pairs = lock(&self.0);
        match pairs.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
    }
}

impl Object for Table {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        lock(&self.0).iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).iter().map(|(key, _)| key.clone()).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(lock(&self.0).len())
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        // A key is looked for among all of them.
        state.consume_fuel(1 + lock(&self.0).len() as u64 / 16)?;
        match method {
            "update" => {
                for more in args {
                    let more = settled(state, more, 0)?;
                    let pairs = more.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
                    for (key, value) in pairs.ok_or_else(|| fail("update needs a dict"))? {
                        state.consume_fuel(1 + lock(&self.0).len() as u64 / 16)?;
                        self.put(key, value);
                    }
                }
            }
            "setdefault" => {
                let args = Args::new(method, args, 2)?;
                let key = args.need(0, "key")?;
                if let Some(value) = self.get_value(&key) {
                    return Ok(value);
                }
                let value = settled(state, &args.get(1, "default").unwrap_or_else(|| Value::from(())), 0)?;
                self.put(key, value.clone());
                return Ok(value);
            }
            "pop" => {
                let args = Args::new(method, args, 2)?;
                let key = args.need(0, "key")?;
                let mut pairs = lock(&self.0);
                let index = pairs.iter().position(|(other, _)| *other == key);
                return match index {
                    Some(index) => Ok(pairs.remove(index).1),
                    None => args.need(1, "default").map_err(|_| fail(format!("pop: no key {key}"))),
                };
            }
            "clear" => lock(&self.0).clear(),
            "copy" => return Ok(Value::from_object(Self(Mutex::new(lock(&self.0).clone())))),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}
