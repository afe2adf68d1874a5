//! The programs of forges that keep tokens, as `doctor` finds them; no server is asked.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use onramp::error::Class;

use crate::run::Machine;

/// What `doctor` says where the PATH begins with a program of this name.
fn doctor(forge: &str, program: &str, script: &str) -> String {
    let machine = Machine::new();
    let file = machine.write(format!("bin/{program}"), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", file.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = machine.onramp("doctor").env("PATH", path).env("ONRAMP_FORGE", forge);
    run.env("ONRAMP_STATE", "https://127.0.0.1:1/acme/state.git").env("GITLAB_TOKEN", "x").fails(Class::Failed).stdout
}

#[test]
fn glab_and_tea_are_asked_for_the_token_of_the_host() {
    let asked = r#"[ "$*" = "config get token --host 127.0.0.1:1" ] && [ -z "$GITLAB_TOKEN" ] && echo glpat-x"#;
    let told = doctor("gitlab", "glab", asked);
    assert!(told.contains("gitlab, with a token"), "{told}");
    let asked = r#"[ "$*" = "login helper get" ] && grep -qx host=127.0.0.1:1 && echo password=x"#;
    let told = doctor("forgejo", "tea", asked);
    assert!(told.contains("gitea, with a token"), "{told}");
    // One that has none for that host says so by its exit status, and what git would use is nothing either.
    let told = doctor("gitlab", "glab", "exit 1");
    assert!(
        told.contains("gitlab: there is no token for 127.0.0.1:[PORT]") && told.contains("glab auth login"),
        "{told}"
    );
}
