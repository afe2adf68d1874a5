//! Podman's service in the place of Docker's engine: a service of the test's own, with its files and networks in a directory of
//! its own.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onramp::error::Class;

use crate::company::Developer;

/// The service, ended with the test, and everything that it ran.
struct Podman {
    process: Child,
    dir: tempfile::TempDir,
}

/// Docker has the machine drop what it does not know on its way, also from one container of Podman's to the next on the same bridge.
/// This lets that pass, and nothing else.
const PASSAGE: [&str; 11] =
    ["FORWARD", "-i", "podman+", "-o", "podman+", "-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT", "--wait"];

fn passage(what: &str) {
    let _ = Command::new("iptables").arg(what).args(PASSAGE).stderr(Stdio::null()).status();
}

impl Podman {
    /// One that pulls from this registry on loopback. A machine without systemd gives no more files than it has itself, and
    /// crun is particular about its control groups; runc comes with Docker.
    fn start(registry: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("onramp-podman-").tempdir().unwrap();
        let settings = "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
                        [engine]\nruntime = \"runc\"\n";
        std::fs::write(dir.path().join("containers.conf"), settings).unwrap();
        let registries = format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n");
        std::fs::write(dir.path().join("registries.conf"), registries).unwrap();
        let service = format!("unix://{}", dir.path().join("podman.sock").display());
        let mut command = podman(dir.path());
        command.args(["system", "service", "--time=0", &service]).stdin(Stdio::null());
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process =
            command.stdout(Stdio::null()).stderr(log).spawn().expect("these tests need Podman: run scripts/setup");
        let mut started = Self { process, dir };
        // One that a killed test left is not there twice.
        passage("--delete");
        passage("--insert");
        while UnixStream::connect(started.socket()).is_err() {
            assert_eq!(started.process.try_wait().unwrap(), None, "Podman's service ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    /// What it says.
    fn says(&self, arguments: &[&str]) -> String {
        let output = podman(self.dir.path()).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Podman on the files of a directory.
fn podman(dir: &Path) -> Command {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut command = Command::new("podman");
    command.args(["--root", &at("root"), "--runroot", &at("run"), "--tmpdir", &at("tmp")]);
    command.args(["--network-config-dir", &at("networks")]);
    command.env("CONTAINERS_CONF", at("containers.conf")).env("CONTAINERS_REGISTRIES_CONF", at("registries.conf"));
    command
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.says(&["rm", "--all", "--force", "--volumes", "--time", "0"]);
        self.says(&["network", "prune", "--force"]);
        let _ = self.process.kill();
        let _ = self.process.wait();
        passage("--delete");
        // It keeps its storage mounted.
        let storage = self.dir.path().join("root/overlay");
        let _ = Command::new("umount").arg(storage).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_sandbox_runs_on_podman_as_it_does_on_docker() {
    let mut dev = Developer::new();
    let podman = Podman::start(&dev.registry());
    dev.set("DOCKER_HOST", format!("unix://{}", podman.socket().display()));
    dev.shop();
    let up = dev.in_shop("up").ok();
    assert!(up.stdout.contains("parity with production@[COMMIT]: 2 of 3 services at its digests"), "{up}");
    let page = dev.page("shop", "shop/web", "/");
    assert!(page.contains("Fountain pen"), "rows of the seeded database, by the name of its service: {page}");
    assert!(page.contains("Signed in as <strong>ada</strong>"), "what auth said, by its name across apps: {page}");
    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Edited"));
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Edited</h1>"), "an edit is live");
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db, auth/api, shop/web"));

    let run = dev.in_shop("exec web --json -- sh -c").arg("echo out; echo err >&2; exit 7").exits(7).json();
    assert_eq!((run["stdout"].as_str(), run["stderr"].as_str()), (Some("out\n"), Some("err\n")));
    let piped = dev.in_shop("exec db -- mariadb shop -N").stdin("SELECT COUNT(*) FROM products;\n").ok();
    assert_eq!(piped.stdout.trim(), "5");
    assert!(dev.in_shop("logs auth/api --tail 5").ok().stdout.contains("GET /health"));
    assert!(dev.in_shop("test unit").ok().stdout.contains("passed"));
    assert!(dev.onramp("list").ok().stdout.contains("3 up"));

    // Closed, and nothing of it beyond this machine.
    let routes = dev.in_shop("exec web -- cat /proc/net/route").ok().stdout;
    assert!(!routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")), "no way out: {routes}");
    assert_ne!(dev.in_shop("exec web -- getent hosts deb.debian.org").code(), 0, "no name from outside");
    let SocketAddr::V4(web) = dev.address("shop", "shop/web") else {
        panic!("it has an address of the sandbox's network")
    };
    assert_eq!(web.ip().octets()[..2], [10, 231]);

    // Data: kept by `down`, made anew from the golden copy, saved and brought back.
    dev.in_shop("exec db -- mariadb shop -e").arg("DELETE FROM products WHERE name LIKE 'Fountain%'").ok();
    dev.in_shop("down").ok();
    dev.in_shop("up").ok();
    assert!(!dev.page("shop", "shop/web", "/").contains("Fountain pen"), "the deleted row stays deleted");
    dev.in_shop("snapshot save without").ok();
    let fresh = dev.in_shop("up --fresh --yes").ok();
    assert!(fresh.stderr.contains("clone   shop/db"), "{fresh}");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "as it was seeded");
    dev.in_shop("snapshot restore without --yes").ok();
    assert!(!dev.page("shop", "shop/web", "/").contains("Fountain pen"), "as it was saved");

    let manifest = dev.read("shop/onramp.toml");
    dev.write("shop/onramp.toml", manifest.replacen("/db-password\" }", "/db-password\", file = true }", 1));
    let told = dev.in_shop("up").fails(Class::Env);
    assert!(told.stderr.contains("takes no secret as a file"), "{told}");
    dev.write("shop/onramp.toml", manifest);
    dev.in_shop("down --data --yes").ok();
    assert_eq!(podman.says(&["ps", "--all", "--quiet"]), "", "nothing is left");
}
