//! Merges of whole trees.

mod mode;
mod moved;
mod parts;
mod properties;

use super::*;

fn path(text: &str) -> TreePath {
    text.parse().unwrap()
}

/// A tree of files; `-> target` is a link, a text that begins with `#!` can be run.
fn tree(files: &[(&str, &str)]) -> Tree {
    let entry = |text: &str| match text.strip_prefix("-> ") {
        Some(target) => Entry::Link { target: target.to_owned() },
        None => Entry::File { contents: text.to_owned().into(), executable: text.starts_with("#!") },
    };
    files.iter().map(|(at, text)| (path(at), entry(text))).collect()
}

fn options(style: Style) -> Options {
    let once = BTreeSet::from([path("once")]);
    Options { style, mine: "shop".into(), base: "web 1.0.0".into(), theirs: "web 1.1.0".into(), once }
}

fn apply(mine: &Tree, merged: &Merged) -> Tree {
    let mut after = mine.clone();
    for change in &merged.changes {
        let before = match &change.after {
            Some(entry) => after.insert(change.path.clone(), entry.clone()),
            None => after.remove(change.path.as_str()),
        };
        assert_eq!(before, change.before, "{}", change.path);
    }
    after
}

/// What changes, what conflicts, and what the files are afterwards, for people.
fn story(base: &[(&str, &str)], theirs: &[(&str, &str)], mine: &[(&str, &str)], style: Style) -> String {
    let mine = tree(mine);
    let merged = merge(&tree(base), &tree(theirs), &mine, &options(style));
    let after = apply(&mine, &merged);
    let mut story = String::new();
    for (path, entry) in after.iter() {
        let run = if entry.executable() { " (run)" } else { "" };
        let text = match entry {
            Entry::File { contents, .. } => String::from_utf8_lossy(&contents.bytes()).into_owned(),
            Entry::Link { target } => format!("-> {target}"),
        };
        let text = text.trim_end().replace('\n', "\n    ").replace('\0', "\\0");
        story += &format!("{path}{run}\n    {text}\n");
    }
    for (from, to) in &merged.moved {
        story += &format!("moved {from} to {to}\n");
    }
    for conflict in &merged.conflicts {
        let line = conflict.line.map(|line| format!(":{line}")).unwrap_or_default();
        story += &format!("{:?} {}{line}: {}\n", conflict.kind, conflict.path, conflict.detail);
    }
    story
}

#[test]
fn what_only_one_side_changed_is_that_side() {
    insta::assert_snapshot!(story(
        &[("same", "1"), ("theirs", "1"), ("mine", "1"), ("gone-there", "1"), ("gone-here", "1"), ("mode", "1"), ("both", "1")],
        &[("same", "1"), ("theirs", "2"), ("mine", "1"), ("gone-here", "1"), ("mode", "#!1"), ("new", "-> a"), ("both", "2")],
        &[("same", "1"), ("theirs", "1"), ("mine", "2"), ("gone-there", "1"), ("mode", "1"), ("own", "1"), ("both", "2")],
        Style::Inline,
    ), @r"
    both
        2
    mine
        2
    mode (run)
        #!1
    new
        -> a
    own
        1
    same
        1
    theirs
        2
    ");
}

#[test]
fn lines_that_both_changed_are_marked() {
    insta::assert_snapshot!(story(
        &[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n")],
        &[("a", "1\nzwei\n3\n4\n5\n6\n7\n8\nneun\n")],
        &[("a", "1\ndeux\n3\n4\n5\nsix\n7\n8\n9\n")],
        Style::Inline,
    ), @r"
    a
        1
        <<<<<<< shop
        deux
        ||||||| web 1.0.0
        2
        =======
        zwei
        >>>>>>> web 1.1.0
        3
        4
        5
        six
        7
        8
        neun
    Lines a:2: both changed the same lines; both are kept there
    ");
    insta::assert_snapshot!(story(
        &[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), ("a.rej", "")],
        &[("a", "1\nzwei\n3\n4\n5\n6\n7\n8\nneun\n"), ("a.rej", "")],
        &[("a", "1\ndeux\n3\n4\n5\nsix\n7\n8\n9\n"), ("a.rej", "of somebody else")],
        Style::Rej,
    ), @r"
    a
        1
        deux
        3
        4
        5
        six
        7
        8
        neun
    a.rej
        of somebody else
    a.rej.2
        --- a	web 1.0.0
        +++ a	web 1.1.0
        @@ -1,5 +1,5 @@
         1
        -2
        +zwei
         3
         4
         5
    Lines a:2: both changed the same lines; the project's stays, the template's is in a.rej.2
    ");
}

#[test]
fn deletions_against_changes_keep_both() {
    insta::assert_snapshot!(story(
        &[("a", "1"), ("b", "1")],
        &[("b", "2")],
        &[("a", "2")],
        Style::Inline,
    ), @r"
    a
        2
    b.rej
        2
    DeletedThere a: the template deleted it, the project changed it; it stays
    DeletedHere b: the project deleted it, the template changed it; the template's is in b.rej
    ");
}

#[test]
fn what_cannot_stand_in_one_place_stands_beside() {
    insta::assert_snapshot!(story(
        &[("binary", "\0 1"), ("link", "-> a"), ("kind", "1"), ("way/x", "1"), ("d", "1")],
        &[("binary", "\0 2"), ("link", "-> b"), ("kind", "-> b"), ("way/x", "1"), ("way/y", "2"), ("d", "1"), ("e", "1"), ("added", "-> x"), ("mode", "#!"), ("m2", "\0")],
        &[("binary", "\0 3"), ("link", "-> c"), ("kind", "2"), ("way", "mine"), ("d", "1"), ("e/f", "1"), ("added", "1"), ("mode", "#!"), ("m2", "\0 1")],
        Style::Inline,
    ), @r"
    added
        1
    added.rej
        -> x
    binary
        \0 3
    binary.rej
        \0 2
    d
        1
    e.rej
        1
    e/f
        1
    kind
        2
    kind.rej
        -> b
    link
        -> c
    link.rej
        -> b
    m2
        \0 1
    m2.rej
        \0
    mode (run)
        #!
    way
        mine
    way.y.rej
        2
    Kind added: the template has a link to x, the project a file, which stays; the template's is in added.rej
    Binary binary: both changed it, and it is not text; the project's stays; the template's is in binary.rej
    Kind e: the project has a directory there, which stays; the template's is in e.rej
    Kind kind: the template has a link to b, the project a file, which stays; the template's is in kind.rej
    Kind link: the template has a link to b, the project a link to c, which stays; the template's is in link.rej
    Added m2: both added it, differently; the project's stays; the template's is in m2.rej
    Kind way/y: way is no directory in the project, which stays; the template's is in way.y.rej
    ");
}

const FILE: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";

#[test]
fn what_both_added_is_compared() {
    insta::assert_snapshot!(story(
        &[],
        &[("a", &FILE.replace("six", "SIX")), ("run", "x")],
        &[("a", FILE), ("run", "x")],
        Style::Inline,
    ), @r"
    a
        one
        two
        three
        four
        five
        <<<<<<< shop
        six
        ||||||| web 1.0.0
        =======
        SIX
        >>>>>>> web 1.1.0
    run
        x
    Added a:6: both added the file, with different lines; both are kept there
    ");
    insta::assert_snapshot!(story(&[], &[("a", "1")], &[("a", "2")], Style::Rej), @r"
    a
        2
    a.rej
        1
    Added a: both added it, differently; the project's stays; the template's is in a.rej
    ");
}

#[test]
fn what_is_given_once_is_left_alone() {
    for mine in [&[("once", "2")][..], &[]] {
        let mine = tree(mine);
        let (base, theirs) = (tree(&[("once", "1")]), tree(&[("once", "3")]));
        assert_eq!(merge(&base, &theirs, &mine, &options(Style::Inline)), Merged::default());
        assert_eq!(merge(&base, &tree(&[]), &mine, &options(Style::Inline)), Merged::default());
    }
    let merged = merge(&tree(&[]), &tree(&[("once", "3")]), &tree(&[]), &options(Style::Inline));
    assert_eq!(merged.changes.len(), 1);
}

#[test]
fn markers_have_the_line_ends_of_their_file() {
    let file = |text: &str| text.replace(' ', "\r\n");
    let merged = |style| {
        let [base, theirs, mine] = ["1 2 3 ", "1 zwei 3 ", "1 deux 3 "].map(|text| tree(&[("a", &file(text))]));
        let merged = merge(&base, &theirs, &mine, &options(style));
        let after = apply(&mine, &merged);
        after.get("a").unwrap().text().unwrap()
    };
    let marked = merged(Style::Inline);
    assert_eq!(marked.matches("\r\n").count(), marked.matches('\n').count());
    assert_eq!(marked.lines().count(), 9);
    assert_eq!(*merged(Style::Rej), file("1 deux 3 "));
}

/// 2,000 files of 60 lines; the template changes every tenth line of every file, the project one line in every third.
#[test]
fn two_thousand_files() {
    let line = |file: usize, line: usize, by: &str| format!("file {file}, line {line}{by}\n");
    let files = |change: &dyn Fn(usize, usize) -> &'static str| -> Tree {
        let text = |file| (0..60).map(|at| line(file, at, change(file, at))).collect::<String>();
        (0..2000).map(|file| (path(&format!("src/{}/{file}.txt", file % 20)), Entry::file(text(file)))).collect()
    };
    let theirs_at = |line: usize| line % 10 == 3;
    let mine_at = |file: usize, line: usize| file.is_multiple_of(3) && line == 7 || file == 9 && line == 13;
    let base = files(&|_, _| "");
    let theirs = files(&|_, at| if theirs_at(at) { " of the template" } else { "" });
    let mine = files(&|file, at| if mine_at(file, at) { " of the project" } else { "" });
    let merged = merge(&base, &theirs, &mine, &options(Style::Inline));
    assert_eq!(merged.changes.len(), 2000);
    let conflicts: Vec<_> = merged.conflicts.iter().map(|one| (one.path.as_str(), one.line)).collect();
    assert_eq!(conflicts, [("src/9/9.txt", Some(14))]);
    let mut after = apply(&mine, &merged);
    let clash = after.remove("src/9/9.txt").unwrap();
    assert!(has_markers(&clash.bytes()));
    let mut wanted = files(&|file, at| match () {
        () if mine_at(file, at) => " of the project",
        () if theirs_at(at) => " of the template",
        () => "",
    });
    wanted.remove("src/9/9.txt");
    assert_eq!(after, wanted);
}
