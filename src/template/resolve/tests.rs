use serde_json::json;

use super::*;
use crate::template::dialect;
use crate::tree::{Entry, Tree};

const QUESTIONS: &str = r#"
[questions.name]
type = "str"
help = "Name of the project"
default = "{{ _project.name }}"
validator = "{% if not (name | regex_search('^[a-z]+$')) %}Use letters{% endif %}"
[questions.engine]
type = "str"
choices = ["mariadb", "none"]
default = "mariadb"
[questions.port]
type = "int"
default = "{{ 3306 if engine == 'mariadb' else 0 }}"
when = "{{ engine != 'none' }}"
"#;

/// What a person says, in order, and what they were asked.
#[derive(Default)]
struct Script {
    replies: std::collections::VecDeque<Reply>,
    prompts: Vec<Prompt>,
}

impl Script {
    fn of(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: replies.into_iter().collect(), prompts: Vec::new() }
    }
}

impl Ask for Script {
    fn ask(&mut self, prompt: &Prompt) -> Result<Reply, NoReply> {
        self.prompts.push(prompt.clone());
        self.replies.pop_front().ok_or(NoReply::Interrupted)
    }
}

fn typed(text: &str) -> Reply {
    Reply::Typed(text.to_owned())
}

/// A template of one manifest.
fn template(file: &str, text: &str) -> Template {
    let text = if file == "block.toml" { format!("schema = 1\n{text}") } else { text.to_owned() };
    let source: Tree = [(file.parse().unwrap(), Entry::file(text))].into_iter().collect();
    dialect::read("x 1.0.0", source).unwrap()
}

fn answers(template: &Template, sources: &Sources, person: Option<&mut dyn Ask>) -> Result<Answers, Error> {
    let facts = json!({ "_project": { "name": "shop" }, "_copier_answers": {} });
    let mut engine = Engine::new(template, facts.as_object().unwrap())?;
    resolve(template, sources, person, &mut engine)
}

fn data(typed: &[(&str, &str)]) -> Sources {
    let typed = typed.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect();
    Sources { typed, ..Sources::default() }
}

fn shown(answers: &Answers) -> String {
    serde_json::to_string(&answers.kept).unwrap()
}

fn block(questions: &str, typed: &[(&str, &str)]) -> Result<String, Error> {
    answers(&template("block.toml", questions), &data(typed), None).map(|answers| shown(&answers))
}

fn fails(questions: &str, typed: &[(&str, &str)]) -> String {
    let error = block(questions, typed).unwrap_err();
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn defaults_see_the_answers_before_them() {
    assert_eq!(block(QUESTIONS, &[]).unwrap(), r#"{"name":"shop","engine":"mariadb","port":3306}"#);
}

#[test]
fn a_question_that_is_not_asked_has_a_computed_answer_that_is_not_kept() {
    let given = answers(&template("block.toml", QUESTIONS), &data(&[("engine", "none"), ("port", "1")]), None).unwrap();
    assert_eq!(shown(&given), r#"{"name":"shop","engine":"none"}"#);
    assert_eq!(given.unused, ["port".to_owned().try_into().unwrap()]);
    assert_eq!(given.passing["port"], 0);
}

#[test]
fn answers_are_checked_wherever_they_come_from() {
    insta::assert_snapshot!(fails(QUESTIONS, &[("name", "Shop 1")]), @"`Shop 1` is no answer to `name`: Use letters | answer it with --data name=…");
    insta::assert_snapshot!(fails(QUESTIONS, &[("engine", "mysql")]), @"`mysql` is no answer to `engine`: choose one of mariadb, none | answer it with --data engine=…");
    insta::assert_snapshot!(fails(QUESTIONS, &[("port", "high")]), @"`high` is no answer to `port`: expected a whole number | answer it with --data port=…");
    insta::assert_snapshot!(fails(QUESTIONS, &[("engin", "none")]), @"x 1.0.0 does not ask `engin` | did you mean `engine`?");
    let bare = QUESTIONS.replace("default = \"{{ _project.name }}\"\n", "");
    insta::assert_snapshot!(fails(&bare, &[]), @"nobody answered `name` (Name of the project) | answer it with --data name=…");
    let bad = QUESTIONS.replace("{{ _project.name }}", "SHOP");
    insta::assert_snapshot!(fails(&bad, &[]), @"`SHOP` is no answer to `name`: Use letters | answer it with --data name=…");
    let bad = QUESTIONS.replace("{{ 3306 if", "{{ 'high' if");
    insta::assert_snapshot!(fails(&bad, &[]), @"x 1.0.0 is wrong: block.toml:12: port: its default is `high`: expected a whole number | nothing was changed; the template's owner can correct it");
    let bad = QUESTIONS.replace("{{ _project.name }}", "{{ nope }}");
    insta::assert_snapshot!(fails(&bad, &[]), @"x 1.0.0 is wrong: block.toml:3: undefined value: `nope` is undefined | nothing was changed; the template's owner can correct it");
}

#[test]
fn a_person_is_asked_again_with_the_problem() {
    let mut script = Script::of([typed("Shop"), typed("shop"), Reply::Chosen(vec![0]), typed("3307")]);
    let given = answers(&template("block.toml", QUESTIONS), &Sources::default(), Some(&mut script)).unwrap();
    assert_eq!(shown(&given), r#"{"name":"shop","engine":"mariadb","port":3307}"#);
    let prompts = &script.prompts;
    assert_eq!((prompts[0].id.as_str(), prompts[0].default.as_deref()), ("name", Some("shop")));
    assert_eq!(prompts[1].problem.as_deref(), Some("Use letters"));
    assert_eq!(prompts[2].choices[1], Offer { label: "none".into(), disabled: None });
    assert_eq!(prompts[3].default.as_deref(), Some("3306"));
    assert_eq!(prompts.iter().map(|prompt| prompt.back).collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn a_person_may_walk_away() {
    let error = answers(&template("block.toml", QUESTIONS), &Sources::default(), Some(&mut Script::default()));
    assert_eq!(error.unwrap_err().class(), Class::Signal(2));
}

#[test]
fn a_person_may_go_back() {
    let mut script = Script::of([
        typed("shop"),
        Reply::Chosen(vec![0]),
        Reply::Back,
        Reply::Back,
        typed("store"),
        Reply::Chosen(vec![1]),
    ]);
    let given = answers(&template("block.toml", QUESTIONS), &Sources::default(), Some(&mut script)).unwrap();
    assert_eq!(shown(&given), r#"{"name":"store","engine":"none"}"#);
    // What was said is the default of who comes back.
    assert_eq!(script.prompts[3].default.as_deref(), Some("mariadb"));
    assert_eq!(script.prompts[4].default.as_deref(), Some("shop"));
    assert!(!script.prompts[4].back);
}

#[test]
fn going_back_forgets_what_came_later() {
    let text = r#"
[questions.a]
type = "bool"
default = true
[questions.b]
type = "str"
default = "x"
when = "{{ a }}"
[questions.c]
type = "str"
default = "{{ b if b is defined and a else 'none' }}"
"#;
    let mut script = Script::of([typed("true"), typed("y"), Reply::Back, Reply::Back, typed("false"), typed("none")]);
    let given = answers(&template("block.toml", text), &Sources::default(), Some(&mut script)).unwrap();
    assert_eq!(shown(&given), r#"{"a":false,"c":"none"}"#);
}

fn copier(text: &str, sources: &Sources, person: Option<&mut dyn Ask>) -> Result<Answers, Error> {
    answers(&template("copier.yml", text), sources, person)
}

fn before(values: serde_json::Value) -> Sources {
    let serde_json::Value::Object(before) = values else { panic!("a table") };
    Sources { before, ..Sources::default() }
}

const FORMS: &str = r#"
lang:
  type: str
  choices: {PHP: php, "Go 1.2": go, Old: {value: old, validator: "{% if true %}no longer{% endif %}"}}
  default: php
tools:
  type: str
  multiselect: true
  choices: |
    {% if lang == 'php' %}
    - composer
    - pest
    {% endif %}
    - make
  default: "[make, {{ 'composer' if lang == 'php' else 'make' }}]"
versions:
  type: int
  multiselect: true
  choices: [1, 2, 3]
  default: [1]
config:
  type: yaml
  default: {a: [1, yes]}
token:
  type: str
  secret: true
  default: "s3cret"
shout:
  type: str
  default: "{{ lang|upper }}"
  when: false
note:
  type: str
  ask: false
  default: "{{ _copier_answers.lang }}-{{ _copier_answers.token is defined }}"
unset:
  type: str
  default: "{{ UNSET }}"
  when: "{{ lang == 'go' }}"
"#;

#[test]
fn answers_of_every_form() {
    let given = copier(FORMS, &Sources::default(), None).unwrap();
    insta::assert_snapshot!(shown(&given), @r#"{"lang":"php","tools":["composer","make"],"versions":[1],"config":{"a":[1,true]},"note":"php-False"}"#);
    insta::assert_snapshot!(serde_json::to_string(&given.passing).unwrap(), @r#"{"token":"s3cret","shout":"PHP"}"#);
    let typed = data(&[
        ("lang", "php"),
        ("tools", "pest, make"),
        ("versions", "[3, '1']"),
        ("config", "[yes]"),
        ("token", "x"),
    ]);
    let given = copier(FORMS, &typed, None).unwrap();
    insta::assert_snapshot!(shown(&given), @r#"{"lang":"php","tools":["pest","make"],"versions":[1,3],"config":[true],"note":"php-False"}"#);
    assert_eq!(given.passing["token"], "x");
}

#[test]
fn answers_that_no_choice_has_are_refused() {
    let error = |typed: &[(&str, &str)]| copier(FORMS, &data(typed), None).unwrap_err().to_string();
    insta::assert_snapshot!(error(&[("lang", "old")]), @"`old` is no answer to `lang`: no longer");
    insta::assert_snapshot!(error(&[("lang", "PHP")]), @"`PHP` is no answer to `lang`: choose one of php, go");
    insta::assert_snapshot!(error(&[("tools", "[maven]")]), @"`[maven]` is no answer to `tools`: choose one of composer, pest, make");
    insta::assert_snapshot!(error(&[("versions", "[x]")]), @"`[x]` is no answer to `versions`: expected a whole number");
    insta::assert_snapshot!(error(&[("config", "{")]), @"`{` is no answer to `config`: expected YAML: line 2, column 1: while parsing a node, did not find expected node content");
    insta::assert_snapshot!(error(&[("lang", "go")]), @"nobody answered `unset`");
}

#[test]
fn a_secret_is_never_shown() {
    let text = "token: {type: str, secret: true, default: '', validator: \"{% if token == 'hunter2' %}too common{% endif %}\"}\n";
    let error = copier(text, &data(&[("token", "hunter2")]), None).unwrap_err();
    insta::assert_snapshot!(error, @"`***` is no answer to `token`: too common");
    let given = copier(text, &before(json!({"token": "old"})), None).unwrap();
    assert_eq!((shown(&given), &given.passing["token"]), ("{}".to_owned(), &json!("")));
}

#[test]
fn an_update_asks_only_what_is_new() {
    let old = before(json!({"name": "shop", "engine": "none", "gone": 1}));
    let mut nobody = Script::default();
    let blocks = template("block.toml", QUESTIONS);
    let given = answers(&blocks, &old, Some(&mut nobody)).unwrap();
    assert_eq!((shown(&given).as_str(), nobody.prompts.len()), (r#"{"name":"shop","engine":"none"}"#, 0));
    let mut script = Script::of([typed("none")]);
    let given = answers(&blocks, &before(json!({"name": "shop", "port": 1})), Some(&mut script)).unwrap();
    assert_eq!((shown(&given).as_str(), script.prompts.len()), (r#"{"name":"shop","engine":"none"}"#, 1));
    // Asked again, what was said before is the default.
    let reask = Sources { reask: true, ..old };
    let mut script = Script::of([typed("shop"), Reply::Chosen(vec![1])]);
    answers(&blocks, &reask, Some(&mut script)).unwrap();
    assert_eq!(script.prompts.iter().map(|p| p.default.as_deref()).collect::<Vec<_>>(), [Some("shop"), Some("none")]);
}

#[test]
fn an_answer_of_before_that_no_longer_fits_is_asked_again_or_named() {
    let old = before(json!({"name": "shop", "engine": "mysql"}));
    let blocks = template("block.toml", QUESTIONS);
    let error = answers(&blocks, &old, None).unwrap_err();
    insta::assert_snapshot!(format!("{error} | {}", error.hint().unwrap()), @"`mysql` is no answer to `engine`: choose one of mariadb, none | answer it with --data engine=…");
    let mut script = Script::of([Reply::Chosen(vec![1])]);
    let given = answers(&blocks, &old, Some(&mut script)).unwrap();
    assert_eq!(shown(&given), r#"{"name":"shop","engine":"none"}"#);
    insta::assert_snapshot!(script.prompts[0].problem.as_deref().unwrap(), @"`mysql` was the answer before: choose one of mariadb, none");
}

#[test]
fn what_is_typed_goes_before_what_is_given_before_what_was() {
    let text = "a: {type: str, default: d}\nb: {type: str, default: d}\nc: {type: str, default: d}\nd: {type: str, default: d}\n";
    let mut sources = before(json!({"a": "before", "b": "before", "c": "before"}));
    sources.given = json!({"a": "given", "b": "given", "other": 1}).as_object().unwrap().clone();
    sources.typed = data(&[("a", "typed")]).typed;
    assert_eq!(shown(&copier(text, &sources, None).unwrap()), r#"{"a":"typed","b":"given","c":"before","d":"d"}"#);
}

#[test]
fn prompts_are_neutral_and_say_what_cannot_be_taken() {
    let text = "lang:\n  type: str\n  help: \"Pick\\e[31m\\none\"\n  placeholder: \"\\e]0;x\\a\"\n  choices:\n    \"a\\e[2J\": a\n    b: {value: b, validator: \"\\e[1mno\"}\n";
    let mut script = Script::of([Reply::Chosen(vec![1]), Reply::Chosen(vec![]), Reply::Back, typed("a")]);
    let given = copier(text, &Sources::default(), Some(&mut script)).unwrap();
    assert_eq!(shown(&given), r#"{"lang":"a"}"#);
    let prompt = &script.prompts[0];
    assert_eq!(prompt.help, "Pick\\u{1b}[31m\none");
    assert_eq!(prompt.placeholder, "\\u{1b}]0;x\\u{7}");
    assert_eq!(prompt.choices[0].label, "a\\u{1b}[2J");
    assert_eq!(prompt.choices[1].disabled.as_deref(), Some("\\u{1b}[1mno"));
    let problems: Vec<_> = script.prompts.iter().map(|prompt| prompt.problem.as_deref().unwrap_or_default()).collect();
    assert_eq!(problems, ["", "\\u{1b}[1mno", "choose one", "this is the first question"]);
}

#[test]
fn presets_of_a_person_are_labels_and_lines() {
    let mut script = Script::of([
        Reply::Chosen(vec![0]),
        Reply::Chosen(vec![2, 0]),
        Reply::Chosen(vec![]),
        typed("a:\n- 1\n- true"),
        typed("s3cret"),
    ]);
    let given = copier(FORMS, &Sources::default(), Some(&mut script)).unwrap();
    let presets: Vec<_> = script.prompts.iter().map(|prompt| prompt.default.as_deref().unwrap()).collect();
    assert_eq!(presets, ["PHP", "composer\nmake", "1", "a:\n- 1\n- true", "s3cret"]);
    assert_eq!(given.kept["tools"], json!(["composer", "make"]));
    assert_eq!(given.kept["versions"], json!([]));
}

#[test]
fn a_validator_that_fails_refuses_the_answer() {
    let text = "port: {type: yaml, default: 1, validator: \"{% if port > 1 %}{% endif %}{{ port.x.y }}\"}\n";
    let error = copier(text, &data(&[("port", "[]")]), None).unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
}

#[test]
fn cookiecutter_renders_tables_deeply_and_private_variables_late() {
    let text = r#"{
  "name": "Shop",
  "slug": "{{ cookiecutter.name|lower }}",
  "kind": ["{{ cookiecutter.slug }}-web", "job"],
  "files": {"{{ cookiecutter.slug }}": {"n": 1, "t": ["{{ cookiecutter.kind }}"]}, "b": "x"},
  "docs": true,
  "_raw": "{{ cookiecutter.name }}",
  "__both": "{{ cookiecutter.slug }}{{ cookiecutter._raw }}"
}"#;
    let source: Tree = [("cookiecutter.json", text), ("{{cookiecutter.slug}}/x", "")]
        .map(|(path, text)| (path.parse().unwrap(), Entry::file(text)))
        .into_iter()
        .collect();
    let template = dialect::read("x", source).unwrap();
    let given = answers(&template, &Sources::default(), None).unwrap();
    insta::assert_snapshot!(shown(&given), @r#"{"name":"Shop","slug":"shop","kind":"shop-web","docs":true,"files":{"shop":{"n":"1","t":["shop-web"]},"b":"x"}}"#);
    insta::assert_snapshot!(serde_json::to_string(&given.passing).unwrap(), @r#"{"__both":"shop{{ cookiecutter.name }}"}"#);
    let mut sources = data(&[("docs", "n"), ("kind", "job")]);
    sources.given = json!({"files": {"b": {"y": 1}}}).as_object().unwrap().clone();
    insta::assert_snapshot!(shown(&answers(&template, &sources, None).unwrap()), @r#"{"name":"Shop","slug":"shop","kind":"job","docs":false,"files":{"shop":{"n":"1","t":["job"]},"b":{"y":1}}}"#);
}

#[test]
fn blocks_write_choices_in_every_form() {
    let text = r#"
[questions.a]
type = "int"
choices = [{ label = "One", value = 1 }, { label = "Two", value = 2, disabled = "{% if true %}sold out{% endif %}" }, 3]
default = 1
[questions.b]
choices = { Yes = true, No = { value = false, disabled = "never" } }
type = "bool"
default = true
[questions.c]
multiselect = true
type = "str"
choices = "{{ ['x', 'y', a] }}"
default = ["y"]
"#;
    assert_eq!(block(text, &[("a", "3"), ("c", "3,x")]).unwrap(), r#"{"a":3,"b":true,"c":["x","3"]}"#);
    insta::assert_snapshot!(fails(text, &[("a", "2")]), @"`2` is no answer to `a`: sold out | answer it with --data a=…");
    insta::assert_snapshot!(fails(text, &[("b", "no")]), @"`no` is no answer to `b`: never | answer it with --data b=…");
}

#[test]
fn mistakes_of_a_block_have_their_place() {
    let error = |text: &str| {
        let source: Tree =
            [("block.toml".parse().unwrap(), Entry::file(format!("schema = 1\n{text}")))].into_iter().collect();
        let error = dialect::read("x 1.0.0", source).unwrap_err();
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    insta::assert_snapshot!(error("[questions.a]\ntype = \"text\"\n"), @"block.toml of x 1.0.0:3:8: unknown value `text` | known here: str, int, float, bool, json, yaml, path");
    insta::assert_snapshot!(error("[questions.a]\ntype = \"str\"\nsecrt = true\n"), @"block.toml of x 1.0.0:4:1: unknown key `secrt` | did you mean `secret`?");
    insta::assert_snapshot!(error("[questions.a]\ntype = \"int\"\ndefault = true\n"), @"block.toml of x 1.0.0:4:11: questions.a: default true is no int |");
    insta::assert_snapshot!(error("[questions.a]\ntype = \"int\"\nchoices = [1, \"two\"]\n"), @r#"block.toml of x 1.0.0:4:11: questions.a: choice "two" is no int |"#);
    insta::assert_snapshot!(error("[questions.a]\ntype = \"int\"\nchoices = [1, 2]\ndefault = 3\n"), @"block.toml of x 1.0.0:5:11: questions.a: default 3 is none of its choices |");
    insta::assert_snapshot!(error("[questions.a]\ntype = \"str\"\nsecret = true\n"), @"block.toml of x 1.0.0:2:12: questions.a: a secret has a default, since it is not kept for the next update |");
    insta::assert_snapshot!(error("[questions._a]\ntype = \"str\"\n"), @"block.toml of x 1.0.0:2:12: `_a` is no question: a letter, then letters, digits and underscores |");
    insta::assert_snapshot!(error("[questions.a]\nchoices = [{ label = \"x\" }]\n"), @"block.toml of x 1.0.0:3:11: questions.a: a choice that is a table has a `value` |");
    insta::assert_snapshot!(error("[questions.a]\nmultiselect = true\n"), @"block.toml of x 1.0.0:2:12: questions.a: multiselect is for a question with choices |");
    insta::assert_snapshot!(error("shares = [\"b\"]\n"), @"block.toml of x 1.0.0:2:11: it shares `b`, which it does not ask |");
    insta::assert_snapshot!(error("[render]\nexlude = []\n"), @"block.toml of x 1.0.0:3:1: unknown key `exlude` | did you mean `exclude`?");
    insta::assert_snapshot!(error("[[tasks]]\nrun = \"x\"\nstage = \"before\"\n"), @"block.toml of x 1.0.0:4:9: version and stage are a migration's; a task runs at every change |");
    insta::assert_snapshot!(error("[[migrations]]\nrun = [\"x\"]\nversion = \"soon\"\n"), @"block.toml of x 1.0.0:4:11: `soon` is no version: unexpected character 's' while parsing major version number |");
    let many: String = (0..10_000).map(|index| format!("[questions.q{index}]\n")).collect();
    insta::assert_snapshot!(error(&many), @"block.toml of x 1.0.0:502:12: more than 500 questions |");
}

#[test]
fn files_of_answers_are_yaml_json_or_toml() {
    let parse = |name: &str, text: &str| file::parse(std::path::Path::new(name), text);
    let expected = json!({"a": true, "b": [1, "x"]});
    for (name, text) in [
        ("a.yml", "a: yes\nb: [1, x]\n"),
        ("a.json", r#"{"a": true, "b": [1, "x"]}"#),
        ("a.TOML", "a = true\nb = [1, \"x\"]\n"),
    ] {
        assert_eq!(json!(parse(name, text).unwrap()), expected, "{name}");
    }
    assert!(parse("a.yml", "").unwrap().is_empty());
    let error = |name: &str, text: &str| parse(name, text).unwrap_err().to_string();
    insta::assert_snapshot!(error("a.yml", "a: {{ x }}\n"), @"a.yml:1:5: a list or a table cannot be a key; quote a text that begins with `{`");
    insta::assert_snapshot!(error("a.json", "{\n\"a\": }"), @"a.json:2:6: expected value at line 2 column 6");
    insta::assert_snapshot!(error("a.toml", "a = 1\nb = \n"), @"a.toml:2:5: string values must be quoted, expected literal string");
    insta::assert_snapshot!(error("a.yaml", "- a\n"), @"a.yaml:1:1: it is no table of answers by question");
}
