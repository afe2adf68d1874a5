//! onramp in the background: it goes on when the command that started it has ended.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::FileError;

/// onramp in a project, to be given its arguments. CI ends what a job left behind, by its process group or by a variable
/// (Jenkins' `BUILD_ID`, GitHub's `RUNNER_TRACKING_ID`): this one has neither.
pub fn command(project: &Path) -> Result<Command, FileError> {
    let ours = |name: &str| {
        matches!(name, "HOME" | "PATH") || ["ONRAMP_", "XDG_", "DOCKER_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let program = std::env::current_exe().map_err(FileError::io("find", Path::new("onramp")))?;
    let mut command = Command::new(program);
    command.arg("-C").arg(project).env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Ok(command)
}
