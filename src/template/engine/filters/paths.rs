//! Paths as texts. What would look at the machine's files is refused.

use minijinja::value::Tuple;
use minijinja::{Error, State, Value};

use super::super::args::{Args, fail};

/// `basename`.
pub fn basename(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    Ok(path.rsplit('/').next().unwrap_or_default().into())
}

/// `dirname`.
pub fn dirname(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    let directory = path.rfind('/').map_or("", |slash| &path[..=slash]);
    let plain = directory.trim_end_matches('/');
    Ok(if plain.is_empty() { directory } else { plain }.into())
}

/// `splitext`.
pub fn splitext(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dots = path[name..].len() - path[name..].trim_start_matches('.').len();
    let dot = path[name + dots..].rfind('.').map_or(path.len(), |dot| name + dots + dot);
    Ok(Value::from(Tuple::from([Value::from(&path[..dot]), Value::from(&path[dot..])])))
}

/// `relpath`, of paths that need no directory to start from.
pub fn relpath(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    let start = args.text(0, "start")?.unwrap_or_else(|| ".".to_owned());
    if path.starts_with('/') != start.starts_with('/') {
        return Err(fail(
            "relpath of an absolute path depends on the machine; give it a `start` that is absolute, too",
        ));
    }
    let (path, start) = (normal(&path), normal(&start));
    let shared = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    if start[shared..].iter().any(|name| *name == "..") {
        return Err(fail("relpath from a directory above depends on the machine"));
    }
    let up = start[shared..].iter().map(|_| "..");
    let names: Vec<&str> = up.chain(path[shared..].iter().map(String::as_str)).collect();
    Ok(if names.is_empty() { ".".to_owned() } else { names.join("/") }.into())
}

fn normal(path: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| last != "..") => {
                names.pop();
            }
            ".." if path.starts_with('/') => {}
            _ => names.push(name.to_owned()),
        }
    }
    names
}

/// `win_basename`.
pub fn win_basename(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    Ok(drive(&path).1.rsplit(['/', '\\']).next().unwrap_or_default().into())
}

/// `win_dirname`.
pub fn win_dirname(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    let (drive, rest) = drive(&path);
    let directory = rest.rfind(['/', '\\']).map_or("", |slash| &rest[..=slash]);
    let plain = directory.trim_end_matches(['/', '\\']);
    Ok(format!("{drive}{}", if plain.is_empty() { directory } else { plain }).into())
}

/// `win_splitdrive`.
pub fn win_splitdrive(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let path = value.to_string();
    let (drive, rest) = drive(&path);
    Ok(Value::from(Tuple::from([Value::from(drive), Value::from(rest)])))
}

fn drive(path: &str) -> (&str, &str) {
    if path.as_bytes().get(1) == Some(&b':') && path.is_char_boundary(2) { path.split_at(2) } else { ("", path) }
}

/// `pathjoin` of Copier: a path that begins at the root starts anew.
pub fn pathjoin(parts: &[String], windows: bool) -> String {
    let separator = if windows { '\\' } else { '/' };
    let mut names: Vec<&str> = Vec::new();
    let mut root = false;
    for part in parts {
        let slash = |c: char| c == '/' || (windows && c == '\\');
        if part.starts_with(slash) {
            names.clear();
            root = true;
        }
        names.extend(part.split(slash).filter(|name| !matches!(*name, "" | ".")));
    }
    let joined = names.join(&separator.to_string());
    match (root, joined.is_empty()) {
        (true, _) => format!("{separator}{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
