//! Updates: where Copier keeps what a person wrote, onramp's result is Copier's; where Copier loses it, onramp keeps it
//! and says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::compare;
use crate::oracle;
use crate::run::{Machine, Told};
use crate::template::{publish, text};

/// Files of a template: path and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

const ANSWERS: (&str, &str) = ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml -}}\n");
const LINES: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n";

/// One template, and the same project made of it twice: by Copier and by onramp.
struct Twins {
    machine: Machine,
    template: PathBuf,
    theirs: PathBuf,
    ours: PathBuf,
}

impl Twins {
    /// Both projects, made of the first version and committed.
    fn of(files: Files) -> Self {
        let machine = Machine::new();
        let (template, theirs, ours) =
            (machine.path("template"), machine.path("oracle/project"), machine.path("onramp/project"));
        let twins = Self { machine, template, theirs, ours };
        twins.release("v1.0.0", files);
        let line = ["copier", "copy", "--defaults", "--trust", "--quiet", text(&twins.template), text(&twins.theirs)];
        oracle::must(&twins.machine, &twins.machine.path(""), &line);
        twins.machine.git(&twins.theirs, &["init", "--quiet"]);
        twins.commit(&twins.theirs);
        fs::create_dir_all(twins.ours.parent().unwrap()).unwrap();
        let trust = if files[0].1.contains("_tasks") { "--trust" } else { "" };
        let new = twins.machine.onramp(&format!("new --defaults --quiet {trust}"));
        new.arg(text(&twins.template)).arg(text(&twins.ours)).ok();
        twins.same();
        twins
    }

    /// Releases a version of the template that has these files, and no others.
    fn release(&self, tag: &str, files: Files) -> &Self {
        fs::create_dir_all(&self.template).unwrap();
        for entry in fs::read_dir(&self.template).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && !entry.ends_with(".git") {
                fs::remove_dir_all(&entry).unwrap();
            } else if entry.is_file() {
                fs::remove_file(&entry).unwrap();
            }
        }
        for (path, contents) in files.iter().chain([&ANSWERS]) {
            let path = self.template.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, contents).unwrap();
            if path.extension().is_some_and(|end| end == "sh") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        publish(&self.machine, &self.template, tag);
        self
    }

    /// What a person does to the project, in both, committed.
    fn edit(&self, edit: impl Fn(&Path)) -> &Self {
        for project in [&self.theirs, &self.ours] {
            edit(project);
            self.commit(project);
        }
        self
    }

    fn commit(&self, project: &Path) {
        self.machine.git(project, &["add", "--all", "--force"]);
        self.machine.git(project, &["commit", "--quiet", "--allow-empty", "--message", "Work"]);
    }

    /// Updates Copier's; it always says that all is well.
    #[track_caller]
    fn update_theirs(&self) {
        oracle::must(&self.machine, &self.theirs, &["copier", "update", "--defaults", "--trust", "--quiet"]);
    }

    /// Updates ours; its code and what it said.
    fn update_ours(&self) -> (Option<i32>, Told) {
        let runs = fs::read_to_string(self.template.join("copier.yml")).unwrap().contains("_tasks");
        let trust = if runs { "--trust" } else { "" };
        self.machine.onramp(&format!("update --defaults {trust}")).dir(&self.ours).outcome()
    }

    /// Updates both; both end well and are the same.
    #[track_caller]
    fn update_same(&self) {
        self.update_theirs();
        let (code, told) = self.update_ours();
        assert_eq!(code, Some(0), "{told}");
        self.same();
    }

    #[track_caller]
    fn same(&self) {
        let said = compare::differences(&compare::tree(&self.theirs), &compare::tree(&self.ours));
        assert!(said.is_empty(), "{said}");
    }

    /// What a person wrote is gone from Copier's project, and nothing was said; in ours it is still there, as a conflict
    /// that names the file.
    #[track_caller]
    fn only_ours_keeps(&self, path: &str, written: &[u8]) {
        self.update_theirs();
        assert!(!holds(&self.theirs, written), "copier kept it; it is no longer true that it loses it");
        let (code, told) = self.update_ours();
        assert_eq!(code, Some(1), "conflicts are left: {told}");
        assert!(told.to_string().contains(path), "{path} is not named: {told}");
        assert!(holds(&self.ours, written), "what was written is lost: {told}");
    }
}

/// Whether any file of the project's tree holds these bytes.
fn holds(project: &Path, written: &[u8]) -> bool {
    compare::tree(project).values().any(|thing| match thing {
        compare::Thing::File(_, contents) => contents.windows(written.len()).any(|window| window == written),
        compare::Thing::Link(_) => false,
    })
}

/// Replaces a text in a file of a project.
fn replace(project: &Path, path: &str, from: &str, to: &str) {
    let path = project.join(path);
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains(from));
    fs::write(path, before.replace(from, to)).unwrap();
}

fn write(project: &Path, path: &str, contents: impl AsRef<[u8]>) {
    fs::create_dir_all(project.join(path).parent().unwrap()).unwrap();
    fs::write(project.join(path), contents).unwrap();
}

#[test]
fn edits_apart_from_each_other() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt.jinja", LINES), ("b.txt", "b\n")]);
    twins.edit(|project| replace(project, "a.txt", "two\n", "TWO of mine\n"));
    let new = LINES.replace("nine", "nine of {{ name }}");
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("a.txt.jinja", &new), ("b.txt", "b2\n")]);
    twins.update_same();
    assert!(holds(&twins.ours, b"TWO of mine") && holds(&twins.ours, b"nine of shop"));
}

#[test]
fn files_that_come_and_go() {
    let twins =
        Twins::of(&[("copier.yml", "name: shop\n"), ("old.txt", "o\n"), ("dir/old.txt", "o\n"), ("stays", "s\n")]);
    twins.edit(|project| write(project, "mine/own.txt", "mine\n"));
    twins.release(
        "v2.0.0",
        &[("copier.yml", "name: shop\n"), ("stays", "s\n"), ("new/deep/file.txt.jinja", "{{ name }}\n")],
    );
    twins.update_same();
    assert!(!twins.ours.join("old.txt").exists() && !twins.ours.join("dir").exists());
}

#[test]
fn what_a_person_deleted_stays_deleted() {
    let files = [("copier.yml", "name: shop\n"), ("a.txt", "a\n"), ("unwanted.txt", "u\n")];
    let twins = Twins::of(&files);
    twins.edit(|project| fs::remove_file(project.join("unwanted.txt")).unwrap());
    twins.release("v1.1.0", &[files[0], ("a.txt", "a2\n"), files[2]]);
    twins.update_same();
    assert!(!twins.ours.join("unwanted.txt").exists());
}

#[test]
fn a_new_question_takes_its_default() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt.jinja", "{{ name }}\n")]);
    let questions = "name: shop\nport:\n  type: int\n  default: \"{{ 8000 + name|length }}\"\nflag: yes\n";
    twins.release("v1.1.0", &[("copier.yml", questions), ("a.txt.jinja", "{{ name }}:{{ port }} {{ flag }}\n")]);
    twins.update_same();
}

#[test]
fn a_question_that_is_gone() {
    let twins = Twins::of(&[("copier.yml", "name: shop\ngone: x\n"), ("a.txt.jinja", "{{ name }} {{ gone }}\n")]);
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("a.txt.jinja", "{{ name }} {{ gone }}\n")]);
    twins.update_same();
}

#[test]
fn an_answer_that_the_question_no_longer_takes() {
    let twins = Twins::of(&[("copier.yml", "name: shop\nport: \"80\"\n"), ("a.txt.jinja", "{{ name }}\n")]);
    let questions = "name: shop\nport:\n  type: str\n  default: \"8080\"\n  choices: [\"8080\", \"9090\"]\n";
    twins.release("v1.1.0", &[("copier.yml", questions), ("a.txt.jinja", "{{ name }} {{ port }}\n")]);
    // Copier takes the default instead, without a word; onramp names it, and how to answer.
    twins.update_theirs();
    let (code, told) = twins.update_ours();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.stderr.contains("`80` is no answer to `port`") && told.stderr.contains("--data port="), "{told}");
    twins.machine.onramp("update --defaults --data port=8080").dir(&twins.ours).ok();
    twins.same();
}

#[test]
fn given_once() {
    let files =
        [("copier.yml", "_skip_if_exists: [once.txt]\nname: shop\n"), ("once.txt", "first\n"), ("a.txt", "a\n")];
    let twins = Twins::of(&files);
    twins.edit(|project| write(project, "once.txt", "all mine\n"));
    twins.release("v1.1.0", &[files[0], ("once.txt", "second\n"), ("a.txt", "a2\n")]);
    twins.update_same();
    assert!(holds(&twins.ours, b"all mine"));
}

#[test]
fn a_binary_that_only_the_template_changed() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("logo.bin", "\0one")]);
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("logo.bin", "\0two")]);
    twins.update_same();
}

#[test]
fn a_file_that_only_the_template_moved() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("old/a.txt", LINES)]);
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("new/b.txt", LINES)]);
    twins.update_same();
}

#[test]
fn both_made_the_same_change() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt", LINES)]);
    twins.edit(|project| replace(project, "a.txt", "five\n", "FIVE\n"));
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("a.txt", &LINES.replace("five", "FIVE"))]);
    twins.update_same();
}

#[test]
fn a_script_may_be_run_after_the_update_too() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("run.sh", "#!/bin/sh\n"), ("plain.txt", "p\n")]);
    twins.release(
        "v1.1.0",
        &[("copier.yml", "name: shop\n"), ("run.sh", "#!/bin/sh\nexit 0\n"), ("other.sh", "#!/bin/sh\n")],
    );
    twins.update_same();
}

#[test]
fn migrations_and_tasks_run_where_copier_runs_them() {
    let twins = Twins::of(&[("copier.yml", "_tasks: [\"echo $STAGE >> task.log\"]\nname: shop\n"), ("a.txt", "a\n")]);
    let questions = r#"
_tasks:
  - command: "echo {{ _copier_operation }} > task.log"
_migrations:
  - "echo every $VERSION_FROM $VERSION_TO > every.log"
  - version: v1.5.0
    command: "echo {{ _stage }} {{ _version_current }} >> between.log"
  - version: v3.0.0
    command: "touch never.log"
  - version: v1.0.0
    command: "touch passed.log"
name: shop
"#;
    twins.release("v2.0.0", &[("copier.yml", questions), ("a.txt", "a2\n")]);
    twins.update_same();
    assert!(holds(&twins.ours, b"every v1.0.0 v2.0.0") && holds(&twins.ours, b"after v1.5.0"));
    assert!(!twins.ours.join("never.log").exists() && !twins.ours.join("passed.log").exists());
}

#[test]
fn several_versions_in_turn() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt.jinja", LINES)]);
    twins.edit(|project| replace(project, "a.txt", "two\n", "2\n"));
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("a.txt.jinja", &LINES.replace("ten", "10"))]);
    twins.update_same();
    twins.edit(|project| replace(project, "a.txt", "six\n", "6\n"));
    twins.release("v1.2.0", &[("copier.yml", "name: shop\n"), ("a.txt.jinja", &LINES.replace("ten", "X"))]);
    twins.update_same();
}

#[test]
fn both_changed_the_same_lines() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt", LINES)]);
    twins.edit(|project| replace(project, "a.txt", "five\n", "5 of mine\n"));
    twins.release("v1.1.0", &[("copier.yml", "name: shop\n"), ("a.txt", &LINES.replace("five", "5 of theirs"))]);
    // Copier leaves markers and says that all is well; onramp leaves them and says so.
    twins.update_theirs();
    assert!(holds(&twins.theirs, b"<<<<<<< before updating"));
    let (code, told) = twins.update_ours();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.to_string().contains("a.txt"), "{told}");
    for kept in [&b"5 of mine"[..], b"5 of theirs", b"<<<<<<<", b"five"] {
        assert!(holds(&twins.ours, kept), "{}", String::from_utf8_lossy(kept));
    }
}

#[test]
fn copier_loses_edits_of_a_file_that_the_template_moves() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("old.txt", LINES)]);
    twins.edit(|project| replace(project, "old.txt", "five\n", "five that I wrote\n"));
    twins.release("v2.0.0", &[("copier.yml", "name: shop\n"), ("new.txt", LINES)]);
    twins.update_theirs();
    assert!(!holds(&twins.theirs, b"five that I wrote"), "copier no longer loses it");
    // A move that is recognised is no conflict: the edit goes with the file.
    let (_, told) = twins.update_ours();
    assert!(holds(&twins.ours, b"five that I wrote"), "{told}");
    assert!(told.to_string().contains("new.txt"), "{told}");
}

#[test]
fn copier_loses_edits_of_a_file_that_the_template_deletes() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("a.txt", LINES), ("b.txt", "b\n")]);
    twins.edit(|project| replace(project, "a.txt", "five\n", "five that I wrote\n"));
    twins.release("v2.0.0", &[("copier.yml", "name: shop\n"), ("b.txt", "b\n")]);
    twins.only_ours_keeps("a.txt", b"five that I wrote");
}

#[test]
fn copier_loses_a_binary_that_both_changed() {
    let twins = Twins::of(&[("copier.yml", "name: shop\n"), ("logo.bin", "\0\x01one")]);
    twins.edit(|project| write(project, "logo.bin", b"\0\x01mine"));
    twins.release("v2.0.0", &[("copier.yml", "name: shop\n"), ("logo.bin", "\0\x01theirs")]);
    twins.only_ours_keeps("logo.bin", b"\0\x01mine");
}

#[test]
fn data_of_the_project_that_changes_between_updates() {
    let questions =
        ("copier.yml", "_external_data: {parent: parent.yml}\nname: \"{{ _external_data.parent.name }}\"\n");
    let lines =
        |last: &str| LINES.replace("five", "{{ _external_data.parent.port }} of {{ name }}").replace("ten", last);
    let twins = Twins::of(&[questions, ("a.txt.jinja", &lines("ten"))]);
    twins.edit(|project| write(project, "parent.yml", "name: shop\nport: 80\n"));
    twins.release("v1.1.0", &[questions, ("a.txt.jinja", &lines("10"))]);
    twins.update_same();
    assert!(holds(&twins.ours, b"four\n80 of "));
    // The data is what it was: what a person wrote beside it is no conflict.
    twins.edit(|project| replace(project, "a.txt", "four\n", "four of mine\n"));
    twins.release("v1.2.0", &[questions, ("a.txt.jinja", &lines("X"))]);
    let (code, told) = twins.update_ours();
    assert_eq!(code, Some(0), "{told}");
    assert!(holds(&twins.ours, b"four of mine\n80 of ") && holds(&twins.ours, b"nine\nX\n"));
    twins.commit(&twins.ours);
    assert!(twins.update_ours().1.to_string().contains("up to date"));
    // It is not what it was: what the template makes of it now is never dropped in silence.
    write(&twins.ours, "parent.yml", "name: shop\nport: 8080\n");
    twins.commit(&twins.ours);
    let (code, told) = twins.update_ours();
    assert_eq!(code, Some(1), "{told}");
    assert!(holds(&twins.ours, b"80 of ") && holds(&twins.ours, b"8080 of "), "{told}");
}
