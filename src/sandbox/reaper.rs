//! Sandboxes that end with the process that asked for them, so that CI leaves none behind.
//!
//! A background `onramp down --after` waits for the process and removes the sandbox. Where that one is killed, too, what is
//! remembered here tells `onramp list` and `onramp prune`.

use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::{Error, background};
use crate::files::{self, FileError};
use crate::task::blocking;

/// The largest memory of a process, in bytes.
const CAP: u64 = 4096;

/// A process of this machine; a later one with the same number is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub number: u32,
    /// When it was started: clock ticks since the machine was.
    started: u64,
    /// Which start of the machine that was.
    boot: String,
}

impl Process {
    /// The process with this number; none where none runs.
    pub fn of(number: u32) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let (state, started) = state_and_start(&stat)?;
        (!matches!(state, "Z" | "X")).then(|| Self { number, started, boot: boot.trim().to_owned() })
    }

    /// The process that started this one.
    pub fn parent() -> Option<Self> {
        Self::of(std::os::unix::process::parent_id())
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        Self::of(self.number).as_ref() == Some(self)
    }

    /// Waits until it has ended.
    pub async fn ended(&self) -> Result<(), FileError> {
        let process = self.clone();
        let wait = blocking(move || process.wait()).await;
        wait.map_err(|error| FileError::io("wait for", Path::new(&format!("/proc/{}", self.number)))(error.into()))
    }

    fn wait(&self) -> rustix::io::Result<()> {
        let Some(pid) = i32::try_from(self.number).ok().and_then(Pid::from_raw) else { return Ok(()) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            opened => opened?,
        };
        // The handle stands for one process, whatever becomes of the number: this asks whether it is the one that is meant.
        if self.runs() {
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&handle, PollFlags::IN)], None))?;
        }
        Ok(())
    }
}

/// The third and the twenty-second word of what the kernel tells of a process, see proc(5). The second is the program's name
/// in parentheses, which may hold anything.
fn state_and_start(stat: &str) -> Option<(&str, u64)> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?;
    Some((state, words.nth(18)?.parse().ok()?))
}

/// The process that a sandbox ends with; none where it ends with none.
pub fn asker(state: &Path, sandbox: &str) -> Option<Process> {
    serde_json::from_slice(&files::read(&file(state, sandbox), CAP).ok()?).ok()
}

/// Remembers that the sandbox ends with the process.
pub fn remember(state: &Path, sandbox: &str, process: &Process) -> Result<(), FileError> {
    let file = file(state, sandbox);
    let directory = state.join("reap");
    std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
    files::write(&file, &serde_json::to_vec(process).expect("a process is plain data"))
}

/// The sandbox ends with no process any more.
pub fn forget(state: &Path, sandbox: &str) -> Result<(), FileError> {
    let file = file(state, sandbox);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::io("remove", &file)(error)),
        _ => Ok(()),
    }
}

/// Starts what removes the sandbox of a project once the process has ended, and remembers that it will.
pub fn start(state: &Path, project: &Path, sandbox: &str, process: &Process) -> Result<(), Error> {
    remember(state, sandbox, process)?;
    let mut command = background::command(project)?;
    command.args(["down", "--data", "--yes", "--quiet", "--after"]).arg(process.number.to_string());
    if let Err(error) = command.spawn() {
        forget(state, sandbox)?;
        return Err(FileError::io("start", Path::new("onramp"))(error).into());
    }
    Ok(())
}

fn file(state: &Path, sandbox: &str) -> PathBuf {
    state.join("reap").join(sandbox)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_programs_name_may_hold_anything() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(state_and_start(&format!("12 (a) Z (b c) {rest}")), Some(("S", 4711)));
        for broken in ["", "12 (a", "12 (a) S 1 2", "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"] {
            assert_eq!(state_and_start(broken), None);
        }
    }

    #[tokio::test]
    async fn a_process_ends_once_and_its_number_is_not_it() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.runs());
        let waiting = process.clone();
        let waiting = tokio::spawn(async move { waiting.ended().await });
        child.kill().unwrap();
        waiting.await.unwrap().unwrap();
        assert!(!process.runs(), "nobody has asked for its outcome yet, and still it has ended");
        child.wait().unwrap();
        process.ended().await.unwrap();
        let another = Process { started: 0, ..Process::of(std::process::id()).unwrap() };
        assert!(!another.runs());
        another.ended().await.unwrap();
    }

    #[test]
    fn what_is_remembered_is_forgotten_once_told() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::of(std::process::id()).unwrap();
        assert_eq!(asker(dir.path(), "shop"), None);
        remember(dir.path(), "shop", &process).unwrap();
        assert_eq!(asker(dir.path(), "shop"), Some(process));
        forget(dir.path(), "shop").unwrap();
        forget(dir.path(), "shop").unwrap();
        assert_eq!(asker(dir.path(), "shop"), None);
    }
}
