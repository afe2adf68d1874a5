use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

/// Everything in a project, with modes and empty directories.
fn snapshot(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in ignore::WalkBuilder::new(root).standard_filters(false).build().map(Result::unwrap) {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let contents = match (metadata.is_symlink(), metadata.is_dir()) {
            (true, _) => format!("-> {}", fs::read_link(entry.path()).unwrap().display()),
            (_, true) => "/".to_owned(),
            _ => fs::read_to_string(entry.path()).unwrap(),
        };
        let mode = if metadata.is_symlink() { 0 } else { metadata.mode() };
        found.insert(entry.path().display().to_string(), format!("{mode:o} {contents}"));
    }
    found
}

fn put(root: &Path, path: &str, contents: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

fn operation(path: &str, before: Option<Entry>, after: Option<Entry>) -> Operation {
    Operation { path: path.parse().unwrap(), before, after, mode: None }
}

struct Place {
    directory: tempfile::TempDir,
    undo: Undo,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("project")).unwrap();
        let undo = Undo::of(&directory.path().join("state"), &directory.path().join("project"));
        Self { directory, undo }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    fn change(&self, what: &str, operations: Vec<Operation>) {
        assert!(self.undo.change(what, operations, Then::Nothing).unwrap().is_none());
    }

    fn unfinished(&self, what: &str, operations: Vec<Operation>) -> Unfinished {
        self.undo.change(what, operations, Then::Commands).unwrap().unwrap()
    }

    fn undo(&self, force: bool) -> Result<Option<PathBuf>, Error> {
        self.undo.apply(&self.undo.plan()?, force)
    }
}

#[test]
fn the_exact_tree_comes_back() {
    let place = Place::new();
    let root = place.root();
    put(&root, "private", "old", 0o600);
    put(&root, "tool", "old", 0o755);
    put(&root, "deep/down/gone", "old", 0o640);
    put(&root, "was/a/directory", "old", 0o644);
    put(&root, "untouched", "mine", 0o444);
    symlink("tool", root.join("link")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::set_permissions(root.join("deep/down"), PermissionsExt::from_mode(0o700)).unwrap();
    let before = snapshot(&root);
    let file = |text: &'static str| Some(Entry::file(text));
    let run = |text: &'static str| Some(Entry::File { contents: text.into(), executable: true });
    place.change(
        "update web",
        vec![
            operation("private", file("old"), run("new")),
            operation("tool", run("old"), file("new")),
            operation("deep/down/gone", file("old"), None),
            operation("was/a/directory", file("old"), None),
            operation("was", None, file("a file")),
            operation("link", Some(Entry::Link { target: "tool".into() }), file("a file")),
            operation("made/for/it", None, file("new")),
            operation("empty/no-more", None, file("new")),
        ],
    );
    assert_ne!(snapshot(&root), before);
    let plan = place.undo.plan().unwrap();
    assert_eq!((plan.what.as_str(), plan.operations.len(), plan.edited.len()), ("update web", 8, 0));
    assert_eq!(place.undo(false).unwrap(), None);
    assert_eq!(snapshot(&root), before);
    assert!(matches!(place.undo(false), Err(Error::Nothing { .. })));
}

#[test]
fn what_was_edited_since_is_not_lost() {
    let place = Place::new();
    let root = place.root();
    put(&root, "a", "old", 0o644);
    let file = |text: &'static str| Some(Entry::file(text));
    place.change("update", vec![operation("a", file("old"), file("new")), operation("d/b", None, file("new"))]);
    put(&root, "d/b", "mine", 0o644);
    put(&root, "d/c", "mine, too", 0o644);
    let edited = snapshot(&root);
    let Err(Error::Edited { paths }) = place.undo(false) else { panic!("it was edited") };
    assert_eq!(paths, ["d/b".parse().unwrap()]);
    assert_eq!(snapshot(&root), edited);
    let saved = place.undo(true).unwrap().unwrap();
    assert_eq!(fs::read_to_string(saved.join("d/b")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "old");
    assert!(!root.join("d/b").exists());
    assert_eq!(fs::read_to_string(root.join("d/c")).unwrap(), "mine, too", "a directory that somebody uses stays");
}

#[test]
fn only_changes_that_were_made_are_undone_and_five_of_them() {
    let place = Place::new();
    let root = place.root();
    put(&root, "a", "0", 0o644);
    let text = |n: usize| Some(Entry::file(n.to_string()));
    for n in 0..7 {
        place.change(&format!("update {n}"), vec![operation("a", text(n), text(n + 1))]);
    }
    // One that was recorded and then killed.
    let never = vec![operation("a", text(7), text(8)), operation("b", None, text(8))];
    place.undo.keep("never", &Transaction::begin(&root, never, &Directories::Emptied).unwrap()).unwrap();
    assert_eq!(place.undo.plan().unwrap().what, "update 6");
    for n in (3..7).rev() {
        assert_eq!(place.undo.plan().unwrap().what, format!("update {n}"));
        place.undo(false).unwrap();
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), n.to_string());
    }
    assert!(matches!(place.undo(false), Err(Error::Nothing { .. })));
    // Another project has its own.
    assert!(Undo::of(&place.directory.path().join("state"), place.directory.path()).plan().is_err());
}

#[test]
fn what_tasks_made_of_it_is_part_of_it() {
    let place = Place::new();
    let root = place.root();
    let change = place.unfinished("update", vec![operation("a", None, Some(Entry::file("new")))]);
    put(&root, "a", "formatted", 0o644);
    assert_eq!(place.undo.plan().unwrap().edited.len(), 1);
    change.finish().unwrap();
    assert_eq!(place.undo.recover().unwrap(), [], "it is finished");
    place.undo(false).unwrap();
    assert!(!root.join("a").exists());
}

#[test]
fn what_an_onramp_that_died_left_unfinished_is_taken_back() {
    let place = Place::new();
    let root = place.root();
    let file = |text: &'static str| Some(Entry::file(text));
    place.change("first update", vec![operation("a", None, file("1"))]);
    let change =
        place.unfinished("update", vec![operation("a", file("1"), file("2")), operation("b", None, file("2"))]);
    assert_eq!(place.undo.recover().unwrap(), [], "its onramp lives");
    put(&root, "b", "changed since", 0o644);
    drop(change);
    let taken = place.undo.recover().unwrap();
    let [TakenBack { what, saved: Some(saved) }] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!(what, "update");
    assert_eq!(fs::read_to_string(saved.join("b")).unwrap(), "changed since");
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
    assert!(!root.join("b").exists());
    assert_eq!(place.undo.recover().unwrap(), []);
    assert_eq!(place.undo.plan().unwrap().what, "first update");
    // What cannot be taken back is told once, and blocks nothing.
    drop(place.unfinished("update", vec![operation("d/e", None, file("2"))]));
    fs::remove_dir_all(root.join("d")).unwrap();
    fs::create_dir(root.join("elsewhere")).unwrap();
    symlink("elsewhere", root.join("d")).unwrap();
    put(&root, "elsewhere/e", "mine", 0o644);
    let again = [place.undo.recover(), place.undo.recover()];
    assert!(again.iter().filter(|told| told.is_err()).count() <= 1, "{again:?}");
    assert_eq!(fs::read_to_string(root.join("elsewhere/e")).unwrap(), "mine");
}

#[test]
fn a_plan_changes_nothing_and_records_go_when_something_is_undone() {
    let place = Place::new();
    let file = |text: &'static str| Some(Entry::file(text));
    place.change("update", vec![operation("a", None, file("1"))]);
    let never = Transaction::begin(&place.root(), vec![operation("b", None, file("2"))], &Directories::Emptied);
    place.undo.keep("never", &never.unwrap()).unwrap();
    let records = snapshot(&place.undo.directory);
    assert_eq!(place.undo.plan().unwrap().what, "update");
    assert_eq!(snapshot(&place.undo.directory), records);
    // Whoever is at work in the project is waited for.
    let busy = Transaction::begin(&place.root(), vec![], &Directories::Emptied).unwrap();
    assert!(matches!(place.undo(false), Err(Error::Transaction(transaction::Error::Busy { .. }))));
    assert_eq!(snapshot(&place.undo.directory), records);
    drop(busy);
    place.undo(false).unwrap();
    assert_eq!(place.undo.records().unwrap(), []);
}

#[test]
fn a_damaged_record_is_named() {
    let place = Place::new();
    let change = vec![operation("a", None, Some(Entry::file("new")))];
    place.change("update", change);
    let (_, file) = place.undo.records().unwrap().remove(0);
    for damage in ["", "{}\n", "{\"schema\":1"] {
        fs::write(&file, damage).unwrap();
        assert!(matches!(place.undo(false), Err(Error::Damaged { .. })), "{damage}");
    }
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
}
