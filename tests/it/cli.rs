//! What holds for every command: help with examples, JSON, versions, completions, manual pages, signals.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;
use crate::run::Machine;

/// Every command and sub-command that people type; onramp's own programs in the background are hidden.
fn commands(command: &clap::Command, above: &str) -> Vec<(String, clap::Command)> {
    let mut all = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let line = format!("{above}{}", sub.get_name());
        all.extend(commands(sub, &format!("{line} ")));
        all.push((line, sub.clone()));
    }
    all
}

#[test]
fn every_help_begins_with_what_it_is_for_and_examples() {
    let machine = Machine::new();
    let all = commands(&onramp::cli::command(), "");
    assert!(all.len() > 30, "{}", all.len());
    for (line, _) in all {
        let help = machine.onramp(&format!("{line} --help")).ok().stdout;
        let (examples, usage) = (help.find("Examples:\n"), help.find("Usage:"));
        assert!(examples.is_some() && examples < usage, "onramp {line} --help:\n{help}");
        assert!(help.contains("--json"), "onramp {line}");
    }
}

#[test]
fn the_examples_in_help_are_commands_that_parse() {
    let quoted = regex::Regex::new("'[^']*'").unwrap();
    for (line, command) in commands(&onramp::cli::command(), "") {
        let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        for example in examples.lines().filter_map(|l| l.trim().strip_prefix("onramp ")) {
            // A description stands behind at least two spaces; redirections and pipes are the shell's.
            let typed = example.split("  ").next().unwrap_or_default();
            let typed = typed.split([';', '|', '<', '>']).next().unwrap_or_default().split(" && ").next().unwrap();
            let words = quoted.replace_all(typed, "text").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let parsed = onramp::cli::command().try_get_matches_from(std::iter::once("onramp".to_owned()).chain(words));
            let sound = parsed.as_ref().map_or_else(|e| !e.use_stderr(), |_| true);
            assert!(sound, "an example of `{line}`: {example}\n{}", parsed.unwrap_err());
        }
    }
}

#[test]
fn the_version_is_told() {
    let told = Machine::new().onramp("--version").ok();
    assert_eq!(told.stdout, format!("onramp {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn shells_complete_and_man_pages_are_written() {
    let machine = Machine::new();
    assert!(machine.onramp("completions bash").ok().stdout.contains("playground"));
    let script = machine.onramp("completions zsh --json").ok().json();
    assert!(script["script"].as_str().unwrap().starts_with("#compdef onramp"));
    assert!(machine.onramp("man").ok().stdout.contains(".TH onramp 1"));
    machine.onramp("man --to pages --dry-run").ok();
    assert!(!machine.path("pages").exists(), "a dry run writes nothing");
    machine.onramp("man --to pages").ok();
    assert!(machine.read("pages/onramp-image-pull.1").contains("onramp"));
}

#[test]
fn mistakes_on_the_command_line_are_usage_in_both_forms() {
    let machine = Machine::new();
    let told = machine.onramp("upp").fails(Class::Usage);
    assert!(told.stderr.contains("a similar subcommand exists: 'up'"), "{told}");
    let error = machine.onramp("upp --json").fails(Class::Usage).json();
    assert_eq!(error["error"]["class"], "USAGE");
    machine.onramp("status -C nowhere").fails(Class::Usage);
    machine.onramp("up --timeout soon").fails(Class::Usage);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_onramp"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn ctrl_c_ends_with_130_and_the_next_command_goes_on() {
    let dev = Developer::new();
    dev.shop();
    let mut child = engine::until_created(&dev.path("shop"), || dev.in_shop("up").start());
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    dev.in_shop("up").ok();
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
}
