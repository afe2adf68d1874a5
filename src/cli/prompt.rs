//! Questions to a person at a terminal.

use std::io::{self, IsTerminal};

use inquire::ui::{RenderConfig, Styled};
use inquire::{Confirm, Editor, InquireError, MultiSelect, Password, PasswordDisplayMode, Select, Text};
use rustix::termios::{LocalModes, OptionalActions, Termios};

use super::failure::Failure;
use super::output;
use crate::error::Class;
use crate::template::question::Kind;
use crate::template::resolve::{Ask, NoReply, Offer, Prompt, Reply};

/// How many choices are shown at once.
const PAGE: usize = 12;

/// Whether a person can be asked: both ends of the conversation are a terminal that can be drawn on.
pub fn has_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stderr().is_terminal() && !dumb
}

/// A yes or no; no is the default, and what Esc means.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    match Confirm::new(question).with_default(false).with_render_config(look("(no)")).prompt() {
        Err(InquireError::OperationCanceled) => Ok(false),
        Ok(yes) => Ok(yes),
        Err(error) => Err(ended(no_reply(error))),
    }
}

fn ended(no_reply: NoReply) -> Failure {
    match no_reply {
        NoReply::Interrupted => Failure::new(Class::Signal(2), "interrupted; nothing was changed"),
        NoReply::Terminal(error) => Failure::new(Class::Io, format!("cannot ask at the terminal: {error}")),
    }
}

/// A passphrase, which is not shown; a new one is asked for twice.
pub fn passphrase(question: &str, new: bool) -> Result<String, Failure> {
    let password =
        Password::new(question).with_display_mode(PasswordDisplayMode::Masked).with_render_config(look("(none)"));
    let password =
        if new { password.with_custom_confirmation_message("Once more") } else { password.without_confirmation() };
    let _silence = Silence::begin();
    password.prompt().map_err(|error| match error {
        InquireError::OperationCanceled => Failure::new(Class::Signal(2), "no passphrase; nothing was changed"),
        error => ended(no_reply(error)),
    })
}

/// The terminal repeats nothing while it is held, also between two keys, when nobody reads: who pastes is faster than any
/// prompt.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let usual = rustix::termios::tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = usual.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
        Self(usual)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(usual) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, usual);
        }
    }
}

/// The person at the terminal, who answers a template's questions.
pub struct Terminal;

impl Ask for Terminal {
    fn ask(&mut self, prompt: &Prompt) -> Result<Reply, NoReply> {
        if let Some(problem) = &prompt.problem {
            output::say(&format!("{} {problem}", console::style("✗").red().for_stderr()));
        }
        inquire::set_global_render_config(look("(back)"));
        // What a question explains goes above it; its last line is the question.
        let question = match prompt.help.rsplit_once('\n') {
            Some((above, question)) => {
                output::say(above.trim_end());
                question
            }
            None => &prompt.help,
        };
        match asked(prompt, question.trim()) {
            Ok(reply) => Ok(reply),
            Err(InquireError::OperationCanceled) => Ok(Reply::Back),
            Err(error) => Err(no_reply(error)),
        }
    }
}

/// How prompts look; `canceled` is what stands beside one that Esc ended.
fn look(canceled: &'static str) -> RenderConfig<'static> {
    let colored = console::colors_enabled_stderr();
    let look = if colored { RenderConfig::default_colored() } else { RenderConfig::empty() };
    look.with_canceled_prompt_indicator(Styled::new(canceled))
}

fn asked(prompt: &Prompt, question: &str) -> Result<Reply, InquireError> {
    let hint = hint(prompt);
    let default = prompt.default.as_deref();
    if !prompt.choices.is_empty() {
        return chosen(prompt, question, &hint);
    }
    if prompt.secret {
        let password = Password::new(question)
            .with_help_message(&hint)
            .with_display_mode(PasswordDisplayMode::Masked)
            .without_confirmation();
        let typed = {
            let _silence = Silence::begin();
            password.prompt()?
        };
        // Nothing typed takes the default, as everywhere.
        return Ok(Reply::Typed(if typed.is_empty() { default.unwrap_or_default().to_owned() } else { typed }));
    }
    if prompt.kind == Kind::Bool {
        let mut confirm = Confirm::new(question).with_help_message(&hint);
        if let Some(default) = default {
            confirm = confirm.with_default(default == "true");
        }
        return confirm.prompt().map(|yes| Reply::Typed(yes.to_string()));
    }
    if prompt.multiline || default.is_some_and(|default| default.contains('\n')) {
        match lines(question, &hint, default, prompt.kind) {
            // Without an editor there is still a line.
            Err(InquireError::IO(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(Reply::Typed),
        }
    }
    let mut text = Text::new(question).with_help_message(&hint);
    if let Some(default) = default.filter(|default| !default.is_empty()) {
        text = text.with_default(default);
    }
    if !prompt.placeholder.is_empty() {
        text = text.with_placeholder(&prompt.placeholder);
    }
    text.prompt().map(Reply::Typed)
}

fn lines(question: &str, hint: &str, default: Option<&str>, kind: Kind) -> Result<String, InquireError> {
    let extension = match kind {
        Kind::Json => ".json",
        Kind::Yaml => ".yml",
        _ => ".txt",
    };
    let editor = Editor::new(question).with_help_message(hint).with_file_extension(extension);
    let text = editor.with_predefined_text(default.unwrap_or_default()).prompt()?;
    // Editors end a file with a newline that nobody typed.
    let ended = default.is_some_and(|default| default.ends_with('\n'));
    Ok(if ended { text } else { text.strip_suffix('\n').map(str::to_owned).unwrap_or(text) })
}

fn chosen(prompt: &Prompt, question: &str, hint: &str) -> Result<Reply, InquireError> {
    let labels: Vec<String> = prompt.choices.iter().map(shown).collect();
    let presets: Vec<&str> = prompt.default.iter().flat_map(|default| default.split('\n')).collect();
    let preset = |offer: &Offer| offer.disabled.is_none() && presets.contains(&offer.label.as_str());
    if prompt.multiselect {
        let preset: Vec<usize> =
            prompt.choices.iter().enumerate().filter(|(_, offer)| preset(offer)).map(|(index, _)| index).collect();
        let select = MultiSelect::new(question, labels).with_default(&preset).with_page_size(PAGE);
        let chosen = select.with_help_message(hint).raw_prompt()?;
        return Ok(Reply::Chosen(chosen.into_iter().map(|option| option.index).collect()));
    }
    let open = || prompt.choices.iter().position(|offer| offer.disabled.is_none());
    let start = prompt.choices.iter().position(preset).or_else(open).unwrap_or(0);
    let select = Select::new(question, labels).with_starting_cursor(start).with_page_size(PAGE);
    select.with_help_message(hint).raw_prompt().map(|option| Reply::Chosen(vec![option.index]))
}

fn shown(offer: &Offer) -> String {
    match &offer.disabled {
        None => offer.label.clone(),
        Some(reason) => console::style(format!("{} ✗ {reason}", offer.label)).dim().for_stderr().to_string(),
    }
}

/// How else the question is answered, and what the keys do.
fn hint(prompt: &Prompt) -> String {
    let mut keys = Vec::new();
    if prompt.multiselect && !prompt.choices.is_empty() {
        keys.push("space to take, ↑↓ to move, type to filter");
    } else if !prompt.choices.is_empty() {
        keys.push("↑↓ to move, type to filter");
    }
    if prompt.secret && prompt.default.is_some() {
        keys.push("Enter for the default");
    }
    if prompt.back {
        keys.push("Esc to go back");
    }
    let flag = format!("--data {}=… answers it, too", prompt.id);
    keys.into_iter().map(str::to_owned).chain([flag]).collect::<Vec<_>>().join("; ")
}

fn no_reply(error: InquireError) -> NoReply {
    match error {
        InquireError::OperationInterrupted => NoReply::Interrupted,
        InquireError::IO(error) if error.kind() == io::ErrorKind::Interrupted => NoReply::Interrupted,
        InquireError::IO(error) => NoReply::Terminal(error),
        other => NoReply::Terminal(io::Error::other(other.to_string())),
    }
}
