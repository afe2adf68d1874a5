//! Questions to a person at a terminal.

use std::io::IsTerminal;

use super::failure::Failure;
use crate::error::Class;

/// Whether a person can be asked: both ends of the conversation are a terminal that can be drawn on.
pub fn has_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !dumb
}

/// A yes or no; no is the default.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    dialoguer::Confirm::new().with_prompt(question).default(false).interact().map_err(interrupted)
}

/// A line of text with a default.
pub fn line(question: &str, default: &str) -> Result<String, Failure> {
    dialoguer::Input::new()
        .with_prompt(question)
        .default(default.to_owned())
        .allow_empty(true)
        .interact_text()
        .map_err(interrupted)
}

/// One of several, by its index.
pub fn choice(question: &str, labels: &[String], default: usize) -> Result<usize, Failure> {
    dialoguer::Select::new().with_prompt(question).items(labels).default(default).interact().map_err(interrupted)
}

fn interrupted(error: dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Failure::new(Class::Signal(2), "interrupted; nothing was changed");
    }
    Failure::new(Class::Io, format!("cannot ask at the terminal: {error}"))
}
