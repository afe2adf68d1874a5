//! An engine of the test's own, so that it can be stopped: Docker's daemon with its files in a temporary directory and a
//! bridge of its own. (Without a bridge it would remove the default one, which is another engine's.)

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onramp::engine::{Address, Engine};

/// The process; ended with the test.
pub struct OwnEngine {
    process: Child,
    bridge: String,
    /// Where its files are; a directory of its own goes with it.
    place: PathBuf,
    dir: Option<tempfile::TempDir>,
}

impl OwnEngine {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut own = Self::start_in(dir.path()).await;
        own.dir = Some(dir);
        own
    }

    /// One whose files are in a directory that is there, and stays.
    pub async fn start_in(place: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed) % 30;
        let bridge = format!("onr{}-{number}", std::process::id());
        ip(&["link", "add", &bridge, "type", "bridge"]);
        // Of the addresses that documentation uses (RFC 5737): nobody's.
        ip(&["address", "add", &format!("198.51.100.{}/29", 8 * number + 1), "dev", &bridge]);
        let process = spawn(place, &bridge);
        let own = Self { process, bridge, place: place.to_owned(), dir: None };
        own.ready().await;
        own
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.place.join("docker.sock").display())
    }

    /// Ends it as a service manager does, and starts it again on the same files.
    pub async fn restart(mut self) -> Self {
        self.stop();
        self.start_again().await;
        self
    }

    /// Starts one that was ended.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.place, &self.bridge);
        self.ready().await;
    }

    async fn ready(&self) {
        for _ in 0..600 {
            if Engine::connect(&Address::of(&self.host(), None).unwrap()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the engine did not start");
    }

    /// Ends it. One that has ended already stays so.
    pub fn stop(&mut self) {
        if !self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            return;
        }
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.stop();
        let _ = Command::new("ip").args(["link", "delete", &self.bridge]).status();
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("these tests need iproute2: run scripts/setup");
    assert!(done.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn spawn(dir: &Path, bridge: &str) -> Child {
    let at = |name: &str| dir.join(name).display().to_string();
    Command::new("dockerd")
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--bridge", bridge, "--iptables=false", "--ip-forward=false"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need Docker's daemon: run scripts/setup")
}
