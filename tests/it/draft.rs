//! `--draft`, `pr ready`: what is proposed, and not to be merged yet. No engine is asked.

use onramp::error::Class;

use crate::released::{RULES, Released, image};

/// A company that merges at once what lacks nothing; `shop` is a step ahead in `test`, and was tested.
fn company() -> Released {
    let rules = r#"schema = 1
[[environment]]
name = "test"
policy = { evidence = ["unit"] }
[[environment]]
name = "production"
after = "test"
policy = { merge = "auto", evidence = ["unit"] }
"#;
    let released = Released::with(rules);
    released.deployed("production", "shop", "old", "");
    released.deployed("test", "shop", "new", "");
    released
}

#[test]
fn a_draft_is_merged_by_nobody_until_it_is_ready() {
    let released = company();
    let plan = released.onramp("promote test production shop --draft --dry-run").ok();
    assert!(plan.stdout.ends_with("propose deploy/production/shop as a draft of a pull request\n"), "{plan}");
    let opened = released.onramp("promote test production shop --draft").ok();
    insta::assert_snapshot!(opened.stdout, @r"
    opened: #1 Promote shop [COMMIT] from test to production (draft)
      web  cba06b5736fa -> 11507a0e2f5e  r.test/apps/shop
      missing: it is a draft
      next:    onramp pr ready 1
      see:     onramp pr show 1
    ");
    let again = released.onramp("promote test production shop --draft --json").ok().json();
    assert_eq!((&again["outcome"], &again["pull"]["draft"]), (&"updated".into(), &true.into()), "{again}");
    assert_eq!(again["was_draft"], true);
    assert_eq!(again["missing"][0]["unmet"][0]["rule"], "draft");
    let listed = released.onramp("pr list").ok();
    assert!(listed.stdout.starts_with("#1 ") && listed.stdout.ends_with("  draft\n"), "{listed}");
    assert_eq!(released.onramp("pr list --json").ok().json()["pulls"][0]["draft"], true);
    assert!(
        released.onramp("pr show 1").ok().stdout.contains("  missing: it is a draft\n  next:    onramp pr ready 1\n")
    );
    let refused = released.onramp("pr merge 1").fails(Class::Security);
    insta::assert_snapshot!(refused.stderr, @r"
    error: pull request 1 may not be merged yet: it is a draft
      next: onramp pr ready 1
    ");

    let catalog = released.path("state.git").display().to_string();
    let refused = released.onramp("pr merge 1 --catalog").env("ONRAMP_CATALOG", catalog).fails(Class::Security);
    assert_eq!(refused.stderr, "error: pull request 1 is a draft\n  next: onramp pr ready 1 --catalog\n");

    // Without `--draft` it is one like others, which this policy merges.
    let ready = released.onramp("promote test production shop").ok();
    insta::assert_snapshot!(ready.stdout, @r"
    merged: #1 Promote shop [COMMIT] from test to production (open)
      web  cba06b5736fa -> 11507a0e2f5e  r.test/apps/shop
      it was a draft, and is ready now
      see:     onramp pr show 1
    ");
    released.onramp("pr ready 1").fails(Class::Conflict);
    assert!(released.on("main", "environments/production/shop.toml").contains(&image("shop", "new")));
}

#[test]
fn one_that_is_ready_is_made_a_draft_and_its_approvals_hold() {
    let released = Released::with(RULES);
    released.deployed("production", "shop", "old", "");
    released.deployed("test", "shop", "new", "");
    released.onramp("promote test production --all").ok();
    let made = released.onramp("promote test production --all --draft").ok();
    assert!(made.stdout.contains("  it is a draft now\n"), "{made}");
    let before = released.git("state.git", &["rev-parse", "deploy/production/_all"]);
    released.onramp("pr approve 1").env("GIT_AUTHOR_EMAIL", "grace@acme.test").ok();
    assert!(released.onramp("pr ready 1 --dry-run").ok().stdout.starts_with("Make ready: #1 "));
    let ready = released.onramp("pr ready 1").ok();
    assert!(ready.stdout.starts_with("Ready: #1 ") && ready.stdout.ends_with(" (open)\n"), "{ready}");
    assert_eq!(released.git("state.git", &["rev-parse", "deploy/production/_all"]), before, "the commit is the same");
    let shown = released.onramp("pr show 1").ok().stdout;
    assert!(shown.contains("approved by ") && !shown.contains("nobody yet"), "{shown}");
    assert!(shown.contains("nothing is missing\n"), "{shown}");
    assert!(!shown.contains("draft"), "{shown}");
    assert!(released.onramp("pr ready 1").ok().stdout.starts_with("Ready already: #1 "));
}

#[test]
fn a_train_that_an_app_leaves_stays_a_draft() {
    let released = Released::with(RULES);
    for (environment, word) in [("production", "old"), ("test", "new")] {
        released.deployed(environment, "shop", word, "");
        released.deployed(environment, "auth", word, "");
    }
    released.onramp("promote test production --all --draft").ok();
    released.onramp("promote test production shop").ok();
    let pulls = released.onramp("pr list --json").ok().json()["pulls"].clone();
    assert_eq!((&pulls[0]["draft"], &pulls[1]["draft"]), (&false.into(), &true.into()), "{pulls}");
    assert!(pulls[1]["title"].as_str().unwrap().starts_with("Promote auth "), "{pulls}");

    let both = released.onramp("rollback production shop --draft --now").fails(Class::Usage);
    assert!(both.stderr.contains("'--draft' cannot be used with '--now'"), "{both}");
}
