//! State repositories in other formats than onramp's own: from a plan to a merge, on a real repository with the local forge.

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fixture::{Company, identity, image, name};
use jiff::Timestamp;
use onramp::error::{Class, Fault};
use onramp::forge::{Forge, Proposal, PullRequest};
use onramp::git::{Commit, RefUpdate};
use onramp::project::{Lock, manifest};
use onramp::registry::Access;
use onramp::release::deployment::{self, Evidence, Inputs, Plan};
use onramp::release::history::{self, Filter, Kind};
use onramp::release::promotion::{self, Route, Which};
use onramp::release::proposal::{self, Merging, Outcome, Place};
use onramp::release::rollback::{self, To};
use onramp::release::{Draft, Gate, diff, gate, overview, provenance};
use onramp::state::edit::Edit;
use onramp::tree::Entry;

const PROJECT: &str = "schema = 1\nname = \"shop\"\n[services.web]\nbuild = { base = \"r.test/base/php@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\" }\nport = 80\n[services.db]\nfallback = \"r.test/base/mariadb:11\"\n";
const ENVIRONMENTS: &str = "[[environment]]\nname = \"test\"\npolicy = { merge = \"auto\", evidence = [\"unit\"] }\n[[environment]]\nname = \"production\"\nafter = \"test\"\npolicy = { approvals = 1 }\n";

/// A format: its lines in `state.toml`, the path of a declaration, and a declaration, in which `IMAGE` and `DIGEST` stand for the image.
struct Case {
    format: &'static str,
    path: fn(&str) -> String,
    declaration: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        format: "kind = \"compose\"\npath = \"stacks/{environment}/{app}/compose.yaml\"",
        path: |environment| format!("stacks/{environment}/shop/compose.yaml"),
        declaration: "# ours\nservices:\n  web:\n    image: \"IMAGE\" # pinned\n    ports: [80]\n",
    },
    Case {
        format: "kind = \"kustomize\"\npath = \"overlays/{environment}/{app}/kustomization.yaml\"",
        path: |environment| format!("overlays/{environment}/shop/kustomization.yaml"),
        declaration: "resources: [../../../base/shop]\nimages:\n- name: web\n  newName: r.test/apps/shop\n  digest: DIGEST # pinned\n",
    },
    Case {
        format: "kind = \"helm\"\npath = \"{app}/values-{environment}.yaml\"\nimage = { web = \"image\" }",
        path: |environment| format!("shop/values-{environment}.yaml"),
        declaration: "image:\r\n  repository: r.test/apps/shop\r\n  digest: 'DIGEST'\r\nreplicas: 2\r\n",
    },
    Case {
        format: "kind = \"kubernetes\"\npath = \"clusters/{environment}/{app}.yaml\"",
        path: |environment| format!("clusters/{environment}/shop.yaml"),
        declaration: "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - {name: web, image: IMAGE}\n---\nkind: Service\n",
    },
    Case {
        format: "kind = \"hiera\"\npath = \"data/{environment}/{app}.yaml\"\nimage = \"profile::{app}::{service}\"",
        path: |environment| format!("data/{environment}/shop.yaml"),
        declaration: "---\nprofile::shop::web: IMAGE\nprofile::shop::port: 80\n",
    },
];

impl Case {
    fn company(&self) -> Company {
        let rules = format!("schema = 1\n[format]\n{}\n{ENVIRONMENTS}", self.format);
        let (test, production) = ((self.path)("test"), (self.path)("production"));
        let old = self.declaration("old");
        Company::with(&[("state.toml", &rules), (&test, &old), (&production, &old), ("base/shop/patch.yaml", "{}\n")])
    }

    fn declaration(&self, seed: &str) -> String {
        let image = image("apps/shop", seed);
        self.declaration.replace("DIGEST", image.digest().unwrap().as_str()).replace("IMAGE", &image.to_string())
    }
}

/// No policy here asks a registry for anything.
fn access() -> Access {
    Access::new(Duration::from_secs(5), BTreeMap::new())
}

fn commit(digit: &str) -> Commit {
    digit.repeat(40).parse().unwrap()
}

fn plan(company: &Company, environment: &str, source: &str) -> Result<Plan, onramp::release::Error> {
    let state = company.state("ada");
    let head = state.head().unwrap();
    let (app, source) = (name("shop"), commit(source));
    let declared = state.app(&head, &name(environment), &app)?;
    deployment::plan(&Inputs {
        manifest: &manifest::parse(Path::new("onramp.toml"), PROJECT).unwrap(),
        lock: &Lock::default(),
        registry: "r.test",
        environment: &name(environment),
        source: &source,
        format: &state.rules(&head)?.format,
        declared: declared.as_ref(),
        built: &provenance::built_from(&state, &head, &app, &source)?,
    })
}

/// Deploys a source, whose image is named by it unless it was built before.
async fn deploy(company: &Company, environment: &str, source: &str) -> (PullRequest, Gate, Option<Commit>) {
    let plan = plan(company, environment, source).unwrap();
    assert!(plan.added.is_empty(), "nothing is added to a file of another format");
    let mut images = plan.reused.clone();
    images.extend(plan.builds.iter().map(|build| (build.service.clone(), image("apps/shop", source))));
    let evidence = Evidence { tests: [(name("unit"), true)].into(), ..Evidence::default() };
    submit(company, proposal::deployment(&company.state("ada"), &plan, images, evidence).unwrap()).await
}

/// Proposes a draft.
async fn submit(company: &Company, draft: Draft) -> (PullRequest, Gate, Option<Commit>) {
    let (state, forge, registries, me) = (company.state("ada"), company.forge("ada"), access(), identity("ada"));
    let place = Place { state: &state, forge: &forge, registries: &registries, me: &me, secrets: &[] };
    match proposal::propose(&place, draft, Merging::Policy).await.unwrap() {
        Outcome::Proposed { pull, gate, merged, .. } => (*pull, gate, merged),
        Outcome::Nothing => panic!("nothing was proposed"),
    }
}

/// Holds files that somebody proposes by hand against the policy.
async fn examine(company: &Company, branch: &str, files: &[(&str, &str)]) -> Result<Gate, onramp::release::Error> {
    let state = company.state("ada");
    let changes: Vec<_> =
        files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect();
    let made = state.mirror().commit(&[state.head().unwrap()], &changes, "x", &identity("ada")).unwrap();
    let update = RefUpdate { name: format!("refs/heads/{branch}"), expected: None, target: Some(made) };
    state.mirror().push(&[update]).unwrap();
    let proposal = Proposal {
        title: "x".into(),
        body: String::new(),
        draft: false,
        head_branch: branch.into(),
        base_branch: "main".into(),
    };
    let pull = company.forge("ada").create(proposal).await.unwrap();
    gate::examine(&company.state("ada"), &identity("ada"), &pull, &access(), Timestamp::now()).await
}

fn rules(gate: &Gate) -> Vec<(&str, &'static str)> {
    gate.findings.iter().flat_map(|f| f.unmet.iter().map(|unmet| (f.of.as_str(), unmet.rule))).collect()
}

#[tokio::test]
async fn what_runs_in_test_is_promoted_and_rolled_back_in_every_format() {
    for case in &CASES {
        let company = case.company();
        deploy(&company, "test", "a").await;
        let (path, old) = ((case.path)("production"), case.declaration("old"));
        let on = |branch: &str| company.git(&["show", &format!("{branch}:{path}")]);
        let state = company.state("ada");
        let head = state.head().unwrap();
        let (app, production) = (name("shop"), name("production"));
        let route = Route { from: name("test"), at: head.clone(), to: production.clone() };
        let draft = promotion::draft(&state, &head, &route, &Which::One(app.clone())).unwrap();
        let (pull, gate, _) = submit(&company, draft).await;
        assert_eq!(rules(&gate), [("production/shop", "approvals")], "{}", case.format);
        assert_eq!(on("deploy/production/shop"), case.declaration("a"), "{}", case.format);
        let approved = company.forge("bob").approve(pull.number, &pull.head_commit).await.unwrap();
        let state = company.state("bob");
        let gate = gate::examine(&state, &identity("bob"), &approved, &access(), Timestamp::now()).await.unwrap();
        gate::merge(&company.forge("bob"), &approved, &gate).await.unwrap();

        let state = company.state("ada");
        let head = state.head().unwrap();
        let draft = rollback::draft(&state, &head, &production, &app, &To::Deployments(1)).unwrap();
        submit(&company, draft).await;
        assert_eq!(on("deploy/production/shop"), old, "{}", case.format);
        let filter = Filter { environment: Some(production), ..Filter::default() };
        let kinds: Vec<Kind> = history::read(&state, &head, &filter).unwrap().iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::Promote, Kind::Hand], "{}", case.format);
    }
}

#[tokio::test]
async fn a_change_goes_through_test_into_production_in_every_format() {
    for case in &CASES {
        let company = case.company();
        let (pull, _, merged) = deploy(&company, "test", "a").await;
        assert!(merged.is_some(), "{}", case.format);
        let now = company.git(&["show", &format!("main:{}", (case.path)("test"))]);
        assert_eq!(now, case.declaration("a"), "one line changed");
        let state = company.state("ada");
        let told = diff::of(&state, &company.forge("ada").get(pull.number).await.unwrap()).unwrap();
        let changed = told
            .lines()
            .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---"));
        assert_eq!(changed.count(), 2, "{told}");

        // The same digest goes on; what production asks for is found by its file.
        assert!(plan(&company, "production", "a").unwrap().builds.is_empty());
        let (pull, gate, merged) = deploy(&company, "production", "a").await;
        assert_eq!((merged, rules(&gate)), (None, vec![("production/shop", "approvals")]), "{}", case.format);
        let approved = company.forge("bob").approve(pull.number, &pull.head_commit).await.unwrap();
        let gate = gate::examine(&company.state("bob"), &identity("bob"), &approved, &access(), Timestamp::now())
            .await
            .unwrap();
        gate::merge(&company.forge("bob"), &approved, &gate).await.unwrap();

        let state = company.state("bob");
        let head = state.head().unwrap();
        let entries = overview::read(&state, &head, None, &[]).unwrap();
        let told: Vec<_> = entries.iter().map(|entry| (entry.environment.as_str(), entry.source.clone())).collect();
        assert_eq!(told, [("test", Some(commit("a"))), ("production", Some(commit("a")))]);
        assert_eq!(
            entries[1].digests,
            BTreeMap::from([(name("web"), image("apps/shop", "a").digest().unwrap().clone())])
        );
        assert_eq!(state.apps(&head, &name("production")).unwrap(), [name("shop")]);
        let linted = onramp::state::lint::lint(&state.tree(&head).unwrap());
        assert_eq!((linted.declarations, linted.findings), (2, vec![]), "{}", case.format);
    }
}

#[tokio::test]
async fn the_policy_is_of_the_file_that_changes() {
    for case in &CASES {
        let company = case.company();
        let (test, production) = ((case.path)("test"), (case.path)("production"));
        let evil = case.declaration("evil");
        let gate = examine(&company, "deploy/test/shop", &[(&production, &evil)]).await.unwrap();
        assert_eq!(rules(&gate), [("production/shop", "after"), ("production/shop", "approvals")], "{}", case.format);
        // Bases, patches and files of environments that nobody has may say what production runs.
        let elsewhere = (case.path)("nowhere");
        let files = [("base/shop/patch.yaml", "{a: b}\n"), (elsewhere.as_str(), evil.as_str())];
        let gate = examine(&company, "patch", &files).await.unwrap();
        let asked: Vec<&str> = rules(&gate).iter().map(|(_, rule)| *rule).collect();
        assert_eq!(asked, ["approvals", "approvals"], "{}", case.format);

        // A format that comes along does not lead the gate past what is deployed.
        let rules_there = company.git(&["show", "main:state.toml"]).replace("path = \"", "path = \"new/");
        let (copy, old) = (format!("new/{production}"), case.declaration("old"));
        let files = [("state.toml", rules_there.as_str()), (&production, &evil), (&copy, &old)];
        let gate = examine(&company, "elsewhere", &files).await.unwrap();
        assert!(rules(&gate).contains(&("production/shop", "after")), "{}: {:?}", case.format, rules(&gate));

        let by_tag = case.declaration("old").replace("digest:", "tag:").replace("DIGEST", "v2");
        let old = image("apps/shop", "old");
        let by_tag =
            by_tag.replace(&old.to_string(), "r.test/apps/shop:v2").replace(old.digest().unwrap().as_str(), "v2");
        let by_tag = if case.format.contains("kustomize") { by_tag.replace("tag:", "newTag:") } else { by_tag };
        let error = examine(&company, "tag", &[(&test, &by_tag)]).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        let told = error.to_string();
        assert!(
            told.ends_with(
                "services.web: `r.test/apps/shop:v2` is proposed by its tag: what is merged names its digest"
            ),
            "{told}"
        );
    }
}

#[tokio::test]
async fn what_is_not_declared_is_written_by_hand_first() {
    for case in &CASES[..2] {
        let company = case.company();
        let path = (case.path)("test");
        let renamed = case.declaration("old").replace("web", "page");
        company.push(&[(&path, &renamed)], "By hand");
        let error = plan(&company, "test", "a").unwrap_err();
        assert_eq!(error.class(), Class::Config);
        let expected =
            format!("{path}:1:1: services.web is not declared here, and onramp adds nothing to a file of this format");
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("r.test/apps/shop"), "{:?}", error.hint());
    }
}

#[test]
fn links_are_not_followed() {
    for case in &CASES[..2] {
        let company = case.company();
        let path = (case.path)("test");
        let state = company.state("ada");
        let link = |at: &str, target: &str| {
            let commit = |parent: &Commit, change: onramp::git::Placed| {
                state.mirror().commit_entries(parent, &[change], "x", &identity("ada")).unwrap()
            };
            let without = commit(&state.head().unwrap(), (path.parse().unwrap(), None));
            commit(&without, (at.parse().unwrap(), Some(Entry::Link { target: target.to_owned() })))
        };
        let told = |commit: &Commit| state.declared(commit, &name("test"), &name("shop")).unwrap_err();
        let error = told(&link(&path, &(case.path)("production")));
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().starts_with(&format!("{path} at ")), "{error}");
        let at = link(&path, &(case.path)("production"));
        assert!(state.everything(&at, &name("test")).unwrap_err().to_string().contains("is a symbolic link"));
        let finding = onramp::state::lint::lint(&state.tree(&at).unwrap()).findings.remove(0);
        assert_eq!((finding.path.as_str(), finding.message.contains("symbolic link")), (path.as_str(), true));
        if case.format.contains("{environment}/{app}/") {
            let (directory, _) = path.rsplit_once('/').unwrap();
            let error = told(&link(directory, "../production/shop"));
            assert!(error.to_string().starts_with(&format!("{directory} at ")), "{error}");
        }
    }
}

/// The blocks of a page in one language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_examples_of_the_page_are_read_and_edited() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state-formats.md")).unwrap();
    let (rules, files) = (blocks(&page, "toml"), blocks(&page, "yaml"));
    assert_eq!((rules.len(), files.len()), (5, 5));
    let new: onramp::reference::ImageRef =
        format!("registry.acme.test/apps/shop@{}", onramp::reference::Digest::of(b"new")).parse().unwrap();
    for (rules, file) in rules.into_iter().zip(files) {
        let format = onramp::state::policy::parse(Path::new("state.toml"), rules).unwrap().format;
        let (environment, app) = (name("production"), name("shop"));
        let path = format.path(&environment, &app);
        assert!(file.starts_with(&format!("# {path}\n")), "{path}");
        let services = format.read(Path::new(&path), &environment, &app, file).unwrap().services;
        let old = services[&name("web")].image.clone().unwrap();
        let edits = [(name("web"), Edit::Image(new.clone()))].into();
        let edited = format.edit(&environment, &app, Some(file), &edits).unwrap();
        let digest = |image: &onramp::reference::ImageRef| image.digest().unwrap().to_string();
        assert_eq!(edited, file.replace(&digest(&old), &digest(&new)));
    }
}
