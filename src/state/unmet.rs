//! What a change still lacks before an environment's policy lets it be merged. Pure: facts in, findings out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::policy::{Environment, KeyFile, Soak};
use crate::name::Name;
use crate::reference::{Digest, ImageRef};

/// How far two clocks may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);
/// The rule that people other than the author satisfy.
pub const APPROVALS: &str = "approvals";
/// The rule of every environment that its author satisfies: what is proposed is no draft.
pub const DRAFT: &str = "draft";

/// What is known of a proposed change to one app in one environment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who is behind it: mail addresses or logins of who proposed it and who made the commit.
    pub authors: Vec<String>,
    /// Who approved exactly the proposed commit: mail addresses or logins.
    pub approvals: Vec<String>,
    /// The tests that ran on exactly the proposed images, and whether they passed.
    pub tests: BTreeMap<Name, bool>,
    /// The images that the change declares anew, by service.
    pub images: BTreeMap<Name, ImageRef>,
    /// The images that tests are to have passed on: those, or all of the app where its images stay and something else changes.
    pub subjects: BTreeMap<Name, ImageRef>,
    /// Whether the app is not declared any more: there is nothing that tests could have run with.
    pub gone: bool,
    /// What their registries say of them, as far as the policy asks.
    pub registered: BTreeMap<ImageRef, Registered>,
    /// The tests that somebody whose word counts says have passed on all of those images together.
    pub attested: BTreeSet<Name>,
    /// What the environment before declares of the app now, and since when without a break.
    pub before: BTreeMap<Name, (Digest, Timestamp)>,
    /// The environment before that one, of which it takes its images.
    pub earlier: Option<Name>,
    /// Now.
    pub now: Timestamp,
}

/// What a registry says of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Whether it has it.
    pub there: bool,
    /// Whether somebody whose signature counts signed it.
    pub signed: bool,
    /// When it was made, as its config says.
    pub made: Option<Timestamp>,
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// The key in `state.toml` that asks for it; [`DRAFT`] needs none.
    pub rule: &'static str,
    /// What is missing.
    pub message: String,
    /// What would satisfy it.
    pub cure: Cure,
}

/// What satisfies a rule. The command line makes commands of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    /// The pull request is made ready.
    Ready,
    /// Somebody else approves.
    Approve,
    /// The project's tests pass, and the deployment is proposed again.
    Test,
    /// The same images are deployed to this environment first.
    Deploy(Name),
    /// The same: that environment takes only what the one before it has.
    Promote {
        /// That one.
        from: Name,
        /// Where they are to be first.
        to: Name,
    },
    /// The tests run with these images, and somebody whose word counts signs what they found.
    Attest(BTreeMap<Name, ImageRef>),
    /// Somebody whose signature counts signs this image.
    Sign(ImageRef),
    /// Nothing but time.
    Wait(Timestamp),
    /// Another change.
    Another,
}

/// Everything that the change lacks, in the order in which people can do something about it.
pub fn unmet(environment: &Environment, facts: &Facts) -> Vec<Unmet> {
    let mut missing = Vec::new();
    missing.extend(images(environment, facts));
    missing.extend(evidence(environment, facts));
    missing.extend(promotion(environment, facts));
    missing.extend(approvals(environment, facts));
    missing.extend(freeze(environment, facts));
    missing
}

/// People other than the author; one who approves twice, or under another spelling, is one person.
fn approvals(environment: &Environment, facts: &Facts) -> Option<Unmet> {
    let needed = environment.policy.approvals;
    let person = |text: &String| text.trim().to_lowercase();
    let authors: Vec<String> = facts.authors.iter().map(person).collect();
    let mut people: Vec<String> = facts.approvals.iter().map(person).filter(|p| !authors.contains(p)).collect();
    people.sort();
    people.dedup();
    (people.len() < needed).then(|| Unmet {
        rule: APPROVALS,
        message: format!(
            "{} needs {needed} approval{} by people other than its author; it has {}",
            environment.name,
            if needed == 1 { "" } else { "s" },
            people.len()
        ),
        cure: Cure::Approve,
    })
}

/// Where the images come from, who signed them, how old they are.
fn images(environment: &Environment, facts: &Facts) -> Vec<Unmet> {
    let (policy, name) = (&environment.policy, &environment.name);
    let mut missing = Vec::new();
    for (service, image) in &facts.images {
        let mut lacks = |rule, message, cure| missing.push(Unmet { rule, message, cure });
        let from = image.repository();
        if !policy.registries.is_empty() && !policy.registries.iter().any(|scope| scope.covers(&from)) {
            let scopes: Vec<String> = policy.registries.iter().map(ToString::to_string).collect();
            let message = format!("{name} takes images of {} only; `{service}` is of {from}", scopes.join(", "));
            lacks("registries", message, Cure::Another);
        }
        let Some(registered) = facts.registered.get(image) else { continue };
        if !registered.there {
            let message = format!("{} has no {image}, which `{service}` is to run", image.registry());
            lacks("image", message, Cure::Another);
            continue;
        }
        if !policy.signed_by.is_empty() && !registered.signed {
            let message = format!("{name} needs `{service}` to be signed by one of {}", paths(&policy.signed_by));
            lacks("signed_by", message, Cure::Sign(image.clone()));
        }
        if let Some(Soak(most)) = policy.max_age {
            // A build that can be repeated says of no time that it was made then.
            let made = registered.made.filter(|made| made.as_second() > 0);
            // Clocks differ; a time to come is no age.
            let fits = |made: Timestamp| (-CLOCKS..=most).contains(&facts.now.duration_since(made));
            if !made.is_some_and(fits) {
                let when = made.map_or("does not say when".to_owned(), |made| format!("was made at {made}"));
                let message = format!("{name} takes images of the last {most:#} only; that of `{service}` {when}");
                lacks("max_age", message, Cure::Another);
            }
        }
    }
    missing
}

fn paths(files: &[KeyFile]) -> String {
    files.iter().map(KeyFile::path).collect::<Vec<_>>().join(", ")
}

/// What tests found: by the word of whom the policy names, or, where it names nobody, of whoever made the commit.
fn evidence(environment: &Environment, facts: &Facts) -> impl Iterator<Item = Unmet> {
    let (policy, name) = (&environment.policy, &environment.name);
    policy.evidence.iter().filter(|_| !facts.gone).filter_map(move |test| {
        if !policy.evidence_by.is_empty() {
            let by = paths(&policy.evidence_by);
            let message = format!("{name} needs {by} to say that the test `{test}` passed on these images; none does");
            let cure = if facts.subjects.is_empty() { Cure::Another } else { Cure::Attest(facts.subjects.clone()) };
            return (!facts.attested.contains(test)).then_some(Unmet { rule: "evidence", message, cure });
        }
        let said = match facts.tests.get(test.as_str()) {
            Some(true) => return None,
            Some(false) => "failed",
            None => "has not run",
        };
        let message = format!("{name} needs the test `{test}` to pass on these images; it {said}");
        Some(Unmet { rule: "evidence", message, cure: Cure::Test })
    })
}

/// `after`: what is declared anew must be what the environment before declares; `soak`: for at least that long.
fn promotion(environment: &Environment, facts: &Facts) -> Vec<Unmet> {
    let Some(after) = &environment.after else { return Vec::new() };
    let soak = environment.policy.soak.map_or(SignedDuration::ZERO, |soak| soak.0);
    let mut missing = Vec::new();
    for (service, image) in &facts.images {
        let Some(digest) = image.digest() else { continue };
        match facts.before.get(service.as_str()) {
            Some((declared, since)) if declared == digest => {
                let until = since.checked_add(soak).unwrap_or(Timestamp::MAX);
                if until > facts.now {
                    let message = format!(
                        "{} needs `{service}` to have been in {after} for {soak:#}; it has been since {since}",
                        environment.name
                    );
                    missing.push(Unmet { rule: "soak", message, cure: Cure::Wait(until) });
                }
            }
            other => {
                let there = other.map_or("does not declare the service".to_owned(), |(declared, _)| {
                    format!("declares {}", declared.short())
                });
                let message = format!(
                    "{} needs `{service}` at {} to be in {after} first; {after} {there}",
                    environment.name,
                    digest.short()
                );
                let to = after.clone();
                let cure = match facts.earlier.clone() {
                    Some(from) => Cure::Promote { from, to },
                    None => Cure::Deploy(to),
                };
                missing.push(Unmet { rule: "after", message, cure });
            }
        }
    }
    missing
}

fn freeze(environment: &Environment, facts: &Facts) -> impl Iterator<Item = Unmet> {
    environment.policy.freeze.iter().filter_map(|window| {
        let end = window.until(facts.now)?;
        let message =
            format!("{} is frozen ({}) until {}", environment.name, window.as_str(), end.strftime("%a %F %R %Z"));
        Some(Unmet { rule: "freeze", message, cure: Cure::Wait(end.timestamp()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::policy;

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn production(policy: &str) -> Environment {
        let text = format!(
            "schema = 1\n[[environment]]\nname = \"staging\"\n[[environment]]\nname = \"production\"\nafter = \"staging\"\npolicy = {{ {policy} }}\n"
        );
        policy::parse(std::path::Path::new("state.toml"), &text).unwrap().environments.remove(1)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn image() -> ImageRef {
        format!("r.test/apps/web@{}", Digest::of(b"web")).parse().unwrap()
    }

    fn registered() -> Registered {
        Registered { there: true, signed: true, made: Some(at("2026-11-20T12:00:00Z")) }
    }

    /// A change that has everything: two days in staging, tests green, one approval by somebody else.
    fn facts() -> Facts {
        let digest = Digest::of(b"web");
        Facts {
            authors: vec!["ada@acme.test".into()],
            approvals: vec!["bob@acme.test".into()],
            tests: [("unit".parse().unwrap(), true)].into(),
            images: [("web".parse().unwrap(), image())].into(),
            subjects: [("web".parse().unwrap(), image())].into(),
            gone: false,
            registered: [(image(), registered())].into(),
            attested: BTreeSet::new(),
            before: [("web".parse().unwrap(), (digest, at("2026-11-23T12:00:00Z")))].into(),
            earlier: None,
            now: at(NOW),
        }
    }

    fn rules(policy: &str, facts: &Facts) -> Vec<&'static str> {
        unmet(&production(policy), facts).into_iter().map(|unmet| unmet.rule).collect()
    }

    const ALL: &str =
        r#"approvals = 1, evidence = ["unit"], soak = "24h", freeze = ["Fri 16:00 - Mon 08:00 Europe/London"]"#;

    #[test]
    fn a_change_that_has_everything_lacks_nothing() {
        assert_eq!(rules(ALL, &facts()), Vec::<&str>::new());
    }

    #[test]
    fn authors_and_echoes_do_not_count_as_approvals() {
        let with = |people: &[&str]| {
            let approvals = people.iter().map(|p| (*p).to_owned()).collect();
            rules("approvals = 2", &Facts { approvals, ..facts() })
        };
        assert_eq!(with(&["bob@acme.test", "BOB@acme.test "]), ["approvals"]);
        assert_eq!(with(&["bob@acme.test", "Ada@Acme.Test"]), ["approvals"]);
        assert_eq!(with(&["bob@acme.test", "eve@acme.test"]), Vec::<&str>::new());
    }

    #[test]
    fn evidence_is_a_test_that_passed() {
        let with = |tests: &[(&str, bool)]| {
            let tests = tests.iter().map(|(name, passed)| (name.parse().unwrap(), *passed)).collect();
            unmet(&production("evidence = [\"unit\", \"smoke\"]"), &Facts { tests, ..facts() })
        };
        let missing = with(&[("unit", false)]);
        let messages: Vec<&str> = missing.iter().map(|unmet| unmet.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "production needs the test `unit` to pass on these images; it failed",
                "production needs the test `smoke` to pass on these images; it has not run"
            ]
        );
        assert_eq!(with(&[("unit", true), ("smoke", true)]), []);
    }

    #[test]
    fn where_the_policy_says_whose_word_counts_the_commits_own_does_not() {
        let policy = r#"evidence = ["unit"], evidence_by = ["keys/ci.pub"]"#;
        let missing = unmet(&production(policy), &facts());
        assert_eq!(
            missing[0].message,
            "production needs keys/ci.pub to say that the test `unit` passed on these images; none does"
        );
        assert_eq!(missing[0].cure, Cure::Attest(facts().subjects));
        assert_eq!(rules(policy, &Facts { gone: true, ..facts() }), Vec::<&str>::new(), "nothing is left to test");
        let attested = BTreeSet::from(["unit".parse().unwrap()]);
        assert_eq!(rules(policy, &Facts { attested, ..facts() }), Vec::<&str>::new());
    }

    #[test]
    fn an_image_is_of_a_registry_that_is_allowed_there_signed_and_young() {
        let policy = r#"registries = ["r.test/apps/*"], signed_by = ["keys/release.pub"], max_age = "7d""#;
        let told = |policy: &str, of: Registered| {
            let registered = [(image(), of)].into();
            let missing = unmet(&production(policy), &Facts { registered, ..facts() });
            missing.into_iter().map(|unmet| unmet.message).collect::<Vec<_>>()
        };
        assert_eq!(told(policy, registered()), Vec::<String>::new());
        assert_eq!(
            told("registries = [\"r.test/base/*\"]", registered()),
            ["production takes images of r.test/base/* only; `web` is of r.test/apps/web"]
        );
        assert_eq!(told(policy, Registered::default()), [format!("r.test has no {}, which `web` is to run", image())]);
        assert_eq!(
            told(policy, Registered { signed: false, made: Some(at("2026-11-18T11:59:59Z")), ..registered() }),
            [
                "production needs `web` to be signed by one of keys/release.pub",
                "production takes images of the last 168h only; that of `web` was made at 2026-11-18T11:59:59Z"
            ]
        );
        for made in [None, Some(Timestamp::UNIX_EPOCH)] {
            let said = told(policy, Registered { made, ..registered() });
            assert!(said[0].ends_with("that of `web` does not say when"), "{said:?}");
        }
        let said = told(policy, Registered { made: Some(at("2099-01-01T00:00:00Z")), ..registered() });
        assert!(said[0].ends_with("was made at 2099-01-01T00:00:00Z"), "a time to come is no age: {said:?}");
    }

    #[test]
    fn only_what_the_environment_before_declares_is_promoted() {
        let other = [("web".parse().unwrap(), (Digest::of(b"other"), at("2026-01-01T00:00:00Z")))].into();
        let lacking = Facts { before: other, ..facts() };
        let missing = unmet(&production(""), &lacking);
        let (test, staging): (Name, Name) = ("test".parse().unwrap(), "staging".parse().unwrap());
        assert_eq!((missing[0].rule, &missing[0].cure), ("after", &Cure::Deploy(staging.clone())));
        // Staging itself takes only what the environment before it has.
        let missing = unmet(&production(""), &Facts { earlier: Some(test.clone()), ..lacking });
        assert_eq!(missing[0].cure, Cure::Promote { from: test, to: staging });
        assert_eq!(rules("", &Facts { before: BTreeMap::new(), ..facts() }), ["after"]);
    }

    #[test]
    fn soaking_ends_to_the_second() {
        let with = |now: &str| unmet(&production("soak = \"2d\""), &Facts { now: at(now), ..facts() });
        let missing = with("2026-11-25T11:59:59Z");
        assert_eq!((missing[0].rule, &missing[0].cure), ("soak", &Cure::Wait(at(NOW))));
        assert_eq!(with(NOW), []);
    }

    #[test]
    fn a_freeze_says_when_it_ends() {
        let missing = unmet(&production(ALL), &Facts { now: at("2026-11-28T12:00:00Z"), ..facts() });
        let only: Vec<&str> = missing.iter().map(|unmet| unmet.message.as_str()).collect();
        assert_eq!(only, ["production is frozen (Fri 16:00 - Mon 08:00 Europe/London) until Mon 2026-11-30 08:00 GMT"]);
    }

    proptest::proptest! {
        #[test]
        fn taking_something_away_never_helps(keep in proptest::collection::vec(proptest::bool::ANY, 3)) {
            let mut less = facts();
            if !keep[0] { less.approvals.clear(); }
            if !keep[1] { less.tests.clear(); }
            if !keep[2] { less.before.clear(); }
            let missing = rules(ALL, &less).len();
            proptest::prop_assert_eq!(missing, keep.iter().filter(|kept| !**kept).count());
        }
    }
}
