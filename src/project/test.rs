//! `[tests]` of `onramp.toml`: what runs where, and after what.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::{ARTIFACTS, Manifest};
use crate::name::Name;
use crate::text::{did_you_mean, parse_span};

/// The most times that a red test may be run again.
const MOST_RETRIES: u8 = 10;

/// A test that runs in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The service that it runs in.
    pub r#in: Name,
    /// The program and its arguments.
    pub run: Vec<String>,
    /// The tests that must have passed before it runs.
    #[serde(default)]
    pub needs: Vec<Name>,
    /// How long one run may take.
    pub timeout: Option<Limit>,
    /// How many times it is run again while it is red.
    #[serde(default)]
    pub retries: u8,
    /// Tests of one group run one after the other, groups at the same time.
    group: Option<Name>,
    /// Whether its group runs in a sandbox of its own, beside the developer's.
    #[serde(default)]
    pub isolated: bool,
    /// Where in the container the program writes its own report, as `JUnit` does.
    pub junit: Option<String>,
    /// Files and directories in the container that are copied out after it ran.
    #[serde(default)]
    pub artifacts: Vec<String>,
}

impl Test {
    /// The group of the test that is called so: an isolated one without a group is one by itself.
    pub fn group<'a>(&'a self, name: &'a Name) -> Option<&'a Name> {
        self.group.as_ref().or(self.isolated.then_some(name))
    }
}

/// How long a test may take: longer than no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Limit(pub Duration);

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Duration::try_from(parse_span(&text)?) {
            Ok(Duration::ZERO) | Err(_) => Err("a test needs more time than that".to_owned()),
            Ok(limit) => Ok(Self(limit)),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

/// What is wrong with a project's tests.
pub struct Mistake {
    /// The test that it is about.
    pub test: Name,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

/// Looks at what the parser cannot see: across the tests and services of a project.
pub fn check(manifest: &Manifest) -> Result<(), Mistake> {
    let tests = &manifest.tests;
    for (name, test) in tests {
        let mistake = |message: String| Mistake { test: name.clone(), message, meant: None };
        if test.run.is_empty() {
            return Err(mistake(format!("tests.{name}: `run` is empty")));
        }
        if !manifest.services.contains_key(&test.r#in) {
            let meant = did_you_mean(test.r#in.as_str(), manifest.services.keys().map(Name::as_str));
            let message = format!("tests.{name} runs in `{}`, which [services] does not have", test.r#in);
            return Err(Mistake { meant: meant.map(str::to_owned), ..mistake(message) });
        }
        if let Some(need) = test.needs.iter().find(|need| !tests.contains_key(*need)) {
            let meant = did_you_mean(need.as_str(), tests.keys().map(Name::as_str));
            let message = format!("tests.{name} needs `{need}`, which [tests] does not have");
            return Err(Mistake { meant: meant.map(str::to_owned), ..mistake(message) });
        }
        let mut paths = test.junit.iter().chain(&test.artifacts);
        if let Some(path) = paths.find(|path| !is_absolute(path)) {
            return Err(mistake(format!("tests.{name}: `{}` is not an absolute path", path.escape_debug())));
        }
        let mut names: Vec<&str> = test.artifacts.iter().filter_map(|path| path.rsplit('/').next()).collect();
        if let Some(own) = names.iter().find(|name| [ARTIFACTS, ".gitignore"].contains(*name)) {
            return Err(mistake(format!(
                "tests.{name}: `{own}` of its `artifacts` is called as what onramp writes there"
            )));
        }
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
            return Err(mistake(format!("tests.{name}: two of its `artifacts` are called `{twice}`")));
        }
        if test.retries > MOST_RETRIES {
            return Err(mistake(format!("tests.{name}: `retries` is {MOST_RETRIES} at most")));
        }
    }
    let mut settled = Vec::new();
    for name in tests.keys() {
        if let Some(circle) = circle(tests, name, &mut Vec::new(), &mut settled) {
            let shown: Vec<&str> = circle.iter().map(|name| name.as_str()).collect();
            let message = format!("tests need each other in a circle: {}", shown.join(" → "));
            return Err(Mistake { test: circle[0].clone(), message, meant: None });
        }
    }
    Ok(())
}

/// Whether a text is the path of something in a container, and not its root.
fn is_absolute(path: &str) -> bool {
    let names = path.strip_prefix('/').map(|names| names.split('/'));
    names
        .is_some_and(|mut names| names.all(|name| !matches!(name, "" | "." | "..") && !name.contains(char::is_control)))
}

/// Follows what a test needs; the circle that it comes upon, its first test again at the end.
fn circle<'a>(
    tests: &'a BTreeMap<Name, Test>,
    name: &'a Name,
    path: &mut Vec<&'a Name>,
    settled: &mut Vec<&'a Name>,
) -> Option<Vec<&'a Name>> {
    if settled.contains(&name) {
        return None;
    }
    if let Some(start) = path.iter().position(|on_path| *on_path == name) {
        return Some(path[start..].iter().copied().chain([name]).collect());
    }
    path.push(name);
    let found = tests[name].needs.iter().find_map(|need| circle(tests, need, path, settled));
    path.pop();
    settled.push(name);
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::error::Fault;
    use crate::project::manifest;

    /// What is said of tests with these keys, beside `in` and `run`.
    fn said(tests: &[(&str, &str)]) -> (String, Option<String>) {
        let mut text = "schema = 1\nname = \"shop\"\n[services.web]\n".to_owned();
        for (name, keys) in tests {
            text.push_str(&format!("[tests.{name}]\nin = \"web\"\nrun = [\"true\"]\n{keys}\n"));
        }
        match manifest::parse(Path::new("onramp.toml"), &text) {
            Ok(_) => ("well".to_owned(), None),
            Err(error) => (error.to_string(), error.hint()),
        }
    }

    #[test]
    fn tests_know_the_tests_that_they_need() {
        assert_eq!(said(&[("smoke", "needs = [\"unit\"]"), ("unit", "")]).0, "well");
        let (message, hint) = said(&[("smoke", "needs = [\"unti\"]"), ("unit", "")]);
        assert_eq!(message, "onramp.toml:4:1: tests.smoke needs `unti`, which [tests] does not have");
        assert_eq!(hint.as_deref(), Some("did you mean `unit`?"));
    }

    #[test]
    fn a_circle_is_told_where_it_begins() {
        let tests = [("a", "needs = [\"b\"]"), ("b", "needs = [\"c\"]"), ("c", "needs = [\"b\"]")];
        assert_eq!(said(&tests).0, "onramp.toml:8:1: tests need each other in a circle: b → c → b");
        let own = said(&[("a", "needs = [\"a\"]")]).0;
        assert_eq!(own, "onramp.toml:4:1: tests need each other in a circle: a → a");
        let twice = [("a", "needs = [\"b\", \"c\"]"), ("b", "needs = [\"c\"]"), ("c", "")];
        assert_eq!(said(&twice).0, "well", "needed twice is no circle");
    }

    #[test]
    fn a_test_is_given_time_and_is_not_run_for_ever() {
        for wrong in ["timeout = \"0s\"", "timeout = \"-1s\""] {
            assert_eq!(said(&[("a", wrong)]).0, "onramp.toml:7:11: a test needs more time than that");
        }
        assert_eq!(said(&[("a", "retries = 11")]).0, "onramp.toml:4:1: tests.a: `retries` is 10 at most");
    }

    #[test]
    fn what_is_brought_out_is_named_from_the_root() {
        assert_eq!(said(&[("a", "junit = \"/tmp/report.xml\"")]).0, "well");
        for wrong in ["", "/", "report.xml", "/tmp/../etc", "/tmp/", "/tmp//a"] {
            let (message, _) = said(&[("a", &format!("junit = \"{wrong}\""))]);
            assert_eq!(message, format!("onramp.toml:4:1: tests.a: `{wrong}` is not an absolute path"));
        }
        let own = said(&[("a", "artifacts = [\"/a/.gitignore\"]")]).0;
        assert!(own.ends_with("`.gitignore` of its `artifacts` is called as what onramp writes there"), "{own}");
        let twice = said(&[("a", "artifacts = [\"/a/out\", \"/b/out\"]")]).0;
        assert_eq!(twice, "onramp.toml:4:1: tests.a: two of its `artifacts` are called `out`");
    }
}
