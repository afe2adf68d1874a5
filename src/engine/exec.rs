//! Programs run inside a running container.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWrite;

use super::{Engine, Error};

/// A program to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The container.
    pub container: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables beside those of the container: `NAME=value`.
    pub env: Vec<String>,
    /// Who runs it instead of the container's own user.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether it gets input.
    pub input: bool,
}

/// What a program says: whether on stderr, and the bytes as they are.
pub type Output = Pin<Box<dyn Stream<Item = Result<(bool, Vec<u8>), Error>> + Send>>;

/// A running program that is talked with.
pub struct Interactive {
    /// The engine's id of it.
    pub id: String,
    /// What it says.
    pub output: Output,
    /// What it is told.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Engine {
    /// Starts a program in a container.
    pub async fn exec(&self, spec: &ExecSpec) -> Result<Interactive, Error> {
        let verb = || format!("run a program in {}", spec.container);
        let options = CreateExecOptions {
            attach_stdin: Some(spec.input),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(spec.terminal),
            cmd: Some(spec.command.clone()),
            env: Some(spec.env.clone()),
            user: spec.user.clone(),
            ..Default::default()
        };
        let container = self.at_hand(&spec.container).await?;
        let made = self.docker.create_exec(&container, options).await.map_err(|e| Self::failed(verb(), e))?;
        let start = StartExecOptions { detach: false, tty: spec.terminal, output_capacity: None };
        match self.docker.start_exec(&made.id, Some(start)).await.map_err(|e| Self::failed(verb(), e))? {
            StartExecResults::Attached { output, input } => {
                let output = output.map(move |item| match item {
                    Ok(output) => Ok((matches!(output, LogOutput::StdErr { .. }), output.into_bytes().to_vec())),
                    Err(error) => Err(Self::failed("read a program's output", error)),
                });
                Ok(Interactive { id: made.id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => Err(Error::Broken { verb: verb(), detail: "it was detached".to_owned() }),
        }
    }

    /// Runs a program in a container to its end, whatever it says: its exit code; none where the container cannot run it.
    pub async fn run_silently(&self, spec: &ExecSpec) -> Result<Option<i64>, Error> {
        let mut program = match self.exec(spec).await {
            Err(Error::Refused { .. }) => return Ok(None),
            program => program?,
        };
        while program.output.next().await.is_some() {}
        self.exec_exit_code(&program.id).await.map(Some)
    }

    /// The exit code of a program whose output has ended. The engine may learn of its end a moment later.
    pub async fn exec_exit_code(&self, id: &str) -> Result<i64, Error> {
        loop {
            let asked = self.docker.inspect_exec(id).await;
            let inspect = asked.map_err(|e| Self::failed("ask how a program ended", e))?;
            match inspect.exit_code {
                Some(code) if inspect.running != Some(true) => return Ok(code),
                _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    }

    /// Tells a program's terminal its size.
    pub async fn resize(&self, id: &str, rows: u16, columns: u16) -> Result<(), Error> {
        let options = ResizeExecOptions { height: rows, width: columns };
        self.docker.resize_exec(id, options).await.map_err(|e| Self::failed("resize a terminal", e))
    }
}
