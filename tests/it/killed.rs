//! onramp killed (SIGKILL) at moments all over a run: what it changes is as it was or as it was to be, never between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::catalog_repository::CatalogRepository;
use crate::run::{Machine, Run};
use crate::update;

/// Into how many parts a run is cut by the moments at which it is killed.
const PARTS: u32 = 24;

/// A change that is killed.
pub struct Killed<'a> {
    /// Where it is made.
    pub machine: &'a Machine,
    /// The directory in which it changes something.
    pub directory: &'a str,
    /// The run that makes it.
    pub change: &'a dyn Fn() -> Run<'a>,
    /// What somebody runs next: it puts right what a killed run left, and changes nothing else.
    pub next: &'a dyn Fn(),
    /// Takes the change back.
    pub back: &'a dyn Fn(),
}

impl Killed<'_> {
    /// Kills the change at moments spread evenly over its undisturbed length, and on until one ends before it is killed.
    /// After each, and whatever is run next, the directory is exactly the old one or exactly the new one.
    #[track_caller]
    pub fn is_all_or_nothing(&self) {
        let old = self.tree();
        let (new, length) = self.undisturbed(&old);
        let (mut olds, mut news) = (0, 0);
        for number in 0.. {
            assert!(number < 50 * PARTS, "a run of {length:?} does not end any more");
            let moment = length * number / PARTS;
            let ended = match (self.change)().killed_at(moment) {
                Some(code) => {
                    assert_eq!(code, 0, "undisturbed until {moment:?}, it failed");
                    true
                }
                None => false,
            };
            (self.next)();
            let now = self.tree();
            if now == old {
                assert!(!ended, "nothing is changed though the run ended well before {moment:?}");
                olds += 1;
            } else {
                let half = || {
                    format!("{:#?}\nnot as before, and\n{:#?}\nnot as after", differ(&now, &old), differ(&now, &new))
                };
                assert!(now == new, "half a change, killed after {moment:?} of {length:?}:\n{}", half());
                news += 1;
                (self.back)();
                assert!(self.tree() == old, "it is not taken back: {:#?}", differ(&self.tree(), &old));
            }
            if ended && number > PARTS {
                break;
            }
        }
        assert!(olds > 0 && news > 0, "{olds} times the old one, {news} times the new one");
    }

    /// What the change makes of the directory, and the shortest of three runs: a machine that is busy meanwhile would stretch
    /// one, and the moments with it.
    #[track_caller]
    fn undisturbed(&self, old: &BTreeMap<String, String>) -> (BTreeMap<String, String>, Duration) {
        let once = || {
            let begun = Instant::now();
            (self.change)().ok();
            let length = begun.elapsed();
            let new = self.tree();
            assert!(new != *old, "the run changes nothing");
            (self.next)();
            assert!(self.tree() == new, "what is run next changes {:#?}", differ(&self.tree(), &new));
            (self.back)();
            assert!(self.tree() == *old, "it is not taken back: {:#?}", differ(&self.tree(), old));
            (new, length)
        };
        let runs = [once(), once(), once()];
        assert!(runs.iter().all(|(new, _)| *new == runs[0].0), "each time something else");
        runs.into_iter().min_by_key(|(_, length)| *length).expect("three runs")
    }

    fn tree(&self) -> BTreeMap<String, String> {
        self.machine.tree(self.directory)
    }
}

/// The paths that are not the same in both.
fn differ<'a>(one: &'a BTreeMap<String, String>, other: &'a BTreeMap<String, String>) -> Vec<&'a String> {
    let mut paths: Vec<&String> =
        one.keys().chain(other.keys()).filter(|&path| one.get(path) != other.get(path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn a_new_project() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine);
    machine.onramp("catalog list").ok();
    Killed {
        machine: &machine,
        directory: "",
        change: &|| machine.onramp("new web --offline shop"),
        next: &|| {
            if machine.path("shop").exists() {
                assert_eq!(machine.git("shop", &["status", "--porcelain"]), "");
                machine.git("shop", &["fsck", "--strict"]);
            }
            machine.onramp("new web --offline another").ok();
            machine.remove("another");
        },
        back: &|| machine.remove("shop"),
    }
    .is_all_or_nothing();
}

/// Kills a change to `shop`, which another one takes back.
#[track_caller]
fn in_the_project(machine: &Machine, change: &str, back: &str) {
    Killed {
        machine,
        directory: "shop",
        change: &|| machine.onramp(change).dir("shop"),
        next: &|| drop(machine.onramp("outdated --offline").dir("shop").ok()),
        back: &|| drop(machine.onramp(back).dir("shop").ok()),
    }
    .is_all_or_nothing();
}

/// A project, and a part of many files: a change takes long enough to be killed in the middle.
fn with_a_part() -> Machine {
    let machine = update::machine();
    let catalog = CatalogRepository::again(&machine);
    for number in 0..60 {
        catalog.file(&format!("blocks/cache/files/many/{}/{number}.txt", number % 7), "text\n");
    }
    catalog.release("cache", "1.0.1");
    machine.onramp("outdated").dir("shop").ok();
    machine
}

#[test]
fn an_addition() {
    in_the_project(&with_a_part(), "add cache --offline", "update --undo");
}

#[test]
fn a_removal() {
    let machine = with_a_part();
    machine.onramp("add cache").dir("shop").ok();
    in_the_project(&machine, "remove cache --offline", "update --undo");
}

/// A project that is behind, with an edit of its own.
fn behind() -> Machine {
    let machine = update::machine();
    update::release(&machine);
    machine.write("shop/lines.txt", "one\ntwo\nthree\nfour\nfive\nmine\n");
    machine.onramp("outdated").dir("shop").ok();
    machine
}

#[test]
fn an_update() {
    in_the_project(&behind(), "update --offline", "update --undo");
}

#[test]
fn an_undo() {
    let machine = behind();
    machine.onramp("update --offline").dir("shop").ok();
    in_the_project(&machine, "update --undo", "update --offline");
}
