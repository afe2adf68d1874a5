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
        Entry::File { contents, .. } => String::from_utf8_lossy(&contents.bytes()).into_owned(),
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

fn paths(template: &Template) -> Vec<String> {
    of(template).unwrap().into_iter().map(|(path, ..)| path).collect()
}

#[test]
fn a_yield_in_a_name_makes_a_file_of_each_item() {
    let mut template = template(
        Dialect::Copier,
        &[
            ("{% yield n from names %}{{ n }}{% endyield %}/{{ n }}.txt.jinja", file("{{ n }}!")),
            ("{% yield k from {'x': 1} %}{{ k }}{% endyield %}", file("")),
            ("{% yield n from nothing %}{{ n }}{% endyield %}", file("")),
        ],
    );
    template.rules.undefined = crate::template::Undefined::Lenient;
    let is = |path: &str, text: &str| (path.to_owned(), text.to_owned(), false);
    assert_eq!(of(&template).unwrap(), [is("a/a.txt", "a!"), is("b/b.txt", "b!"), is("x", "")]);
    let rendered = render(&template, &answers(), &Map::new()).unwrap();
    assert_eq!(rendered.origins["b/b.txt"].yielded.as_deref(), Some(&object(json!({"n": "b"}))));
    let error = files(&[("{% yield n from 5 %}{{ n }}{% endyield %}", file(""))]).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"x 1.2.3 is wrong: name of {% yield n from 5 %}{{ n }}{% endyield %}: `yield` needs a list");
    let many = files(&[("{% yield n from range(999999) %}{{ n }}{% endyield %}", file(""))]).unwrap_err();
    assert!(many.to_string().contains("too many elements"), "{many}");
    assert!(files(&[("a.jinja", file("{% yield n from names %}{{ n }}{% endyield %}"))]).is_err());
}

#[test]
fn the_answers_file_is_where_it_should_be() {
    let mut template = template(
        Dialect::Copier,
        &[(
            "deep/{{ _copier_conf.answers_file }}.jinja",
            file("{{ _copier_answers | length }} {{ _copier_answers.up }}"),
        )],
    );
    template.rules.answers_file = Some("{{ dir }}/answers.yml".to_owned());
    let rendered = of(&template).unwrap();
    assert_eq!(rendered, [("app/lib/answers.yml".to_owned(), "4 ../..".to_owned(), false)]);
}

#[test]
fn a_file_with_the_suffix_goes_before_one_without() {
    let rendered =
        files(&[("a", file("plain")), ("a.jinja", file("rendered")), ("b.c.jinja", file("")), (".jinja", file(""))]);
    let paths: Vec<_> = rendered.unwrap().into_iter().map(|(path, text, _)| format!("{path}={text}")).collect();
    assert_eq!(paths, [".jinja=", "a=rendered", "b.c="]);
}

#[test]
fn what_is_excluded_is_not_rendered_and_what_is_given_once_is_known() {
    let mut template = template(
        Dialect::Copier,
        &[("a.md", file("")), ("b/c.jinja", file("{{ undefined }}")), ("b/keep", file("")), ("{{ 'd' }}", file(""))],
    );
    template.rules.exclude = vec!["{% if not database %}b/c\n*.md{% endif %}".to_owned(), "!{{ 'a' }}.md".to_owned()];
    template.rules.skip_if_exists = vec!["d".to_owned(), "{{ 'b' }}/*".to_owned()];
    let rendered = render(&template, &answers(), &Map::new()).unwrap();
    assert_eq!(rendered.tree.paths().map(TreePath::as_str).collect::<Vec<_>>(), ["a.md", "b/keep", "d"]);
    assert_eq!(rendered.once.iter().map(TreePath::as_str).collect::<Vec<_>>(), ["b/keep", "d"]);
    template.rules.exclude = vec!["{{ _copier_operation == 'copy' and '*' or '' }}".to_owned()];
    assert!(paths(&template).is_empty());
}

#[test]
fn the_subdirectory_is_a_template_and_stays_inside() {
    let entries = [("one/a", file("1")), ("two/a", file("2")), ("out", Entry::Link { target: "..".to_owned() })];
    let mut template = template(Dialect::Copier, &entries);
    template.rules.subdirectory = "{{ 'two' if not database else 'one' }}".to_owned();
    assert_eq!(of(&template).unwrap(), [("a".to_owned(), "2".to_owned(), false)]);
    for bad in ["..", "one/../..", "/", "out"] {
        template.rules.subdirectory = bad.to_owned();
        assert_eq!(of(&template).unwrap_err().class(), Class::Security, "{bad}");
    }
}

fn link(target: &str) -> Entry {
    Entry::Link { target: target.to_owned() }
}

#[test]
fn links_are_followed_inside_the_template_or_kept_inside_the_project() {
    let entries = [("a/b.jinja", run("{{ dir }}")), ("c.jinja", link("a/b.jinja")), ("d", link("a"))];
    let mut template = template(Dialect::Copier, &entries);
    let file = |path: &str, text: &str, executable| (path.to_owned(), text.to_owned(), executable);
    assert_eq!(
        of(&template).unwrap(),
        [file("a/b", "app/lib", true), file("c", "app/lib", false), file("d/b", "app/lib", true)]
    );
    template.rules.preserve_symlinks = true;
    template.source.insert("e.jinja".parse().unwrap(), link("{{ 'a' }}/b"));
    assert_eq!(
        of(&template).unwrap(),
        [
            file("a/b", "app/lib", true),
            file("c", "-> a/b.jinja", false),
            file("d", "-> a", false),
            file("e", "-> a/b", false),
        ]
    );
    for preserve in [true, false] {
        template.rules.preserve_symlinks = preserve;
        for target in ["/etc/passwd", "../x", "d/../../x", "x"] {
            template.source.insert("{{ 'x' }}".parse().unwrap(), link(target));
            let error = of(&template).unwrap_err();
            assert!(matches!(error.class(), Class::Security | Class::Config), "{error}");
        }
    }
}

#[test]
fn links_to_directories_come_to_an_end() {
    let entries = [("a/x", file("")), ("a/again", link("..")), ("a/more", link(".."))];
    let error = of(&template(Dialect::Copier, &entries)).unwrap_err();
    assert_eq!(error.to_string(), "x 1.2.3 was refused: a/again: this link leads to where it lies");
    assert!(of(&template(Dialect::Copier, &[("a", link("b")), ("b", link("a"))])).is_err());
}

fn cookiecutter(entries: &[(&str, Entry)]) -> Template {
    let mut template = template(Dialect::Cookiecutter, entries);
    template.rules.suffix = Suffix::Every;
    template.rules.subdirectory = "{{cookiecutter.dir}}".to_owned();
    template
}

#[test]
fn cookiecutters_templates_know_their_variables_by_its_name() {
    let mut template = cookiecutter(&[
        ("cookiecutter.json", file("{}")),
        ("{{cookiecutter.dir}}/{{ cookiecutter.names[0] }}.txt", file("{{ cookiecutter.dir }}\r\n\r\n")),
        ("{{cookiecutter.dir}}/a.bin", file("{{ untouched }}")),
        ("{{cookiecutter.dir}}/b", Entry::file(&b"{{ \xff"[..])),
        ("{{cookiecutter.dir}}/docs/{{x}}", file("{{ untouched }}")),
        ("{{cookiecutter.dir}}/{{cookiecutter.names[1]}}.html", file("{{ untouched }}")),
        ("{{cookiecutter.dir}}/{% if cookiecutter.database %}z{% endif %}", file("")),
    ]);
    template.rules.copy_only = vec!["docs".to_owned(), "*.html".to_owned()];
    let rendered: Vec<_> = of(&template).unwrap().into_iter().map(|(path, text, _)| (path, text)).collect();
    let pairs: Vec<_> = rendered.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("a.bin", "{{ untouched }}"),
            ("a.txt", "app/lib\r\n\r\n"),
            ("b", "{{ \u{fffd}"),
            ("b.html", "{{ untouched }}"),
            ("docs/{{x}}", "{{ untouched }}"),
        ]
    );
}

#[test]
fn an_undefined_variable_anywhere_stops_everything() {
    let names: Vec<String> = (0..50).map(|i| format!("f{i:02}.jinja")).collect();
    let text = |i: usize| if i == 37 { "a\nb {{ missing }}" } else { "{{ dir }}" };
    let entries: Vec<_> = names.iter().enumerate().map(|(i, name)| (name.as_str(), file(text(i)))).collect();
    insta::assert_snapshot!(files(&entries).unwrap_err(), @"x 1.2.3 is wrong: f37.jinja:2: undefined value: `missing` is undefined");
}
