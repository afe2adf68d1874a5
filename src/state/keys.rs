//! Edits of the keys of services that are declared: comments, order and everything else stay; the result is parsed again and
//! compared with what was meant.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use similar::{Algorithm, capture_diff_slices};
use toml_edit::{DocumentMut, InlineTable, Item};

use super::environment;
use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::project::service::Service;

/// A key of a service, or one variable of its `env`, and what it becomes; none takes it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The service.
    pub service: Name,
    /// The key; `env` with the variable's name.
    pub key: Key,
    /// What it becomes, as a service is written in JSON.
    pub value: Option<Value>,
}

/// Which key of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `port`, `needs`.
    Of(String),
    /// A variable in `env`.
    Variable(String),
}

/// The text with these settings made, so that it declares exactly `meant`.
///
/// Fails where the text is no valid declaration, or where its shape leaves no place for a setting.
pub fn apply(
    path: &Path,
    text: &str,
    settings: &[Setting],
    meant: &BTreeMap<Name, Service>,
) -> Result<String, DocumentError> {
    if settings.is_empty() {
        return Ok(text.to_owned());
    }
    environment::check(path, text)?;
    let impossible = || {
        let message = "write the services as [services.<name>] tables; the settings that change cannot be put there";
        document::wrong_at(path, text, "services", message)
    };
    let mut document: DocumentMut = text.parse().map_err(|_| impossible())?;
    for setting in settings {
        let service = document
            .get_mut("services")
            .and_then(Item::as_table_like_mut)
            .and_then(|services| services.get_mut(setting.service.as_str()))
            .ok_or_else(impossible)?;
        let value = setting.value.as_ref();
        let done = match &setting.key {
            Key::Of(key) => put(service, key, value),
            Key::Variable(name) => service.as_table_like_mut().and_then(|service| {
                let empty = || Item::Value(InlineTable::new().into());
                put(service.entry("env").or_insert_with(empty), name, value)
            }),
        };
        done.ok_or_else(impossible)?;
    }
    let edited = with_line_ends(text, &document.to_string());
    match environment::check(path, &edited) {
        Ok(result) if result == *meant => Ok(edited),
        Ok(_) | Err(_) => Err(impossible()),
    }
}

/// The new text with the line ends of the old one: what stays has those that it had, what is new that of the line in whose place it
/// is, or of the one before it.
fn with_line_ends(old: &str, new: &str) -> String {
    fn lines(text: &str) -> (Vec<&str>, Vec<&str>) {
        let parts = |line| {
            let content = str::trim_end_matches(line, ['\r', '\n']);
            line.split_at(content.len())
        };
        text.split_inclusive('\n').map(parts).unzip()
    }
    if !old.contains('\r') {
        return new.to_owned();
    }
    let ((before, ends), (after, new_ends)) = (lines(old), lines(new));
    let (mut text, mut last) = (String::with_capacity(old.len()), ends.first().copied().unwrap_or("\n"));
    for operation in capture_diff_slices(Algorithm::Myers, &before, &after) {
        let (from, to) = (operation.old_range(), operation.new_range());
        for (i, line) in to.clone().enumerate() {
            if let Some(end) = from.clone().nth(i).map(|at| ends[at]).filter(|end| !end.is_empty()) {
                last = end;
            }
            text.push_str(after[line]);
            text.push_str(if new_ends[line].is_empty() { "" } else { last });
        }
    }
    text
}

/// Sets a key where it stands, with what is written around it, or after the others.
fn put(table: &mut Item, key: &str, value: Option<&Value>) -> Option<()> {
    // Between braces the blank before the last one is written after the last value.
    let inline = table.is_inline_table();
    let table = table.as_table_like_mut()?;
    let Some(value) = value else {
        let last = table.iter().last().is_some_and(|(name, _)| name == key);
        let gone = table.remove(key);
        if inline
            && last
            && let Some(before) = table.iter_mut().last().and_then(|(_, item)| item.as_value_mut())
        {
            let after = gone.as_ref().and_then(Item::as_value).and_then(|gone| gone.decor().suffix().cloned());
            before.decor_mut().set_suffix(after.unwrap_or_default());
        }
        return Some(());
    };
    let mut new = toml(value);
    if let Some(old) = table.get_mut(key) {
        if let Some(decor) = old.as_value().map(|old| old.decor().clone()) {
            *new.decor_mut() = decor;
        }
        *old = Item::Value(new);
        return Some(());
    }
    if inline && let Some(last) = table.iter_mut().last().and_then(|(_, last)| last.as_value_mut()) {
        let after = last.decor().suffix().cloned().unwrap_or_default();
        last.decor_mut().set_suffix("");
        *new.decor_mut() = toml_edit::Decor::new(" ", after);
    }
    table.insert(key, Item::Value(new));
    Some(())
}

/// A value of JSON as TOML has it. Nothing of a service is null within something.
fn toml(value: &Value) -> toml_edit::Value {
    match value {
        Value::Null => String::new().into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.into(),
        Value::Array(values) => toml_edit::Value::Array(values.iter().map(toml).collect()),
        Value::Object(fields) => {
            toml_edit::Value::InlineTable(fields.iter().map(|(key, value)| (key, toml(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reference::Digest;

    fn declaration() -> String {
        format!(
            "# ours\nschema = 1\n\n[services.web]   # the page\nimage = \"r.test/a@{}\"\nport = 80 # http\nneeds = [\"db\"]\nenv = {{ A = \"1\", B = \"2\" }}\n\n[services.db]\nimage = \"r.test/b@{}\"\n",
            Digest::of(b"a"),
            Digest::of(b"b")
        )
    }

    fn run(text: &str, settings: &[(Key, Option<Value>)]) -> Result<String, DocumentError> {
        let web: Name = "web".parse().unwrap();
        let path = Path::new("environments/test/shop.toml");
        let mut meant = serde_json::to_value(environment::check(path, text).unwrap()).unwrap();
        let mut all = Vec::new();
        for (key, value) in settings {
            let (place, name) = match key {
                Key::Of(name) => (&mut meant["web"], name),
                Key::Variable(name) => (&mut meant["web"]["env"], name),
            };
            match value {
                Some(value) => place[name.as_str()] = value.clone(),
                None => drop(place.as_object_mut().unwrap().shift_remove(name)),
            }
            all.push(Setting { service: web.clone(), key: key.clone(), value: value.clone() });
        }
        apply(path, text, &all, &serde_json::from_value(meant).unwrap())
    }

    fn of(key: &str) -> Key {
        Key::Of(key.to_owned())
    }

    fn variable(name: &str) -> Key {
        Key::Variable(name.to_owned())
    }

    #[test]
    fn only_what_is_meant_changes() {
        let text = declaration();
        let new = run(
            &text,
            &[
                (of("port"), Some(json!(8080))),
                (of("needs"), None),
                (of("ready"), Some(json!({ "http": "/health" }))),
                (variable("A"), Some(json!("one"))),
                (variable("B"), None),
                (variable("C"), Some(json!({ "secret": "shop/c" }))),
            ],
        );
        let digests = [Digest::of(b"a").to_string(), Digest::of(b"b").to_string()];
        let new = new.unwrap().replace(&digests[0], "A").replace(&digests[1], "B");
        insta::assert_snapshot!(new, @r#"
        # ours
        schema = 1

        [services.web]   # the page
        image = "r.test/a@A"
        port = 8080 # http
        env = { A = "one", C = { secret = "shop/c" } }
        ready = { http = "/health" }

        [services.db]
        image = "r.test/b@B"
        "#);
    }

    #[test]
    fn line_ends_and_shapes_are_kept() {
        let windows = declaration().replace('\n', "\r\n");
        let new = run(&windows, &[(of("port"), Some(json!(81)))]).unwrap();
        assert_eq!(new, windows.replace("port = 80", "port = 81"));
        // One line that ends so does not make all others end so.
        let mixed = declaration().replace("# ours\n", "# ours\r\n").replace("# http\n", "# http\r\n");
        let new = run(&mixed, &[(of("port"), Some(json!(81))), (of("user"), Some(json!("app")))]).unwrap();
        let env = "env = { A = \"1\", B = \"2\" }\n";
        let expected = mixed.replace("port = 80", "port = 81").replace(env, &format!("{env}user = \"app\"\n"));
        assert_eq!(new, expected);
        let tables = format!("{}\n[services.web.limits]\nmemory = \"1GiB\"\n", declaration());
        let new = run(&tables, &[(variable("A"), Some(json!("x|`y`")))]).unwrap();
        assert_eq!(new, tables.replace("A = \"1\"", "A = \"x|`y`\""));
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_put_in_and_nothing_else_moves(value in "\\PC{0,20}", port in 1_u16..9999) {
            let new = run(&declaration(), &[(variable("A"), Some(json!(value))), (of("port"), Some(json!(port)))]).unwrap();
            let lines = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.starts_with("env =") && !line.starts_with("port =")).map(str::to_owned).collect()
            };
            if !value.contains(['\n', '\u{2028}', '\u{2029}', '\u{85}']) {
                proptest::prop_assert_eq!(lines(&new), lines(&declaration()));
            }
        }
    }
}
