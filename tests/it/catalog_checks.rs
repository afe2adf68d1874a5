//! `onramp catalog test --checks`: a block's own checks in containers.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::{CatalogRepository, WEB};
use crate::engine;
use crate::pty::{INTERRUPT, Talk};
use crate::run::Machine;

#[test]
fn a_blocks_own_checks_run_in_containers_over_a_fresh_render() {
    let mut machine = Machine::new();
    machine.on_engine();
    engine::import_shell("onramp-test/shell", "checks");
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let check = |name: &str, script: &str| {
        let run = format!("[\"sh\", \"-c\", {script:?}]");
        format!("\n[checks.{name}]\nimage = \"onramp-test/shell:checks\"\nrun = {run}\n")
    };
    let manifest = WEB.replace("name = \"web\"", "name = \"checked\"");
    let checks = [
        check("front-page", "read -r line < src/index.php && test \"$line\" = \"<?php echo '{{ not a template }}';\""),
        check("script", "test -x run.sh && test ! -w /proc/sys && echo seen && exit 3"),
    ];
    catalog
        .file("blocks/checked/block.toml", &format!("{manifest}{}", checks.concat()))
        .file("blocks/checked/files/src/index.php", "<?php echo '{{ not a template }}';\n")
        .file("blocks/checked/files/name.txt.jinja", "{{ name }} {{ php }} {{ db_port }}\n")
        .file("blocks/checked/files/run.sh", "#!/bin/sh\n")
        .executable("blocks/checked/files/run.sh");
    let told =
        machine.onramp("catalog test checked --checks --json").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    let document = told.json();
    let checks = document["tests"].as_array().unwrap().iter().filter(|test| test["kind"] == "check");
    let checks: Vec<String> =
        checks.map(|test| format!("{} {} {}", test["name"], test["result"], test["detail"])).collect();
    assert_snapshot!(checks.join("\n"), @r#"
    "front-page" "passed" ""
    "script" "failed" "sh -c test -x run.sh && test ! -w /proc/sys && echo seen && exit 3 ended with 3\nseen"
    "#);
    assert!(engine::containers("onramp-check-checked-").is_empty());
    engine::untag("onramp-test/shell:checks");
}

#[test]
fn a_blocks_own_checks_are_skipped_where_no_engine_answers() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let manifest = format!("{WEB}\n[checks.syntax]\nimage = \"php\"\nrun = [\"php\", \"-l\", \"src/index.php\"]\n");
    catalog.file("blocks/web/block.toml", &manifest);
    let told = machine.onramp("catalog test web").dir(machine.elsewhere("catalog")).ok();
    assert!(told.stdout.contains("skipped  web  check"), "{told}");
    machine.onramp("catalog test web --checks").dir(machine.elsewhere("catalog")).fails(Class::Env);
}

#[test]
fn an_interrupted_check_leaves_no_container() {
    let mut machine = Machine::new();
    machine.on_engine();
    engine::import_shell("onramp-test/shell", "interrupted");
    let manifest = WEB.replace("name = \"web\"", "name = \"endless\"");
    // The first process of a container cannot stop itself; its child can, and is waited for.
    let check = "[checks.never]\nimage = \"onramp-test/shell:interrupted\"\nrun = [\"sh\", \"-c\", \"sh -c 'kill -STOP $$' & wait\"]\n";
    CatalogRepository::small(&mut machine)
        .file("blocks/endless/block.toml", &format!("{manifest}\n{check}"))
        .file("blocks/endless/files/a.txt", "a\n");
    let catalog = machine.elsewhere("catalog");
    for moment in ["create", "start"] {
        let mut talk = engine::until(moment, ("image", "onramp-test/shell:interrupted"), || {
            Talk::start(machine.onramp("catalog test endless --checks").dir(&catalog))
        });
        talk.types(INTERRUPT);
        let (code, said) = talk.ends();
        assert_eq!(code, Some(130), "{moment}: {said}");
        assert_eq!(engine::containers("onramp-check-endless-"), Vec::<String>::new(), "{moment}: {said}");
    }
    engine::untag("onramp-test/shell:interrupted");
}
