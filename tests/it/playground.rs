//! The playground itself. Base images are cached by their definition; each of these has a registry of its own.

use onramp::error::Class;

use crate::company::OwnPlayground;
use crate::engine;

#[test]
fn the_tour_plays_the_whole_day() {
    let own = OwnPlayground::up();
    let told = own.machine().onramp("playground tour").ok();
    let clock = regex::Regex::new(r"\d\d:\d\d:\d\d").unwrap();
    let commands: Vec<_> =
        told.stdout.lines().filter_map(|l| l.strip_prefix("$ ")).map(|c| clock.replace(c, "[CLOCK]")).collect();
    insta::assert_snapshot!(commands.join("\n"), @r"
    onramp join [HOME]/.local/share/onramp/playground/catalog.git
    onramp doctor
    onramp catalog list
    onramp new php-web shop --defaults
    cd shop
    onramp image pull
    onramp up
    curl http://127.0.0.1:[PORT]/
    sed -i 's/Our products/Our products, [CLOCK]/' src/index.php
    curl http://127.0.0.1:[PORT]/
    onramp test
    git commit --quiet --all --message 'Say when'
    onramp deploy test
    onramp pr show 1
    onramp pr merge 1
    onramp release status
    onramp down --data --yes
    ");
    assert!(told.stdout.contains("Fountain pen 49.00 €"), "{told}");
    assert!(!own.machine().elsewhere("home/.config/onramp").exists(), "the user's own settings stay as they are");
}

#[test]
fn what_is_broken_is_healed() {
    let own = OwnPlayground::up();
    let whole = own.machine().onramp("playground status --json").ok().json();
    assert_eq!(whole["whole"], true);
    assert_eq!(whole["apps"], serde_json::json!(["apps/auth", "apps/shop"]));
    let playground = own.machine().elsewhere("home/.local/share/onramp/playground");
    std::fs::remove_dir_all(playground.join("catalog.git")).unwrap();
    let container = whole["containers"][0].as_str().unwrap();
    engine::remove(container, whole["volumes"][0].as_str().unwrap());
    let broken = own.machine().onramp("playground status --json").fails(Class::Failed).json();
    assert_eq!(broken["whole"], false);
    own.machine().onramp("playground up").ok();
    let healed = own.machine().onramp("playground status --json").ok().json();
    assert_eq!(healed["images"], whole["images"], "the same digests, so that the declared state still holds");
    assert_eq!(healed["state"], whole["state"]);
}

#[test]
fn down_removes_exactly_what_is_ours() {
    let own = OwnPlayground::up();
    let foreign = format!("foreign-{}", std::process::id());
    engine::create_volume(&foreign);
    let refused = own.machine().onramp("playground down").fails(Class::Usage);
    assert!(refused.stderr.contains("--yes"), "{refused}");
    own.machine().onramp("playground down --yes --keep-images").ok();
    assert!(!own.machine().elsewhere("home/.local/share/onramp/playground").exists());
    assert!(engine::remove_volume(&foreign), "what is somebody else's stays");
    own.machine().onramp("playground status").fails(Class::Usage);
    own.machine().onramp("playground down --yes").fails(Class::Usage);
}
