//! What went wrong, in the words every room shares: a class (the exit code), a hint, and the next command.

use serde::Serialize;

/// The class of a failure. It decides the exit code and is part of the `--json` contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The asked work ran and failed: tests red, drift found, conflict markers left.
    Failed,
    /// The command line asks for something that it cannot mean.
    Usage,
    /// A file says something wrong.
    Config,
    /// Somebody did not let us in.
    Auth,
    /// The engine, git or a tool is missing or broken.
    Env,
    /// The network or a server on it did not answer as it should.
    Net,
    /// Refused, because going on would be unsafe.
    Security,
    /// Somebody else holds or changed it.
    Conflict,
    /// A file could not be read or written.
    Io,
    /// A mistake in onramp itself.
    Bug,
    /// Ended by a signal (its number).
    Signal(u8),
}

impl Class {
    /// Every class, by exit code. A signal's is 128 and its number; SIGINT stands for them.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Usage,
        Self::Config,
        Self::Auth,
        Self::Env,
        Self::Net,
        Self::Security,
        Self::Conflict,
        Self::Io,
        Self::Bug,
        Self::Signal(2),
    ];

    /// What it means, in one line for people: `--help` and the reference show it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "the asked work ran and failed: tests red, a check not well",
            Self::Usage => "the command line asks for something that it cannot mean",
            Self::Config => "a file says something wrong: file, line, column",
            Self::Auth => "somebody did not let us in: a token or password is missing or refused",
            Self::Env => "the engine, git or a tool is missing or broken",
            Self::Net => "the network or a server on it did not answer as it should",
            Self::Security => "refused, because going on would be unsafe or against the policy",
            Self::Conflict => "somebody else holds or changed it",
            Self::Io => "a file could not be read or written",
            Self::Bug => "a mistake in onramp itself",
            Self::Signal(_) => "ended by a signal: 128 and its number, so 130 for Ctrl-C",
        }
    }

    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Auth => 4,
            Self::Env => 5,
            Self::Net => 6,
            Self::Security => 7,
            Self::Conflict => 8,
            Self::Io => 9,
            Self::Bug => 70,
            Self::Signal(number) => 128 + number,
        }
    }

    /// The name that `--json` and the terminal show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Usage => "USAGE",
            Self::Config => "CONFIG",
            Self::Auth => "AUTH",
            Self::Env => "ENV",
            Self::Net => "NET",
            Self::Security => "SECURITY",
            Self::Conflict => "CONFLICT",
            Self::Io => "IO",
            Self::Bug => "BUG",
            Self::Signal(_) => "INTERRUPTED",
        }
    }
}

impl Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// An error that knows its class and, where the knowledge is, how to get on.
///
/// Every room's error type implements it; the command line turns any of them into one report.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// The class, hence the exit code.
    fn class(&self) -> Class;

    /// One sentence on why, or what to look at.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Commands to run next, most useful first.
    fn next(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The message of an error and of everything that caused it, once each, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}
