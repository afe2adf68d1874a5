//! Lists and tables: Ansible's filters.

use std::collections::HashSet;

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::super::args::{Args, fail, items};

/// The most tables in tables that are combined.
const DEEPEST: usize = 100;

/// `bool`: what reads as yes.
pub fn bool(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    if value.is_none() || value.kind() == ValueKind::Bool {
        return Ok(value.clone());
    }
    let yes = value.as_str().map_or_else(
        || value.as_i64() == Some(1),
        |text| matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true"),
    );
    Ok(Value::from(yes))
}

/// `ternary`.
pub fn ternary(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let given = |i, name| args.get(i, name).unwrap_or_else(|| Value::from(()));
    match args.get(2, "none_val") {
        Some(none) if value.is_none() => Ok(none),
        _ if value.is_true() => Ok(given(0, "true_val")),
        _ => Ok(given(1, "false_val")),
    }
}

/// `mandatory`.
pub fn mandatory(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    if value.is_undefined() {
        let message = args.text(0, "msg")?.unwrap_or_else(|| "a mandatory variable is not defined".to_owned());
        return Err(Error::new(ErrorKind::UndefinedError, message));
    }
    Ok(value.clone())
}

/// `combine`: later tables go before.
pub fn combine(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let recursive = args.flag(usize::MAX, "recursive");
    let lists = args.text(usize::MAX, "list_merge")?.unwrap_or_else(|| "replace".to_owned());
    let mut tables = Vec::new();
    let mut add = |value: &Value| -> Result<(), Error> {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => tables.extend(items("combine", value)?),
            _ => tables.push(value.clone()),
        }
        Ok(())
    };
    add(value)?;
    for i in 0.. {
        let Some(more) = args.get(i, "") else { break };
        add(&more)?;
    }
    let mut tables = tables.into_iter();
    let first = tables.next().unwrap_or_else(|| Value::from_pairs(Vec::<(Value, Value)>::new()));
    tables.try_fold(first, |below, above| merged(state, &below, &above, recursive, &lists, 0))
}

fn merged(
    state: &State,
    below: &Value,
    above: &Value,
    recursive: bool,
    lists: &str,
    depth: usize,
) -> Result<Value, Error> {
    if depth > DEEPEST {
        return Err(fail("tables in tables, too deep to combine"));
    }
    let mut out: Vec<(Value, Value)> = pairs("combine", below)?;
    for (key, value) in pairs("combine", above)? {
        state.consume_fuel(1 + out.len() as u64 / 16)?;
        let Some((_, old)) = out.iter_mut().find(|(other, _)| *other == key) else {
            out.push((key, value));
            continue;
        };
        let is_list = |value: &Value| value.kind() == ValueKind::Seq && !value.is_tuple();
        *old = match (old.kind(), value.kind()) {
            (ValueKind::Map, ValueKind::Map) if recursive => merged(state, old, &value, recursive, lists, depth + 1)?,
            (ValueKind::Map, ValueKind::Map) => value,
            _ if is_list(old) && is_list(&value) => {
                let (before, after) = (items("combine", old)?, items("combine", &value)?);
                state.consume_fuel((before.len() * after.len() / 16) as u64)?;
                let without = |list: &[Value]| list.iter().filter(|item| !after.contains(item)).cloned().collect();
                match lists {
                    "replace" => value,
                    "keep" => continue,
                    "append" => Value::from([before, after].concat()),
                    "prepend" => Value::from([after, before].concat()),
                    "append_rp" => Value::from([without(&before), after.clone()].concat()),
                    "prepend_rp" => Value::from([after.clone(), without(&before)].concat()),
                    other => return Err(fail(format!("combine: list_merge cannot be {other}"))),
                }
            }
            _ => value,
        };
    }
    Ok(Value::from_pairs(out))
}

/// The pairs of a table.
pub fn pairs(place: &str, value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    let pairs = value
        .as_object()
        .filter(|_| value.kind() == ValueKind::Map)
        .and_then(minijinja::value::DynObject::try_iter_pairs);
    pairs.map(Iterator::collect).ok_or_else(|| fail(format!("{place} needs a dict, not {}", value.kind())))
}

/// `dict2items`.
pub fn dict2items(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let (key, item) = names(args)?;
    let pairs = pairs("dict2items", value)?.into_iter();
    Ok(Value::from(pairs.map(|(k, v)| Value::from_pairs([(key.as_str(), k), (item.as_str(), v)])).collect::<Vec<_>>()))
}

/// `items2dict`.
pub fn items2dict(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let (key, item) = names(args)?;
    let items = items("items2dict", value)?;
    let pairs = items.iter().map(|pair| Ok((pair.get_attr(&key)?, pair.get_attr(&item)?)));
    Ok(Value::from_pairs(pairs.collect::<Result<Vec<(Value, Value)>, Error>>()?))
}

fn names(args: &Args<'_>) -> Result<(String, String), Error> {
    let key = args.text(0, "key_name")?.unwrap_or_else(|| "key".to_owned());
    Ok((key, args.text(1, "value_name")?.unwrap_or_else(|| "value".to_owned())))
}

/// `flatten`. As in Ansible's filter for Jinja, a null ends the list.
pub fn flatten(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let levels = args.int(0, "levels")?;
    let mut out = Vec::new();
    flat(state, value, levels, 0, &mut out)?;
    Ok(Value::from(out))
}

fn flat(state: &State, value: &Value, levels: Option<i64>, depth: usize, out: &mut Vec<Value>) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(fail("lists in lists, too deep to flatten"));
    }
    for item in items("flatten", value)? {
        state.consume_fuel(1)?;
        if item.is_none() || matches!(item.as_str(), Some("None" | "null")) {
            break;
        }
        match item.kind() {
            ValueKind::Seq if levels.is_none_or(|levels| levels >= 1) => {
                flat(state, &item, levels.map(|levels| levels - 1), depth + 1, out)?;
            }
            _ => out.push(item),
        }
    }
    Ok(())
}

/// `subelements`: each item with each of what a path in it leads to.
pub fn subelements(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let elements = match value.kind() {
        ValueKind::Map => pairs("subelements", value)?.into_iter().map(|(_, value)| value).collect(),
        _ => items("subelements", value)?,
    };
    let path = args.need(0, "subelements")?;
    let path: Vec<String> = match path.as_str() {
        Some(path) => path.split('.').map(str::to_owned).collect(),
        None => items("subelements", &path)?.iter().map(ToString::to_string).collect(),
    };
    let skip = args.flag(1, "skip_missing");
    let mut out = Vec::new();
    for element in elements {
        let mut inner = element.clone();
        for name in &path {
            inner = inner.get_attr(name)?;
            if inner.is_undefined() {
                if !skip {
                    return Err(fail(format!("could not find {name} key in iterated item")));
                }
                inner = Value::from(Vec::<Value>::new());
                break;
            }
        }
        for item in items("subelements", &inner)? {
            state.consume_fuel(2)?;
            out.push(Value::from(Tuple::from([element.clone(), item])));
        }
    }
    Ok(Value::from(out))
}

/// `extract`: the item of a container, or what lies deeper in it.
pub fn extract(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let mut found = args.need(0, "container")?.get_item(value)?;
    if let Some(more) = args.get(1, "morekeys") {
        let keys = if more.kind() == ValueKind::Seq { items("extract", &more)? } else { vec![more] };
        for key in keys {
            found = found.get_item(&key)?;
        }
    }
    Ok(found)
}

/// `union`, `intersect`, `difference`, `symmetric_difference`.
pub fn sets(name: &'static str) -> impl Fn(&State, &Value, &Args<'_>) -> Result<Value, Error> {
    move |state, value, args| {
        let (one, two) = (items(name, value)?, items(name, &args.need(0, "list")?)?);
        state.consume_fuel((one.len() + two.len()) as u64)?;
        let (in_one, in_two): (HashSet<&Value>, HashSet<&Value>) = (one.iter().collect(), two.iter().collect());
        let (first, second) = (one.iter(), two.iter());
        let chosen: Vec<&Value> = match name {
            "union" => first.chain(second).collect(),
            "intersect" => first.filter(|item| in_two.contains(item)).collect(),
            "difference" => first.filter(|item| !in_two.contains(item)).collect(),
            _ => first
                .filter(|item| !in_two.contains(item))
                .chain(second.filter(|item| !in_one.contains(item)))
                .collect(),
        };
        let mut seen = HashSet::new();
        Ok(Value::from(chosen.into_iter().filter(|item| seen.insert(*item)).cloned().collect::<Vec<_>>()))
    }
}

/// `pprint`: as Python shows a value, on one line.
pub fn pprint(state: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(format!("{:?}", sorted(state, value, 0)?).into())
}

/// The value with its tables in the order of their keys.
fn sorted(state: &State, value: &Value, depth: usize) -> Result<Value, Error> {
    state.consume_fuel(1)?;
    if depth > DEEPEST {
        return Err(fail("values in values, too deep to show"));
    }
    match value.kind() {
        ValueKind::Map => {
            let mut pairs = pairs("pprint", value)?;
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key, sorted(state, &value, depth + 1)?)));
            Ok(Value::from_pairs(pairs.collect::<Result<Vec<(Value, Value)>, Error>>()?))
        }
        ValueKind::Seq if !value.is_tuple() => {
            let items = value.try_iter()?.checked().map(|item| sorted(state, &item?, depth + 1));
            Ok(Value::from(items.collect::<Result<Vec<_>, _>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// `type_debug`: the name of a value's type in Python.
pub fn type_debug(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(Value::from(match value.kind() {
        ValueKind::Undefined => "Undefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq if value.is_tuple() => "tuple",
        ValueKind::Map => "dict",
        _ => "list",
    }))
}
