//! A test's program in its container: heard while it runs, ended when its time is over.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::engine::{Engine, Error, ExecSpec, Interactive, Output};
use crate::project::test::Test;
use crate::reference::Digest;

/// The most of a program's output that is kept, in bytes. All of it is told.
const KEPT: usize = 1024 * 1024;
/// How long a program that was ended may take to be gone.
const GRACE: Duration = Duration::from_secs(5);
/// The variable by which a program is found again, and all that it started.
const MARK: &str = "ONRAMP_TEST_RUN";
/// Ends every process that carries the mark. What one of them starts meanwhile is found by the next pass.
const END: &str = r#"
for pass in 1 2 3 4 5; do
    found=$(grep -ls "$1" /proc/[0-9]*/environ)
    [ -n "$found" ] || exit 0
    for place in $found; do place=${place#/proc/}; kill -9 "${place%/environ}"; done
done"#;

/// What is told as it comes: whole lines, but for an unfinished last one.
pub type Hearing<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A program that ended, or was to end.
pub struct Ran {
    /// What it ended with; none where its time was over.
    pub exit_code: Option<i64>,
    /// Whether it was told to end and did not.
    pub survived: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it wrote, both streams, as text.
    pub output: String,
}

/// Runs a test's program once.
pub async fn run(engine: &Engine, container: &str, test: &Test, hearing: Hearing<'_>) -> Result<Ran, Error> {
    let began = Instant::now();
    let unique = Digest::of(format!("{} {container} {began:?}", std::process::id()).as_bytes());
    let mark = format!("{MARK}={}", unique.short());
    let spec = ExecSpec {
        container: container.to_owned(),
        command: test.run.clone(),
        env: vec![mark.clone()],
        ..ExecSpec::default()
    };
    let Interactive { id, mut output, input: _held } = engine.exec(&spec).await?;
    let mut words = Words { kept: String::new(), pending: Vec::new(), hearing };
    let limit = test.timeout.map_or(Duration::MAX, |limit| limit.0);
    let mut ran = Ran { exit_code: None, survived: false, duration_ms: 0, output: String::new() };
    if let Ok(exit_code) = tokio::time::timeout(limit, ended(engine, &id, &mut output, &mut words)).await {
        ran.exit_code = Some(exit_code?);
    } else {
        end(engine, container, &mark).await;
        let gone = tokio::time::timeout(GRACE, ended(engine, &id, &mut output, &mut words)).await;
        ran.survived = gone.is_err();
    }
    words.tell_rest();
    ran.output = words.kept;
    ran.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(ran)
}

/// Hears a program to its end; what it ended with.
async fn ended(engine: &Engine, id: &str, output: &mut Output, words: &mut Words<'_>) -> Result<i64, Error> {
    while let Some(chunk) = output.next().await {
        words.hear(chunk?.1);
    }
    engine.exec_exit_code(id).await
}

/// Ends the processes that carry a mark, as the user who started them. A container without a shell cannot do it, and the
/// program then survives.
async fn end(engine: &Engine, container: &str, mark: &str) {
    let command = ["sh", "-c", END, "sh", mark].map(str::to_owned).to_vec();
    let spec = ExecSpec { container: container.to_owned(), command, ..ExecSpec::default() };
    if let Ok(mut ending) = engine.exec(&spec).await {
        let silent = async { while ending.output.next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, silent).await;
    }
}

/// What a program says.
struct Words<'a> {
    kept: String,
    pending: Vec<u8>,
    hearing: Hearing<'a>,
}

impl Words<'_> {
    /// Takes more of it. Whole lines only are told, so that a character cut in two is not shown as two broken ones.
    fn hear(&mut self, bytes: Vec<u8>) {
        self.pending.extend(bytes);
        if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.pending.drain(..=end).collect();
            self.tell(&lines);
        }
    }

    /// Tells the line that was not finished.
    fn tell_rest(&mut self) {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.tell(&rest);
        }
    }

    fn tell(&mut self, bytes: &[u8]) {
        let text = crate::text::neutral(&String::from_utf8_lossy(bytes));
        (self.hearing)(&text);
        if self.kept.len() + text.len() <= KEPT {
            self.kept.push_str(&text);
        }
    }
}
