//! What lies in a project already: hooks, links, and a lock whose template is no longer what or where it was.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use onramp::error::Class;

use super::Scene;

/// Hooks that say that they were fired, wherever git looks for some.
fn set_traps(scene: &Scene, repository: &Path) {
    let fired = scene.machine.elsewhere("fired");
    let script = format!("#!/bin/sh\necho \"$0\" >> '{}'\n", fired.display());
    let templates = scene.machine.elsewhere("home/templates");
    for hooks in [repository.join(".git/hooks"), templates.join("hooks"), scene.machine.elsewhere("home/hooks")] {
        for name in [
            "applypatch-msg",
            "pre-applypatch",
            "post-applypatch",
            "pre-commit",
            "pre-merge-commit",
            "prepare-commit-msg",
            "commit-msg",
            "post-commit",
            "pre-rebase",
            "post-checkout",
            "post-merge",
            "pre-push",
            "pre-receive",
            "update",
            "post-receive",
            "post-update",
            "reference-transaction",
            "push-to-checkout",
            "pre-auto-gc",
            "post-rewrite",
            "fsmonitor-watchman",
            "post-index-change",
            "sendemail-validate",
        ] {
            let hook = scene.machine.write(hooks.join(name), &script);
            std::fs::set_permissions(hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let watchman = repository.join(".git/hooks/fsmonitor-watchman").display().to_string();
    scene.machine.git(repository, &["config", "core.fsmonitor", &watchman]);
    for filter in ["clean", "smudge", "process"] {
        scene.machine.git(
            repository,
            &[
                "config",
                &format!("filter.evil.{filter}"),
                &format!("sh -c 'echo {filter} >> {}; cat'", fired.display()),
            ],
        );
    }
    scene.machine.git(repository, &["config", "diff.external", &format!("echo diff >> {}", fired.display())]);
    scene.machine.write(
        scene.machine.elsewhere("home/.gitconfig"),
        format!(
            "[init]\n\ttemplateDir = {}\n[core]\n\thooksPath = {}\n",
            templates.display(),
            scene.machine.elsewhere("home/hooks").display()
        ),
    );
}

#[test]
fn hooks_are_never_fired() {
    let scene =
        Scene::copier(&[("a.txt.jinja", "{{ name }}\n"), ("b.txt", "b\n"), (".gitattributes", "*.txt filter=evil\n")]);
    scene.add().ok();
    scene.commit("project");
    set_traps(&scene, &scene.machine.path("project"));
    scene.new_shop().ok();
    scene.files(&[("a.txt.jinja", "{{ name }} 2\n"), ("c.txt", "c\n")]);
    // The template's own repository has none: git runs here only for the test.
    let home = scene.machine.elsewhere("home/.gitconfig");
    std::fs::rename(&home, home.with_extension("away")).unwrap();
    scene.release("v1.1.0");
    std::fs::rename(home.with_extension("away"), &home).unwrap();
    for line in ["update --defaults --dry-run", "outdated", "update --defaults", "update --undo", "update --defaults"] {
        scene.machine.onramp(line).dir("project").outcome();
    }
    assert_eq!(scene.machine.read("project/c.txt"), "c\n");
    let fired = std::fs::read_to_string(scene.machine.elsewhere("fired")).unwrap_or_default();
    assert_eq!(fired, "");
}

#[test]
fn a_file_that_is_also_elsewhere_is_not_changed_there() {
    let scene = Scene::copier(&[("a.txt", "one\n"), ("b.txt", "one\n")]);
    scene.new_shop().ok();
    // A hard link, and a link that leads outside, where a file of the template was.
    std::fs::hard_link(scene.machine.path("shop/a.txt"), scene.outside("a.txt")).unwrap();
    std::fs::remove_file(scene.machine.path("shop/b.txt")).unwrap();
    std::os::unix::fs::symlink(scene.outside("secret.txt"), scene.machine.path("shop/b.txt")).unwrap();
    scene.commit("shop");
    scene.files(&[("a.txt", "two\n"), ("b.txt", "two\n")]).release("v1.1.0");
    let (_, told) = scene.machine.onramp("update --defaults").dir("shop").outcome();
    assert_eq!(scene.machine.read("shop/a.txt"), "two\n", "{told}");
    assert_eq!(scene.machine.read(scene.outside("a.txt")), "one\n", "{told}");
    assert_eq!(scene.machine.read(scene.outside("secret.txt")), "THE SECRET", "{told}");
}

#[test]
fn a_directory_that_became_a_link_outside() {
    let scene = Scene::copier(&[("dir/a.txt", "one\n"), ("dir/gone.txt", "one\n")]);
    scene.new_shop().ok();
    std::fs::rename(scene.machine.path("shop/dir"), scene.outside("dir")).unwrap();
    std::os::unix::fs::symlink(scene.outside("dir"), scene.machine.path("shop/dir")).unwrap();
    scene.commit("shop");
    std::fs::remove_file(Path::new(&scene.template()).join("dir/gone.txt")).unwrap();
    scene.files(&[("dir/a.txt", "two\n"), ("dir/new.txt", "new\n")]).release("v1.1.0");
    let before = scene.machine.tree(scene.outside(""));
    let (code, told) = scene.machine.onramp("update --defaults").dir("shop").outcome();
    assert_ne!(code, Some(0), "{told}");
    assert!(told.to_string().contains("dir"), "{told}");
    assert_eq!(scene.machine.tree(scene.outside("")), before, "{told}");
}

#[test]
fn a_tag_that_moved_since_the_lock() {
    let scene = Scene::copier(&[("a.txt", "one\n")]);
    scene.new_shop().ok();
    scene.files(&[("a.txt", "moved\n")]).release("v1.0.0");
    scene.files(&[("b.txt", "b\n")]).release("v1.1.0");
    let (_, told) = scene.machine.onramp("update --defaults").dir("shop").outcome();
    // The old render is that of the lock, whatever the tag says by now: what changed since arrives.
    assert_eq!(scene.machine.read("shop/a.txt"), "moved\n", "{told}");
    assert_eq!(scene.machine.read("shop/b.txt"), "b\n", "{told}");
    // The same version with other contents is said.
    scene.files(&[("a.txt", "moved again\n")]).release("v1.1.0");
    let (_, told) = scene.machine.onramp("outdated").dir("shop").outcome();
    assert!(told.to_string().contains("moved"), "{told}");
}

#[test]
fn a_tag_that_is_gone() {
    let scene = Scene::copier(&[("a.txt", "one\ntwo\nthree\nfour\nfive\n")]);
    scene.new_shop().ok();
    scene.machine.write("shop/a.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    scene.commit("shop");
    scene.files(&[("a.txt", "one\ntwo\nthree\nfour\nFIVE\n")]).release("v2.0.0");
    // Gone, and everything that it held with it.
    scene.machine.git(scene.template(), &["tag", "--delete", "v1.0.0"]);
    scene.machine.git(scene.template(), &["checkout", "--quiet", "--orphan", "fresh"]);
    scene.machine.git(scene.template(), &["commit", "--quiet", "--message", "All anew"]);
    scene.machine.git(scene.template(), &["tag", "--force", "v2.0.0"]);
    scene.machine.git(scene.template(), &["branch", "--quiet", "-D", "main"]);
    scene.machine.git(scene.template(), &["reflog", "expire", "--expire=now", "--all"]);
    scene.machine.git(scene.template(), &["gc", "--quiet", "--prune=now"]);
    scene.machine.onramp("update --defaults").dir("shop").ok();
    assert_eq!(scene.machine.read("shop/a.txt"), "ONE\ntwo\nthree\nfour\nFIVE\n");
}

#[test]
fn a_template_that_moved() {
    let scene = Scene::copier(&[("a.txt", "one\n")]);
    scene.new_shop().ok();
    std::fs::rename(scene.template(), scene.machine.elsewhere("moved")).unwrap();
    scene.unchanged(
        || {
            let (code, told) = scene.machine.onramp("update --defaults").dir("shop").outcome();
            assert!(code.is_some_and(|code| code != 0 && code != i32::from(Class::Bug.exit_code())), "{told}");
            told
        },
        &["[MACHINE]/template"],
    );
}

#[test]
fn a_lock_that_somebody_wrote_by_hand() {
    let scene = Scene::copier(&[("a.txt", "one\n")]);
    scene.new_shop().ok();
    let lock = scene.machine.read("shop/onramp.lock");
    for (from, to) in [
        ("\"a.txt\"", "\"../../outside/secret.txt\""),
        ("\"a.txt\"", "\"/etc/passwd\""),
        ("\"a.txt\"", "\".git/config\""),
        ("schema = 1", "schema = 9"),
        ("sha256:", "sha257:"),
    ] {
        assert!(lock.contains(from), "{lock}");
        scene.machine.write("shop/onramp.lock", lock.replace(from, to));
        scene.files(&[("a.txt", to)]).release("v2.0.0");
        for line in ["update --defaults", "remove template", "outdated"] {
            scene.unchanged(
                || {
                    let (code, told) = scene.machine.onramp(line).dir("shop").outcome();
                    assert!(
                        code.is_some_and(|code| code != 0 && code != i32::from(Class::Bug.exit_code())),
                        "{line}: {told}"
                    );
                    told
                },
                &["onramp.lock"],
            );
        }
    }
}
