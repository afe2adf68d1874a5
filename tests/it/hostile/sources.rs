//! Places that a template is said to come from, and what it calls itself.

use std::path::Path;

use onramp::error::Class;

use super::Scene;
use crate::run::Machine;

#[test]
fn urls_that_look_like_options_or_commands() {
    let scene = Scene::copier(&[("a.txt", "a\n")]);
    let pwned = scene.machine.elsewhere("pwned").display().to_string();
    for url in [
        format!("--upload-pack=touch {pwned}"),
        format!("ext::sh -c touch% {pwned}"),
        format!("ext::sh -c \"touch {pwned}\""),
        "fd::17".to_owned(),
        format!("ssh://-oProxyCommand=touch%20{pwned}/x.git"),
        format!("-oProxyCommand=touch {pwned}:x.git"),
        format!("git@-oProxyCommand=touch {pwned}:x.git"),
        format!("ssh://git@host/x.git --upload-pack=touch {pwned}"),
        "http://host/x\n.git".to_owned(),
        "gh:../../etc".to_owned(),
        "gh:--upload-pack=x/y".to_owned(),
        "gh:owner/repo;touch pwned".to_owned(),
    ] {
        for run in ["new --defaults --", "add --defaults --"] {
            let directory = if run.starts_with("add") { "project" } else { "" };
            let run = scene.machine.onramp(run).arg(&url).dir(directory);
            let before = scene.everything();
            let (code, told) = run.outcome();
            // Usage, configuration, or security: never the network, which nobody should have been asked for.
            assert!([Some(2), Some(3), Some(7)].contains(&code), "{url}: {code:?}\n{told}");
            assert_eq!(scene.everything(), before, "{url}");
        }
    }
    assert!(!Path::new(&pwned).exists());
}

#[test]
fn references_that_look_like_options_or_commands() {
    let scene = Scene::copier(&[("a.txt", "a\n")]);
    let pwned = scene.machine.elsewhere("pwned").display().to_string();
    for reference in [
        format!("--upload-pack=touch {pwned}"),
        "-v1.0.0".to_owned(),
        "v1.0.0:../x".to_owned(),
        "v1..v2".to_owned(),
        String::new(),
        "a b".to_owned(),
        "v1.0.0^{/x}".to_owned(),
        "@{-1}".to_owned(),
        "v1\n0".to_owned(),
        ":/x".to_owned(),
    ] {
        for option in ["--ref", "--version"] {
            let before = scene.everything();
            let (code, told) = scene.new_shop().arg(format!("{option}={reference}")).outcome();
            assert!([Some(2), Some(3), Some(7)].contains(&code), "{option} {reference:?}: {code:?}\n{told}");
            assert_eq!(scene.everything(), before, "{reference}");
        }
    }
    assert!(!Path::new(&pwned).exists());
}

#[test]
fn places_that_a_projects_own_files_name() {
    let scene = Scene::copier(&[("a.txt", "a\n")]);
    let pwned = scene.machine.elsewhere("pwned").display().to_string();
    for source in [format!("ext::sh -c touch% {pwned}"), format!("--upload-pack=touch {pwned}"), "fd::1".to_owned()] {
        for file in [".copier-answers.yml", ".cruft.json"] {
            let text = match file {
                ".cruft.json" => {
                    serde_json::json!({"template": source, "commit": "v1.0.0", "context": {"cookiecutter": {}}})
                        .to_string()
                }
                _ => format!("_commit: v1.0.0\n_src_path: {}\nname: shop\n", serde_json::json!(source)),
            };
            scene.machine.write(format!("theirs/{file}"), text);
            scene.machine.git("", &["init", "--quiet", "theirs"]);
            scene.commit("theirs");
            for command in ["update --defaults", "outdated", "update --dry-run"] {
                let before = scene.everything();
                let (code, told) = scene.machine.onramp(command).dir("theirs").outcome();
                assert!([Some(2), Some(3), Some(7)].contains(&code), "{source} {command}: {code:?}\n{told}");
                assert_eq!(scene.everything(), before);
            }
            std::fs::remove_dir_all(scene.machine.path("theirs")).unwrap();
        }
    }
    assert!(!Path::new(&pwned).exists());
}

#[test]
fn a_token_in_a_url_is_never_stored_or_shown() {
    let scene = Scene::copier(&[
        ("a.txt", "a\n"),
        ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}"),
    ]);
    let url = "http://dev:s3cr3t-t0k3n@127.0.0.1:1/template.git";
    for line in ["new --defaults", "new --defaults --json", "new --defaults -v"] {
        let told = scene.machine.onramp(line).arg(url).arg("shop").fails(Class::Security);
        assert!(!told.to_string().contains("s3cr3t-t0k3n"), "{told}");
        assert!(told.to_string().contains("127.0.0.1:[PORT]/template.git"), "{told}");
        assert!(told.to_string().contains("credential helper"), "{told}");
    }
    scene.machine.write("theirs/.copier-answers.yml", format!("_commit: v1.0.0\n_src_path: {url}\nname: shop\n"));
    scene.machine.git("", &["init", "--quiet", "theirs"]);
    scene.commit("theirs");
    let (_, told) = scene.machine.onramp("update --defaults").dir("theirs").outcome();
    assert!(!told.to_string().contains("s3cr3t-t0k3n"), "{told}");
    std::fs::remove_dir_all(scene.machine.path("theirs")).unwrap();
    nowhere(&scene.machine, "s3cr3t-t0k3n");
}

#[test]
fn a_secret_answer_is_never_stored() {
    let manifest = "password:\n  type: str\n  secret: true\n  default: none\nname: shop\n";
    let answers = ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}");
    let scene =
        Scene::with(&[("copier.yml", manifest), answers, ("a.txt.jinja", "{{ name }} {{ password|length }}\n")]);
    let told = scene.new_shop().arg("--data").arg("password=hunter2-hunter2").ok();
    assert!(!told.to_string().contains("hunter2"), "{told}");
    let told = scene
        .machine
        .onramp("new --defaults --json --data password=hunter2-hunter2")
        .arg(scene.template())
        .arg("two")
        .ok();
    assert!(!told.to_string().contains("hunter2"), "{told}");
    assert_eq!(scene.machine.read("shop/a.txt"), "shop 15\n");
    nowhere(&scene.machine, "hunter2");
}

/// No file of the whole machine holds these letters: no cache, no lock, no log, no git object that is not packed.
fn nowhere(machine: &Machine, letters: &str) {
    let mut directories = vec![machine.elsewhere("")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(!entry.to_string_lossy().contains(letters), "{}", entry.display());
            if entry.is_symlink() {
                continue;
            }
            if entry.is_dir() {
                directories.push(entry);
            } else {
                let contents = std::fs::read(&entry).unwrap();
                assert!(
                    !contents.windows(letters.len()).any(|window| window == letters.as_bytes()),
                    "{}",
                    entry.display()
                );
            }
        }
    }
}

#[test]
fn names_and_descriptions_do_not_reach_the_terminal_as_they_are() {
    let manifest = concat!(
        "name:\n  type: str\n  help: \"\\e[31mred\\e[0m \\x9b2J \\u202e backwards\"\n  default: \"\\e]0;title\\a\"\n",
        "pick:\n  type: str\n  choices: {\"\\e[1mbold\": a, \"b\\x7f\": b}\n  default: c\n",
        "_message_after_copy: \"\\e[2J\\e[Hgone {{ name }}\"\n_tasks: [\"echo '\\e[31m' \\x08\\x08\"]\n",
        "bad:\n  type: str\n  default: x\n  validator: \"\\e[31m{{ bad }}\\e]8;;http://evil\\a\"\n",
    );
    let scene =
        Scene::with(&[("copier.yml", manifest), ("a.txt.jinja", "{{ name }}\n"), ("we\u{202e}ird\u{200b}.txt", "x\n")]);
    for arguments in [
        &["--data", "pick=a", "--data", "bad=x"][..],
        &["--data", "pick=\u{1b}[31m"],
        &["--data", "\u{1b}[31m=x"],
        &["--data", "pick=a", "--dry-run"],
        &["--trust", "--data", "pick=b"],
        &["--ref", "\u{1b}[31m"],
        &["--version", "\u{1b}[31m"],
    ] {
        let run = arguments.iter().fold(scene.new_shop(), |run, argument| run.arg(*argument));
        let (_, told) = run.outcome();
        let text = told.to_string();
        let control = text
            .chars()
            .find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{200b}'));
        assert_eq!(control, None, "{arguments:?}: {text:?}");
    }
}

#[test]
fn a_tag_and_a_branch_with_hostile_names() {
    let scene = Scene::copier(&[("a.txt", "a\n")]);
    for tag in ["v9.0.0-$(touch-pwned)", "v9;touch-pwned", "--help", "v10.0.0\u{202e}"] {
        // What git refuses to make cannot come from a repository either.
        let mut command = std::process::Command::new("git");
        command.args(["update-ref", &format!("refs/tags/{tag}"), "HEAD"]).current_dir(scene.template());
        command.env_clear().envs(scene.machine.environment()).status().unwrap();
    }
    let told = scene.new_shop().ok();
    assert!(told.to_string().contains("v1.0.0"), "{told}");
    assert_eq!(scene.machine.read("shop/a.txt"), "a\n");
}
