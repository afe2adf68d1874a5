//! Running a project's tests in its sandbox.

use std::time::Instant;

use futures_util::StreamExt;
use serde::Serialize;

use super::{Error, SandboxId, status};
use crate::engine::{Engine, ExecSpec};
use crate::name::Name;
use crate::project::manifest::Test;

/// The most of a test's output that is kept, in bytes. All of it is streamed.
const KEPT: usize = 1024 * 1024;

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The test.
    pub test: Name,
    /// Whether its program ended with 0.
    pub passed: bool,
    /// What its program ended with.
    pub exit_code: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it wrote, both streams, as text; the first mebibyte.
    pub output: String,
}

/// Runs one test. Every chunk of its output is told as it comes.
pub async fn test(
    engine: &Engine,
    id: &SandboxId,
    name: &Name,
    test: &Test,
    heard: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, Error> {
    let container = status::container(engine, id, test.r#in.as_str()).await?.container;
    let began = Instant::now();
    let spec = ExecSpec { container, command: test.run.clone(), terminal: false, input: false };
    let mut program = engine.exec(&spec).await?;
    let mut output = String::new();
    let mut pending = Vec::new();
    while let Some(chunk) = program.output.next().await {
        pending.extend(chunk?.1);
        // Whole lines only, so that a character cut in two is not shown as two broken ones.
        let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = pending.drain(..=end).collect();
        tell(&lines, &mut output, heard);
    }
    tell(&pending, &mut output, heard);
    let exit_code = engine.exec_exit_code(&program.id).await?;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Outcome { test: name.clone(), passed: exit_code == 0, exit_code, duration_ms, output })
}

fn tell(bytes: &[u8], output: &mut String, heard: &mut (dyn FnMut(&str) + Send)) {
    if bytes.is_empty() {
        return;
    }
    let text = crate::text::neutral(&String::from_utf8_lossy(bytes));
    heard(&text);
    if output.len() + text.len() <= KEPT {
        output.push_str(&text);
    }
}
