//! Templates that never end, or that would fill the disk.

use onramp::error::Class;

use super::Scene;

#[track_caller]
fn refused(files: &[(&str, &str)], words: &[&str]) {
    let scene = Scene::with(files);
    scene.unchanged(
        || {
            let (code, told) = scene.new_shop().outcome();
            assert!(
                [Some(Class::Config.exit_code().into()), Some(Class::Security.exit_code().into())].contains(&code),
                "{code:?}: {told}"
            );
            told
        },
        words,
    );
}

#[track_caller]
fn refused_text(text: &str) {
    refused(&[("copier.yml", "name: shop\n"), ("bomb.txt.jinja", text)], &["bomb.txt.jinja"]);
}

#[test]
fn endless_loops() {
    refused_text("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
    refused_text("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
    refused_text("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}");
    refused_text("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
    refused_text("{% include 'bomb.txt.jinja' %}");
    refused_text("{% extends 'bomb.txt.jinja' %}");
}

/// One step each, and twice the work at every step: what ends it is the watch over the whole process.
#[test]
fn lists_that_double() {
    let text =
        "{% set n = namespace(x=[1]) %}{% for i in range(64) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x|length }}";
    refused(
        &[("copier.yml", "name: shop\n"), ("bomb.txt.jinja", text)],
        &["bomb.txt.jinja takes too long or too much memory"],
    );
}

#[test]
fn huge_ranges() {
    refused_text("{% for i in range(10 ** 12) %}x{% endfor %}");
    refused_text("{{ range(10 ** 10)|list|length }}");
    refused_text("{{ [0] * 10 ** 10 }}");
    refused_text("{{ range(10 ** 9)|sum }}");
}

#[test]
fn outputs_of_ten_gigabytes() {
    refused_text("{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}");
    refused_text("{{ 'x' * 10 ** 10 }}");
    refused_text("{{ ('x' * 10 ** 6) * 10 ** 4 }}");
    refused_text("{{ 'x'|center(10 ** 10) }}");
    refused_text("{{ 'x'.ljust(10 ** 10) }}");
    refused_text("{{ 'x'.zfill(10 ** 10) }}");
    refused_text("{{ 'x\ny'|indent(10 ** 10) }}");
    refused_text("{{ '%9999999999d' % 1 }}");
    refused_text("{{ '{:>9999999999}'.format(1) }}");
    refused_text(
        "{% set ns = namespace(x='xxxxxxxxxx') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    );
    refused_text("{{ 'aaaaaaaaaa'|replace('a', 'b' * 10 ** 7)|replace('b', 'c' * 10 ** 7) }}");
}

/// No file is too large, and all of them together are.
#[test]
fn many_files_that_are_too_large_together() {
    let name = "{% yield i from range(40) %}{{ i }}{% endyield %}.txt.jinja";
    refused(
        &[("copier.yml", "name: shop\n"), (name, "{{ 'x' * 8 * 10 ** 6 }}")],
        &["the rendered files are larger than 268 MB together"],
    );
}

#[test]
fn names_without_end() {
    refused(&[("copier.yml", "name: shop\n"), ("{% yield i from range(10 ** 9) %}{{ i }}{% endyield %}", "x")], &[]);
    let nested =
        "{% yield a from range(3000) %}{{ a }}{% endyield %}/{% yield b from range(3000) %}{{ b }}{% endyield %}";
    refused(&[("copier.yml", "name: shop\n"), (nested, "x")], &[]);
    refused(&[("copier.yml", "name: shop\n"), ("{{ 'x' * 10 ** 10 }}", "x")], &[]);
}

#[test]
fn manifests_that_blow_up() {
    let mut laughs = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (one, next) in ('a'..'k').zip('b'..='k') {
        laughs +=
            &format!("{next}: &{next} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]\n");
    }
    refused(&[("copier.yml", &laughs), ("a.txt.jinja", "{{ k }}")], &["copier.yml"]);
    let deep = format!("name: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    refused(&[("copier.yml", &deep)], &["copier.yml"]);
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&[("cookiecutter.json", &deep), ("{{cookiecutter.a}}/x", "")], &["cookiecutter.json"]);
    refused(&[("copier.yml", "name: \"{{ 'x' * 10 ** 10 }}\"\n"), ("a.txt", "")], &[]);
    let validator = "name:\n  type: str\n  default: a\n  validator: \"{% for a in range(10 ** 12) %}{% endfor %}\"\n";
    let scene = Scene::with(&[("copier.yml", validator), ("a.txt", "")]);
    scene.unchanged(|| scene.new_shop().fails(Class::Usage), &["`name`", "range"]);
    refused(
        &[("copier.yml", "_exclude: [\"{% for a in range(10 ** 12) %}{% endfor %}\"]\nname: x\n"), ("a.txt", "")],
        &[],
    );
}

#[test]
fn deep_expressions() {
    refused_text(&format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)));
    refused_text(&format!("{}x{}", "{% if true %}".repeat(50_000), "{% endif %}".repeat(50_000)));
    not_a_crash(&format!("{{% if false %}}{}{{% endif %}}", "{% elif false %}".repeat(50_000)));
    for (before, after) in [
        ("not ", ""),
        ("- ", ""),
        ("1 + ", ""),
        ("2 ** ", ""),
        ("1 ~ ", ""),
        ("true and ", ""),
        ("1 if name else ", ""),
        ("1 in ", ""),
        ("", "|int"),
        ("", ".a"),
        ("", "[0]"),
        ("", "(1)"),
        ("", " is odd"),
        ("", " < 1"),
    ] {
        not_a_crash(&format!("{{{{ {}name{} }}}}", before.repeat(100_000), after.repeat(100_000)));
    }
}

/// Some deep texts may be rendered, the others are refused.
#[track_caller]
fn not_a_crash(text: &str) {
    let (code, told) = Scene::copier(&[("bomb.txt.jinja", text)]).new_shop().outcome();
    assert!([Some(0), Some(3), Some(7)].contains(&code), "{text:.40}: {code:?}: {told}");
}

#[test]
fn an_undefined_variable_in_file_37_of_50() {
    let names: Vec<String> = (1..=50).map(|number| format!("{{{{cookiecutter.slug}}}}/file-{number:02}.txt")).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            (name.as_str(), if index == 36 { "one\n{{ cookiecutter.missing }}\n" } else { "{{ cookiecutter.slug }}\n" })
        })
        .collect();
    let scene = Scene::with(&[&[("cookiecutter.json", r#"{"slug": "shop"}"#)][..], &files].concat());
    scene.refused(Class::Config, &["file-37.txt:2", "missing"]);
    let names: Vec<String> = (1..=50).map(|number| format!("file-{number:02}.txt.jinja")).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_str(), if index == 36 { "one\n\n{{ missing }}\n" } else { "{{ name }}\n" }))
        .collect();
    let manifest = ("copier.yml", "_envops: {undefined: jinja2.StrictUndefined}\nname: shop\n");
    Scene::with(&[&[manifest][..], &files].concat()).refused(Class::Config, &["file-37.txt.jinja:3", "missing"]);
}

#[test]
fn a_syntax_error_is_named_with_its_line() {
    let scene = Scene::copier(&[("a.txt.jinja", "fine\n"), ("deep/bad.txt.jinja", "one\ntwo\n{% if %}\n")]);
    scene.refused(Class::Config, &["deep/bad.txt.jinja:3"]);
    let scene = Scene::copier(&[("{% if %}x{% endif %}", "")]);
    scene.refused(Class::Config, &["{% if %}x{% endif %}"]);
    Scene::with(&[("copier.yml", "name: [\n"), ("a", "")]).refused(Class::Config, &["copier.yml"]);
    Scene::with(&[("cookiecutter.json", "{\"a\": }"), ("{{cookiecutter.a}}/x", "")])
        .refused(Class::Config, &["cookiecutter.json"]);
}
