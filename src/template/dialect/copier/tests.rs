use serde_json::json;

use super::super::super::question::{Choices, Kind, When};
use super::super::super::{Command, Stage, Suffix, Undefined};
use super::*;
use crate::tree::Entry;

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file(text.to_string()))).collect()
}

fn of(text: &str) -> Result<Template, Error> {
    read("tpl v1.0", tree(&[("copier.yml", text)]))
}

fn fails(text: &str) -> String {
    of(text).unwrap_err().to_string()
}

#[test]
fn questions_of_every_form() {
    let template = of(r#"
short: x
number: 3
part: 1.5
yes_no: yes
nothing:
list: [a, b]
long:
  type: int
  help: "How many, {{ short }}?"
  default: "{{ number }}"
  placeholder: "12"
  when: "{{ yes_no }}"
  validator: "{% if long < 1 %}more{% endif %}"
hidden:
  type: str
  default: "{{ short }}!"
  when: false
text:
  type: str
  multiline: true
  ask: "{{ yes_no }}"
  qmark: "🎉"
pass:
  type: str
  secret: true
  default: ""
varied:
  type: "{% if yes_no %}int{% else %}str{% endif %}"
  default: "1"
"#)
    .unwrap();
    let question = |id: &str| template.questions.iter().find(|question| question.id.as_str() == id).unwrap();
    let kinds: Vec<(&str, Kind)> = template.questions.iter().map(|q| (q.id.as_str(), q.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("short", Kind::Str),
            ("number", Kind::Int),
            ("part", Kind::Float),
            ("yes_no", Kind::Bool),
            ("nothing", Kind::Yaml),
            ("list", Kind::Yaml),
            ("long", Kind::Int),
            ("hidden", Kind::Str),
            ("text", Kind::Str),
            ("pass", Kind::Str),
            ("varied", Kind::Str),
        ]
    );
    assert_eq!(question("nothing").default, Some(json!(null)));
    assert_eq!(question("text").default, None);
    assert_eq!(question("long").place, "copier.yml:8");
    assert_eq!(question("long").when, When::Template("{{ yes_no }}".into()));
    assert_eq!(question("hidden").when, When::Fixed(false));
    assert_eq!(question("text").multiline, When::Fixed(true));
    assert_eq!(question("text").ask, When::Template("{{ yes_no }}".into()));
    assert!(question("pass").secret);
    assert!(question("varied").kind_template.is_some());
}

#[test]
fn choices_of_every_form() {
    let forms = [
        ("[a, b]", json!([["a", "a", null], ["b", "b", null]])),
        ("[[One, 1], [Two, 2]]", json!([["One", 1, null], ["Two", 2, null]])),
        ("{One: 1, Two: [x]}", json!([["One", 1, null], ["Two", ["x"], null]])),
        (
            "{One: 1, Two: {value: 2, validator: '{% if x %}no{% endif %}'}}",
            json!([["One", 1, null], ["Two", 2, "{% if x %}no{% endif %}"]]),
        ),
        ("[[One, {value: 1, validator: never}], b]", json!([["One", 1, "never"], ["b", "b", null]])),
        ("[yes, 010, ~]", json!([["True", true, null], ["8", 8, null], ["None", null, null]])),
    ];
    for (form, expected) in forms {
        let template = of(&format!("q:\n  type: yaml\n  choices: {form}\n")).unwrap();
        let Choices::Listed(listed) = &template.questions[0].choices else { panic!("{form}") };
        let read: Vec<Value> =
            listed.iter().map(|choice| json!([choice.label, choice.value, choice.disabled])).collect();
        assert_eq!(json!(read), expected, "{form}");
    }
    let template =
        of("q:\n  type: str\n  choices: |\n    {% for x in [1, 2] %}\n    - {{ x }}\n    {% endfor %}\n").unwrap();
    assert!(matches!(&template.questions[0].choices, Choices::Computed(text) if text.contains("for x")));
}

#[test]
fn settings_become_rules() {
    let template = of(r#"
_subdirectory: template
_templates_suffix: .tmpl
_exclude: ["*.bar", "{% if x %}y{% endif %}"]
_skip_if_exists: [.env]
_answers_file: .answers/{{ x }}.yml
_preserve_symlinks: true
_envops: {block_start_string: "[%", block_end_string: "%]", trim_blocks: true, keep_trailing_newline: false}
_jinja_extensions: [jinja2.ext.do, my.Extension]
_min_copier_version: "9.19.1"
_message_after_copy: "Done, {{ x }}"
_unknown: 1
x: 1
"#)
    .unwrap();
    let rules = &template.rules;
    assert_eq!(rules.subdirectory, "template");
    assert_eq!(rules.suffix, Suffix::Only(".tmpl".into()));
    assert_eq!(rules.exclude, ["*.bar", "{% if x %}y{% endif %}"]);
    assert_eq!(rules.skip_if_exists, [".env"]);
    assert_eq!(rules.answers_file.as_deref(), Some(".answers/{{ x }}.yml"));
    assert!(rules.preserve_symlinks && rules.syntax.trim_blocks && !rules.syntax.keep_trailing_newline);
    assert_eq!((rules.syntax.block.0.as_str(), rules.syntax.variable.0.as_str()), ("[%", "{{"));
    assert_eq!(rules.extensions.len(), 1);
    assert_eq!(
        (rules.extensions[0].name.as_str(), rules.extensions[0].place.as_str()),
        ("my.Extension", "copier.yml:9")
    );
    assert_eq!(template.actions.messages.after_copy.as_deref(), Some("Done, {{ x }}"));
    let strict = of("_envops: {undefined: jinja2.StrictUndefined}").unwrap();
    assert_eq!((strict.rules.undefined, rules.undefined), (Undefined::Strict, Undefined::Lenient));
    assert_eq!(of("x: 1").unwrap().rules.exclude.len(), 8);
    assert!(of("_subdirectory: a").unwrap().rules.exclude.is_empty());
    assert_eq!(of("_templates_suffix: ''").unwrap().rules.suffix, Suffix::Every);
    assert_eq!(of("_templates_suffix:").unwrap().rules.suffix, Suffix::Only(".jinja".into()));
}

#[test]
fn tasks_and_migrations_of_every_form() {
    let template = of(r#"
_tasks:
  - "git init"
  - [python, "{{ x }}", 3]
  - command: make
    when: "{{ x }}"
    working_directory: sub
  - command: [a]
    when: false
_migrations:
  - version: v1.0.0
    before: ["old one"]
    after:
      - [old, two]
      - old three
  - new always
  - version: v2.0.0
    command: new two
    when: "{{ _stage == 'before' }}"
_external_data: {parent: .copier-answers.yml}
x: 1
"#)
    .unwrap();
    let tasks: Vec<_> =
        template.actions.tasks.iter().map(|t| (&t.command, t.when.as_deref(), t.place.as_str())).collect();
    assert_eq!(tasks[0], (&Command::Shell("git init".into()), None, "copier.yml:3"));
    assert_eq!(tasks[1].0, &Command::Words(vec!["python".into(), "{{ x }}".into(), "3".into()]));
    assert_eq!(tasks[2], (&Command::Shell("make".into()), Some("{{ x }}"), "copier.yml:5"));
    assert_eq!(tasks[3].1, Some("false"));
    let migrations: Vec<_> = template
        .actions
        .migrations
        .iter()
        .map(|m| (m.version.as_deref(), m.stage, m.task.when.is_some(), m.task.place.as_str()))
        .collect();
    assert_eq!(
        migrations,
        [
            (Some("v1.0.0"), Some(Stage::Before), false, "copier.yml:12"),
            (Some("v1.0.0"), Some(Stage::After), false, "copier.yml:14"),
            (Some("v1.0.0"), Some(Stage::After), false, "copier.yml:15"),
            (None, Some(Stage::After), false, "copier.yml:16"),
            (Some("v2.0.0"), None, true, "copier.yml:17"),
        ]
    );
    let external = &template.rules.external[0];
    let external = (external.name.as_str(), external.path.as_str(), external.place.as_str());
    assert_eq!(external, ("parent", ".copier-answers.yml", "copier.yml:20"));
}

#[test]
fn documents_and_includes_are_merged() {
    let template = read(
        "tpl",
        tree(&[
            ("copier.yaml", "_exclude: [a]\nfirst: 1\nq: old\n---\n!include parts/*.yml\n---\n_exclude: [b]\nq: new\n"),
            ("parts/1.yml", "second: 2\n---\nthird: {type: str, default: x}\n"),
            ("parts/2.yml", "_secret_questions: [second]\nfourth: {type: str, choices: !include lists.yaml}\n"),
            ("lists.yaml", "[a, b]\n"),
        ]),
    )
    .unwrap();
    let questions: Vec<_> = template.questions.iter().map(|q| (q.id.as_str(), q.place.as_str())).collect();
    assert_eq!(
        questions,
        [
            ("first", "copier.yaml:2"),
            ("q", "copier.yaml:8"),
            ("second", "parts/1.yml:1"),
            ("third", "parts/1.yml:3"),
            ("fourth", "parts/2.yml:2"),
        ]
    );
    assert_eq!(template.questions[1].default, Some(json!("new")));
    assert_eq!(template.rules.exclude, ["a", "b"]);
    assert!(template.questions[2].secret);
}

#[test]
fn mistakes_are_named_where_they_are() {
    insta::assert_snapshot!(fails("a: [1\nb: 2\n"), @"tpl v1.0 is wrong: copier.yml:2:2: illegal placement of ':' indicator");
    insta::assert_snapshot!(fails("- a\n- b\n"), @"tpl v1.0 is wrong: copier.yml:1: expected settings and questions");
    insta::assert_snapshot!(fails("a:\n  type: strng\n"), @"tpl v1.0 is wrong: copier.yml:2: a: `strng` is no type; there are str, int, float, bool, json, yaml, path");
    insta::assert_snapshot!(fails("a:\n  type: str\n  defalt: x\n"), @"tpl v1.0 is wrong: copier.yml:3: a: unknown key `defalt`; did you mean `default`?");
    insta::assert_snapshot!(fails("a:\n  type: str\n  secret: true\n"), @"tpl v1.0 is wrong: copier.yml:2: a: a secret has a default, since it is not kept for the next update");
    insta::assert_snapshot!(fails("_secret_questions: [a]\na:\n  type: str\n"), @"tpl v1.0 is wrong: copier.yml:3: a: a secret has a default, since it is not kept for the next update");
    insta::assert_snapshot!(fails("now: 1\n"), @"tpl v1.0 is wrong: copier.yml:1: `now` is a name of Copier's own");
    insta::assert_snapshot!(fails("\"a\\e[31mb\": 1\n"), @r#"tpl v1.0 is wrong: copier.yml:1: `a\u{1b}[31mb` is no question: use at most 80 letters, digits and underscores"#);
    insta::assert_snapshot!(fails("_min_copier_version: 10\n"), @"tpl v1.0 is wrong: copier.yml:1: it is for Copier 10 and later; templates are read as Copier 9.19.1 reads them");
    insta::assert_snapshot!(fails("_exclude: x\n"), @"tpl v1.0 is wrong: copier.yml:1: _exclude: expected a list");
    insta::assert_snapshot!(fails("_envops:\n  undefined: x\n"), @"tpl v1.0 is wrong: copier.yml:2: _envops: undefined: expected jinja2.Undefined or jinja2.StrictUndefined");
    insta::assert_snapshot!(fails("_tasks:\n  - {run: x}\n"), @"tpl v1.0 is wrong: copier.yml:2: _tasks: a command has command, when, working_directory, and no `run`");
    insta::assert_snapshot!(fails("_migrations:\n  - {version: soon, before: [x]}\n"), @"tpl v1.0 is wrong: copier.yml:2: _migrations: `soon` is no version");
    insta::assert_snapshot!(fails("!include ../../etc/passwd\n"), @"tpl v1.0 was refused: copier.yml:1: it includes `../../etc/passwd`, which lies outside");
    insta::assert_snapshot!(fails("a: !include /etc/passwd\n"), @"tpl v1.0 was refused: copier.yml:1: it includes `/etc/passwd`, which lies outside");
    insta::assert_snapshot!(fails("!include copier.yml\n"), @"tpl v1.0 is wrong: copier.yml: files include each other without an end");
    insta::assert_snapshot!(fails("a: !!python/object/apply:os.system [ls]\n"), @"tpl v1.0 is wrong: copier.yml:1:4: the tag `tag:yaml.org,2002:python/object/apply:os.system` has no meaning here");
    insta::assert_snapshot!(fails("a: {choices: {x: {validator: y}}}\n"), @"tpl v1.0 is wrong: copier.yml:1: a: a choice that is a table has a `value`");
    let two = read("tpl", tree(&[("copier.yml", "a: 1"), ("copier.yaml", "a: 1")])).unwrap_err();
    insta::assert_snapshot!(two, @"tpl is wrong: copier.yml: there is a copier.yaml, too; Copier reads only one");
    let many: String = (0..10_000).map(|index| format!("q{index}: 1\n")).collect();
    insta::assert_snapshot!(fails(&many), @"tpl v1.0 is wrong: copier.yml:601: too many settings and questions");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(_[a-z]{1,3}|[a-z]{1,2}|:|\n| |  |- |\\[|\\]|\\{|\\}|'|\"|!include|\\*|&a|<<|---|yes|1){0,40}") {
        let _ = of(&text);
        let _ = of(&format!("_tasks:\n{text}"));
        let _ = of(&format!("q: {{choices: {text}"));
    }
}
