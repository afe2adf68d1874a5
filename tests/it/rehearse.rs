//! `rehearse deploy`: a deployment, and the way back, on the real engine and registry.

use onramp::error::Class;
use rustix::process::{Pid, Signal, kill_process};

use crate::company::Developer;
use crate::engine;

/// What the database must hold before and after.
const CHECK: &str = r#"check = ["mariadb", "shop", "-N", "-e", "SELECT * FROM products ORDER BY 1"]"#;

/// A committed change of `shop`, with this in `[services.web]`, whose data is checked.
fn changed(dev: &Developer, web: &str) {
    dev.shop();
    let manifest = dev.read("shop/onramp.toml");
    let manifest = manifest.replace("[services.web]\n", &format!("[services.web]\n{web}"));
    dev.write("shop/onramp.toml", manifest.replace("[services.db]\n", &format!("[services.db]\n{CHECK}\n")));
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Better products"));
    dev.commit("Better products");
}

/// Nothing of a rehearsal is left on the engine.
#[track_caller]
fn nothing_left(dev: &Developer) {
    let left = engine::beside(&dev.path("shop"));
    assert!(left.is_empty(), "{left:?}");
    let built = engine::images_built_for(engine::sandbox_of(&dev.path("shop")).rehearsal().as_str());
    assert!(built.is_empty(), "{built:?}");
}

#[test]
fn a_deployment_is_played_watched_and_taken_back() {
    let dev = Developer::new();
    changed(&dev, "");
    let plan = dev.in_shop("rehearse deploy production --dry-run").ok();
    let plan = regex::Regex::new(r"\b[0-9a-f]{12}\b").unwrap().replace_all(&plan.stdout, "[DIGEST]").into_owned();
    insta::assert_snapshot!(plan, @r"
    Rehearse the deployment of shop [COMMIT] to production@[COMMIT]
      replace  web      [DIGEST] -> built from [COMMIT]
      probe    web      /health
      check    shop/db  before, and after the way back
    ");

    let told = dev.in_shop("rehearse deploy production").ok();
    for line in [
        "  deployment  healthy after ",
        "  rollback    healthy after ",
        "  answers     / as before\n",
        "  answers     /health as before\n",
        "  data        shop/db as before\n",
        "the deployment can be made, and taken back\n",
    ] {
        assert!(told.stdout.contains(line), "{line}: {told}");
    }
    nothing_left(&dev);
    assert!(dev.in_shop("status").ok().stdout.contains("is not up"), "my own sandbox is not touched");
    assert!(dev.onramp("pr list --json").ok().json()["pulls"].as_array().unwrap().is_empty());

    let json = dev.in_shop("rehearse deploy production --probe / --json").ok().json();
    assert_eq!(json["passed"], true);
    assert_eq!(json["rehearsed"]["probe"]["paths"][0], "/");
    let probe = &json["deployment"]["probe"];
    let number = |key: &str| probe[key].as_u64().unwrap();
    assert!(
        number("requests") > number("failed") && number("failed") > 0,
        "one container is replaced by another: {json}"
    );
    assert!(number("downtime_ms") >= number("longest_ms") && number("longest_ms") > 0, "{json}");
    dev.in_shop("rehearse deploy production --probe nowhere").fails(Class::Usage);
    let typo = dev.in_shop("rehearse deploy production --probe /nosuch").fails(Class::Failed);
    let failed = "the probe of web failed before the deployment: GET /nosuch: HTTP/1.1 404 ";
    assert!(typo.stderr.contains(failed) && typo.stderr.contains("`--probe` names a path"), "{typo}");
    nothing_left(&dev);

    let declared = dev.declared("environments/production/shop.toml");
    let digest = declared.split_once("apps/shop@").unwrap().1.split('"').next().unwrap();
    let same = dev.in_shop("rehearse deploy production --image").arg(digest).ok();
    assert_eq!(same.stdout, "production declares shop like that already; nothing to rehearse\n");
}

#[test]
fn a_migration_that_breaks_fails_the_rehearsal_and_nobody_is_down() {
    let dev = Developer::new();
    let migrate = r#"migrate = ["php", "-r", "fwrite(STDERR, 'no such column'); exit(3);"]"#;
    changed(&dev, &format!("{migrate}\n"));
    let told = dev.in_shop("rehearse deploy production").fails(Class::Failed);
    assert!(told.stderr.contains("production declares no `migrate` of web: that of onramp.toml runs here"), "{told}");
    assert!(told.stdout.contains("  deployment  failed: the migration of shop/web failed: exit code 3\n"), "{told}");
    assert!(told.stdout.contains("no such column\n"), "{told}");
    assert!(told.stdout.contains("down 0 ms, at most 0 ms at once; 0 of "), "the old one answers: {told}");
    assert!(
        told.stdout.contains("  answers     / as before\n") && told.stdout.contains("not as it should be"),
        "{told}"
    );
    nothing_left(&dev);
}

#[test]
fn a_service_that_does_not_become_ready_fails_the_rehearsal_and_the_old_one_comes_back() {
    let dev = Developer::new();
    changed(&dev, "");
    dev.write("shop/src/health.php", "<?php\nhttp_response_code(503);\n");
    dev.commit("Never healthy");
    let json = dev.in_shop("rehearse deploy production --timeout 10s --json").fails(Class::Failed).json();
    assert_eq!(json["passed"], false);
    let failed = json["deployment"]["failed"]["message"].as_str().unwrap();
    assert!(failed.starts_with("shop/web was not ready after 10 s: GET /health"), "{json:#}");
    assert!(json["deployment"]["probe"]["downtime_ms"].as_u64().unwrap() > 0, "{json:#}");
    assert_eq!(json["rollback"]["failed"], serde_json::Value::Null, "{json:#}");
    assert!(json["answers"].as_array().unwrap().iter().all(|answer| answer["standing"] == "same"), "{json:#}");
    nothing_left(&dev);
}

#[test]
fn data_that_a_migration_takes_away_does_not_come_back_with_the_old_digest() {
    let dev = Developer::new();
    let delete = "require '/var/www/html/lib/database.php'; connect()->exec('DELETE FROM products');";
    changed(&dev, &format!("migrate = [\"php\", \"-r\", \"{delete}\"]\n"));
    let told = dev.in_shop("rehearse deploy production").fails(Class::Failed);
    assert!(told.stdout.contains("  deployment  healthy after "), "{told}");
    assert!(told.stdout.contains("  data        shop/db not as before\n"), "{told}");
    assert!(told.stdout.contains("  answers     / not as before: another body\n"), "{told}");
    nothing_left(&dev);
}

#[test]
fn an_interrupted_rehearsal_takes_away_what_it_made() {
    let dev = Developer::new();
    changed(&dev, "");
    let begun = engine::until_created(&dev.path("shop"), || dev.in_shop("rehearse deploy production").piped());
    kill_process(Pid::from_child(&begun), Signal::INT).unwrap();
    let ended = begun.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{told}");
    assert!(told.contains("hint: what was made for it is taken away; the same command begins again\n"), "{told}");
    nothing_left(&dev);
}

#[test]
fn what_a_killed_rehearsal_left_the_next_command_takes_away() {
    let dev = Developer::new();
    changed(&dev, "");
    let mut killed = engine::until_created(&dev.path("shop"), || dev.in_shop("rehearse deploy production").start());
    killed.kill().unwrap();
    killed.wait().unwrap();
    dev.in_shop("down").ok();
    nothing_left(&dev);
}
