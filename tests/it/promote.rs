//! `promote`: what one environment declares, brought to the next; release trains; what takes whose place. No engine is asked.

use onramp::error::Class;

use crate::released::{RULES, Released, declaration, image};

const SHOP: &str = "environments/production/shop.toml";

/// Without the soak: what is promoted was deployed a moment ago.
fn quick() -> String {
    RULES.replace("soak = \"24h\", ", "")
}

/// Two apps in both environments, a third one in `test` only. Each is a step ahead in `test`.
fn company() -> Released {
    let released = Released::with(&quick());
    for (app, environment, word, more) in [
        (
            "shop",
            "production",
            "old",
            "replicas = 3\nenv = { FEATURE = \"1\", URL = \"https://shop.acme.test\", KEY = { secret = \"shop/live\" } }\n",
        ),
        ("auth", "production", "old", "needs = [\"shop/web\"]\n"),
        ("auth", "test", "two", "needs = [\"shop/web\"]\n"),
        ("mail", "test", "one", ""),
        (
            "shop",
            "test",
            "new",
            "replicas = 1\nenv = { FEATURE = \"1\", NEW = \"yes\", URL = \"https://shop.test\", KEY = { secret = \"shop/key\" } }\nmigrate = [\"php\", \"migrate.php\"]\n",
        ),
    ] {
        released.deployed(environment, app, word, more);
    }
    released
}

#[test]
fn an_app_goes_to_the_next_environment_as_it_was_tested() {
    let released = company();
    let plan = released.onramp("promote test production shop --dry-run").ok();
    insta::assert_snapshot!(plan.stdout, @r#"
    Promote from test as of [COMMIT] to production
      shop/web  image           cba06b5736fa -> 11507a0e2f5e
      shop/web  env.NEW         - -> yes
      shop/web  migrate         - -> ["php","migrate.php"]
      shop/web  env.KEY.secret  stays shop/live (there shop/key)
      shop/web  env.URL         stays https://shop.acme.test (there https://shop.test)
      shop/web  replicas        stays 3 (there 1)
      propose deploy/production/shop as a pull request
    "#);
    assert_eq!(released.open(), []);

    let opened = released.onramp("promote test production shop").ok();
    assert!(opened.stdout.starts_with("opened: #1 Promote shop [COMMIT] from test to production (open)\n"), "{opened}");
    assert!(opened.stdout.contains("next:    onramp pr merge 1"), "what was tested in `test` counts: {opened}");
    let before = released.on("main", SHOP);
    released.onramp("pr merge 1").ok();
    let after = released.on("main", SHOP);
    let changed: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    let (old, new) = (image("shop", "old"), image("shop", "new"));
    assert_eq!(changed[0], (&*format!("image = \"{old}\" # pinned"), &*format!("image = \"{new}\" # pinned")));
    assert_eq!(
        changed[1].1,
        "env = { FEATURE = \"1\", URL = \"https://shop.acme.test\", KEY = { secret = \"shop/live\" }, NEW = \"yes\" }"
    );
    assert_eq!(changed.len(), 2);
    assert!(after.ends_with("migrate = [\"php\", \"migrate.php\"]\n") && after.contains("replicas = 3"), "{after}");

    let again = released.onramp("promote test production shop").ok();
    assert_eq!(again.stdout, "production declares already what test has of shop; nothing to propose\n");

    // What production was brought goes on; what it has of its own stays.
    let more = "replicas = 1\nenv = { FEATURE = \"2\", URL = \"https://other.test\", KEY = { secret = \"shop/key\" } }\nmigrate = [\"php\", \"migrate.php\"]\n";
    released.deployed("test", "shop", "newer", more);
    released.onramp("promote test production shop").ok();
    let proposed = released.on("deploy/production/shop", SHOP);
    assert!(
        proposed
            .contains("env = { FEATURE = \"2\", URL = \"https://shop.acme.test\", KEY = { secret = \"shop/live\" } }"),
        "{proposed}"
    );
}

#[test]
fn what_a_pull_request_says_of_a_promotion() {
    let released = company();
    released.onramp("promote test production shop").arg("-m").arg("Autumn, see @ada").ok();
    let shown = released.onramp("pr show 1 --json").ok();
    let body = shown.json()["pull"]["body"].as_str().unwrap_or_default().to_owned();
    for part in [
        "Autumn, see @\u{200b}ada",
        "| web | `env.NEW` | - | `yes` |",
        "| web | `replicas` | `3` | `1` |",
        "- `web` runs `php migrate.php` before the new image takes over",
        "- `auth/web` needs `shop/web`",
        "```mermaid\nflowchart LR\n  e0[\"test<br>",
        "e0 ==> e1",
        "onramp rollback production shop",
        "| unit | passed |",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[test]
fn a_train_takes_the_place_of_single_ones_and_goes_on_without_those_that_leave_it() {
    let released = company();
    released.onramp("promote test production shop").ok();
    let train = released.onramp("promote test production --all").ok();
    insta::assert_snapshot!(train, @r#"
    --- stdout
    opened: #2 Promote 2 apps from test to production (open)
      auth/web  cba06b5736fa -> 3fc4ccfe7458  r.test/apps/auth
      shop/web  cba06b5736fa -> 11507a0e2f5e  r.test/apps/shop
      takes the place of #1
      next:    onramp pr merge 2
      see:     onramp pr show 2
    --- stderr
    Promote from test as of [COMMIT] to production
      auth/web  image           cba06b5736fa -> 3fc4ccfe7458
      shop/web  image           cba06b5736fa -> 11507a0e2f5e
      shop/web  env.NEW         - -> yes
      shop/web  migrate         - -> ["php","migrate.php"]
      shop/web  env.KEY.secret  stays shop/live (there shop/key)
      shop/web  env.URL         stays https://shop.acme.test (there https://shop.test)
      shop/web  replicas        stays 3 (there 1)
      not in production yet, to be promoted by name: mail
      propose deploy/production/_all as a pull request
    "#);
    assert_eq!(released.open(), [(2, "deploy/production/_all".to_owned())]);
    assert!(released.onramp("pr show 1").ok().stdout.contains("closed"));
    let again = released.onramp("promote test production --all --json").ok().json();
    assert_eq!((&again["outcome"], &again["pull"]["number"]), (&"updated".into(), &2.into()));

    // One leaves it.
    let alone = released.onramp("promote test production shop --json").ok().json();
    assert_eq!((&alone["pull"]["number"], &alone["superseded"][0]), (&3.into(), &2.into()));
    assert_eq!(released.open(), [(3, "deploy/production/shop".to_owned()), (2, "deploy/production/_all".to_owned())]);
    let changed = released.git("state.git", &["diff", "--name-only", "main...deploy/production/_all"]);
    assert_eq!(changed, "environments/production/auth.toml\n");

    // And the last one.
    released.onramp("promote test production auth").ok();
    let open = [(4, "deploy/production/auth".to_owned()), (3, "deploy/production/shop".to_owned())];
    assert_eq!(released.open(), open);

    // All of it again, merged: each app knows where it came from.
    released.onramp("promote test production --all").ok();
    let open = released.open();
    assert_eq!(open.len(), 1, "{open:?}");
    released.onramp("pr merge").arg(open[0].0.to_string()).ok();
    let status = released.onramp("release status --env production --json").ok().json();
    let sources: Vec<bool> = status["releases"].as_array().unwrap().iter().map(|r| r["source"].is_string()).collect();
    assert_eq!(sources, [true, true], "{status}");
    let nothing = released.onramp("promote test production --all").ok();
    assert_eq!(nothing.stdout, "production declares already what test has of auth, shop; nothing to propose\n");
}

#[test]
fn a_gate_holds_for_every_app_of_a_train() {
    let released = company();
    // By hand, and nobody tested it.
    released.by_hand(&[("environments/test/auth.toml", &declaration("auth", "untested", ""))], "Auth by hand");
    let train = released.onramp("promote test production --all").ok();
    assert!(
        train.stdout.contains("production needs the test `unit` to pass on these images; it has not run"),
        "{train}"
    );
    released.onramp("pr merge 1").fails(Class::Security);
}

#[test]
fn what_cannot_be_promoted_is_told() {
    let released = company();
    let mut told = String::new();
    for line in [
        "promote test test shop",
        "promote test production shpo",
        "promote test live shop",
        "promote test production shop --offline",
        "promote test production shop --all",
    ] {
        told.push_str(&released.onramp(line).outcome().1.stderr);
    }
    insta::assert_snapshot!(told, @r"
    error: test cannot be promoted to itself
    error: test does not declare the app shpo
      hint: did you mean `shop`?
    error: there is no environment `live`
      hint: state.toml has: test, production
    error: `promote` pushes a branch; --offline forbids it
    error: the argument '[APP]...' cannot be used with '--all'

    Usage: onramp promote <FROM> <TO> <APP>...

    For more information, try '--help'.
    ");
}

#[test]
fn nothing_that_looks_like_a_secret_is_sent() {
    let released = company();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let refused = released.onramp("promote test production shop -m").arg(format!("use {token}")).fails(Class::Security);
    insta::assert_snapshot!(refused.stderr, @r#"
    Promote from test as of [COMMIT] to production
      shop/web  image           cba06b5736fa -> 11507a0e2f5e
      shop/web  env.NEW         - -> yes
      shop/web  migrate         - -> ["php","migrate.php"]
      shop/web  env.KEY.secret  stays shop/live (there shop/key)
      shop/web  env.URL         stays https://shop.acme.test (there https://shop.test)
      shop/web  replicas        stays 3 (there 1)
      propose deploy/production/shop as a pull request
    error: the body of the pull request holds a token of GitHub
      hint: no branch was pushed; take it out, or make the variable a secret
    "#);
    let refused = released.onramp("promote test production shop -m").arg("it is correct-horse now");
    refused.env("CI_DEPLOY_PASSWORD", "correct-horse").fails(Class::Security);
    let leak = format!("env = {{ HOOK = \"https://ann:{token}@x.test\" }}\n");
    released.deployed("test", "auth", "three", &leak);
    released.onramp("promote test production auth").fails(Class::Security);
    assert_eq!(released.open(), []);
    assert_eq!(released.git("state.git", &["branch", "--format=%(refname:short)"]), "main\n", "nothing was pushed");
}
