//! Sandboxes where there is no room: on the engine's disk, or for onramp's own files.

use std::io::Write;
use std::process::Command;

use onramp::error::Class;

use crate::company::Developer;
use crate::full_disk::SmallDisk;
use crate::own_engine::OwnEngine;
use crate::tiny;

/// A project whose database is seeded with so many megabytes.
fn seeded(dev: &Developer, megabytes: usize) {
    dev.write("tiny/onramp.toml", format!("schema = 1\nname = \"tiny\"\n{}", tiny::database(&tiny::small(dev))));
    dev.write("tiny/seed.sql", format!("{megabytes} {}\n", ".".repeat(megabytes << 20)));
}

#[test]
fn an_engine_whose_disk_gets_full_while_it_seeds_is_told_and_the_data_is_as_it_was() {
    let mut dev = Developer::new();
    let place = dev.elsewhere("engine");
    let Some(_disk) = SmallDisk::mount(&place, "130m") else { return };
    let own = OwnEngine::start_in(&place);
    dev.set("DOCKER_HOST", own.host());
    let up = |line: &str| dev.onramp(line).dir("tiny");
    let first = |dev: &Developer| tiny::read(dev, "tiny", "seed").split(' ').next().unwrap().to_owned();
    let full = |line: &str| {
        let told = up(line).fails(Class::Io);
        assert!(told.stderr.contains("error: the engine's disk is full: tiny/db ended with exit code"), "{told}");
        // Where the disk is full, its last words are not kept either.
        assert!(told.stderr.contains("/engine/data; once there is room, `onramp up` goes on"), "{told}");
        assert!(told.stderr.contains("next: onramp list --size"), "{told}");
        let volumes = own.says("volume ls -q");
        assert!(volumes.iter().all(|name| !name.starts_with("onramp.golden.")), "{volumes:?}");
        told
    };

    // Its seeds fit, and their copy does not.
    seeded(&dev, 70);
    let told = full("up");
    assert!(told.stderr.contains("the data of tiny/db is none, as before"), "{told}");
    assert_eq!(own.says("volume ls -q"), Vec::<String>::new(), "no half of it is left");

    seeded(&dev, 1);
    up("up").ok();
    assert_eq!(first(&dev), "1", "it is healed");
    tiny::write(&dev, "tiny", "mine", "my own");
    let golden = own.says("volume ls -q").into_iter().filter(|name| name.starts_with("onramp.golden.")).count();
    assert_eq!(golden, 1);

    // What takes the room is shown.
    let listed = up("list --size --json").ok().json();
    let room = &listed["sandboxes"][0]["room"];
    let bytes = |what: &str| room[what].as_u64().unwrap();
    assert!((1 << 20..2 << 20).contains(&bytes("golden")), "{room}");
    assert!(bytes("data") < 1 << 20 && bytes("data") > 0, "what it wrote on its own: {room}");
    assert_eq!((bytes("shared"), bytes("snapshots"), bytes("images")), (bytes("golden"), 0, 0), "{room}");
    let told = up("list --size").ok().stdout;
    assert!(told.contains(" data, 1.0 MB golden copies, 1.0 MB shared with others\n"), "{told}");
    assert!(!up("list --json").ok().stdout.contains("room"), "only where it is asked");

    seeded(&dev, 70);
    let told = up("up --fresh --yes").fails(Class::Io);
    assert!(told.stderr.contains("the data of tiny/db is as it was before"), "{told}");
    let grown = Command::new("mount").args(["-o", "remount,size=400m"]).arg(&place).status().unwrap();
    assert!(grown.success());
    up("up").ok();
    assert_eq!((first(&dev), tiny::read(&dev, "tiny", "mine")), ("1".to_owned(), "my own".to_owned()));
    up("up --fresh --yes").ok();
    assert_eq!(first(&dev), "70", "and there was room");
    up("down --data --yes").ok();
}

#[test]
fn without_room_for_its_own_files_onramp_says_so_and_touches_nothing() {
    let mut dev = Developer::new();
    dev.write("tiny/onramp.toml", format!("schema = 1\nname = \"tiny\"\n{}", tiny::database(&tiny::base(&dev))));
    dev.write("tiny/seed.sql", "1\n");
    dev.project("tiny");
    dev.onramp("up").dir("tiny").ok();
    let state = dev.elsewhere("small");
    let Some(_disk) = SmallDisk::mount(&state, "64k") else { return };
    let usual = dev.environment()["XDG_STATE_HOME"].clone();
    dev.set("XDG_STATE_HOME", state.display().to_string());
    std::fs::create_dir_all(state.join("onramp")).unwrap();
    std::fs::copy(format!("{usual}/onramp/sandbox.key"), state.join("onramp/sandbox.key")).unwrap();
    // Another program takes all that there is.
    let mut others = std::fs::File::create(state.join("others")).unwrap();
    while others.write_all(&[0; 512]).is_ok() {}
    for line in ["up", "up --fresh --yes", "snapshot save kept", "down"] {
        let told = dev.onramp(line).dir("tiny").fails(Class::Io);
        assert!(told.stderr.contains("No space left on device") && told.stderr.contains("/small/onramp/"), "{told}");
    }
    dev.set("XDG_STATE_HOME", usual);
    assert_eq!(tiny::read(&dev, "tiny", "seed"), "1", "it runs as it did");
    assert!(dev.onramp("up").dir("tiny").ok().stderr.contains("keep    tiny/db"));
}
