//! Docker without root: a daemon of the test's own, of a user who owns nothing else, by Docker's own script.

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::company::Developer;
use crate::run::Machine;
use crate::tiny;

/// Docker's script, where Debian has it.
const SCRIPT: &str = "/usr/share/docker.io/contrib/dockerd-rootless.sh";

/// What only root may prepare, in a mount name space of its own, so that nothing of the machine changes: numbers for the user's
/// containers, and a device that the user may open. Then everything goes on as that user.
const PREPARE: &str = r#"
set -e
echo nobody:2000000:65536 > subid
mount --bind subid /etc/subuid
mount --bind subid /etc/subgid
mknod tun c 10 200
chmod 666 tun
mount --bind tun /dev/net/tun
chown -R 65534:65534 home run
exec setpriv --reuid 65534 --regid 65534 --clear-groups env -i HOME="$PWD/home" XDG_RUNTIME_DIR="$PWD/run" PATH="$PATH:/usr/sbin:/sbin" \
    DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS="--state-dir=$PWD/run/kit" \
    "$0" --data-root "$PWD/home/data" --exec-root "$PWD/run/docker" --host "unix://$PWD/run/docker.sock"
"#;

/// Carries what comes to a port of loopback to a socket.
const RELAY: &str = r#"
use IO::Socket::INET;
use IO::Socket::UNIX;
my ($port, $way) = @ARGV;
$SIG{CHLD} = "IGNORE";
my $here = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 64) or die $!;
syswrite STDOUT, "ready\n";
while (my $inner = $here->accept) {
    next if fork;
    my $outer = IO::Socket::UNIX->new($way) or die $!;
    my ($from, $into) = fork ? ($inner, $outer) : ($outer, $inner);
    while (sysread $from, my $part, 65536) { syswrite $into, $part or last }
    shutdown $into, 1;
    exit;
}
"#;

/// The daemon, ended with the test.
struct Rootless {
    process: Child,
    relay: Option<Child>,
    place: PathBuf,
}

impl Rootless {
    fn start(machine: &Machine) -> Self {
        let place = machine.elsewhere("rootless");
        // The way there must be open to somebody else.
        std::fs::set_permissions(machine.elsewhere(""), std::fs::Permissions::from_mode(0o755)).unwrap();
        for directory in ["home", "run"] {
            std::fs::create_dir_all(place.join(directory)).unwrap();
        }
        let log = std::fs::File::create(place.join("log")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", PREPARE, SCRIPT]).current_dir(&place);
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut started = Self { process, relay: None, place };
        while !started.answers() {
            let log = || std::fs::read_to_string(started.place.join("log")).unwrap();
            assert_eq!(started.process.try_wait().unwrap(), None, "it ended: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }

    fn host(&self) -> String {
        format!("unix://{}", self.place.join("run/docker.sock").display())
    }

    fn docker(&self, line: &str) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.host()]).args(line.split(' '));
        command
    }

    fn answers(&self) -> bool {
        self.docker("version").output().unwrap().status.success()
    }

    fn says(&self, line: &str) -> String {
        String::from_utf8(self.docker(line).output().unwrap().stdout).unwrap()
    }

    /// Brings the registry on this machine's loopback to the daemon's own, which is another one: through a socket of the file
    /// system, which they share.
    fn sees(&mut self, registry: &str) {
        let way = self.place.join("registry.sock");
        let (listener, registry) = (UnixListener::bind(&way).unwrap(), registry.to_owned());
        let port = registry.rsplit(':').next().unwrap().to_owned();
        std::thread::spawn(move || {
            for inner in listener.incoming() {
                let (mut from, mut registry) = (inner.unwrap(), TcpStream::connect(&registry).unwrap());
                let (mut into, mut back) = (registry.try_clone().unwrap(), from.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(Shutdown::Write);
                });
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut registry, &mut back);
                    let _ = back.shutdown(Shutdown::Write);
                });
            }
        });
        let pid = std::fs::read_to_string(self.place.join("run/kit/child_pid")).unwrap();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", pid.trim())).args(["perl", "-e", RELAY, &port]).arg(way);
        let mut relay = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(relay.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        self.relay = Some(relay);
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        if let Some(relay) = &mut self.relay {
            let _ = relay.kill();
            let _ = relay.wait();
        }
        // Its helper ends the daemon, and that its containers.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
fn a_sandbox_runs_on_docker_without_root() {
    if !rustix::process::geteuid().is_root() {
        // Said past what the test runner keeps of a test that passes.
        let skipped = "skipped: Docker without root, because only root can make what its user needs\n";
        std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes()).unwrap();
        return;
    }
    assert!(Path::new(SCRIPT).exists(), "these tests need Docker's script: run scripts/setup");
    let mut dev = Developer::new();
    let base = tiny::small(&dev);
    let mut engine = Rootless::start(&dev);
    engine.sees(&dev.registry());
    dev.set("DOCKER_HOST", engine.host());
    let web = format!(
        "[services.web]\nbuild = {{ context = \"web\", base = \"{base}\" }}\ncommand = {}\nneeds = [\"db\"]\nsync = {{ src = \"/srv\" }}\n",
        tiny::IDLE
    );
    let tests = "[tests.unit]\nin = \"web\"\nrun = [\"cat\", \"/srv/name\"]\n";
    for directory in ["one", "two"] {
        dev.write(format!("{directory}/web/Dockerfile"), "ARG BASE\nFROM $BASE\nENV COLOUR=blue\n");
        dev.write(
            format!("{directory}/onramp.toml"),
            format!("schema = 1\nname = \"tiny\"\n{}{web}{tests}", tiny::database(&base)),
        );
        dev.write(format!("{directory}/seed.sql"), "seeded\n");
        dev.write(format!("{directory}/src/name"), "mounted\n");
    }
    let run = |line: &str| dev.onramp(line).dir("one");
    run("up").ok();
    assert!(dev.page("one", "tiny/db", "/").contains("seeded"));
    let again = run("up").ok();
    assert!(again.stderr.contains("keep    tiny/db, tiny/web"), "{again}");
    assert!(run("test").ok().stdout.contains("mounted"));
    dev.write("one/src/name", "edited\n");
    assert_eq!(run("exec web -- cat /srv/name").ok().stdout, "edited\n", "an edit is live");
    let routes = run("exec web -- cat /proc/net/route").ok().stdout;
    let gateway =
        routes.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).find(|way| *way != "00000000");
    assert!(
        gateway.is_some_and(|gateway| gateway.starts_with("FE")),
        "the way out is an address that nobody has: {routes}"
    );

    // Data: kept by `down`, cloned into another sandbox and anew, saved and brought back.
    tiny::write(&dev, "one", "mine", "my own");
    run("down").ok();
    run("up").ok();
    assert_eq!(tiny::read(&dev, "one", "mine"), "my own");
    assert!(dev.onramp("up").dir("two").ok().stderr.contains("clone   tiny/db"));
    assert_eq!(tiny::read(&dev, "two", "seed"), "seeded");
    run("snapshot save kept").ok();
    assert!(run("up --fresh --yes").ok().stderr.contains("clone   tiny/db"));
    run("snapshot restore kept --yes").ok();
    assert_eq!(tiny::read(&dev, "one", "mine"), "my own");
    for directory in ["one", "two"] {
        dev.onramp("down --data --yes").dir(directory).ok();
    }
    assert_eq!(engine.says("ps --all --quiet"), "", "nothing is left");
    assert_eq!(engine.says("volume ls --quiet --filter label=dev.onramp.sandbox"), "");
}
