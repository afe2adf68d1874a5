//! A sandbox on a swarm: an engine of the test's own, which is a swarm of one node.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

/// The address of its bridge, of those that documentation uses (RFC 5737).
const BRIDGE: &str = "203.0.113.1/29";

/// The engine, ended with the test, and everything that it ran. It leaves the machine's firewall alone, and has a bridge of its own:
/// without one it would take the default bridge away, and with an address for it change that, and both are another engine's.
struct Swarm {
    process: Child,
    bridge: String,
    dir: tempfile::TempDir,
}

/// Where an engine has the machine's firewall, that drops what goes between containers on a bridge of this one's, which leaves the
/// firewall alone. This lets pass what stays on one bridge, and nothing else.
const PASSAGE: [&str; 11] =
    ["FORWARD", "-i", "br-+", "-o", "br-+", "-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT", "--wait"];

fn passage(what: &str) {
    let _ = Command::new("iptables").arg(what).args(PASSAGE).stderr(Stdio::null()).status();
}

impl Swarm {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("onramp-swarm-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let log = std::fs::File::create(at("log")).unwrap();
        let bridge = format!("onrs{}", std::process::id());
        ip(&["link", "add", &bridge, "type", "bridge"]);
        ip(&["address", "add", BRIDGE, "dev", &bridge]);
        let process = Command::new("dockerd")
            .args(["--host", &format!("unix://{}", at("docker.sock"))])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["--bridge", &bridge, "--iptables=false", "--ip-forward=false"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("these tests need Docker's daemon: run scripts/setup");
        let mut started = Self { process, bridge, dir };
        while !started.run(&["version"]).status.success() {
            assert_eq!(started.process.try_wait().unwrap(), None, "the engine ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        // One that a killed test left is not there twice.
        passage("--delete");
        passage("--insert");
        started.says(&["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"]);
        started
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.socket().display())).args(arguments);
        command.env_remove("DOCKER_CONTEXT").output().expect("these tests need Docker's client: run scripts/setup")
    }

    /// What its client says.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Everything of onramp's that the swarm or the engine has, images aside.
    fn ours(&self) -> Vec<String> {
        let listed = |what: &[&str], name: &str| {
            let filter = ["--filter", "label=dev.onramp.owner=onramp", "--format", name];
            let found = self.says(&[what, &filter].concat());
            found.lines().map(|line| format!("{}: {line}", what[0])).collect::<Vec<_>>()
        };
        let mut all = listed(&["service", "ls"], "{{.Name}}");
        all.extend(listed(&["secret", "ls"], "{{.Name}}"));
        all.extend(listed(&["ps", "--all"], "{{.Names}}"));
        all.extend(listed(&["network", "ls"], "{{.Name}}"));
        all.extend(listed(&["volume", "ls"], "{{.Name}}"));
        all
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        let _ = self.run(&["swarm", "leave", "--force"]);
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
        passage("--delete");
        // A swarm makes a bridge that stays behind.
        for bridge in [self.bridge.as_str(), "docker_gwbridge"] {
            let _ = Command::new("ip").args(["link", "delete", bridge]).stderr(Stdio::null()).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("these tests need iproute2: run scripts/setup");
    assert!(done.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_sandbox_runs_on_a_swarm_as_its_services() {
    let mut dev = Developer::new();
    let swarm = Swarm::start();
    dev.set("DOCKER_HOST", format!("unix://{}", swarm.socket().display()));
    dev.shop();
    // Somebody else's, with names like ours.
    swarm.says(&["network", "create", "--driver", "overlay", "onramp_theirs"]);
    let theirs = swarm.dir.path().join("theirs");
    std::fs::write(&theirs, "theirs").unwrap();
    swarm.says(&["secret", "create", "onramp_theirs", theirs.to_str().unwrap()]);

    let manifest = dev.read("shop/onramp.toml");
    let db = "MARIADB_PASSWORD = { secret = \"shop/db-password\" }";
    assert!(manifest.contains(db), "{manifest}");
    let as_file = manifest.replace(db, "MARIADB_PASSWORD_FILE = { secret = \"shop/db-password\", file = true }");
    dev.write("shop/onramp.toml", &as_file);
    let up = dev.in_shop("up --on swarm").ok();
    assert!(up.stderr.contains("on the swarm") && up.stderr.contains("a swarm shows none"), "{up}");
    assert!(up.stdout.contains("parity with production@[COMMIT]: 2 of 3 services at its digests"), "{up}");
    let page = dev.page("shop", "shop/web", "/");
    assert!(page.contains("Fountain pen"), "rows of the seeded database, by the name of its service: {page}");
    assert!(page.contains("Signed in as <strong>ada</strong>"), "what auth said, by its name across apps: {page}");
    assert!(dev.address("shop", "shop/web").ip().is_loopback());

    // The swarm runs them, and publishes nothing; what has its image or data here stays here.
    let filter = ["service", "ls", "--filter", "label=dev.onramp.service"];
    let services = swarm.says(&[&filter[..], &["--format", "{{.Replicas}} [{{.Ports}}]"]].concat());
    assert_eq!(services.lines().collect::<Vec<_>>(), ["1/1 []"; 3]);
    let node = swarm.says(&["info", "--format", "{{.Swarm.NodeID}}"]);
    let ids = swarm.says(&[&filter[..], &["--quiet"]].concat());
    let placed = |id: &str| {
        let format = "{{index .Spec.Labels \"dev.onramp.service\"}} {{.Spec.TaskTemplate.Placement.Constraints}}";
        swarm.says(&["service", "inspect", id, "--format", format])
    };
    let mut placed: Vec<String> = ids.lines().map(placed).collect();
    placed.sort();
    let here = |service: &str| format!("{service} [node.id=={node}]");
    assert_eq!(placed, ["auth/api []".to_owned(), here("shop/db"), here("shop/web")]);

    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db, auth/api, shop/web"), "it stays where it is");
    let status = dev.in_shop("status").ok().stdout;
    assert_eq!(status.matches("running on the swarm").count(), 3, "{status}");
    let run = dev.in_shop("exec web --json -- sh -c").arg("echo out; echo err >&2; exit 7").exits(7).json();
    assert_eq!((run["stdout"].as_str(), run["stderr"].as_str()), (Some("out\n"), Some("err\n")));
    let file = dev.in_shop("exec db -- sh -c").arg("stat -c %a $MARIADB_PASSWORD_FILE; grep secrets /proc/mounts").ok();
    assert!(file.stdout.starts_with("444\ntmpfs "), "a secret is a file in memory: {file}");
    assert!(dev.in_shop("logs auth/api --tail 5").ok().stdout.contains("GET /health"));
    assert!(dev.in_shop("test unit").ok().stdout.contains("passed"), "the image has what `sync` shows elsewhere");
    assert!(dev.onramp("list").ok().stdout.contains("3 up"));

    // Closed.
    let routes = dev.in_shop("exec web -- cat /proc/net/route").ok().stdout;
    assert!(!routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")), "no way out: {routes}");
    assert_ne!(dev.in_shop("exec web -- getent hosts deb.debian.org").code(), 0, "no name from outside");
    assert_ne!(dev.in_shop("exec web -- getent hosts api").code(), 0, "what another app calls its own");
    let able = dev.in_shop("exec web -- grep CapBnd /proc/self/status").ok().stdout;
    assert!(able.contains("00000000000004fb"), "{able}");

    for (line, told) in [("watch", "no file is followed"), ("snapshot save one", "no data is saved")] {
        let refused = dev.in_shop(line).fails(Class::Env).stderr;
        assert!(refused.contains(told) && refused.contains("next: onramp up --on engine"), "{refused}");
    }
    let gated = as_file.replace("[services.web]", "[services.web]\negress = [\"a.test:443\"]");
    dev.write("shop/onramp.toml", gated);
    let refused = dev.in_shop("up").fails(Class::Env).stderr;
    assert!(refused.contains("on a swarm shop/web cannot reach what its `egress` names"), "{refused}");
    dev.write("shop/onramp.toml", &as_file);

    // A change makes one service anew; data stays, also where the engine takes over and gives back.
    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Edited"));
    dev.in_shop("exec db -- sh -c").arg("mariadb shop -e \"DELETE FROM products WHERE name LIKE 'Fountain%'\"").ok();
    let up = dev.in_shop("up").ok().stderr;
    assert!(up.contains("replace shop/web") && up.contains("keep    shop/db, auth/api"), "{up}");
    let page = dev.page("shop", "shop/web", "/");
    assert!(page.contains("<h1>Edited</h1>") && !page.contains("Fountain pen"), "{page}");

    // Killed in the middle, the next one heals.
    dev.in_shop("down").ok();
    let mut killed = dev.in_shop("up --on swarm").start();
    while swarm.says(&["service", "ls", "--quiet"]).is_empty() {
        assert_eq!(killed.try_wait().unwrap(), None, "it makes services");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    dev.in_shop("up --on swarm").ok();
    assert!(!dev.page("shop", "shop/web", "/").contains("Fountain pen"), "the deleted row stays deleted");
    let fresh = dev.in_shop("up --fresh --yes").ok().stderr;
    assert!(fresh.contains("clone   shop/db"), "{fresh}");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "as it was seeded");

    let back = dev.in_shop("up --on engine").ok();
    assert!(!back.stderr.contains("on the swarm"), "{back}");
    assert_eq!(swarm.says(&["service", "ls", "--quiet"]), "");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
    dev.in_shop("up --on swarm").ok();
    dev.in_shop("down --data --yes").ok();
    // Golden copies are nobody's alone.
    let left: Vec<String> = swarm.ours().into_iter().filter(|found| !found.starts_with("volume: ")).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(swarm.says(&["secret", "ls", "--format", "{{.Name}}"]), "onramp_theirs");
    assert!(swarm.says(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|name| name == "onramp_theirs"));
}

#[test]
fn an_engine_in_no_swarm_is_told_so_before_anything_is_made() {
    let dev = Developer::new();
    dev.shop();
    let told = dev.in_shop("up --on swarm").fails(Class::Env).stderr;
    assert!(told.contains("is in no swarm") && told.contains("next: docker swarm init"), "{told}");
    assert_eq!(engine::networks_named(&engine::sandbox_of(&dev.path("shop")).network()), 0, "nothing was made");
}
