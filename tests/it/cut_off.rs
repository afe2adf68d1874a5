//! onramp ends before its work does: a signal while a block's own command runs, a kill at any moment.

use std::fs;
use std::process::Child;

use onramp::error::Class;
use rustix::process::Signal;

use crate::run::{Machine, Run};

/// A Copier template whose project `svc` runs a command when it is added or updated, and that command waits.
struct Waiting {
    machine: Machine,
}

/// What the template's command does to the project before it waits.
const BEGINS: &str = "echo formatted > README.md; echo $$ >> ran";

impl Waiting {
    fn new() -> Self {
        let machine = Machine::new();
        machine.write("tpl/copier.yml", "name: svc\n");
        machine.write("tpl/README.md", "first\n");
        machine.git("tpl", &["init", "--quiet", "--initial-branch=main"]);
        let waiting = Self { machine };
        waiting.release("v1.0.0");
        waiting
    }

    /// The next release, whose command tells that it has begun, and waits for somebody to read on.
    fn with_command(&self) {
        for pipe in ["begun", "never"] {
            let made = std::process::Command::new("mkfifo").arg(self.machine.path(pipe)).status();
            assert!(made.unwrap().success());
        }
        let wait = format!("{BEGINS}; echo > {}; cat {}", self.pipe("begun"), self.pipe("never"));
        self.machine.write("tpl/copier.yml", format!("name: svc\n_tasks: [\"{wait}\"]\n"));
        self.machine.write("tpl/README.md", "second\n");
        self.machine.write("tpl/added.txt", "added\n");
        self.release("v1.1.0");
    }

    fn pipe(&self, name: &str) -> String {
        self.machine.path(name).display().to_string()
    }

    fn release(&self, version: &str) {
        self.machine.git("tpl", &["add", "--all"]);
        self.machine.git("tpl", &["commit", "--quiet", "-m", version]);
        self.machine.git("tpl", &["tag", version]);
    }

    /// Runs until the template's command has begun, then sends the signal.
    fn cut_off(&self, run: Run<'_>, signal: Signal) -> std::process::ExitStatus {
        let mut child: Child = run.start();
        // Whoever opens it waits until the command opens it, too.
        fs::read_to_string(self.machine.path("begun")).unwrap();
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, signal).unwrap();
        let ended = child.wait().unwrap();
        if signal == Signal::KILL {
            // The command outlives it, and ends when nobody writes any more.
            drop(fs::OpenOptions::new().write(true).open(self.machine.path("never")));
        }
        ended
    }
}

/// Everything that the tree has, but for what the command itself did to other files.
fn without_ran(mut tree: std::collections::BTreeMap<String, String>) -> std::collections::BTreeMap<String, String> {
    tree.remove("ran");
    tree
}

#[test]
fn an_update_whose_commands_are_interrupted_is_taken_back() {
    let scene = Waiting::new();
    scene.machine.onramp("new ./tpl svc --defaults").ok();
    scene.with_command();
    let before = scene.machine.tree("svc");
    let update = || scene.machine.onramp("update --trust").dir("svc");
    let ended = scene.cut_off(update(), Signal::INT);
    assert_eq!(ended.code(), Some(130));
    assert_eq!(without_ran(scene.machine.tree("svc")), before);
    scene.machine.onramp("update --undo").dir("svc").fails(Class::Usage);
    // The same command begins again: files and commands, to the end.
    scene.machine.write("tpl/copier.yml", "name: svc\n_tasks: [\"echo again >> ran\"]\n");
    scene.release("v1.1.1");
    update().ok();
    assert_eq!(scene.machine.read("svc/added.txt"), "added\n");
    assert!(scene.machine.read("svc/ran").ends_with("again\n"));
}

#[test]
fn an_update_that_is_killed_while_commands_run_is_taken_back_by_the_next_onramp() {
    let scene = Waiting::new();
    scene.machine.onramp("new ./tpl svc --defaults").ok();
    scene.with_command();
    let before = scene.machine.tree("svc");
    let update = || scene.machine.onramp("update --trust").dir("svc");
    scene.cut_off(update(), Signal::KILL);
    assert_eq!(scene.machine.read("svc/README.md"), "formatted\n");
    let told = scene.machine.onramp("outdated").dir("svc").ok();
    assert!(told.stderr.contains("killed before the blocks' own commands had ended"), "{told}");
    assert!(told.stderr.contains("the update of tpl v1.0.0 to v1.1.0 was taken back"), "{told}");
    assert_eq!(without_ran(scene.machine.tree("svc")), before);
    let saved = told.stderr.split(" is in ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    let saved = saved.replace("[MACHINE]", &scene.machine.elsewhere("").display().to_string());
    let saved = saved.replace("[HOME]", &scene.machine.elsewhere("home").display().to_string());
    assert_eq!(fs::read_to_string(std::path::Path::new(saved.trim()).join("README.md")).unwrap(), "formatted\n");
    // Once is enough.
    assert_eq!(scene.machine.onramp("outdated").dir("svc").ok().stderr, "");
}

#[test]
fn undoing_a_killed_update_undoes_that_one_only() {
    let scene = Waiting::new();
    scene.machine.onramp("new ./tpl svc --defaults").ok();
    scene.machine.write("tpl/README.md", "between\n");
    scene.release("v1.0.1");
    scene.machine.onramp("update").dir("svc").ok();
    let before = scene.machine.tree("svc");
    scene.with_command();
    scene.cut_off(scene.machine.onramp("update --trust").dir("svc"), Signal::KILL);
    let told = scene.machine.onramp("update --undo --json").dir("svc").ok().json();
    assert_eq!(told["undone"], "update of tpl v1.0.1 to v1.1.0");
    assert_eq!(without_ran(scene.machine.tree("svc")), before);
}

#[test]
fn an_addition_that_is_cut_off_while_commands_run_is_taken_back() {
    for signal in [Signal::INT, Signal::KILL] {
        let scene = Waiting::new();
        scene.machine.write("svc/onramp.toml", "schema = 1\nname = \"svc\"\n");
        scene.with_command();
        let before = scene.machine.tree("svc");
        let add = || scene.machine.onramp("add ../tpl --trust --defaults").dir("svc");
        scene.cut_off(add(), signal);
        // Not even the next one's plan sees it.
        scene.machine.onramp("outdated").dir("svc").ok();
        assert_eq!(without_ran(scene.machine.tree("svc")), before, "{signal:?}");
        scene.machine.write("tpl/copier.yml", "name: svc\n_tasks: [\"echo again >> ran\"]\n");
        scene.release("v1.1.1");
        add().ok();
        assert_eq!(scene.machine.read("svc/README.md"), "second\n");
        assert!(scene.machine.read("svc/ran").ends_with("again\n"));
        scene.machine.onramp("update --undo").dir("svc").ok();
        assert_eq!(without_ran(scene.machine.tree("svc")), before, "{signal:?}");
    }
}
