//! `onramp join`: what a catalog writes into the user's settings is shown and checked first.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::run::Machine;

fn says(catalog: &CatalogRepository, mirrors: &str) {
    let company = "schema = 1\n[company]\nname = \"Acme\"\nregistry = \"127.0.0.1:1\"\nstate = \"/state.git\"\n";
    catalog.file("catalog.toml", &format!("{company}[forge]\nkind = \"local\"\n{mirrors}"));
    catalog.git(&["add", "--all"]);
    catalog.git(&["commit", "--quiet", "-m", "Mirrors"]);
}

#[test]
fn mirrors_are_shown_before_they_stand_in_the_settings() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog").display().to_string();
    let join = || machine.onramp("join").arg(&root);
    let mirror = |at: &str, rest: &str| format!("[mirrors.\"registry.acme.test\"]\nat = \"{at}\"\n{rest}");
    says(&catalog, &mirror("mirror.acme.test/hub", ""));
    assert_snapshot!(join().arg("--dry-run").ok().stdout, @r"
    [HOME]/.config/onramp/settings.toml
      catalog  [MACHINE]/catalog
      company  Acme
      registry 127.0.0.1:[PORT]
      state    /state.git
      forge    local
      mirror   mirror.acme.test/hub before registry.acme.test
    ");
    let settings = machine.elsewhere("home/.config/onramp/settings.toml");
    assert!(!settings.exists(), "a dry run writes nothing");
    join().ok();
    assert!(machine.read(&settings).contains("at = \"mirror.acme.test/hub\""));

    // Another one in its place, which is to be believed more, is told as such.
    says(&catalog, &mirror("other.acme.test", "tags = true\n"));
    let plan = join().arg("--dry-run").ok().stdout;
    assert_snapshot!(plan.lines().last().unwrap(), @"  mirror   other.acme.test before registry.acme.test, believed about tags, too (until now mirror.acme.test/hub)");
    let document = join().arg("--dry-run").arg("--json").ok().json();
    assert_eq!(document["mirrors"][0]["before"], "mirror.acme.test/hub");

    // What is no mirror stands nowhere.
    let before = machine.read(&settings);
    says(&catalog, &mirror("http://other.acme.test", ""));
    assert_snapshot!(join().fails(Class::Config), @r"
    --- stderr
    error: catalog.toml of [MACHINE]/catalog at [COMMIT]:9:6: `http://other.acme.test` is no mirror (host[:port][/path])
    ");
    says(&catalog, "[mirrors.\"https://registry.acme.test\"]\nat = \"other.acme.test\"\n");
    assert_snapshot!(join().fails(Class::Config), @r"
    --- stderr
    error: catalog.toml of [MACHINE]/catalog at [COMMIT]:8:2: `https://registry.acme.test` is no registry (host[:port])
    ");
    assert_eq!(machine.read(&settings), before);
}
