//! Templates without versions: a directory, a repository without tags.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::run::Machine;

/// A machine with a template in a directory and one in a repository, and a project of each.
fn machine() -> Machine {
    let machine = Machine::new();
    for template in ["plain", "untagged"] {
        machine.write(format!("{template}/copier.yml"), "name: app\n");
        // It names no commit, as a template without versions may well do.
        let answers = "_src_path: {{ _copier_answers._src_path }}\nname: {{ name }}\n";
        machine.write(format!("{template}/{{{{ _copier_conf.answers_file }}}}.jinja"), answers);
        machine.write(format!("{template}/a.txt.jinja"), "hi {{ name }}\n");
    }
    machine.git("untagged", &["init", "--quiet", "--initial-branch=main"]);
    commit(&machine);
    for template in ["plain", "untagged"] {
        let source = machine.path(template).display().to_string();
        machine.onramp("new --defaults").arg(source).arg(format!("of-{template}")).ok();
    }
    machine
}

fn commit(machine: &Machine) {
    machine.git("untagged", &["add", "--all"]);
    machine.git("untagged", &["commit", "--quiet", "--message=more"]);
}

#[test]
fn what_has_no_version_is_called_so() {
    let machine = machine();
    assert_snapshot!(machine.onramp("outdated --check").dir("of-plain").ok().stdout, @"
    BLOCK  HAS            ALLOWED        NEWEST
    plain  not versioned  not versioned  not versioned
    ");
    let untagged = machine.onramp("outdated --check").dir("of-untagged").ok().stdout;
    let commit = machine.git("untagged", &["rev-parse", "--short=7", "HEAD"]);
    assert!(untagged.contains(&format!("untagged  0.0.0.post1+g{}  0.0.0", commit.trim())), "{untagged}");
    for template in ["plain", "untagged"] {
        std::fs::remove_file(machine.path(format!("of-{template}/onramp.lock"))).unwrap();
        let source = machine.path(template).display().to_string();
        let told = machine.onramp("adopt").arg(source).dir(format!("of-{template}")).ok();
        let version = if template == "plain" { "not versioned" } else { "0.0.0.post1+g" };
        assert!(told.stdout.starts_with(&format!("{template} {version}")), "{told}");
    }
}

#[test]
fn what_a_template_without_releases_is_now_counts_as_newer() {
    let machine = machine();
    for template in ["plain", "untagged"] {
        machine.write(format!("{template}/a.txt.jinja"), "hello {{ name }}\n");
    }
    commit(&machine);
    assert_snapshot!(machine.onramp("outdated --check").dir("of-plain").fails(Class::Failed).stdout, @"
        BLOCK  HAS            ALLOWED        NEWEST
        plain  not versioned  not versioned  not versioned  no releases; its source has changed
          next: onramp update --dry-run
        ");
    let found = machine.onramp("outdated --json").dir("of-untagged").ok().json();
    assert_eq!(found["blocks"][0]["changed"], true);
    assert_ne!(found["blocks"][0]["newest"], found["blocks"][0]["version"]);
    machine.onramp("update").dir("of-plain").ok();
    machine.onramp("update").dir("of-untagged").ok();
    assert_eq!(machine.read("of-untagged/a.txt"), "hello app\n");
    machine.onramp("outdated --check").dir("of-plain").ok();
    machine.onramp("outdated --check").dir("of-untagged").ok();
}
