//! The data of sandboxes: seeded once, cloned, saved, brought back; on the real engine.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

/// The products of the shop's database.
fn products(dev: &Developer, directory: &str) -> String {
    let run = dev.onramp("exec db -- mariadb shop -N -e").dir(directory).arg("SELECT COUNT(*) FROM products");
    run.ok().stdout.trim().to_owned()
}

fn forget(dev: &Developer, directory: &str) {
    dev.onramp("exec db -- mariadb shop -e").dir(directory).arg("DELETE FROM products").ok();
}

#[test]
fn seeds_go_in_once_and_every_later_sandbox_begins_with_a_clone() {
    let dev = Developer::new();
    dev.shop();
    // Seeds of its own: no other test made their golden copy.
    let seeds = dev.read("shop/db/seed.sql");
    dev.write("shop/db/seed.sql", format!("{seeds}-- {:?}\n", dev.path("shop")));
    dev.commit("Seeds of my own");
    let first = dev.in_shop("up").ok();
    assert!(!first.stderr.contains("clone"), "nobody seeded it before: {first}");
    assert_eq!(products(&dev, "shop"), "5");
    forget(&dev, "shop");

    dev.git("shop", &["worktree", "add", "--quiet", "-b", "feature", "../feature"]);
    dev.project("feature");
    let second = dev.onramp("up").dir("feature").ok();
    assert!(second.stderr.contains("clone   shop/db"), "{second}");
    assert_eq!(products(&dev, "feature"), "5", "as the seeds have it, not as the other sandbox does");
    assert_eq!(products(&dev, "shop"), "0");
    let log = dev.onramp("logs db").dir("feature").ok().stdout;
    assert!(!log.contains("seed.sql"), "its seeds were not applied again: {log}");

    dev.in_shop("down --data --yes").ok();
    assert_eq!(products(&dev, "feature"), "5", "what it lies on stays");
    dev.onramp("down --data --yes").dir("feature").ok();
    let left = engine::volumes_of(&dev.path(""));
    assert_eq!(left.len(), 2, "the golden copy and what it lies on: {left:?}");

    let layer = left.iter().find(|name| !name.starts_with("onramp.golden.")).unwrap();
    assert!(engine::remove_volume(layer));
    let anew = dev.in_shop("up").ok();
    assert!(!anew.stderr.contains("clone"), "a golden copy that lost what it lies on is none: {anew}");
    assert_eq!(products(&dev, "shop"), "5");
    dev.in_shop("down --data --yes").ok();
    assert!(dev.in_shop("up").ok().stderr.contains("clone   shop/db"), "and was made again");
}

#[test]
fn fresh_data_takes_over_only_when_the_service_answers_with_it() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    forget(&dev, "shop");
    let unasked = dev.in_shop("up --fresh").fails(Class::Usage);
    assert!(unasked.stderr.contains("Replace the data of shop/db?"), "{unasked}");
    assert_eq!(products(&dev, "shop"), "0");

    let good = dev.read("shop/db/seed.sql");
    dev.write("shop/db/seed.sql", "INSERT INTO nonsense VALUES (1);\n");
    let failed = dev.in_shop("up --fresh --yes --timeout 60s").fails(Class::Failed);
    assert!(failed.stderr.contains("the data of shop/db is as it was before"), "{failed}");
    dev.write("shop/db/seed.sql", good);
    dev.in_shop("up").ok();
    assert_eq!(products(&dev, "shop"), "0", "what was there is there again");

    dev.in_shop("up --fresh --yes").ok();
    assert_eq!(products(&dev, "shop"), "5");
    let mine = engine::data_of(&dev.path("shop"));
    assert_eq!(mine.len(), 1, "what it took over from is gone: {mine:?}");
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db"), "and nothing is left to do");
}

#[test]
fn a_snapshot_brings_the_data_back_in_every_sandbox_of_the_project() {
    let dev = Developer::new();
    dev.shop();
    assert!(dev.in_shop("snapshot save early").fails(Class::Usage).stderr.contains("has no data"));
    dev.in_shop("up").ok();
    dev.in_shop("snapshot save five").ok();
    assert_eq!(products(&dev, "shop"), "5", "it is up again");
    let twice = dev.in_shop("snapshot save five").fails(Class::Conflict);
    assert!(twice.stderr.contains("next: onramp snapshot rm five"), "{twice}");
    forget(&dev, "shop");
    dev.in_shop("snapshot save none").ok();

    let list = dev.in_shop("snapshot list --json").ok().json();
    let names: Vec<&str> =
        list["snapshots"].as_array().unwrap().iter().map(|snapshot| snapshot["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "five"], "the newest first");
    let unknown = dev.in_shop("snapshot restore fife").fails(Class::Usage);
    assert!(unknown.stderr.contains("it has: none, five"), "{unknown}");

    let plan = dev.in_shop("snapshot restore five --dry-run").ok();
    assert!(plan.stdout.contains("restore shop/db"), "{plan}");
    dev.in_shop("snapshot restore five --yes").ok();
    assert_eq!(products(&dev, "shop"), "5");
    dev.in_shop("snapshot restore none --yes").ok();
    assert_eq!(products(&dev, "shop"), "0");

    dev.git("shop", &["worktree", "add", "--quiet", "-b", "feature", "../feature"]);
    dev.project("feature");
    dev.onramp("snapshot restore none").dir("feature").ok();
    assert_eq!(products(&dev, "feature"), "0", "nothing was there to be asked about");

    dev.in_shop("snapshot rm none --yes").ok();
    assert_eq!(products(&dev, "feature"), "0", "it keeps what it was given");
    dev.in_shop("snapshot rm five --yes").ok();
    assert_eq!(dev.in_shop("snapshot list").ok().stdout, "no snapshots\n");
    dev.onramp("down --data --yes").dir("feature").ok();
    dev.in_shop("down --data --yes").ok();
    assert_eq!(engine::data_of(&dev.path("")), Vec::<String>::new());
}

#[test]
fn a_snapshot_holds_only_what_is_whole_and_of_now() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    dev.in_shop("snapshot save first").ok();
    // What a save of two services leaves that was cut off after the first of them.
    let volumes = engine::volumes_of(&dev.path("shop"));
    let first = volumes.iter().find(|name| engine::label_of(name, "dev.onramp.snapshot") == "first").unwrap();
    let cut_off = first.replace(".first.", ".second.");
    engine::imitate(first, &cut_off, &[("dev.onramp.snapshot", "second"), ("dev.onramp.parts", "shop/db,shop/search")]);
    forget(&dev, "shop");
    dev.in_shop("snapshot save second").ok();
    dev.in_shop("snapshot restore first --yes").ok();
    assert_eq!(products(&dev, "shop"), "5");
    dev.in_shop("snapshot restore second --yes").ok();
    assert_eq!(products(&dev, "shop"), "0", "the data of when it was saved, not of when it was cut off");

    let status = dev.in_shop("status --json").ok().json();
    let services = status["services"].as_array().unwrap();
    let db = services.iter().find(|service| service["service"] == "shop/db").unwrap();
    engine::kill(db["container"].as_str().unwrap());
    let torn = dev.in_shop("snapshot save torn").fails(Class::Failed);
    assert!(torn.stderr.contains("was ended by force"), "{torn}");
    assert_eq!(products(&dev, "shop"), "0", "it is up again");
    for name in ["first", "second"] {
        dev.in_shop(&format!("snapshot rm {name} --yes")).ok();
    }
}

#[test]
fn a_service_that_fails_beside_fresh_data_leaves_the_data_that_was_there() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    forget(&dev, "shop");
    let (manifest, seeds) = (dev.read("shop/onramp.toml"), dev.read("shop/db/seed.sql"));
    let image = manifest.lines().find(|line| line.starts_with("fallback")).unwrap();
    let side = format!("\n[services.side]\n{image}\nport = 1\ncommand = [\"sh\", \"-c\", \"sleep 2; exit 3\"]\n");
    dev.write("shop/onramp.toml", format!("{manifest}{side}"));
    dev.write("shop/db/seed.sql", format!("{seeds}-- beside {:?}\n", dev.path("shop")));
    let failed = dev.in_shop("up --fresh --yes").fails(Class::Failed);
    assert!(failed.stderr.contains("shop/side ended with exit code 3"), "{failed}");
    assert!(failed.stderr.contains("the data of shop/db is as it was before"), "{failed}");
    assert_eq!(engine::data_of(&dev.path("shop")).len(), 1);
    dev.write("shop/onramp.toml", manifest);
    dev.write("shop/db/seed.sql", seeds);
    dev.in_shop("up").ok();
    assert_eq!(products(&dev, "shop"), "0", "what was there is there again");
}

#[test]
fn data_on_many_layers_is_copied_when_it_is_saved_again() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    forget(&dev, "shop");
    dev.in_shop("down").ok();
    for i in 0..17 {
        dev.in_shop(&format!("snapshot save s{i}")).ok();
    }
    let layers = |name: &str| {
        let volumes = engine::volumes_of(&dev.path("shop"));
        let snapshot = volumes.iter().find(|volume| engine::label_of(volume, "dev.onramp.snapshot") == name);
        engine::label_of(snapshot.unwrap(), "dev.onramp.layers")
    };
    assert!(layers("s10").contains(','));
    assert!(!layers("s16").contains(','), "a copy of its own");
    dev.in_shop("snapshot restore s16 --yes").ok();
    assert_eq!(products(&dev, "shop"), "0");
    for i in 0..17 {
        dev.in_shop(&format!("snapshot rm s{i} --yes")).ok();
    }
}

#[test]
fn data_that_was_cut_off_is_healed_by_the_next_command() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    forget(&dev, "shop");
    for (i, line) in ["snapshot save cut", "snapshot restore whole --yes", "up --fresh --yes"].iter().enumerate() {
        if i == 1 {
            dev.in_shop("snapshot save whole").ok();
        }
        for event in ["create", "destroy", "start"] {
            let which = format!("dev.onramp.project-dir={}", dev.path("shop").canonicalize().unwrap().display());
            let mut killed = engine::until(event, ("label", &which), || dev.in_shop(line).start());
            killed.kill().unwrap();
            killed.wait().unwrap();
            dev.in_shop("up").ok();
            let now = products(&dev, "shop");
            assert!(now == "0" || (i == 2 && now == "5"), "{line}, killed at {event}: {now}");
            if i == 2 {
                forget(&dev, "shop");
            }
            assert_eq!(engine::data_of(&dev.path("shop")).len(), 1, "{line}, killed at {event}");
            if dev.in_shop("snapshot list").ok().stdout.contains("cut") {
                dev.in_shop("snapshot rm cut --yes").ok();
            }
        }
    }
    dev.in_shop("snapshot rm whole --yes").ok();
    dev.in_shop("down --data --yes").ok();
    assert_eq!(engine::data_of(&dev.path("shop")), Vec::<String>::new());
    let left = engine::volumes_of(&dev.path("shop"));
    assert!(
        left.iter().all(|name| !engine::label_of(name, "dev.onramp.golden").is_empty() || engine::lies_on(name)),
        "{left:?}"
    );
}
