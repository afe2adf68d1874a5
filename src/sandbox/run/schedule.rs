//! Which tests run one after the other, and which at the same time. Pure: tests in, lanes out.

use std::collections::BTreeMap;

use crate::name::Name;
use crate::project::test::Test;

/// The tests of one group, which run one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The group; none for the tests without one.
    pub group: Option<Name>,
    /// Whether they run in a sandbox of their own: one isolated test is enough for its group.
    pub isolated: bool,
    /// Its tests, in their order.
    pub tests: Vec<Name>,
}

/// The chosen tests and those that they need, in one lane a group: first that of the tests
/// without a group.
///
/// Every lane keeps to one order of all tests: those first that need none, then those that need only these, and so on. So
/// among the tests that did not run yet there is always one that need not wait, whichever lanes wait for each other.
pub fn schedule(tests: &BTreeMap<Name, Test>, chosen: &[Name]) -> Vec<Lane> {
    let mut ranks = BTreeMap::new();
    for name in chosen {
        rank(tests, name, &mut ranks);
    }
    let mut order: Vec<(&Name, usize)> = ranks.into_iter().collect();
    order.sort_by_key(|(_, rank)| *rank);
    let mut lanes: BTreeMap<Option<&Name>, Vec<Name>> = BTreeMap::new();
    for (name, _) in order {
        lanes.entry(tests[name].group(name)).or_default().push(name.clone());
    }
    let isolated: Vec<&Name> =
        tests.iter().filter(|(_, test)| test.isolated).filter_map(|(name, test)| test.group(name)).collect();
    let lane = |(group, tests): (Option<&Name>, Vec<Name>)| Lane {
        group: group.cloned(),
        isolated: group.is_some_and(|group| isolated.contains(&group)),
        tests,
    };
    lanes.into_iter().map(lane).collect()
}

/// How many tests come one after the other before this one. A project's tests do not need each other in a circle.
fn rank<'a>(tests: &'a BTreeMap<Name, Test>, name: &'a Name, ranks: &mut BTreeMap<&'a Name, usize>) -> usize {
    if let Some(known) = ranks.get(name) {
        return *known;
    }
    let found = tests[name].needs.iter().map(|need| rank(tests, need, ranks) + 1).max().unwrap_or(0);
    ranks.insert(name, found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lanes of these tests, of all where none is named.
    fn lanes(tests: &str, chosen: &[&str]) -> Vec<(String, Vec<String>)> {
        let tests: BTreeMap<Name, Test> = toml::from_str(tests).unwrap();
        let mut chosen: Vec<Name> = chosen.iter().map(|name| name.parse().unwrap()).collect();
        if chosen.is_empty() {
            chosen.extend(tests.keys().cloned());
        }
        let group = |lane: &Lane| lane.group.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        schedule(&tests, &chosen)
            .iter()
            .map(|lane| (group(lane), lane.tests.iter().map(ToString::to_string).collect()))
            .collect()
    }

    fn lane(group: &str, tests: &[&str]) -> (String, Vec<String>) {
        (group.to_owned(), tests.iter().map(|&test| test.to_owned()).collect())
    }

    const TESTS: &str = r#"
        a = { in = "web", run = ["a"], needs = ["z"] }
        b = { in = "web", run = ["b"], group = "db" }
        c = { in = "web", run = ["c"], group = "db", needs = ["y"] }
        d = { in = "web", run = ["d"] }
        y = { in = "web", run = ["y"], group = "browser", needs = ["d"] }
        z = { in = "web", run = ["z"] }
    "#;

    #[test]
    fn a_group_is_a_lane_and_needs_come_first() {
        let expected = [lane("-", &["d", "z", "a"]), lane("browser", &["y"]), lane("db", &["b", "c"])];
        assert_eq!(lanes(TESTS, &[]), expected);
    }

    #[test]
    fn what_is_chosen_brings_what_it_needs() {
        assert_eq!(lanes(TESTS, &["c"]), [lane("-", &["d"]), lane("browser", &["y"]), lane("db", &["c"])]);
        assert_eq!(lanes(TESTS, &["d"]), [lane("-", &["d"])]);
    }

    #[test]
    fn an_isolated_test_has_its_group_isolated_and_is_one_by_itself_without() {
        let tests: BTreeMap<Name, Test> = toml::from_str(
            r#"
            a = { in = "web", run = ["a"], isolated = true }
            b = { in = "web", run = ["b"], group = "db", isolated = true }
            c = { in = "web", run = ["c"], group = "db" }
            d = { in = "web", run = ["d"] }
            "#,
        )
        .unwrap();
        let isolated = |chosen: &[Name]| -> Vec<String> {
            let lanes = schedule(&tests, chosen).into_iter().filter(|lane| lane.isolated);
            lanes.filter_map(|lane| lane.group).map(|group| group.to_string()).collect()
        };
        assert_eq!(isolated(&tests.keys().cloned().collect::<Vec<_>>()), ["a", "db"]);
        assert_eq!(isolated(&["c".parse().unwrap()]), ["db"], "whichever of its tests are chosen");
    }

    #[test]
    fn lanes_that_wait_for_each_other_come_to_their_ends() {
        let tests = r#"
            a = { in = "web", run = ["a"], group = "one", needs = ["d"] }
            b = { in = "web", run = ["b"], group = "one" }
            c = { in = "web", run = ["c"], group = "two", needs = ["b"] }
            d = { in = "web", run = ["d"], group = "two" }
        "#;
        let parsed: BTreeMap<Name, Test> = toml::from_str(tests).unwrap();
        let mut lanes = schedule(&parsed, &parsed.keys().cloned().collect::<Vec<_>>());
        let mut done: Vec<Name> = Vec::new();
        while lanes.iter().any(|lane| !lane.tests.is_empty()) {
            let ready = |name: &Name| parsed[name].needs.iter().all(|need| done.contains(need));
            let next = lanes.iter_mut().find(|lane| lane.tests.first().is_some_and(ready));
            let lane = next.expect("one of the lanes can go on");
            done.push(lane.tests.remove(0));
        }
        assert_eq!(done.len(), 4);
    }
}
