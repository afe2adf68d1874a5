//! Names are templates: each name of a path is rendered, and one that is empty drops the file. Copier's
//! `{% yield x from list %}` in a name makes one file of each item.

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::engine::ITEMS;
use super::super::{Engine, Error, Syntax};
use super::MOST_FILES;
use crate::tree::TreePath;

/// A path that a source is rendered to, with the variables that a `yield` in its names sets.
pub type Named = (String, Map<String, Value>);

/// Renders names.
pub struct Names<'a> {
    /// Renders texts.
    pub engine: &'a Engine,
    /// The template's delimiters.
    pub syntax: &'a Syntax,
    /// What stands for the whole path where a name is rendered to it: the answers file, wherever its template lies.
    pub answers_file: Option<&'a str>,
}

impl Names<'_> {
    /// The paths that a source is rendered to.
    pub fn of(&self, source: &TreePath, name: &str) -> Result<Vec<Named>, Error> {
        let plain =
            *self.syntax == Syntax { keep_trailing_newline: self.syntax.keep_trailing_newline, ..Syntax::default() };
        let parts = if plain { components(name) } else { name.split('/').collect() };
        let mut all = Vec::new();
        self.parts(&format!("name of {source}"), &parts, "", &Map::new(), &mut all)?;
        Ok(all)
    }

    fn parts(
        &self,
        place: &str,
        parts: &[&str],
        above: &str,
        yielded: &Map<String, Value>,
        all: &mut Vec<Named>,
    ) -> Result<(), Error> {
        let Some((part, below)) = parts.split_first() else {
            all.push((above.to_owned(), yielded.clone()));
            return Ok(());
        };
        let Some(found) = find_yield(part, self.syntax) else {
            let rendered = self.engine.text_with(place, part, yielded)?;
            return self.part(place, &rendered, below, above, yielded, all);
        };
        let wrong = |message: &str| self.engine.mistake(place, message);
        if find_yield(&part[found.end..], self.syntax).is_some() {
            return Err(wrong("only one `yield` is allowed in a name"));
        }
        let (variable, list) = (&part[found.variable.clone()], &part[found.list.clone()]);
        let (start, end) = &self.syntax.variable;
        let items = self.engine.text_with(place, &format!("{start} ({list}) | {ITEMS} {end}"), yielded)?;
        let items: Value = serde_json::from_str(&items).map_err(|_| wrong("`yield` needs a list"))?;
        let items = match items {
            Value::Array(items) => items,
            Value::Object(items) => items.into_iter().map(|(key, _)| Value::String(key)).collect(),
            Value::String(text) => text.chars().map(|c| Value::String(c.into())).collect(),
            Value::Null => Vec::new(),
            _ => return Err(wrong("`yield` needs a list")),
        };
        // With the variable set, the tag is only a frame around its body.
        let mut once = (*part).to_owned();
        once.replace_range(found.close, "endif");
        once.replace_range(found.open, "if true");
        for item in items {
            if all.len() >= MOST_FILES {
                return Err(wrong(&format!("`yield` makes more than {MOST_FILES} files")));
            }
            let mut yielded = yielded.clone();
            yielded.insert(variable.to_owned(), item);
            let rendered = self.engine.text_with(place, &once, &yielded)?;
            self.part(place, &rendered, below, above, &yielded, all)?;
        }
        Ok(())
    }

    fn part(
        &self,
        place: &str,
        rendered: &str,
        below: &[&str],
        above: &str,
        yielded: &Map<String, Value>,
        all: &mut Vec<Named>,
    ) -> Result<(), Error> {
        if rendered.is_empty() {
            return Ok(());
        }
        if self.answers_file == Some(rendered) {
            all.push((rendered.to_owned(), yielded.clone()));
            return Ok(());
        }
        let path = if above.is_empty() { rendered.to_owned() } else { format!("{above}/{rendered}") };
        self.parts(place, below, &path, yielded, all)
    }
}

/// Where the parts of a `yield` stand in a name.
struct Yield {
    /// `yield x from list`
    open: Range<usize>,
    variable: Range<usize>,
    list: Range<usize>,
    /// `endyield`
    close: Range<usize>,
    end: usize,
}

/// The first `{% yield x from list %}…{% endyield %}` in a name.
fn find_yield(name: &str, syntax: &Syntax) -> Option<Yield> {
    let (start, end) = &syntax.block;
    let word = |from: usize| {
        let inner = name[from..].trim_start_matches(['-', '+']).trim_start();
        name.len() - inner.len()
    };
    let mut from = 0;
    loop {
        let tag = from + name[from..].find(start.as_str())? + start.len();
        let open = word(tag);
        from = tag;
        let stop = open + name[open..].find(end.as_str())?;
        let inner = name[open..stop].trim_end_matches(['-', '+']).trim_end();
        let inner_end = open + inner.len();
        let Some(rest) = inner.strip_prefix("yield").filter(|rest| rest.starts_with(char::is_whitespace)) else {
            continue;
        };
        let rest = rest.trim_start();
        let variable = inner_end - rest.len();
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        let list = rest[length..].trim_start().strip_prefix("from")?;
        let list = inner_end - list.len()..inner_end;
        let mut from = stop + end.len();
        loop {
            let tag = from + name[from..].find(start.as_str())? + start.len();
            let close = word(tag);
            from = tag;
            if name[close..].starts_with("endyield") {
                let close = close..close + "endyield".len();
                return Some(Yield {
                    open: open..inner_end,
                    variable: variable..variable + length,
                    list,
                    end: close.end,
                    close,
                });
            }
        }
    }
}

/// The components of a path whose names are templates: a slash inside `{{ }}`, `{% %}` or `{# #}` divides nothing.
fn components(template: &str) -> Vec<&str> {
    let mut components = Vec::new();
    let mut start = 0;
    let mut closing = None;
    let mut rest = 0;
    while let Some(c) = template[rest..].chars().next() {
        let two = template.get(rest..rest + 2).unwrap_or_default();
        match (closing, two) {
            (Some(end), _) if two == end => (closing, rest) = (None, rest + 2),
            (None, "{{") => (closing, rest) = (Some("}}"), rest + 2),
            (None, "{%") => (closing, rest) = (Some("%}"), rest + 2),
            (None, "{#") => (closing, rest) = (Some("#}"), rest + 2),
            (None, _) if c == '/' => {
                components.push(&template[start..rest]);
                rest += 1;
                start = rest;
            }
            _ => rest += c.len_utf8(),
        }
    }
    components.push(&template[start..]);
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_in_templates_divide_nothing() {
        assert_eq!(components("a/{{ b / c }}/d"), ["a", "{{ b / c }}", "d"]);
        assert_eq!(components("{% if a %}db{% endif %}/x.sql"), ["{% if a %}db{% endif %}", "x.sql"]);
        assert_eq!(components("{{ open/ended"), ["{{ open/ended"]);
        assert_eq!(components("/a//"), ["", "a", "", ""]);
    }

    #[test]
    fn a_yield_is_found() {
        let name = "a{%- yield x from list.of[1] -%}{{ x }}{% endyield %}.txt";
        let found = find_yield(name, &Syntax::default()).unwrap();
        assert_eq!(
            [&name[found.open], &name[found.variable], name[found.list].trim(), &name[found.close]],
            ["yield x from list.of[1]", "x", "list.of[1]", "endyield"]
        );
        for none in ["{% if yield %}{% endif %}", "{% yield x %}{% endyield %}", "{% yield x from y %}", "{%", "yield"]
        {
            assert!(find_yield(none, &Syntax::default()).is_none(), "{none}");
        }
    }

    proptest::proptest! {
        /// Nothing is lost: the components make the template again.
        #[test]
        fn components_join_again(template in "[a/{}%# é]{0,40}") {
            proptest::prop_assert_eq!(components(&template).join("/"), template);
        }

        #[test]
        fn no_name_panics(name in "(\\{%|-|%\\}| |yield|x|from|é|endyield){0,12}") {
            find_yield(&name, &Syntax::default());
        }
    }
}
