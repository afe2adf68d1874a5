//! `[sandbox] hostnames`: services by their names, as curl finds them, through the router of a machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use onramp::sandbox::reaper::Process;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::company::Developer;
use crate::engine;

/// A server of a few lines that tells what it was sent, and echoes where another protocol is asked for.
const ECHO: &str = r#"<?php
pcntl_signal(SIGCHLD, SIG_IGN);
$server = stream_socket_server('tcp://0.0.0.0:9000');
while (true) {
    $client = @stream_socket_accept($server, -1);
    if (!$client) { continue; }
    if (pcntl_fork() > 0) { fclose($client); continue; }
    $head = '';
    while (!str_contains($head, "\r\n\r\n") && ($line = fgets($client)) !== false) { $head .= $line; }
    if (preg_match('/^upgrade: echo\r$/mi', $head)) {
        fwrite($client, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        while (($line = fgets($client)) !== false) { fwrite($client, strtoupper($line)); }
        exit;
    }
    $body = preg_match('/^content-length: (\d+)/mi', $head, $m) && $m[1] ? stream_get_contents($client, (int) $m[1]) : '';
    if (preg_match('/^transfer-encoding: chunked/mi', $head)) {
        while (!str_ends_with($body, "0\r\n\r\n")) { $body .= fgets($client); }
    }
    $said = json_encode(['head' => $head, 'body' => $body]);
    fwrite($client, "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($said) . "\r\nConnection: close\r\nKeep-Alive: 5\r\n\r\n$said");
    exit;
}
"#;

/// A developer whose project has names, and a service that echoes if it is wanted.
fn named(echo: bool) -> Developer {
    let dev = Developer::new();
    dev.shop();
    let mut manifest = dev.read("shop/onramp.toml");
    if echo {
        let base = manifest.split("base = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        manifest.push_str(&format!(
            "\n[services.echo]\nimage = \"{base}\"\ncommand = [\"php\", \"/srv/echo.php\"]\nport = 9000\n\
             ready = {{ http = \"/\" }}\nsync = {{ \"echo\" = \"/srv\" }}\n"
        ));
        dev.write("shop/echo/echo.php", ECHO);
    }
    manifest.push_str("\n[sandbox]\nhostnames = true\n");
    dev.write("shop/onramp.toml", manifest);
    dev
}

/// The URL of a service's name, as `status` tells it.
fn url(dev: &Developer, directory: &str, service: &str) -> String {
    let status = dev.onramp("status --json").dir(directory).ok().json();
    let services = status["services"].as_array().unwrap();
    let found = services.iter().find(|found| found["service"] == service).unwrap();
    found["named"].as_str().unwrap_or_else(|| panic!("{service} in {status}")).to_owned()
}

/// The certificate that is to be trusted.
fn authority(dev: &Developer) -> String {
    dev.onramp("hostnames ca --json").ok().json()["path"].as_str().unwrap().to_owned()
}

/// What curl is answered: its own exit code, the status and the body.
fn curl(dev: &Developer, arguments: &[&str]) -> (i32, u16, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "60", "-w", "%{http_code}", "--cacert", &authority(dev)]).args(arguments);
    let told = command.env_clear().output().expect("curl is installed");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let (body, status) = said.split_at(said.len() - 3);
    (told.status.code().unwrap(), status.parse().unwrap(), body.to_owned())
}

/// The port of a URL.
fn port(url: &str) -> u16 {
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    port.parse().unwrap_or(443)
}

/// The host of a URL.
fn host(url: &str) -> &str {
    url.split("//").nth(1).unwrap().split([':', '/']).next().unwrap()
}

/// What is remembered of the developer's router.
fn record(dev: &Developer) -> Value {
    let directory = fs::read_dir(dev.elsewhere("home/.local/state/onramp/routers")).unwrap();
    let files: Vec<PathBuf> = directory.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    serde_json::from_slice(&fs::read(&files[0]).unwrap()).unwrap()
}

/// The process of the developer's router; none where it has ended.
fn router(dev: &Developer) -> Option<u32> {
    let process: Option<Process> = serde_json::from_value(record(dev)["process"].clone()).unwrap();
    process.filter(Process::runs).map(|process| process.number)
}

/// The process that is remembered as the router.
fn remembered(dev: &Developer) -> Process {
    serde_json::from_value(record(dev)["process"].clone()).unwrap()
}

/// Waits for the end of a process.
fn wait_for(process: &Process) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(process.ended()).unwrap();
}

/// Where something listens at a port, as the kernel writes addresses.
fn listening(port: u16) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1)).map(|line| line.split_whitespace().collect());
    // Field 1 is the local address, field 3 the state; 0A is LISTEN.
    let at = lines.filter_map(|fields: Vec<&str>| {
        let (address, found) = fields[1].split_once(':')?;
        (fields[3] == "0A" && found == format!("{port:04X}")).then(|| address.to_owned())
    });
    at.collect()
}

/// What somebody is answered who sends this without TLS and nothing more; all of it until the connection is closed.
fn sent(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // It may have closed the connection by then.
    let _ = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn services_answer_by_their_names_on_loopback_alone() {
    let dev = named(false);
    let up = dev.in_shop("up").ok();
    let id = engine::sandbox_of(&dev.path("shop"));
    let web = url(&dev, "shop", "shop/web");
    assert!(web.starts_with(&format!("https://web.{id}.localhost")), "{web}");
    assert!(up.stdout.contains(&web) && up.stderr.contains(&format!("web.{id}.localhost")), "{up}");
    assert!(dev.in_shop("status").ok().stdout.contains(&web));
    assert!(dev.in_shop("list").ok().stdout.contains(&format!("  {web}\n")));

    let (code, status, page) = curl(&dev, &[&web]);
    assert!((code, status) == (0, 200) && page.contains("Signed in as <strong>ada</strong>"), "{code} {status} {page}");
    let api = url(&dev, "shop", "auth/api");
    assert!(api.starts_with(&format!("https://api.auth.{id}.localhost")), "{api}");
    assert_eq!(curl(&dev, &[&api]).0, 0);
    let plain = format!("http://{}:{}/", host(&web), port(&web));
    assert_eq!(curl(&dev, &[&plain]).1, 200, "whoever does not trust the authority goes without TLS, at the same port");
    let strange = Command::new("curl").args(["-sS", "-m", "60", &web]).env_clear().output().unwrap();
    assert_eq!(strange.status.code(), Some(60), "nobody trusts it who was not told to");

    // A database speaks no HTTP.
    let names = dev.onramp("hostnames status --json").ok().json();
    let names: Vec<&str> =
        names["names"].as_array().unwrap().iter().map(|name| name["hostname"].as_str().unwrap()).collect();
    assert_eq!(names, [host(&api), host(&web)]);
    let db = format!("https://db.{id}.localhost:{}/", port(&web));
    assert_eq!(curl(&dev, &[&db]).1, 404);

    let mut at = listening(port(&web));
    at.sort();
    let loopback = ["00000000000000000000000001000000".to_owned(), "0100007F".to_owned()];
    assert!(at == loopback || at == loopback[1..], "{at:?}");

    // Who did not ask for a name has none, and is not reached through the router of somebody who did.
    let other = Developer::new();
    other.shop();
    other.in_shop("up").ok();
    let guessed = format!("https://web.{}.localhost:{}/", engine::sandbox_of(&other.path("shop")), port(&web));
    assert_eq!(curl(&dev, &[&guessed]).1, 404);
    assert!(other.in_shop("status").ok().stdout.contains("127.0.0.1:"));

    let manifest = dev.read("shop/onramp.toml");
    dev.write("shop/onramp.toml", manifest.replace("hostnames = true", "hostnames = false"));
    dev.in_shop("up").ok();
    assert_eq!((router(&dev), listening(port(&web))), (None, Vec::new()), "nobody asks for it any more");
}

#[test]
fn two_sandboxes_have_one_router_which_ends_with_the_last_and_is_started_again_when_it_was_killed() {
    let dev = named(false);
    dev.in_shop("up").ok();
    dev.onramp("new php-web blog --defaults").ok();
    dev.project("blog");
    let manifest = dev.read("blog/onramp.toml");
    dev.write("blog/onramp.toml", format!("{manifest}\n[sandbox]\nhostnames = true\n"));
    let first = router(&dev).unwrap();
    dev.onramp("up").dir("blog").ok();
    assert_eq!(router(&dev), Some(first), "one that runs stays");
    dev.write("blog/src/which.php", "<?php echo 'blog ' . $_SERVER['HTTP_HOST'];");
    dev.write("shop/src/which.php", "<?php echo 'shop ' . $_SERVER['HTTP_HOST'];");
    let (shop, blog) = (url(&dev, "shop", "shop/web"), url(&dev, "blog", "blog/web"));
    assert_eq!(port(&shop), port(&blog));
    let which = |url: &str| curl(&dev, &[&format!("{url}which.php")]).2;
    let told =
        |project: &str, url: &str| format!("{project} {}", url.trim_start_matches("https://").trim_end_matches('/'));
    assert_eq!((which(&shop), which(&blog)), (told("shop", &shop), told("blog", &blog)));

    let process = remembered(&dev);
    kill_process(Pid::from_raw(i32::try_from(first).unwrap()).unwrap(), Signal::KILL).unwrap();
    wait_for(&process);
    assert_eq!(router(&dev), None);
    let status = dev.in_shop("status").ok().stdout;
    assert!(status.contains("the router to their names is gone; `onramp up` starts it again"), "{status}");
    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("keep    shop/db, auth/api, shop/web"), "{up}");
    assert_eq!(url(&dev, "shop", "shop/web"), shop, "where it was");
    assert_eq!(which(&blog), told("blog", &blog), "for the other one, too");

    dev.in_shop("down").ok();
    assert_eq!(curl(&dev, &[&shop]).1, 404);
    assert_eq!(which(&blog), told("blog", &blog));
    let last = router(&dev).unwrap();
    dev.onramp("down").dir("blog").ok();
    assert_eq!((router(&dev), listening(port(&blog))), (None, Vec::new()), "{last} ended with the last sandbox");
}

#[test]
fn a_router_ends_with_containers_that_somebody_else_removed() {
    let dev = named(false);
    dev.in_shop("up").ok();
    let process = remembered(&dev);
    let id = engine::sandbox_of(&dev.path("shop"));
    for container in engine::containers(&format!("onramp.{id}.")) {
        engine::remove_container(&container);
    }
    wait_for(&process);
    let up = dev.in_shop("up").ok();
    assert_eq!(
        port(&url(&dev, "shop", "shop/web")),
        u16::try_from(record(&dev)["port"].as_u64().unwrap()).unwrap(),
        "{up}"
    );
    assert_eq!(curl(&dev, &[&url(&dev, "shop", "shop/web")]).1, 200);
}

#[test]
fn what_is_sent_arrives_whole_and_a_protocol_may_change() {
    let dev = named(true);
    dev.in_shop("up").ok();
    let echo = url(&dev, "shop", "shop/echo");
    let said = |arguments: &[&str]| -> Value {
        let (code, status, body) = curl(&dev, arguments);
        assert_eq!((code, status), (0, 200), "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let told = said(&[
        "-H",
        "X-Forwarded-For: 10.0.0.1",
        "-H",
        "Connection: X-Mine",
        "-H",
        "X-Mine: 1",
        &format!("{echo}a?b=c"),
    ]);
    let head = told["head"].as_str().unwrap();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("host: {}", echo.trim_start_matches("https://").trim_end_matches('/')),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        "x-forwarded-proto: https".to_owned(),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert!(!head.contains("10.0.0.1") && !head.to_lowercase().contains("x-mine"), "{head}");
    assert_eq!(said(&["-d", "four", &echo])["body"], "four");
    assert_eq!(said(&["-H", "Expect: 100-continue", "-d", "four", &echo])["body"], "four");
    let chunked = said(&["-H", "Transfer-Encoding: chunked", "-d", "four", &echo]);
    assert_eq!(chunked["body"], "4\r\nfour\r\n0\r\n\r\n");

    let mut stream = TcpStream::connect(("127.0.0.1", port(&echo))).unwrap();
    let asked = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", host(&echo));
    stream.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0].into());
    }
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.to_lowercase().contains("upgrade: echo"), "{answer}");
    for word in ["hello", "again"] {
        stream.write_all(format!("{word}\n").as_bytes()).unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, format!("{}\n", word.to_uppercase()).as_bytes());
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "its end is passed on");

    // Two lengths: the chunks count, for both sides, and the connection ends with them.
    for lines in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\n{lines}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            host(&echo)
        );
        let answers = sent(port(&echo), &request);
        assert!(answers.contains(r#""body":"0\r\n\r\n""#) && !answers.contains("content-length: 4"), "{answers}");
        assert!(!answers.contains("smuggled") && !answers.contains("421"), "{answers}");
        assert!(answers.contains("connection: close\r\n"), "what follows is nobody's request: {answers}");
    }
}

#[test]
fn whoever_asks_otherwise_learns_nothing() {
    let dev = named(false);
    dev.in_shop("up").ok();
    let web = url(&dev, "shop", "shop/web");
    let (host, port) = (host(&web), port(&web));
    let mut silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut slow = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Longer than the router's patience.
    for stream in [&silent, &slow] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    slow.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nX").as_bytes()).unwrap();

    let status = |text: &str| sent(port, text).split(' ').nth(1).unwrap_or("none").to_owned();
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&get(host)), "200");
    assert_eq!(status(&get(&host.to_uppercase())), "200");
    for strange in
        ["evil.test", "localhost", "127.0.0.1", "", &format!("{host}.evil.test"), &host.replace(".localhost", "")]
    {
        let answer = sent(port, &get(strange));
        assert!(answer.starts_with("HTTP/1.1 421 "), "{strange}: {answer}");
        assert!(!answer.contains("shop"), "{answer}");
    }
    let unknown = sent(port, &get("web.nobody.localhost"));
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    assert!(
        unknown.ends_with("onramp: no service of this name runs here; `onramp hostnames status` tells which do\n"),
        "{unknown}"
    );
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"), "400"),
        (format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
        (format!("CONNECT {host}:80 HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
        (format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "400"),
        (format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, identity\r\n\r\n"), "400"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nX : 1\r\n\r\n"), "400"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "a".repeat(100_000)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: 1\r\n".repeat(200)), "431"),
        ("\0\u{1}\u{2}".repeat(10) + "\r\n\r\n", "400"),
    ] {
        assert_eq!(status(&request), expected, "{request:.200}");
    }
    let other = curl(&dev, &["-H", "Host: web.other.localhost", &web]);
    assert_eq!((other.0, other.1), (0, 421), "a connection is for one name");
    let foreign =
        curl(&dev, &["-k", "--connect-to", &format!("::127.0.0.1:{port}"), &format!("https://evil.test:{port}/")]);
    assert_eq!((foreign.0, foreign.1), (35, 0), "there is no certificate for it: {}", foreign.2);

    // The heads that never came: the router hangs up.
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));

    // One that has no room for more lives on.
    let crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    // Less than the router's patience, which ends those that have room.
    crowd[299].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!((&crowd[299]).read(&mut [0]).unwrap(), 0, "there was no room for it");
    drop(crowd);
    let back = std::iter::repeat_with(|| curl(&dev, &[&web]).1).take(100).any(|status| status == 200);
    assert!(back, "once they are gone there is room again");
}

#[test]
fn the_authority_is_believed_about_this_machines_names_only() {
    let dev = named(false);
    let told = dev.onramp("hostnames ca").ok();
    assert!(told.stdout.starts_with("-----BEGIN CERTIFICATE-----"), "{told}");
    assert!(told.stderr.contains("sudo trust anchor"), "{told}");
    let directory = dev.elsewhere("home/.local/share/onramp/hostnames");
    assert_eq!(fs::read_to_string(directory.join("ca.pem")).unwrap(), told.stdout);
    let shown = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(directory.join("ca.pem")).output();
    let shown = String::from_utf8(shown.expect("openssl is installed").stdout).unwrap();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let shown = words.join(" ");
    assert!(
        shown.contains("X509v3 Name Constraints: critical Permitted: DNS:localhost Excluded: IP:0.0.0.0/0.0.0.0 IP:"),
        "{shown}"
    );
    assert!(shown.contains("CA:TRUE, pathlen:0"), "{shown}");

    // Whoever gets hold of the key cannot speak for anybody else.
    for (name, trusted) in [("web.shop.localhost", true), ("www.example.com", false)] {
        let path = |ending: &str| dev.path(format!("{name}.{ending}")).display().to_string();
        let openssl = |line: &str| {
            let run = Command::new("openssl").args(line.split(' ')).current_dir(&directory).output().unwrap();
            (
                run.status.success(),
                format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr)),
            )
        };
        let (csr, key, made, names) = (path("csr"), path("key"), path("pem"), path("ext"));
        fs::write(&names, format!("subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\n")).unwrap();
        assert!(openssl(&format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {key} -out {csr}")).0);
        assert!(openssl(&format!("x509 -req -in {csr} -CA ca.pem -CAkey ca.key -CAcreateserial -CAserial {key}.srl -days 1 -extfile {names} -out {made}")).0);
        let (verified, why) = openssl(&format!("verify -CAfile ca.pem -purpose sslserver {made}"));
        assert_eq!(verified, trusted, "{name}: {why}");
        assert!(trusted || why.contains("permitted subtree violation"), "{why}");
    }
}
