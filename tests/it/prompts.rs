//! Questions to a person at a real terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::pty::{DOWN, ENTER, ESCAPE, INTERRUPT, SPACE, Talk};
use crate::run::Machine;

const QUESTIONS: &str = r#"
name:
  type: str
  help: What is it called?
  validator: "{% if name != name|lower %}Use lower case{% endif %}"
port:
  type: int
  help: Which port?
  default: 80
docs:
  type: bool
  help: With pages?
  default: false
licence:
  type: str
  help: Which licence?
  choices:
    Massachusetts: mit
    Foundation: { value: apache, validator: not in this company }
parts:
  type: str
  help: Which parts?
  multiselect: true
  choices: { The API: api, Pages: web, Night jobs: jobs }
notes:
  type: str
  help: What is to know?
  multiline: true
token:
  type: str
  help: Which token?
  secret: true
  default: none
"#;
const OUT: &str = "{{ name }} {{ port }} {{ docs }} {{ licence }} {{ parts|join('+') }}\n{{ notes }}\n{{ token }}\n";
const FLAGS: [&str; 7] = ["name", "port", "docs", "licence", "parts", "notes", "token"];

/// A machine with a template that asks every kind of question.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.write("template/copier.yml", QUESTIONS);
    machine.write("template/out.txt.jinja", OUT);
    machine.write("template/{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}");
    machine.git("template", &["init", "--quiet"]);
    release(&machine, "v1.0.0");
    let editor = machine.write("editor", "#!/bin/sh\nprintf 'first\\nsecond\\n' > \"$1\"\n");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    machine.set("EDITOR", editor.display().to_string());
    machine
}

fn release(machine: &Machine, tag: &str) {
    machine.git("template", &["add", "--all"]);
    machine.git("template", &["commit", "--quiet", "--message", tag]);
    machine.git("template", &["tag", tag]);
}

/// Answers everything, and takes the wrong turns that there are.
fn answered(machine: &Machine) {
    let mut talk = Talk::start(machine.onramp("new ./template shop"));
    talk.hears("What is it called?").hears("--data name=").types("Shop").types(ENTER);
    talk.hears("Use lower case").hears("What is it called?").hears("--data name=").types("till").types(ENTER);
    talk.hears("Which port?").hears("Esc to go back; --data port=").types("many").types(ENTER);
    talk.hears("✗").hears("Which port?").hears("--data port=").types(ESCAPE);
    // The answer that was given stands there.
    talk.hears("(back)").hears("What is it called?").hears("till").hears("--data name=").types("shop").types(ENTER);
    talk.hears("Which port?").hears("80").hears("--data port=").types("81").types(ENTER);
    talk.hears("With pages?").hears("--data docs=").types("y").types(ENTER);
    talk.hears("Which licence?").hears("Massachusetts").hears("Foundation ✗ not in this company");
    talk.hears("--data licence=").types(DOWN).types(ENTER);
    talk.hears("✗ not in this company").hears("Which licence?").hears("--data licence=").types(ENTER);
    talk.hears("Which parts?").hears("The API").hears("--data parts=");
    talk.types(SPACE).types(DOWN).types(DOWN).types(SPACE).types(ENTER);
    // The editor writes and ends by itself; Enter submits what it left.
    talk.hears("What is to know?").hears("--data notes=").types("e").types(ENTER).hears("received");
    talk.hears("Which token?").hears("--data token=").types("hush-hush").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("hush"), "a secret is shown:\n{said}");
}

#[test]
fn every_kind_of_question_is_answered_at_a_terminal() {
    let machine = machine();
    answered(&machine);
    assert_eq!(machine.read("shop/out.txt"), "shop 81 True mit api+jobs\nfirst\nsecond\nhush-hush\n");
    assert!(
        !machine.read("shop/onramp.lock").contains("hush")
            && !machine.read("shop/.copier-answers.yml").contains("hush")
    );
}

#[test]
fn an_update_asks_only_what_is_new_and_reask_asks_all() {
    let machine = machine();
    answered(&machine);
    machine.write("template/copier.yml", format!("{QUESTIONS}colour:\n  type: str\n  help: Which colour?\n"));
    machine.write("template/out.txt.jinja", format!("{OUT}{{{{ colour }}}}\n"));
    release(&machine, "v1.1.0");
    let mut talk = Talk::start(machine.onramp("update").dir("shop"));
    // A secret is kept nowhere, so it is new every time.
    talk.hears("Which token?").hears("--data token=").types("hush-hush").types(ENTER);
    talk.hears("Which colour?").hears("--data colour=").types("red").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(0), "{said}");
    for id in FLAGS.iter().filter(|id| **id != "token") {
        assert!(!said.contains(&format!("--data {id}=")), "{id} is asked again:\n{said}");
    }
    assert!(machine.read("shop/out.txt").ends_with("hush-hush\nred\n"), "{}", machine.read("shop/out.txt"));
    let mut talk = Talk::start(machine.onramp("update --reask").dir("shop"));
    for id in FLAGS {
        talk.hears(&format!("--data {id}="));
        match id {
            "port" => talk.types("82").types(ENTER),
            "token" => talk.types("hush-hush").types(ENTER),
            // What was answered before is what Enter takes.
            _ => talk.types(ENTER),
        };
    }
    talk.hears("--data colour=").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(machine.read("shop/out.txt"), "shop 82 True mit api+jobs\nfirst\nsecond\nhush-hush\nred\n");
}

#[test]
fn an_interrupted_question_leaves_nothing() {
    let machine = machine();
    let before = machine.tree("");
    let mut talk = Talk::start(machine.onramp("new ./template shop"));
    talk.hears("What is it called?").hears("--data name=").types("shop").types(ENTER);
    talk.hears("Which port?").hears("--data port=").types(INTERRUPT);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
    assert_eq!(machine.tree(""), before);
    answered(&machine);
    let project = machine.tree("shop");
    let mut talk = Talk::start(machine.onramp("update --reask").dir("shop"));
    talk.hears("--data name=").types(INTERRUPT);
    assert_eq!(talk.ends().0, Some(130));
    assert_eq!(machine.tree("shop"), project);
}

#[test]
fn which_of_several_templates_is_asked() {
    let machine = Machine::new();
    machine.write(
        "template/cookiecutter.json",
        r#"{"templates": {"web": {"path": "w"}, "job": {"path": "j", "title": "A job"}}}"#,
    );
    for name in ["w", "j"] {
        machine.write(format!("template/{name}/cookiecutter.json"), r#"{"slug": "shop"}"#);
        machine.write(format!("template/{name}/{{{{cookiecutter.slug}}}}/{name}.txt"), "{{ cookiecutter.slug }}\n");
    }
    let mut talk = Talk::start(machine.onramp("new ./template shop"));
    talk.hears("Select a template").hears("A job").hears("--data template=").types(DOWN).types(ENTER);
    talk.hears("--data slug=").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(machine.read("shop/j.txt"), "shop\n");
}

#[test]
fn a_placeholder_is_shown_and_never_taken() {
    let machine = Machine::new();
    let question =
        "name:\n  type: str\n  help: What is it called?\n  default: shop\n  placeholder: such as {{ 'TILL'|lower }}\n";
    machine.write("template/copier.yml", question);
    machine.write("template/out.txt.jinja", "{{ name }}\n");
    let mut talk = Talk::start(machine.onramp("new ./template shop"));
    talk.hears("What is it called?").hears("such as till").hears("--data name=").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(machine.read("shop/out.txt"), "shop\n");
}
