//! What the system denies: a directory that cannot be written to, a file that cannot be read. The path is told, and nothing
//! is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use onramp::error::Class;

use crate::run::{Machine, Run};
use crate::update;

/// The machine of somebody who is not root, with a project that is behind.
fn machine() -> Machine {
    let machine = update::machine();
    update::release(&machine);
    machine.onramp("outdated").dir("shop").ok();
    machine.write("answers.toml", "database = true\n");
    fs::create_dir_all(machine.elsewhere("home/.local/state")).unwrap();
    machine.give_to_nobody();
    machine
}

/// Everything but what onramp keeps for itself.
fn everything(machine: &Machine) -> BTreeMap<String, String> {
    let mut all = machine.tree(machine.elsewhere(""));
    all.retain(|path, _| !path.starts_with("home/.cache/") && !path.starts_with("home/.local/"));
    all
}

/// With this mode of a path, the run ends because of it.
#[track_caller]
fn denied(machine: &Machine, path: impl AsRef<Path>, mode: u32, run: Run<'_>, named: &str) {
    let path = machine.path(path);
    let before = everything(machine);
    let usual = fs::metadata(&path).unwrap().permissions();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    let told = run.by_nobody().fails(Class::Io);
    fs::set_permissions(&path, usual).unwrap();
    assert!(told.stderr.contains(named), "{named} is not named:\n{told}");
    assert!(told.stderr.contains("Permission denied"), "{told}");
    assert!(everything(machine) == before, "something is changed:\n{told}");
}

/// The mode of a directory whose entries cannot be changed.
const READ_ONLY: u32 = 0o555;
/// The mode of what cannot be read.
const UNREADABLE: u32 = 0;

#[test]
fn a_new_project() {
    let machine = machine();
    let new = || machine.onramp("new web another --data-file answers.toml");
    denied(&machine, "", READ_ONLY, new(), "[WORK]");
    denied(&machine, "answers.toml", UNREADABLE, new(), "answers.toml");
    denied(&machine, machine.elsewhere("home/.cache/onramp"), UNREADABLE, new(), "[HOME]/.cache/onramp");
    new().by_nobody().ok();
}

#[test]
fn an_addition() {
    let machine = machine();
    let add = || machine.onramp("add cache").dir("shop");
    denied(&machine, "shop", READ_ONLY, add(), "[WORK]/shop");
    denied(&machine, "shop/src", READ_ONLY, add(), "[WORK]/shop/src");
    for file in ["onramp.toml", "onramp.lock"] {
        denied(&machine, format!("shop/{file}"), UNREADABLE, add(), &format!("[WORK]/shop/{file}"));
    }
    add().by_nobody().ok();
}

#[test]
fn an_update() {
    let machine = machine();
    let update = || machine.onramp("update").dir("shop");
    // Where what it replaces is kept: nothing is replaced that could not be had again.
    denied(&machine, machine.elsewhere("home/.local/state/onramp"), READ_ONLY, update(), "[HOME]/.local/state/onramp");
    denied(&machine, "shop", READ_ONLY, update(), "[WORK]/shop");
    for directory in ["deep/down", "old"] {
        denied(&machine, format!("shop/{directory}"), READ_ONLY, update(), &format!("[WORK]/shop/{directory}"));
    }
    for file in ["onramp.toml", "onramp.lock", "lines.txt", "gone.txt"] {
        denied(&machine, format!("shop/{file}"), UNREADABLE, update(), &format!("[WORK]/shop/{file}"));
    }
    update().by_nobody().ok();
}
