//! `rollback`: a declaration put back to what it was. No engine is asked.

use onramp::error::Class;

use crate::released::{RULES, Released, declaration};

const SHOP: &str = "environments/production/shop.toml";

/// Three deployments to production, and a change by hand that is none.
fn company() -> Released {
    let released = Released::with(RULES);
    for word in ["one", "two", "three"] {
        released.deployed("production", "shop", word, "");
    }
    released.by_hand(&[(SHOP, &declaration("shop", "three", "replicas = 5\n"))], "More of them");
    released
}

#[test]
fn what_ran_before_comes_back_without_a_soak() {
    let released = company();
    insta::assert_snapshot!(released.onramp("rollback production shop --dry-run").ok().stdout, @r"
    Put production back to what it declared since [COMMIT]
      shop/web  image     8b5b9db0c13d -> 3fc4ccfe7458
      shop/web  replicas  5 -> -
      propose deploy/production/shop as a pull request
    ");
    let opened = released.onramp("rollback production shop -m").arg("Prices are wrong").ok();
    insta::assert_snapshot!(opened, @r"
    --- stdout
    opened: #1 Roll back production to shop [COMMIT] (open)
      web  8b5b9db0c13d -> 3fc4ccfe7458  r.test/apps/shop
      next:    onramp pr merge 1
      see:     onramp pr show 1
    --- stderr
    Put production back to what it declared since [COMMIT]
      shop/web  image     8b5b9db0c13d -> 3fc4ccfe7458
      shop/web  replicas  5 -> -
      propose deploy/production/shop as a pull request
    ");
    released.onramp("pr merge 1").ok();
    assert_eq!(released.on("main", SHOP), declaration("shop", "two", ""));

    // Once more goes further back, not to what was left.
    let now = released.onramp("rollback production shop --now --json").ok().json();
    assert_eq!(now["outcome"], "merged");
    assert_eq!(released.on("main", SHOP), declaration("shop", "one", ""));
    released.onramp("rollback production shop").fails(Class::Usage);
}

#[test]
fn a_commit_names_what_to_go_back_to() {
    let released = company();
    let first = released.git("state", &["rev-list", "--first-parent", "main", "--", SHOP]);
    let first = first.lines().last().unwrap().to_owned();
    released.onramp("rollback production shop --now --to").arg(&first).ok();
    assert_eq!(released.on("main", SHOP), declaration("shop", "one", ""));
    let again = released.onramp("rollback production shop --to").arg(&first[..10]).ok();
    assert_eq!(again.stdout, "production declares shop exactly so; nothing to propose\n");

    let mut told = String::new();
    for line in [
        "rollback production shpo",
        "rollback production shop --to 9",
        "rollback production shop --to 0",
        "rollback live shop",
    ] {
        told.push_str(&released.onramp(line).outcome().1.stderr);
    }
    let rules = released.git("state", &["rev-list", "--max-parents=0", "main"]);
    told.push_str(&released.onramp("rollback production shop --to").arg(rules.trim()).fails(Class::Usage).stderr);
    insta::assert_snapshot!(told, @r"
    error: production does not declare the app shpo
      hint: did you mean `shop`?
    error: production knows 0 earlier deployments of shop to go back by
      next: onramp release history shop production
    error: invalid value '0' for '--to <N|COMMIT>': a rollback goes back by at least one deployment

    For more information, try '--help'.
    error: there is no environment `live`
      hint: state.toml has: test, production
    error: production never declared shop as [COMMIT] has it
      next: onramp release history shop production
    ");
}

#[test]
fn who_says_rollback_and_does_something_else_gets_no_excuse() {
    let released = company();
    let first = released.git("state", &["rev-list", "--first-parent", "main", "--", SHOP]);
    let first = first.lines().last().unwrap().to_owned();
    released.onramp("rollback production shop --to").arg(&first).ok();
    let message = released.git("state.git", &["log", "-1", "--format=%B", "deploy/production/shop"]);
    assert!(message.contains(&format!("Onramp-Rollback: {first}\n")), "{message}");
    // The same words on another image.
    released.git("state", &["fetch", "-q"]);
    released.git("state", &["checkout", "-q", "deploy/production/shop"]);
    released.write(format!("state/{SHOP}"), declaration("shop", "evil", ""));
    released.git("state", &["commit", "-q", "-a", "-m", &message]);
    released.git("state", &["push", "-q", "origin", "HEAD"]);
    let refused = released.onramp("pr merge 1").fails(Class::Security);
    assert!(refused.stderr.contains("to be in test first"), "{refused}");
    // Said again, the branch is what it was.
    released.onramp("rollback production shop --now --to").arg(&first).ok();
    assert_eq!(released.on("main", SHOP), declaration("shop", "one", ""));
}

#[test]
fn now_is_not_past_those_who_must_agree() {
    let released = Released::with(&RULES.replace("hotfix = true", "approvals = 1"));
    for word in ["one", "two"] {
        released.deployed("production", "shop", word, "");
    }
    let refused = released.onramp("rollback production shop --now").fails(Class::Security);
    assert!(refused.stdout.starts_with("opened: #1 "), "it stays proposed: {refused}");
    assert!(refused.stderr.contains("onramp pr approve 1"), "{refused}");
    assert_eq!(released.on("main", SHOP), declaration("shop", "two", ""));
    let grace = ("GIT_AUTHOR_EMAIL", "grace@acme.test");
    released.onramp("pr approve 1").env(grace.0, grace.1).ok();
    released.onramp("rollback production shop --now").ok();
    assert_eq!(
        released.on("main", SHOP),
        declaration("shop", "one", ""),
        "the approval counts: the commit is the same"
    );
}
