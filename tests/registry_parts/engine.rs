//! An engine of the test's own, so that it can be stopped: Docker's daemon with its files in a temporary directory, without
//! a network.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onramp::engine::Engine;

/// The process; ended with the test.
pub struct OwnEngine {
    process: Child,
    dir: tempfile::TempDir,
}

impl OwnEngine {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = spawn(dir.path());
        let own = Self { process, dir };
        own.ready().await;
        own
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// Ends it as a service manager does, and starts it again on the same files.
    pub async fn restart(mut self) -> Self {
        self.stop();
        self.process = spawn(self.dir.path());
        self.ready().await;
        self
    }

    async fn ready(&self) {
        for _ in 0..600 {
            if Engine::connect(Some(&self.host()), false).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the engine did not start");
    }

    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

fn spawn(dir: &std::path::Path) -> Child {
    let at = |name: &str| dir.join(name).display().to_string();
    Command::new("dockerd")
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--bridge", "none", "--iptables=false", "--ip-forward=false"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need Docker's daemon: run scripts/setup")
}
