//! Repositories that hold several Cookiecutter templates, and hooks that run before anything is asked: as the real programs
//! have them.

use std::fs;
use std::path::{Path, PathBuf};

use onramp::error::Class;

use crate::compare;
use crate::oracle;
use crate::run::Machine;
use crate::template::{publish, text};

/// A repository in which two templates lie, at version 1.0.0.
fn repository(machine: &Machine, menu: &str) -> PathBuf {
    machine.write("template/cookiecutter.json", menu);
    for (name, greeting) in [("web", "hello"), ("job", "run")] {
        machine.write(format!("template/{name}/cookiecutter.json"), r#"{"slug": "shop", "port": "80"}"#);
        let file = format!("template/{name}/{{{{cookiecutter.slug}}}}/{name}.txt");
        machine.write(file, format!("{greeting} {{{{ cookiecutter.slug }}}}\n\n\nat {{{{ cookiecutter.port }}}}\n"));
    }
    publish(machine, &machine.path("template"), "v1.0.0");
    machine.path("template")
}

const TITLED: &str = r#"{"templates": {"web": {"path": "./web", "title": "A site"}, "a-job": {"path": "job"}}}"#;
const OLDER: &str = r#"{"template": ["Site (./web)", "Job (./job)"]}"#;

#[track_caller]
fn same(theirs: &Path, ours: &Path) {
    let said = compare::differences(&compare::tree(theirs), &compare::tree(ours));
    assert!(said.is_empty(), "{said}");
}

#[test]
fn which_of_several_templates_is_answered_like_every_question() {
    for (menu, second) in [(TITLED, "a-job"), (OLDER, "Job (./job)")] {
        let machine = Machine::new();
        let template = repository(&machine, menu);
        let work = machine.path("");
        // Without an answer, both take the first.
        oracle::must(&machine, &work, &["cookiecutter", "--no-input", "--output-dir", "theirs", text(&template)]);
        machine.onramp("new --defaults ./template first").ok();
        same(&machine.path("theirs/shop"), &machine.path("first"));
        let line = ["cookiecutter", "--no-input", "--directory", "job", "--output-dir", "jobs", text(&template)];
        oracle::must(&machine, &work, &line);
        machine.onramp("new --defaults ./template second --data").arg(format!("template={second}")).ok();
        same(&machine.path("jobs/shop"), &machine.path("second"));
        let lock = machine.read("second/onramp.lock");
        assert!(lock.contains("directory = \"job\""), "{lock}");
        let wrong = machine.onramp("new --defaults ./template third --data template=none").fails(Class::Usage);
        assert!(wrong.stderr.contains("choose one of") && wrong.stderr.contains("--data template="), "{wrong}");
        assert!(!machine.path("third").exists());
    }
}

#[test]
fn an_update_stays_with_the_template_that_was_chosen() {
    let machine = Machine::new();
    let template = repository(&machine, TITLED);
    machine.onramp("new --defaults ./template shop --data template=a-job").ok();
    machine.write("template/job/{{cookiecutter.slug}}/job.txt", "run {{ cookiecutter.slug }} daily\n");
    publish(&machine, &template, "v1.1.0");
    machine.onramp("update --defaults").dir("shop").ok();
    assert_eq!(machine.read("shop/job.txt"), "run shop daily\n");
    assert!(!machine.path("shop/web.txt").exists());
    assert!(machine.read("shop/onramp.lock").contains("directory = \"job\""));

    // Its history is another one, and nobody has what it was but the cache.
    fs::remove_dir_all(template.join(".git")).unwrap();
    machine.write("shop/job.txt", "run shop daily\n# mine\n");
    machine.write("template/job/{{cookiecutter.slug}}/job.txt", "run {{ cookiecutter.slug }} weekly\n");
    publish(&machine, &template, "v1.2.0");
    machine.onramp("update --defaults").dir("shop").exits(1);
    let merged = machine.read("shop/job.txt");
    assert!(merged.contains("||||||| template v1.1.0\nrun shop daily\n"), "the base is there: {merged}");
}

#[test]
fn a_project_of_crufts_is_followed_in_its_directory() {
    let machine = Machine::new();
    let template = repository(&machine, TITLED);
    // No menu at the top: cruft was told the directory.
    fs::remove_file(template.join("cookiecutter.json")).unwrap();
    publish(&machine, &template, "v1.0.1");
    let work = machine.path("");
    for side in ["theirs", "ours"] {
        let line = ["cruft", "create", "--no-input", "--directory", "job", "--output-dir", side, text(&template)];
        oracle::must(&machine, &work, &line);
        let project = machine.path(side).join("shop");
        machine.git(&project, &["init", "--quiet"]);
        machine.git(&project, &["add", "--all"]);
        machine.git(&project, &["commit", "--quiet", "--message", "New"]);
    }
    machine.write("template/job/{{cookiecutter.slug}}/job.txt", "run {{ cookiecutter.slug }} daily\n");
    publish(&machine, &template, "v1.1.0");
    oracle::must(&machine, &machine.path("theirs/shop"), &["cruft", "update", "--skip-apply-ask"]);
    machine.onramp("update --defaults").dir("ours/shop").ok();
    assert_eq!(machine.read("ours/shop/job.txt"), machine.read("theirs/shop/job.txt"));
    let cruft = |side: &str| -> serde_json::Value {
        serde_json::from_str(&machine.read(format!("{side}/shop/.cruft.json"))).unwrap()
    };
    let (theirs, ours) = (cruft("theirs"), cruft("ours"));
    assert_eq!((&ours["directory"], &ours["commit"]), (&theirs["directory"], &theirs["commit"]));
}

#[test]
fn the_template_that_a_project_was_made_from_is_found() {
    let machine = Machine::new();
    let template = repository(&machine, TITLED);
    let line = ["cookiecutter", "--no-input", "--directory", "job", "--output-dir", ".", text(&template), "slug=till"];
    oracle::must(&machine, &machine.path(""), &line);
    machine.git("till", &["init", "--quiet"]);
    machine.onramp("adopt").arg(text(&template)).dir("till").ok();
    assert!(machine.read("till/onramp.lock").contains("directory = \"job\""));
}

/// A template whose hook changes what it asks and what it renders.
fn changing(machine: &Machine, port: &str) -> PathBuf {
    machine.write("template/cookiecutter.json", r#"{"slug": "shop", "port": "80"}"#);
    machine.write("template/{{cookiecutter.slug}}/port.txt", "{{ cookiecutter.port }}\n");
    let hook =
        format!("#!/bin/sh\nsed -i s/80/{port}/ cookiecutter.json\necho {port} > '{{{{cookiecutter.slug}}}}/made'\n");
    let hook = machine.write("template/hooks/pre_prompt.sh", hook);
    fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    publish(machine, &machine.path("template"), &format!("v1.0.{port}"));
    machine.path("template")
}

#[test]
fn hooks_before_the_questions_run_wherever_a_template_is_rendered() {
    let machine = Machine::new();
    let template = changing(&machine, "81");
    let render = |to: &str| {
        let line = ["cookiecutter", "--no-input", "--output-dir", to, text(&template)];
        oracle::must(&machine, &machine.path(""), &line);
    };
    render("theirs");
    machine.onramp("new ./template untrusted --defaults").fails(Class::Security);
    machine.onramp("new ./template shop --defaults --trust").ok();
    same(&machine.path("theirs/shop"), &machine.path("shop"));
    // The same hook made what is there: nothing is new, and nothing runs.
    let idle = machine.onramp("update --defaults").dir("shop").ok();
    assert!(idle.stdout.contains("up to date") && !idle.stderr.contains("moved"), "{idle}");
    machine.write("other/onramp.toml", "schema = 1\nname = \"other\"\n");
    machine.git("other", &["init", "--quiet"]);
    machine.onramp("add ../template --defaults --trust").dir("other").ok();
    assert_eq!((machine.read("other/port.txt"), machine.read("other/made")), ("81\n".into(), "81\n".into()));
    changing(&machine, "82");
    render("newer");
    machine.onramp("update --defaults").dir("shop").fails(Class::Security);
    machine.onramp("update --defaults --trust").dir("shop").ok();
    // The answer of before stays; what the hook made is new.
    assert_eq!((machine.read("shop/port.txt"), machine.read("shop/made")), ("81\n".into(), "82\n".into()));
    assert_eq!(machine.read("shop/made"), machine.read("newer/shop/made"));
}
