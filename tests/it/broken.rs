//! Bad input and broken surroundings: each with its class, its message and the next command.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use onramp::error::Class;

use crate::company::Developer;
use crate::run::Machine;

const MINIMAL: &str = "schema = 1\nname = \"shop\"\n\n[services.web]\nimage = \"127.0.0.1:1/base/php:8\"\n";

/// A machine with one project, whose `onramp.toml` this is.
fn project(text: &str) -> Machine {
    let machine = Machine::new();
    machine.write("shop/onramp.toml", text);
    machine
}

/// An engine that answers every request with this body and status, at a socket in the machine.
fn engine(machine: &mut Machine, answer: impl Fn(&str) -> (u16, String) + Send + 'static) {
    let path = machine.elsewhere("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 2048];
            let read = stream.read(&mut head).unwrap_or(0);
            let request = String::from_utf8_lossy(&head[..read]).into_owned();
            let (status, body) = answer(request.lines().next().unwrap_or_default());
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    machine.set("DOCKER_HOST", format!("unix://{}", path.display()));
}

#[test]
fn no_engine() {
    let machine = project(MINIMAL);
    let told = machine.onramp("up").dir("shop").fails(Class::Env);
    insta::assert_snapshot!(told, @r"
    --- stderr
    note: no state repository is set, so the sandbox has only what onramp.toml says (`onramp join` sets one)
    error: no engine answers at unix:///nonexistent/docker.sock: no such socket
      hint: onramp runs sandboxes with Docker Engine 20.10 or newer, or Podman's socket
      next: systemctl start docker
      next: onramp doctor
    ");
    let error = machine.onramp("status --json").dir("shop").fails(Class::Env).json();
    assert_eq!(error["error"]["class"], "ENV");
}

#[test]
fn an_engine_that_is_too_old() {
    let mut machine = project(MINIMAL);
    engine(&mut machine, |_| (200, r#"{"ApiVersion":"1.24","Version":"1.12"}"#.to_owned()));
    let told = machine.onramp("status").dir("shop").fails(Class::Env);
    assert!(told.stderr.contains("speaks API 1.24, onramp needs 1.40 or newer"), "{told}");
}

#[test]
fn an_engine_that_is_too_new() {
    let mut machine = project(MINIMAL);
    engine(&mut machine, |line| {
        if line.contains("/version") {
            return (200, r#"{"ApiVersion":"9.10","MinAPIVersion":"9.0"}"#.to_owned());
        }
        (400, r#"{"message":"client version 1.53 is too old. Minimum supported API version is 9.0"}"#.to_owned())
    });
    let told = machine.onramp("status").dir("shop").fails(Class::Env);
    assert!(told.stderr.contains("client version 1.53 is too old"), "{told}");
}

#[test]
fn a_registry_that_is_down() {
    let machine = Machine::new();
    let told = machine.onramp("image inspect 127.0.0.1:1/base/php:8").fails(Class::Net);
    assert!(told.stderr.contains("cannot reach the registry 127.0.0.1:[PORT]"), "{told}");
    assert!(told.stderr.contains("next: onramp doctor"), "{told}");
}

#[test]
fn a_registry_that_answers_another_digest() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 2048]);
            let body = r#"{"schemaVersion":2}"#;
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    });
    let digest = "0".repeat(64);
    let machine = Machine::new();
    let told =
        machine.onramp(&format!("image inspect 127.0.0.1:{port}/base/php@sha256:{digest}")).fails(Class::Security);
    assert!(told.stderr.contains("with other bytes: expected sha256:[DIGEST], received sha256:[DIGEST]"), "{told}");
}

#[test]
fn a_manifest_that_is_malformed_empty_or_huge() {
    for (text, message) in [
        ("schema = 1\nname = \n", "[WORK]/shop/onramp.toml:2:8: "),
        ("", "[WORK]/shop/onramp.toml:1:1: schema is missing"),
        ("schema = 9\nname = \"shop\"\n", "has schema 9; this onramp knows schema 1"),
        (&format!("# {}\n", "x".repeat(1_100_000)), "onramp.toml is larger than 1.0 MB"),
    ] {
        let told = project(text).onramp("status").dir("shop").fails(Class::Config);
        assert!(told.stderr.contains(message), "{message}: {told}");
    }
}

#[test]
fn an_unknown_key_is_asked_about() {
    let told = project(&MINIMAL.replace("image", "imgae")).onramp("up").dir("shop").fails(Class::Config);
    insta::assert_snapshot!(told, @r"
    --- stderr
    error: [WORK]/shop/onramp.toml:5:1: unknown key `imgae`
      hint: did you mean `image`?
    ");
}

#[test]
fn needs_that_loop_or_name_nobody() {
    let mut machine = Machine::new();
    machine.on_engine();
    let services = "[services.b]\nimage = \"127.0.0.1:1/base/php:8\"\nneeds = [\"web\"]\n";
    machine.write("shop/onramp.toml", format!("{MINIMAL}needs = [\"b\"]\n{services}"));
    let told = machine.onramp("up").dir("shop").fails(Class::Config);
    assert!(told.stderr.contains("services need each other in a circle: shop/b → shop/web → shop/b"), "{told}");
    machine.write("shop/onramp.toml", format!("{MINIMAL}needs = [\"wbe\"]\n"));
    let told = machine.onramp("up").dir("shop").fails(Class::Config);
    assert!(told.stderr.contains("shop/web needs shop/wbe, which production does not declare"), "{told}");
    assert!(told.stderr.contains("did you mean `shop/web`?"), "{told}");
}

#[test]
fn a_port_that_is_taken() {
    let dev = Developer::new();
    dev.shop();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let manifest = dev.read("shop/onramp.toml").replace("port = 80\n", &format!("port = 80\npublish = {port}\n"));
    dev.write("shop/onramp.toml", manifest);
    let told = dev.in_shop("up").fails(Class::Conflict);
    assert!(told.stderr.contains(&format!("port {port} on 127.0.0.1 is already taken")), "{told}");
    assert!(told.stderr.contains(&format!("next: ss -ltnp 'sport = :{port}'")), "{told}");
    drop(taken);
    dev.in_shop("up").ok();
    assert_eq!(dev.port("shop", "shop/web"), port);
}

#[test]
fn a_database_that_ends_at_once() {
    let dev = Developer::new();
    dev.shop();
    dev.write("shop/db/seed.sql", "INSERT INTO nowhere VALUES (1);\n");
    let told = dev.in_shop("up").fails(Class::Failed);
    assert!(told.stderr.contains("shop/db ended with exit code"), "{told}");
    assert!(told.stderr.contains("nowhere"), "the database's own words: {told}");
    assert!(told.stderr.contains("next: onramp logs shop/db"), "{told}");
}

#[test]
fn a_service_that_never_answers() {
    let dev = Developer::new();
    dev.shop();
    // What it needs is there already: the three seconds are its own.
    dev.in_shop("up").ok();
    let manifest = dev.read("shop/onramp.toml").replace("/health", "/nothing-here");
    dev.write("shop/onramp.toml", manifest);
    let told = dev.in_shop("up --timeout 3s").fails(Class::Failed);
    assert!(told.stderr.contains("shop/web was not ready after 3 s: GET /nothing-here → 404"), "{told}");
}

#[test]
fn a_state_repository_that_is_unreachable() {
    let mut machine = project(MINIMAL);
    machine.on_engine().set("ONRAMP_STATE", "/nonexistent/state.git");
    let told = machine.onramp("up").dir("shop").fails(Class::Net);
    assert!(told.stderr.contains("cannot reach /nonexistent/state.git"), "{told}");
    assert!(told.stderr.contains("next: git ls-remote /nonexistent/state.git"), "{told}");
    let offline = machine.onramp("up --offline").dir("shop").fails(Class::Net);
    assert!(offline.stderr.contains("was never fetched, and --offline forbids it"), "{offline}");
}

#[test]
fn an_environment_that_is_not_declared() {
    let dev = Developer::new();
    dev.shop();
    let told = dev.in_shop("up --env produciton").fails(Class::Usage);
    assert!(told.stderr.contains("did you mean `production`?"), "{told}");
}

#[test]
fn a_deployment_outside_of_git() {
    let dev = Developer::new();
    dev.write("plain/onramp.toml", MINIMAL);
    let told = dev.onramp("deploy test").dir("plain").fails(Class::Usage);
    assert!(told.stderr.contains("is not in a git repository"), "{told}");
    assert!(told.stderr.contains("next: git init"), "{told}");
}

#[test]
fn no_project() {
    let told = Machine::new().onramp("up").fails(Class::Usage);
    assert!(told.stderr.contains("no onramp.toml there or above"), "{told}");
}

#[test]
fn a_sync_that_leads_out_of_the_project() {
    let dev = Developer::new();
    dev.shop();
    std::os::unix::fs::symlink("/etc", dev.path("shop/etc")).unwrap();
    let manifest = dev.read("shop/onramp.toml").replace("\"src\" = ", "\"etc\" = \"/mnt\", \"src\" = ");
    dev.write("shop/onramp.toml", manifest);
    let told = dev.in_shop("up").fails(Class::Security);
    assert!(told.stderr.contains("etc leads outside [WORK]/shop"), "{told}");
}
