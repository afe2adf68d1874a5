//! Names are templates: each name of a path is rendered, and one that is empty drops the file.

use serde_json::{Map, Value};

use super::super::{Engine, Error};
use crate::tree::TreePath;

/// The paths that a source is rendered to, with the variables that each brings.
pub fn render(engine: &Engine, source: &TreePath, name: &str) -> Result<Vec<(String, Map<String, Value>)>, Error> {
    let mut names = Vec::new();
    for part in components(name) {
        let rendered = engine.text(&format!("name of {source}"), part)?;
        if rendered.is_empty() {
            return Ok(Vec::new());
        }
        names.push(rendered);
    }
    Ok(vec![(names.join("/"), Map::new())])
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

    proptest::proptest! {
        /// Nothing is lost: the components make the template again.
        #[test]
        fn components_join_again(template in "[a/{}%# é]{0,40}") {
            proptest::prop_assert_eq!(components(&template).join("/"), template);
        }
    }
}
