//! The real programs, from `PyPI`, in the virtual environment that `scripts/setup test` makes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use crate::run::Machine;

/// The Python of the virtual environment.
fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("venv/bin/python");
    assert!(python.exists(), "{} is missing: `scripts/setup test` installs the oracles", python.display());
    python
}

/// A process that runs their command lines, one after the other.
struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(machine: &Machine) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/oracle.py");
        // It outlives the machine that it was started for; what it keeps of its own goes to the build directory.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-home");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(python());
        command.arg(program).current_dir(&home).env_clear();
        command.envs(machine.environment().iter().filter(|(name, _)| !name.starts_with("XDG_"))).env("HOME", &home);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
        let (requests, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, requests, answers }
    }

    fn run(&mut self, directory: &Path, log: &Path, arguments: &[String]) -> i32 {
        let request = serde_json::json!({ "argv": arguments, "directory": directory, "log": log });
        writeln!(self.requests, "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap_or_else(|_| panic!("the oracle ended: {:?}", self.child.try_wait()))
    }
}

/// Processes that have nothing to do. Each imports the programs once, which takes longer than most runs.
static IDLE: Mutex<Vec<Process>> = Mutex::new(Vec::new());

/// Runs `copier`, `cookiecutter` or `cruft` with these arguments in a directory; what it said, and whether it ended well.
pub fn run(machine: &Machine, directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let idle = IDLE.lock().unwrap().pop();
    let mut process = idle.unwrap_or_else(|| Process::start(machine));
    let log = tempfile::NamedTempFile::new().unwrap();
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let code = process.run(directory, log.path(), &arguments);
    IDLE.lock().unwrap().push(process);
    let said = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
    if code == 0 { Ok(said) } else { Err(format!("{} ended with {code}:\n{said}", arguments[..2].join(" "))) }
}

/// The same, where the program must end well.
#[track_caller]
pub fn must(machine: &Machine, directory: &Path, arguments: &[&str]) -> String {
    run(machine, directory, arguments).unwrap_or_else(|said| panic!("{said}"))
}
