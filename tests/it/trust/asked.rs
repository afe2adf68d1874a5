//! A person at a terminal is asked whether a template may do what it wants.

use super::Template;
use crate::pty::{ENTER, Talk};

const WANTED: &str = "run `echo made > made.txt` (copier.yml:4)";
const QUESTION: &str = "Allow this, now and later?";

/// Answers the question; the code, and what was said.
fn answered(template: &Template, project: &str, answer: &str) -> (Option<i32>, String) {
    let mut talk = Talk::start(template.machine.onramp(&format!("new ./tpl {project} --defaults")));
    talk.hears("wants to").hears(WANTED).hears(QUESTION).hears("--trust says yes").types(answer).types(ENTER);
    talk.ends()
}

#[test]
fn no_refuses_and_leaves_nothing() {
    let template = Template::new("  - echo made > made.txt\n");
    let machine = &template.machine;
    let before = machine.tree("");
    // Enter alone is no, too.
    for answer in ["n", ""] {
        let (code, said) = answered(&template, "shop", answer);
        assert_eq!(code, Some(7), "{said}");
        assert_eq!(machine.tree(""), before);
        assert_eq!(machine.onramp("trust list").ok().stdout, "you allowed nothing to any template\n");
    }
}

#[test]
fn yes_runs_it_and_is_remembered() {
    let template = Template::new("  - echo made > made.txt\n");
    let machine = &template.machine;
    let (code, said) = answered(&template, "shop", "y");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(machine.read("shop/made.txt"), "made\n");
    assert!(machine.onramp("trust list").ok().stdout.contains(WANTED));
    let (code, said) = Talk::start(machine.onramp("new ./tpl again --defaults")).ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(QUESTION), "{said}");
    assert_eq!(machine.read("again/made.txt"), "made\n");
}
