//! `state show|diff|lint`: the state repository as its reviewers look at it. No engine is asked.

use onramp::error::Class;

use crate::run::Machine;

const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
pub const OTHER: &str = "sha256:486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";

const RULES: &str = r#"schema = 1
[[environment]]
name = "staging"
policy = { merge = "auto", evidence = ["unit"] }
[[environment]]
name = "production"
after = "staging"
policy = { approvals = 1, soak = "24h", freeze = ["Fri 16:00 - Mon 08:00 Europe/London"] }
"#;

pub fn service(name: &str, image: &str, digest: &str, more: &str) -> String {
    format!("[services.{name}]\nimage = \"r.test/{image}@{digest}\"\nport = 80\n{more}")
}

/// A state repository with two environments and two commits; the first one is tagged.
pub fn state() -> Machine {
    let mut machine = Machine::new();
    machine.write("state/state.toml", RULES);
    let auth = format!("schema = 1\n{}", service("api", "apps/auth", DIGEST, ""));
    for environment in ["staging", "production"] {
        let shop =
            format!("schema = 1\n{}", service("web", "apps/shop", DIGEST, "needs = [\"auth/api\"]\nreplicas = 2\n"));
        machine.write(format!("state/environments/{environment}/shop.toml"), shop);
        machine.write(format!("state/environments/{environment}/auth.toml"), &auth);
    }
    // Not a declaration: what an environment's services have beside it.
    machine.write("state/environments/production/puppet/site.pp", "node default {}\n");
    machine.git("", &["init", "-q", "-b", "main", "state"]);
    commit(&machine, "As it was");
    machine.git("state", &["tag", "first"]);
    let shop = format!("schema = 1\n{}", service("web", "apps/shop", OTHER, "needs = [\"auth/api\"]\nreplicas = 3\n"));
    machine.write("state/environments/staging/shop.toml", shop);
    commit(&machine, "Staging goes on");
    let url = machine.path("state").display().to_string();
    machine.set("ONRAMP_STATE", url);
    machine
}

pub fn commit(machine: &Machine, message: &str) {
    machine.git("state", &["add", "-A"]);
    machine.git("state", &["commit", "-q", "-m", message]);
}

#[test]
fn what_environments_declare_and_ask_for_is_shown() {
    let machine = state();
    insta::assert_snapshot!(machine.onramp("state show").ok().stdout, @r"
    environment  after    merge   approvals  evidence  soak  freeze                               apps
    staging      -        auto    0          unit      -     -                                    2
    production   staging  manual  1          -         24h   Fri 16:00 - Mon 08:00 Europe/London  2
    ");
    insta::assert_snapshot!(machine.onramp("state show staging").ok().stdout, @r"
    app   service  image                   port  replicas  needs
    auth  api      apps/auth 2cf24dba5fb0  80    -         -
    shop  web      apps/shop 486ea46224d1  80    3         auth/api
    ");
    insta::assert_snapshot!(machine.onramp("state show staging@first shop").ok().stdout, @r"
    app   service  image                   port  replicas  needs
    shop  web      apps/shop 2cf24dba5fb0  80    2         auth/api
    ");
    let shop = machine.onramp("state show staging shop --json").ok().json();
    assert_eq!(shop["apps"]["shop"]["web"]["replicas"], 3);
    assert_eq!(shop["apps"]["auth"], serde_json::Value::Null, "only that app");

    let mut told = String::new();
    for line in ["state show stagin", "state show first", "state show staging shpo", "state show staging@nowhere"] {
        told.push_str(&machine.onramp(line).outcome().1.stderr);
    }
    insta::assert_snapshot!(told, @r"
    error: there is no environment `stagin`
      hint: did you mean `staging`? state.toml has: staging, production
    error: [COMMIT] is a commit, not an environment
      hint: write ENVIRONMENT@[COMMIT]
    error: staging does not declare the app shpo
      hint: did you mean `shop`?
    error: no commit `nowhere in [WORK]/state`
    ");
}

#[test]
fn environments_and_commits_are_compared() {
    let machine = state();
    insta::assert_snapshot!(machine.onramp("state diff production staging").ok().stdout, @r"
    shop/web  image     apps/shop 2cf24dba5fb0 → apps/shop 486ea46224d1
    shop/web  replicas  2 → 3
    ");
    insta::assert_snapshot!(machine.onramp("state diff first main").ok().stdout, @r"
    staging shop/web  image     apps/shop 2cf24dba5fb0 → apps/shop 486ea46224d1
    staging shop/web  replicas  2 → 3
    ");
    insta::assert_snapshot!(machine.onramp("state diff staging@first").ok().stdout, @r"
    shop/web  image     apps/shop 2cf24dba5fb0 → apps/shop 486ea46224d1
    shop/web  replicas  2 → 3
    ");
    assert_eq!(machine.onramp("state diff production@first").ok().stdout, "nothing differs\n");
    machine.onramp("state diff production production --exit-code").ok();
    machine.onramp("state diff production staging --exit-code").fails(Class::Failed);
    let changes = machine.onramp("state diff production staging --json").ok().json();
    assert_eq!(changes["changes"][1]["key"], "replicas");
    assert_eq!((&changes["changes"][1]["from"], &changes["changes"][1]["to"]), (&"2".into(), &"3".into()));
    let mixed = machine.onramp("state diff staging first").fails(Class::Usage);
    assert!(mixed.stderr.contains("ENVIRONMENT@COMMIT"), "{mixed}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let machine = state();
    assert_eq!(machine.onramp("state lint").ok().stdout, "4 declarations, 0 findings\n");

    machine.write("state/environments/staging/shop.toml", "schema = 1\n[services.web]\nport = 80\n");
    let needs = "needs = [\"auth/ap\", \"mail/smtp\", \"shop/web\", \"db\"]\n";
    machine.write(
        "state/environments/staging/crm.toml",
        format!("schema = 1\n{}", service("web", "apps/crm", DIGEST, needs)),
    );
    machine.write("state/environments/live/shop.toml", "");
    machine.write("state/environments/staging/Big App.toml", "");
    machine.write("state/environments/staging/bytes.toml", [0xff, 0xfe]);
    machine.write("state/environments/staging/later.toml", "schema = 99\n");
    let open = service("web", "apps/open", DIGEST, "privileged = true\n");
    machine.write("state/environments/production/open.toml", format!("schema = 1\n{open}"));
    std::os::unix::fs::symlink("/etc/passwd", machine.path("state/environments/staging/link.toml")).unwrap();
    let told = machine.onramp("state lint .").dir("state").fails(Class::Failed);
    insta::assert_snapshot!(told.stdout, @r"
    environments/live/shop.toml: state.toml has no environment `live`: nobody reads this
    environments/production/open.toml:5:1: services.web: `privileged` would give it the machine
      hint: a sandbox stays closed: take it out, also of the block that brought it
    environments/staging/Big App.toml: `Big App` is not a name: use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter
    environments/staging/bytes.toml: it is not UTF-8 text
    environments/staging/crm.toml:5:1: services.web needs `auth/ap`, and auth has no service `ap`
      hint: did you mean `api`?
    environments/staging/crm.toml:5:1: services.web needs `db`, and crm has no service `db`
    environments/staging/crm.toml:5:1: services.web needs `mail/smtp`, and staging does not declare the app `mail`
    environments/staging/later.toml: it has a schema that this onramp does not know
      hint: a newer onramp wrote it; nothing was changed. Update onramp.
    environments/staging/link.toml: it is a symbolic link: what it leads to is not read
    environments/staging/shop.toml:2:1: services.web: `image` is missing
    9 declarations, 10 findings
    ");
    assert_eq!(machine.onramp("state lint").ok().stdout, "4 declarations, 0 findings\n", "nothing of it is committed");
    commit(&machine, "All of it");
    let committed = machine.onramp("state lint --json").fails(Class::Failed).json();
    assert_eq!(committed["ok"], false);
    let open =
        committed["findings"].as_array().unwrap().iter().find(|f| f["path"] == "environments/production/open.toml");
    assert_eq!(open.unwrap()["line"], 5);
    machine.onramp("state lint --at first").ok();

    machine.write("state/state.toml", RULES.replace("24h", "soon"));
    let policy = machine.onramp("state lint .").dir("state").fails(Class::Failed);
    assert!(policy.stdout.contains("state.toml:8:34: `soon` is no length of time like 90m, 24h or 2d"), "{policy}");

    machine.write("none/README", "");
    let none = machine.onramp("state lint .").dir("none").fails(Class::Failed);
    assert!(none.stdout.contains("state.toml: it is not there"), "{none}");
    machine.onramp("state lint nowhere").fails(Class::Io);
}

#[test]
fn a_change_is_held_against_the_policy_of_its_base_whoever_wrote_it() {
    let machine = state();
    machine.git("state", &["switch", "-q", "-c", "change"]);
    let check = |line: &str| machine.onramp(&format!("state check {line}")).dir("state");
    assert_eq!(check("--base main").ok().stdout, "[COMMIT] into [COMMIT]: nothing is missing\n");

    // By hand, with no word of tests, and a policy of its own.
    let web = format!("schema = 1\n{}", service("web", "apps/shop", &OTHER.replace("48", "84"), ""));
    machine.write("state/environments/production/shop.toml", &web);
    machine.write("state/state.toml", RULES.replace("after = \"staging\"", "").replace("soak = \"24h\", ", ""));
    commit(&machine, "By hand");
    let refused = check("--base main").exits(1);
    insta::assert_snapshot!(refused.stdout, @r"
    production/shop: production needs `web` at 846ea46224d1 to be in staging first; staging declares 486ea46224d1
    [COMMIT] into [COMMIT]: may not be merged
    ");
    let found = check("--base main --head change --json").exits(1).json();
    assert_eq!((&found["ok"], &found["findings"][0]["unmet"][0]["rule"]), (&false.into(), &"after".into()));

    // What main has meanwhile is not the change's.
    machine.git("state", &["switch", "-q", "main"]);
    machine.write(
        "state/environments/staging/auth.toml",
        format!("schema = 1\n{}", service("api", "apps/auth", OTHER, "")),
    );
    commit(&machine, "Meanwhile");
    machine.git("state", &["switch", "-q", "change"]);
    assert_eq!(check("--base main").exits(1).stdout.lines().count(), refused.stdout.lines().count());

    let mut told = String::new();
    for line in ["--base nowhere", "--base main --head nowhere", ".. --base main"] {
        told.push_str(&check(line).outcome().1.stderr);
    }
    insta::assert_snapshot!(told, @r"
    error: no commit `nowhere in [WORK]/state`
    error: no commit `nowhere in [WORK]/state`
    error: .. is no git repository
      hint: `state check` runs in a checkout of the state repository
    ");
}
