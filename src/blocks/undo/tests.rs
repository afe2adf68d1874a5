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
        let change = Transaction::begin(&self.root(), operations, &Directories::Emptied).unwrap();
        self.undo.keep(what, &change).unwrap();
        change.apply().unwrap();
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
    let change = vec![operation("a", None, Some(Entry::file("new")))];
    let change = Transaction::begin(&root, change, &Directories::Emptied).unwrap();
    let mut record = place.undo.keep("update", &change).unwrap();
    change.apply().unwrap();
    put(&root, "a", "formatted", 0o644);
    assert_eq!(place.undo.plan().unwrap().edited.len(), 1);
    record.settle(&root).unwrap();
    place.undo(false).unwrap();
    assert!(!root.join("a").exists());
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
