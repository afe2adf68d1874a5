//! Large templates, made by the test.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Machine;
use crate::template::{Case, check};

/// A machine with the beginnings of a template and answers for it.
fn template(name: &str) -> (Machine, PathBuf, Case) {
    let machine = Machine::new();
    let directory = machine.path("made");
    machine.write("made/copier.yml", "name: shop\nowner: acme\nport: 8080\n");
    let answers = machine.write("answers.yml", "name: other\nport: 81\n");
    let case = Case::made(name, directory.clone(), answers);
    (machine, directory, case)
}

fn write(path: &Path, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

#[test]
fn two_thousand_files_with_three_variables() {
    let (_machine, directory, case) = template("two-thousand-files");
    for number in 0..2000 {
        let path = format!("{{{{ name }}}}/part-{}/file-{number}.txt.jinja", number / 100);
        let lines = (0..20).fold(String::new(), |mut text, line| {
            writeln!(text, "line {line} of {number}").unwrap();
            text
        });
        write(
            &directory.join(path),
            &format!("{{{{ name }}}} of {{{{ owner }}}}\n{lines}port {{{{ port + {number} }}}}\n"),
        );
    }
    check(&[case]);
}

#[test]
fn a_deep_tree() {
    let (_machine, directory, case) = template("deep-tree");
    let mut path = directory;
    for depth in 0..40 {
        path = path.join(if depth % 2 == 0 { format!("{{{{ name }}}}-{depth}") } else { format!("level-{depth}") });
        write(&path.join("here.txt.jinja"), &format!("{{{{ owner }}}} at {depth}\n"));
    }
    check(&[case]);
}

#[test]
fn a_file_of_five_megabytes() {
    let (_machine, directory, case) = template("five-megabytes");
    let mut text = String::with_capacity(5 << 20);
    while text.len() < 5 << 20 {
        text += "a line that is copied as it is, without anything of Jinja in it\n";
        if text.len().is_multiple_of(977) {
            text += "{{ name }} {% if port > 80 %}{{ owner|upper }}{% endif %}\n";
        }
    }
    write(&directory.join("large.sql.jinja"), &text);
    write(&directory.join("plain.sql"), &text);
    check(&[case]);
}
