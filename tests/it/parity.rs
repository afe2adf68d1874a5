//! `parity`: every fact with what makes it so, and the score; on the real engine.

use onramp::error::Class;
use serde_json::Value;

use crate::company::Developer;
use crate::engine;

/// What a report says of one fact: how it stands, by which line, why.
fn fact(parity: &Value, service: &str, fact: &str) -> String {
    let find = |list: &Value, key: &str, name: &str| {
        list.as_array().unwrap().iter().find(|one| one[key] == name).cloned().unwrap_or_default()
    };
    let found = find(&find(&parity["services"], "service", service)["facts"], "fact", fact);
    let text = |key: &str| found[key].as_str().unwrap_or("-").to_owned();
    [text("standing"), text("by"), text("why")].join(" ")
}

/// The line of a text that has this in it, from 1.
fn line_of(text: &str, what: &str) -> usize {
    text.lines().position(|line| line.contains(what)).unwrap() + 1
}

#[test]
fn a_fact_is_what_the_engine_says_and_a_difference_names_its_line() {
    let dev = Developer::new();
    dev.shop();
    assert!(dev.in_shop("parity").fails(Class::Usage).stderr.contains("is not up"));
    dev.declare("environments/production/auth.toml", |text| {
        format!("{text}user = \"root\"\nlimits = {{ memory = \"256 MB\", pids = 100, cpus = 0.5 }}\n")
    });
    dev.declare("environments/production/shop.toml", |text| {
        text.replace("data = ", "limits = { cpus = 4096, pids = 300 }\ndata = ")
    });
    let manifest = dev.read("shop/onramp.toml").replace("\"http://api.auth\"", "\"http://api.auth:80\"");
    let manifest = manifest.replace("port = 3306", "port = 3306\nlimits = { pids = 400 }");
    dev.write("shop/onramp.toml", &manifest);
    dev.in_shop("up").ok();

    // The machine's processors are not the test's.
    let mut told = dev.in_shop("parity").ok().stdout;
    for (processors, name) in [(r"\d+ here, 4096", "[N] here, 4096"), (r"linux/\w+", "linux/[CPU]")] {
        told = regex::Regex::new(processors).unwrap().replace_all(&told, name).into_owned();
    }
    insta::assert_snapshot!(told, @r#"
    shop/db
      digest                equal
      command               equal
      user                  equal
      env.MARIADB_DATABASE  equal
      env.MARIADB_PASSWORD  unknown          a secret; this machine has its own
      env.MARIADB_USER      equal
      port                  equal
      limits.pids           overridden here  onramp.toml:26: 400 here, 300 declared
      limits.cpus           overridden here  [N] here, 4096 declared: the engine has no more
      data                  equal
      seed                  equal
      platform              unknown          linux/[CPU] here, none declared
    auth/api
      digest                equal
      command               equal
      user                  equal
      port                  equal
      limits.memory         equal
      limits.pids           equal
      limits.cpus           equal
      platform              unknown          linux/[CPU] here, none declared
      replicas              overridden here  1 here, 3 declared: a sandbox runs one of each
    shop/web
      digest                overridden here  onramp.toml:13: built from your code
      command               unknown          the image's own, of another image
      user                  unknown          the image's own, of another image
      env.AUTH_URL          overridden here  onramp.toml:17: "http://api.auth:80" here, "http://api.auth" declared
      env.DB_HOST           equal
      env.DB_NAME           equal
      env.DB_PASSWORD       unknown          a secret; this machine has its own
      env.DB_USER           equal
      port                  equal
      needs.db              equal
      needs.auth/api        equal
      platform              unknown          linux/[CPU] here, none declared
      replicas              overridden here  1 here, 3 declared: a sandbox runs one of each
    parity with production@[COMMIT]: 2 of 3 services at its digests; score 77 %; facts: 21 equal, 6 overridden here, 0 missing, 7 unknown (shop/web: built from your code)
    "#);

    let parity = dev.in_shop("parity --json --min 50").ok().json();
    let line = line_of(&manifest, "AUTH_URL");
    let overridden = format!(r#"overridden onramp.toml:{line} "http://api.auth:80" here, "http://api.auth" declared"#);
    assert_eq!(fact(&parity, "shop/web", "env.AUTH_URL"), overridden);
    let count = |standing: &str| parity["score"][standing].as_u64().unwrap();
    let told = count("equal") + count("overridden") + count("missing");
    assert_eq!(count("percent"), count("equal") * 100 / told, "{parity:#}");
    assert!(count("unknown") > 0, "{parity:#}");

    let below = dev.in_shop("parity --min 100").fails(Class::Failed);
    assert!(below.stdout.ends_with("less than the 100 % of --min\n"), "{below}");
    assert!(dev.in_shop("parity --min 101").fails(Class::Usage).stderr.contains("101"));
}

#[test]
fn what_stands_still_is_missing_and_other_seeds_are_told() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let before = dev.in_shop("parity --json").ok().json();
    assert_eq!(fact(&before, "shop/db", "seed"), "equal - ");
    assert_eq!(fact(&before, "shop/web", "needs.auth/api"), "equal - ");

    let status = dev.in_shop("status --json").ok().json();
    let services = status["services"].as_array().unwrap();
    let auth = services.iter().find(|service| service["service"] == "auth/api").unwrap();
    engine::stop(auth["container"].as_str().unwrap());
    dev.write("shop/db/seed.sql", format!("{}-- one more\n", dev.read("shop/db/seed.sql")));

    let after = dev.in_shop("parity --json").ok().json();
    assert_eq!(fact(&after, "auth/api", "digest"), "missing - the service does not run");
    assert_eq!(fact(&after, "auth/api", "port"), "missing - the service does not run");
    assert_eq!(fact(&after, "shop/web", "needs.auth/api"), "missing - auth/api does not run");
    let line = line_of(&dev.read("shop/onramp.toml"), "seed = ");
    let why = "other seed files filled its data; `onramp up --fresh` makes it anew";
    assert_eq!(fact(&after, "shop/db", "seed"), format!("overridden onramp.toml:{line} {why}"));
    let percent = |parity: &Value| parity["score"]["percent"].as_u64().unwrap();
    assert!(percent(&after) < percent(&before), "{after:#}");
    dev.in_shop(&format!("parity --min {}", percent(&before))).fails(Class::Failed);

    dev.in_shop("up").ok();
    let renewed = dev.in_shop("parity --json").ok().json();
    assert_eq!(fact(&renewed, "shop/web", "needs.auth/api"), "equal - ");
    let staging = dev.in_shop("parity staging").ok().stdout;
    assert!(staging.contains("parity with staging@[COMMIT]: 2 of 3 services"), "{staging}");
}

/// Commits files to the state repository's default branch.
fn declare_files(dev: &Developer, files: &[(&str, &str)]) {
    let state = dev.elsewhere("state.git");
    dev.git("", &["clone", "--quiet", state.to_str().unwrap(), "declared"]);
    for (path, text) in files {
        dev.write(std::path::Path::new("declared").join(path), text);
    }
    dev.git("declared", &["add", "--all"]);
    dev.git("declared", &["commit", "--quiet", "--message", "Puppet code"]);
    dev.git("declared", &["push", "--quiet"]);
    dev.remove("declared");
}

#[test]
fn puppet_says_which_resources_of_the_environment_an_image_has() {
    let dev = Developer::new();
    dev.shop();
    let dockerfile = dev.read("shop/Dockerfile");
    let install = "RUN apt-get update && apt-get install -y --no-install-recommends puppet-agent\n";
    dev.write("shop/Dockerfile", format!("{dockerfile}\n{install}"));
    dev.declare("environments/production/shop.toml", |text| {
        text.replace("[services.web]\n", "[services.web]\npuppet = { code = \"puppet/web\" }\n")
    });
    dev.declare("environments/production/auth.toml", |text| format!("{text}puppet = {{ code = \"puppet/web\" }}\n"));
    let up = dev.in_shop("up --json").ok().json();
    assert_eq!(fact(&up["parity"], "shop/web", "puppet"), "unknown - `onramp parity` asks Puppet");
    let parity = || dev.in_shop("parity --json").ok().json();
    assert_eq!(fact(&parity(), "shop/web", "puppet"), "unknown - `puppet/web` is not in the state repository");

    let site = r#"
include web
file { '/var/www/html': ensure => directory }
file { '/etc/acme.conf': content => "on\n" }
file { '/etc/debian_version': content => "0\n" }
exec { 'asks': command => '/bin/true', unless => '/nonexistent/program' }
file { '/var/acme': ensure => directory, require => Exec['asks'] }
"#;
    declare_files(
        &dev,
        &[
            ("puppet/web/manifests/site.pp", site),
            ("puppet/web/modules/web/manifests/init.pp", "class web { package { 'apache2': ensure => installed } }\n"),
        ],
    );
    let told = parity();
    for (resource, expected) in [
        ("File[/var/www/html]", "equal - "),
        ("Package[apache2]", "equal - "),
        ("File[/etc/acme.conf]", "missing - ensure: current_value 'absent', should be 'file'"),
        ("Exec[asks]", "unknown - Could not find command '/nonexistent/program'"),
        ("File[/var/acme]", "unknown - what it depends on could not be looked at"),
    ] {
        assert_eq!(fact(&told, "shop/web", &format!("puppet.{resource}")), expected, "{told}");
    }
    let other = fact(&told, "shop/web", "puppet.File[/etc/debian_version]");
    assert!(other.starts_with("overridden - content: current_value '{sha256}"), "{other}");
    assert_eq!(fact(&told, "auth/api", "puppet"), "unknown - its image has no puppet");

    // Nothing of it is in the sandbox, and no container is left.
    assert_eq!(dev.in_shop("exec web -- test -e /onramp-puppet").code(), 1);
    assert_eq!(dev.in_shop("exec web -- test -e /etc/acme.conf").code(), 1);
    let left = engine::containers(&format!("onramp.{}.carrier.", engine::sandbox_of(&dev.path("shop"))));
    assert!(left.is_empty(), "{left:?}");

    declare_files(&dev, &[("puppet/web/manifests/site.pp", "file { '/x': ensure =>\n")]);
    let broken = fact(&parity(), "shop/web", "puppet");
    assert!(
        broken.starts_with("unknown - puppet: Could not parse for environment production: Syntax error"),
        "{broken}"
    );
}
