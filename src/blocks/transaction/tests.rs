use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::place::Left;
use super::*;

/// Everything under a directory: directories with their modes, links, files with modes and contents.
fn snapshot(root: &Path) -> BTreeMap<String, String> {
    fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.mode() & 0o777;
            if metadata.is_dir() {
                found.insert(name + "/", format!("{mode:o}"));
                collect(root, &path, found);
            } else if metadata.is_symlink() {
                found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
            } else {
                found.insert(name, format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(root, root, &mut found);
    found
}

fn write(root: &Path, path: &str, contents: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

fn change(path: &str, before: impl Into<Option<Entry>>, after: impl Into<Option<Entry>>) -> Operation {
    Operation { path: path.parse().unwrap(), before: before.into(), after: after.into(), mode: None }
}

fn run(contents: &'static str) -> Entry {
    Entry::File { contents: contents.into(), executable: true }
}

fn file(contents: &'static str) -> Entry {
    Entry::file(contents)
}

fn link(target: &str) -> Entry {
    Entry::Link { target: target.into() }
}

/// A project, and changes of every kind to it.
fn project(root: &Path) -> Vec<Operation> {
    fs::create_dir(root.join(".git")).unwrap();
    write(root, "edit", "old", 0o640);
    write(root, "tool", "old", 0o640);
    write(root, "plain", "old", 0o750);
    write(root, "deep/down/only", "old", 0o600);
    write(root, "deep/stays", "mine", 0o644);
    write(root, "turns/into/file", "old", 0o644);
    write(root, "becomes", "old", 0o644);
    write(root, "untouched", "mine", 0o444);
    symlink("edit", root.join("link")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::set_permissions(root.join("deep/down"), PermissionsExt::from_mode(0o700)).unwrap();
    vec![
        change("edit", file("old"), file("new")),
        change("tool", file("old"), run("new")),
        change("plain", run("old"), file("old")),
        change("deep/down/only", file("old"), None),
        change("turns/into/file", file("old"), None),
        change("turns", None, file("a file now")),
        change("becomes", file("old"), None),
        change("becomes/a/directory", None, file("new")),
        change("link", link("edit"), link("tool")),
        change("made/for/it", None, run("new")),
        change("made/link", None, link("../edit")),
        change("empty/no-more", None, file("new")),
    ]
}

fn begin(root: &Path, operations: Vec<Operation>) -> Result<Transaction, Error> {
    Transaction::begin(root, operations, &Directories::Emptied)
}

#[test]
fn every_kind_of_change_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let operations = project(dir.path());
    begin(dir.path(), operations).unwrap().apply().unwrap();
    let seen: Vec<String> = snapshot(dir.path()).into_iter().map(|(path, what)| format!("{path} {what}")).collect();
    insta::assert_snapshot!(seen.join("\n"), @r"
    .git/ 755
    becomes/ 755
    becomes/a/ 755
    becomes/a/directory 644 new
    deep/ 755
    deep/stays 644 mine
    edit 640 new
    empty/ 755
    empty/no-more 644 new
    link -> tool
    made/ 755
    made/for/ 755
    made/for/it 755 new
    made/link -> ../edit
    plain 640 old
    tool 750 new
    turns 644 a file now
    untouched 444 mine
    ");
}

#[test]
fn stopped_after_any_step_the_next_one_finds_all_or_nothing() {
    for beside in [false, true] {
        let (mut stopped, mut olds) = (0, 0);
        loop {
            let dir = tempfile::tempdir().unwrap();
            let operations = project(dir.path());
            if beside {
                // As in a linked worktree: git's directory is elsewhere.
                fs::remove_dir(dir.path().join(".git")).unwrap();
                fs::write(dir.path().join(".git"), "gitdir: elsewhere").unwrap();
            }
            let old = snapshot(dir.path());
            let transaction = begin(dir.path(), operations.clone()).unwrap();
            let staging = Staging::create(&transaction.root).unwrap();
            let steps = transaction.steps();
            for step in &steps[..stopped] {
                transaction.run(*step, &staging).unwrap();
            }
            drop((transaction, staging));
            let recovered = Transaction::recover(dir.path()).unwrap();
            let now = snapshot(dir.path());
            if now == old {
                olds += 1;
                assert!(recovered.is_none_or(|r| !r.completed && r.beside.is_empty()));
                // And the same can be done again.
                begin(dir.path(), operations).unwrap().apply().unwrap();
            } else {
                assert!(stopped + 1 >= steps.len() - 1, "half a change after {stopped} steps");
                assert!(recovered.is_none_or(|r| r.completed));
            }
            assert_eq!(fs::read_to_string(dir.path().join("made/for/it")).unwrap(), "new");
            assert!(!dir.path().join("deep/down").exists(), "what is emptied goes");
            assert!(!dir.path().join(".onramp-change").exists() && !dir.path().join(".git/onramp-change").exists());
            if stopped == steps.len() {
                // Everything before the last two steps was taken back.
                assert_eq!(olds, steps.len() - 1);
                break;
            }
            stopped += 1;
        }
    }
}

#[test]
fn recovery_can_be_repeated_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let operations = project(dir.path());
    let old = snapshot(dir.path());
    let transaction = begin(dir.path(), operations).unwrap();
    let staging = Staging::create(&transaction.root).unwrap();
    let steps = transaction.steps();
    for step in &steps[..steps.len() - 2] {
        transaction.run(*step, &staging).unwrap();
    }
    // What a recovery that was killed leaves: everything is back, the journal still there.
    let journal = dir.path().join(".git/onramp-change/journal");
    let text = fs::read(&journal).unwrap();
    let Left::Begun(parsed) = staging.left().unwrap() else { panic!("it was begun") };
    journal::take_back(&transaction.root, &staging, &parsed).unwrap();
    assert_eq!(fs::read(&journal).unwrap(), text);
    drop((transaction, staging));
    Transaction::recover(dir.path()).unwrap();
    assert_eq!(snapshot(dir.path()), old);
}

#[test]
fn what_somebody_wrote_after_the_kill_is_kept_beside_what_stood_there() {
    let dir = tempfile::tempdir().unwrap();
    let operations = project(dir.path());
    let transaction = begin(dir.path(), operations).unwrap();
    let staging = Staging::create(&transaction.root).unwrap();
    let steps = transaction.steps();
    for step in &steps[..steps.len() - 2] {
        transaction.run(*step, &staging).unwrap();
    }
    drop((transaction, staging));
    fs::write(dir.path().join("edit"), "mine, after the kill").unwrap();
    fs::write(dir.path().join("edit.before"), "somebody's").unwrap();
    fs::write(dir.path().join("made/for/it"), "mine, too").unwrap();
    let recovered = Transaction::recover(dir.path()).unwrap().unwrap();
    assert_eq!(recovered.beside, [("edit".parse().unwrap(), "edit.before-2".to_owned())]);
    let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
    assert_eq!(read("edit"), "mine, after the kill");
    assert_eq!((read("edit.before"), read("edit.before-2")), ("somebody's".into(), "old".into()));
    assert_eq!(read("made/for/it"), "mine, too");
    assert_eq!(read("tool"), "old");
}

#[test]
fn what_changed_meanwhile_is_not_overwritten() {
    type Meanwhile = (&'static str, fn(&Path));
    let changes: [Meanwhile; 6] = [
        ("edit", |root| fs::write(root.join("edit"), "else").unwrap()),
        ("edit", |root| fs::remove_file(root.join("edit")).unwrap()),
        ("tool", |root| fs::set_permissions(root.join("tool"), PermissionsExt::from_mode(0o700)).unwrap()),
        ("made/for/it", |root| write(root, "made/for/it", "mine", 0o644)),
        ("made/for/it", |root| fs::write(root.join("made"), "a file").unwrap()),
        ("link", |root| {
            fs::remove_file(root.join("link")).unwrap();
            symlink("elsewhere", root.join("link")).unwrap();
        }),
    ];
    for (expected, meanwhile) in changes {
        let dir = tempfile::tempdir().unwrap();
        let operations = project(dir.path());
        meanwhile(dir.path());
        let before = snapshot(dir.path());
        let Err(Error::Changed { path }) = begin(dir.path(), operations) else { panic!("{expected} was changed") };
        assert_eq!(path.as_str(), expected);
        assert_eq!(snapshot(dir.path()), before);
    }
}

#[test]
fn what_is_saved_after_the_check_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", "old", 0o644);
    write(dir.path(), "edit", "old", 0o644);
    write(dir.path(), "gone", "old", 0o644);
    let operations = || {
        vec![
            change("a", file("old"), file("new")),
            change("edit", file("old"), file("new")),
            change("gone", file("old"), None),
        ]
    };
    for saved in ["edit", "gone"] {
        let transaction = begin(dir.path(), operations()).unwrap();
        write(dir.path(), saved, "an editor's", 0o644);
        let before = snapshot(dir.path());
        let error = transaction.apply().unwrap_err();
        assert!(error.to_string().contains(saved), "{error}");
        assert_eq!(snapshot(dir.path()), before);
        write(dir.path(), saved, "old", 0o644);
    }
    begin(dir.path(), operations()).unwrap().apply().unwrap();
}

#[test]
fn no_link_leads_a_change_outside() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "theirs").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink("out", dir.path().join("chain")).unwrap();
    let before = snapshot(outside.path());
    for (path, was) in
        [("out/file", Some(file("theirs"))), ("out/new", None), ("chain/new", None), ("chain/deep/new", None)]
    {
        let refused = begin(dir.path(), vec![change(path, was, file("x"))]);
        assert!(matches!(refused, Err(Error::Link { .. } | Error::Changed { .. })), "{path}");
    }
    for path in [".git/hooks/post-checkout", "a/.GIT/config", ".onramp-change/journal", "git~1/config"] {
        let refused = begin(dir.path(), vec![change(path, None, file("x"))]);
        assert!(matches!(refused, Err(Error::Refused { .. })), "{path}");
    }
    // A link that appears after the check.
    let transaction = begin(dir.path(), vec![change("late/new", None, file("x"))]).unwrap();
    symlink(outside.path(), dir.path().join("late")).unwrap();
    transaction.apply().unwrap_err();
    assert_eq!(snapshot(outside.path()), before);
    assert!(!dir.path().join(".onramp-change").exists());
}

#[test]
fn the_other_name_of_a_file_keeps_its_contents() {
    let outside = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("other"), "old").unwrap();
    fs::hard_link(outside.path().join("other"), dir.path().join("name")).unwrap();
    begin(dir.path(), vec![change("name", file("old"), file("new"))]).unwrap().apply().unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("other")).unwrap(), "old");
    assert_eq!(fs::read_to_string(dir.path().join("name")).unwrap(), "new");
}

#[test]
fn one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = begin(dir.path(), vec![change("a", None, file("1"))]).unwrap();
    assert!(matches!(begin(dir.path(), vec![change("b", None, file("2"))]), Err(Error::Busy { .. })));
    first.apply().unwrap();
    drop(first);
    begin(dir.path(), vec![change("b", None, file("2"))]).unwrap().apply().unwrap();
}

#[test]
fn a_full_disk_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = "size=256k,nr_inodes=60";
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).output();
    if !mount.is_ok_and(|done| done.status.success()) {
        assert!(!rustix::process::geteuid().is_root(), "root may mount, so that CI tests it or fails");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let root = dir.path();
        let mut operations = project(root);
        let old = snapshot(root);
        // Blocks run out while the third file is written.
        let mut large = operations.clone();
        for name in ["x1", "x2", "x3"] {
            large.push(change(name, None, Entry::file(vec![b'x'; 100_000])));
        }
        // Names run out while directories are made, after the first moves.
        let names = (0..40).map(|n| change(&format!("n{n}/file"), None, file("x")));
        operations.extend(names);
        for full in [large, operations] {
            let error = begin(root, full).unwrap().apply().unwrap_err();
            assert_eq!(crate::error::Fault::class(&error), crate::error::Class::Io);
            assert!(crate::error::chain(&error).contains("No space left"), "{error}");
            assert_eq!(snapshot(root), old);
        }
    });
    let unmounted = std::process::Command::new("umount").arg(dir.path()).status().unwrap();
    assert!(unmounted.success());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_damaged_journal_is_named_and_nothing_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".onramp-change")).unwrap();
    fs::write(dir.path().join(".onramp-change/journal"), "{\"moves\": [{\"path\": \"../x\"}]}").unwrap();
    let before = snapshot(dir.path());
    assert!(matches!(Transaction::recover(dir.path()), Err(Error::Journal { .. })));
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_journal_that_a_clone_brings_reaches_nothing_of_gits() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".git/hooks")).unwrap();
    fs::create_dir(dir.path().join(".onramp-change")).unwrap();
    write(dir.path(), ".onramp-change/old-0", "#!/bin/sh\n", 0o755);
    for hook in [".git/hooks/post-checkout", ".GIT/hooks/post-checkout"] {
        let journal = format!(
            r#"{{"moves":[{{"path":"{hook}","before":"{}","after":null}}],"made":[],"parents":[],"gone":[]}}"#,
            crate::reference::Digest::of(b"x"),
        );
        fs::write(dir.path().join(".onramp-change/journal"), journal).unwrap();
        assert!(matches!(Transaction::recover(dir.path()), Err(Error::Journal { .. })), "{hook}");
        assert!(!dir.path().join(hook).exists());
    }
}

#[test]
fn many_files_are_whole_too() {
    let dir = tempfile::tempdir().unwrap();
    let operations = |before: Option<&'static str>, after: &'static str| -> Vec<Operation> {
        (0..100).map(|n| change(&format!("d{}/f{n}", n % 10), before.map(file), file(after))).collect()
    };
    begin(dir.path(), operations(None, "one")).unwrap().apply().unwrap();
    begin(dir.path(), operations(Some("one"), "two")).unwrap().apply().unwrap();
    assert_eq!(snapshot(dir.path()).values().filter(|text| text.ends_with("two")).count(), 100);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    /// Whatever changes from one tree to another, wherever it stops: the tree is the old one or the new one.
    #[test]
    fn any_change_is_whole(
        old in proptest::collection::btree_map("[ab](/[ab]){0,3}", 0_u8..4, 0..6),
        new in proptest::collection::btree_map("[ab](/[ab]){0,3}", 0_u8..4, 0..6),
        stop in 0_usize..30,
    ) {
        let tree = |files: &BTreeMap<String, u8>| -> crate::tree::Tree {
            let mut tree = crate::tree::Tree::default();
            for (path, kind) in files {
                let path: TreePath = path.parse().unwrap();
                let clash = tree.paths().any(|other| is_under(other, &path) || is_under(&path, other));
                if !clash {
                    let entry = match kind {
                        0 => Entry::Link { target: "b/a".into() },
                        1 => Entry::File { contents: "x".into(), executable: true },
                        other => Entry::file(vec![*other]),
                    };
                    tree.insert(path, entry);
                }
            }
            tree
        };
        let (old, new) = (tree(&old), tree(&new));
        let change = |from: &crate::tree::Tree, to: &crate::tree::Tree| -> Vec<Operation> {
            let paths: BTreeSet<&TreePath> = from.paths().chain(to.paths()).collect();
            let entry = |tree: &crate::tree::Tree, path: &TreePath| tree.get(path.as_str()).cloned();
            let operation = |path: &TreePath| Operation {
                path: path.clone(), before: entry(from, path), after: entry(to, path), mode: None,
            };
            paths.into_iter().map(operation).collect()
        };
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), change(&crate::tree::Tree::default(), &old)).unwrap().apply().unwrap();
        let was = snapshot(dir.path());
        let transaction = begin(dir.path(), change(&old, &new)).unwrap();
        let steps = transaction.steps();
        if stop < steps.len() {
            let staging = Staging::create(&transaction.root).unwrap();
            for step in &steps[..stop] {
                transaction.run(*step, &staging).unwrap();
            }
            drop((transaction, staging));
            Transaction::recover(dir.path()).unwrap();
            if stop + 1 < steps.len() {
                assert_eq!(snapshot(dir.path()), was);
                begin(dir.path(), change(&old, &new)).unwrap().apply().unwrap();
            }
        } else {
            transaction.apply().unwrap();
        }
        let root = Directory::open(dir.path()).unwrap();
        assert_eq!(root.read(new.paths()).unwrap(), new);
        // As if it had been made from nothing.
        let fresh = tempfile::tempdir().unwrap();
        begin(fresh.path(), change(&crate::tree::Tree::default(), &new)).unwrap().apply().unwrap();
        assert_eq!(snapshot(dir.path()), snapshot(fresh.path()));
    }
}
