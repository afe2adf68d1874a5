//! Results go to stdout, as text or as one JSON document; everything else goes to stderr.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::error::Class;
use crate::text;

/// What a command found or did.
pub trait Report: Serialize {
    /// The report for a person: whole lines, or nothing.
    fn text(&self) -> String;
}

/// How a command that reached its end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exit code 0.
    Ok,
    /// The asked work ran and failed; its report says how. Exit class FAILED.
    Failed,
    /// The program that `exec` or `shell` ran ended with this code, which becomes onramp's.
    Code(u8),
}

/// The document that `--json` prints for a report.
pub fn document(report: &impl Serialize) -> serde_json::Value {
    let mut document = serde_json::Map::new();
    document.insert("schema".to_owned(), 1.into());
    match serde_json::to_value(report).expect("reports are plain data") {
        serde_json::Value::Object(fields) => document.extend(fields),
        other => {
            document.insert("result".to_owned(), other);
        }
    }
    serde_json::Value::Object(document)
}

/// A document as it is printed, on one line or on several. What a terminal could take for more than text is escaped, in JSON's own
/// way: a program reads it as it is.
pub fn json(document: &serde_json::Value, lines: Lines) -> String {
    let text = match lines {
        Lines::One => serde_json::to_string(document),
        Lines::Several => serde_json::to_string_pretty(document),
    };
    let mut out = String::new();
    for c in text.expect("a document is plain data").chars() {
        if c != '\n' && text::is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// How many lines a document takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// One: it is one of many.
    One,
    /// As many as it has parts.
    Several,
}

/// Whether the reader of stdout went away.
static DEAF: AtomicBool = AtomicBool::new(false);

/// Prints to stdout; whether anybody still reads it. A reader that went away (`| head`) is told nothing more, and what
/// was asked for is done all the same. Any other failure to write ends the program.
pub fn print(text: &str) -> bool {
    if DEAF.load(Ordering::Relaxed) {
        return false;
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            DEAF.store(true, Ordering::Relaxed);
            false
        }
        Err(error) => {
            say(&format!("error: cannot write to stdout: {error}"));
            std::process::exit(Class::Io.exit_code().into());
        }
    }
}

/// Prints a line to stderr; a closed stderr is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
