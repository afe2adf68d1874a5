//! onramp killed (SIGKILL) at 200 random moments of `up`, `down` and `snapshot`: the next command goes on, and nothing is left.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onramp::sandbox::SandboxId;
use serde_json::Value;

use crate::company::Developer;
use crate::own_engine::OwnEngine;
use crate::run::Run;
use crate::tiny;

/// How many runs are killed in each of two tests.
const KILLS: u32 = 100;
/// After so many of them a run goes to its end, and everything is looked at: after another command each time.
const STRETCH: u32 = 19;

/// Numbers that look random, the same for the same seed (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    /// From `ONRAMP_TEST_SEED`, so that what failed can be run again, or from the time.
    fn new() -> Self {
        let given = std::env::var("ONRAMP_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let seed = given.unwrap_or_else(now);
        // Shown where the test fails.
        println!("ONRAMP_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Commands that are killed one after the other, and how they may end where they are too quick: a snapshot may be there or not.
type Cycle = [(&'static str, &'static [i32])];

/// A sandbox of one service with data that is seeded, and one that is built and has none, on an engine where nothing else happens.
struct Sandbox {
    engine: OwnEngine,
    dev: Developer,
    before: There,
    numbers: Numbers,
}

impl Sandbox {
    fn new() -> Self {
        let numbers = Numbers::new();
        let mut dev = Developer::new();
        let base = tiny::small(&dev);
        let engine = OwnEngine::start_in(&dev.elsewhere("engine"));
        dev.set("DOCKER_HOST", engine.host());
        std::fs::create_dir(dev.elsewhere("tmp")).unwrap();
        let temporary = dev.elsewhere("tmp").display().to_string();
        dev.set("TMPDIR", temporary);
        dev.write("tiny/Dockerfile", "ARG BASE\nFROM $BASE\nENV COLOUR=blue\nENV SIZE=small\n");
        let web =
            format!("[services.web]\nbuild = {{ base = \"{base}\" }}\ncommand = {}\nneeds = [\"db\"]\n", tiny::IDLE);
        dev.write("tiny/onramp.toml", format!("schema = 1\nname = \"tiny\"\n{}{web}", tiny::database(&base)));
        let id = SandboxId::new(&"tiny".parse().unwrap(), None, &dev.path("tiny").canonicalize().unwrap());
        // Somebody else's, by names that could be the sandbox's.
        engine.says(&format!("pull --quiet {base}"));
        engine.says(&format!("create --name onramp.{id}.tiny.other {base} none"));
        engine.says(&format!("network create onramp.{id}.other"));
        engine.says(&format!("volume create onramp.{id}.tiny.db.data.other"));
        let before = There::on(&engine);
        let sandbox = Self { engine, dev, before, numbers };
        sandbox.seed(0);
        sandbox
    }

    /// Other seeds, of which there is no golden copy.
    fn seed(&self, number: u32) {
        self.dev.write("tiny/seed.sql", format!("seeded {number}\n"));
    }

    fn run(&self, line: &str) -> Run<'_> {
        self.dev.onramp(line).dir("tiny")
    }

    /// Kills one command after the other, each at a moment of what it took when nobody killed it, until so many were killed.
    /// Now and then everything is looked at.
    fn kills(&mut self, cycle: &Cycle, seeds: bool, written: bool) {
        let took = |line: &str| {
            let begun = Instant::now();
            self.run(line).ok();
            u64::try_from(begun.elapsed().as_micros()).unwrap()
        };
        let lengths = || cycle.iter().map(|(line, _)| took(line)).collect::<Vec<u64>>();
        // The first time there is more to do.
        lengths();
        let lengths = lengths();
        println!("{:?}", cycle.iter().map(|(line, _)| line).zip(&lengths).collect::<Vec<_>>());
        let mut kills = 0;
        for number in 1.. {
            if seeds {
                self.seed(number);
            }
            for ((line, codes), length) in cycle.iter().zip(&lengths) {
                let moment = Duration::from_micros(self.numbers.below(*length));
                let (code, told) = self.run(line).cut_off_at(moment);
                let Some(code) = code else {
                    kills += 1;
                    if kills % STRETCH == 0 {
                        println!("{kills}: `{line}` was killed after {moment:?}");
                        self.is_whole(written);
                    }
                    continue;
                };
                assert!(codes.contains(&code), "`{line}` failed after {kills} kills:\n{told}");
            }
            if kills >= KILLS {
                return;
            }
        }
    }

    /// Brings it up, and looks whether it is whole: its services run, its data is there once, and nothing is beside it.
    fn is_whole(&self, written: bool) {
        let up = self.run("up").ok();
        let seeded = tiny::read(&self.dev, "tiny", "seed");
        assert!(seeded.starts_with("seeded "), "{seeded:?}\n{up}");
        if written {
            assert_eq!(tiny::read(&self.dev, "tiny", "mine"), "my own", "data was lost\n{up}");
        }
        let again = self.run("up").ok();
        assert!(again.stderr.contains("keep    tiny/db, tiny/web"), "{again}");
        let there = There::on(&self.engine).without(&self.before);
        assert_eq!((there.containers.len(), there.networks.len(), there.data.len()), (2, 1, 1), "{there:#?}");
        assert_eq!((there.strays.len(), there.mounts.len()), (0, 1), "{there:#?}");
    }

    /// Takes all of it away, and looks for what is left.
    fn leaves_nothing(self) {
        self.run("down --data --yes").ok();
        let temporary = std::fs::read_dir(self.dev.elsewhere("tmp")).unwrap().map(|found| found.unwrap().path());
        assert_eq!(temporary.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
        let there = There::on(&self.engine);
        // Golden copies stay for the next sandbox.
        let golden = There { golden: there.golden.clone(), ..self.before };
        assert_eq!(there, golden, "{there:#?}");
    }
}

/// What there is on an engine, by name.
#[derive(Debug, PartialEq, Eq)]
struct There {
    containers: Vec<String>,
    networks: Vec<String>,
    /// Volumes that are neither golden copies or snapshots nor belong to these.
    data: Vec<String>,
    /// Golden copies, and what they lie on.
    golden: Vec<String>,
    snapshots: Vec<String>,
    /// Layers that nothing lies on.
    strays: Vec<String>,
    mounts: Vec<String>,
    images: Vec<String>,
}

impl There {
    fn on(engine: &OwnEngine) -> Self {
        let sorted = |line: &str| {
            let mut said = engine.says(line);
            said.sort();
            said
        };
        let mut there = Self {
            containers: sorted("ps --all --format {{.Names}}"),
            networks: sorted("network ls --format {{.Name}}"),
            data: Vec::new(),
            golden: Vec::new(),
            snapshots: Vec::new(),
            strays: Vec::new(),
            mounts: engine.mounts(),
            images: sorted("images --all --quiet --no-trunc"),
        };
        let volumes = engine.volumes();
        let label =
            |volume: &Value, key: &str| volume["Labels"][format!("dev.onramp.{key}")].as_str().map(str::to_owned);
        let below = |kind: &str| -> String {
            volumes
                .iter()
                .filter(|volume| label(volume, kind).is_some())
                .filter_map(|volume| label(volume, "layers"))
                .collect()
        };
        let (golden, all) = (below("golden"), below("layers"));
        for volume in &volumes {
            let name = volume["Name"].as_str().unwrap().to_owned();
            match label(volume, "layer") {
                _ if label(volume, "golden").is_some() || golden.contains(&name) => there.golden.push(name),
                _ if label(volume, "snapshot").is_some() => there.snapshots.push(name),
                None => there.data.push(name),
                Some(_) if all.contains(&name) => {}
                Some(_) => there.strays.push(name),
            }
        }
        there.data.sort();
        there
    }

    /// What is not there in both.
    fn without(self, before: &Self) -> Self {
        let less =
            |now: Vec<String>, before: &[String]| now.into_iter().filter(|name| !before.contains(name)).collect();
        Self {
            containers: less(self.containers, &before.containers),
            networks: less(self.networks, &before.networks),
            data: less(self.data, &before.data),
            ..self
        }
    }
}

#[test]
fn killed_at_100_moments_a_sandbox_keeps_its_data_and_leaves_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.run("up").ok();
    tiny::write(&sandbox.dev, "tiny", "mine", "my own");
    let cycle: &Cycle = &[
        ("up", &[0]),
        ("snapshot save kept", &[0, 8]),
        ("snapshot restore kept --yes", &[0, 2]),
        ("snapshot rm kept --yes", &[0, 2]),
        ("down", &[0]),
    ];
    sandbox.kills(cycle, false, true);
    while sandbox.run("snapshot list").ok().stdout.contains("kept") {
        sandbox.run("snapshot rm kept --yes").ok();
    }
    sandbox.leaves_nothing();
}

#[test]
fn killed_at_100_moments_a_sandbox_whose_data_is_made_anew_leaves_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.kills(&[("up", &[0]), ("up --fresh --yes", &[0]), ("down --data --yes", &[0])], true, false);
    sandbox.leaves_nothing();
}
