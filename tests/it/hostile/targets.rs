//! Where a template goes: a full directory, a full disk, and a process that is killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use onramp::error::Class;

use super::Scene;

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

/// A directory with room for 256 KiB; none where nothing may be mounted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(place: &Path) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(place);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(place.to_owned()));
        }
        println!("no file system can be mounted here: a full disk was not tested");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full() {
    let large = "x".repeat(300_000);
    let scene = Scene::copier(&[("a.txt", "a\n"), ("large.bin", &large), ("z.txt", "z\n")]);
    let Some(_disk) = SmallDisk::at(&scene.machine.path("disk")) else { return };
    scene.unchanged(|| scene.new_shop_at("disk/shop").fails(Class::Io), &["space"]);
    scene.machine.write("disk/project/mine.txt", "mine\n");
    scene.machine.write("disk/project/onramp.toml", "schema = 1\nname = \"project\"\n");
    scene.unchanged(|| scene.add().dir("disk/project").fails(Class::Io), &["space"]);
}

#[test]
fn killed_at_any_moment_a_project_is_whole_or_not_there() {
    let files: Vec<(String, &str)> =
        (0..60).map(|number| (format!("d-{}/f-{number}.txt.jinja", number % 7), "{{ name }}\n")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let scene = Scene::copier(&files);
    for moment in (0..120).step_by(12) {
        let target = format!("shop-{moment}");
        scene.new_shop_at(&target).killed_after(Duration::from_millis(moment));
        if scene.machine.path(&target).exists() {
            assert_eq!(scene.machine.git(&target, &["status", "--porcelain"]), "");
            scene.machine.git(&target, &["fsck", "--strict"]);
        } else {
            scene.new_shop_at(&target).ok();
        }
        assert_eq!(scene.machine.tree(&target).keys().filter(|path| is_text(path)).count(), 60);
    }
    scene.new_shop_at("last").ok();
    let left: Vec<String> = scene.machine.tree("").into_keys().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn killed_at_any_moment_an_addition_is_whole_or_not_there() {
    let files: Vec<(String, &str)> =
        (0..60).map(|number| (format!("d-{}/f-{number}.txt.jinja", number % 7), "{{ name }}\n")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let scene = Scene::copier(&files);
    for moment in (0..120).step_by(12) {
        scene.add().killed_after(Duration::from_millis(moment));
        // The next run puts right what the killed one left, or has nothing to do.
        let (code, told) = scene.add().outcome();
        let made = scene.machine.tree("project");
        let count = made.keys().filter(|path| path.starts_with("d-") && is_text(path)).count();
        assert!(count == 60 && made.contains_key("onramp.lock"), "{count} files after {code:?}: {told}");
        assert!(made["mine.txt"].ends_with("mine\n"));
        scene.machine.git("project", &["clean", "--quiet", "-fdx"]);
        scene.machine.git("project", &["checkout", "--quiet", "--", "."]);
    }
}

impl Scene {
    fn new_shop_at(&self, target: &str) -> crate::run::Run<'_> {
        self.machine.onramp("new --defaults").arg(self.template()).arg(target)
    }
}

/// Whether a path is one of the template's own files.
fn is_text(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "txt")
}
