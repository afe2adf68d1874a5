//! Questions to a person at a terminal.

use std::io::IsTerminal;

use super::failure::Failure;
use super::output;
use crate::error::Class;
use crate::template::question::Kind;
use crate::template::resolve::{Ask, NoReply, Prompt, Reply};

/// Whether a person can be asked: both ends of the conversation are a terminal that can be drawn on.
pub fn has_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !dumb
}

/// A yes or no; no is the default.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    dialoguer::Confirm::new().with_prompt(question).default(false).interact().map_err(interrupted)
}

fn interrupted(error: dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Failure::new(Class::Signal(2), "interrupted; nothing was changed");
    }
    Failure::new(Class::Io, format!("cannot ask at the terminal: {error}"))
}

/// The person at the terminal, who answers a block's questions.
pub struct Terminal;

impl Ask for Terminal {
    fn ask(&mut self, prompt: &Prompt) -> Result<Reply, NoReply> {
        if let Some(problem) = &prompt.problem {
            output::say(&format!("{} {problem}", console::style("✗").red().for_stderr()));
        }
        let default = prompt.default.as_deref();
        let answer = if !prompt.choices.is_empty() {
            let chosen = default.and_then(|d| prompt.choices.iter().position(|choice| choice.label == d)).unwrap_or(0);
            let select = dialoguer::Select::new()
                .with_prompt(&prompt.help)
                .items(prompt.choices.iter().map(|offer| offer.label.clone()))
                .default(chosen);
            select.interact().map(|index| Reply::Chosen(vec![index]))
        } else if prompt.kind == Kind::Bool {
            let mut confirm = dialoguer::Confirm::new().with_prompt(&prompt.help);
            if let Some(default) = default {
                confirm = confirm.default(default == "true");
            }
            confirm.interact().map(|yes| Reply::Typed(yes.to_string()))
        } else {
            let mut input = dialoguer::Input::<String>::new().with_prompt(&prompt.help).allow_empty(true);
            if let Some(default) = default {
                input = input.default(default.to_owned());
            }
            input.interact_text().map(Reply::Typed)
        };
        answer.map_err(|dialoguer::Error::IO(error)| match error.kind() {
            std::io::ErrorKind::Interrupted => NoReply::Interrupted,
            _ => NoReply::Terminal(error),
        })
    }
}
