//! From a plan to what production declares: proposals, the gate and the overview, on a real repository with the local
//! forge. Images are named, not built.

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fixture::{Company, RULES, declaration, identity, image, name};
use jiff::Timestamp;
use onramp::error::{Class, Fault};
use onramp::forge::local::Local;
use onramp::forge::{Forge, Proposal, PullRequest};
use onramp::git::{Commit, RefUpdate};
use onramp::project::{Lock, manifest};
use onramp::registry::Access;
use onramp::release::deployment::{self, Evidence, Inputs, Plan};
use onramp::release::proposal::{self, Merging, Outcome, Place};
use onramp::release::{Gate, diff, gate, overview, provenance, trailers};
use onramp::state::State;

const PROJECT: &str = "schema = 1\nname = \"shop\"\n[services.web]\nbuild = { base = \"r.test/base/php@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\" }\nport = 80\n";
const PRODUCTION: &str = "environments/production/shop.toml";

/// No policy here asks anything of a registry.
fn access() -> Access {
    Access::new(Duration::from_secs(5), BTreeMap::new())
}

/// A developer at their machine.
struct Developer<'a> {
    company: &'a Company,
    who: &'static str,
}

impl Developer<'_> {
    fn state(&self) -> State {
        self.company.state(self.who)
    }

    fn forge(&self) -> Local {
        self.company.forge(self.who)
    }

    fn plan(&self, environment: &str, source: &str) -> Plan {
        let state = self.state();
        let head = state.head().unwrap();
        let (app, source) = (name("shop"), commit(source));
        let declared = state.app(&head, &name(environment), &app).unwrap();
        let inputs = Inputs {
            manifest: &manifest::parse(Path::new("onramp.toml"), PROJECT).unwrap(),
            lock: &Lock::default(),
            registry: "r.test",
            environment: &name(environment),
            source: &source,
            format: &state.rules(&head).unwrap().format,
            declared: declared.as_ref(),
            built: &provenance::built_from(&state, &head, &app, &source).unwrap(),
        };
        deployment::plan(&inputs).unwrap()
    }

    /// Deploys source `source`, whose image is named by it unless it was built before.
    async fn deploy(&self, environment: &str, source: &str, unit_passed: Option<bool>) -> Outcome {
        self.propose_plan(self.plan(environment, source), source, unit_passed).await
    }

    /// Proposes a plan, whose image is named by the source unless it was built before.
    async fn propose_plan(&self, plan: Plan, source: &str, unit_passed: Option<bool>) -> Outcome {
        let mut images = plan.reused.clone();
        images.extend(plan.builds.iter().map(|build| (build.service.clone(), image("apps/shop", source))));
        let tests: BTreeMap<_, _> = unit_passed.map(|passed| (name("unit"), passed)).into_iter().collect();
        let evidence = Evidence { tests, ..Evidence::default() };
        let state = self.state();
        let draft = proposal::deployment(&state, &plan, images, evidence).unwrap();
        let (forge, registries, me) = (self.forge(), access(), identity(self.who));
        let place = Place { state: &state, forge: &forge, registries: &registries, me: &me, secrets: &[] };
        proposal::propose(&place, draft, Merging::Policy).await.unwrap()
    }

    async fn examine(&self, pull: &PullRequest) -> Result<Gate, onramp::release::Error> {
        gate::examine(&self.state(), &identity(self.who), pull, &access(), Timestamp::now()).await
    }

    /// Proposes these files on a branch of that name, by hand.
    async fn propose(&self, branch: &str, files: &[(&str, &str)], message: &str) -> PullRequest {
        let state = self.state();
        let mirror = state.mirror();
        let changes: Vec<_> =
            files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect();
        let made = mirror.commit(&[state.head().unwrap()], &changes, message, &identity(self.who)).unwrap();
        let name = format!("refs/heads/{branch}");
        mirror.push(&[RefUpdate { name, expected: None, target: Some(made) }]).unwrap();
        let proposal = Proposal {
            title: "By hand".into(),
            body: String::new(),
            draft: false,
            head_branch: branch.into(),
            base_branch: "main".into(),
        };
        self.forge().create(proposal).await.unwrap()
    }
}

fn commit(digit: &str) -> Commit {
    digit.repeat(40).parse().unwrap()
}

fn proposed(outcome: Outcome) -> (PullRequest, Gate, bool, Option<Commit>) {
    match outcome {
        Outcome::Proposed { pull, gate, before, merged, .. } => (*pull, gate, before.is_none(), merged),
        Outcome::Nothing => panic!("nothing was proposed"),
    }
}

fn rules(gate: &Gate) -> Vec<(&str, &'static str)> {
    gate.findings.iter().flat_map(|f| f.unmet.iter().map(|unmet| (f.of.as_str(), unmet.rule))).collect()
}

fn company() -> Company {
    let test = "environments/test/shop.toml";
    Company::with(&[("state.toml", RULES), (test, &declaration("old")), (PRODUCTION, &declaration("old"))])
}

#[tokio::test]
async fn a_change_goes_through_test_into_production() {
    let company = company();
    let (ada, bob) = (Developer { company: &company, who: "ada" }, Developer { company: &company, who: "bob" });

    // Tests red: proposed, not merged, and it says what is missing.
    let (pull, gate, new, merged) = proposed(ada.deploy("test", "a", Some(false)).await);
    assert_eq!((pull.number, new, merged, rules(&gate)), (1, true, None, vec![("test/shop", "evidence")]));
    let first = pull.head_commit;

    // Tests green: the same pull request, a new commit, merged by policy.
    let (pull, _, new, merged) = proposed(ada.deploy("test", "a", Some(true)).await);
    assert_eq!((pull.number, new, merged.is_some()), (1, false, true));
    assert_ne!(pull.head_commit, first);
    let declared = company.git(&["show", "main:environments/test/shop.toml"]);
    assert_eq!(declared, declaration("a"), "one line changed");
    assert!(matches!(ada.deploy("test", "a", Some(true)).await, Outcome::Nothing));

    // On to production: the same digest, not a second build.
    assert!(ada.plan("production", "a").builds.is_empty());
    let (pull, gate, _, merged) = proposed(ada.deploy("production", "a", Some(true)).await);
    assert_eq!((pull.number, merged, rules(&gate)), (2, None, vec![("production/shop", "approvals")]));
    let refused = gate::merge(&ada.forge(), &pull, &gate).await.unwrap_err();
    assert_eq!((refused.class(), refused.next()), (Class::Security, vec!["onramp pr approve 2".to_owned()]));
    let own = ada.forge().approve(2, &pull.head_commit).await.unwrap_err();
    assert_eq!(
        (own.class(), own.to_string().as_str()),
        (Class::Security, "pull request 2 is your own; somebody else approves it")
    );
    let approved = bob.forge().approve(2, &pull.head_commit).await.unwrap();
    let gate = bob.examine(&approved).await.unwrap();
    gate::merge(&bob.forge(), &approved, &gate).await.unwrap();
    assert_eq!(company.git(&["show", &format!("main:{PRODUCTION}")]), declaration("a"));

    // What runs now, and where it came from.
    let state = bob.state();
    let entries = overview::read(&state, &state.head().unwrap(), Some(&name("production")), &[]).unwrap();
    assert_eq!(entries[0].source, Some(commit("a")));
    assert_eq!(entries[0].digests[&name("web")], *image("apps/shop", "a").digest().unwrap());

    // Back to a source that ran before: by its digest, without a build.
    proposed(ada.deploy("test", "b", Some(true)).await);
    assert_eq!(ada.plan("test", "a").reused[&name("web")], image("apps/shop", "a"));
}

#[tokio::test]
async fn deploying_again_keeps_the_commit_and_its_approvals() {
    let company = company();
    let (ada, bob) = (Developer { company: &company, who: "ada" }, Developer { company: &company, who: "bob" });
    let (pull, ..) = proposed(ada.deploy("production", "a", None).await);
    bob.forge().approve(pull.number, &pull.head_commit).await.unwrap();
    let (again, _, new, _) = proposed(ada.deploy("production", "a", None).await);
    assert_eq!((again.head_commit, again.approvals.len(), new), (pull.head_commit, 1, false));
    let (other, ..) = proposed(ada.deploy("production", "b", None).await);
    assert_eq!(other.approved_by().count(), 0, "nobody approved this one");
}

#[tokio::test]
async fn only_what_the_environment_before_runs_gets_into_production() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let (_, gate, ..) = proposed(ada.deploy("production", "a", Some(true)).await);
    assert_eq!(rules(&gate), [("production/shop", "after"), ("production/shop", "approvals")]);
}

#[tokio::test]
async fn a_branch_name_does_not_choose_the_policy() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let pull = ada.propose("deploy/test/shop", &[(PRODUCTION, &declaration("evil"))], "x").await;
    let gate = ada.examine(&pull).await.unwrap();
    let asked: Vec<&str> = rules(&gate).iter().map(|(_, rule)| *rule).collect();
    assert_eq!(asked, ["evidence", "after", "approvals"]);
    assert_eq!(gate.findings[0].of, "production/shop");
}

#[tokio::test]
async fn a_pull_request_cannot_bring_its_own_policy() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let lax = "schema = 1\n[[environment]]\nname = \"production\"\n";
    let files = [("state.toml", lax), (PRODUCTION, &*declaration("evil"))];
    let gate = ada.examine(&ada.propose("lax", &files, "x").await).await.unwrap();
    assert!(rules(&gate).contains(&("production/shop", "after")));
    assert!(rules(&gate).contains(&("state.toml", "approvals")), "the rules need the strictest approvals");
    let gate =
        ada.examine(&ada.propose("puppet", &[("puppet/site.pp", "node default {}\n")], "x").await).await.unwrap();
    assert_eq!(rules(&gate), [("puppet/site.pp", "approvals")], "so does what machines are made with");
}

#[tokio::test]
async fn evidence_is_of_the_images_it_was_made_with() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let (pull, ..) = proposed(ada.deploy("production", "a", Some(true)).await);
    let words = company.git(&["log", "-1", "--format=%B", pull.head_commit.as_str()]);
    // The trailers of a tested image, on a commit that declares another one.
    let gate = ada.examine(&ada.propose("forged", &[(PRODUCTION, &declaration("evil"))], &words).await).await.unwrap();
    assert!(rules(&gate).contains(&("production/shop", "evidence")), "{:?}", rules(&gate));
}

#[tokio::test]
async fn who_pushes_the_commit_is_an_author_too() {
    let company = company();
    let (ada, bob) = (Developer { company: &company, who: "ada" }, Developer { company: &company, who: "bob" });
    proposed(ada.deploy("production", "a", None).await);
    let (pull, ..) = proposed(bob.deploy("production", "b", None).await);
    assert_eq!((pull.number, pull.author.id.as_str()), (1, "ada@acme.test"));
    let pull = bob.forge().approve(1, &pull.head_commit).await.unwrap();
    assert!(rules(&bob.examine(&pull).await.unwrap()).contains(&("production/shop", "approvals")));
}

#[tokio::test]
async fn a_declaration_that_cannot_be_read_is_not_merged() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let pull = ada.propose("broken", &[("environments/test/shop.toml", "schema = 1\n[services.web]\n")], "x").await;
    let error = ada.examine(&pull).await.unwrap_err();
    assert!(error.to_string().contains(":2:1: services.web: `image` is missing"), "{error}");
    assert_eq!(error.class(), Class::Config);
}

#[tokio::test]
async fn what_does_not_fit_any_more_says_how_to_propose_it_anew() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let (pull, ..) = proposed(ada.deploy("production", "a", None).await);
    company.push(&[(PRODUCTION, &declaration("by-hand"))], "By hand");
    let error = ada.examine(&pull).await.unwrap_err();
    assert_eq!((error.class(), error.next()), (Class::Conflict, vec!["onramp deploy production".to_owned()]));
    let (again, ..) = proposed(ada.deploy("production", "a", None).await);
    assert_eq!(again.number, pull.number);
    assert!(ada.examine(&again).await.is_ok());
}

#[tokio::test]
async fn a_diff_shows_the_lines_before_and_after_the_merge() {
    let company = company();
    let ada = Developer { company: &company, who: "ada" };
    let (pull, ..) = proposed(ada.deploy("test", "a", Some(false)).await);
    let open = diff::of(&ada.state(), &pull).unwrap();
    let changed: Vec<&str> = open.lines().filter(|l| l.starts_with("+i") || l.starts_with("-i")).collect();
    assert_eq!(changed.len(), 2, "{open}");
    let (pull, ..) = proposed(ada.deploy("test", "a", Some(true)).await);
    let merged = ada.forge().get(pull.number).await.unwrap();
    assert_eq!(diff::of(&ada.state(), &merged).unwrap(), open);
}

#[test]
fn the_overview_follows_what_changes_and_what_is_forced_elsewhere() {
    let company = Company::with(&[("state.toml", RULES), (PRODUCTION, &declaration("one"))]);
    let look = || {
        let state = company.state("ada");
        let head = state.head().unwrap();
        let entries = overview::read(&state, &head, None, &[]).unwrap();
        let place = state.mirror().beside("overview-1.json");
        let kept = std::fs::read_to_string(&place).unwrap();
        assert!(kept.contains(head.as_str()), "what was found is kept");
        for again in ["", &kept] {
            std::fs::write(&place, again).unwrap();
            assert_eq!(overview::read(&state, &head, None, &[]).unwrap(), entries, "kept or not, it is the same");
        }
        assert_eq!(entries.len(), 1);
        (entries[0].digests["web"].clone(), entries[0].commit.clone().unwrap())
    };
    let digest = |of: &str| image("apps/shop", of).digest().unwrap().clone();
    let first = look();
    assert_eq!(first.0, digest("one"));
    company.push(&[("README.md", "x\n")], "Something else");
    assert_eq!(look(), first);
    company.push(&[(PRODUCTION, &declaration("two"))], "By hand");
    let second = look();
    assert_eq!(second.0, digest("two"));
    assert_ne!(second.1, first.1);
    // Forced back: what was looked at is in nobody's past any more.
    company.git(&["update-ref", "refs/heads/main", first.1.as_str()]);
    assert_eq!(look(), first);
    company.push(&[("state.toml", &format!("{RULES}# said anew\n"))], "Rules");
    assert_eq!(look(), first);
}

/// A hotfix of source `source`, as the base branch's policy has it.
fn hotfix(developer: &Developer<'_>, source: &str) -> Result<Plan, onramp::release::Error> {
    let state = developer.state();
    let rules = state.rules(&state.head().unwrap()).unwrap();
    let environment = rules.environment(&name("production")).unwrap();
    developer.plan("production", source).skipping(environment, &name("test"), &"Logins fail".parse().unwrap())
}

#[tokio::test]
async fn a_hotfix_leaves_out_the_environment_before_where_policy_takes_it() {
    let lax = RULES.replace("approvals = 1", "approvals = 1, hotfix = true");
    let company = Company::with(&[("state.toml", &lax), (PRODUCTION, &declaration("old"))]);
    let ada = Developer { company: &company, who: "ada" };
    let plan = hotfix(&ada, "a").unwrap();
    let (pull, gate, ..) = proposed(ada.propose_plan(plan, "a", Some(true)).await);
    assert_eq!(rules(&gate), [("production/shop", "approvals")], "all other rules hold");
    assert!(pull.title.starts_with("Hotfix shop") && pull.body.contains("past the environment before**: Logins fail"));
    // The policy no longer takes it: what the commit says excuses nothing.
    company.push(&[("state.toml", RULES)], "No hotfixes");
    let gate = ada.examine(&pull).await.unwrap();
    assert!(rules(&gate).contains(&("production/shop", "after")), "{:?}", rules(&gate));
    let refused = hotfix(&ada, "b").unwrap_err();
    assert_eq!(refused.class(), Class::Security);
    assert!("two\nlines".parse::<trailers::Reason>().is_err() && "".parse::<trailers::Reason>().is_err());
}

#[tokio::test]
async fn a_branch_that_moved_meanwhile_is_a_conflict_and_a_base_that_was_forced_is_built_upon() {
    let company = company();
    let (ada, bob) = (Developer { company: &company, who: "ada" }, Developer { company: &company, who: "bob" });
    let (stale, plan) = (ada.state(), ada.plan("production", "a"));
    let (first, ..) = proposed(bob.deploy("production", "b", None).await);
    let images = [(name("web"), image("apps/shop", "a"))].into();
    let draft = proposal::deployment(&stale, &plan, images, Evidence::default()).unwrap();
    let (forge, registries, me) =
        (Local::new(stale.mirror().clone(), identity("ada"), true), access(), identity("ada"));
    let place = Place { state: &stale, forge: &forge, registries: &registries, me: &me, secrets: &[] };
    let error = proposal::propose(&place, draft, Merging::Policy).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict, "{error}");
    let branch = company.git(&["rev-parse", "deploy/production/shop"]);
    assert_eq!(branch.trim(), first.head_commit.as_str(), "bob's proposal is as it was");

    company.push(&[(PRODUCTION, &declaration("gone"))], "Soon gone");
    proposed(ada.deploy("production", "a", None).await);
    company.git(&["update-ref", "refs/heads/main", "main~1"]);
    let (healed, _, new, _) = proposed(ada.deploy("production", "a", None).await);
    assert_eq!((healed.number, new), (first.number, false));
    let parent = company.git(&["rev-parse", &format!("{}^", healed.head_commit), "main"]);
    let lines: Vec<&str> = parent.lines().collect();
    assert_eq!(lines[0], lines[1]);
}
