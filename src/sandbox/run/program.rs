//! A test's program in its container: heard while it runs, ended when its time is over.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::engine::{Engine, Error, ExecSpec, Interactive, Output};
use crate::project::test::Test;
use crate::reference::Digest;

/// The most of a program's output that is kept, in bytes. All of it is told.
const KEPT: usize = 1024 * 1024;
/// The longest that a line may become before it is told unfinished, in bytes.
const LINE: usize = 64 * 1024;
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

/// What is told as it comes: whole lines, but for very long ones and an unfinished last one.
pub type Hearing<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A program that ended, or was to end.
pub struct Ran {
    /// What it ended with; none where its time was over, or it was broken off.
    pub exit_code: Option<i64>,
    /// Why the engine could not tell to its end how it went.
    pub broken_off: Option<Error>,
    /// Whether it was told to end and did not.
    pub survived: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it wrote, both streams, as text.
    pub output: String,
}

/// Runs a test's program once. What it said until then is told also where it is broken off.
pub async fn run(engine: &Engine, container: &str, test: &Test, hearing: Hearing<'_>) -> Ran {
    let began = Instant::now();
    let unique = Digest::of(format!("{} {container} {began:?}", std::process::id()).as_bytes());
    let mark = format!("{MARK}={}", unique.short());
    let mut words = Words::new(hearing);
    let mut ran = Ran { exit_code: None, broken_off: None, survived: false, duration_ms: 0, output: String::new() };
    if let Err(error) = hear(engine, container, test, &mark, &mut words, &mut ran).await {
        ran.broken_off = Some(error);
    }
    words.tell_rest();
    ran.output = words.kept;
    ran.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    ran
}

/// Starts a program, and hears it to its end or to that of its time.
async fn hear(
    engine: &Engine,
    container: &str,
    test: &Test,
    mark: &str,
    words: &mut Words<'_>,
    ran: &mut Ran,
) -> Result<(), Error> {
    let spec = ExecSpec {
        container: container.to_owned(),
        command: test.run.clone(),
        env: vec![mark.to_owned()],
        ..ExecSpec::default()
    };
    let Interactive { id, mut output, input: _held } = engine.exec(&spec).await?;
    let limit = test.timeout.map_or(Duration::MAX, |limit| limit.0);
    if let Ok(exit_code) = tokio::time::timeout(limit, ended(engine, &id, &mut output, words)).await {
        ran.exit_code = Some(exit_code?);
    } else {
        end(engine, container, mark).await;
        let gone = tokio::time::timeout(GRACE, ended(engine, &id, &mut output, words)).await;
        ran.survived = gone.is_err();
    }
    Ok(())
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
    /// The beginning of it.
    kept: String,
    /// Whether there was more.
    cut: bool,
    pending: Vec<u8>,
    hearing: Hearing<'a>,
}

impl<'a> Words<'a> {
    fn new(hearing: Hearing<'a>) -> Self {
        Self { kept: String::new(), cut: false, pending: Vec::new(), hearing }
    }

    /// Takes more of it. Whole lines are told, so that a character cut in two is not shown as two broken ones; what draws
    /// over its own line ends each drawing with a carriage return.
    fn hear(&mut self, bytes: Vec<u8>) {
        self.pending.extend(bytes);
        let line = self.pending.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map(|end| end + 1);
        let end = line.or_else(|| (self.pending.len() >= LINE).then(|| before_last_character(&self.pending)));
        if let Some(end) = end {
            let rest = self.pending.split_off(end);
            let told = std::mem::replace(&mut self.pending, rest);
            self.tell(&told);
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
        if !self.cut {
            let end = text.floor_char_boundary(KEPT - self.kept.len());
            self.kept.push_str(&text[..end]);
            self.cut = end < text.len();
        }
    }
}

/// Where the last character of a text begins, which may not be whole yet. What is no text ends at its end.
fn before_last_character(bytes: &[u8]) -> usize {
    const LONGEST: usize = 4;
    let last = bytes.len().saturating_sub(LONGEST);
    let begins = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    bytes[last..].iter().rposition(begins).map_or(bytes.len(), |at| last + at)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What is told of these chunks, each telling by itself; and what is kept.
    fn heard(chunks: &[&[u8]]) -> (Vec<String>, String) {
        let told = Mutex::new(Vec::new());
        let hearing = |text: &str| told.lock().unwrap().push(text.to_owned());
        let mut words = Words::new(&hearing);
        for chunk in chunks {
            words.hear(chunk.to_vec());
            assert!(words.pending.len() < LINE, "what is not told yet is bounded");
        }
        words.tell_rest();
        let kept = words.kept;
        (told.into_inner().unwrap(), kept)
    }

    #[test]
    fn a_line_without_an_end_is_told_in_parts_and_no_character_is_broken() {
        let (told, kept) = heard(&[&vec![0; 3 * LINE], b"10 %\r20", b" %\rdone"]);
        assert_eq!(told.len(), 4, "zeros, a first drawing, a second one, the rest");
        assert!(kept.ends_with("10 %\\u{d}20 %\\u{d}done"), "{}", &kept[kept.len() - 40..]);

        let long = "ü".repeat(LINE / 2 - 1) + "aü";
        let (first, rest) = long.as_bytes().split_at(LINE);
        let (told, kept) = heard(&[first, rest]);
        assert_eq!(told.iter().map(String::len).collect::<Vec<_>>(), [LINE - 1, 2]);
        assert_eq!(kept, long);
        assert_eq!(heard(&[&vec![0x80; LINE]]).0.len(), 1, "what is no text is told, too");
    }

    #[test]
    fn the_first_mebibyte_is_kept_and_nothing_after_it() {
        let line = "ü".repeat(LINE / 2 - 1) + "a\n";
        let whole = line.repeat(KEPT / line.len()) + &line;
        let (told, kept) = heard(&[whole.as_bytes(), b"short\n"]);
        assert_eq!(told.concat(), format!("{whole}short\n"));
        assert!(whole.starts_with(&kept) && (KEPT - 1..=KEPT).contains(&kept.len()), "{}", kept.len());
        assert!(!kept.contains("short"));
    }
}
