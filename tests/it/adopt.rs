//! `onramp adopt`

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::run::Machine;

/// A machine whose catalog has two versions of `web`, with a repository that was once made from the first.
fn machine() -> Machine {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine)
        .file("blocks/web/files/src/index.php", "<?php echo 'a newer page';\n")
        .file("blocks/web/files/src/about.php", "<?php echo 'about';\n")
        .release("web", "1.1.0");
    machine
        .onramp(
            "new web shop --version =1.0.0 --data database=true --data php=8.3 --data name=store --data db_port=3307",
        )
        .ok();
    std::fs::remove_file(machine.path("shop/onramp.lock")).unwrap();
    machine
}

#[test]
fn the_version_and_the_answers_that_explain_most_are_found_and_locked() {
    let machine = machine();
    machine.write("shop/onramp.toml", "# by hand\nschema = 1\nname = \"store\"\n");
    machine.write("shop/src/extra.php", "<?php // ours\n");
    machine.write("shop/run.sh", "#!/bin/sh\necho ours\n");
    assert_snapshot!(machine.onramp("adopt web --data name=store").dir("shop").ok(), @"
    --- stdout
    web 1.0.0 is adopted, in onramp.lock
      next: git diff
      next: onramp outdated
    --- stderr
    web 1.0.0 explains 100 % of what it renders: 2 files the same, 1 edited here, 0 not here
      name = store
      php = 8.2
      database = true
      db_port = 3307
      less: 1.1.0 (50 %)
      change  onramp.toml
      change  onramp.lock
    ");
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    # by hand
    schema = 1
    name = "store"

    [blocks.web]
    version = "1.0"
    answers = { name = "store", php = "8.2", database = true, db_port = 3307 }
    "#);
    let lock: toml::Value = toml::from_str(&machine.read("shop/onramp.lock")).unwrap();
    assert_eq!(lock["blocks"]["web"]["version"].as_str(), Some("1.0.0"));
    assert_eq!(machine.read("shop/run.sh"), "#!/bin/sh\necho ours\n");
    // What is adopted is updated like what was made here, and our edits stay.
    machine.onramp("update --defaults").dir("shop").ok();
    assert_eq!(machine.read("shop/src/index.php"), "<?php echo 'a newer page';\n");
    assert_eq!(machine.read("shop/src/about.php"), "<?php echo 'about';\n");
    assert_eq!(machine.read("shop/run.sh"), "#!/bin/sh\necho ours\n");
}

#[test]
fn a_dry_run_writes_nothing_and_a_second_adoption_is_a_conflict() {
    let machine = machine();
    let before = machine.tree("shop");
    let plan = machine.onramp("adopt web --dry-run --json").dir("shop").ok().json();
    assert_eq!(plan["block"]["version"], "1.0.0");
    assert_eq!(plan["answers"]["database"], true);
    assert_eq!(plan["answers"]["db_port"], 3307);
    assert_eq!(plan["others"][0]["version"], "1.1.0");
    assert_eq!(machine.tree("shop"), before);
    machine.onramp("adopt web").dir("shop").ok();
    machine.onramp("adopt web").dir("shop").fails(Class::Conflict);
}

#[test]
fn what_was_hardly_made_from_it_is_not_adopted_by_accident() {
    let machine = machine();
    machine.write("other/README.md", "# something else\n");
    let before = machine.tree("other");
    machine.onramp("adopt web --version =1.0.0").dir("other").fails(Class::Failed);
    assert_eq!(machine.tree("other"), before);
    machine.onramp("adopt web --version =1.0.0 --force").dir("other").ok();
    assert!(machine.read("other/onramp.lock").contains("version = \"1.0.0\""));
}

#[test]
fn answers_are_read_out_of_names_and_lines() {
    let machine = Machine::new();
    machine.write("template/copier.yml", "name: app\nowner:\n  type: str\ncolour:\n  choices: [red, green]\n");
    machine
        .write("template/src/{{ name }}/main.py.jinja", "# {{ name }}\nOWNER = '{{ owner }}'\nCOLOUR = {{ colour }}\n");
    machine
        .write("template/README.md.jinja", "{% if colour == 'green' %}A green one{% endif %}\nOwned by {{ owner }}.\n");
    machine.write("made/src/billing/main.py", "# billing\nOWNER = 'Ana López'\nCOLOUR = green\n");
    machine.write("made/README.md", "A green one\nOwned by Ana López.\n");
    let template = machine.path("template").display().to_string();
    let plan = machine.onramp("adopt --dry-run --json").arg(template).dir("made").ok().json();
    assert_eq!(plan["answers"], serde_json::json!({ "name": "billing", "owner": "Ana López", "colour": "green" }));
    assert_eq!(plan["percent"], 100);
}

#[test]
fn how_many_versions_were_not_tried_is_said() {
    let machine = Machine::new();
    machine.write("tpl/copier.yml", "name: {type: str, default: shop}\n_exclude: [copier.yml, .git]\n");
    machine.write("tpl/readme.md.jinja", "# {{ name }}\n");
    machine.git("tpl", &["init", "-q", "-b", "main"]);
    machine.git("tpl", &["add", "-A"]);
    machine.git("tpl", &["commit", "-q", "-m", "first"]);
    for minor in 0..53 {
        machine.git("tpl", &["tag", &format!("v1.{minor}.0")]);
    }
    machine.write("shop/readme.md", "# shop\n");
    let adopted = machine.onramp("adopt ../tpl --dry-run").dir("shop").ok();
    assert!(adopted.stdout.contains("tpl v1.52.0 explains"), "{adopted}");
    assert!(adopted.stdout.contains("  3 older ones were not tried; --version says which ones are\n"), "{adopted}");
    assert_eq!(machine.onramp("adopt ../tpl --dry-run --json").dir("shop").ok().json()["not_tried"], 3);
    // What was asked for is all that is tried.
    let few = machine.onramp("adopt ../tpl --dry-run --version 1.0.0").dir("shop").ok();
    assert!(few.stdout.contains("tpl v1.0.0 explains") && !few.stdout.contains("not tried"), "{few}");
}
