//! Trees that templates render to.

use serde_json::json;

use super::*;
use crate::error::{Class, Fault};
use crate::template::{Actions, Dialect, Rules};

fn run(contents: &str) -> Entry {
    Entry::File { contents: contents.to_owned().into(), executable: true }
}

fn file(contents: &str) -> Entry {
    Entry::file(contents.to_owned())
}

fn template(dialect: Dialect, entries: &[(&str, Entry)]) -> Template {
    Template {
        dialect,
        label: "x 1.2.3".to_owned(),
        source: entries.iter().map(|(path, entry)| (path.parse().unwrap(), entry.clone())).collect(),
        questions: Vec::new(),
        rules: Rules::default(),
        actions: Actions::default(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("no object: {value}") };
    map
}

fn answers() -> Answers {
    let kept = object(json!({"database": false, "up": "../..", "dir": "app/lib", "names": ["a", "b"]}));
    Answers { kept, ..Answers::default() }
}

fn of(template: &Template) -> Result<Vec<(String, String, bool)>, Error> {
    let rendered = render(template, &answers(), &object(json!({"_project": {"name": "shop"}})))?;
    let text = |entry: &Entry| match entry {
        Entry::Link { target } => format!("-> {target}"),
        Entry::File { contents, .. } => String::from_utf8_lossy(contents).into_owned(),
    };
    Ok(rendered.tree.iter().map(|(path, entry)| (path.to_string(), text(entry), entry.executable())).collect())
}

fn files(entries: &[(&str, Entry)]) -> Result<Vec<(String, String, bool)>, Error> {
    of(&template(Dialect::Copier, entries))
}

fn message(text: &str) -> String {
    files(&[("a.jinja", file(text))]).unwrap_err().to_string()
}

#[test]
fn names_and_suffixed_files_are_templates_and_others_are_not() {
    let rendered = files(&[
        ("{% if database %}db{% endif %}/schema.sql", file("x")),
        ("{{ dir }}/{{ _project.name }}.html.jinja", run("<{{ 'a&b' }}>\n")),
        ("plain.txt", file("{{ untouched }}")),
    ]);
    let file = |path: &str, text: &str, executable| (path.to_owned(), text.to_owned(), executable);
    assert_eq!(
        rendered.unwrap(),
        [file("app/lib/shop.html", "<a&b>\n", true), file("plain.txt", "{{ untouched }}", false)]
    );
}

#[test]
fn a_wrong_template_is_named_with_its_line() {
    insta::assert_snapshot!(message("one\n{{ nothing }}\n"), @"x 1.2.3 is wrong: a.jinja:2: undefined value: `nothing` is undefined");
    insta::assert_snapshot!(message("one\n\n{% if %}"), @"x 1.2.3 is wrong: a.jinja:3: syntax error: unexpected end of block");
    insta::assert_snapshot!(message("{{ 1 | nosuch }}"), @"x 1.2.3 is wrong: a.jinja:1: unknown filter: filter nosuch is unknown");
}

#[test]
fn hostile_templates_come_to_an_end() {
    let long = "the template takes too long or too much memory";
    assert!(message("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}").ends_with(long));
    let doubling = "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
    assert!(message(doubling).ends_with(long));
    assert!(message("{% set x = 'a' * 90000000 %}{{ x }}{{ x }}").contains("the "), "no abort");
    assert!(message("{{ 'a' * 9000000 }}").ends_with("the output is larger than 8.3 MB"));
    assert!(message("{{ 'aaaaaaaa' | regex_replace('', 'b' * 9000000) }}").contains("regex_replace"));
    assert!(message("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
    assert!(message("{% include '/etc/passwd' %}").contains("template not found"));
    assert!(message("{% include '../../etc/passwd' %}").contains("template not found"));
}

#[test]
fn paths_stay_in_the_project() {
    for name in [
        "{{ up }}/x",
        "{{ '/etc/x' }}",
        ".git/hooks/pre-commit",
        "a/{{ '.GIT' }}/config",
        "{{ 'a\n' }}",
        "{{ '..' }}",
        "{{ 'GIT~1' }}/config",
        "{{ 'CON' }}",
        "{{ 'a' * 300 }}",
        "{{ 'C:' }}/x",
        "{{ 'a\\0b' }}",
    ] {
        let Ok(path) = name.parse::<TreePath>() else { continue };
        let error = files(&[(path.as_str(), file(""))]).unwrap_err();
        assert_eq!(error.class(), Class::Security, "{name}: {error}");
    }
}

#[test]
fn two_files_cannot_be_one() {
    let clash = |entries: &[(&str, Entry)]| files(entries).unwrap_err().to_string();
    insta::assert_snapshot!(clash(&[("a", file("")), ("{{ 'a' }}", file(""))]), @"x 1.2.3 is wrong: {{ 'a' }}: a is rendered from a, too");
    insta::assert_snapshot!(clash(&[("a", file("")), ("a-b", file("")), ("{{ 'a/b' }}", file(""))]), @"x 1.2.3 is wrong: {{ 'a/b' }}: a is rendered to a file and to a directory (see a)");
    insta::assert_snapshot!(clash(&[("a", file("")), ("{{ 'A' }}/x", file(""))]), @"x 1.2.3 is wrong: {{ 'A' }}/x: A and a (from a) are one path on some file systems");
    assert!(
        clash(&[("caf\u{e9}", file("")), ("cafe\u{301}", file(""))]).ends_with("are one path on some file systems")
    );
}

proptest::proptest! {
    #[test]
    fn whatever_is_rendered_lies_inside(name in "[a./{}' %_-]{1,24}|.{1,24}") {
        let Ok(path) = name.parse::<TreePath>() else { return Ok(()) };
        if let Ok(rendered) = files(&[(path.as_str(), file(""))]) {
            for (path, ..) in rendered {
                let path = std::path::Path::new(&path);
                proptest::prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}
