//! `onramp test` in all that `[tests]` may say, on the real engine.

use std::process::Child;
use std::time::Instant;

use onramp::error::Class;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::company::Developer;
use crate::engine;

/// A shop with these tests in place of its own.
fn shop(tests: &str) -> Developer {
    let dev = Developer::new();
    dev.shop();
    let manifest = dev.read("shop/onramp.toml");
    let (rest, _) = manifest.split_once("[tests.unit]").unwrap();
    dev.write("shop/onramp.toml", format!("{rest}{tests}"));
    dev
}

/// A test of the web service that is a line of shell.
fn test(name: &str, line: &str, keys: &str) -> String {
    format!("[tests.{name}]\nin = \"web\"\nrun = ['sh', '-c', '''{line}''']\n{keys}\n")
}

/// What the document tells of one test.
fn of<'a>(document: &'a Value, test: &str) -> &'a Value {
    let tests = document["tests"].as_array().unwrap();
    tests.iter().find(|found| found["test"] == test).unwrap_or_else(|| panic!("{test} in {document}"))
}

#[test]
fn what_needs_a_red_test_is_skipped() {
    let tests = [test("unit", "exit 3", ""), test("smoke", "true", "needs = ['unit']"), test("lint", "true", "")];
    let dev = shop(&tests.concat());
    let red = dev.in_shop("test --junit report.xml").fails(Class::Failed);
    for line in ["unit failed: exit code 3", "smoke skipped: unit did not pass (0 ms)", "lint passed"] {
        assert!(red.stdout.contains(line), "{red}");
    }
    let report = dev.read("shop/report.xml");
    assert!(report.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{report}");
    let chosen = dev.in_shop("test smoke --json").fails(Class::Failed).json();
    assert_eq!(chosen["tests"].as_array().unwrap().len(), 2, "what it needs runs, too: {chosen}");
    assert_eq!(of(&chosen, "smoke")["result"], "skipped");

    dev.write("shop/onramp.toml", dev.read("shop/onramp.toml").replace("'unit'", "'unti'"));
    let unknown = dev.in_shop("test").fails(Class::Config);
    assert!(unknown.stderr.contains("did you mean `unit`?"), "{unknown}");
}

#[test]
fn a_program_whose_time_is_over_is_ended_in_its_container() {
    let line = "echo begun; sleep 4242 & nohup sh -c \"sleep 4242\" & wait";
    let dev = shop(&test("slow", line, "timeout = '1s'"));
    dev.in_shop("up").ok();
    let began = Instant::now();
    let slow = dev.in_shop("test --json").fails(Class::Failed).json();
    assert!(began.elapsed().as_secs() < 30, "nobody waited for it");
    assert_eq!(of(&slow, "slow")["reason"], "timed out after 1s");
    assert_eq!(of(&slow, "slow")["exit_code"], Value::Null);
    assert_eq!(of(&slow, "slow")["output"], "begun\n");
    let left = dev.in_shop("exec web -- sh -c").arg("grep -ls '424[2]' /proc/[0-9]*/cmdline | wc -l").ok();
    assert_eq!(left.stdout.trim(), "0", "nothing of it runs any more");
}

#[test]
fn a_program_that_no_shell_can_end_ends_with_its_container() {
    let dev = shop(&[test("bare", "exec sleep 4242", "timeout = '1s'"), test("next", "true", "needs = []")].concat());
    dev.in_shop("up").ok();
    dev.in_shop("exec web -- rm /bin/grep /usr/bin/grep").code();
    let red = dev.in_shop("test").fails(Class::Failed);
    assert!(red.stderr.contains("bare could not be ended inside of web: web is started again"), "{red}");
    assert!(red.stdout.contains("bare failed: timed out after 1s"), "{red}");
    assert!(red.stdout.contains("next passed"), "it answers again: {red}");
}

#[test]
fn a_test_whose_service_ends_in_the_middle_is_red_and_the_next_run_has_it_again() {
    let ends = "echo begun; [ -e /tmp/once ] || { touch /tmp/once; kill 1; sleep 60; }";
    let tests = [test("ends", ends, "retries = 1"), test("kills", "kill 1; sleep 60", ""), test("unit", "true", "")];
    let dev = shop(&tests.concat());
    let run = dev.in_shop("test --json").fails(Class::Failed);
    let document = run.json();
    let (ends, kills) = (of(&document, "ends"), of(&document, "kills"));
    let lost = "web ended while it ran, with exit code 0";
    let earlier = &ends["earlier"][0];
    assert_eq!((&earlier["reason"], &earlier["output"]), (&lost.into(), &"begun\n".into()));
    assert_eq!(ends["result"], "flaky", "it was run again");
    assert_eq!((&kills["result"], &kills["reason"]), (&"failed".into(), &lost.into()));
    assert_eq!(of(&document, "unit")["result"], "passed");
    assert!(dev.in_shop("status").ok().stdout.contains("Up "), "it runs again");
}

#[test]
fn a_test_that_is_green_after_a_red_run_is_flaky() {
    let second = "if [ -e /tmp/once ]; then echo there; else touch /tmp/once; echo missing; exit 1; fi";
    let tests = [test("second", second, "retries = 2"), test("never", "exit 4", "retries = 1")];
    let dev = shop(&tests.concat());
    let run = dev.in_shop("test --junit report.xml").fails(Class::Failed);
    assert!(run.stdout.contains("second flaky: passed in run 2"), "{run}");
    assert!(run.stderr.contains("second: exit code 1; run again (1 of 2)"), "{run}");
    let report = dev.read("shop/report.xml");
    assert!(report.contains("<flakyFailure message=\"exit code 1\" type=\"exit code\">"), "{report}");
    assert!(report.contains("<rerunFailure message=\"exit code 4\" type=\"exit code\">"), "{report}");

    dev.in_shop("exec web -- rm /tmp/once").ok();
    let flaky = dev.in_shop("test second --json").ok().json();
    let second = of(&flaky, "second");
    assert_eq!((&second["passed"], &second["result"]), (&true.into(), &"flaky".into()));
    assert_eq!((&second["output"], &second["earlier"][0]["output"]), (&"there\n".into(), &"missing\n".into()));
}

#[test]
fn groups_run_at_the_same_time_and_each_line_says_whose_it_is() {
    // Each waits for the other: one after the other neither would end.
    let meet = |mine: &str, other: &str| {
        format!("touch /tmp/{mine}; until [ -e /tmp/{other} ]; do sleep 0.1; done; echo met {other}; printf end")
    };
    let tests = [
        test("left", &meet("left", "right"), "timeout = '50s'"),
        test("right", &meet("right", "left"), "timeout = '50s'\ngroup = 'browser'"),
        test("last", "[ -e /tmp/left ]", "group = 'browser'\nneeds = ['left']"),
    ];
    let dev = shop(&tests.concat());
    let run = dev.in_shop("test").ok();
    for line in ["left: met right\n", "left: end\n", "right: met left\n", "right: end\n", "last passed"] {
        assert!(run.stdout.contains(line), "{run}");
    }
}

/// What the shop's database answers.
fn ask(dev: &Developer, query: &str) -> String {
    dev.in_shop("exec db -- mariadb shop -N -e").arg(query).ok().stdout.trim().to_owned()
}

#[test]
fn an_isolated_group_has_a_clone_of_the_data_and_leaves_the_developers_alone() {
    let query = "SELECT id FROM born; SELECT COUNT(*) FROM products; DELETE FROM products";
    let sql = |name: &str, keys: &str| {
        format!("[tests.{name}]\nin = 'db'\nrun = ['mariadb', 'shop', '-N', '-e', '{query}']\n{keys}\n")
    };
    let dev = shop(&[sql("wipe", "isolated = true\ngroup = 'data'"), sql("wiped", "group = 'data'")].concat());
    // What was seeded again would have another id.
    let seeds = dev.read("shop/db/seed.sql");
    dev.write("shop/db/seed.sql", format!("{seeds}\nCREATE TABLE born AS SELECT UUID() AS id;\n"));
    dev.in_shop("up").ok();
    let born = ask(&dev, "SELECT id FROM born");
    let run = dev.in_shop("test --json").ok().json();
    assert_eq!(of(&run, "wipe")["output"], format!("{born}\n5\n"));
    assert_eq!(of(&run, "wiped")["output"], format!("{born}\n0\n"), "one sandbox for the group");
    assert_eq!(ask(&dev, "SELECT COUNT(*) FROM products"), "5");
    assert_eq!(engine::beside(&dev.path("shop")), Vec::<String>::new());
    let again = dev.in_shop("test wipe").ok();
    assert!(again.stdout.contains(&format!("{born}\n5\n")), "each run begins with the golden copy: {again}");
    assert!(again.stderr.contains("--data: for the tests of data"), "{again}");
}

#[test]
fn a_port_that_the_project_publishes_is_no_hindrance_beside_it() {
    let dev = shop(&test("alone", "true", "isolated = true"));
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let manifest = dev.read("shop/onramp.toml").replace("port = 80\n", &format!("port = 80\npublish = {free}\n"));
    dev.write("shop/onramp.toml", manifest);
    dev.in_shop("test").ok();
    assert_eq!(dev.port("shop", "shop/web"), free);
}

/// Starts the tests, and returns when the isolated one's first container is there.
fn until_isolated(dev: &Developer) -> Child {
    let label = format!("dev.onramp.beside={}", engine::sandbox_of(&dev.path("shop")));
    let child = engine::until("create", ("label", &label), || dev.in_shop("test").start());
    assert_ne!(engine::beside(&dev.path("shop")), Vec::<String>::new());
    child
}

#[test]
fn an_isolated_sandbox_goes_with_an_interrupted_run_and_after_a_killed_one() {
    let tests = [test("alone", "sleep 60", "isolated = true"), test("unit", "true", "")];
    let dev = shop(&tests.concat());
    dev.in_shop("up").ok();
    let mut interrupted = until_isolated(&dev);
    kill_process(Pid::from_child(&interrupted), Signal::INT).unwrap();
    assert_eq!(interrupted.wait().unwrap().code(), Some(130));
    assert_eq!(engine::beside(&dev.path("shop")), Vec::<String>::new());

    for next in ["test unit", "down"] {
        let mut killed = until_isolated(&dev);
        killed.kill().unwrap();
        killed.wait().unwrap();
        dev.in_shop(next).ok();
        assert_eq!(engine::beside(&dev.path("shop")), Vec::<String>::new(), "after {next}");
    }
}

#[test]
fn the_cases_of_a_programs_own_report_are_told() {
    // Two reports that are the same to the second, the finest that the engine tells, are taken for one: programs write times.
    let report = "<testsuite name=\"CartTest\"><testcase name=\"sum\" time=\"0.$(date +%N)\"/><testcase name=\"tax\"><failure message=\"3 is not 4\"/></testcase></testsuite>";
    let write = |code: u8| format!("echo \"{}\" > /tmp/report.xml; exit {code}", report.replace('"', "\\\""));
    let junit = "junit = '/tmp/report.xml'";
    let dev = shop(&[test("a", &write(1), junit), test("b", "exit 0", junit), test("c", "exit 2", junit)].concat());
    let run = dev.in_shop("test --junit report.xml").fails(Class::Failed);
    assert!(run.stdout.contains("a failed: exit code 1"), "{run}");
    assert!(run.stdout.contains("  CartTest tax: 3 is not 4"), "{run}");
    assert!(run.stdout.contains("b failed: its report is not of this run"), "{run}");
    assert!(run.stdout.contains("c failed: exit code 2"), "{run}");
    let written = dev.read("shop/report.xml");
    assert!(written.contains("<testsuite name=\"shop.a\" tests=\"2\" failures=\"1\""), "{written}");

    let cases = of(&dev.in_shop("test a --json").fails(Class::Failed).json(), "a")["cases"].clone();
    assert_eq!((&cases[0]["result"], &cases[1]["result"]), (&"passed".into(), &"failed".into()));
    dev.in_shop("exec web -- rm /tmp/report.xml").ok();
    assert!(dev.in_shop("test b").fails(Class::Failed).stdout.contains("b failed: its report is not there"));
}

#[test]
fn what_a_test_leaves_behind_is_copied_out() {
    let line = "mkdir -p /tmp/out/deep && echo $RANDOM > /tmp/out/deep/a && ln -s deep/a /tmp/out/link && ln -s /etc/passwd /tmp/out/away";
    let keys = "artifacts = ['/tmp/out', '/tmp/nothing']";
    let dev = shop(
        &[test("cover", line, keys), test("alone", "echo b > /tmp/b", "artifacts = ['/tmp/b']\nisolated = true")]
            .concat(),
    );
    let run = dev.in_shop("test").ok();
    assert!(run.stdout.contains("  artifacts [WORK]/shop/.onramp/artifacts/cover"), "{run}");
    assert!(run.stderr.contains("artifacts of cover: /tmp/nothing is not there"), "{run}");
    assert!(run.stderr.contains("artifacts of cover: /tmp/out: 1 of it are no files, or lead out of it"), "{run}");
    let tree = dev.tree("shop/.onramp/artifacts");
    let paths: Vec<&str> = tree.keys().map(String::as_str).filter(|path| !path.ends_with('/')).collect();
    assert_eq!(
        paths,
        [
            "alone/.gitignore",
            "alone/.onramp-artifacts",
            "alone/b",
            "cover/.gitignore",
            "cover/.onramp-artifacts",
            "cover/out/deep/a",
            "cover/out/link",
        ]
    );
    assert_eq!(dev.git("shop", &["status", "--porcelain", "--", ".onramp"]), "");
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db, auth/api, shop/web"), "it is no code");

    dev.in_shop("test alone --artifacts ../out").ok();
    assert_eq!(dev.read("out/alone/b"), "b\n");
    // Inside of the project they are no code either, and nobody's files go for them.
    dev.in_shop("test alone --artifacts out").ok();
    assert!(dev.in_shop("test alone --artifacts out").ok().stderr.contains("keep    shop/db, auth/api, shop/web"));
    assert_eq!(dev.git("shop", &["status", "--porcelain", "--", "out"]), "");
    dev.write("shop/alone/mine", "mine");
    let refused = dev.in_shop("test alone --artifacts .").fails(Class::Conflict);
    assert!(refused.stderr.contains("[WORK]/shop/alone/mine is in the way of a test's artifacts"), "{refused}");
    assert!(!refused.stdout.contains("alone passed"), "it is told before any test runs: {refused}");
    assert_eq!(dev.read("shop/alone/mine"), "mine");
}

#[test]
fn a_change_runs_the_tests_that_it_can_affect() {
    let tests = [
        test("unit", "true", ""),
        test("data", "true", "").replace("\"web\"", "\"db\""),
        test("smoke", "[ -e /tmp/red ] && exit 1; true", "needs = ['data']"),
    ];
    let dev = shop(&tests.concat());
    let ran = |line: &str, class: Option<Class>| {
        let run = dev.in_shop(line);
        let told = if let Some(class) = class { run.fails(class) } else { run.ok() }.json();
        let names = |key: &str, name: fn(&Value) -> &Value| -> String {
            let all = told[key].as_array().unwrap().iter();
            all.map(|found| name(found).as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        (names("tests", |outcome| &outcome["test"]), names("unchanged", |name| name))
    };
    let all = |names: (&str, &str)| (names.0.to_owned(), names.1.to_owned());
    assert_eq!(ran("test --changed --json", None), all(("data smoke unit", "")), "nothing has passed yet");
    assert_eq!(ran("test --changed --json", None), all(("", "data smoke unit")));
    assert_eq!(ran("test --json", None), all(("data smoke unit", "")), "what is asked for without it runs");

    // The code of one service: those tests that reach it, and what they need.
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "All products"));
    assert_eq!(ran("test data --changed --json", None), all(("", "data")));
    assert_eq!(ran("test --changed --json", None), all(("data smoke unit", "")));
    // What is shown in a container, whatever builds leave out of it.
    dev.write("shop/src/.dockerignore", "*.csv\n");
    assert_eq!(ran("test unit --changed --json", None), all(("unit", "")));
    dev.write("shop/src/prices.csv", "1\n");
    assert_eq!(ran("test unit --changed --json", None), all(("unit", "")));
    // A link is read, not what it leads to.
    std::os::unix::fs::symlink("/nowhere", dev.path("shop/src/lost")).unwrap();
    assert_eq!(ran("test unit --changed --json", None), all(("unit", "")));
    for gone in ["lost", "prices.csv", ".dockerignore"] {
        std::fs::remove_file(dev.path("shop/src").join(gone)).unwrap();
    }
    assert_eq!(ran("test --changed --json", None), all(("unit", "data smoke")), "as it was when they passed");
    // The lines of one test.
    dev.write("shop/onramp.toml", dev.read("shop/onramp.toml").replace("exit 1; true", "exit 1; exit 0"));
    assert_eq!(ran("test --changed --json", None), all(("data smoke", "unit")), "it needs data");
    // A red one runs until it is green.
    dev.in_shop("exec web -- touch /tmp/red").ok();
    assert_eq!(ran("test --json", Some(Class::Failed)), all(("data smoke unit", "")));
    assert_eq!(ran("test --changed --json", Some(Class::Failed)), all(("data smoke", "unit")));
    let text = dev.in_shop("test unit --changed").ok();
    assert_eq!(text.stdout, "unit unchanged since it passed\n");
    // The service that both reach.
    let seed = dev.read("shop/db/schema.sql");
    dev.write("shop/db/schema.sql", format!("{seed}\n-- more\n"));
    assert_eq!(ran("test --changed --json", Some(Class::Failed)), all(("data smoke unit", "")));
}
