//! Answers that are used in the names of files.

use onramp::error::Class;

use super::Scene;

fn named() -> Scene {
    Scene::copier(&[("{{ name }}/file.txt.jinja", "of {{ name|length }}\n"), ("plain.txt", "p\n")])
}

#[test]
fn answers_that_lead_outside() {
    let scene = named();
    let outside = scene.outside("").display().to_string();
    for answer in ["..", "../..", "../../outside", "a/../../b", "x/../..", &outside, "/", "//", "/x"] {
        scene.refused_with(&["--data", &format!("name={answer}")], Class::Security, &["leads out of the project"]);
    }
}

#[test]
fn answers_that_are_drives_and_devices() {
    let scene = named();
    for answer in ["C:", "C:evil", "c:\\evil", "..\\..\\evil", "CON", "con.txt", "NUL", "aux ", "COM1", "lpt9.log"] {
        let words = ["no file name on every system", "{{ name }}/file.txt.jinja"];
        scene.refused_with(&["--data", &format!("name={answer}")], Class::Security, &words);
    }
}

#[test]
fn answers_that_are_gits_own() {
    let scene = named();
    for answer in
        [".git", ".GIT", ".Git", "GIT~1", "git~1", ".git ", ".git.", ".git::$INDEX_ALLOCATION", "\u{200c}.git"]
    {
        scene.refused_with(&["--data", &format!("name={answer}")], Class::Security, &["git's own"]);
    }
}

#[test]
fn answers_with_control_characters() {
    let scene = named();
    for (number, answer) in ["a\\nb", "a\\0b", "a\\rb", "\\e[31mred", "a\\tb", "\\x7f", "\\x9b31m"].iter().enumerate() {
        let file = scene.machine.write(format!("answers-{number}.yml"), format!("name: \"{answer}\"\n"));
        let words = ["control characters"];
        scene.refused_with(&["--data-file", file.to_str().unwrap()], Class::Security, &words);
    }
}

#[test]
fn answers_that_are_too_long_for_a_name() {
    let scene = named();
    for answer in ["x".repeat(300), "ü".repeat(150), "d/".repeat(600) + "x"] {
        scene.refused_with(&["--data", &format!("name={answer}")], Class::Security, &["longer than a path may be"]);
    }
}

#[test]
fn names_that_are_one_name_on_other_systems() {
    let scene = Scene::copier(&[("{{ name }}", "1\n"), ("README", "2\n")]);
    for answer in ["readme", "ReadMe"] {
        let words = ["README", answer];
        scene.refused_with(&["--data", &format!("name={answer}")], Class::Config, &words);
    }
    let scene = Scene::copier(&[("{{ name }}/a", "1\n"), ("Dir/b", "2\n")]);
    scene.refused_with(&["--data", "name=dir"], Class::Config, &["dir"]);
    let scene = Scene::copier(&[("{{ name }}", "1\n"), ("caf\u{e9}", "2\n")]);
    scene.refused_with(&["--data", "name=cafe\u{301}"], Class::Config, &["caf\u{e9}"]);
    // A file where another has a directory.
    let scene = Scene::copier(&[("{{ name }}", "1\n"), ("both/b", "2\n")]);
    scene.refused_with(&["--data", "name=both"], Class::Config, &["both"]);
}

#[test]
fn answers_do_no_harm_where_they_are_text() {
    let scene = Scene::copier(&[("a.txt.jinja", "{{ name }}\n")]);
    for answer in ["{{ 7 * 7 }}", "{% raw %}", "$(touch pwned)", "`touch pwned`", "'; DROP TABLE x; --"] {
        scene
            .machine
            .onramp("new --defaults --data")
            .arg(format!("name={answer}"))
            .arg(scene.template())
            .arg("shop")
            .ok();
        assert_eq!(scene.machine.read("shop/a.txt"), format!("{answer}\n"));
        std::fs::remove_dir_all(scene.machine.path("shop")).unwrap();
    }
}
