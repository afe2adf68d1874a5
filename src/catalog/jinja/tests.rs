//! What templates use, held against minijinja's own reading.

use super::*;

fn uses(text: &str) -> Vec<String> {
    let parsed = read(text, &SyntaxConfig::default()).unwrap();
    let told = |one: &Use| {
        let dot = if one.nested { "." } else { "" };
        let mark = if one.guarded { "?" } else { "" };
        format!("{}:{dot}{}{mark}", one.line, one.name)
    };
    parsed.uses.iter().map(told).collect()
}

#[test]
fn what_a_text_sets_itself_is_no_use() {
    assert_eq!(
        uses("{{ a }}\n{% for x, y in b if c %}{{ x }}{{ loop.index }}{{ d }}{% endfor %}{{ x }}"),
        ["1:a", "2:b", "2:c", "2:d", "2:x"]
    );
    assert_eq!(uses("{% if q %}{% set s = 1 %}{% endif %}{{ s }}"), ["1:q"]);
    assert_eq!(
        uses("{% macro m(p, o=z) %}{{ p }}{{ o }}{{ g }}{{ caller() }}{% endmacro %}{{ m(1) }}"),
        ["1:z", "1:g"]
    );
    assert_eq!(uses("{% from 'x' import f as h, i %}{% import y as j %}{{ h }}{{ i }}{{ j.k }}"), ["1:y"]);
    assert_eq!(uses("{% with w = v %}{{ w }}{% endwith %}{% set b %}{{ n }}{% endset %}{{ b }}"), ["1:v", "1:n"]);
    assert_eq!(uses("{% now 'utc', '%Y' %}{{ '%s' % a }}"), ["1:__now", "1:a"]);
    assert!(uses("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}").is_empty());
}

#[test]
fn what_is_asked_for_first_may_be_missing() {
    assert_eq!(
        uses("{{ a | default('x') }}{{ b is defined }}{{ c if c is defined else d }}"),
        ["1:a?", "1:b?", "1:c?", "1:c?", "1:d"]
    );
    assert_eq!(uses("{% if a is defined and a %}{{ a }}{% endif %}{{ a }}"), ["1:a?", "1:a?", "1:a?", "1:a"]);
}

#[test]
fn answers_of_cookiecutter_are_found_in_it() {
    assert_eq!(
        uses("{{ cookiecutter.name.lower() }}{{ cookiecutter['x'] }}{{ cookiecutter | tojson }}{{ y }}"),
        ["1:.name", "1:.x", "1:cookiecutter", "1:y"]
    );
}

#[test]
fn a_yield_in_a_name_is_a_loop() {
    let name = "{% yield item from items %}{{ item }}/{{ b }}{% endyield %}.txt";
    assert_eq!(uses(name), ["1:items", "1:b"]);
    assert_eq!(yielded(name), ["item"]);
}

#[test]
fn mistakes_have_a_line() {
    let mistake = read("a\n{{ b\n", &SyntaxConfig::default()).unwrap_err();
    assert!(mistake.line >= 2, "{mistake:?}");
}

#[test]
fn includes_and_comparisons_are_told() {
    let text = "\n{% include 'a.jinja' %}{% include ['b', 'c'] ignore missing %}{% if x == 'one' or 'two' == cookiecutter.y or z in ['three'] %}{% endif %}";
    let parsed = read(text, &SyntaxConfig::default()).unwrap();
    let told: Vec<_> = parsed.includes.iter().map(|one| (one.name.as_str(), one.line, one.needed)).collect();
    assert_eq!(told, [("a.jinja", 2, true), ("b", 2, false), ("c", 2, false)]);
    let told: Vec<_> = parsed.compared.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(told, [("x", "one"), ("y", "two"), ("z", "three")]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c {}%#|.'()=\n-]{0,60}|.{0,40}") {
        let _ = read(&text, &SyntaxConfig::default());
    }

    #[test]
    fn minijinja_agrees_on_what_is_undeclared(names in proptest::collection::vec("[a-e]", 1..6)) {
        let text: String = names.iter().enumerate().map(|(i, name)| match i % 4 {
            0 => format!("{{{{ {name} }}}}"),
            1 => format!("{{% for {name} in x %}}{{{{ {name} }}}}{{% endfor %}}"),
            2 => format!("{{% set {name} = y %}}"),
            _ => format!("{{% if {name} %}}{{{{ {name} | upper }}}}{{% endif %}}"),
        }).collect();
        let environment = minijinja::Environment::new();
        let theirs = environment.template_from_str(&text).unwrap().undeclared_variables(false);
        let ours = read(&text, &SyntaxConfig::default()).unwrap().uses.into_iter().map(|one| one.name).collect();
        proptest::prop_assert_eq!(theirs, ours);
    }
}
