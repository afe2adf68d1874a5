//! Snapshots through the registry, from one machine to another; on the real engine and registry.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

fn products(dev: &Developer) -> String {
    dev.in_shop("exec db -- mariadb shop -N -e").arg("SELECT COUNT(*) FROM products").ok().stdout.trim().to_owned()
}

/// A place of this test alone in the shared registry.
fn place(dev: &Developer, name: &str) -> String {
    let settings = dev.read(dev.elsewhere("home/.config/onramp/settings.toml"));
    let registry = settings.lines().find_map(|line| line.strip_prefix("registry = ")).unwrap().trim_matches('"').to_owned();
    let own = dev.path("").display().to_string().to_lowercase();
    let own: String = own.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{registry}/snapshots/{own}:{name}")
}

#[test]
fn a_snapshot_goes_to_another_machine_through_the_registry() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    dev.in_shop("exec db -- mariadb shop -e").arg("DELETE FROM products WHERE id > 3; CREATE TABLE a (b INT)").ok();
    dev.in_shop("snapshot save three").ok();
    let at = place(&dev, "three");
    let plan = dev.in_shop("snapshot push three --dry-run").ok();
    assert!(plan.stdout.contains("/snapshots/shop:three"), "the project's own place: {plan}");
    let pushed = dev.in_shop("snapshot push three --json").arg(&at).ok().json();
    assert!(pushed["sent"].as_u64().unwrap() > 1_000_000, "{pushed}");
    let again = dev.in_shop("snapshot push three --json").arg(&at).ok().json();
    assert_eq!((&again["sent"], &again["reference"]), (&0.into(), &pushed["reference"]), "the same bytes, none sent");

    dev.in_shop("snapshot save other").ok();
    let taken = dev.in_shop("snapshot push other").arg(&at).fails(Class::Conflict);
    assert!(taken.stderr.contains("is another snapshot already") && taken.stderr.contains("--replace"), "{taken}");

    // Another machine: another key, so other passwords, and a project that is cloned.
    let mut other = Developer::new();
    other.write(other.elsewhere("home/.local/state/onramp/sandbox.key"), [8; 32]);
    let origin = dev.path("shop").display().to_string();
    other.git("", &["clone", "--quiet", &origin, "shop"]);
    other.project("shop");
    other.set("ONRAMP_STATE", dev.elsewhere("state.git").display().to_string());
    other.in_shop("up").ok();
    assert_eq!(products(&other), "5");
    let plan = other.in_shop("snapshot pull --dry-run").arg(&at).ok();
    assert!(plan.stdout.contains("pull    shop/db (") && plan.stdout.contains("base/mariadb@sha256:"), "{plan}");
    other.in_shop("snapshot pull").arg(&at).ok();
    let list = other.in_shop("snapshot list").ok();
    assert!(list.stdout.contains(&format!("from {}", at.rsplit_once(':').unwrap().0)), "{list}");
    other.in_shop("snapshot restore three --yes").ok();
    assert_eq!(products(&other), "3");
    assert!(other.page("shop", "web", "/").starts_with("200"), "its services know the passwords that are in the data");
    assert!(other.in_shop("up").ok().stderr.contains("keep    shop/db"), "and go on with them");
    assert!(other.in_shop("snapshot pull").arg(&at).ok().stderr.contains("present"));

    // What is saved of it is the same for a third one, whose passwords are others again.
    other.in_shop("snapshot save handed-on").ok();
    let on = place(&dev, "handed-on");
    other.in_shop("snapshot push handed-on").arg(&on).ok();
    dev.in_shop("snapshot pull").arg(&on).ok();
    dev.in_shop("snapshot restore handed-on --yes").ok();
    assert_eq!(products(&dev), "3");

    let taken = other.in_shop("snapshot pull").arg(&on).arg("three").fails(Class::Conflict);
    assert!(taken.stderr.contains("next: onramp snapshot rm three"), "{taken}");
    let foreign = other.in_shop("snapshot pull").arg(place(&dev, "none")).fails(Class::Net);
    assert!(foreign.stderr.contains("none"), "{foreign}");
    for dev in [&dev, &other] {
        for name in ["three", "other", "handed-on"] {
            dev.in_shop(&format!("snapshot rm {name} --yes")).code();
        }
        dev.in_shop("down --data --yes").ok();
        let left = engine::volumes_of(&dev.path("shop"));
        let needed = |name: &String| !engine::label_of(name, "dev.onramp.golden").is_empty() || engine::lies_on(name);
        assert!(left.iter().all(needed), "{left:?}");
    }
}
