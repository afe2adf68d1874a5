//! A machine of its own for a test, and one run of the built binary on it.
//!
//! ```ignore
//! let machine = Machine::new();
//! machine.write("shop/onramp.toml", "schema = 1\n");
//! machine.onramp("status").dir("shop").fails(Class::Config);
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use onramp::error::Class;
use regex::Regex;

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// A home, a working directory and an environment that nothing outside of the test can change. No network is needed, no
/// engine is known. All of it goes when it is dropped.
pub struct Machine {
    root: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Machine {
    /// A machine on which nothing was ever done, of a developer whom git knows.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("onramp-test-").tempdir().unwrap();
        let place = |name: &str| root.path().join(name).display().to_string();
        let fixed = [
            ("GIT_AUTHOR_NAME", "Dev"),
            ("GIT_AUTHOR_EMAIL", "dev@acme.test"),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_COMMITTER_NAME", "Dev"),
            ("GIT_COMMITTER_EMAIL", "dev@acme.test"),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            // No engine answers here; tests of the engine say otherwise.
            ("DOCKER_HOST", "unix:///nonexistent/docker.sock"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("TERM", "dumb"),
        ];
        let mut environment: BTreeMap<String, String> =
            fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, directory) in [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_CACHE_HOME", "home/.cache"),
            ("XDG_DATA_HOME", "home/.local/share"),
            ("XDG_STATE_HOME", "home/.local/state"),
        ] {
            environment.insert(name.to_owned(), place(directory));
        }
        environment.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
        fs::create_dir_all(root.path().join("home")).unwrap();
        fs::create_dir_all(root.path().join("work")).unwrap();
        Self { root, environment }
    }

    /// Sets a variable for every run that follows.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Lets it reach the real engine: what the tests themselves were started with.
    pub fn on_engine(&mut self) -> &mut Self {
        self.environment.remove("DOCKER_HOST");
        self.environment.extend(std::env::var("DOCKER_HOST").ok().map(|host| ("DOCKER_HOST".to_owned(), host)));
        self
    }

    /// The variables of every run.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// A path in the working directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(relative)
    }

    /// A path beside the working directory: what is elsewhere on the machine.
    pub fn elsewhere(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Writes a file, with its directories. An absolute path leads elsewhere; so it is with the others.
    pub fn write(&self, relative: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Gives everything on it to the user of [`Run::by_nobody`].
    pub fn give_to_nobody(&self) {
        if rustix::process::geteuid().is_root() {
            let owner = format!("{NOBODY}:{NOBODY}");
            let given = Command::new("chown").args(["-hR", &owner]).arg(self.root.path()).status();
            assert!(given.unwrap().success());
        }
    }

    /// Removes a directory with everything in it.
    pub fn remove(&self, relative: impl AsRef<Path>) {
        fs::remove_dir_all(self.path(relative)).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, relative: impl AsRef<Path>) -> String {
        let path = self.path(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Everything under a directory with modes and contents, `.git` apart: equal before and after means untouched.
    pub fn tree(&self, relative: impl AsRef<Path>) -> BTreeMap<String, String> {
        let root = self.path(relative);
        let mut found = BTreeMap::new();
        if root.is_dir() {
            collect(&root, &root, &mut found);
        }
        found
    }

    /// Runs git in a directory of the working directory; what it printed.
    pub fn git(&self, directory: impl AsRef<Path>, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.path(directory)).env_clear().envs(&self.environment);
        let output = command.output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A run of onramp. The line is split at spaces; [`Run::arg`] takes what has some.
    pub fn onramp(&self, line: &str) -> Run<'_> {
        Run {
            machine: self,
            arguments: line.split_whitespace().map(str::to_owned).collect(),
            directory: self.path(""),
            environment: self.environment.clone(),
            stdin: None,
            user: None,
        }
    }

    /// The text without what differs from run to run.
    pub fn filter(&self, text: &str) -> String {
        static FILTERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
            let filters = [
                (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
                (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
                (r"\b[0-9a-f]{7}\b", "[COMMIT]"),
                (r"\(\d+\.\d s\)", "([TIME])"),
                (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
                (concat!("onramp-", env!("CARGO_PKG_VERSION")), "onramp-[VERSION]"),
            ];
            filters.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
        });
        let root = self.root.path().canonicalize().unwrap();
        let mut text = text.replace(&*root.to_string_lossy(), "[MACHINE]");
        text = text.replace(&*self.root.path().to_string_lossy(), "[MACHINE]");
        text = text.replace("[MACHINE]/work", "[WORK]").replace("[MACHINE]/home", "[HOME]");
        for (pattern, name) in FILTERS.iter() {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        text
    }
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            found.insert(format!("{name}/"), format!("{mode:o}"));
            if path.file_name().is_none_or(|name| name != ".git") {
                collect(root, &path, found);
            }
        } else if metadata.is_symlink() {
            found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else {
            let contents = fs::read(&path).unwrap();
            found.insert(name, format!("{mode:o} {}", String::from_utf8_lossy(&contents)));
        }
    }
}

/// One run of the built binary.
#[must_use = "a run does nothing until `ok` or `fails`"]
pub struct Run<'a> {
    machine: &'a Machine,
    arguments: Vec<String>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    stdin: Option<String>,
    user: Option<u32>,
}

impl Run<'_> {
    /// One more argument, whole.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs there, under the machine's working directory.
    pub fn dir(mut self, relative: impl AsRef<Path>) -> Self {
        self.directory = self.machine.path(relative);
        self
    }

    /// With this variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Without this variable.
    pub fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// With this text to read.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// As a user to whom the system denies what modes deny: root is denied nothing. Nobody else can be somebody else, and
    /// runs as they are.
    pub fn by_nobody(mut self) -> Self {
        self.user = rustix::process::geteuid().is_root().then_some(NOBODY);
        self
    }

    /// Runs, and must end well.
    #[track_caller]
    pub fn ok(self) -> Told {
        let (code, told) = self.outcome();
        assert_eq!(code, Some(0), "it should have ended well:\n{told}");
        told
    }

    /// Runs, and must end with this class.
    #[track_caller]
    pub fn fails(self, class: Class) -> Told {
        let (code, told) = self.outcome();
        assert_eq!(code, Some(class.exit_code().into()), "it should have ended as {}:\n{told}", class.name());
        told
    }

    /// Runs, and is killed (SIGKILL) at this moment if it has not ended by then; its code, if it has. Waiting for the moment is
    /// no pause: the moment is what the test is about, and an end before it ends the wait.
    pub fn killed_at(self, moment: Duration) -> Option<i32> {
        self.cut_off_at(moment).0
    }

    /// The same, with what it said by then.
    pub fn cut_off_at(self, moment: Duration) -> (Option<i32>, Told) {
        let mut child = self.spawn();
        let mut stdout = child.stdout.take().expect("it is piped");
        let (running, end) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            let _ = stdout.read_to_string(&mut said);
            // Its stream ends with the process, and so does the channel.
            drop::<std::sync::mpsc::Sender<()>>(running);
            said
        });
        let _ = end.recv_timeout(moment);
        // It may have ended.
        let _ = child.kill();
        let output = child.wait_with_output().expect("a killed process ends");
        let stdout = reader.join().expect("reading does not fail");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = Told { stdout: self.machine.filter(&stdout), stderr: self.machine.filter(&stderr), raw: stdout };
        (output.status.code(), told)
    }

    /// Starts; both of its streams are to be read.
    pub fn piped(self) -> Child {
        self.spawn()
    }

    fn spawn(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command.args(&self.arguments).current_dir(&self.directory).env_clear().envs(&self.environment);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("onramp was built")
    }

    /// The run as one that another program starts.
    pub fn through(self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(env!("CARGO_BIN_EXE_onramp")).args(&self.arguments);
        command.current_dir(&self.directory).env_clear().envs(&self.environment);
        command
    }

    /// Runs, and must end with this code.
    #[track_caller]
    pub fn exits(self, expected: i32) -> Told {
        let (code, told) = self.outcome();
        assert_eq!(code, Some(expected), "{told}");
        told
    }

    /// Runs, and ends as it may; its code.
    #[track_caller]
    pub fn code(self) -> i32 {
        let (code, told) = self.outcome();
        code.unwrap_or_else(|| panic!("a signal ended it:\n{told}"))
    }

    /// Starts, and is left to itself.
    pub fn start(self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command.args(&self.arguments).current_dir(&self.directory).env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("onramp was built")
    }

    /// Runs, and ends as it may; its code, none where a signal ended it, and what it said.
    pub fn outcome(self) -> (Option<i32>, Told) {
        let mut child = self.spawn();
        if let (Some(text), Some(mut stdin)) = (&self.stdin, child.stdin.take()) {
            // A program that does not read to the end is no failure of the test.
            let _ = stdin.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().expect("onramp ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("onramp writes text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        let told = Told { stdout: self.machine.filter(&stdout), stderr: self.machine.filter(&stderr), raw: stdout };
        (output.status.code(), told)
    }
}

/// What a run said, without what differs from run to run.
pub struct Told {
    /// Its result.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
    raw: String,
}

impl Told {
    /// The one JSON document that `--json` prints, unfiltered.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(&self.raw).unwrap_or_else(|e| panic!("{e}:\n{self}"));
        assert_eq!(document["schema"], 1, "{self}");
        document
    }
}

/// Both streams, for a snapshot; an empty one is left out.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}
