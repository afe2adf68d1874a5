//! Python's two ways of putting values into a text: `"%s" % x` and `"{}".format(x)`.

mod braces;

use std::collections::BTreeMap;

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

pub use self::braces::braces;
use super::args::fail;

/// The most characters that a width or precision may ask for.
const WIDEST: usize = 10_000;

/// `left % right`: of a text, its places are filled; of numbers, the remainder.
pub fn percent(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    let Some(text) = left.as_str() else {
        return remainder(left, right);
    };
    let args: Vec<Value> = match right.kind() {
        ValueKind::Seq if right.is_tuple() => right.try_iter()?.collect(),
        ValueKind::Undefined => return Err(Error::new(minijinja::ErrorKind::UndefinedError, "in `%`")),
        _ => vec![right.clone()],
    };
    let (text, args) = shown(text, args);
    let (text, args) = plain_keys(text, args)?;
    guard(state, &text, &args)?;
    if right.kind() != ValueKind::Map && places(&text) < args.len() {
        return Err(fail("not all arguments converted during string formatting"));
    }
    format(FormatStyle::Printf, &text, &args).map(Value::from)
}

/// Refuses what would make a huge text of a short one.
fn guard(state: &State, text: &str, args: &[Value]) -> Result<(), Error> {
    let specs = printf_specs(text);
    let mut widest = 0;
    for number in specs.iter().flat_map(|spec| spec.split(|c: char| !c.is_ascii_digit())).filter(|n| !n.is_empty()) {
        widest = widest.max(number.parse::<usize>().unwrap_or(usize::MAX));
    }
    if specs.iter().any(|spec| spec.contains('*')) {
        let numbers = args.iter().filter_map(Value::as_i64);
        let largest = numbers.map(i64::unsigned_abs).max().unwrap_or(0);
        widest = widest.max(usize::try_from(largest).unwrap_or(usize::MAX));
    }
    if widest > WIDEST {
        return Err(fail(format!("a width of more than {WIDEST} characters")));
    }
    state.consume_fuel((specs.len() as u64).saturating_mul(widest as u64) / 64)
}

/// The part of a text before a character; all of it where the character is missing.
fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(before, _)| before)
}

/// Gives other names to the keys of `%(key)s` that are not ASCII: the library reads keys byte by byte, and ends in the middle
/// of a character.
fn plain_keys(text: String, args: Vec<Value>) -> Result<(String, Vec<Value>), Error> {
    let keys = text.split("%(").skip(1).map(|rest| before(rest, ')'));
    if keys.clone().all(str::is_ascii) {
        return Ok((text, args));
    }
    let [map] = args.as_slice() else { return Err(fail("format requires a mapping")) };
    let (mut out, mut values, mut rest, mut count) = (String::new(), BTreeMap::new(), text.as_str(), 0);
    while let Some((literal, after)) = rest.split_once('%') {
        out.extend([literal, "%"]);
        if let Some(tail) = after.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        let Some(named) = after.strip_prefix('(') else {
            rest = after;
            continue;
        };
        let (key, tail) = named.split_once(')').ok_or_else(|| fail("incomplete format key"))?;
        let name = format!("key{count}");
        out.push_str(&format!("({name})"));
        count += 1;
        // What is not there stays missing, which is an error as in Python.
        let value = map.get_item(&Value::from(key))?;
        values.extend((!value.is_undefined()).then_some((name, value)));
        rest = tail;
    }
    out.push_str(rest);
    Ok((out, vec![Value::from(values)]))
}

/// What stands between each `%` and its conversion.
fn printf_specs(text: &str) -> Vec<&str> {
    let after = text.split('%').skip(1).map(|rest| match rest.strip_prefix('(') {
        Some(named) => named.split_once(')').map_or("", |(_, rest)| rest),
        None => rest,
    });
    after.map(|rest| &rest[..rest.find(|c: char| c.is_alphabetic()).unwrap_or(rest.len())]).collect()
}

/// `%r` shows a value as a template would write it: here, it is shown first and then put in as `%s`.
fn shown(text: &str, mut args: Vec<Value>) -> (String, Vec<Value>) {
    let mut out = String::with_capacity(text.len());
    let mut next = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend([before, "%"]);
        let named = after.starts_with('(');
        let end = if named { after.find(')').map_or(after.len(), |end| end + 1) } else { 0 };
        let length = after[end..].find(|c: char| c.is_ascii_alphabetic() || c == '%').map_or(after.len(), |n| end + n);
        let (spec, tail) = after.split_at(length);
        out.push_str(spec);
        next += spec.matches('*').count();
        rest = tail;
        let Some(conversion) = tail.chars().next() else { break };
        rest = &tail[conversion.len_utf8()..];
        if conversion == 'r' && !named {
            if let Some(arg) = args.get_mut(next) {
                *arg = Value::from(format!("{arg:?}"));
            }
            out.push('s');
        } else {
            out.push(conversion);
        }
        next += usize::from(conversion != '%');
    }
    out.push_str(rest);
    (out, args)
}

/// How many values a text takes, at least.
fn places(text: &str) -> usize {
    let mut count = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' || chars.next_if_eq(&'%').is_some() {
            continue;
        }
        count += 1;
        while let Some(c) = chars.next_if(|c| !c.is_ascii_alphabetic() && *c != '%') {
            count += usize::from(c == '*');
        }
    }
    count
}

/// The remainder, with the sign of the divisor.
fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    let cannot = || fail(format!("`%` takes numbers or a text, not {} and {}", left.kind(), right.kind()));
    if left.is_undefined() || right.is_undefined() {
        return Err(Error::new(minijinja::ErrorKind::UndefinedError, "in `%`"));
    }
    if !is_number(left) || !is_number(right) {
        return Err(cannot());
    }
    if let (Ok(a), Ok(b)) = (i128::try_from(left.clone()), i128::try_from(right.clone()))
        && left.is_integer()
        && right.is_integer()
    {
        let rest = a.checked_rem(b).ok_or_else(|| fail("modulo by zero"))?;
        return Ok(Value::from(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }));
    }
    let (Ok(a), Ok(b)) = (f64::try_from(left.clone()), f64::try_from(right.clone())) else { return Err(cannot()) };
    if b == 0.0 {
        return Err(fail("modulo by zero"));
    }
    let rest = a % b;
    Ok(Value::from(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
}

fn is_number(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
}
