//! Eight sandboxes at once.

use std::collections::BTreeSet;
use std::thread;

use serde_json::Value;

use crate::company::Developer;
use crate::engine;
use crate::many;
use crate::run::Told;
use crate::tiny;

const EIGHT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Runs something in all eight at once; what each said.
fn all(dev: &Developer, line: &str) -> Vec<Told> {
    thread::scope(|all| {
        let runs = EIGHT.map(|directory| dev.onramp(line).dir(directory));
        let runs: Vec<_> = runs.into_iter().map(|run| all.spawn(move || run.ok())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// A program that tries to connect to an address for a second, and tells whether it could.
fn knock(address: &str) -> String {
    let bytes: Vec<&str> = address.split('.').collect();
    format!(
        "$SIG{{ALRM}} = sub {{ print \"no\"; exit }}; alarm 1; socket(S, 2, 1, 6); \
         print connect(S, pack(\"S n C4 x8\", 2, 5000, {})) ? \"yes\" : \"no\"",
        bytes.join(", ")
    )
}

#[test]
fn eight_come_up_at_once_each_for_itself_and_nothing_of_them_is_left() {
    let dev = Developer::new();
    let base = tiny::base(&dev);
    for directory in EIGHT {
        // Seeds of its own, of which nobody has a golden copy.
        dev.write(format!("{directory}/seed.sql"), format!("{directory} of {}\n", dev.path("").display()));
        dev.write(
            format!("{directory}/onramp.toml"),
            format!("schema = 1\nname = \"eight\"\n{}", tiny::database(&base)),
        );
        dev.project(directory);
    }
    all(&dev, "up");
    for directory in EIGHT {
        let page = dev.page(directory, "eight/db", "/");
        assert!(page.ends_with(&format!("\n{directory} of {}\n", dev.path("").display())), "{page}");
    }

    let listed = dev.onramp("list --json").ok().json();
    let found = |directory: &&str| many::of(&dev.path(directory), &listed);
    let found: Vec<Value> = EIGHT.iter().filter_map(found).collect();
    assert!(found.len() == 8 && found.iter().all(|sandbox| sandbox["running"] == 1), "{listed}");

    let status: Vec<Value> = all(&dev, "status --json").iter().map(Told::json).collect();
    let containers = status.iter().map(|status| status["services"][0]["container"].as_str().unwrap().to_owned());
    let containers: Vec<String> = containers.collect();
    let addresses: Vec<String> = containers.iter().map(|container| engine::address_of(container)).collect();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 8, "{addresses:?}");
    let knocks =
        |at: usize, address: &str| dev.onramp("exec db -- perl -e").dir(EIGHT[at]).arg(knock(address)).ok().stdout;
    for at in 0..8 {
        assert_eq!(knocks(at, &addresses[at]), "yes", "a sandbox reaches itself");
        assert_eq!(knocks(at, &addresses[(at + 1) % 8]), "no", "and not its neighbour");
    }

    all(&dev, "down --data --yes");
    let left: Vec<String> = containers.into_iter().filter(|name| !engine::containers(name).is_empty()).collect();
    assert_eq!((left, engine::data_of(&dev.path(""))), (Vec::new(), Vec::new()));
    let networks =
        found.iter().map(|sandbox| engine::networks_named(&format!("onramp.{}", sandbox["sandbox"].as_str().unwrap())));
    assert_eq!(networks.sum::<usize>(), 0);
    let listed = dev.onramp("list --json").ok().json();
    assert!(EIGHT.iter().all(|directory| many::of(&dev.path(directory), &listed).is_none()), "{listed}");
}
