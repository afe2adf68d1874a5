//! Methods of Python's values that templates call: those that minijinja's compatibility lacks or has otherwise.

use minijinja::value::{Kwargs, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::args::{Args, fail, items};
use super::format;

/// The most characters that padding makes.
const WIDEST: usize = 100_000;

/// Calls a method that the value itself does not have.
pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let found = match value.kind() {
        ValueKind::String => string(state, value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Map => table(state, value, method, args)?,
        ValueKind::Seq | ValueKind::Iterable => list(value, method, args)?,
        ValueKind::Number => number(value, method),
        _ => None,
    };
    match found {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
            .map_err(|error| named(error, value, method)),
    }
}

/// An unknown method is said with its value's type.
fn named(error: Error, value: &Value, method: &str) -> Error {
    if error.kind() == ErrorKind::UnknownMethod && error.detail().is_none() {
        return Error::new(ErrorKind::UnknownMethod, format!("{} has no method named {method}", value.kind()));
    }
    error
}

fn string(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method == "format" {
        return format::braces(state, text, args).map(Some);
    }
    if method == "format_map" {
        let table = Args::new(method, args, 1)?.need(0, "mapping")?;
        let pairs = table.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
        let pairs = pairs.ok_or_else(|| fail("format_map needs a dict"))?;
        let named: Kwargs = pairs.map(|(key, value)| (key.to_string(), value)).collect();
        return format::braces(state, text, &[named.into()]).map(Some);
    }
    let args = Args::new(method, args, 3)?;
    Ok(Some(match method {
        "split" => split(text, &args, false)?,
        "rsplit" => split(text, &args, true)?,
        "splitlines" => lines(text, args.flag(0, "keepends")),
        "partition" | "rpartition" => {
            let separator = args.need(0, "sep")?.to_string();
            if separator.is_empty() {
                return Err(fail("empty separator"));
            }
            let last = method == "rpartition";
            let parts = if last { text.rsplit_once(&*separator) } else { text.split_once(&*separator) };
            let (before, middle, after) = match parts {
                Some((before, after)) => (before, &*separator, after),
                None if last => ("", "", text),
                None => (text, "", ""),
            };
            Value::from(Tuple::from([before.into(), middle.into(), after.into()]))
        }
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            let missing = missing(state, text, &args)?;
            format!("{sign}{}{digits}", "0".repeat(missing)).into()
        }
        "ljust" => format!("{text}{}", fill(missing(state, text, &args)?, &args)?).into(),
        "rjust" => format!("{}{text}", fill(missing(state, text, &args)?, &args)?).into(),
        "center" => {
            let missing = missing(state, text, &args)?;
            let width = missing + text.chars().count();
            // As Python does it: of an odd rest, the larger half goes left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", fill(left, &args)?, fill(missing - left, &args)?).into()
        }
        "expandtabs" => tabs(state, text, args.int(0, "tabsize")?.unwrap_or(8))?,
        "casefold" => text.chars().flat_map(casefold).collect::<String>().into(),
        "swapcase" => text.chars().flat_map(swapped).collect::<String>().into(),
        "title" => title(text).into(),
        "capitalize" => capitalize(text).into(),
        "removeprefix" => text.strip_prefix(&*args.need(0, "prefix")?.to_string()).unwrap_or(text).into(),
        "removesuffix" => text.strip_suffix(&*args.need(0, "suffix")?.to_string()).unwrap_or(text).into(),
        "index" | "rindex" => {
            let wanted = args.need(0, "sub")?.to_string();
            let found = if method == "index" { text.find(&wanted) } else { text.rfind(&wanted) };
            let found = found.ok_or_else(|| fail("substring not found"))?;
            Value::from(text[..found].chars().count())
        }
        "isidentifier" => {
            let name = |(i, c): (usize, char)| c == '_' || c.is_alphabetic() || (i > 0 && c.is_numeric());
            Value::from(!text.is_empty() && text.chars().enumerate().all(name))
        }
        "isdecimal" => Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
        "isprintable" => Value::from(!text.chars().any(char::is_control)),
        "istitle" => Value::from(text.chars().any(char::is_alphabetic) && title(text) == text),
        "join" => {
            let mut out = String::new();
            for (i, item) in items("join", &args.need(0, "iterable")?)?.into_iter().enumerate() {
                let Some(item) = item.as_str() else {
                    return Err(fail(format!("sequence item {i}: expected str, found {}", item.kind())));
                };
                state.consume_fuel(((item.len() + text.len()) / 64) as u64)?;
                if i > 0 {
                    out.push_str(text);
                }
                out.push_str(item);
            }
            out.into()
        }
        _ => return Ok(None),
    }))
}

/// Parts of a text: between separators, or between blanks.
fn split(text: &str, args: &Args<'_>, from_the_end: bool) -> Result<Value, Error> {
    let most = args.int(1, "maxsplit")?.and_then(|most| usize::try_from(most).ok());
    let parts: Vec<&str> = match (args.text(0, "sep")?, from_the_end) {
        (Some(separator), _) if separator.is_empty() => return Err(fail("empty separator")),
        (Some(separator), false) => match most {
            Some(most) => text.splitn(most + 1, separator.as_str()).collect::<Vec<_>>(),
            None => text.split(separator.as_str()).collect(),
        },
        (Some(separator), true) => {
            let mut parts: Vec<&str> = match most {
                Some(most) => text.rsplitn(most + 1, separator.as_str()).collect(),
                None => text.rsplit(separator.as_str()).collect(),
            };
            parts.reverse();
            parts
        }
        (None, false) => words(text, most),
        (None, true) => words_from_the_end(text, most),
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

fn words(text: &str, most: Option<usize>) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if most.is_some_and(|most| parts.len() >= most) {
            parts.push(rest);
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    parts
}

fn words_from_the_end(text: &str, most: Option<usize>) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        if most.is_some_and(|most| parts.len() >= most) {
            parts.push(rest);
            break;
        }
        let start = rest.char_indices().rfind(|(_, c)| c.is_whitespace()).map_or(0, |(i, c)| i + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end();
    }
    parts.reverse();
    parts
}

/// The lines of a text, at every end of line that Python knows.
fn lines(text: &str, keep_ends: bool) -> Value {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let ends = matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if !ends {
            continue;
        }
        let mut end = i + c.len_utf8();
        if c == '\r' && chars.next_if(|(_, c)| *c == '\n').is_some() {
            end += 1;
        }
        lines.push(Value::from(if keep_ends { &text[start..end] } else { &text[start..i] }));
        start = end;
    }
    if start < text.len() {
        lines.push(Value::from(&text[start..]));
    }
    Value::from(lines)
}

/// How many characters a text lacks of a width.
fn missing(state: &State, text: &str, args: &Args<'_>) -> Result<usize, Error> {
    let width = usize::try_from(args.int(0, "width")?.unwrap_or(0)).unwrap_or(0);
    if width > WIDEST {
        return Err(fail(format!("a width of more than {WIDEST} characters")));
    }
    state.consume_fuel((width / 64) as u64)?;
    Ok(width.saturating_sub(text.chars().count()))
}

fn fill(count: usize, args: &Args<'_>) -> Result<String, Error> {
    let fill = args.text(1, "fillchar")?.unwrap_or_else(|| " ".to_owned());
    if fill.chars().count() != 1 {
        return Err(fail("the fill character must be exactly one character long"));
    }
    Ok(fill.repeat(count))
}

fn tabs(state: &State, text: &str, size: i64) -> Result<Value, Error> {
    let size = usize::try_from(size).unwrap_or(0).min(1000);
    state.consume_fuel((text.matches('\t').count() * size / 64) as u64)?;
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(out.into())
}

fn casefold(c: char) -> Box<dyn Iterator<Item = char>> {
    match c {
        'ß' | 'ẞ' => Box::new("ss".chars()),
        'ς' => Box::new("σ".chars()),
        _ => Box::new(c.to_lowercase()),
    }
}

fn swapped(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_uppercase() { Box::new(c.to_lowercase()) } else { Box::new(c.to_uppercase()) }
}

/// Every word with a capital, as `str.title` does it: a word begins after whatever is no letter.
fn title(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

/// The first letter large, all others small.
fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
}

fn table(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    // A key may be called as a method is; then it is meant where nothing is called.
    Ok(match method {
        "copy" => Some(value.clone()),
        "update" | "pop" | "setdefault" | "clear" | "popitem" => return Err(unchangeable("dict", method)),
        "keys" | "values" | "items" => {
            Args::new(method, args, 0)?;
            let pairs = value.as_object().and_then(minijinja::value::DynObject::try_iter_pairs);
            let mut all = Vec::new();
            for (key, value) in pairs.into_iter().flatten() {
                state.consume_fuel(1)?;
                all.push(match method {
                    "keys" => key,
                    "values" => value,
                    _ => Value::from(Tuple::from([key, value])),
                });
            }
            Some(Value::from(all))
        }
        _ => None,
    })
}

fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(match method {
        "copy" => Some(value.clone()),
        "index" => {
            let wanted = Args::new(method, args, 1)?.need(0, "value")?;
            let found = items(method, value)?.iter().position(|item| *item == wanted);
            Some(Value::from(found.ok_or_else(|| fail(format!("{wanted} is not in list")))?))
        }
        "append" | "extend" | "insert" | "pop" | "remove" | "sort" | "reverse" | "clear" => {
            return Err(unchangeable("list", method));
        }
        _ => None,
    })
}

fn unchangeable(kind: &str, method: &str) -> Error {
    fail(format!("{method} changes a {kind} that was not made in this template; only those can be changed"))
}

fn number(value: &Value, method: &str) -> Option<Value> {
    match method {
        "is_integer" => {
            Some(Value::from(value.is_integer() || f64::try_from(value.clone()).is_ok_and(|f| f.fract() == 0.0)))
        }
        "bit_length" => {
            let number = i128::try_from(value.clone()).ok()?;
            Some(Value::from(u128::BITS - number.unsigned_abs().leading_zeros()))
        }
        _ => None,
    }
}
