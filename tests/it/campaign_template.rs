//! Campaigns of a Copier template: what it reads in each repository, and what it would run there.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::run::Machine;

const QUESTIONS: &str = r#"
_external_data:
  parent: .parent.yml
name: app
_tasks:
  - "make {{ name }}-{{ _external_data.parent.port }}"
  - command: [touch, "a b"]
    when: "{{ _copier_operation == 'update' }}"
    working_directory: sub
  - command: never
    when: false
_migrations:
  - version: v2.0.0
    command: "echo `date` {{ _version_from }}"
    when: "{{ _stage == 'before' }}"
  - version: v1.0.0
    command: long ago
"#;

const BRANCH: &str = "onramp/template-v2.0.0";

fn publish(machine: &Machine, version: &str) {
    machine.write("template/out.txt.jinja", format!("{{{{ name }}}} {version} {{{{ _external_data.parent.port }}}}\n"));
    machine.git("template", &["add", "--all"]);
    machine.git("template", &["commit", "--quiet", "-m", version]);
    machine.git("template", &["tag", version]);
}

/// A machine with a template and repositories of its first version, each with other data.
fn machine(repositories: &[(&str, &str)]) -> Machine {
    let mut machine = Machine::new();
    machine.set("ONRAMP_FORGE", "local");
    machine.write("template/copier.yml", QUESTIONS);
    machine.git("template", &["init", "--quiet", "--initial-branch=main"]);
    publish(&machine, "v1.0.0");
    for (name, data) in repositories {
        let repository = format!("repos/{name}");
        machine.write(format!("{repository}/.parent.yml"), data);
        machine.git(&repository, &["init", "--quiet", "--initial-branch=main"]);
        machine.write(format!("{repository}/onramp.toml"), "schema = 1\nname = \"app\"\n");
        let template = machine.path("template").display().to_string();
        machine.onramp("add --defaults --skip-tasks").arg(template).dir(&repository).ok();
        commit(&machine, &repository);
    }
    publish(&machine, "v2.0.0");
    machine
}

fn commit(machine: &Machine, repository: &str) {
    machine.git(repository, &["add", "--all"]);
    machine.git(repository, &["commit", "--quiet", "-m", "mine"]);
}

fn campaign(machine: &Machine) -> String {
    format!("campaign {}@v2.0.0 --repos repos", machine.path("template").display())
}

#[test]
fn every_repository_is_rendered_with_its_own_data() {
    let machine = machine(&[("a", "port: 80\n"), ("b", "port: 81\n"), ("c", "port: 82\n"), ("d", "port: 83\n")]);
    // What counts is what is committed.
    machine.write("repos/b/.parent.yml", "port: 99\n");
    machine.write("repos/c/data/real.yml", "port: 82\n");
    std::fs::remove_file(machine.path("repos/c/.parent.yml")).unwrap();
    std::os::unix::fs::symlink("data/real.yml", machine.path("repos/c/.parent.yml")).unwrap();
    commit(&machine, "repos/c");
    std::fs::remove_file(machine.path("repos/d/.parent.yml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", machine.path("repos/d/.parent.yml")).unwrap();
    commit(&machine, "repos/d");
    let told = machine.onramp(&campaign(&machine)).fails(Class::Failed);
    assert!(told.stdout.contains("3 updated, 0 with conflicts, 1 failed"), "{told}");
    assert!(told.stdout.contains("`.parent.yml` leads outside the project"), "{told}");
    machine.git("repos/b", &["checkout", "--quiet", ".parent.yml"]);
    for (name, port) in [("a", 80), ("b", 81), ("c", 82)] {
        let repository = format!("repos/{name}");
        let show = |file: &str| machine.git(&repository, &["show", &format!("{BRANCH}:{file}")]);
        assert_eq!(show("out.txt"), format!("app v2.0.0 {port}\n"));
        // It is what an update there makes.
        let lock = show("onramp.lock");
        machine.onramp("update --skip-tasks").dir(&repository).ok();
        assert_eq!(machine.read(format!("{repository}/out.txt")), format!("app v2.0.0 {port}\n"));
        assert_eq!(machine.read(format!("{repository}/onramp.lock")), lock);
    }
}

#[test]
fn what_is_not_run_is_told_to_those_who_merge_it() {
    let machine = machine(&[("a", "port: 80\n")]);
    machine.git("", &["clone", "--quiet", "--bare", "repos/a", "server/a.git"]);
    machine.git("repos/a", &["remote", "add", "origin", &machine.path("server/a.git").display().to_string()]);
    let run = machine.onramp(&format!("{} --pull-requests --report out", campaign(&machine))).ok();
    assert!(run.stderr.contains("is not run, and told in each commit and pull request"), "{run}");
    let pull: toml::Value =
        toml::from_str(&machine.git("server/a.git", &["show", "refs/pull/1/data:pull.toml"])).unwrap();
    let body = pull["body"].as_str().unwrap();
    let told = &body[body.find("### Not run").unwrap()..body.find("### How to undo").unwrap()];
    assert_snapshot!(told, @"
    ### Not run

    Only files came. What `onramp update` would also run here is left to you:

    Before this is merged:

    - `` echo `date` v1.0.0 `` (copier.yml:13)

    With these files in place:

    - `make app-80` (copier.yml:6)
    - `touch 'a b'` in `sub` (copier.yml:7)
    ");
    assert_snapshot!(machine.git("server/a.git", &["show", "--no-patch", "--format=%B", BRANCH]), @"
    Update template from v1.0.0 to v2.0.0

    Not run, and left to you:
    - before: echo `date` v1.0.0
    - after: make app-80
    - after in sub: touch 'a b'

    To undo it: git revert this commit, or onramp update template --to v1.0.0.

    Onramp-Campaign: template v2.0.0
    ");
    let report: serde_json::Value = serde_json::from_str(&machine.read("out/report.json")).unwrap();
    assert_eq!(
        report["visits"][0]["commands"],
        serde_json::json!([
            {"when": "before", "words": "echo `date` v1.0.0", "place": "copier.yml:13"},
            {"when": "after", "words": "make app-80", "place": "copier.yml:6"},
            {"when": "after", "words": "touch 'a b'", "directory": "sub", "place": "copier.yml:7"},
        ])
    );
    let page = machine.read("out/report.html");
    assert!(page.contains("not run:<ul><li>before: <code>echo `date` v1.0.0</code></li>"), "{page}");
    assert!(page.contains("<li>after in <code>sub</code>: <code>touch &#39;a b&#39;</code></li>"), "{page}");
    assert!(!machine.path("repos/a/sub").exists());
}

#[test]
fn what_is_not_run_is_told_of_conflicts_too_and_calls_nobody() {
    let machine = machine(&[("a", "port: 80\n")]);
    machine.write("template/copier.yml", QUESTIONS.replace("make {{", "npx @acme/setup {{"));
    publish(&machine, "v3.0.0");
    let campaign = campaign(&machine).replace("v2.0.0", "v3.0.0");
    machine.onramp(&format!("{campaign} --report first")).ok();
    let said = machine.git("repos/a", &["show", "--no-patch", "--format=%B", "onramp/template-v3.0.0"]);
    assert!(said.contains("- after: npx @\u{200b}acme/setup app-80\n"), "{said}");
    machine.write("repos/a/out.txt", "mine\n");
    commit(&machine, "repos/a");
    machine.onramp(&format!("{campaign} --report out --dry-run")).fails(Class::Failed);
    let report: serde_json::Value = serde_json::from_str(&machine.read("out/report.json")).unwrap();
    assert_eq!(report["visits"][0]["outcome"], "conflicts");
    assert_eq!(report["visits"][0]["commands"][1]["words"], "npx @acme/setup app-80", "{report}");
    assert!(machine.read("out/report.html").contains("<code>npx @acme/setup app-80</code>"));
}
