//! One report for every error: what, where, why, and the next command, on stderr or as JSON.

use serde::Serialize;
use serde_json::json;

use crate::error::{Class, Fault, chain};
use crate::text;

/// What a command ends with when it does not reach its end.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its class, which decides the exit code.
    pub class: Class,
    /// What and where.
    pub message: String,
    /// Why, or what to look at.
    pub hint: Option<String>,
    /// Commands to run next.
    pub next: Vec<String>,
}

impl Failure {
    /// A failure that only the command line knows of.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None, next: Vec::new() }
    }

    /// The command line asks for something that it cannot mean.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With one more command to run next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// The report for a person.
    pub fn text(&self) -> String {
        let mut out =
            format!("{} {}\n", console::style("error:").red().bold().for_stderr(), text::neutral(&self.message));
        if let Some(hint) = &self.hint {
            for (i, line) in text::neutral(hint).lines().enumerate() {
                let label = if i == 0 { "hint: " } else { "      " };
                out.push_str(&format!("  {}{line}\n", console::style(label).cyan().for_stderr()));
            }
        }
        for command in &self.next {
            out.push_str(&format!("  {} {}\n", console::style("next:").cyan().for_stderr(), text::neutral(command)));
        }
        out
    }

    /// The report for a machine.
    pub fn json(&self) -> serde_json::Value {
        json!({ "schema": 1, "error": self })
    }
}

impl From<&dyn Fault> for Failure {
    fn from(fault: &dyn Fault) -> Self {
        Self { class: fault.class(), message: chain(fault), hint: fault.hint(), next: fault.next() }
    }
}

impl<E: Fault> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from(&error as &dyn Fault)
    }
}
