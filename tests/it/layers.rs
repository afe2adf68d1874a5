//! Several blocks in one project: what they require of each other, share, and both want.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::run::Machine;

/// The manifest of a part.
fn part(name: &str, rest: &str) -> String {
    format!(
        "schema = 1\nname = \"{name}\"\nkind = \"part\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o@acme.test\"\n{rest}"
    )
}

/// A machine with the small catalog and parts beside: manifest, and one file each.
fn machine(parts: &[(&str, &str, (&str, &str))]) -> Machine {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    for (name, rest, (path, text)) in parts {
        catalog.file(&format!("blocks/{name}/block.toml"), &part(name, rest));
        catalog.file(&format!("blocks/{name}/files/{path}"), text);
        catalog.release(name, "1.0.0");
    }
    machine.onramp("new web shop --defaults -q").ok();
    machine
}

#[test]
fn a_block_brings_the_blocks_that_it_requires() {
    let machine = machine(&[
        ("session", "requires = { cache = \"^1.0\", log = \"1\" }\n", ("src/session.php", "s\n")),
        ("log", "requires = { clock = \"1\" }\n", ("src/log.php", "l\n")),
        ("clock", "", ("src/clock.php", "c\n")),
    ]);
    assert_snapshot!(machine.onramp("add session").dir("shop").ok(), @r#"
    --- stdout
    session 1.0.0 is added to shop; nothing is committed yet
      a service that uses it says so: needs = ["cache"]
      next: git diff
      next: onramp up
    --- stderr
    session 1.0.0 to shop
      service cache
      with    cache 1.0.0
      with    clock 1.0.0
      with    log 1.0.0
      create  src/clock.php
      create  src/log.php
      create  src/session.php
      create  src/shop/Cache.php
      change  onramp.toml
      change  onramp.lock
    "#);
    let lock: toml::Value = toml::from_str(&machine.read("shop/onramp.lock")).unwrap();
    let blocks: Vec<&str> = lock["blocks"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(blocks, ["cache", "clock", "log", "session", "web"]);
    let owns = |block: &str| lock["blocks"][block]["files"].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((owns("log"), owns("session")), (vec!["src/log.php".to_owned()], vec!["src/session.php".to_owned()]));
    // What another one requires does not go.
    let told = machine.onramp("remove log").dir("shop").fails(Class::Conflict);
    assert!(told.stderr.contains("session"), "{told}");
    machine.onramp("remove session").dir("shop").ok();
    machine.onramp("remove log").dir("shop").ok();
    assert!(!machine.path("shop/src/log.php").exists() && machine.path("shop/src/clock.php").exists());
}

#[test]
fn a_circle_is_named_and_nothing_is_changed() {
    let machine = machine(&[
        ("a", "requires = { b = \"1\" }\n", ("a", "a\n")),
        ("b", "requires = { c = \"1\" }\n", ("b", "b\n")),
        ("c", "requires = { a = \"1\" }\n", ("c", "c\n")),
    ]);
    let before = machine.tree("shop");
    let told = machine.onramp("add a").dir("shop").fails(Class::Config);
    assert_snapshot!(told.stderr.lines().next().unwrap(), @"error: blocks require each other: a → b → c → a");
    assert_eq!(machine.tree("shop"), before);
}

#[test]
fn a_version_that_does_not_do_is_named() {
    let machine = machine(&[("session", "requires = { web = \"^2\" }\n", ("s", "s\n"))]);
    let before = machine.tree("shop");
    assert_snapshot!(machine.onramp("add session").dir("shop").fails(Class::Conflict), @r"
    --- stderr
    error: session 1.0.0 requires web ^2, and the project has 1.0.0
      hint: nothing was changed
      next: onramp update web
    ");
    assert_eq!(machine.tree("shop"), before);
}

#[test]
fn a_file_that_two_blocks_want_is_refused_and_merged_only_by_structure() {
    let machine = machine(&[
        ("one", "", ("package.json", "{\n  \"scripts\": {\n    \"test\": \"t\"\n  }\n}\n")),
        ("two", "", ("package.json", "{\n  \"scripts\": {\n    \"lint\": \"l\"\n  }\n}\n")),
        ("three", "", ("package.json", "{\n  \"scripts\": {\n    \"test\": \"other\"\n  }\n}\n")),
    ]);
    machine.onramp("add one").dir("shop").ok();
    let before = machine.tree("shop");
    assert_snapshot!(machine.onramp("add two").dir("shop").fails(Class::Conflict), @r"
    --- stderr
    error: the project has package.json (from one)
      hint: nothing was changed; --merge adds what the block brings to these files
    ");
    assert_eq!(machine.tree("shop"), before);
    machine.onramp("add two --merge").dir("shop").ok();
    let merged: serde_json::Value = serde_json::from_str(&machine.read("shop/package.json")).unwrap();
    assert_eq!(merged, serde_json::json!({ "scripts": { "test": "t", "lint": "l" } }));
    // Where both say something else of one key, somebody has to decide.
    let before = machine.tree("shop");
    machine.onramp("add three --merge").dir("shop").fails(Class::Conflict);
    assert_eq!(machine.tree("shop"), before);
}

#[test]
fn an_answer_that_a_block_shares_is_not_asked_again() {
    let questions =
        "[questions.name]\ntype = \"str\"\ndefault = \"nobody\"\n[questions.php]\ntype = \"str\"\ndefault = \"7\"\n";
    let shares = format!("shares = [\"name\"]\n{questions}");
    let machine = machine(&[("mail", &shares, ("mail.txt.jinja", "{{ name }} {{ php }}\n"))]);
    machine.onramp("add mail --defaults").dir("shop").ok();
    assert_eq!(machine.read("shop/mail.txt"), "shop 7\n");
    machine.onramp("remove mail").dir("shop").ok();
    machine.onramp("add mail --defaults --data name=other").dir("shop").ok();
    assert_eq!(machine.read("shop/mail.txt"), "other 7\n");
}

#[test]
fn a_part_whose_service_asks_for_the_machine_is_refused_with_its_line() {
    let image = "image = \"r.test/a:1\"";
    let open = format!("[services.spy]\n{image}\nprivileged = true\n");
    let hidden = format!(
        "[questions.where]\ntype = \"str\"\ndefault = \"/etc\"\n[services.spy]\n{image}\nvolumes = [\"{{{{ where }}}}:/x\"]\n"
    );
    let machine = machine(&[("open", &open, ("a", "a\n")), ("hidden", &hidden, ("b", "b\n"))]);
    let before = machine.tree("shop");
    let refused = machine.onramp("add hidden --defaults").dir("shop").fails(Class::Security);
    assert!(refused.stderr.contains("services.spy: `/etc:/x` is not in the project"), "{refused}");
    assert_eq!(machine.tree("shop"), before);
    let refused = machine.onramp("add open").dir("shop").fails(Class::Security);
    assert!(
        refused.stderr.contains(
            "blocks/open/block.toml at open/v1.0.0:9:1: services.spy: `privileged` would give it the machine"
        ),
        "{refused}"
    );
    assert_eq!(machine.tree("shop"), before);
}

#[test]
fn an_app_comes_with_the_parts_that_it_requires() {
    let mut machine = Machine::new();
    let manifest = crate::catalog_repository::WEB.replace("owner =", "requires = { cache = \"1\" }\nowner =");
    CatalogRepository::small(&mut machine).file("blocks/web/block.toml", &manifest).release("web", "1.1.0");
    machine.onramp("new web shop --defaults").ok();
    let project = machine.read("shop/onramp.toml");
    assert!(project.contains("[services.cache]") && project.contains("[blocks.cache]"), "{project}");
    assert_eq!(machine.read("shop/src/shop/Cache.php"), "<?php\n");
}
