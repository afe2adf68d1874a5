//! Templates, answers and repositories of somebody who means harm: each is refused by name, or does no harm, and
//! nothing is changed.

use std::collections::BTreeMap;
use std::path::Path;

use onramp::error::Class;

use crate::run::{Machine, Run, Told};

mod answers;
mod hooks;
mod limits;
mod places;
mod projects;
mod sources;
mod targets;

/// A machine with a template in a repository beside its working directory, released as v1.0.0, with a project that it
/// may be added to, and with a secret elsewhere.
struct Scene {
    machine: Machine,
}

impl Scene {
    /// With these files of the template. One whose path ends in `@` is a link to what it says.
    fn with(files: &[(&str, &str)]) -> Self {
        let scene = Self { machine: Machine::new() };
        scene.machine.write(scene.outside("secret.txt"), "THE SECRET");
        scene.machine.git("", &["init", "--quiet", "--initial-branch=main", &scene.template()]);
        scene.files(files);
        scene.release("v1.0.0");
        scene.machine.write("project/mine.txt", "mine\n");
        scene.machine.write("project/onramp.toml", "schema = 1\nname = \"project\"\n");
        scene.machine.git("project", &["init", "--quiet", "--initial-branch=main"]);
        scene.commit("project");
        scene
    }

    /// With a `copier.yml` that asks for `name`, and these files.
    fn copier(files: &[(&str, &str)]) -> Self {
        Self::with(&[&[("copier.yml", "name: shop\n")], files].concat())
    }

    fn template(&self) -> String {
        self.machine.elsewhere("template").display().to_string()
    }

    fn outside(&self, path: &str) -> std::path::PathBuf {
        self.machine.elsewhere("outside").join(path)
    }

    fn files(&self, files: &[(&str, &str)]) -> &Self {
        for (path, contents) in files {
            let place = Path::new(&self.template()).join(path.trim_end_matches('@'));
            if path.ends_with('@') {
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(contents, place).unwrap();
            } else {
                self.machine.write(place, contents);
            }
        }
        self
    }

    fn release(&self, tag: &str) -> &Self {
        self.commit(&self.template());
        self.machine.git(self.template(), &["tag", "--force", tag]);
        self
    }

    fn commit(&self, repository: &str) -> &Self {
        self.machine.git(repository, &["add", "--all", "--force"]);
        self.machine.git(repository, &["commit", "--quiet", "--allow-empty", "--message", "Work"]);
        self
    }

    /// Everything on the machine but what onramp keeps for itself: its caches and its data.
    fn everything(&self) -> BTreeMap<String, String> {
        let mut all = self.machine.tree(self.machine.elsewhere(""));
        all.retain(|path, _| !path.starts_with("home/.cache") && !path.starts_with("home/.local"));
        all
    }

    fn new_shop(&self) -> Run<'_> {
        self.machine.onramp("new --defaults").arg(self.template()).arg("shop")
    }

    fn add(&self) -> Run<'_> {
        self.machine.onramp("add --defaults").arg(self.template()).dir("project")
    }

    /// Neither `new` nor `add` take it: they end with this class and these words, and nothing anywhere is changed.
    #[track_caller]
    fn refused(&self, class: Class, words: &[&str]) {
        self.refused_with(&[], class, words);
    }

    /// The same, with these arguments.
    #[track_caller]
    fn refused_with(&self, arguments: &[&str], class: Class, words: &[&str]) {
        for run in [self.new_shop(), self.add()] {
            let run = arguments.iter().fold(run, |run, &argument| run.arg(argument));
            self.unchanged(|| run.fails(class), words);
        }
    }

    /// It says these words, and nothing anywhere is changed.
    #[track_caller]
    fn unchanged(&self, run: impl FnOnce() -> Told, words: &[&str]) {
        self.unchanged_but(false, run, words);
    }

    /// The same of a run that was given trust.
    #[track_caller]
    fn unchanged_but_trust(&self, run: impl FnOnce() -> Told, words: &[&str]) {
        self.unchanged_but(true, run, words);
    }

    #[track_caller]
    fn unchanged_but(&self, trusted: bool, run: impl FnOnce() -> Told, words: &[&str]) {
        let before = self.everything();
        let told = run();
        for word in words {
            assert!(told.to_string().contains(word), "`{word}` is not said:\n{told}");
        }
        assert!(!told.to_string().contains("THE SECRET"), "{told}");
        let after = self.everything();
        // The word that a person gave with --trust is kept whatever came of it.
        let given =
            |path: &str| matches!(path, "home/.config/" | "home/.config/onramp/") || path.contains("onramp/trust.");
        let changed = before.keys().chain(after.keys()).filter(|&path| before.get(path) != after.get(path));
        let changed: Vec<&String> = changed.filter(|path| !(trusted && given(path))).collect();
        assert!(changed.is_empty(), "{changed:?} are not as they were:\n{told}");
    }
}
