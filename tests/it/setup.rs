//! `scripts/setup`, which `make demo` begins with: where it may not install, it says what to install and stops.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// Runs it with no program but these, and without an engine.
fn setup(programs: &[&str], user: Option<u32>) -> Output {
    use std::os::unix::process::CommandExt;
    let bin = tempfile::tempdir().unwrap();
    std::fs::set_permissions(bin.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for program in ["bash", "env", "tr", "id", "seq", "sleep", "tail"].iter().chain(programs) {
        let place =
            std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|dir| dir.join(program)).find(|p| p.exists());
        symlink(place.unwrap_or_else(|| panic!("{program} is on the PATH")), bin.path().join(program)).unwrap();
    }
    // A copy, because the repository may lie where another user cannot look.
    let script = bin.path().join("setup");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup"), &script).unwrap();
    let mut command = Command::new(bin.path().join("bash"));
    command.arg(&script).arg("demo").env_clear().env("PATH", bin.path()).env("DOCKER_HOST", "unix:///nonexistent.sock");
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.output().unwrap()
}

#[test]
fn without_apt_it_names_what_is_missing_and_stops() {
    let output = setup(&[], None);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("has no apt-get, so nothing was installed"), "{said}");
    for package in ["curl", "git", "build-essential", "docker.io", "debootstrap"] {
        assert!(said.contains(package), "{package}: {said}");
    }
}

#[test]
fn without_root_it_says_what_root_must_run_and_stops() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can be somebody else; CI is root. Said past what the test runner keeps of a test that passes.
        std::io::stderr().write_all(b"skipped: setup without root, because only root can be somebody else\n").unwrap();
        return;
    }
    let output = setup(&["apt-get"], Some(65534));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("you are not root, so nothing was installed or started"), "{said}");
    assert!(said.contains("apt-get update && apt-get install -y --no-install-recommends curl git"), "{said}");
}
