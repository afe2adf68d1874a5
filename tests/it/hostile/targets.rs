//! Where a template goes: a full directory, a full disk, and a process that is killed.

use std::path::Path;

use onramp::error::Class;

use super::Scene;
use crate::full_disk::SmallDisk;
use crate::killed::Killed;

#[test]
fn a_target_that_is_not_empty() {
    let scene = Scene::copier(&[("a.txt", "theirs\n")]);
    for (path, contents) in [("shop/mine.txt", "mine"), ("shop/.hidden", ""), ("shop/a.txt", "mine")] {
        scene.machine.write(path, contents);
        scene.unchanged(|| scene.new_shop().fails(Class::Conflict), &["[WORK]/shop exists, and is not empty"]);
        std::fs::remove_dir_all(scene.machine.path("shop")).unwrap();
    }
    std::os::unix::fs::symlink(scene.outside(""), scene.machine.path("shop")).unwrap();
    scene.unchanged(|| scene.new_shop().fails(Class::Conflict), &["[WORK]/shop exists, and is no directory"]);
}

#[test]
fn a_file_that_the_project_has() {
    let scene = Scene::copier(&[("mine.txt", "theirs\n"), ("new.txt", "n\n")]);
    scene.unchanged(|| scene.add().fails(Class::Conflict), &["mine.txt"]);
    // Under a file, and over a directory.
    let scene = Scene::copier(&[("mine.txt/deep.txt", "theirs\n"), ("new.txt", "n\n")]);
    scene.unchanged(|| scene.add().fails(Class::Conflict), &["mine.txt"]);
    let scene = Scene::copier(&[("dir", "theirs\n"), ("new.txt", "n\n")]);
    scene.machine.write("project/dir/own.txt", "own\n");
    scene.unchanged(|| scene.add().fails(Class::Conflict), &["dir"]);
}

#[test]
fn a_project_whose_directories_lead_elsewhere() {
    let scene = Scene::copier(&[("src/evil.txt", "evil\n"), ("new.txt", "n\n")]);
    std::os::unix::fs::symlink(scene.outside(""), scene.machine.path("project/src")).unwrap();
    scene.commit("project");
    let before = scene.everything();
    let (code, told) = scene.add().outcome();
    assert!([Some(7), Some(8)].contains(&code), "{code:?}: {told}");
    assert!(told.stderr.contains("src"), "{told}");
    assert_eq!(scene.everything(), before);
}

#[test]
fn a_task_that_fails() {
    for task in ["exit 3", "touch made-by-task && false", "kill -9 $$", "/nonexistent/program"] {
        let manifest = format!("_tasks:\n  - touch made-first\n  - \"{task}\"\nname: shop\n");
        let scene = Scene::with(&[("copier.yml", &manifest), ("a.txt", "a\n")]);
        scene.unchanged_but_trust(|| scene.new_shop().arg("--trust").fails(Class::Failed), &["copier.yml"]);
    }
    // Without trust nothing of it runs, and what it would run is told.
    let scene = Scene::with(&[("copier.yml", "_tasks: [\"touch ../pwned\"]\nname: shop\n"), ("a.txt", "a\n")]);
    scene.unchanged(|| scene.new_shop().fails(Class::Security), &["touch ../pwned", "--trust"]);
}

#[test]
fn a_hook_that_fails() {
    let files = [
        ("cookiecutter.json", r#"{"slug": "shop"}"#),
        ("{{cookiecutter.slug}}/a.txt", "a\n"),
        ("hooks/pre_gen_project.sh", "#!/bin/sh\necho no >&2\nexit 1\n"),
    ];
    let scene = Scene::with(&files);
    scene.unchanged(|| scene.new_shop().fails(Class::Security), &["hooks/pre_gen_project.sh", "--trust"]);
    scene.unchanged_but_trust(|| scene.new_shop().arg("--trust").fails(Class::Failed), &["pre_gen_project"]);
}

#[test]
fn a_disk_that_is_full() {
    let large = "x".repeat(300_000);
    let scene = Scene::copier(&[("a.txt", "a\n"), ("large.bin", &large), ("z.txt", "z\n")]);
    let Some(_disk) = SmallDisk::mount(&scene.machine.path("disk"), "256k") else { return };
    scene.unchanged(|| scene.new_shop_at("disk/shop").fails(Class::Io), &["space"]);
    scene.machine.write("disk/project/mine.txt", "mine\n");
    scene.machine.write("disk/project/onramp.toml", "schema = 1\nname = \"project\"\n");
    scene.unchanged(|| scene.add().dir("disk/project").fails(Class::Io), &["space"]);
}

/// A template of sixty files, in seven directories.
fn sixty() -> Scene {
    let files: Vec<(String, &str)> =
        (0..60).map(|number| (format!("d-{}/f-{number}.txt.jinja", number % 7), "{{ name }}\n")).collect();
    Scene::copier(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
}

/// How many of them are there.
fn count(scene: &Scene, directory: &str) -> usize {
    let tree = scene.machine.tree(directory);
    tree.keys().filter(|path| path.starts_with("d-") && Path::new(path).extension().is_some()).count()
}

#[test]
fn killed_at_any_moment_a_project_is_whole_or_not_there() {
    let scene = sixty();
    Killed {
        machine: &scene.machine,
        directory: "",
        change: &|| scene.new_shop(),
        next: &|| {
            if scene.machine.path("shop").exists() {
                assert_eq!(scene.machine.git("shop", &["status", "--porcelain"]), "");
                scene.machine.git("shop", &["fsck", "--strict"]);
                assert_eq!(count(&scene, "shop"), 60);
            }
            scene.new_shop_at("another").ok();
            scene.machine.remove("another");
        },
        back: &|| scene.machine.remove("shop"),
    }
    .is_all_or_nothing();
}

#[test]
fn killed_at_any_moment_an_addition_is_whole_or_not_there() {
    let scene = sixty();
    Killed {
        machine: &scene.machine,
        directory: "project",
        change: &|| scene.add(),
        next: &|| {
            scene.machine.onramp("outdated").dir("project").ok();
            assert!([0, 60].contains(&count(&scene, "project")));
        },
        back: &|| drop(scene.machine.onramp("update --undo").dir("project").ok()),
    }
    .is_all_or_nothing();
}

impl Scene {
    fn new_shop_at(&self, target: &str) -> crate::run::Run<'_> {
        self.machine.onramp("new --defaults").arg(self.template()).arg(target)
    }
}
