//! A company whose catalog requires signatures: `image sign|verify`, and what refuses images that lack one.

use std::path::PathBuf;

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::company::OwnPlayground;
use crate::run::{Machine, Run};

/// A playground of its own, whose catalog has rules on signatures, and a developer on the same machine.
struct Company {
    own: OwnPlayground,
    catalog: PathBuf,
}

impl Company {
    fn new() -> Self {
        let own = OwnPlayground::up();
        let playground = own.machine().elsewhere("home/.local/share/onramp/playground");
        let catalog = own.machine().elsewhere("catalog");
        let original = playground.join("catalog.git").display().to_string();
        own.machine().git("", &["clone", "--quiet", &original, catalog.to_str().unwrap()]);
        Self { own, catalog }
    }

    fn machine(&self) -> &Machine {
        self.own.machine()
    }

    /// The registry's `host:port`.
    fn registry(&self) -> String {
        let text = self.machine().read(self.catalog.join("catalog.toml"));
        let line = text.lines().find(|line| line.starts_with("registry = ")).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    }

    /// Adds to the catalog's `catalog.toml`, with these files, and publishes it.
    fn publish(&self, rules: &str, files: &[(&str, String)]) {
        let file = self.catalog.join("catalog.toml");
        let before = self.machine().read(&file);
        self.machine().write(&file, format!("{before}{rules}"));
        for (path, text) in files {
            self.machine().write(self.catalog.join(path), text);
        }
        self.machine().git(&self.catalog, &["add", "--all"]);
        self.machine().git(&self.catalog, &["commit", "--quiet", "-m", "Signatures"]);
        self.machine().git(&self.catalog, &["push", "--quiet"]);
    }

    fn join(&self) -> Run<'_> {
        let origin = self.machine().git(&self.catalog, &["remote", "get-url", "origin"]);
        self.machine().onramp("join").arg(origin.trim())
    }

    fn in_shop(&self, line: &str) -> Run<'_> {
        self.machine().onramp(line).dir("shop")
    }

    fn sign(&self, images: &str, key: &str) -> Run<'_> {
        self.machine().onramp(&format!("image sign {images} --key {key}")).env("COSIGN_PASSWORD", "s3cret")
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if self.machine().path("shop").exists() {
            let _ = self.in_shop("down --data --yes --quiet").code();
        }
    }
}

#[test]
fn nothing_unsigned_is_pulled_run_or_deployed_until_it_is_signed() {
    let company = Company::new();
    let machine = company.machine();
    let host = company.registry();
    machine.onramp("image sign --generate-key platform").env("COSIGN_PASSWORD", "s3cret").ok();
    let public = machine.read("platform.pub");
    company.publish(
        &format!("\n[[signature]]\nscope = \"{host}/base/**\"\nkeys = [\"keys/platform.pub\"]\n"),
        &[("keys/platform.pub", public)],
    );
    let joined = company.join().ok();
    assert!(joined.stderr.contains("/base/** signed by SHA256:"), "the keys are shown: {joined}");
    assert!(machine.read(machine.elsewhere("home/.config/onramp/keys.toml")).contains("keys/platform.pub"));

    machine.onramp("new php-web shop --defaults").ok();
    let lock = machine.read("shop/onramp.lock");
    for line in ["image pull", "up", "deploy test"] {
        if line == "deploy test" {
            company.in_shop("image lock").ok();
        }
        let refused = company.in_shop(line).fails(Class::Security);
        assert!(refused.stderr.contains("must be signed, and it has no signature"), "{line}: {refused}");
        assert!(refused.stderr.contains("next: onramp image sign 127.0.0.1:[PORT]/base/"), "{line}: {refused}");
        if line != "deploy test" {
            assert_eq!(machine.read("shop/onramp.lock"), lock, "{line} leaves the lock");
        }
    }

    let plan = company.in_shop("image pull --dry-run --json").ok().json();
    let present = |image: &serde_json::Value| image["present"] == true;
    assert!(!plan["images"].as_array().unwrap().iter().any(present), "the engine saw none of it: {plan}");

    machine.onramp("image verify php-apache:8.2").fails(Class::Security);
    company.sign("php-apache:8.2", "platform.key").env("COSIGN_PASSWORD", "wrong").fails(Class::Auth);
    company.sign("php-apache:8.2 mariadb:10.11", "platform.key").ok();
    machine.onramp("image verify php-apache:8.2").ok();
    company.in_shop("image pull").ok();
    company.in_shop("up").ok();

    // Apps, too: a new rule is more than was accepted.
    company.publish(&format!("\n[[signature]]\nscope = \"{host}/apps/*\"\nkeys = [\"keys/platform.pub\"]\n"), &[]);
    let waiting = company.in_shop("up").fails(Class::Security);
    assert!(waiting.stderr.contains("--accept-keys"), "{waiting}");
    company.join().fails(Class::Security);
    company.join().arg("--accept-keys").ok();
    company.in_shop("up").fails(Class::Security);
    company.sign(&declared_auth(machine), "platform.key").ok();
    company.in_shop("up").ok();

    machine.git("shop", &["add", "--all"]);
    machine.git("shop", &["commit", "--quiet", "--allow-empty", "-m", "Deploy it"]);
    let refused = company.in_shop("deploy test --json").fails(Class::Security).json();
    let next = refused["error"]["next"][1].as_str().unwrap().to_owned();
    assert!(next.starts_with("onramp image sign ") && next.contains("/apps/shop@sha256:"), "{refused}");
    assert!(machine.onramp("pr list --json").ok().json()["pulls"].as_array().unwrap().is_empty());
    let pushed = next.split_whitespace().nth(3).unwrap();
    company.sign(pushed, "platform.key").ok();
    let opened = company.in_shop("deploy test").ok();
    assert!(opened.stdout.starts_with("opened: #1 "), "{opened}");
}

/// The image of the app `auth` that production declares.
fn declared_auth(machine: &Machine) -> String {
    let state = machine.elsewhere("home/.local/share/onramp/playground/state.git");
    let file = "main:environments/production/auth.toml";
    let text = machine.git("", &["--git-dir", state.to_str().unwrap(), "show", file]);
    text.split('"').find(|part| part.contains("/apps/auth@sha256:")).unwrap().to_owned()
}

#[test]
fn a_key_is_made_once_and_used_with_its_passphrase() {
    let machine = Machine::new();
    let made = machine.onramp("image sign --generate-key keys/one").env("COSIGN_PASSWORD", "s3cret").ok();
    let key = regex::Regex::new(r"SHA256:\S+").unwrap();
    assert_snapshot!(key.replace(&made.stdout, "SHA256:[KEY]"), @r"
    keys/one.key: keep it secret
    keys/one.pub: SHA256:[KEY]
    ");
    let mode = std::os::unix::fs::PermissionsExt::mode(&machine.path("keys/one.key").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = machine.tree("keys");
    machine.onramp("image sign --generate-key keys/one").env("COSIGN_PASSWORD", "s3cret").fails(Class::Conflict);
    std::fs::remove_file(machine.path("keys/one.pub")).unwrap();
    machine.onramp("image sign --generate-key keys/one").env("COSIGN_PASSWORD", "s3cret").fails(Class::Conflict);
    assert_eq!(machine.read("keys/one.key").len(), before["one.key"].len() - "600 ".len());

    assert_snapshot!(machine.onramp("image sign r.test/a:1 --key keys/one.key").fails(Class::Usage), @r"
    --- stderr
    error: the key has a passphrase, and nobody is here to be asked for it
      hint: --passphrase-file names a file with it, COSIGN_PASSWORD holds it
    ");
    machine.write("passphrase", "wrong\n");
    let wrong = machine.onramp("image sign r.test/a:1 --key keys/one.key --passphrase-file passphrase");
    assert_snapshot!(wrong.fails(Class::Auth), @r"
    --- stderr
    error: the passphrase does not open keys/one.key
    ");
    machine.onramp("image sign --generate-key keys/two --dry-run").ok();
    assert!(!machine.path("keys/two.key").exists());
    machine.onramp("image sign --generate-key keys/three").fails(Class::Usage);
    assert!(!machine.path("keys/three.key").exists());
}

/// A catalog whose rules on signatures are these.
fn rules(catalog: &CatalogRepository, rules: &str) {
    let company = "schema = 1\n[company]\nname = \"Acme\"\nregistry = \"127.0.0.1:1\"\nstate = \"/state.git\"\n";
    catalog.file("catalog.toml", &format!("{company}[forge]\nkind = \"local\"\n{rules}"));
    catalog.git(&["add", "--all"]);
    catalog.git(&["commit", "--quiet", "--allow-empty", "-m", "Rules"]);
}

/// The text without the names of keys.
fn unkeyed(text: &str) -> String {
    regex::Regex::new(r"SHA256:[A-Za-z0-9+/]{43}").unwrap().replace_all(text, "SHA256:[KEY]").into_owned()
}

#[test]
fn keys_are_shown_and_kept_and_asked_for_again_when_they_change() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog").display().to_string();
    for name in ["one", "two"] {
        let line = format!("image sign --generate-key {root}/keys/{name}");
        machine.onramp(&line).env("COSIGN_PASSWORD", "").ok();
    }
    let rule = |keys: &str| format!("[[signature]]\nscope = \"r.test/base/**\"\nkeys = [{keys}]\n");
    let join = || machine.onramp("join").arg(&root);
    rules(&catalog, &rule(r#""keys/one.pub""#));
    let plan = join().arg("--dry-run").ok();
    assert_snapshot!(unkeyed(plan.stdout.lines().last().unwrap()), @"  r.test/base/** signed by SHA256:[KEY] keys/one.pub");
    let kept = machine.elsewhere("home/.config/onramp/keys.toml");
    assert!(!kept.exists(), "a dry run keeps nothing");
    join().ok();
    let first = machine.read(&kept);
    join().ok();
    assert_eq!(machine.read(&kept), first);
    assert_snapshot!(unkeyed(&machine.onramp("trust list").ok().stdout), @r"
    you allowed nothing to any template
    signatures of [MACHINE]/catalog
      r.test/base/** signed by SHA256:[KEY] keys/one.pub
    ");

    let settings = machine.read(machine.elsewhere("home/.config/onramp/settings.toml"));
    rules(&catalog, &rule(r#""keys/one.pub", "keys/two.pub""#));
    assert_snapshot!(unkeyed(&join().arg("--quiet").fails(Class::Security).stderr), @r"
    error: [MACHINE]/catalog says more about signatures than you accepted: r.test/base/** may be signed by SHA256:[KEY] (keys/two.pub)
      hint: nothing was changed. Ask the catalog's keepers whether it is theirs; --accept-keys accepts it
      next: onramp join [MACHINE]/catalog --accept-keys
    ");
    assert_eq!(machine.read(&kept), first);
    assert_eq!(machine.read(machine.elsewhere("home/.config/onramp/settings.toml")), settings);
    let document = join().arg("--dry-run").arg("--json").ok().json();
    assert_eq!(document["beyond"][0]["what"], "key");
    join().arg("--accept-keys").ok();
    assert_ne!(machine.read(&kept), first);

    // Fewer keys need no word; none at all does.
    rules(&catalog, &rule(r#""keys/one.pub""#));
    join().ok();
    assert_eq!(machine.read(&kept), first);
    rules(&catalog, "");
    let weaker = join().fails(Class::Security);
    assert!(weaker.stderr.contains("r.test/base/** needs no signature any more"), "{weaker}");

    // What was taken back is asked for like something new.
    rules(&catalog, &rule(r#""keys/one.pub""#));
    assert_snapshot!(unkeyed(&machine.onramp("trust revoke").arg(&root).ok().stdout), @r"
    these count no more until you accept them again:
    signatures of [MACHINE]/catalog
      r.test/base/** signed by SHA256:[KEY] keys/one.pub
    ");
    join().fails(Class::Security);
    machine.onramp("trust revoke").arg(&root).fails(Class::Usage);
}

#[test]
fn a_rule_that_is_wrong_is_shown_where_it_stands_and_nothing_is_taken_of_it() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog").display().to_string();
    rules(&catalog, "[[signature]]\nscope = \"r.test/**\"\nrequire_signatur = true\n");
    assert_snapshot!(machine.onramp("join").arg(&root).fails(Class::Config), @r"
    --- stderr
    error: catalog.toml of [MACHINE]/catalog at [COMMIT]:10:1: unknown key `require_signatur`
      hint: did you mean `require_signature`?
    ");
    rules(&catalog, "[[signature]]\nscope = \"r.test/**\"\nkeys = [\"keys/none.pub\"]\n");
    assert_snapshot!(machine.onramp("join").arg(&root).fails(Class::Config), @r"
    --- stderr
    error: catalog.toml of [MACHINE]/catalog at [COMMIT]:10:9: the catalog has no file `keys/none.pub`
    ");
    assert_snapshot!(machine.onramp("image verify r.test/a@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 --offline").fails(Class::Config), @r"
    --- stderr
    error: catalog.toml of [MACHINE]/catalog at [COMMIT]:10:9: the catalog has no file `keys/none.pub`
    ");
}

#[test]
fn only_the_users_own_catalog_says_whose_signatures_count() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let root = catalog.machine().elsewhere("catalog").display().to_string();
    let line = format!("image sign --generate-key {root}/keys/one");
    catalog.machine().onramp(&line).env("COSIGN_PASSWORD", "").ok();
    rules(&catalog, "[[signature]]\nscope = \"r.test/**\"\nkeys = [\"keys/one.pub\"]\n");
    let machine = catalog.machine();
    machine.write("shop/onramp.toml", format!("schema = 1\nname = \"shop\"\ncatalog = \"{root}\"\n"));
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let verify = format!("image verify r.test/a@sha256:{digest} --offline");
    let unknown = machine.onramp(&verify).dir("shop").unset("ONRAMP_CATALOG").fails(Class::Usage);
    assert!(unknown.stderr.contains("no key is known for r.test/a"), "{unknown}");
    // A catalog of the user's that was never fetched says nothing offline; once fetched, it does.
    machine.onramp(&verify).dir("shop").fails(Class::Usage);
    machine.onramp("catalog list").ok();
    machine.onramp(&verify).dir("shop").fails(Class::Net);
}
