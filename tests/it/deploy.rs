//! `deploy`, `pr`, `release status`, with the local forge and the real engine and registry.

use onramp::error::Class;

use crate::company::Developer;

/// Who else is at the company.
const REVIEWER: (&str, &str) = ("GIT_AUTHOR_EMAIL", "grace@acme.test");

#[test]
fn a_tested_commit_becomes_one_line_of_the_declared_state() {
    let dev = Developer::new();
    dev.shop();
    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Better products"));
    dev.in_shop("test").ok();
    let dirty = dev.in_shop("deploy test").fails(Class::Conflict);
    assert!(dirty.stderr.contains("not committed: src/index.php"), "{dirty}");
    dev.commit("Better products");

    let before = dev.declared("environments/test/shop.toml");
    let plan = dev.in_shop("deploy test --dry-run --json").ok().json();
    assert_eq!(plan["branch"], "deploy/test/shop");
    assert!(
        dev.onramp("pr list --json").ok().json()["pulls"].as_array().unwrap().is_empty(),
        "a dry run proposes nothing"
    );

    let opened = dev.in_shop("deploy test").ok();
    assert!(opened.stdout.starts_with("opened: #1 "), "{opened}");
    let shown = dev.onramp("pr show 1").ok();
    assert!(shown.stdout.contains("| unit | passed |"), "{shown}");
    assert!(shown.stdout.contains("Packages: the same. Layers: "), "what differs in the images: {shown}");
    assert!(shown.stdout.contains("In the sandbox: parity with production@"), "{shown}");
    assert!(shown.stdout.contains("at its digests; score 86 %; facts: 19 equal, 3 overridden here"), "{shown}");
    assert_eq!(dev.declared("environments/test/shop.toml"), before, "nothing runs otherwise before the merge");

    let again = dev.in_shop("deploy test").ok();
    assert!(again.stdout.starts_with("up to date: #1 "), "the open one is updated: {again}");
    dev.onramp("pr merge 1").ok();
    let after = dev.declared("environments/test/shop.toml");
    let changed: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(changed.len(), 1, "a one-line diff: {changed:?}");
    assert_eq!(before.lines().count(), after.lines().count());
    dev.write("shop/README.md", "Words\n");
    dev.commit("Words | for <b>");
    dev.in_shop("deploy test").ok();
    let since = dev.onramp("pr show 2").ok();
    assert!(
        since.stdout.contains("### Commits since") && since.stdout.contains(r"Words \| for \<b\> (Dev)"),
        "{since}"
    );
    let took = &dev.onramp("release history shop test --json").ok().json()["history"][0]["lead"];
    assert!(took.is_i64(), "from the project's commit to `test`: {took}");
    dev.git("shop", &["reset", "-q", "--hard", "HEAD~1"]);
    // By its digest, to the next environment: what is not there cannot be deployed.
    let image = after.split('"').find(|text| text.contains("/apps/shop@sha256:")).unwrap();
    let digest = image.split('@').nth(1).unwrap();
    let missing = format!("sha256:{}", "0".repeat(64));
    let missing = dev.in_shop("deploy staging --image").arg(missing).fails(Class::Config).stderr;
    assert!(missing.contains("apps/shop"), "{missing}");
    let plan = dev.in_shop("deploy staging --dry-run --json --image").arg(digest).ok().json();
    assert_eq!((&plan["builds"], &plan["reused"]["web"]), (&serde_json::json!([]), &image.into()));
    let nothing = dev.in_shop("deploy test").ok();
    assert!(nothing.stdout.contains("nothing to propose"), "{nothing}");
    let status = dev.onramp("release status").ok();
    assert!(status.stdout.lines().any(|line| line.starts_with("shop  test ") && line.contains("[COMMIT]")), "{status}");
}

#[test]
fn the_policy_of_production_is_enforced() {
    let dev = Developer::new();
    dev.shop();
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "X"));
    dev.commit("X");
    dev.in_shop("deploy production --reason").arg("Logins fail").fails(Class::Usage);
    let hotfix = dev.in_shop("deploy production --skip staging --reason").arg("Logins fail").fails(Class::Security);
    assert!(hotfix.stderr.contains("production takes no hotfix: its policy has no `hotfix = true`"), "{hotfix}");
    dev.in_shop("deploy production --skip test --reason").arg("Logins fail").fails(Class::Usage);
    dev.own("environments/production/ @acme/ops\n");
    let waits = dev.in_shop("deploy production --wait").fails(Class::Usage);
    assert!(waits.stderr.contains("the local forge has no checks to wait for"), "{waits}");
    let nobody = dev.in_shop("deploy production --reviewer a/b/c").fails(Class::Usage);
    assert!(nobody.stderr.contains("--reviewer `a/b/c` is nobody"), "{nobody}");
    dev.in_shop("deploy production --draft --reviewer @hopper --label urgent").ok();
    let shown = dev.onramp("pr show 1").ok();
    assert!(shown.stdout.contains("approved by nobody yet, asked: hopper, ops, labelled: urgent"), "{shown}");
    let waits = dev.onramp("pr merge 1 --wait").fails(Class::Usage);
    assert!(waits.stderr.contains("the local forge has no checks to wait for"), "{waits}");
    let refused = dev.onramp("pr merge 1").fails(Class::Security);
    for lack in ["approv", "unit", "smoke", "staging", "it is a draft"] {
        assert!(refused.stderr.contains(lack), "{lack}: {refused}");
    }
    assert!(refused.stderr.contains("next: onramp pr ready 1\n"), "{refused}");
    dev.onramp("pr ready 1").ok();
    assert_ne!(dev.onramp("pr approve 1").code(), 0, "nobody approves their own change");
    dev.onramp("pr approve 1").env(REVIEWER.0, REVIEWER.1).ok();
    let refused = dev.onramp("pr merge 1").fails(Class::Security);
    assert!(!refused.stderr.contains("approv"), "the approval counts: {refused}");
    assert!(!refused.stderr.contains("draft"), "{refused}");
}

#[test]
fn a_new_app_brings_its_services() {
    let dev = Developer::new();
    dev.onramp("new php-web blog --defaults").ok();
    dev.project("blog");
    dev.onramp("test").dir("blog").ok();
    dev.onramp("deploy test").dir("blog").ok();
    dev.onramp("pr merge 1").ok();
    let declared = dev.declared("environments/test/blog.toml");
    assert!(declared.contains("[services.web]") && declared.contains("[services.db]"), "{declared}");
    assert!(declared.contains("apps/blog@sha256:") && declared.contains("base/mariadb@sha256:"), "{declared}");
    assert!(!declared.contains("seed"), "seeds are for sandboxes: {declared}");
    // From now on the environment's own digests count.
    let up = dev.onramp("up --env test").dir("blog").ok();
    assert!(up.stdout.contains("2 of 3 services at its digests"), "{up}");
}
