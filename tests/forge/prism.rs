//! Prism, which serves a description of an API: it refuses requests that do not match it, and answers with its examples.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::server::head_of;

/// Where Prism and GitHub's descriptions are installed, by whoever needs them first.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/prism");
        let parts = ["@stoplight/prism-cli", "@octokit/openapi", "@octokit/graphql-schema"];
        if parts.iter().any(|part| !home.join("node_modules").join(part).exists()) {
            let install = ["install", "--no-audit", "--no-fund"];
            let status = Command::new("npm").args(install).args(parts).arg("--prefix").arg(&home).status();
            assert!(status.expect("npm is needed: apt-get install npm").success(), "npm could not install Prism");
        }
        home
    })
}

/// A Prism with one description, ended with the test process.
pub struct Prism {
    pub port: u16,
    _child: Mutex<Child>,
}

impl Prism {
    pub fn start(description: &Path) -> Self {
        // Free at this moment; nobody else is told about it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // `exec` under a shell that goes when our end of its pipe closes, so that no Prism outlives a killed test.
        let script = r#""$0" mock -h 127.0.0.1 -p "$1" "$2" & prism=$!; read _; kill $prism"#;
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(home().join("node_modules/.bin/prism"))
            .arg(port.to_string())
            .arg(description)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Prism is listening"));
        assert!(ready, "Prism ended before it was ready");
        // What it says later is read and dropped, so that it never waits on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { port, _child: Mutex::new(child) }
    }

    /// A gateway before it that adds one header to every request: the one that tells Prism what to answer.
    pub fn preferring(&self, prefer: &'static str) -> u16 {
        let prism = self.port;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", prism)).unwrap();
                let head = head_of(&mut client);
                let line = head.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                server.write_all(&head[..line]).unwrap();
                server.write_all(format!("prefer: {prefer}\r\nconnection: close\r\n").as_bytes()).unwrap();
                server.write_all(&head[line..]).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut server, &mut client);
                let _ = client.shutdown(Shutdown::Both);
            }
        });
        port
    }
}

/// What the server says to a request of ours that its description does not have.
pub async fn status_of(url: &str, body: &'static str) -> u16 {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
    request.header("content-type", "application/json").body(body).send().await.unwrap().status().as_u16()
}
