//! What a project's `onramp.toml` says of a block: the version that it must be compatible with, and the answers.

use serde_json::{Map, Value};
use toml_edit::{InlineTable, Item, TableLike};

use crate::blocks::Error;
use crate::blocks::layer::{edit, to_edit};
use crate::name::Name;
use crate::project::lock::{to_json, to_toml};
use crate::project::manifest::{self, BlockUse};
use crate::version::Version;

/// An `onramp.toml` without what it says of blocks.
pub(super) fn without_all(text: &str) -> Result<String, Error> {
    let mut document = edit(text, manifest::FILE)?;
    document.remove("blocks");
    Ok(document.to_string())
}

/// An `onramp.toml` without what it says of one block.
pub fn without(text: &str, name: &Name) -> Result<String, Error> {
    let mut document = edit(text, manifest::FILE)?;
    if let Some(blocks) = document.get_mut("blocks").and_then(Item::as_table_like_mut) {
        blocks.remove(name.as_str());
        if blocks.is_empty() {
            document.remove("blocks");
        }
    }
    Ok(document.to_string())
}

/// An `onramp.toml` that says of a block what is the case now. What was right already stays as its author wrote it.
pub(super) fn renewed(
    text: &str,
    name: &Name,
    version: &Version,
    answers: &Map<String, Value>,
) -> Result<String, Error> {
    let mut document = edit(text, manifest::FILE)?;
    let record = document.get_mut("blocks").and_then(Item::as_table_like_mut);
    let Some(record) = record.and_then(|blocks| blocks.get_mut(name.as_str())).and_then(Item::as_table_like_mut) else {
        return Ok(text.to_owned());
    };
    let declared = record.get("version").and_then(Item::as_str).unwrap_or_default();
    if let Some(semantic) = version.semantic()
        && !declared.parse::<semver::VersionReq>().is_ok_and(|declared| declared.matches(semantic))
    {
        let text = if semantic.pre.is_empty() {
            format!("{}.{}", semantic.major, semantic.minor)
        } else {
            semantic.to_string()
        };
        replace(record, "version", text.into());
    }
    if record.get("answers").is_none() && !answers.is_empty() {
        record.insert("answers", Item::Value(InlineTable::new().into()));
    }
    if let Some(kept) = record.get_mut("answers").and_then(Item::as_table_like_mut) {
        let asked = |id: &str| answers.contains_key(id);
        let stale: Vec<String> = kept.iter().map(|(id, _)| id.to_owned()).filter(|id| !asked(id)).collect();
        for id in stale {
            kept.remove(&id);
        }
        for (id, answer) in answers {
            let said = kept.get(id).and_then(plain);
            match to_toml(answer) {
                Some(answer) if said.as_ref() != Some(&answer) => replace(kept, id, to_edit(&answer)),
                Some(_) => {}
                None => {
                    kept.remove(id);
                }
            }
        }
        if kept.is_empty() {
            record.remove("answers");
        }
    }
    Ok(document.to_string())
}

/// The answers that `onramp.toml` gives otherwise than the lock.
pub fn differing(declared: &BlockUse, locked: &Map<String, Value>) -> Map<String, Value> {
    let declared = declared.answers.iter().map(|(id, answer)| (id.clone(), to_json(answer)));
    declared.filter(|(id, answer)| locked.get(id) != Some(answer)).collect()
}

/// A value, and around it what stood around the old one.
fn replace(table: &mut dyn TableLike, key: &str, mut value: toml_edit::Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

fn plain(item: &Item) -> Option<toml::Value> {
    let text = format!("x = {}", item.clone().into_value().ok()?.decorated("", ""));
    toml::from_str::<toml::Table>(&text).ok()?.remove("x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_right_stays_as_it_was_written() {
        let text = "# mine\nschema = 1\nname = \"shop\"\n\n[blocks.web] # ours\nversion = \"1\"   # any\nanswers = { php = \"8.2\", old = 1 }\n\n[blocks.web.x]\n";
        let text = text.replace("\n[blocks.web.x]\n", "");
        let name = "web".parse().unwrap();
        let renew = |version: &str, answers: Value| {
            renewed(&text, &name, &version.to_owned().into(), answers.as_object().unwrap()).unwrap()
        };
        let (php, new) = (json!({ "php": "8.2", "old": 1 }), json!({ "php": "8.3", "list": ["a"], "none": null }));
        assert_eq!(renew("1.9.0", php.clone()), text);
        assert_eq!(renew("2.1.3", php), text.replace("\"1\"", "\"2.1\""));
        assert_eq!(
            renew("1.0.0", new),
            text.replace("{ php = \"8.2\", old = 1 }", "{ php = \"8.3\", list = [\"a\"] }"),
        );
        assert_eq!(without(&text, &name).unwrap(), "# mine\nschema = 1\nname = \"shop\"\n");
        assert_eq!(renewed("schema = 1\n", &name, &"1.0.0".to_owned().into(), &Map::new()).unwrap(), "schema = 1\n");
    }
}
