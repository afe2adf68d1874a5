//! Real commands, in real directories.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Map, json};

use super::*;
use crate::error::{Class, Fault};
use crate::event::{Event, Observer, Silent};
use crate::template::{Actions, Dialect, Hook, Migration, Rules};
use crate::tree::{Entry, Tree};

fn template(files: &[(&str, &str)], actions: Actions) -> Template {
    let source: Tree =
        files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file((*text).to_owned()))).collect();
    let rules = Rules::default();
    Template { dialect: Dialect::Copier, label: "tpl v1".to_owned(), source, questions: Vec::new(), rules, actions }
}

fn shell(line: &str) -> Task {
    let command = Command::Shell(line.to_owned());
    Task { command, when: None, directory: None, variables: Vec::new(), place: "copier.yml:3".to_owned() }
}

fn words(words: &[&str]) -> Task {
    Task { command: Command::Words(words.iter().map(|word| (*word).to_owned()).collect()), ..shell("") }
}

fn with_tasks(tasks: Vec<Task>) -> Template {
    template(&[], Actions { tasks, ..Actions::default() })
}

fn engine(template: &Template) -> Engine {
    let facts = json!({ "_copier_conf": { "src_path": "gh:acme/tpl", "os": "linux" }, "_copier_operation": "update", "name": "it's" });
    Engine::new(template, facts.as_object().unwrap()).unwrap()
}

fn surroundings<'a>(directory: &'a Path, observer: &'a dyn Observer) -> Surroundings<'a> {
    let environment = [("PATH", std::env::var("PATH").unwrap()), ("KEPT", "yes".into())]
        .into_iter()
        .chain(["GIT_DIR", "GIT_AUTHOR_NAME", "ONRAMP_GITHUB_TOKEN"].map(|name| (name, "steers".to_owned())))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Surroundings { directory, environment, limit: Duration::from_secs(30), observer }
}

async fn run(template: &Template, directory: &Path) -> Result<(), Error> {
    let plan = Plan::tasks(template, &engine(template)).unwrap();
    plan.run(template, &surroundings(directory, &Silent)).await
}

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// Remembers what it was told.
#[derive(Default)]
struct Listening(Mutex<Vec<String>>);

impl Observer for Listening {
    fn event(&self, event: Event) {
        if let Event::Step { text, .. } = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

#[test]
fn what_would_run_is_plain_data() {
    let mut indirect = shell("{{ _copier_conf.src_path }}/x.sh \u{1b}[2J");
    indirect.directory = Some(PathBuf::from("{{ name }}"));
    let mut never = shell("never");
    never.when = Some("{{ name == 'other' }}".to_owned());
    let template =
        with_tasks(vec![shell("echo {{ _stage }}"), words(&["touch", "a b", "{{ name }}"]), never, indirect]);
    let plan = Plan::tasks(&template, &engine(&template)).unwrap();
    let shown: Vec<_> = plan.shown().into_iter().map(|s| (s.words.as_str(), s.directory.as_str())).collect();
    assert_eq!(shown, [("echo task", ""), ("touch 'a b' 'it'\\''s'", ""), ("<template>/x.sh \\u{1b}[2J", "it's")]);
}

#[test]
fn conditions_are_read_as_copier_reads_them() {
    for yes in ["true", "True", "yes", "on", "1", "anything", " 2.5 "] {
        assert!(is_true(yes), "{yes}");
    }
    for no in ["", "false", "No", "off", "0", "0.0", "null", "None", "~", " \n"] {
        assert!(!is_true(no), "{no}");
    }
}

#[tokio::test]
async fn tasks_run_in_order_where_and_with_what_they_should() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let mut inside = shell("pwd > where");
    inside.directory = Some("sub".into());
    let mut known = shell("echo \"$LEVEL $STAGE $COPIER_OPERATION\" > known");
    known.variables = vec![("level".to_owned(), json!(true))];
    let template = template(
        &[("scripts/make.sh", "echo made by $0 > \"$1/made\"")],
        Actions {
            tasks: vec![
                shell("echo one > order"),
                shell("echo two >> order"),
                words(&["touch", "$HOME; echo x"]),
                inside,
                known,
                shell("env > environment; cat > input"),
                shell("sh {{ _copier_conf.src_path }}/scripts/make.sh {{ _copier_conf.dst_path }}"),
            ],
            ..Actions::default()
        },
    );
    run(&template, dir.path()).await.unwrap();
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(read(&root, "order"), "one\ntwo\n");
    assert!(root.join("$HOME; echo x").exists(), "no shell reads words");
    assert_eq!(read(&root, "sub/where"), format!("{}\n", root.join("sub").display()));
    assert_eq!(read(&root, "known"), "True task update\n");
    let environment = read(&root, "environment");
    assert!(environment.contains("KEPT=yes") && !environment.contains("steers"), "{environment}");
    assert_eq!(read(&root, "input"), "", "nobody is asked");
    assert!(read(&root, "made").starts_with("made by /"));
}

#[tokio::test]
async fn the_first_that_fails_is_the_last_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let template = with_tasks(vec![
        shell("touch before"),
        shell("for i in $(seq 30); do echo line $i; done; printf '\\033[2Jlast'; exit 7"),
        shell("touch after"),
    ]);
    let error = run(&template, dir.path()).await.unwrap_err();
    let said = error.to_string();
    assert_eq!(error.class(), Class::Failed);
    assert!(
        said.contains("exit code 7") && said.contains("copier.yml:3") && said.contains("  | \\u{1b}[2Jlast"),
        "{said}"
    );
    assert!(said.contains("| line 30") && !said.contains("| line 5\n"), "the last lines: {said}");
    assert!(dir.path().join("before").exists() && !dir.path().join("after").exists());
    let killed = run(&with_tasks(vec![shell("kill -9 $$")]), dir.path()).await.unwrap_err();
    assert!(killed.to_string().contains("killed by signal 9"), "{killed}");
}

#[tokio::test]
async fn what_cannot_run_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = run(&with_tasks(vec![words(&["no-such-program-here", "x"])]), dir.path()).await.unwrap_err();
    assert_eq!(error.class(), Class::Env);
    assert!(error.to_string().contains("no-such-program-here"));
    assert!(run(&with_tasks(vec![words(&[])]), dir.path()).await.is_err());
    std::os::unix::fs::symlink("/", dir.path().join("out")).unwrap();
    for outside in ["..", "/tmp", "out", "no/such"] {
        let mut task = shell("touch was-here");
        task.directory = Some(outside.into());
        assert!(matches!(run(&with_tasks(vec![task]), dir.path()).await, Err(Error::File(_))), "{outside}");
    }
}

#[tokio::test]
async fn what_a_command_says_is_heard_line_by_line_and_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let heard = Listening::default();
    let long = "x".repeat(10_000);
    let template = with_tasks(vec![shell(&format!(
        "echo one; printf 'two\\rthree\\n\\n'; printf '\\033]0;x\\007\\377'; echo {long}"
    ))]);
    let plan = Plan::tasks(&template, &engine(&template)).unwrap();
    plan.run(&template, &surroundings(dir.path(), &heard)).await.unwrap();
    let heard = heard.0.into_inner().unwrap();
    assert_eq!(heard[..3], ["one", "two", "three"]);
    assert!(heard[3].starts_with("\\u{1b}]0;x\\u{7}\u{fffd}xxx"), "{}", heard[3]);
    assert!(heard.iter().all(|line| line.chars().count() <= 160 && !line.chars().any(char::is_control)));
}

#[tokio::test]
async fn a_command_that_takes_too_long_ends_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    // Who reads the pipe sees its end when the last that could write to it is gone.
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut reading = std::fs::File::options().read(true).custom_flags(flags).open(&pipe).unwrap();
    let template = with_tasks(vec![shell("echo begun; sleep 1000 > pipe & sleep 1000")]);
    let plan = Plan::tasks(&template, &engine(&template)).unwrap();
    let mut surroundings = surroundings(dir.path(), &Silent);
    surroundings.limit = Duration::from_secs(1);
    let error = plan.run(&template, &surroundings).await.unwrap_err();
    assert!(matches!(&error, Error::TooLong { said, .. } if said == &["begun"]), "{error}");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !matches!(reading.read(&mut [0]), Ok(0)) {
        assert!(std::time::Instant::now() < until, "something of it still runs");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_command_and_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let template =
        with_tasks(vec![shell("(trap '' INT TERM; echo x; exec sleep 1000) > pipe & wait"), shell("touch next")]);
    let plan = Plan::tasks(&template, &engine(&template)).unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    let reading = std::thread::spawn(move || {
        let mut file = std::fs::File::open(pipe).unwrap();
        let mut first = [0];
        file.read_exact(&mut first).unwrap();
        tell.send(()).unwrap();
        file.read_to_end(&mut Vec::new()).unwrap();
    });
    let surroundings = surroundings(dir.path(), &Silent);
    tokio::select! {
        done = plan.run(&template, &surroundings) => panic!("it waits for ever: {done:?}"),
        // What was not chosen is dropped, as it is where the user presses Ctrl-C.
        _ = told => {}
    }
    reading.join().unwrap();
    assert!(!dir.path().join("next").exists());
}

#[tokio::test]
async fn what_a_command_left_running_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let template = with_tasks(vec![shell("sleep 1000 & echo $! > process")]);
    run(&template, dir.path()).await.unwrap();
    let process: i32 = read(dir.path(), "process").trim().parse().unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it still runs");
}

fn migration(version: Option<&str>, stage: Option<Stage>, task: Task) -> Migration {
    Migration { version: version.map(str::to_owned), stage, task }
}

#[test]
fn migrations_are_those_between_the_versions() {
    let asks = |name: &str| {
        let mut task = shell(name);
        task.when = Some("{{ _stage == 'before' }}".to_owned());
        task
    };
    let (before, after) = (Some(Stage::Before), Some(Stage::After));
    let migrations = vec![
        migration(Some("v1.0.0"), after, shell("to 1.0.0")),
        migration(Some("1.1"), after, shell("to 1.1")),
        migration(Some("v2.0.0a1"), before, shell("before 2.0.0a1")),
        migration(
            Some("v2.0.0"),
            after,
            shell("to {{ _version_current }} from {{ _version_from }} to {{ _version_to }}"),
        ),
        migration(Some("v2.1.0"), after, shell("to 2.1.0")),
        migration(None, after, shell("always")),
        migration(None, None, asks("asks")),
    ];
    let template = template(&[], Actions { migrations, ..Actions::default() });
    let planned = |from: &str, to: &str, stage| {
        let (from, to) = (Version::from(from.to_owned()), Version::from(to.to_owned()));
        let plan = Plan::migrations(&template, &engine(&template), stage, Between { from: &from, to: &to }).unwrap();
        plan.commands.into_iter().map(|command| command.shown.words).collect::<Vec<_>>()
    };
    assert_eq!(planned("v1.0.0", "v2.0.0", Stage::After), ["to 1.1", "to v2.0.0 from v1.0.0 to v2.0.0", "always"]);
    assert_eq!(planned("v1.0.0", "v2.0.0", Stage::Before), ["before 2.0.0a1", "asks"]);
    assert_eq!(planned("v1.1.0", "v1.1.0", Stage::After), ["always"]);
    // A commit after a tag has passed that tag's migrations.
    assert_eq!(planned("v1.1.0-3-gabcdef0", "v2.0.0", Stage::After).len(), 2);
    assert_eq!(planned("v2.0.0", "v1.0.0", Stage::After), [""; 0], "back is no migration");
    assert_eq!(planned("main", "v2.0.0", Stage::After), [""; 0]);
    assert_eq!(planned("", "", Stage::Before), [""; 0]);
}

#[tokio::test]
async fn a_migration_knows_its_versions() {
    let dir = tempfile::tempdir().unwrap();
    let line = "echo $STAGE $VERSION_FROM $VERSION_TO $VERSION_CURRENT $VERSION_PEP440_FROM $VERSION_PEP440_TO $VERSION_PEP440_CURRENT > known";
    let migrations = vec![migration(Some("v1.1"), Some(Stage::After), shell(line))];
    let template = template(&[], Actions { migrations, ..Actions::default() });
    let (from, to) = (Version::from("v1.0.0".to_owned()), Version::from("v2.0.0".to_owned()));
    let plan = Plan::migrations(&template, &engine(&template), Stage::After, Between { from: &from, to: &to }).unwrap();
    plan.run(&template, &surroundings(dir.path(), &Silent)).await.unwrap();
    assert_eq!(read(dir.path(), "known"), "after v1.0.0 v2.0.0 v1.1 1.0.0 2.0.0 1.1\n");
}

fn hook(name: &str, path: &str) -> Hook {
    Hook { name: name.to_owned(), path: path.to_owned() }
}

#[tokio::test]
async fn hooks_are_rendered_and_run_by_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let hooks = vec![
        hook("pre_gen_project", "hooks/pre_gen_project.py"),
        hook("post_gen_project", "hooks/post_gen_project.sh"),
        hook("post_gen_project", "hooks/post_gen_project.pl"),
    ];
    let mut template = template(
        &[
            (
                "hooks/pre_gen_project.py",
                "import sys\nopen('py', 'w').write('''{{ cookiecutter.name }}''')\nsys.exit(3)\n",
            ),
            ("hooks/post_gen_project.sh", "echo \"{{ cookiecutter.name }}\" > shell\n"),
            ("hooks/post_gen_project.pl", "#!/bin/sh\necho by its first line > first\n"),
        ],
        Actions { hooks, ..Actions::default() },
    );
    template.dialect = Dialect::Cookiecutter;
    let mut engine = Engine::new(&template, &Map::new()).unwrap();
    engine.set("name", &json!("shop"));
    let around = surroundings(dir.path(), &Silent);
    let before = Plan::hooks(&template, &engine, "pre_gen_project").unwrap();
    assert_eq!(before.shown()[0].words, "the hook hooks/pre_gen_project.py");
    let error = before.run(&template, &around).await.unwrap_err();
    assert!(error.to_string().contains("exit code 3"), "{error}");
    assert_eq!(read(dir.path(), "py"), "shop");
    Plan::hooks(&template, &engine, "post_gen_project").unwrap().run(&template, &around).await.unwrap();
    assert_eq!(read(dir.path(), "shell"), "shop\n");
    assert_eq!(read(dir.path(), "first"), "by its first line\n");
}

#[tokio::test]
async fn a_hook_before_the_questions_may_change_the_template_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let hooks = vec![hook("pre_prompt", "hooks/pre_prompt.sh")];
    let template = template(
        &[
            ("hooks/pre_prompt.sh", "sed -i s/old/new/ cookiecutter.json; echo '{{ raw }}' > added"),
            ("cookiecutter.json", "{\"a\": \"old\"}"),
        ],
        Actions { hooks, ..Actions::default() },
    );
    let made = pre_prompt(&template, &surroundings(dir.path(), &Silent)).await.unwrap();
    assert_eq!(made.get("cookiecutter.json"), Some(&Entry::file("{\"a\": \"new\"}")));
    assert_eq!(made.get("added"), Some(&Entry::file("{{ raw }}\n")));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
