//! Evidence by a key: `test --image --key`, and environments that take nobody else's word.

use onramp::error::Class;

use crate::company::Developer;

/// A developer whose company's test environment takes images of the company only, at most a day old, and CI's word on tests.
fn company() -> Developer {
    let mut dev = Developer::new();
    dev.set("COSIGN_PASSWORD", "");
    dev.onramp("image sign --generate-key ci").ok();
    dev.onramp("image sign --generate-key other").ok();
    let (registry, key) = (dev.registry(), dev.read("ci.pub"));
    let state = dev.elsewhere("state.git");
    dev.git("", &["clone", "--quiet", state.to_str().unwrap(), "policy"]);
    dev.write("policy/keys/ci.pub", key);
    let rules = dev.read("policy/state.toml");
    let asked = format!(
        "evidence = [\"unit\"], evidence_by = [\"keys/ci.pub\"], registries = [\"{registry}/**\"], max_age = \"1d\" }}"
    );
    let changed = rules.replacen("evidence = [\"unit\"] }", &asked, 1);
    assert_ne!(changed, rules);
    dev.write("policy/state.toml", changed);
    dev.git("policy", &["add", "--all"]);
    dev.git("policy", &["commit", "--quiet", "--message", "Only CI's word counts in test"]);
    dev.git("policy", &["push", "--quiet"]);
    dev
}

#[test]
fn an_environment_takes_the_word_of_its_ci_on_the_very_images() {
    let dev = company();
    dev.shop();
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Better"));
    dev.in_shop("test unit").ok();
    dev.commit("Better");
    dev.in_shop("deploy test").ok();
    let refused = dev.onramp("pr merge 1").fails(Class::Security).stderr;
    assert!(refused.contains("test needs keys/ci.pub to say that the test `unit` passed"), "{refused}");
    assert!(
        refused.contains("next: onramp test --image web=127.0.0.1:[PORT]/apps/shop@sha256:[DIGEST] --key"),
        "{refused}"
    );
    let state = dev.elsewhere("state.git");
    let proposed = "deploy/test/shop:environments/test/shop.toml";
    let proposed = dev.git("", &["--git-dir", state.to_str().unwrap(), "show", proposed]);
    let image = proposed.split('"').find(|text| text.contains("/apps/shop@sha256:")).unwrap().to_owned();

    // Whose word does not count says it in vain.
    let test = |key: &str| dev.in_shop("test unit --image").arg(&image).arg("--key").arg(key);
    let signed = test("../other.key").ok();
    assert!(signed.stdout.contains("unit passed") && signed.stdout.contains("signed with SHA256:"), "{signed}");
    assert!(signed.stderr.contains("replace shop/web"), "the image runs, not the code here: {signed}");
    dev.onramp("pr merge 1").fails(Class::Security);

    let attested = test("../ci.key").arg("--json").ok().json();
    assert_eq!(attested["attested"][0]["image"], image.as_str());
    let shown = dev.onramp("pr show 1").ok().stdout;
    assert!(shown.contains("nothing is missing"), "{shown}");
    dev.onramp("pr merge 1").ok();
    assert!(dev.declared("environments/test/shop.toml").contains(&image));

    // A change by hand, of something else than images, is one to what CI tested.
    dev.git("policy", &["pull", "--quiet", "--rebase"]);
    let more = dev.declared("environments/test/shop.toml").replacen("replicas = 1\n", "replicas = 2\n", 1);
    dev.write("policy/environments/test/shop.toml", more);
    dev.git("policy", &["commit", "--quiet", "--all", "--message", "Two of them"]);
    let checked = dev.onramp("state check policy --base origin/main").ok().stdout;
    assert!(checked.ends_with("nothing is missing\n"), "{checked}");
}

#[test]
fn what_is_signed_is_of_a_commit_and_of_a_digest() {
    let dev = company();
    dev.shop();
    let image = format!("{}/apps/shop", dev.registry());
    let by_tag = dev.in_shop("test --image").arg(format!("{image}:1")).fails(Class::Usage).stderr;
    assert!(by_tag.contains("has no digest: what is tested must be what is deployed"), "{by_tag}");
    let alone = dev.in_shop("test --key ../ci.key").fails(Class::Usage).stderr;
    assert!(alone.contains("--image"), "{alone}");
    let digest = format!("{image}@sha256:{}", "0".repeat(64));
    let whose = dev.in_shop("test --image").arg(format!("cache={digest}")).fails(Class::Usage).stderr;
    assert!(whose.contains("the services here are db, web"), "{whose}");
    dev.write("shop/src/index.php", "<?php\n");
    let dirty = dev.in_shop("test --key ../ci.key --image").arg(&digest).fails(Class::Conflict).stderr;
    assert!(dirty.contains("not committed: src/index.php"), "{dirty}");
}
