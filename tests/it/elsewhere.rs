//! Engines that are not on this machine, or look like it: over TLS, through ssh, by docker contexts. It is the engine of the
//! other tests that stands behind a real sshd, and behind a front that ends TLS.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use onramp::error::Class;
use onramp::reference::Digest;
use tokio::runtime::Runtime;

use crate::company::Developer;
use crate::engine;
use crate::run::Machine;

#[allow(dead_code, reason = "the proxy is for registries")]
#[path = "../registry_parts/front.rs"]
mod front;

use front::Authority;

/// The engine's socket.
fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}

/// The engine behind TLS, which lets those in who have a certificate of its authority.
struct Front {
    _runtime: Runtime,
    authority: Authority,
    host: String,
}

impl Front {
    /// At an address of this machine.
    fn at(address: IpAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let authority = Authority::new();
        let host = runtime.block_on(async {
            let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let behind = plain.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = plain.accept().await {
                    tokio::spawn(async move {
                        let mut engine = tokio::net::UnixStream::connect(socket()).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut engine).await;
                    });
                }
            });
            let pair = authority.certify(&address.to_string(), 2040);
            let ending = front::tls(&pair, &behind, Some(&authority)).await;
            let outer = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
            let host = outer.local_addr().unwrap().to_string();
            let ending: Arc<str> = ending.into();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = outer.accept().await {
                    let ending = ending.clone();
                    tokio::spawn(async move {
                        let mut front = tokio::net::TcpStream::connect(&*ending).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut front).await;
                    });
                }
            });
            host
        });
        Self { _runtime: runtime, authority, host: format!("tcp://{host}") }
    }
}

/// Keys in a directory: a developer's from one authority, for an engine of another.
fn keys(machine: &Machine, directory: impl AsRef<Path>, own: &Authority, trusted: &Authority) -> PathBuf {
    let pair = own.certify("developer", 2040);
    machine.write(directory.as_ref().join("ca.pem"), trusted.pem());
    machine.write(directory.as_ref().join("cert.pem"), pair.pem);
    machine.write(directory.as_ref().join("key.pem"), pair.key_pem);
    machine.path(directory)
}

#[test]
fn an_engine_behind_tls_is_one_like_any_other() {
    let front = Front::at([127, 0, 0, 1].into());
    let mut dev = Developer::new();
    let keys = keys(&dev, "keys", &front.authority, &front.authority);
    dev.set("DOCKER_HOST", &front.host).set("DOCKER_TLS_VERIFY", "1").set("DOCKER_CERT_PATH", keys.to_str().unwrap());
    dev.shop();
    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("copy to shop/web"), "the engine is not asked for files of this machine: {up}");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
    let piped = dev.in_shop("exec db -- mariadb shop -N").stdin("SELECT COUNT(*) FROM products;\n").ok();
    assert_eq!(piped.stdout.trim(), "5", "what is piped in reaches the program, and its end, too");
    let doctor = dev.onramp("doctor").ok();
    assert!(doctor.stdout.contains(&dev.filter(&format!("at {} (DOCKER_HOST)", front.host))), "{doctor}");
    dev.in_shop("down --data --yes").ok();
}

#[test]
fn who_does_not_prove_itself_is_no_engine_and_who_does_not_to_it_is_told() {
    let front = Front::at([127, 0, 0, 1].into());
    let other = Authority::new();
    let mut machine = Machine::new();
    machine.set("DOCKER_HOST", &front.host);
    let told = |name: &str, own: &Authority, trusted: &Authority, class: Class| {
        let keys = keys(&machine, name, own, trusted);
        let run = machine.onramp("list").env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", keys.to_str().unwrap());
        run.fails(class).stderr
    };
    let stranger = told("untrusted", &front.authority, &other, Class::Security);
    assert!(stranger.contains("is not the engine that it should be"), "{stranger}");
    let refused = told("unknown", &other, &front.authority, Class::Auth);
    assert!(refused.contains("does not let you in"), "{refused}");
    let none = machine.onramp("list").env("DOCKER_TLS_VERIFY", "1").fails(Class::Config).stderr;
    assert!(none.contains(".docker/ca.pem: cannot read"), "{none}");

    let plain = machine.onramp("list").env("DOCKER_HOST", "tcp://build.acme.test:2375").fails(Class::Security).stderr;
    assert!(plain.contains("asks for no TLS that is verified") && plain.contains("DOCKER_TLS_VERIFY=1"), "{plain}");
}

#[test]
fn a_docker_context_names_the_engine() {
    let front = Front::at([127, 0, 0, 1].into());
    let mut machine = Machine::new();
    let docker = machine.elsewhere("home/.docker");
    let hash = Digest::of(b"far").hex().to_owned();
    let meta = format!(r#"{{"Name":"far","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{}"}}}}}}"#, front.host);
    machine.write(docker.join("contexts/meta").join(&hash).join("meta.json"), meta);
    keys(&machine, docker.join("contexts/tls").join(&hash).join("docker"), &front.authority, &front.authority);
    machine.set("DOCKER_HOST", "").set("DOCKER_CONTEXT", "far");
    let doctor = machine.onramp("doctor").fails(Class::Failed);
    assert!(doctor.stdout.contains(&machine.filter(&format!("at {} (docker context far)", front.host))), "{doctor}");
    let gone = machine.onramp("list").env("DOCKER_CONTEXT", "gone").fails(Class::Config).stderr;
    assert!(gone.contains("DOCKER_CONTEXT names the docker context `gone`"), "{gone}");
    assert!(gone.contains("next: docker context ls"), "{gone}");
}

#[test]
fn a_sandbox_whose_ports_nobody_here_could_reach_is_not_made() {
    // Which address that is, is asked of the routes; nothing is sent.
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("198.51.100.1:9")?;
        socket.local_addr()
    });
    let front = Front::at(outward.expect("this machine has an address").ip());
    let mut dev = Developer::new();
    let keys = keys(&dev, "keys", &front.authority, &front.authority);
    dev.set("DOCKER_HOST", &front.host).set("DOCKER_TLS_VERIFY", "1").set("DOCKER_CERT_PATH", keys.to_str().unwrap());
    dev.shop();
    let told = dev.in_shop("up").fails(Class::Env);
    assert!(told.stderr.contains("publishes the port of shop/db where this machine does not reach it"), "{told}");
    assert!(told.stderr.contains("next: DOCKER_HOST=ssh://"), "{told}");
    assert_eq!(engine::networks_named(&engine::sandbox_of(&dev.path("shop")).network()), 0, "nothing was made");
    assert!(dev.in_shop("status").ok().stdout.contains("is not up"), "what needs no port works");
}

/// A real sshd on a port of its own, and the settings of an ssh that knows it as `far`.
struct Sshd {
    process: Child,
    port: u16,
}

impl Sshd {
    /// Serves the superuser, who has this variable there, too.
    fn start(machine: &Machine, variable: &str) -> Self {
        let at = |name: &str| machine.elsewhere("sshd").join(name).display().to_string();
        machine.write(at("none"), "");
        for name in ["host", "developer", "stranger"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &at(name)]);
            assert!(keygen.status().expect("these tests need OpenSSH: run scripts/setup").success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             SetEnv DOCKER_HOST=unix://{} {variable}\n",
            at("host"),
            at("developer.pub"),
            socket(),
        );
        machine.write(at("sshd_config"), settings);
        let key = std::fs::read_to_string(at("host.pub")).unwrap();
        machine.write(at("known"), format!("[127.0.0.1]:{port} {key}"));
        // Where its children without rights begin.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let mut process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need OpenSSH's server: run scripts/setup");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "sshd ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }

    /// The variables of somebody whose ssh has this key and knows these hosts. ssh asks the system where home is, and not the
    /// variable: so it is told where its settings are.
    fn user(&self, machine: &mut Machine, key: &str, known: &str) {
        // What they forward for themselves, which only one of their connections could have.
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| machine.elsewhere("sshd").join(name).display().to_string();
        let settings = format!(
            "Host far\n  HostName 127.0.0.1\n  Port {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  LocalForward {own} 127.0.0.1:1\n",
            self.port,
            at(key),
            at(known),
        );
        machine.write(at("ssh_config"), settings);
        let program = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("ssh_config"));
        let program = machine.write(at("bin/ssh"), program);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, mode).unwrap();
        let path = format!("{}:{}", at("bin"), std::env::var("PATH").unwrap());
        let runtime = machine.elsewhere("run").display().to_string();
        machine.set("PATH", path).set("XDG_RUNTIME_DIR", runtime).set("DOCKER_HOST", "ssh://root@far");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The ports that are brought to this machine: there and here.
fn brought(machine: &Machine) -> Vec<(u16, u16)> {
    let Ok(entries) = std::fs::read_dir(machine.elsewhere("run/onramp")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ports = |name: String| {
        let mut parts = name.split('.').skip(1).map(|part| part.parse().unwrap());
        Some((parts.next()?, parts.next()?))
    };
    names.filter_map(ports).collect()
}

#[test]
fn a_sandbox_on_a_machine_that_ssh_reaches_answers_here() {
    let mut dev = Developer::new();
    let sshd = Sshd::start(&dev, "");
    sshd.user(&mut dev, "developer", "known");
    dev.shop();
    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("copy to shop/web"), "{up}");
    let port = dev.port("shop", "shop/web");
    let ports = brought(&dev);
    assert!(ports.iter().any(|(there, here)| *here == port && *there != port), "{port} leads to another: {ports:?}");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));

    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Edited"));
    let again = dev.in_shop("up").ok();
    assert!(again.stderr.contains("keep    shop/db, auth/api, shop/web"), "{again}");
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Edited</h1>"), "what changed is copied");
    assert_eq!(dev.port("shop", "shop/web"), port, "the way to a service stays");
    assert!(dev.in_shop("test unit").ok().stdout.contains("passed"));
    let run = dev.in_shop("exec web --json -- sh -c").arg("echo out; exit 7").exits(7).json();
    assert_eq!(run["stdout"].as_str(), Some("out\n"));

    let manifest = dev.read("shop/onramp.toml").replace("[services.web]", "[services.web]\negress = [\"a.test:443\"]");
    dev.write("shop/onramp.toml", &manifest);
    let told = dev.in_shop("up").fails(Class::Env);
    assert!(told.stderr.contains("cannot reach what their `egress` names"), "{told}");
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Edited</h1>"), "nothing was touched");

    dev.in_shop("down --data --yes").ok();
    assert_eq!(brought(&dev), [], "what led to it is gone with it");
}

#[test]
fn what_ssh_cannot_do_is_told_with_what_to_do() {
    let mut machine = Machine::new();
    let sshd = Sshd::start(&machine, "PATH=/nonexistent");
    let told = |machine: &Machine, class: Class| machine.onramp("list").fails(class).stderr;
    sshd.user(&mut machine, "developer", "known");
    let none = told(&machine, Class::Env);
    assert!(none.contains("ssh cannot reach the engine at ssh://root@far") && none.contains("not found"), "{none}");
    assert!(none.contains("next: ssh -l root far docker version"), "{none}");
    machine.set("XDG_RUNTIME_DIR", machine.elsewhere("other").display().to_string());
    std::fs::remove_dir_all(machine.elsewhere("run")).unwrap();
    sshd.user(&mut machine, "stranger", "known");
    let refused = told(&machine, Class::Auth);
    assert!(refused.contains("does not let you in") && refused.contains("onramp lets ssh ask nothing"), "{refused}");
    sshd.user(&mut machine, "developer", "none");
    let unknown = told(&machine, Class::Security);
    assert!(unknown.contains("is not the engine that it should be"), "{unknown}");
    sshd.user(&mut machine, "developer", "known");
    drop(sshd);
    let away = told(&machine, Class::Net);
    assert!(away.contains("does not answer") && away.contains("Connection refused"), "{away}");
}
