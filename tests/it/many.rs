//! `list` and `prune`, on the real engine.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use onramp::error::Class;
use onramp::sandbox::reaper::{self, Process};
use onramp::sandbox::turn_on;
use onramp::turn::Turn;

use crate::company::Developer;
use crate::engine;
use crate::pty::{ENTER, Talk};

/// The sandbox of a directory in what `list` and `prune` tell of all on the engine.
pub fn of(directory: &Path, told: &serde_json::Value) -> Option<serde_json::Value> {
    let directory = directory.display().to_string();
    told["sandboxes"].as_array().unwrap().iter().find(|found| found["directory"] == directory.as_str()).cloned()
}

#[test]
fn sandboxes_whose_branch_or_directory_is_gone_are_removed_with_their_data() {
    let dev = Developer::new();
    dev.shop();
    for branch in ["merged", "moved", "busy"] {
        dev.git("shop", &["worktree", "add", "--quiet", "-b", branch, &format!("../{branch}")]);
        dev.project(branch);
        dev.onramp("up").dir(branch).ok();
    }
    let here = |listed: &serde_json::Value, branch: &str| of(&dev.path(branch), listed);
    let listed = dev.onramp("list --json").ok().json();
    let found = here(&listed, "busy").unwrap();
    assert_eq!((found["branch"].as_str(), found["running"].as_u64()), (Some("busy"), Some(3)), "{found}");
    assert!(dev.onramp("list").ok().stdout.contains("3 up"));

    // Another branch is checked out there, and the first one is no more.
    dev.git("merged", &["checkout", "--quiet", "-b", "next"]);
    dev.git("merged", &["branch", "--quiet", "-D", "merged"]);
    std::fs::rename(dev.path("moved"), dev.path("elsewhere")).unwrap();
    let plan = dev.onramp("prune --dry-run --json").ok().json();
    assert_eq!(here(&plan, "merged").unwrap()["gone"], "branch");
    assert_eq!(here(&plan, "moved").unwrap()["gone"], "directory");
    assert!(here(&plan, "busy").is_none());
    let young = dev.onramp("prune --older-than 7d --dry-run --json").ok().json();
    assert!(here(&young, "merged").is_none(), "it was made a moment ago");

    let volumes = |line: &str| dev.onramp(line).ok().json()["frozen"].to_string();
    assert!(volumes("prune --golden --dry-run --json").contains("onramp.golden.shop."));
    assert!(
        !volumes("prune --dry-run --json").contains("onramp.golden.shop."),
        "their repositories may come back today"
    );

    let unasked = dev.onramp("prune").fails(Class::Usage);
    assert!(unasked.stderr.contains("Remove all of this?"), "{unasked}");
    let mut talk = Talk::start(dev.onramp("prune"));
    talk.hears("Remove all of this? (--yes says yes)").types("n").types(ENTER);
    let (code, said) = talk.ends();
    assert_eq!(code, Some(2), "{said}");
    let data = |branch: &str| engine::data_of(&dev.path("")).iter().any(|name| name.contains(branch));
    assert!(data("merged") && data("moved"));
    dev.onramp("prune --yes").ok();
    assert!(!data("merged") && !data("moved") && data("busy"));
    let listed = dev.onramp("list --json").ok().json();
    assert!(here(&listed, "merged").is_none() && here(&listed, "busy").is_some());
}

/// A process that a sandbox can end with.
fn job() -> std::process::Child {
    std::process::Command::new("sleep").arg("600").spawn().unwrap()
}

#[test]
fn a_sandbox_ends_with_the_process_that_asked_for_it() {
    let dev = Developer::new();
    dev.shop();
    let shop = dev.path("shop").canonicalize().unwrap();
    let mut asker = job();
    dev.in_shop(&format!("up --reap={}", asker.id())).ok();
    let up = of(&shop, &dev.onramp("list --json").ok().json()).unwrap();
    assert_eq!((up["running"].as_u64(), &up["gone"]), (Some(3), &serde_json::Value::Null), "{up}");

    let label = format!("dev.onramp.project-dir={}", shop.display());
    engine::until("destroy", ("label", &label), || asker.kill().unwrap());
    // Whoever removes it has the turn until all of it is gone.
    let sandbox = engine::sandbox_of(&shop);
    let state = dev.elsewhere("home/.local/state/onramp");
    drop(Turn::wait(&state, &turn_on(sandbox.as_str())).unwrap());
    assert_eq!(of(&shop, &dev.onramp("list --json").ok().json()), None);
    assert_eq!(engine::data_of(&shop), Vec::<String>::new());
    assert_eq!(reaper::asker(&state, sandbox.as_str()), None);

    asker.wait().unwrap();
    let gone = dev.in_shop(&format!("up --reap={}", asker.id())).fails(Class::Usage);
    assert!(gone.stderr.contains(&format!("no process {} runs", asker.id())), "{gone}");
}

#[test]
fn without_a_number_it_is_the_shell_that_ran_onramp() {
    let dev = Developer::new();
    dev.shop();
    let shop = dev.path("shop").canonicalize().unwrap();
    let label = format!("dev.onramp.project-dir={}", shop.display());
    // The shell does not become onramp: something comes after it.
    let mut shell = dev.in_shop("up --reap").through("sh", &["-c", "\"$@\" || exit; echo it is up; read -r end", "sh"]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(shell.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "it is up"), "up failed");
    // What `up` itself removed on its way was before.
    engine::until("destroy", ("label", &label), || {
        drop(shell.stdin.take());
        shell.wait().unwrap()
    });
    let sandbox = engine::sandbox_of(&shop);
    drop(Turn::wait(&dev.elsewhere("home/.local/state/onramp"), &turn_on(sandbox.as_str())).unwrap());
    assert_eq!(engine::data_of(&shop), Vec::<String>::new());
}

#[test]
fn where_the_reaper_is_killed_too_the_sandbox_is_known_to_be_left() {
    let dev = Developer::new();
    dev.shop();
    let shop = dev.path("shop").canonicalize().unwrap();
    dev.in_shop("up").ok();
    let (mut asker, state, sandbox) = (job(), dev.elsewhere("home/.local/state/onramp"), engine::sandbox_of(&shop));
    let mut reaper = dev.in_shop(&format!("down --data --yes --after {}", asker.id())).start();
    while reaper::asker(&state, sandbox.as_str()).is_none() {
        std::thread::yield_now();
    }
    reaper.kill().unwrap();
    reaper.wait().unwrap();
    let left = || of(&shop, &dev.onramp("prune --dry-run --json").ok().json());
    assert_eq!(left(), None, "whoever asked for it is there");
    asker.kill().unwrap();
    asker.wait().unwrap();
    assert_eq!(left().unwrap()["gone"], "process");

    dev.in_shop("up").ok();
    assert_eq!(left(), None, "whoever brings it up again wants it");

    // One that waits finds that out, too.
    let mut asker = job();
    let mut waiting = dev.in_shop(&format!("down --data --yes --after {}", asker.id())).start();
    while reaper::asker(&state, sandbox.as_str()).is_none() {
        std::thread::yield_now();
    }
    reaper::forget(&state, sandbox.as_str()).unwrap();
    asker.kill().unwrap();
    asker.wait().unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(of(&shop, &dev.onramp("list --json").ok().json()).unwrap()["running"], 3);

    reaper::remember(&state, sandbox.as_str(), &Process::of(std::process::id()).unwrap()).unwrap();
    dev.in_shop("down").ok();
    assert!(reaper::asker(&state, sandbox.as_str()).is_some(), "its data is to go, too");
    dev.in_shop("down --data --yes").ok();
    assert_eq!(reaper::asker(&state, sandbox.as_str()), None, "what is all gone ends with nothing");
}
