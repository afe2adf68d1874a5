//! A program in a container at this terminal: raw mode, size, and both put back whatever happens.

use std::io::{IsTerminal, Write};

use futures_util::StreamExt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use crate::engine::{Engine, ExecSpec};

/// The terminal's mode, put back when this is dropped.
struct RawMode(Termios);

impl RawMode {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Whether both input and output are a terminal.
pub fn is_here() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs a program with this terminal, or with these pipes, as its own. Its exit code.
pub async fn run(engine: &Engine, container: &str, command: Vec<String>) -> Result<u8, Failure> {
    let terminal = is_here();
    let spec = ExecSpec { container: container.to_owned(), command, terminal, input: true, ..ExecSpec::default() };
    let program = engine.exec(&spec).await?;
    let _raw = if terminal { RawMode::enter() } else { None };
    let (id, mut output, mut input) = (program.id, program.output, program.input);
    let feed = tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
            if input.write_all(&buffer[..read]).await.is_err() || input.flush().await.is_err() {
                break;
            }
        }
        let _ = input.shutdown().await;
    });
    let sizes = terminal.then(|| tokio::spawn(follow_size(engine.clone(), id.clone())));
    while let Some(chunk) = output.next().await {
        let (stderr, bytes) = chunk?;
        let written = if stderr { write(std::io::stderr(), &bytes) } else { write(std::io::stdout(), &bytes) };
        if written.is_err() {
            break;
        }
    }
    feed.abort();
    if let Some(sizes) = sizes {
        sizes.abort();
    }
    let code = engine.exec_exit_code(&id).await?;
    Ok(u8::try_from(code).unwrap_or(1))
}

fn write(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Tells the program's terminal the size of this one, now and whenever it changes.
async fn follow_size(engine: Engine, id: String) {
    let Ok(mut changed) = signal(SignalKind::window_change()) else { return };
    loop {
        if let Ok(size) = tcgetwinsize(std::io::stdin()) {
            // A size that cannot be told is no reason to end the program.
            let _ = engine.resize(&id, size.ws_row, size.ws_col).await;
        }
        if changed.recv().await.is_none() {
            return;
        }
    }
}
