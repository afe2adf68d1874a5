//! Why something that a template runs did not end well.

use std::time::Duration;

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::tree::disk;

/// What can go wrong with what a template runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command ended badly.
    #[error("`{command}` ({place}) failed: {how}{}", quoted(said))]
    Failed {
        /// The command, neutral.
        command: String,
        /// Where the template names it.
        place: String,
        /// `exit code 2`, `killed by signal 9`
        how: String,
        /// The last lines that it said, neutral.
        said: Vec<String>,
    },
    /// A command took too long, and was ended.
    #[error("`{command}` ({place}) was ended after {} s{}", limit.as_secs(), quoted(said))]
    TooLong {
        /// The command, neutral.
        command: String,
        /// Where the template names it.
        place: String,
        /// How long it was given.
        limit: Duration,
        /// The last lines that it said, neutral.
        said: Vec<String>,
    },
    /// The program is not there, or cannot be run.
    #[error("cannot run {program} for `{command}` ({place})")]
    NoProgram {
        /// The program.
        program: String,
        /// The command, neutral.
        command: String,
        /// Where the template names it.
        place: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What a hook made of the template cannot be read.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

/// What a command said, a line each, below the message.
fn quoted(said: &[String]) -> String {
    said.iter().fold(String::new(), |all, line| all + "\n  | " + line)
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Failed { .. } | Self::TooLong { .. } => Class::Failed,
            Self::NoProgram { .. } => Class::Env,
            Self::File(error) => error.class(),
            Self::Disk(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { .. } => Some("what ran before it stays as it is; nothing after it ran".to_owned()),
            Self::TooLong { .. } => {
                Some("it and everything that it started were ended; nothing after it ran".to_owned())
            }
            Self::NoProgram { program, .. } => Some(format!("is {program} installed, and on the PATH?")),
            Self::File(error) => error.hint(),
            Self::Disk(error) => error.hint(),
        }
    }
}
