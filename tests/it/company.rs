//! The practice company on the real engine, and a developer who has joined it.
//!
//! The playground is made once for all tests, in `target/`; nothing changes it. Every developer has a machine of their
//! own with a copy of the state repository, so that tests run at once and see only themselves.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use crate::run::{Machine, Run};

/// The data directory of the playground that all tests share.
static SHARED: LazyLock<PathBuf> = LazyLock::new(|| {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("company");
    let mut machine = Machine::new();
    machine.on_engine().set("XDG_DATA_HOME", data.display().to_string());
    machine.onramp("playground up").ok();
    data
});

/// A developer of the practice company.
pub struct Developer {
    machine: Machine,
    projects: Mutex<Vec<PathBuf>>,
}

impl Developer {
    /// A machine that has joined, with its own copy of the state repository.
    pub fn new() -> Self {
        let mut machine = Machine::new();
        let playground = SHARED.join("onramp/playground");
        let state = machine.elsewhere("state.git");
        let original = playground.join("state.git");
        machine.git("", &["clone", "--quiet", "--mirror", original.to_str().unwrap(), state.to_str().unwrap()]);
        machine.on_engine();
        // One key on one engine: what one test seeded the others clone.
        machine.write(machine.elsewhere("home/.local/state/onramp/sandbox.key"), [7; 32]);
        machine.onramp("join").arg(playground.join("catalog.git").display().to_string()).ok();
        machine.set("ONRAMP_STATE", state.display().to_string());
        Self { machine, projects: Mutex::default() }
    }

    /// The registry that they joined, `127.0.0.1:5000`.
    pub fn registry(&self) -> String {
        let settings = std::fs::read_to_string(self.elsewhere("home/.config/onramp/settings.toml")).unwrap();
        let line = settings.lines().find(|line| line.starts_with("registry = ")).unwrap();
        line.trim_start_matches("registry = ").trim_matches('"').to_owned()
    }

    /// Makes the project `shop` from php-web.
    pub fn shop(&self) -> &Self {
        self.onramp("new php-web shop --defaults").ok();
        self.project("shop")
    }

    /// Remembers a project, whose sandbox goes with this developer.
    pub fn project(&self, directory: &str) -> &Self {
        self.projects.lock().unwrap().push(self.path(directory));
        self
    }

    /// A run in the project `shop`.
    pub fn in_shop(&self, line: &str) -> Run<'_> {
        self.onramp(line).dir("shop")
    }

    /// Where a service of a project's sandbox answers.
    pub fn address(&self, directory: &str, service: &str) -> SocketAddr {
        let status = self.onramp("status --json").dir(directory).ok().json();
        let services = status["services"].as_array().unwrap().clone();
        let found =
            services.iter().find(|s| s["service"] == service).unwrap_or_else(|| panic!("{service} in {status}"));
        found["address"].as_str().unwrap().parse().unwrap()
    }

    /// The loopback port of one.
    pub fn port(&self, directory: &str, service: &str) -> u16 {
        self.address(directory, service).port()
    }

    /// The page that a service of a project's sandbox shows.
    pub fn page(&self, directory: &str, service: &str, path: &str) -> String {
        let at = self.address(directory, service);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, body) = runtime.block_on(onramp::sandbox::ready::get(at, path)).unwrap();
        format!("{status}\n{body}")
    }

    /// The text of a file in the state repository's default branch.
    pub fn declared(&self, path: &str) -> String {
        let state = self.elsewhere("state.git");
        self.git("", &["--git-dir", state.to_str().unwrap(), "show", &format!("main:{path}")])
    }

    /// Gives the state repository's default branch a CODEOWNERS file.
    pub fn own(&self, text: &str) {
        let state = self.elsewhere("state.git");
        self.git("", &["clone", "--quiet", state.to_str().unwrap(), "owned"]);
        self.write("owned/CODEOWNERS", text);
        self.git("owned", &["add", "CODEOWNERS"]);
        self.git("owned", &["commit", "--quiet", "--message", "Owners"]);
        self.git("owned", &["push", "--quiet"]);
        self.remove("owned");
    }

    /// Changes a file in the state repository's default branch.
    pub fn declare(&self, path: &str, change: impl FnOnce(String) -> String) {
        let state = self.elsewhere("state.git");
        self.git("", &["clone", "--quiet", state.to_str().unwrap(), "declared"]);
        self.write(Path::new("declared").join(path), change(self.declared(path)));
        self.git("declared", &["commit", "--quiet", "--all", "--message", "Declare otherwise"]);
        self.git("declared", &["push", "--quiet"]);
        self.remove("declared");
    }

    /// Commits everything in the project `shop`.
    pub fn commit(&self, message: &str) {
        self.git("shop", &["add", "--all"]);
        self.git("shop", &["commit", "--quiet", "--message", message]);
    }
}

impl Deref for Developer {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for Developer {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl Drop for Developer {
    /// Whatever a test did: nothing of it stays on the engine.
    fn drop(&mut self) {
        for project in self.projects.lock().unwrap().iter() {
            let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
            command.arg("-C").arg(project).args(["down", "--data", "--yes", "--quiet"]);
            let _ = command.env_clear().envs(self.machine.environment()).output();
        }
    }
}

/// A machine with its own playground, removed again whatever happens.
pub struct OwnPlayground(Machine);

impl OwnPlayground {
    /// It is up.
    pub fn up() -> Self {
        let own = Self::away();
        own.0.onramp("playground up").ok();
        own
    }

    /// It is not up yet; the base images that it needs are on the engine.
    pub fn away() -> Self {
        // The shared playground stays while this one goes: the base images are not built twice.
        drop(Developer::new());
        let mut machine = Machine::new();
        machine.on_engine();
        Self(machine)
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.0
    }
}

impl Drop for OwnPlayground {
    fn drop(&mut self) {
        let _ = self.0.onramp("playground down --yes --keep-images").code();
    }
}
