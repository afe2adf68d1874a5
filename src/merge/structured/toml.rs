//! TOML, edited in place: comments, order and quoting stay.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value as TomlValue};

use super::value::{self, Patch, Value};

/// A TOML text.
pub(super) struct Toml(DocumentMut);

impl super::Document for Toml {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn value(&self) -> Value {
        table_value(self.0.as_table())
    }

    fn patched(&self, patch: &Patch, from: &Self, base: Option<&Self>) -> Option<String> {
        let Patch::Inside(patches) = patch else { return None };
        let mut document = self.0.clone();
        // Room between the tables for those that come: where a table stands is a number.
        let mut tables = 1;
        visit(&mut from.0.as_item().clone(), &mut |_| tables += 1);
        visit_table(document.as_table_mut(), &mut |table| table.set_position(table.position().map(|at| at * tables)));
        let base = base.map(|base| base.0.as_table() as &dyn TableLike);
        inside(document.as_table_mut(), 0, patches, from.0.as_table(), base)?;
        Some(document.to_string())
    }
}

fn table_value(table: &dyn TableLike) -> Value {
    Value::Map(table.iter().map(|(key, item)| (key.to_owned(), item_value(item))).collect())
}

fn item_value(item: &Item) -> Value {
    match item {
        Item::None => Value::Scalar(String::new()),
        Item::Table(table) => table_value(table),
        Item::ArrayOfTables(tables) => Value::List(tables.iter().map(|table| table_value(table)).collect()),
        Item::Value(value) => scalar(value),
    }
}

fn scalar(value: &TomlValue) -> Value {
    Value::Scalar(match value {
        TomlValue::InlineTable(table) => return table_value(table),
        TomlValue::Array(array) => return Value::List(array.iter().map(scalar).collect()),
        TomlValue::String(text) => format!("\"{}", text.value()),
        TomlValue::Integer(number) => number.value().to_string(),
        // `1.0` and `1` are not the same, nor are two spellings of nothing.
        TomlValue::Float(number) => format!("float {:?}", number.value()),
        TomlValue::Boolean(truth) => truth.value().to_string(),
        TomlValue::Datetime(time) => time.value().to_string(),
    })
}

/// Patches the keys of a table that stands at a position.
fn inside(
    table: &mut dyn TableLike,
    position: isize,
    patches: &[(String, Patch)],
    from: &dyn TableLike,
    base: Option<&dyn TableLike>,
) -> Option<()> {
    for (key, patch) in patches {
        match (table.get(key).is_some(), from.get(key)) {
            (true, None) if *patch == Patch::Take => {
                base.is_none_or(|base| written(table, key) == written(base, key)).then_some(())?;
                table.remove(key);
            }
            // Tables in place of values, other lists of tables: the whole key goes, and comes again.
            (true, Some(new)) if *patch == Patch::Take && !(is_value(table.get(key)?) && is_value(new)) => {
                base.is_none_or(|base| written(table, key) == written(base, key)).then_some(())?;
                table.remove(key);
                add(table, position, key, new, from)?;
            }
            (true, new) => {
                let base = base.map(|base| (base, key.as_str()));
                change(table.get_mut(key)?, position, patch, new.unwrap_or(&Item::None), base)?;
            }
            (false, Some(new)) => add(table, position, key, new, from)?,
            (false, None) => {}
        }
    }
    Some(())
}

fn is_value(item: &Item) -> bool {
    matches!(item, Item::Value(_))
}

/// A key's item as it is written, with the comments in it and above it.
fn written(table: &dyn TableLike, key: &str) -> Option<(String, String)> {
    let (key, item) = table.get_key_value(key)?;
    let above = key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let mut document = DocumentMut::new();
    document.insert("it", item.clone());
    visit_table(document.as_table_mut(), &mut |table| table.set_position(None));
    Some((above.trim().to_owned(), document.to_string().trim().to_owned()))
}

/// Patches an item; the base's is under a key of a table.
fn change(
    item: &mut Item,
    position: isize,
    patch: &Patch,
    new: &Item,
    base: Option<(&dyn TableLike, &str)>,
) -> Option<()> {
    let old = base.map(|(base, key)| base.get(key));
    match (patch, item) {
        (Patch::Inside(patches), Item::Value(TomlValue::InlineTable(table))) => {
            let last = |table: &InlineTable| table.iter().last().map(|(_, value)| value.decor().suffix().cloned());
            let tail = last(table).flatten();
            inside(table, position, patches, new.as_table_like().unwrap_or(&Table::new()), None)?;
            let count = table.len();
            for (at, (_, value)) in table.iter_mut().enumerate() {
                let suffix = if at + 1 == count { tail.clone() } else { None };
                value.decor_mut().set_suffix(suffix.unwrap_or_default());
            }
            Some(())
        }
        (Patch::Inside(patches), Item::Table(table)) => {
            // A table that the base does not have has nothing to lose.
            let base = old.and_then(|old| old.and_then(Item::as_table_like));
            let position = table.position().unwrap_or(position);
            inside(table, position, patches, new.as_table_like().unwrap_or(&Table::new()), base)
        }
        (Patch::Elements { gone, new: added }, Item::Value(TomlValue::Array(array))) => {
            elements(array, gone, added, new.as_array()?)
        }
        (Patch::Take, Item::Value(value)) => {
            let Item::Value(new) = new else { return None };
            let plain = |value: &TomlValue| !matches!(value, TomlValue::Array(_) | TomlValue::InlineTable(_));
            if !(plain(value) && plain(new)) {
                let text = value.to_string();
                let same = |old: Option<&Item>| old.is_some_and(|old| old.to_string().trim() == text.trim());
                old.is_none_or(same).then_some(())?;
            }
            let decor = value.decor().clone();
            *value = new.clone();
            *value.decor_mut() = decor;
            Some(())
        }
        _ => None,
    }
}

fn elements(array: &mut Array, gone: &[Value], new: &[Value], from: &Array) -> Option<()> {
    let mut values: Vec<Value> = array.iter().map(scalar).collect();
    let their_values: Vec<Value> = from.iter().map(scalar).collect();
    let comment = |value: &TomlValue| {
        let decor = value.decor();
        [decor.prefix(), decor.suffix()]
            .into_iter()
            .flatten()
            .any(|raw| raw.as_str().is_none_or(|text| text.contains('#')))
    };
    while let Some(at) = values.iter().position(|value| gone.contains(value)) {
        let element = array.get(at)?;
        // Whose comment it is cannot be told.
        (!comment(element)).then_some(())?;
        let first = (at == 0).then(|| element.decor().prefix().cloned()).flatten();
        values.remove(at);
        array.remove(at);
        if let (Some(first), Some(next)) = (first, array.get_mut(0)) {
            next.decor_mut().set_prefix(first);
        }
    }
    for one in new {
        let mut element = from.get(their_values.iter().position(|value| value == one)?)?.clone();
        let at = value::place(&values, &their_values, one);
        let like = |at: usize| array.get(at).and_then(|value| value.decor().prefix()).and_then(|raw| raw.as_str());
        let lead = match (at, array.len()) {
            (_, 0) => String::new(),
            (0, _) => like(0).unwrap_or_default().to_owned(),
            (_, 1) => like(0).filter(|lead| lead.contains('\n')).unwrap_or(" ").to_owned(),
            _ => like(1).unwrap_or(" ").to_owned(),
        };
        if lead.contains('#') {
            return None;
        }
        if at == 0
            && let Some(next) = array.get_mut(0)
        {
            let lead = if lead.contains('\n') { lead.clone() } else { " ".to_owned() };
            next.decor_mut().set_prefix(lead);
        }
        // What stands between the last element and the bracket stays there.
        let last = at > 0 && at == array.len();
        let tail = if last { array.get(at - 1).and_then(|v| v.decor().suffix().cloned()) } else { None };
        if tail.as_ref().is_some_and(|raw| raw.as_str().is_none_or(|text| text.contains('#'))) {
            return None;
        }
        if let (true, Some(before)) = (last, array.get_mut(at.saturating_sub(1))) {
            before.decor_mut().set_suffix("");
        }
        element.decor_mut().set_prefix(lead);
        match tail {
            Some(tail) => element.decor_mut().set_suffix(tail),
            None => element.decor_mut().set_suffix(""),
        }
        values.insert(at, one.clone());
        array.insert_formatted(at, element);
    }
    Some(())
}

/// Puts a key where the other document has it.
fn add(table: &mut dyn TableLike, position: isize, key: &str, new: &Item, from: &dyn TableLike) -> Option<()> {
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    let their_keys: Vec<String> = from.iter().map(|(key, _)| key.to_owned()).collect();
    let at = value::place(&keys, &their_keys, &key.to_owned());
    let before = keys[..at].iter().filter_map(|key| table.get(key)).filter_map(last_position).max();
    let mut new = new.clone();
    place_after(&mut new, before.unwrap_or(position));
    // A table has no way to put a key between others: those that follow are put again.
    let following: Vec<(Key, Item)> =
        keys[at..].iter().filter_map(|key| Some((table.key(key)?.clone(), table.remove(key)?))).collect();
    table.entry_format(from.key(key)?).or_insert(new);
    for (key, item) in following {
        table.entry_format(&key).or_insert(item);
    }
    Some(())
}

/// Gives an item's tables the positions after one, in the order that they have, and an empty line before the first.
fn place_after(item: &mut Item, after: isize) {
    let mut order = Vec::new();
    visit(item, &mut |table| order.extend(table.position()));
    order.sort_unstable();
    visit(item, &mut |table| {
        let rank = table.position().and_then(|position| order.binary_search(&position).ok());
        let rank = rank.and_then(|rank| isize::try_from(rank).ok());
        table.set_position(rank.map(|rank| after + 1 + rank));
        if rank == Some(0) && table.decor().prefix().and_then(|prefix| prefix.as_str()).is_none_or(str::is_empty) {
            table.decor_mut().set_prefix("\n");
        }
    });
}

/// Every table of an item.
fn visit(item: &mut Item, with: &mut impl FnMut(&mut Table)) {
    match item {
        Item::Table(table) => visit_table(table, with),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| visit_table(table, with)),
        _ => {}
    }
}

fn visit_table(table: &mut Table, with: &mut impl FnMut(&mut Table)) {
    with(table);
    for (_, item) in table.iter_mut() {
        visit(item, with);
    }
}

/// Where the last table of an item stands.
fn last_position(item: &Item) -> Option<isize> {
    let mut last = None;
    visit(&mut item.clone(), &mut |table| last = last.max(table.position()));
    last
}
