//! `onramp add`

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::{CACHE, CatalogRepository};
use crate::run::Machine;

/// A machine with the small catalog and the project `shop`.
fn machine() -> Machine {
    machine_with(|_| ())
}

fn machine_with(prepare: impl FnOnce(&CatalogRepository<'_>)) -> Machine {
    let mut machine = Machine::new();
    prepare(&CatalogRepository::small(&mut machine));
    machine.onramp("new web shop").ok();
    machine
}

#[test]
fn a_part_comes_with_its_files_its_service_and_its_version() {
    let machine = machine();
    assert_snapshot!(machine.onramp("add cache --data memory=128").dir("shop").ok(), @r#"
    --- stdout
    cache 1.0.0 is added to shop; nothing is committed yet
      a service that uses it says so: needs = ["cache"]
      next: git diff
      next: onramp up
    --- stderr
    cache 1.0.0 to shop
      service cache
      create  src/shop/Cache.php
      change  onramp.toml
      change  onramp.lock
    "#);
    assert_snapshot!(machine.git("shop", &["status", "--short"]), @r"
     M onramp.lock
     M onramp.toml
    ?? src/shop/
    ");
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    schema = 1
    name = "shop"
    catalog = "[MACHINE]/catalog"

    [services.web]
    build = { base = "127.0.0.1:[PORT]/base/php-apache:8.2" }
    port = 80

    # Replaced by the environment's own `cache` once there is one.
    [services.cache]
    fallback = "127.0.0.1:[PORT]/base/redis:7.0" # a comment
    port = 6379
    env = { MEMORY = "128" }

    [blocks.web]
    version = "1.0"
    answers = { name = "shop", php = "8.2", database = false }

    [blocks.cache]
    version = "1.0"
    answers = { memory = 128 }
    "#);
    assert!(machine.read("shop/onramp.lock").contains("[blocks.cache]"));
}

#[test]
fn the_authors_text_stays_as_it_is() {
    let machine = machine();
    let text = "# mine\nschema = 1\nname = \"shop\"   # the name\n\n\n[services.web] # ours\nport=80\n\n# the end\n[tests.unit]\nin = 'web'\nrun = ['true']\n";
    machine.write("shop/onramp.toml", text);
    machine.onramp("add cache").dir("shop/src").ok();
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    # mine
    schema = 1
    name = "shop"   # the name


    [services.web] # ours
    port=80

    # Replaced by the environment's own `cache` once there is one.
    [services.cache]
    fallback = "127.0.0.1:[PORT]/base/redis:7.0" # a comment
    port = 6379
    env = { MEMORY = "64" }

    # the end
    [tests.unit]
    in = 'web'
    run = ['true']

    [blocks.cache]
    version = "1.0"
    answers = { memory = 64 }
    "#);
}

#[test]
fn tables_written_otherwise_take_a_part_too() {
    let machine = machine();
    machine.write(
        "shop/onramp.toml",
        "schema = 1\nname = \"shop\"\nservices.web = { port = 80 }\nblocks.web.version = \"1.0\"\n",
    );
    machine.onramp("add cache").dir("shop").ok();
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    schema = 1
    name = "shop"
    services.web = { port = 80 }
    blocks.web.version = "1.0"

    # Replaced by the environment's own `cache` once there is one.
    [services.cache]
    fallback = "127.0.0.1:[PORT]/base/redis:7.0" # a comment
    port = 6379
    env = { MEMORY = "64" }

    [blocks.cache]
    version = "1.0"
    answers = { memory = 64 }
    "#);
    machine.git("shop", &["clean", "--force", "-d", "--quiet"]);
    machine.write("shop/onramp.toml", "schema = 1\nname = \"shop\"\nservices = { web = { port = 80 } }\n");
    machine.onramp("add cache").dir("shop").ok();
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    schema = 1
    name = "shop"
    services = { web = { port = 80 } , cache = { fallback = "127.0.0.1:[PORT]/base/redis:7.0", port = 6379, env = { MEMORY = "64" } } }

    [blocks.cache]
    version = "1.0"
    answers = { memory = 64 }
    "#);
}

#[test]
fn what_is_there_is_named_and_kept() {
    let machine = machine_with(|catalog| {
        catalog.file("blocks/cache/files/src/index.php", "theirs").release("cache", "1.0.1");
    });
    machine.write("shop/src/shop/Cache.php", "mine");
    let before = machine.tree("");
    assert_snapshot!(machine.onramp("add cache").dir("shop").fails(Class::Conflict), @r"
    --- stderr
    error: the project has src/index.php (from web), src/shop/Cache.php
      hint: nothing was changed; move them away, or take what you need from the block by hand
    ");
    assert_eq!(machine.tree(""), before);
}

#[test]
fn a_service_or_block_that_is_there_is_a_conflict() {
    let machine = machine();
    machine.onramp("add cache").dir("shop").ok();
    let before = machine.tree("");
    let told = machine.onramp("add cache").dir("shop").fails(Class::Conflict);
    assert_snapshot!(told.stderr.lines().next().unwrap(), @"error: the project's onramp.toml already has [blocks.cache]");
    assert_eq!(machine.tree(""), before);
    machine.write("shop/onramp.toml", "schema = 1\nname = \"shop\"\n[services.cache]\nport = 1\n");
    let told = machine.onramp("add cache").dir("shop").fails(Class::Conflict);
    assert_snapshot!(told.stderr.lines().next().unwrap(), @"error: the project's onramp.toml already has [services.cache]");
}

#[test]
fn a_wrong_part_changes_nothing() {
    let service = |text: &str| CACHE.replace("port = 6379", text);
    let cases = [
        (service("prt = 1"), "error: block cache 1.0.1 is wrong: the rendered onramp.toml:12:1: unknown key `prt`"),
        (
            service("port = 1\ndata = \"{{ nothing }}\""),
            "error: block cache 1.0.1 is wrong: block.toml: services.cache.data: undefined value: `nothing` is undefined",
        ),
    ];
    for (manifest, expected) in cases {
        let machine = machine_with(|catalog| {
            catalog.file("blocks/cache/block.toml", &manifest).release("cache", "1.0.1");
        });
        let before = machine.tree("");
        let told = machine.onramp("add cache").dir("shop").fails(Class::Config);
        assert_eq!(told.stderr.lines().next().unwrap(), expected);
        assert_eq!(machine.tree(""), before);
    }
}

#[test]
fn a_symbolic_link_of_the_project_leads_nothing_outside() {
    let machine = machine();
    std::fs::create_dir(machine.path("outside")).unwrap();
    std::os::unix::fs::symlink(machine.path("outside"), machine.path("shop/src/shop")).unwrap();
    machine.onramp("add cache").dir("shop").fails(Class::Security);
    assert!(machine.tree("outside").is_empty());
}

#[test]
fn dry_run_changes_nothing_and_locked_refuses() {
    let machine = machine();
    let before = machine.tree("");
    let plan = machine.onramp("add cache --dry-run --json").dir("shop").ok().json();
    assert_eq!(plan["files"][0], "src/shop/Cache.php");
    assert_eq!(plan["done"], false);
    machine.onramp("add cache --locked").dir("shop").fails(Class::Usage);
    assert_eq!(machine.tree(""), before);
}

#[test]
fn it_wants_a_project_and_a_part() {
    let machine = machine();
    machine.onramp("add cache").fails(Class::Usage);
    assert_snapshot!(machine.onramp("add web").dir("shop").fails(Class::Usage), @r"
    --- stderr
    error: `web` is an app: it starts a project of its own
      next: onramp new web
    ");
}
