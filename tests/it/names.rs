//! Directories and branches by names that somebody might give them: each has a sandbox of its own, in which everything works.

use std::collections::BTreeSet;

use crate::company::Developer;
use crate::many;
use crate::own_engine::OwnEngine;
use crate::tiny;

/// A project of two services in a directory of this name, on a branch of that one.
fn project(dev: &Developer, directory: &str, branch: &str) {
    let base = tiny::small(dev);
    let web = format!("[services.web]\nimage = \"{base}\"\ncommand = {}\nsync = {{ src = \"/srv\" }}\n", tiny::IDLE);
    let tests = "[tests.unit]\nin = \"web\"\nrun = [\"cat\", \"/srv/name\"]\n";
    dev.write(
        format!("{directory}/onramp.toml"),
        format!("schema = 1\nname = \"named\"\n{}{web}{tests}", tiny::database(&base)),
    );
    dev.write(format!("{directory}/seed.sql"), "the same in all\n");
    dev.write(format!("{directory}/src/name"), format!("{directory} {branch}\n"));
    dev.git(directory, &["init", "--quiet"]);
    dev.git(directory, &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    dev.git(directory, &["add", "--all"]);
    dev.git(directory, &["commit", "--quiet", "--message", "All"]);
}

#[test]
fn every_directory_and_branch_has_a_sandbox_of_its_own_whatever_it_is_called() {
    let mut dev = Developer::new();
    let engine = OwnEngine::start_in(&dev.elsewhere("engine"));
    dev.set("DOCKER_HOST", engine.host());
    let long = "long".repeat(50);
    let names = [
        ("it's a \"shop\" $HOME `id` %s", "it's-\"quoted\"-$HOME-`id`"),
        ("-rf", "a/b"),
        ("..shop..,a=b;c", "a-b"),
        ("Лавка 店 🛒 👩\u{200d}💻", "фича/店-👩\u{200d}💻"),
        (&format!("{long}1"), &format!("{long}1")),
        (&format!("{long}2"), &format!("{long}2")),
        ("\u{1b}[31mred\u{202e}\\n", "UPPER\u{202e}.case"),
    ];
    for (directory, branch) in names {
        project(&dev, directory, branch);
    }
    let all = |line: &str| {
        std::thread::scope(|all| {
            let dev = &dev;
            let start = |directory: &str| dev.onramp(line).dir(directory);
            let runs = names.map(|(directory, _)| start(directory));
            let runs: Vec<_> = runs.into_iter().map(|run| all.spawn(move || run.ok())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        })
    };
    for told in all("up") {
        assert!(!told.to_string().contains(['\u{1b}', '\u{202e}']), "{told}");
    }

    let listed = dev.onramp("list --json").ok();
    assert!(!listed.to_string().contains(['\u{1b}', '\u{202e}']), "{listed}");
    let listed = listed.json();
    let mut sandboxes = BTreeSet::new();
    for (directory, branch) in names {
        let found = many::of(&dev.path(directory), &listed).unwrap_or_else(|| panic!("{directory:?} in {listed}"));
        assert_eq!((&found["branch"], &found["running"]), (&branch.into(), &2.into()), "{found}");
        assert_eq!(found["gone"], serde_json::Value::Null, "{found}");
        sandboxes.insert(found["sandbox"].as_str().unwrap().to_owned());
    }
    assert_eq!(sandboxes.len(), names.len(), "{sandboxes:?}");
    let text = dev.onramp("list").ok().stdout;
    assert!(sandboxes.iter().all(|sandbox| text.contains(sandbox)), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");

    // Each has its own files, and its own data.
    for (directory, branch) in names {
        tiny::write(&dev, directory, "mine", "my own");
        let test = dev.onramp("test").dir(directory).ok();
        assert!(!test.to_string().contains(['\u{1b}', '\u{202e}']), "{test}");
        let shown = dev.onramp("exec web -- cat /srv/name").dir(directory).ok().stdout;
        assert_eq!(shown, format!("{directory} {branch}\n"));
    }
    all("snapshot save kept");
    let status = dev.onramp("status").dir(names[6].0).ok();
    assert!(status.stdout.contains("named/db") && !status.to_string().contains(['\u{1b}', '\u{202e}']), "{status}");
    // The first one goes, and takes nothing of the others with it.
    let in_first = |line: &str| dev.onramp(line).dir(names[0].0).ok();
    in_first("snapshot rm kept --yes");
    in_first("down --data --yes");
    for (directory, _) in &names[1..] {
        assert_eq!(tiny::read(&dev, directory, "mine"), "my own", "{directory:?}");
        dev.onramp("snapshot rm kept --yes").dir(directory).ok();
    }
    all("down --data --yes");
    let left = engine.says("volume ls -q --filter label=dev.onramp.sandbox");
    assert_eq!((left, engine.says("ps -aq")), (Vec::new(), Vec::new()));
    let listed = dev.onramp("list --json").ok().json();
    assert!(names.iter().all(|(directory, _)| many::of(&dev.path(directory), &listed).is_none()), "{listed}");
}
