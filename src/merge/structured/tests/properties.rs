//! What holds for all documents: every value that either side wrote is there or clashes, and no comment is lost.

use proptest::prelude::*;

use super::super::*;

/// A document: keys with scalars, lists of scalars, and maps.
fn document(depth: u32) -> BoxedStrategy<Value> {
    let scalar = prop::sample::select(vec!["1", "2", "3"]).prop_map(|text| Value::Scalar(text.to_owned()));
    let list = prop::sample::subsequence(vec!["7", "8", "9"], 1..=3)
        .prop_map(|list| Value::List(list.into_iter().map(|text| Value::Scalar(text.to_owned())).collect()));
    let leaf = prop_oneof![3 => scalar, 1 => list];
    let value = if depth == 0 { leaf.boxed() } else { prop_oneof![2 => leaf, 1 => document(depth - 1)].boxed() };
    let keys = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..=5).prop_shuffle();
    (keys, prop::collection::vec(value, 5))
        .prop_map(|(keys, values)| Value::Map(keys.into_iter().map(str::to_owned).zip(values).collect()))
        .boxed()
}

/// Writes a document in a format; with a comment on every key.
fn write(format: Format, value: &Value, indent: &str, comment: &str, path: &str, out: &mut String) {
    let Value::Map(map) = value else { return };
    let inline = |value: &Value| match value {
        Value::List(list) => {
            let list: Vec<&str> =
                list.iter().map(|one| if let Value::Scalar(text) = one { text.as_str() } else { "" }).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Scalar(text) => text.clone(),
        Value::Map(_) => String::new(),
    };
    let (maps, leaves): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| value.map().is_some());
    match format {
        Format::Json => {
            let inner = format!("{indent}  ");
            let members: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    let mut text = inline(value);
                    if value.map().is_some() {
                        write(format, value, &inner, comment, "", &mut text);
                    }
                    format!("{inner}\"{key}\": {text}")
                })
                .collect();
            *out += &format!("{{\n{}\n{indent}}}", members.join(",\n"));
        }
        Format::Toml => {
            for (key, value) in leaves {
                *out += &format!("{key} = {}{comment}\n", inline(value));
            }
            for (key, value) in maps {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                *out += &format!("\n[{path}]{comment}\n");
                write(format, value, "", comment, &path, out);
            }
        }
        _ => {
            for (key, value) in map {
                match value {
                    Value::Map(_) => {
                        *out += &format!("{indent}{key}:{comment}\n");
                        write(format, value, &format!("{indent}  "), comment, "", out);
                    }
                    Value::List(list) => {
                        *out += &format!("{indent}{key}:{comment}\n");
                        for one in list {
                            *out += &format!("{indent}- {}\n", inline(one));
                        }
                    }
                    Value::Scalar(text) => *out += &format!("{indent}{key}: {text}{comment}\n"),
                }
            }
        }
    }
}

/// The merge, said once more and plainly: which keys clash, and the rest.
fn model(base: Option<&Value>, theirs: &Value, mine: &Value, path: &str, clashes: &mut Vec<String>) -> Value {
    let mut keys: Vec<&String> =
        [theirs, mine].iter().flat_map(|side| side.map().unwrap().iter().map(|(key, _)| key)).collect();
    keys.sort();
    keys.dedup();
    let mut merged = Vec::new();
    for key in keys {
        let (old, new, own) = (base.and_then(|base| base.get(key)), theirs.get(key), mine.get(key));
        let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        let value = match (old, new, own) {
            _ if new == old || new == own => own.cloned(),
            (_, Some(new @ Value::Map(_)), Some(own @ Value::Map(_))) => Some(model(old, new, own, &path, clashes)),
            (Some(Value::List(old)), Some(Value::List(new)), Some(Value::List(own))) => {
                let has = |one: &&str| {
                    let one = &Value::Scalar((*one).to_owned());
                    if old.contains(one) {
                        new.contains(one) && own.contains(one)
                    } else {
                        new.contains(one) || own.contains(one)
                    }
                };
                let all = ["7", "8", "9"].iter().filter(|one| has(one)).map(|one| Value::Scalar((*one).to_owned()));
                Some(Value::List(all.collect()))
            }
            _ if own == old => new.cloned(),
            _ => {
                clashes.push(path);
                own.cloned()
            }
        };
        merged.extend(value.map(|value| (key.clone(), value)));
    }
    Value::Map(merged)
}

/// A value with its lists in one order: where both sides add, either may come first.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            list.sort_by_key(|one| format!("{one:?}"));
            Value::List(list)
        }
        Value::Map(map) => Value::Map(map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect()),
        Value::Scalar(text) => Value::Scalar(text.trim().to_owned()),
    }
}

fn value_in(format: Format, text: &str) -> Value {
    sorted(&match format {
        Format::Json => json::Json::read(text).unwrap().value(),
        Format::Toml => toml::Toml::read(text).unwrap().value(),
        _ => yaml::Yaml::read(text).unwrap().value(),
    })
}

proptest! {
    #[test]
    fn every_value_is_there(
        values in prop::array::uniform3(document(2)),
        format in prop::sample::select(vec![Format::Json, Format::Toml, Format::Yaml])
    ) {
        let [base, theirs, mine] = &values;
        let text = |value, comment| {
            let mut text = String::new();
            write(format, value, "", if format == Format::Json { "" } else { comment }, "", &mut text);
            text + if format == Format::Json { "\n" } else { "" }
        };
        let texts = [text(base, ""), text(theirs, ""), text(mine, "")];
        let mut clashes = Vec::new();
        let wanted = sorted(&model(Some(base), theirs, mine, "", &mut clashes));
        let texts = texts.each_ref().map(String::as_str);
        match merge(format, texts, None) {
            Some(Merged::Clean(text)) => {
                prop_assert!(clashes.is_empty());
                prop_assert_eq!(value_in(format, &text), wanted, "{}", text);
            }
            Some(Merged::Clash { mine, mut keys, .. }) => {
                keys.sort();
                clashes.sort();
                prop_assert_eq!(keys, clashes);
                prop_assert_eq!(value_in(format, &mine), wanted, "{}", mine);
            }
            Some(Merged::Lines { .. }) => panic!("none were given"),
            // A block of YAML that loses its last key is no map any more.
            None => prop_assert!(format == Format::Yaml && !clashes.is_empty(), "{}", texts.join("---\n")),
        }
    }

    #[test]
    fn no_comment_is_lost(
        values in prop::array::uniform3(document(2)),
        format in prop::sample::select(vec![Format::Toml, Format::Yaml]),
        beside in any::<bool>(),
    ) {
        let [base, theirs, mine] = &values;
        let text = |value, comment| {
            let mut text = String::new();
            write(format, value, "", comment, "", &mut text);
            text
        };
        let mine = if beside {
            text(mine, " # ours")
        } else {
            // A comment above every key, indented as it is.
            let above = |line: &str| match line.trim_start() {
                key if key.is_empty() || key.starts_with('-') => format!("{line}\n"),
                key => format!("{}# ours\n{line}\n", &line[..line.len() - key.len()]),
            };
            text(mine, "").lines().map(above).collect()
        };
        let ours = |text: &str| text.matches("# ours").count();
        let merged = merge(format, [&text(base, ""), &text(theirs, ""), &mine], None);
        if let Some(Merged::Clean(merged) | Merged::Clash { mine: merged, .. }) = merged {
            prop_assert!(ours(&merged) >= ours(&mine), "{}\n---\n{}", mine, merged);
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        texts in prop::array::uniform3(
            "([a-c\"'{}\\[\\]:,#=&*!|>\\- ?\n]|é){0,30}|(( ){0,4}(a|b|- |\"c\"|#)?(:|: |=|)(1|x y|'q'|\\[1, 2\\]|\\{\\}|\\||>-|&a|é)?\n){0,8}"
        ),
        format in prop::sample::select(vec![Format::Json, Format::Toml, Format::Yaml, Format::Ignore, Format::Dotenv])
    ) {
        let _ = merge(format, texts.each_ref().map(String::as_str), None);
    }
}
