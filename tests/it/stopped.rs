//! The engine's daemon stopped in the middle of a command: the command fails and says so, and the next one goes on.

use std::time::Instant;

use onramp::error::Class;

use crate::company::Developer;
use crate::own_engine::OwnEngine;
use crate::tiny;

/// In how many parts a command is cut by the moments at which the daemon is stopped.
const PARTS: u32 = 4;

#[test]
fn a_daemon_that_stops_in_the_middle_is_told_and_the_next_command_goes_on() {
    let mut dev = Developer::new();
    let base = tiny::small(&dev);
    let mut engine = OwnEngine::start_in(&dev.elsewhere("engine"));
    dev.set("DOCKER_HOST", engine.host());
    let idle = format!("[services.web]\nimage = \"{base}\"\ncommand = {}\nneeds = [\"db\"]\n", tiny::IDLE);
    dev.write("tiny/onramp.toml", format!("schema = 1\nname = \"tiny\"\n{}{idle}", tiny::database(&base)));
    dev.write("tiny/seed.sql", "seeded\n");
    let run = |line: &str| dev.onramp(line).dir("tiny");
    run("up").ok();
    tiny::write(&dev, "tiny", "mine", "my own");
    let lengths = ["down", "up"].map(|line| {
        let begun = Instant::now();
        run(line).ok();
        (line, begun.elapsed())
    });
    for part in 1..PARTS {
        for (line, length) in lengths {
            let command = run(line).piped();
            // The moment is what this is about.
            std::thread::sleep(length * part / PARTS);
            engine.stop();
            let output = command.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            // It may have been through, or a service have been ended with the daemon.
            let told = [Class::Env, Class::Failed].map(|class| Some(i32::from(class.exit_code())));
            assert!(code == Some(0) || told.contains(&code), "{line} ended with {code:?}: {said}");
            if code != Some(0) {
                assert!(said.contains("error: "), "{said}");
            }
            let without = run("status").fails(Class::Env);
            assert!(without.stderr.contains("no engine answers at"), "{without}");
            engine.start();
        }
        run("up").ok();
        assert_eq!(tiny::read(&dev, "tiny", "mine"), "my own");
        assert!(run("up").ok().stderr.contains("keep    tiny/db, tiny/web"));
        assert_eq!(engine.says("ps --quiet --all").len(), 2);
        assert_eq!(engine.says("network ls --quiet --filter label=dev.onramp.owner").len(), 1);
    }
    run("down --data --yes").ok();
    assert_eq!(engine.says("ps --quiet --all"), Vec::<String>::new());
    assert_eq!(engine.says("volume ls --quiet --filter label=dev.onramp.sandbox"), Vec::<String>::new());
}
