//! The small templates of `tests/templates/`: one feature each, with answers beside.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::compare;
use crate::oracle;
use crate::run::Machine;

/// Whose template it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `copier.yml`
    Copier,
    /// `cookiecutter.json`
    Cookiecutter,
}

/// One template with one set of answers.
pub struct Case {
    dialect: Dialect,
    /// `choices-list/answers.other`
    name: String,
    template: PathBuf,
    answers: PathBuf,
}

/// Every template of a dialect with every set of its answers.
pub fn cases(dialect: Dialect) -> Vec<Case> {
    let folder = match dialect {
        Dialect::Copier => "copier",
        Dialect::Cookiecutter => "cookiecutter",
    };
    let mut cases = Vec::new();
    for feature in children(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates").join(folder)) {
        for answers in children(&feature).into_iter().filter(|path| path.extension().is_some_and(|end| end == "yml")) {
            let name = format!("{}/{}", file_name(&feature), answers.file_stem().unwrap().to_string_lossy());
            cases.push(Case { dialect, name, template: feature.join("template"), answers });
        }
    }
    // One may look at a few only: ONRAMP_COMPAT=yield cargo test --test compat
    let only = std::env::var("ONRAMP_COMPAT").unwrap_or_default();
    cases.retain(|case| case.name.contains(&only));
    cases
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Renders every case with the oracle and with onramp; panics with every difference.
pub fn check(cases: &[Case]) {
    let machine = Machine::new();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match case.difference(&machine) {
                        said if said.is_empty() => println!("{} ... ok", case.name),
                        said => failures.lock().unwrap().push(format!("{}:\n{said}", case.name)),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} are not the same:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Makes a repository of a directory, with everything in it, tagged.
pub fn publish(machine: &Machine, repository: &Path, tag: &str) {
    if !repository.join(".git").exists() {
        machine.git(repository, &["init", "--quiet", "--initial-branch", "main"]);
    }
    machine.git(repository, &["add", "--all", "--force"]);
    machine.git(repository, &["commit", "--quiet", "--allow-empty", "--message", tag]);
    machine.git(repository, &["tag", tag]);
}

/// Copies a directory with its links and modes.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in children(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), target).unwrap();
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

impl Case {
    /// A template that is made by a test.
    pub fn made(name: &str, template: PathBuf, answers: PathBuf) -> Self {
        Self { dialect: Dialect::Copier, name: name.to_owned(), template, answers }
    }

    /// What is different between the two; empty where nothing is.
    fn difference(&self, machine: &Machine) -> String {
        let place = machine.path(&self.name);
        let repository = place.join("template");
        copy(&self.template, &repository);
        publish(machine, &repository, "v1.2.0");
        // Both projects have the same name: a template may see it.
        let theirs = match self.oracle(machine, &repository, &place.join("oracle/project")) {
            Ok(directory) => compare::tree(&directory),
            Err(said) => return format!("  {}", said.replace('\n', "\n  ")),
        };
        let project = place.join("onramp/project");
        fs::create_dir_all(project.parent().unwrap()).unwrap();
        // Trust is needed only by what runs something.
        let trust = if self.runs_something() { " --trust" } else { "" };
        let run = machine.onramp(&format!("new --defaults --quiet{trust} --data-file")).arg(text(&self.answers));
        match run.arg(text(&repository)).arg(text(&project)).outcome() {
            (Some(0), _) => compare::differences(&theirs, &compare::tree(&project)),
            (code, told) => format!("  onramp ended with {code:?}:\n  {}", told.to_string().replace('\n', "\n  ")),
        }
    }

    fn runs_something(&self) -> bool {
        let manifest = fs::read_to_string(self.template.join("copier.yml")).unwrap_or_default();
        manifest.contains("_tasks:") || self.template.join("hooks").exists()
    }

    /// Lets the oracle render; where.
    fn oracle(&self, machine: &Machine, repository: &Path, project: &Path) -> Result<PathBuf, String> {
        let (answers, repository) = (text(&self.answers), text(repository));
        fs::create_dir_all(project.parent().unwrap()).unwrap();
        if self.dialect == Dialect::Copier {
            let line = ["copier", "copy", "--defaults", "--trust", "--quiet", "--data-file", answers];
            oracle::run(machine, &machine.path(""), &[&line[..], &[repository, text(project)]].concat())?;
            return Ok(project.to_owned());
        }
        // On its command line every answer is text; in its settings they have types.
        let settings = project.with_extension("settings.yml");
        let given = fs::read_to_string(answers).unwrap();
        let given = given.lines().map(|line| format!("  {line}\n")).collect::<String>();
        fs::write(&settings, format!("default_context:\n{given}")).unwrap();
        let line = ["cookiecutter", "--no-input", "--config-file", text(&settings), "--output-dir", text(project)];
        oracle::run(machine, &machine.path(""), &[&line[..], &[repository]].concat())?;
        match &children(project)[..] {
            [one] => Ok(one.clone()),
            other => Err(format!("cookiecutter made {other:?}")),
        }
    }
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
