//! The paths that a block may render: relative, inside the project, away from git's own directory.

/// The components of a path whose names are templates: a slash inside `{{ }}`, `{% %}` or `{# #}` divides nothing.
pub fn components(template: &str) -> Vec<&str> {
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

/// What is wrong with a rendered path, if something is.
pub fn check(path: &str) -> Result<(), &'static str> {
    if path.len() > 1000 {
        return Err("that is longer than 1000 bytes");
    }
    if path.chars().any(char::is_control) {
        return Err("that holds control characters");
    }
    for component in path.split('/') {
        if component.is_empty() || component == "." || component == ".." {
            return Err("that leads out of the project");
        }
        if component.len() > 255 {
            return Err("that has a name longer than 255 bytes");
        }
        // As git does it: what some file systems take for `.git` is git's too.
        let plain: String = component.chars().filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{feff}')).collect();
        let plain = plain.trim_end_matches(['.', ' ']).to_ascii_lowercase();
        if plain == ".git" || plain == "git~1" || plain.starts_with(".git:") {
            return Err("that is git's own");
        }
    }
    Ok(())
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
    fn only_paths_inside_pass() {
        for good in ["a", "a/b.c", ".gitignore", ".github/x", "ü/ö", "...", "a b"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/..",
            "./a",
            ".git/x",
            "a/.Git",
            ".git./x",
            "git~1",
            "a\tb",
            "\u{200d}.git",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        /// Nothing is lost: the components make the template again.
        #[test]
        fn components_join_again(template in "[a/{}%# é]{0,40}") {
            proptest::prop_assert_eq!(components(&template).join("/"), template);
        }
    }
}
