//! `onramp catalog`

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::{CatalogRepository, WEB};
use crate::run::Machine;

#[test]
fn list_shows_the_latest_release_of_every_block() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    catalog.release("web", "1.10.0").release("web", "1.9.0").release("web", "2.0.0-rc.1");
    assert_snapshot!(machine.onramp("catalog list").ok(), @r"
    --- stdout
    cache  part  1.0.0   A cache                  platform@acme.test
    web    app   1.10.0  A small web application  web@acme.test
    ");
    let document = machine.onramp("catalog list --json").ok().json();
    assert_eq!(document["blocks"][1]["name"], "web");
    assert_eq!(document["blocks"][1]["version"], "1.10.0");
}

#[test]
fn one_wrong_block_does_not_hide_the_others() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    catalog.file("blocks/bad/block.toml", "schema = 1\nversion = \"1.0.0\"\nnmae = \"bad\"\n").release("bad", "1.0.0");
    assert_snapshot!(machine.onramp("catalog list").ok(), @r"
    --- stdout
    cache  part  1.0.0  A cache                  platform@acme.test
    web    app   1.0.0  A small web application  web@acme.test
    --- stderr
    note: bad cannot be used: blocks/bad/block.toml at bad/v1.0.0:3:1: unknown key `nmae`
    ");
}

#[test]
fn show_tells_what_a_block_asks_and_its_words_cannot_steer_the_terminal() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine).release("web", "1.1.0");
    let told = machine.onramp("catalog show web").ok().stdout;
    let lines: Vec<&str> = told.lines().filter(|line| !line.starts_with("  activity")).collect();
    assert_snapshot!(lines.join("\n"), @r"
    web 1.1.0: A small web application

      kind      app
      owner     web@acme.test
      support   maintained
      catalog   [MACHINE]/catalog
      versions  1.1.0, 1.0.0
      use it    onramp new web <dir>

    questions, each answered by --data question=answer
      name      str   Name of the project (default {{ _project.name }})
      php       str    [8.2, 8.3] (default 8.2)
      database  bool  With a database (default false)
      db_port   int    (default 3306) (when {{ database }})

    # web

    The \u{1b}[31msmallest\u{1b}[0m one.
    ");
    let document = machine.onramp("catalog show cache --version 1.0 --json").ok().json();
    assert_eq!(document["services"][0], "cache");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine);
    assert_snapshot!(machine.onramp("catalog show webb").fails(Class::Usage), @r"
    --- stderr
    error: there is no block `webb` in [MACHINE]/catalog
      hint: did you mean `web`?
      next: onramp catalog list
    ");
    assert_snapshot!(machine.onramp("catalog show web --version 2").fails(Class::Usage), @r"
    --- stderr
    error: no released version of `web` matches ^2
      hint: released: 1.0.0
      next: onramp catalog show web
    ");
}

#[test]
fn without_a_catalog_the_built_in_one_is_used_and_that_is_said() {
    let machine = Machine::new();
    let told = machine.onramp("catalog list").ok();
    assert!(told.stdout.contains("php-web"), "{told}");
    assert_snapshot!(told.stderr, @"note: no catalog is set, so this is the one that onramp brings (`onramp join` sets your company's)");
}

#[test]
fn offline_needs_what_was_fetched_before() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine);
    assert_snapshot!(machine.onramp("catalog list --offline").fails(Class::Net), @r"
    --- stderr
    error: [MACHINE]/catalog was never fetched, and --offline forbids it now
    ");
    machine.onramp("catalog list").ok();
    std::fs::remove_dir_all(machine.elsewhere("catalog")).unwrap();
    machine.onramp("catalog list --offline").ok();
    machine.onramp("catalog list").fails(Class::Net);
}

#[test]
fn the_liveliest_block_comes_first_where_that_is_asked_for() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    // What says how to contribute, and what it is for, scores more on any day.
    let described = WEB.replace("A small web application", "A small web application, for all who begin with one");
    catalog.file("blocks/web/block.toml", &described).file("blocks/web/CONTRIBUTING.md", "Write to us.\n");
    let machine = catalog.machine();
    catalog.release("web", "1.1.0");
    let names = |line: &str| {
        let listed = machine.onramp(line).ok().stdout;
        listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("catalog list"), ["cache", "web"]);
    assert_eq!(names("catalog list --sort activity"), ["web", "cache"]);
    let listed = machine.onramp("catalog list --sort activity --json").ok().json();
    let score = |at: usize| listed["blocks"][at]["activity"]["score"].as_i64().unwrap();
    assert!(score(0) > score(1), "{listed}");
    assert_eq!(machine.onramp("catalog list --json").ok().json()["blocks"][0].get("activity"), None);
}
