//! `egress`: what a service reaches outside, and nothing else. What is reached listens on addresses of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use onramp::error::Class;
use rustix::process::{Pid, Signal, kill_process};

use crate::company::Developer;
use crate::engine;
use crate::run::Run;

/// Something on this machine that says the same to everybody, until the test ends. No other test has the address.
fn speaker(host: &str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    address
}

/// A developer whose service `web` reaches these.
fn reaching(endpoints: &[String]) -> Developer {
    let dev = Developer::new();
    dev.shop();
    reach(&dev, endpoints);
    dev
}

fn reach(dev: &Developer, endpoints: &[String]) {
    let manifest = dev.read("shop/onramp.toml");
    let others = manifest.lines().filter(|line| !line.starts_with("egress")).collect::<Vec<_>>().join("\n");
    dev.write("shop/onramp.toml", others.replacen("port = 80\n", &format!("port = 80\negress = {endpoints:?}\n"), 1));
}

/// What `web` is answered: the status and the body. Status 0 is no answer at all.
fn get(dev: &Developer, url: &str, how: &str) -> (u16, String) {
    let run = dev.in_shop(&format!("exec web -- curl -sS -m 20 -w %{{http_code}} {how}")).arg(url);
    let said = run.outcome().1.stdout;
    let (body, status) = said.split_at(said.len().saturating_sub(3));
    (status.parse().unwrap_or_else(|_| panic!("{said}")), body.to_owned())
}

/// Where the gate of the project's sandbox listens; none where it has ended.
fn gate(dev: &Developer) -> Option<SocketAddr> {
    let status = dev.in_shop("status --json").ok().json();
    status["gate"]["listens"].as_str().map(|address| address.parse().unwrap())
}

/// What somebody is answered who asks the gate for a way.
fn asked(gate: SocketAddr, target: SocketAddr) -> String {
    let mut stream = TcpStream::connect_timeout(&gate, Duration::from_secs(20)).unwrap();
    let mut answer = String::new();
    // It may have closed the connection by then.
    let _ = stream.write_all(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes());
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn what_is_named_is_reached_and_nothing_else() {
    let (named, other) = (speaker("127.0.0.9"), speaker("127.0.0.9"));
    let dev = reaching(&[named.to_string(), format!("localhost:{}", named.port())]);
    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains(&format!("reach   localhost:{0} 127.0.0.9:{0} from shop/web", named.port())), "{up}");

    let hello = (200, "hello".to_owned());
    assert_eq!(get(&dev, &format!("http://{named}/"), "--"), hello);
    assert_eq!(get(&dev, &format!("http://{named}/"), "--proxytunnel"), hello, "as https goes");
    let (status, body) = get(&dev, &format!("http://{other}/"), "--");
    assert_eq!((status, body), (403, format!("onramp: `egress` does not name {other}\n")), "another port");
    let (status, body) = get(&dev, &format!("http://127.0.0.8:{}/", named.port()), "--");
    assert_eq!((status, body.contains("does not name 127.0.0.8")), (403, true), "another host: {body}");
    let (status, body) = get(&dev, "http://169.254.169.254/latest/meta-data/", "--");
    assert_eq!((status, body.contains("does not name 169.254.169.254:80")), (403, true), "{body}");
    let (status, body) = get(&dev, &format!("http://localhost:{}/", named.port()), "--noproxy x");
    assert_eq!((status, body.contains("is this machine's own")), (403, true), "a name that leads here: {body}");
    let around =
        dev.in_shop("exec web -- curl -sS -m 5 -o /dev/null --noproxy *").arg(format!("http://{named}/")).code();
    assert!([7, 28].contains(&around), "there is no way around the gate: {around}");
    assert!(dev.page("shop", "shop/web", "/").contains("Signed in as <strong>ada</strong>"), "not for its needs");

    let status = dev.in_shop("status").ok().stdout;
    assert!(status.contains(&format!("  shop/web reaches localhost:{0}, 127.0.0.9:{0}\n", named.port())), "{status}");
    let parity = dev.in_shop("parity --json").ok().json().to_string();
    assert!(parity.contains(&format!("egress.{named}")) && !parity.contains("_PROXY"), "{parity}");

    reach(&dev, &[other.to_string()]);
    dev.in_shop("up").ok();
    assert_eq!(get(&dev, &format!("http://{other}/"), "--"), hello);
    assert_eq!(get(&dev, &format!("http://{named}/"), "--").0, 403, "what is not named any more");
    reach(&dev, &[]);
    dev.in_shop("up").ok();
    assert_eq!(gate(&dev), None);
    assert!(!dev.in_shop("exec web -- printenv").ok().stdout.contains("_PROXY"));
}

/// A run of a shell's line in a service.
fn ask<'a>(dev: &'a Developer, service: &str, line: &str) -> Run<'a> {
    dev.in_shop("exec").arg(service).arg("--").arg("bash").arg("-c").arg(line)
}

#[test]
fn nobody_else_uses_a_gate_and_nothing_is_left_of_it() {
    let named = speaker("127.0.0.10");
    let dev = reaching(&[named.to_string()]);
    dev.in_shop("up").ok();
    let open = gate(&dev).unwrap();
    assert_eq!(asked(open, named), "", "not a program of this machine");
    let said = format!("CONNECT {named} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n");
    let line = format!("exec 3<>/dev/tcp/{}/{}; printf '{said}' >&3; cat <&3", open.ip(), open.port());
    assert!(ask(&dev, "web", &line).ok().stdout.ends_with("hello"));
    let refused = ask(&dev, "db", &line).ok().stdout;
    assert!(
        refused.starts_with("HTTP/1.1 403 Forbidden") && !refused.contains("hello"),
        "not another service: {refused}"
    );

    let stranger = Developer::new();
    stranger.shop();
    stranger.in_shop("up").ok();
    assert_ne!(ask(&stranger, "web", &line).code(), 0, "another sandbox has no way there");
    let manifest = stranger.read("shop/onramp.toml");
    stranger.write("shop/onramp.toml", format!("{manifest}\n[sandbox]\negress = true\n"));
    stranger.in_shop("up").ok();
    assert_eq!(ask(&stranger, "web", &line).outcome().1.stdout, "", "and is told nothing where it has one");

    dev.in_shop("down").ok();
    assert!(!listens(open.port(), &open), "nothing listens there any more");
}

#[test]
fn a_killed_gate_is_told_and_opened_again() {
    let named = speaker("127.0.0.11");
    let dev = reaching(&[named.to_string()]);
    dev.in_shop("up").ok();
    let open = gate(&dev).unwrap();
    let record = dev.elsewhere("home/.local/state/onramp/gates").join(engine::sandbox_of(&dev.path("shop")).as_str());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let number = i32::try_from(record["process"]["number"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();

    // The system closes what it listened on before its end can be seen.
    assert_eq!(gate(&dev), None);
    let status = dev.in_shop("status").ok().stdout;
    assert!(status.contains("the gate to them is gone; `onramp up` opens it again"), "{status}");
    let list = dev.in_shop("list").ok().stdout;
    assert!(list.contains("3 up, its gate is gone"), "{list}");
    assert_eq!(get(&dev, &format!("http://{named}/"), "--").0, 0);

    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("keep    shop/db, auth/api, shop/web"), "{up}");
    assert_eq!(gate(&dev), Some(open));
    assert_eq!(get(&dev, &format!("http://{named}/"), "--"), (200, "hello".to_owned()));
    dev.in_shop("up").ok();
    assert_eq!(gate(&dev), Some(open), "one that runs stays");
}

#[test]
fn a_killed_up_leaves_no_gate_that_the_next_command_does_not_end() {
    let dev = reaching(&[speaker("127.0.0.13").to_string()]);
    let id = engine::sandbox_of(&dev.path("shop"));
    let container = id.container(&"shop".parse().unwrap(), &"db".parse().unwrap());
    let mut up = engine::until("start", ("container", &container), || dev.in_shop("up").start());
    up.kill().unwrap();
    up.wait().unwrap();
    let record = dev.elsewhere("home/.local/state/onramp/gates").join(id.as_str());
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let open: SocketAddr = told["address"].as_str().unwrap().parse().unwrap();
    assert!(listens(open.port(), &open), "it was there before the first service");
    dev.in_shop("down").ok();
    assert!(!listens(open.port(), &open) && !record.exists());
}

#[test]
fn a_gate_ends_with_its_network() {
    let dev = reaching(&[speaker("127.0.0.12").to_string()]);
    dev.in_shop("up").ok();
    let open = gate(&dev).unwrap();
    let mut connection = TcpStream::connect(open).unwrap();
    let id = engine::sandbox_of(&dev.path("shop"));
    for container in engine::containers(&format!("{}.", id.network())) {
        engine::remove_container(&container);
    }
    engine::remove_network(&id.network());
    // Its end is the end of this connection, or that was at once.
    let _ = connection.read(&mut [0; 1]);
    dev.in_shop("down").ok();
    assert!(!listens(open.port(), &open));
}

#[test]
fn mistakes_are_told_where_they_are() {
    let dev = reaching(&["*.stripe.com:443".to_owned()]);
    let told = dev.in_shop("up").fails(Class::Config).stderr;
    assert!(told.contains("`*.stripe.com:443` is no host and port: each host is named, `*` stands for none"), "{told}");
    reach(&dev, &["api.stripe.com:443".to_owned()]);
    let manifest = dev.read("shop/onramp.toml");
    dev.write("shop/onramp.toml", format!("{manifest}\n[sandbox]\negress = true\n"));
    let told = dev.in_shop("up").fails(Class::Config).stderr;
    assert!(told.contains("`egress` names hosts while `[sandbox] egress = true` opens all: keep one"), "{told}");
}

/// Whether something of this machine listens at an address.
fn listens(port: u16, address: &SocketAddr) -> bool {
    let std::net::IpAddr::V4(address) = address.ip() else { panic!("a gate has an IPv4 address") };
    let place = format!("{:08X}:{port:04X}", u32::from_ne_bytes(address.octets()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Field 1 is the local address, field 3 the state; 0A is LISTEN.
    fields.into_iter().any(|fields| fields[3] == "0A" && fields[1] == place)
}
