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
    dev.onramp("down").dir("feature").ok();
    dev.onramp("up").dir("feature").ok();
    let seeds = dev.onramp("exec db -- ls /docker-entrypoint-initdb.d").dir("feature").ok().stdout;
    assert_eq!(seeds, "", "a clone is whole: nothing is put in");

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

/// How many rows the named table has.
fn rows(dev: &Developer, table: &str) -> String {
    dev.in_shop("exec db -- mariadb shop -N -e")
        .arg(format!("SELECT COUNT(*) FROM {table}"))
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// Lets the shop's database be filled by this.
fn seeded(dev: &Developer, seed: &str) {
    let manifest = dev.read("shop/onramp.toml");
    let line = manifest.lines().find(|line| line.starts_with("seed = ")).unwrap();
    dev.write("shop/onramp.toml", manifest.replace(line, &format!("seed = {seed}")));
}

#[test]
fn packed_seeds_of_a_directory_go_in_and_a_cut_one_leaves_the_data_that_was_there() {
    use std::io::Write;
    let dev = Developer::new();
    dev.shop();
    let gzip = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    dev.write("shop/db/all/1-schema.sql.gz", gzip(&format!("CREATE TABLE a (b INT); -- {:?}\n", dev.path("shop"))));
    dev.write("shop/db/all/2-rows.sql.zst", zstd("INSERT INTO a VALUES (1), (2), (3);\n"));
    seeded(&dev, "[\"db/all\"]");
    dev.in_shop("up").ok();
    assert_eq!(rows(&dev, "a"), "3");
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db"));
    dev.in_shop("down --data --yes").ok();
    assert!(dev.in_shop("up").ok().stderr.contains("clone   shop/db"), "they have a golden copy");
    dev.write("shop/db/all/2-rows.sql.zst", zstd("INSERT INTO a VALUES (1);\n"));
    dev.in_shop("down --data --yes").ok();
    assert!(!dev.in_shop("up").ok().stderr.contains("clone   shop/db"), "others have another one");
    assert_eq!(rows(&dev, "a"), "1");

    let whole = zstd(&"INSERT INTO a VALUES (1);\n".repeat(1000));
    dev.write("shop/db/all/2-rows.sql.zst", &whole[..whole.len() / 2]);
    let cut = dev.in_shop("up --fresh --yes").fails(Class::Config);
    assert!(
        cut.stderr.contains("error: [WORK]/shop/db/all/2-rows.sql.zst cannot be unpacked: it ends in the middle"),
        "{cut}"
    );
    assert!(cut.stderr.contains("next: zstd -t [WORK]/shop/db/all/2-rows.sql.zst"), "{cut}");
    assert_eq!(rows(&dev, "a"), "1", "it runs as it did");
    assert_eq!(engine::data_of(&dev.path("shop")).len(), 1);
    dev.write("shop/db/all/2-rows.sql.zst", zstd("INSERT INTO a VALUES (1);\n"));
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db"), "nothing was touched");
}

#[test]
fn a_seed_command_runs_once_when_the_service_answers_and_its_failure_leaves_the_data_that_was_there() {
    let dev = Developer::new();
    dev.shop();
    let fill = |then: &str| {
        let sql = format!("CREATE TABLE a (b INT); INSERT INTO a VALUES (1), (2); -- {:?}", dev.path("shop"));
        format!("{{ command = ['sh', '-c', '''mariadb shop -e \"{}\"; {then}'''] }}", sql.replace('"', ""))
    };
    // The first one is killed in the middle: what it filled is nobody's data.
    seeded(&dev, &fill("sleep 600"));
    let label = format!("dev.onramp.project-dir={}", dev.path("shop").canonicalize().unwrap().display());
    let mut killed = engine::until("exec_start", ("label", &label), || dev.in_shop("up").start());
    killed.kill().unwrap();
    killed.wait().unwrap();
    seeded(&dev, &fill("true"));
    let up = dev.in_shop("up").ok();
    assert!(!up.stderr.contains("keep    shop/db"), "{up}");
    assert_eq!(rows(&dev, "a"), "2");
    assert_eq!(engine::data_of(&dev.path("shop")).len(), 1);
    assert_eq!(engine::volumes_of(&dev.path("shop")).iter().filter(|name| name.ends_with(".seeding")).count(), 0);
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db"), "it runs once: {up}");
    dev.in_shop("down --data --yes").ok();
    assert!(dev.in_shop("up").ok().stderr.contains("clone   shop/db"), "what it filled has a golden copy");

    dev.in_shop("exec db -- mariadb shop -e").arg("INSERT INTO a VALUES (3)").ok();
    seeded(&dev, &fill("echo there is no such thing >&2; exit 7"));
    let failed = dev.in_shop("up --fresh --yes").fails(Class::Failed);
    assert!(failed.stderr.contains("the seed command of shop/db failed: exit code 7"), "{failed}");
    assert!(failed.stderr.contains("there is no such thing"), "{failed}");
    assert!(failed.stderr.contains("the data of shop/db is as it was before"), "{failed}");
    dev.in_shop("up").ok();
    assert_eq!(rows(&dev, "a"), "3");
    assert_eq!(engine::volumes_of(&dev.path("shop")).iter().filter(|name| name.ends_with(".seeding")).count(), 0);

    dev.in_shop("down --data --yes").ok();
    let failed = dev.in_shop("up").fails(Class::Failed);
    assert!(failed.stderr.contains("the data of shop/db is none, as before"), "{failed}");
    assert_eq!(engine::data_of(&dev.path("shop")), Vec::<String>::new(), "what is half filled does not stay");
}
