//! Files whose names differ in case alone: one file on macOS and Windows.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::{CatalogRepository, WEB};
use crate::run::Machine;

#[test]
fn what_differs_from_the_projects_in_case_alone_is_refused() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine)
        .file("blocks/cache/files/readme.md", "of the cache\n")
        .file("blocks/cache/files/Lib/more.php", "<?php\n")
        .release("cache", "1.1.0");
    machine.onramp("new web shop --defaults").ok();
    machine.write("shop/README.md", "mine\n");
    machine.write("shop/lib/own.php", "<?php // mine\n");
    let before = machine.git("shop", &["status", "--short"]);
    let run = machine.onramp("add cache").dir("shop").fails(Class::Conflict);
    assert_snapshot!(run.stderr, @"
    error: on some file systems these are one path: Lib/more.php and lib/more.php, readme.md and README.md
      hint: nothing was changed; rename one of each two
    ");
    assert_eq!(machine.onramp("add cache --merge").dir("shop").fails(Class::Conflict).stderr, run.stderr);
    assert_eq!(machine.git("shop", &["status", "--short"]), before);
    assert_eq!(machine.read("shop/README.md"), "mine\n");
}

#[test]
fn a_new_project_has_one_spelling_of_each_path() {
    let machine = &mut Machine::new();
    CatalogRepository::small(machine)
        .file(
            "blocks/web/block.toml",
            &WEB.replace("[questions.name]", "[requires]\ncache = \"1\"\n\n[questions.name]"),
        )
        .file("blocks/web/files/docs/Guide.md", "of the web\n")
        .file("blocks/cache/files/docs/guide.md", "of the cache\n")
        .release("cache", "1.1.0")
        .release("web", "1.1.0");
    let run = machine.onramp("new web shop --defaults").fails(Class::Conflict);
    assert_snapshot!(run.stderr, @"
    error: on some file systems these are one path: docs/guide.md and docs/Guide.md
      hint: nothing was changed; rename one of each two
    ");
    assert!(!machine.path("shop").exists());
}

#[test]
fn what_differs_from_the_projects_in_case_alone_is_a_conflict() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine).file("blocks/web/files/gone.txt", "it goes\n").release("web", "1.0.1");
    machine.onramp("new web shop --defaults").ok();
    CatalogRepository::again(&machine)
        .file("blocks/web/files/readme.md", "of the block\n")
        .file("blocks/web/files/Docs/guide.md", "a guide\n")
        // Only its spelling changes: there is one of it before and after.
        .without("blocks/web/files/gone.txt")
        .file("blocks/web/files/Gone.txt", "it goes\n")
        .release("web", "1.1.0");
    machine.write("shop/README.md", "mine\n");
    machine.write("shop/docs/own.md", "mine\n");
    assert_snapshot!(machine.onramp("update").dir("shop").fails(Class::Failed), @"
        --- stdout
        web 1.0.1 → 1.1.0 in shop: 4 files changed; 2 conflicts are for you to decide
          C README.md: on some file systems readme.md is the same; it stays, the template's is in README.md.rej
          C docs/guide.md: on some file systems Docs/guide.md is the same; it stays, the template's is in docs/guide.md.rej
          next: git diff --check
          next: onramp update --undo
        --- stderr
        web 1.0.1 → 1.1.0 in shop
          R gone.txt → Gone.txt
          A README.md.rej
          A docs/guide.md.rej
          M onramp.lock
          C README.md: on some file systems readme.md is the same; it stays, the template's is in README.md.rej
          C docs/guide.md: on some file systems Docs/guide.md is the same; it stays, the template's is in docs/guide.md.rej
        ");
    assert_eq!(machine.read("shop/README.md"), "mine\n");
    assert_eq!(machine.read("shop/README.md.rej"), "of the block\n");
    assert_eq!(machine.read("shop/docs/guide.md.rej"), "a guide\n");
    assert!(!machine.path("shop/readme.md").exists() && !machine.path("shop/Docs").exists());
    assert!(machine.path("shop/Gone.txt").exists() && !machine.path("shop/gone.txt").exists());
    machine.onramp("update --undo").dir("shop").ok();
    assert_eq!(machine.git("shop", &["status", "--short"]), "?? README.md\n?? docs/\n");
}

#[test]
fn a_file_or_link_where_the_block_has_a_directory_in_other_case_is_a_conflict() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine).release("web", "1.0.1");
    machine.onramp("new web shop --defaults").ok();
    CatalogRepository::again(&machine)
        .file("blocks/web/files/build/run.sh", "of the block\n")
        .file("blocks/web/files/build/test.sh", "a test\n")
        .file("blocks/web/files/docs/guide.md", "a guide\n")
        .release("web", "1.1.0");
    machine.write("shop/BUILD", "mine\n");
    std::os::unix::fs::symlink("public", machine.path("shop/Docs")).unwrap();
    assert_snapshot!(machine.onramp("update").dir("shop").fails(Class::Failed).stdout, @"
    web 1.0.1 → 1.1.0 in shop: 4 files changed; 3 conflicts are for you to decide
      C BUILD: on some file systems build/run.sh would stand in it; it stays, the template's is in BUILD.rej
      C BUILD: on some file systems build/test.sh would stand in it; it stays, the template's is in BUILD.rej.2
      C Docs: on some file systems docs/guide.md would stand in it; it stays, the template's is in Docs.rej
      next: git diff --check
      next: onramp update --undo
    ");
    assert_eq!(machine.read("shop/BUILD"), "mine\n");
    assert_eq!(machine.read("shop/BUILD.rej"), "of the block\n");
    assert_eq!(machine.read("shop/BUILD.rej.2"), "a test\n");
    assert_eq!(machine.read("shop/Docs.rej"), "a guide\n");
    assert_eq!(std::fs::read_link(machine.path("shop/Docs")).unwrap(), std::path::Path::new("public"));
    machine.onramp("update --undo").dir("shop").ok();
    assert_eq!(machine.git("shop", &["status", "--short"]), "?? BUILD\n?? Docs\n");
}
