//! onramp in the background: it goes on when the command that started it has ended.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::reaper::Process;
use crate::files::FileError;

/// What one that others wait for says once it is ready.
pub const READY: &str = "ready";
/// The longest word or complaint of it, in bytes.
const CAP: u64 = 4096;

/// onramp in a project, to be given its arguments. CI ends what a job left behind, by its process group or by a variable
/// (Jenkins' `BUILD_ID`, GitHub's `RUNNER_TRACKING_ID`): this one has neither.
pub fn command(project: &Path) -> Result<Command, FileError> {
    let ours = |name: &str| {
        matches!(name, "HOME" | "PATH" | "SSH_AUTH_SOCK" | "TMPDIR")
            || ["ONRAMP_", "XDG_", "DOCKER_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let program = std::env::current_exe().map_err(FileError::io("find", Path::new("onramp")))?;
    let mut command = Command::new(program);
    command.arg("-C").arg(project).env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Ok(command)
}

/// Starts one and waits until it says that it is ready; what it complained of if it does not.
pub async fn start(arguments: &[&str]) -> Result<Result<(), String>, FileError> {
    // It has no part in the project, whose directory may go before it.
    let nowhere = Path::new("/");
    let mut command = tokio::process::Command::from(command(nowhere)?);
    command.args(arguments).current_dir(nowhere).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(FileError::io("start", Path::new("onramp")))?;
    let (mut said, mut complaint) = (String::new(), String::new());
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout.take(CAP)).read_line(&mut said).await;
    }
    if said.trim() == READY {
        return Ok(Ok(()));
    }
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(CAP).read_to_string(&mut complaint).await;
    }
    Ok(Err(complaint.trim().trim_start_matches("error: ").to_owned()))
}

/// Ends one and waits for its end; one that does not run is ended.
pub async fn end(process: &Process) -> Result<(), FileError> {
    let Some(pid) = i32::try_from(process.number).ok().and_then(Pid::from_raw) else { return Ok(()) };
    // Its number may be that of another one's thread by now, of which no handle can be had.
    if !process.runs() {
        return Ok(());
    }
    let failed = |error: Errno| FileError::io("end", Path::new(&format!("/proc/{pid}")))(error.into());
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    // The handle stands for one process, whatever becomes of its number; then it is asked whether it is the one.
    if process.runs() {
        match pidfd_send_signal(&handle, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => process.ended().await?,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}
