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
