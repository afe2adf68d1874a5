//! The pages of the reference that the code writes: the commands, the exit codes, the variables.
//!
//! `ONRAMP_WRITE_DOCS=1 cargo test --test it docs` rewrites them.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use onramp::error::Class;
use onramp::settings;

/// The variable that makes the tests write instead of compare.
const WRITE: &str = "ONRAMP_WRITE_DOCS";
/// What stands around a generated part of a page that people write.
const BEGIN: &str = "<!-- generated: variables -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_commands_are_those_of_the_command_line() {
    let mut tree = onramp::cli::command();
    tree.build();
    let mut page =
        "# Commands\n\n<!-- Generated from the command line's own table; see contributing.md. -->\n\n".to_owned();
    page.push_str(
        "Every command takes the [global options](#global-options). `onramp <command> --help` says the same.\n\n",
    );
    let mut commands = Vec::new();
    collect(&tree, "onramp", &mut commands);
    page.push_str("| command | what it does |\n|---|---|\n");
    for (name, command) in &commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), cell(&about)).unwrap();
    }
    page.push_str("\n## Global options\n\n");
    page.push_str(&options(tree.get_arguments().filter(|argument| argument.is_global_set())));
    for (name, command) in &commands {
        page.push_str(&section(name, command));
    }
    same("docs/reference/commands.md", &page);
}

#[test]
fn the_exit_codes_are_those_of_the_classes() {
    let mut page = "# Exit codes\n\n<!-- Generated from src/error.rs; see contributing.md. -->\n\n".to_owned();
    page.push_str("| code | class | meaning |\n|---|---|---|\n| 0 | | done |\n");
    for class in Class::ALL {
        writeln!(page, "| {} | {} | {} |", class.exit_code(), class.name(), class.meaning()).unwrap();
    }
    page.push_str(
        "
`onramp exec` and `onramp shell` end with the exit code of the program that they ran.

An error goes to stderr: what and where, a hint, the next command. With `--json` it is the one document on stdout:

```json
{
  \"schema\": 1,
  \"error\": {
    \"class\": \"USAGE\",
    \"message\": \"no state repository is set\",
    \"hint\": \"`onramp join` sets it for your company; ONRAMP_STATE sets it for one command\",
    \"next\": [\"onramp join <catalog>\", \"onramp playground up\"]
  }
}
```
",
    );
    same("docs/reference/exit-codes.md", &page);
}

#[test]
fn the_variables_are_those_that_settings_read() {
    let path = "docs/reference/settings.md";
    let page = std::fs::read_to_string(absolute(path)).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where the table begins");
    let (_, after) = rest.split_once(END).expect("the page marks where the table ends");
    let mut table = "| variable | sets |\n|---|---|\n".to_owned();
    for (name, what) in settings::VARIABLES {
        writeln!(table, "| `{name}` | {} |", cell(what)).unwrap();
    }
    same(path, &format!("{before}{BEGIN}{table}{END}{after}"));
}

/// Compares a page with what the code says, or writes it.
#[track_caller]
fn same(path: &str, expected: &str) {
    let place = absolute(path);
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1;
    assert!(
        found == expected,
        "{path}:{line} is not what the code says; rewrite it with: {WRITE}=1 cargo test --test it docs"
    );
}

fn absolute(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every command that does something, in the order of `--help`.
fn collect<'a>(command: &'a Command, name: &str, into: &mut Vec<(String, &'a Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        let name = format!("{name} {}", sub.get_name());
        if sub.has_subcommands() {
            collect(sub, &name, into);
        } else {
            into.push((name, sub));
        }
    }
}

fn section(name: &str, command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let mut page = format!("\n## {name}\n\n{}\n\n```console\n{usage}\n```\n", about.trim());
    if let Some(examples) = command.get_before_help() {
        let examples = examples.to_string();
        let lines = examples.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        write!(page, "\nExamples:\n\n```console\n{}\n```\n", lines.join("\n")).unwrap();
    }
    let own: Vec<&Arg> =
        command.get_arguments().filter(|argument| !argument.is_global_set() && !is_help(argument)).collect();
    if !own.is_empty() {
        write!(page, "\n{}", options(own.into_iter())).unwrap();
    }
    page
}

fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = "| argument | meaning | default |\n|---|---|---|\n".to_owned();
    for argument in arguments.filter(|argument| !argument.is_hide_set() && !is_help(argument)) {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        // A default that the help text tells itself has words rather than a value.
        let (help, told) = match help.split_once(" [default: ") {
            Some((help, told)) => (help.to_owned(), Some(told.trim_end_matches(']').to_owned())),
            None => (help, None),
        };
        let takes = argument.get_action().takes_values();
        let values: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match told {
            Some(told) => told,
            None if takes && !values.is_empty() => format!("`{}`", values.join(" ")),
            None if argument.is_required_set() => "required".to_owned(),
            None => String::new(),
        };
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let choices = if takes && argument.is_positional() && !choices.is_empty() {
            format!(": {}", choices.join(", "))
        } else {
            String::new()
        };
        writeln!(table, "| `{}` | {}{choices} | {default} |", cell(&shape(argument)), cell(&help)).unwrap();
    }
    table
}

/// How it is typed: `<DIR>`, `-C, --directory <DIR>`.
fn shape(argument: &Arg) -> String {
    let value = || {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ")
    };
    if argument.is_positional() {
        let several = argument.get_num_args().is_some_and(|range| range.max_values() > 1);
        return format!("{}{}", value(), if several { "…" } else { "" });
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    if argument.get_action().takes_values() { format!("{names} {}", value()) } else { names }
}

fn is_help(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version)
}

/// As a cell of a table may hold it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
