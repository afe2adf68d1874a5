//! `onramp update`

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::full_disk::SmallDisk;
use crate::run::Machine;

/// A machine with the small catalog and the project `shop`, of web 1.0.0, committed.
pub fn machine() -> Machine {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine)
        .file("blocks/web/files/lines.txt", "one\ntwo\nthree\nfour\nfive\nsix\n")
        .file("blocks/web/files/old/name.txt", "a file\nof some\nlines\nthat moves\n")
        .file("blocks/web/files/gone.txt", "it goes\n")
        .file("blocks/web/files/deep/down/gone.txt", "it goes, too\n")
        .release("web", "1.0.1");
    machine.onramp("new web shop --defaults").ok();
    machine
}

/// web 1.1.0: a line changed, a file moved, two deleted, one added, one made executable.
pub fn release(machine: &Machine) {
    CatalogRepository::again(machine)
        .file("blocks/web/files/lines.txt", "one\nTWO\nthree\nfour\nfive\nsix\n")
        .without("blocks/web/files/old/name.txt")
        .file("blocks/web/files/new/name.txt", "a file\nof some\nlines\nthat moves\n")
        .without("blocks/web/files/gone.txt")
        .without("blocks/web/files/deep/down/gone.txt")
        .file("blocks/web/files/added.sh", "#!/bin/sh\n")
        .executable("blocks/web/files/added.sh")
        .release("web", "1.1.0");
}

/// Git's own files of a repository: what an update must not touch.
fn git_state(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let root = machine.path("shop/.git");
    let mut found = BTreeMap::new();
    collect(&root, &root, &mut found);
    found
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.strip_prefix(root).unwrap().display().to_string() + "/", Vec::new());
            collect(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_project_follows_and_keeps_its_edits() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\ntwo\nthree\nfour\nfive\nsix, mine\n");
    machine.write("shop/old/name.txt", "a file\nof some\nlines, mine\nthat moves\n");
    machine.write("shop/src/own.php", "<?php // mine\n");
    // Staged, stashed and dirty: nothing of it is an update's business.
    machine.write("shop/staged.txt", "staged\n");
    machine.git("shop", &["add", "staged.txt"]);
    let before = git_state(&machine);
    assert_snapshot!(machine.onramp("update").dir("shop").ok(), @r"
    --- stdout
    web 1.0.1 → 1.1.0 in shop: 6 files changed; nothing is committed yet
      next: git diff
      next: onramp update --undo
    --- stderr
    web 1.0.1 → 1.1.0 in shop
      A added.sh
      D deep/down/gone.txt
      D gone.txt
      M lines.txt
      R old/name.txt → new/name.txt
      M onramp.lock
    ");
    assert_eq!(git_state(&machine), before, "git's own files stay as they are, index, HEAD and stash among them");
    assert_eq!(machine.read("shop/lines.txt"), "one\nTWO\nthree\nfour\nfive\nsix, mine\n");
    assert_eq!(machine.read("shop/new/name.txt"), "a file\nof some\nlines, mine\nthat moves\n");
    assert!(!machine.path("shop/old").exists() && !machine.path("shop/deep").exists(), "emptied directories go");
    assert_eq!(fs::metadata(machine.path("shop/added.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(machine.read("shop/onramp.lock").contains("version = \"1.1.0\""));
    assert_snapshot!(machine.onramp("update").dir("shop").ok(), @r"
    --- stdout
    shop is up to date
    ");
}

#[test]
fn conflicts_are_left_for_a_person_and_end_with_1() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\nmine\nthree\nfour\nfive\nsix\n");
    machine.write("shop/gone.txt", "it stays\n");
    assert_snapshot!(machine.onramp("update").dir("shop").fails(Class::Failed), @r"
    --- stdout
    web 1.0.1 → 1.1.0 in shop: 6 files changed; 2 conflicts are for you to decide
      C gone.txt: the template deleted it, the project changed it; it stays; gone.txt.rej is there until you have decided
      C lines.txt:2: both changed the same lines; both are kept there
      next: git diff --check
      next: onramp update --undo
    --- stderr
    web 1.0.1 → 1.1.0 in shop
      A added.sh
      D deep/down/gone.txt
      A gone.txt.rej
      M lines.txt
      R old/name.txt → new/name.txt
      M onramp.lock
      C gone.txt: the template deleted it, the project changed it; it stays; gone.txt.rej is there until you have decided
      C lines.txt:2: both changed the same lines; both are kept there
    ");
    assert_snapshot!(machine.read("shop/lines.txt"), @r"
    one
    <<<<<<< shop
    mine
    ||||||| web 1.0.1
    two
    =======
    TWO
    >>>>>>> web 1.1.0
    three
    four
    five
    six
    ");
    assert_eq!(machine.read("shop/gone.txt"), "it stays\n");
    // Nothing goes on before somebody has decided.
    assert_snapshot!(machine.onramp("update").dir("shop").fails(Class::Failed), @r"
    --- stderr
    error: conflicts are left in gone.txt.rej, lines.txt
      hint: decide what each of them shall say, take the markers out, remove what lies beside them as .rej
      next: onramp update --undo
    ");
    machine.write("shop/lines.txt", "one\nmine and TWO\nthree\nfour\nfive\nsix\n");
    let told = machine.onramp("update").dir("shop").fails(Class::Failed);
    assert!(told.stderr.contains("conflicts are left in gone.txt.rej\n"), "{told}");
    fs::remove_file(machine.path("shop/gone.txt.rej")).unwrap();
    machine.onramp("update").dir("shop").ok();
}

#[test]
fn conflicts_can_lie_beside_the_file() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\nmine\nthree\nfour\nfive\nsix\n");
    machine.write("shop/lines.txt.rej", "mine\n");
    machine.onramp("update --conflict rej").dir("shop").fails(Class::Failed);
    assert_eq!(machine.read("shop/lines.txt"), "one\nmine\nthree\nfour\nfive\nsix\n");
    assert!(machine.read("shop/lines.txt.rej.2").contains("TWO"));
    let told = machine.onramp("update").dir("shop").fails(Class::Failed);
    assert!(told.stderr.contains("conflicts are left in lines.txt.rej.2"), "{told}");
    fs::remove_file(machine.path("shop/lines.txt.rej.2")).unwrap();
    machine.onramp("update").dir("shop").ok();
    assert_eq!(machine.read("shop/lines.txt.rej"), "mine\n", "what somebody has there is no conflict of onramp's");
}

#[test]
fn a_dry_run_shows_the_real_diff_and_changes_nothing() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\ntwo\nmine\nfour\nfive\nsix\n");
    let before = machine.tree("");
    assert_snapshot!(machine.onramp("update --dry-run").dir("shop").fails(Class::Failed), @r"
    --- stdout
    web 1.0.1 → 1.1.0 in shop
      A added.sh
      D deep/down/gone.txt
      D gone.txt
      M lines.txt
      R old/name.txt → new/name.txt
      M onramp.lock
      C lines.txt:2: both changed the same lines; both are kept there

    diff added.sh
    new executable file
    --- /dev/null
    +++ b/added.sh
    @@ -0,0 +1 @@
    +#!/bin/sh

    diff deep/down/gone.txt
    deleted file
    --- a/deep/down/gone.txt
    +++ /dev/null
    @@ -1 +0,0 @@
    -it goes, too

    diff gone.txt
    deleted file
    --- a/gone.txt
    +++ /dev/null
    @@ -1 +0,0 @@
    -it goes

    diff lines.txt
    --- a/lines.txt
    +++ b/lines.txt
    @@ -1,6 +1,14 @@
     one
    +<<<<<<< shop
     two
     mine
    +||||||| web 1.0.1
    +two
    +three
    +=======
    +TWO
    +three
    +>>>>>>> web 1.1.0
     four
     five
     six

    diff new/name.txt
    moved from old/name.txt
    ");
    let plan = machine.onramp("update --dry-run --json").dir("shop").fails(Class::Failed).json();
    assert_eq!(plan["done"], false);
    assert_eq!(plan["blocks"][0]["to"], "1.1.0");
    let named: Vec<&str> = plan["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert_eq!(named, ["added.sh", "deep/down/gone.txt", "gone.txt", "lines.txt", "new/name.txt", "onramp.lock"]);
    machine.onramp("update --locked").dir("shop").fails(Class::Usage);
    assert_eq!(machine.tree(""), before);
}

#[test]
fn undo_gives_back_the_exact_tree() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\nmine\nthree\nfour\nfive\nsix\n");
    fs::set_permissions(machine.path("shop/gone.txt"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::create_dir(machine.path("shop/empty")).unwrap();
    let (before, git) = (machine.tree("shop"), git_state(&machine));
    machine.onramp("update").dir("shop").fails(Class::Failed);
    assert_ne!(machine.tree("shop"), before);
    assert_snapshot!(machine.onramp("update --undo --dry-run").dir("shop").ok(), @r"
    --- stdout
    undo the update of web 1.0.1 to 1.1.0
      restore added.sh
      restore deep/down/gone.txt
      restore gone.txt
      restore lines.txt
      restore new/name.txt
      restore old/name.txt
      restore onramp.lock
    ");
    assert_snapshot!(machine.onramp("update --undo").dir("shop").ok(), @r"
    --- stdout
    undone: update of web 1.0.1 to 1.1.0; 7 files are as they were
    --- stderr
    undo the update of web 1.0.1 to 1.1.0
      restore added.sh
      restore deep/down/gone.txt
      restore gone.txt
      restore lines.txt
      restore new/name.txt
      restore old/name.txt
      restore onramp.lock
    ");
    assert_eq!(machine.tree("shop"), before);
    assert_eq!(git_state(&machine), git);
    assert_snapshot!(machine.onramp("update --undo").dir("shop").fails(Class::Usage), @r"
    --- stderr
    error: there is no update of [WORK]/shop to undo
      hint: the last 5 updates that were made on this machine can be undone
    ");
}

#[test]
fn what_was_edited_since_is_not_undone() {
    let machine = machine();
    release(&machine);
    machine.onramp("update").dir("shop").ok();
    machine.write("shop/added.sh", "#!/bin/sh\n# mine\n");
    let before = machine.tree("shop");
    assert_snapshot!(machine.onramp("update --undo").dir("shop").fails(Class::Conflict), @r"
    --- stderr
    error: edited since: added.sh
      hint: nothing was changed; with --force they are saved outside the project first, and then undone
    ");
    assert_eq!(machine.tree("shop"), before);
    let told = machine.onramp("update --undo --force --json").dir("shop").ok().json();
    let saved = Path::new(told["saved"].as_str().unwrap()).join("added.sh");
    assert_eq!(fs::read_to_string(saved).unwrap(), "#!/bin/sh\n# mine\n");
    assert!(!machine.path("shop/added.sh").exists());
}

#[test]
fn an_older_version_is_come_to_the_same_way() {
    let machine = machine();
    release(&machine);
    machine.write("shop/lines.txt", "one\ntwo\nthree\nfour\nfive\nmine\n");
    let before = machine.tree("shop");
    machine.onramp("update").dir("shop").ok();
    assert_snapshot!(machine.onramp("update web --to 1.0.1").dir("shop").ok(), @r"
    --- stdout
    web 1.1.0 → 1.0.1 in shop: 6 files changed; nothing is committed yet
      next: git diff
      next: onramp update --undo
    --- stderr
    web 1.1.0 → 1.0.1 in shop
      D added.sh
      A deep/down/gone.txt
      A gone.txt
      M lines.txt
      R new/name.txt → old/name.txt
      M onramp.lock
    ");
    let after = machine.tree("shop");
    let differing: Vec<&String> = before.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(before, after);
    machine.onramp("update web --to 9.0.0").dir("shop").fails(Class::Usage);
    machine.onramp("update nothing").dir("shop").fails(Class::Usage);
}

#[test]
fn the_declared_version_bounds_an_update() {
    let machine = machine();
    CatalogRepository::again(&machine).file("blocks/web/files/lines.txt", "other\n").release("web", "2.0.0");
    assert_snapshot!(machine.onramp("update").dir("shop").ok(), @r"
    --- stdout
    shop is up to date
    ");
    machine.onramp("update web --version 2").dir("shop").ok();
    assert_eq!(machine.read("shop/lines.txt"), "other\n");
    assert!(machine.read("shop/onramp.toml").contains("version = \"2.0\""), "{}", machine.read("shop/onramp.toml"));
}

#[test]
fn answers_can_change_with_or_without_a_version() {
    let machine = machine();
    machine.onramp("update --data database=true").dir("shop").ok();
    assert_eq!(machine.read("shop/db/schema.sql"), "-- shop on 3306\n");
    let toml = machine.read("shop/onramp.toml");
    assert!(toml.contains("database = true, db_port = 3306") || toml.contains("db_port = 3306"), "{toml}");
    // What a person declares in onramp.toml is what the project gets.
    machine.write("shop/onramp.toml", toml.replace("database = true", "database = false"));
    machine.onramp("update").dir("shop").ok();
    assert!(!machine.path("shop/db").exists());
    let told = machine.onramp("update --data databse=true").dir("shop").fails(Class::Usage);
    assert!(told.stderr.contains("did you mean `database`?"), "{told}");
}

#[test]
fn a_base_outlives_its_tag() {
    let machine = machine();
    release(&machine);
    let catalog = CatalogRepository::again(&machine);
    catalog.git(&["tag", "--delete", "web/v1.0.1"]);
    catalog.git(&["tag", "--delete", "web/v1.0.0"]);
    machine.write("shop/lines.txt", "one\ntwo\nthree\nfour\nfive\nmine\n");
    machine.onramp("update").dir("shop").ok();
    assert_eq!(machine.read("shop/lines.txt"), "one\nTWO\nthree\nfour\nfive\nmine\n");
}

#[test]
fn a_tag_that_moved_is_not_followed_silently() {
    let machine = machine();
    let catalog = CatalogRepository::again(&machine);
    catalog.file("blocks/web/files/lines.txt", "moved\n").git(&["add", "--all"]);
    catalog.git(&["commit", "--quiet", "-m", "moved"]);
    catalog.git(&["tag", "--force", "web/v1.0.1"]);
    let before = machine.tree("shop");
    assert_snapshot!(machine.onramp("update").dir("shop").ok(), @r"
    --- stdout
    shop is up to date
    --- stderr
    note: web 1.0.1 is not what it was: its tag was moved. The project stays with what it has; `onramp update web --to 1.0.1` takes the new one
    ");
    assert_eq!(machine.tree("shop"), before);
    machine.onramp("update web --to 1.0.1").dir("shop").ok();
    assert_eq!(machine.read("shop/lines.txt"), "moved\n");
}

#[test]
fn a_file_at_37_of_50_that_cannot_be_rendered_changes_nothing() {
    let machine = machine();
    let catalog = CatalogRepository::again(&machine);
    for n in 0..50 {
        let text = if n == 37 { "{{ nowhere }}\n" } else { "text\n" };
        catalog.file(&format!("blocks/web/files/many/{n}.txt.jinja"), text);
    }
    catalog.release("web", "1.1.0");
    let before = machine.tree("shop");
    let told = machine.onramp("update").dir("shop").fails(Class::Config);
    assert!(told.stderr.contains("many/37.txt.jinja"), "{told}");
    assert_eq!(machine.tree("shop"), before);
}

#[test]
fn hooks_of_the_project_never_run() {
    let machine = machine();
    release(&machine);
    for hook in ["pre-commit", "post-checkout", "post-index-change", "reference-transaction", "post-merge"] {
        let path = machine.write(format!("shop/.git/hooks/{hook}"), "#!/bin/sh\ntouch \"$HOME/fired\"\n");
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    machine.write("shop/.git/config-fsmonitor", "#!/bin/sh\ntouch \"$HOME/fired\"\n");
    machine.git("shop", &["config", "core.fsmonitor", "touch $HOME/fired; true"]);
    machine.onramp("update").dir("shop").ok();
    machine.onramp("update --undo").dir("shop").ok();
    assert!(!machine.elsewhere("home/fired").exists());
}

#[test]
fn a_link_of_the_project_leads_nothing_outside() {
    let machine = machine();
    release(&machine);
    fs::create_dir(machine.path("outside")).unwrap();
    std::os::unix::fs::symlink(machine.path("outside"), machine.path("shop/new")).unwrap();
    machine.onramp("update").dir("shop").fails(Class::Failed);
    assert!(machine.tree("outside").is_empty());
    assert!(machine.path("shop/new").is_symlink(), "what the project has there stays");
}

/// A Copier template with two releases, and the project `svc` of the first.
fn copier(machine: &Machine) {
    machine.write("tpl/copier.yml", "name:\n  type: str\n  default: svc\n");
    machine.write("tpl/[[x]].txt", "not a template\n");
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nfirst\n\nend\n");
    machine.write(
        "tpl/{{ _copier_conf.answers_file }}.jinja",
        "# Changes here will be overwritten by Copier\n{{ _copier_answers|to_nice_yaml -}}\n",
    );
    machine.git("tpl", &["init", "--quiet", "--initial-branch=main"]);
    tag(machine, "v1.0.0");
    machine.onramp("new ./tpl svc --defaults").ok();
}

fn tag(machine: &Machine, version: &str) {
    machine.git("tpl", &["add", "--all"]);
    machine.git("tpl", &["commit", "--quiet", "-m", version]);
    machine.git("tpl", &["tag", version]);
}

#[test]
fn a_copier_template_is_followed_and_its_answers_file_kept() {
    let machine = Machine::new();
    copier(&machine);
    assert!(machine.read("svc/.copier-answers.yml").contains("_commit: v1.0.0"));
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nsecond {{ port }}\n\nend\n");
    machine.write("tpl/copier.yml", "name:\n  type: str\n  default: svc\nport:\n  type: int\n  default: 80\n");
    tag(&machine, "v1.1.0");
    machine.write("svc/README.md", "# svc\n\nfirst\n\nend\n\nmine\n");
    // What another tool wrote into its file is no edit of a person's.
    let answers = machine.read("svc/.copier-answers.yml");
    machine.write("svc/.copier-answers.yml", answers.replace("# Changes", "# Edits"));
    machine.onramp("update").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc\n\nsecond 80\n\nend\n\nmine\n");
    let answers = machine.read("svc/.copier-answers.yml");
    assert!(answers.contains("_commit: v1.1.0") && answers.contains("port: 80"), "{answers}");
    assert!(answers.starts_with("# Changes"), "{answers}");
    machine.onramp("update").dir("svc").ok();
}

#[test]
fn a_project_of_copiers_is_taken_over_by_its_first_update() {
    let machine = Machine::new();
    copier(&machine);
    fs::remove_file(machine.path("svc/onramp.lock")).unwrap();
    let answers = machine.read("svc/.copier-answers.yml");
    let source = machine.path("tpl").display().to_string();
    machine.write("svc/.copier-answers.yml", answers.replace("./tpl", &source));
    machine.write("svc/README.md", "# svc\n\nfirst\n\nend\n\nmine\n");
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nsecond\n\nend\n");
    tag(&machine, "v1.1.0");
    let told = machine.onramp("outdated --json").dir("svc").ok().json();
    assert_eq!(told["blocks"][0]["newest"], "v1.1.0");
    machine.onramp("update").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc\n\nsecond\n\nend\n\nmine\n");
    assert!(machine.read("svc/onramp.lock").contains("version = \"v1.1.0\""));
}

#[test]
fn tasks_run_last_once_and_only_under_trust() {
    let machine = Machine::new();
    copier(&machine);
    let tasks = "name:\n  type: str\n  default: svc\n_tasks:\n  - echo task >> ran\n_migrations:\n  - version: v1.1.0\n    command: echo migration $VERSION_FROM $VERSION_TO >> ran\n    when: \"{{ _stage == 'after' }}\"\n";
    machine.write("tpl/copier.yml", tasks);
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nsecond\n\nend\n");
    tag(&machine, "v1.1.0");
    let before = machine.tree("svc");
    let told = machine.onramp("update").dir("svc").fails(Class::Security);
    assert!(told.stderr.contains("echo task >> ran"), "{told}");
    assert_eq!(machine.tree("svc"), before);
    let told = machine.onramp("update --dry-run").dir("svc").ok();
    assert!(told.stdout.contains("run     echo task >> ran"), "{told}");
    assert_eq!(machine.tree("svc"), before);
    machine.onramp("update --trust").dir("svc").ok();
    assert_eq!(machine.read("svc/ran"), "task\nmigration v1.0.0 v1.1.0\n");
    machine.onramp("update").dir("svc").ok();
    assert_eq!(machine.read("svc/ran"), "task\nmigration v1.0.0 v1.1.0\n");
}

#[test]
fn a_task_that_fails_takes_the_update_back() {
    let machine = Machine::new();
    copier(&machine);
    machine.write(
        "tpl/copier.yml",
        "name:\n  type: str\n  default: svc\n_tasks:\n  - echo formatted > README.md && false\n",
    );
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nsecond\n\nend\n");
    tag(&machine, "v1.1.0");
    let before = machine.tree("svc");
    machine.onramp("update --trust").dir("svc").fails(Class::Failed);
    assert_eq!(machine.tree("svc"), before);
    machine.onramp("update --skip-tasks").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc\n\nsecond\n\nend\n");
}

#[test]
fn several_blocks_are_one_update() {
    let machine = machine();
    machine.onramp("add cache").dir("shop").ok();
    release(&machine);
    let catalog = CatalogRepository::again(&machine);
    let cache = machine.read(machine.elsewhere("catalog/blocks/cache/block.toml"));
    catalog.file("blocks/cache/block.toml", &cache.replace("6379", "6380")).release("cache", "1.1.0");
    machine.write("shop/lines.txt", "one\ntwo\nthree\nfour\nfive\nmine\n");
    let toml = machine.read("shop/onramp.toml").replace("port = 80", "port = 8080 # mine");
    machine.write("shop/onramp.toml", &toml);
    assert_snapshot!(machine.onramp("outdated").dir("shop").ok(), @r"
    --- stdout
    BLOCK  HAS    ALLOWED  NEWEST
    cache  1.0.0  1.1.0    1.1.0
    web    1.0.1  1.1.0    1.1.0
      next: onramp update --dry-run
    ");
    machine.onramp("outdated --check").dir("shop").fails(Class::Failed);
    assert_snapshot!(machine.onramp("update").dir("shop").ok(), @r"
    --- stdout
    web 1.0.1 → 1.1.0, cache 1.0.0 → 1.1.0 in shop: 7 files changed; nothing is committed yet
      next: git diff
      next: onramp update --undo
    --- stderr
    web 1.0.1 → 1.1.0, cache 1.0.0 → 1.1.0 in shop
      A added.sh
      D deep/down/gone.txt
      D gone.txt
      M lines.txt
      R old/name.txt → new/name.txt
      M onramp.lock
      M onramp.toml
    ");
    assert_eq!(machine.read("shop/onramp.toml"), toml.replace("6379", "6380"));
    machine.onramp("outdated --check").dir("shop").ok();
}

#[test]
fn a_block_is_removed_but_for_what_was_edited() {
    let machine = machine();
    let before = machine.tree("shop");
    machine.onramp("add cache").dir("shop").ok();
    let added = machine.tree("shop");
    assert_snapshot!(machine.onramp("remove cache").dir("shop").ok(), @r"
    --- stdout
    cache is removed from shop; nothing is committed yet
      next: git diff
      next: onramp update --undo
    --- stderr
    cache from shop
      service cache
      remove  src/shop/Cache.php
      change  onramp.lock
      change  onramp.toml
    ");
    assert_eq!(machine.tree("shop"), before);
    machine.onramp("update --undo").dir("shop").ok();
    assert_eq!(machine.tree("shop"), added);
    machine.write("shop/src/shop/Cache.php", "<?php // mine\n");
    let toml = machine.read("shop/onramp.toml");
    machine.write("shop/onramp.toml", toml.replace("port = 80\n", "port = 80\nneeds = [\"cache\"]\n"));
    assert_snapshot!(machine.onramp("remove cache").dir("shop").fails(Class::Conflict), @r"
    --- stderr
    error: cache brought what is needed: services.web needs cache
      hint: nothing was changed; take the service out of what needs it first
    ");
    machine.write("shop/onramp.toml", toml);
    assert_snapshot!(machine.onramp("remove cache").dir("shop").ok(), @r"
    --- stdout
    cache is removed from shop; nothing is committed yet
      keep    src/shop/Cache.php  (edited)
      next: git diff
      next: onramp update --undo
    --- stderr
    cache from shop
      service cache
      change  onramp.lock
      change  onramp.toml
      keep    src/shop/Cache.php  (edited)
    ");
    assert_eq!(machine.read("shop/src/shop/Cache.php"), "<?php // mine\n");
    machine.onramp("remove cache").dir("shop").fails(Class::Usage);
}

#[test]
fn a_tag_that_is_gone_or_moved_is_told() {
    let machine = machine();
    let catalog = CatalogRepository::again(&machine);
    catalog.git(&["tag", "--delete", "web/v1.0.1"]);
    let told = machine.onramp("outdated").dir("shop").ok();
    assert!(told.stdout.contains("the tag 1.0.1 is gone"), "{told}");
    catalog.file("blocks/web/files/lines.txt", "moved\n").release("web", "1.0.1");
    assert_snapshot!(machine.onramp("outdated").dir("shop").ok(), @r"
    --- stdout
    BLOCK  HAS    ALLOWED  NEWEST
    web    1.0.1  1.0.1    1.0.1   the tag web/v1.0.1 was moved
    ");
}

#[test]
fn a_project_of_crufts_is_followed_and_its_file_kept_up_to_date() {
    let machine = Machine::new();
    machine.write("tpl/cookiecutter.json", "{\n  \"name\": \"svc\"\n}\n");
    machine.write("tpl/{{cookiecutter.name}}/README.md", "# {{cookiecutter.name}}\n\nfirst\n\nend\n");
    machine.git("tpl", &["init", "--quiet", "--initial-branch=main"]);
    tag(&machine, "v1.0.0");
    let first = machine.git("tpl", &["rev-parse", "HEAD"]).trim().to_owned();
    machine.write("svc/README.md", "# svc\n\nfirst\n\nend\n\nmine\n");
    let source = machine.path("tpl").display().to_string();
    let context = serde_json::json!({ "cookiecutter": { "name": "svc", "_template": source } });
    let cruft = serde_json::json!({
        "template": source, "commit": first, "checkout": null, "context": context, "directory": null,
    });
    machine.write("svc/.cruft.json", serde_json::to_string_pretty(&cruft).unwrap() + "\n");
    machine.write("tpl/{{cookiecutter.name}}/README.md", "# {{cookiecutter.name}}\n\nsecond\n\nend\n");
    tag(&machine, "v1.1.0");
    let second = machine.git("tpl", &["rev-parse", "HEAD"]).trim().to_owned();
    machine.onramp("update").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc\n\nsecond\n\nend\n\nmine\n");
    let kept: serde_json::Value = serde_json::from_str(&machine.read("svc/.cruft.json")).unwrap();
    assert_eq!((&kept["commit"], &kept["context"]), (&second.into(), &context));
    machine.onramp("update --undo").dir("svc").ok();
    assert!(!machine.path("svc/onramp.lock").exists());
}

#[test]
fn a_full_disk_changes_nothing() {
    let machine = machine();
    let catalog = CatalogRepository::again(&machine);
    for n in 0..20 {
        catalog.file(&format!("blocks/web/files/large/{n}.txt"), &"x".repeat(50_000));
    }
    release(&machine);
    let Some(_disk) = SmallDisk::mount(&machine.path("small"), "800k") else { return };
    let mut copy = std::process::Command::new("cp");
    assert!(copy.args(["-a", "shop/.", "small"]).current_dir(machine.path("")).status().unwrap().success());
    let before = machine.tree("small");
    let told = machine.onramp("update").dir("small").fails(Class::Io);
    assert!(told.stderr.contains("No space left"), "{told}");
    assert_eq!(machine.tree("small"), before);
}

#[test]
fn a_migration_that_comes_before_is_merged_with() {
    let machine = Machine::new();
    copier(&machine);
    let migration = "name:\n  type: str\n  default: svc\n_migrations:\n  - version: v1.1.0\n    command: sed -i 's/# svc/# svc, migrated/' README.md\n    when: \"{{ _stage == 'before' }}\"\n";
    machine.write("tpl/copier.yml", migration);
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nfirst\n\nend, new\n");
    tag(&machine, "v1.1.0");
    machine.onramp("update --trust").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc, migrated\n\nfirst\n\nend, new\n");
    machine.onramp("update svc --to v1.0.0").dir("svc").fails(Class::Usage);
    machine.onramp("update tpl --to v1.0.0").dir("svc").ok();
    assert_eq!(machine.read("svc/README.md"), "# svc, migrated\n\nfirst\n\nend\n");
}

#[test]
fn a_secret_is_asked_for_again_and_kept_nowhere() {
    let machine = Machine::new();
    copier(&machine);
    let secret = "name:\n  type: str\n  default: svc\ntoken:\n  type: str\n  secret: true\n  default: ''\n";
    machine.write("tpl/copier.yml", secret);
    machine.write("tpl/secret.txt.jinja", "{{ token }}\n");
    tag(&machine, "v1.1.0");
    machine.onramp("update --data token=hunter2").dir("svc").ok();
    assert_eq!(machine.read("svc/secret.txt"), "hunter2\n");
    machine.write("tpl/README.md.jinja", "# {{ name }}\n\nsecond\n\nend\n");
    tag(&machine, "v1.2.0");
    machine.onramp("update --data token=hunter2").dir("svc").ok();
    assert_eq!(machine.read("svc/secret.txt"), "hunter2\n");
    for file in ["svc/onramp.lock", "svc/.copier-answers.yml"] {
        assert!(!machine.read(file).contains("hunter2"), "{file}");
    }
}
