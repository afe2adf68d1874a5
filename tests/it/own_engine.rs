//! An engine of a test's own, that can be stopped, and whose disk can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::runtime::Runtime;

#[allow(dead_code, reason = "others restart theirs, or give it no directory")]
#[path = "../registry_parts/engine.rs"]
mod engine;

/// The engine, for tests that do not wait themselves.
pub struct OwnEngine {
    own: engine::OwnEngine,
    place: PathBuf,
    runtime: Runtime,
}

impl OwnEngine {
    /// One whose files are in this directory.
    pub fn start_in(place: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let own = runtime.block_on(engine::OwnEngine::start_in(place));
        Self { own, place: place.to_owned(), runtime }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        self.own.host()
    }

    /// Ends it as a service manager does.
    pub fn stop(&mut self) {
        self.own.stop();
    }

    /// Starts it again on the same files.
    pub fn start(&mut self) {
        self.runtime.block_on(self.own.start_again());
    }

    /// Volumes, as the engine describes them.
    pub fn volumes(&self) -> Vec<serde_json::Value> {
        let names = self.says("volume ls -q").join(" ");
        if names.is_empty() {
            return Vec::new();
        }
        let told = self.says(&format!("volume inspect {names}")).concat();
        serde_json::from_str::<serde_json::Value>(&told).unwrap().as_array().unwrap().clone()
    }

    /// What is mounted of it in this machine's own name space, its containers' own files aside.
    pub fn mounts(&self) -> Vec<String> {
        let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let volumes = self.place.join("data/volumes").canonicalize().unwrap().display().to_string();
        mounted.lines().filter(|line| line.contains(&volumes)).map(str::to_owned).collect()
    }

    /// What Docker's own client says of it, line by line.
    pub fn says(&self, line: &str) -> Vec<String> {
        let asked = Command::new("docker").args(["--host", &self.host()]).args(line.split(' ')).output().unwrap();
        assert!(asked.status.success(), "docker {line}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}
