//! Entries of a template that lead where no template may.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use onramp::error::Class;

use super::Scene;

/// Releases a tree that git itself would never write: these lines of `git mktree`, `BLOB` being a blob's name.
fn raw(scene: &Scene, lines: &str) {
    let template = scene.template();
    let git = |arguments: &[&str], text: &str| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&template).env_clear().envs(scene.machine.environment());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let blob = git(&["hash-object", "-w", "--stdin"], "evil\n");
    let inner = git(&["mktree", "-z"], &format!("100644 blob {blob}\tevil\0"));
    let marker = git(&["hash-object", "-w", "--stdin"], "name: shop\n");
    let lines = lines.replace("BLOB", &blob).replace("TREE", &inner);
    let tree = git(&["mktree", "-z"], &format!("100644 blob {marker}\tcopier.yml\0{lines}"));
    let commit = git(&["commit-tree", &tree, "-m", "evil"], "");
    git(&["tag", "--force", "v1.0.0", &commit], "");
}

#[test]
fn entries_that_lead_outside() {
    let scene = Scene::copier(&[]);
    for lines in
        ["040000 tree TREE\t..\0", "100644 blob BLOB\t..\0", "040000 tree TREE\t.\0", "100644 blob BLOB\ta\nb\0"]
    {
        raw(&scene, lines);
        scene.refused(Class::Security, &[]);
    }
    raw(&scene, "100644 blob BLOB\t..\\..\\evil\0");
    scene.refused(Class::Security, &["no file name on every system"]);
    raw(&scene, "100644 blob BLOB\tC:evil\0");
    scene.refused(Class::Security, &["no file name on every system"]);
}

#[test]
fn entries_that_are_gits_own() {
    let scene = Scene::copier(&[]);
    for name in [".GIT", "git~1", ".git ", ".Git"] {
        raw(&scene, &format!("040000 tree TREE\t{name}\0"));
        scene.refused(Class::Security, &[]);
    }
    for name in ["{{ '.git' }}/hooks/post-commit", "x/{{ '.git' }}/config", "{{ '.GIT' }}", "{{ '.git' }}.jinja"] {
        let scene = Scene::copier(&[(name, "#!/bin/sh\ntouch pwned\n")]);
        scene.refused(Class::Security, &["git's own", name]);
    }
}

#[test]
fn a_submodule_is_not_taken() {
    let scene = Scene::copier(&[]);
    raw(&scene, "160000 commit 1111111111111111111111111111111111111111\tmodule\0");
    let before = scene.everything();
    if scene.new_shop().outcome().0 == Some(0) {
        assert!(!scene.machine.path("shop/module").exists());
    } else {
        assert_eq!(scene.everything(), before);
    }
}

#[test]
fn links_that_lead_outside() {
    let preserved = ("copier.yml", "_preserve_symlinks: true\nname: shop\n");
    let followed = ("copier.yml", "name: shop\n");
    for manifest in [preserved, followed] {
        for target in ["/etc/passwd", "../../outside/secret.txt", "..", "a/../../x", "/"] {
            let scene = Scene::with(&[manifest, ("link@", target), ("a/x", "")]);
            scene.refused(Class::Security, &["link"]);
        }
        // One leads to the next, and only the last one leads outside.
        let chain =
            [("one@", "two"), ("two@", "deep/three"), ("deep/three@", "../../outside/secret.txt"), ("deep/x", "")];
        Scene::with(&[&[manifest][..], &chain].concat()).refused(Class::Security, &[]);
        // In circles.
        Scene::with(&[manifest, ("a@", "b"), ("b@", "a")]).refused(Class::Security, &[]);
        Scene::with(&[manifest, ("dir/self@", "../dir"), ("dir/x", "")]).refused_or_harmless();
    }
    // An answer is where it leads.
    let scene = Scene::with(&[("copier.yml", "_preserve_symlinks: true\nto: x\n"), ("link.jinja@", "{{ to }}")]);
    for target in ["/etc", "../../outside"] {
        scene.refused_with(&["--data", &format!("to={target}")], Class::Security, &["link"]);
    }
}

#[test]
fn a_file_that_goes_through_a_link_of_the_template() {
    let manifest = ("copier.yml", "_preserve_symlinks: true\nname: out\n");
    let scene = Scene::with(&[manifest, ("out@", "inside"), ("inside/x", ""), ("{{ name }}/evil.txt", "evil\n")]);
    scene.refused(Class::Config, &["out"]);
}

#[test]
fn includes_of_files_outside() {
    let outside = Scene::copier(&[]).outside("secret.txt").display().to_string();
    for include in
        ["../outside/secret.txt", "/etc/passwd", &outside, "a/../../outside/secret.txt", "..\\outside", ".git/config"]
    {
        for tag in ["{% include 'X' %}", "{% import 'X' as x %}", "{% from 'X' import x %}", "{% extends 'X' %}"] {
            let scene = Scene::copier(&[("a.txt.jinja", &tag.replace('X', &include.replace('\\', "\\\\")))]);
            scene.refused_any(&["a.txt.jinja"]);
        }
    }
    let scene = Scene::copier(&[("link@", "../outside/secret.txt"), ("a.txt.jinja", "{% include 'link' %}")]);
    scene.refused_any(&[]);
}

#[test]
fn a_manifest_that_reads_outside() {
    for text in [
        "!include /etc/passwd\n---\nname: shop\n",
        "!include ../outside/*.txt\n---\nname: shop\n",
        "name: shop\nquestions: !include ../outside/secret.txt\n",
        "_subdirectory: ../outside\nname: shop\n",
        "_subdirectory: \"{{ '..' }}/outside\"\nname: shop\n",
        "_subdirectory: /etc\nname: shop\n",
        "_answers_file: ../answers.yml\nname: shop\n",
        "_answers_file: /tmp/answers.yml\nname: shop\n",
        "_answers_file: .git/config\nname: shop\n",
    ] {
        let answers = ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}");
        let scene = Scene::with(&[("copier.yml", text), ("a.txt", "a"), answers]);
        if text.contains("!include .") {
            // Copier's includes are patterns, which may find nothing.
            scene.refused_or_harmless();
        } else {
            scene.refused_any(&[]);
        }
    }
}

#[test]
fn data_that_is_not_the_projects() {
    let outside = [
        "../outside/secret.txt",
        "/etc/passwd",
        "a/../../outside/secret.txt",
        "{{ '..' }}/x",
        "link.yml",
        "d/secret.txt",
    ];
    let own = [".git/config", "./.GIT/config"];
    for path in outside.iter().chain(&own) {
        let manifest = format!("name: shop\n_external_data:\n  data: \"{path}\"\n");
        let scene = Scene::with(&[("copier.yml", &manifest), ("a.txt.jinja", "{{ _external_data.data }}")]);
        // The project itself leads there.
        let project = scene.machine.path("project");
        symlink(scene.outside("secret.txt"), project.join("link.yml")).unwrap();
        symlink(scene.outside(""), project.join("d")).unwrap();
        let why = if own.contains(path) { "is git's own" } else { "leads outside the project" };
        let words = ["was refused: copier.yml:3: _external_data: data: ", why];
        scene.unchanged(|| scene.add().fails(Class::Security), &words);
        // Where no project is yet, nothing leads on from it.
        if !["link.yml", "d/secret.txt"].contains(path) {
            scene.unchanged(|| scene.new_shop().fails(Class::Security), &words);
        }
    }
}

#[test]
fn data_that_is_no_honest_file() {
    let manifest = "name: shop\n_external_data: {data: data.yml}\n";
    let bomb = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned()
        + &(0..9)
            .map(|n| format!("{0}: &{0} [{1}]\n", (b'b' + n) as char, format!("*{},", (b'a' + n) as char).repeat(8)))
            .collect::<String>();
    for (contents, why) in [
        ("#".repeat(1024 * 1024 + 1), "data.yml is larger than 1.0 MB"),
        (bomb, "data.yml is no YAML: line "),
        ("a: !!python/object/apply:os.system [id]\n".to_owned(), "data.yml is no YAML: line 1"),
        ("a: [\n".to_owned(), "data.yml is no YAML: line "),
    ] {
        let scene = Scene::with(&[("copier.yml", manifest), ("a.txt.jinja", "{{ _external_data.data.a }}")]);
        scene.machine.write("project/data.yml", contents);
        scene.unchanged(|| scene.add().fails(Class::Config), &["copier.yml:2: _external_data: data: ", why]);
    }
    let scene = Scene::with(&[("copier.yml", manifest), ("a.txt.jinja", "{{ _external_data.data.a }}")]);
    let pipe = std::process::Command::new("mkfifo").arg(scene.machine.path("project/data.yml")).status().unwrap();
    assert!(pipe.success());
    let told = scene.add().fails(Class::Config);
    assert!(told.to_string().contains("data.yml is no file"), "{told}");
}

#[test]
fn filters_that_read_the_machine() {
    let body = "{{ '/etc/pass*'|fileglob }}|{{ '$HOME ${PATH}'|expandvars }}|{{ '~/x'|expanduser }}|{{ '/proc/self'|realpath }}";
    let scene = Scene::copier(&[("a.txt.jinja", body)]);
    let before = scene.everything();
    let (code, told) = scene.new_shop().outcome();
    if code == Some(0) {
        let text = scene.machine.read("shop/a.txt");
        let home = scene.machine.environment()["HOME"].clone();
        assert!(!text.contains("/etc/passwd") && !text.contains(&home) && !text.contains("/proc/1"), "{text}");
    } else {
        assert!(told.stderr.contains("a.txt.jinja"), "{told}");
        assert_eq!(scene.everything(), before);
    }
}

#[test]
fn pythons_insides_are_not_there() {
    for text in [
        "{{ ''.__class__.__mro__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('touch pwned').read() }}",
        "{{ ''['__class__'] }}",
        "{{ '{0.__class__}'.format(name) }}",
        "{{ name|attr('__class__') }}",
        "{{ lipsum.__globals__ }}",
    ] {
        let scene = Scene::copier(&[("a.txt.jinja", text)]);
        let before = scene.everything();
        let (code, told) = scene.new_shop().outcome();
        if code == Some(0) {
            let text = scene.machine.read("shop/a.txt");
            assert!(!text.contains("class") && !text.contains("object"), "{text}");
        } else {
            assert!([Some(3), Some(7)].contains(&code), "{code:?} {told}");
            assert_eq!(scene.everything(), before);
        }
    }
}

impl Scene {
    /// Refused as the template's mistake or as its attempt, and nothing anywhere is changed.
    #[track_caller]
    fn refused_any(&self, words: &[&str]) {
        for run in [self.new_shop(), self.add()] {
            let refused = || {
                let (code, told) = run.outcome();
                assert!([Some(3), Some(7)].contains(&code), "{code:?}:\n{told}");
                told
            };
            self.unchanged(refused, words);
        }
    }

    /// Refused, or made without anything that leads outside.
    #[track_caller]
    fn refused_or_harmless(&self) {
        let before = self.everything();
        let (code, told) = self.new_shop().outcome();
        if code == Some(0) {
            let made = self.machine.path("shop").canonicalize().unwrap();
            for path in self.machine.tree("shop").keys().filter(|path| !path.starts_with(".git")) {
                let place = self.machine.path("shop").join(path);
                assert!(place.canonicalize().is_ok_and(|real| real.starts_with(&made)), "{path}");
            }
        } else {
            assert!([Some(3), Some(7)].contains(&code), "{code:?}:\n{told}");
            assert_eq!(self.everything(), before);
        }
    }
}
