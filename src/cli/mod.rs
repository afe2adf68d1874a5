//! The command line: arguments, prompts, progress, output. One file a command; sub-commands in a folder of the noun.

mod add;
mod adopt;
mod asking;
mod attest;
mod block;
mod campaign;
mod catalog;
mod completions;
mod context;
mod contribute;
mod deploy;
mod doctor;
mod down;
mod exec;
mod export;
mod failure;
mod finish;
mod forge;
mod gate;
mod hostnames;
mod image;
mod init;
mod join;
mod junit;
mod key;
mod list;
mod logs;
mod man;
mod new;
mod outdated;
mod output;
mod parity;
mod permission;
mod playground;
mod pr;
mod progress;
mod promote;
mod prompt;
mod proposed;
mod prune;
mod rehearse;
mod relay;
mod release;
mod remove;
mod rollback;
mod router;
mod shell;
mod signatures;
mod snapshot;
mod state;
mod status;
mod terminal;
mod test;
mod trust;
mod up;
mod update;
mod watch;
mod with;
mod xdebug;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use context::Context;
use failure::Failure;
use output::Verdict;

use crate::error::Class;
use crate::template::engine::room;

/// Help shows what it is for, then examples, then the rest.
const HELP: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Test my change, alone, against what runs in production; then propose the deployment as a pull request.
#[derive(Parser)]
#[command(
    name = "onramp",
    version,
    before_help = "Examples:
  onramp playground up && onramp playground tour    see it all, on a practice company
  onramp join https://git.acme.test/platform/catalog.git
  onramp new php-web shop && cd shop && onramp up
  onramp test && onramp deploy test
"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Print one JSON document to stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Show the plan and stop
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Say nothing but the result
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more about each step
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Answer every confirmation with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Never ask; fail where an answer is missing
    #[arg(long, global = true)]
    pub no_input: bool,
    /// When to use colours: auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", hide_possible_values = true, global = true)]
    pub color: Color,
    /// Use no network; work with what is here
    #[arg(long, global = true)]
    pub offline: bool,
    /// Refuse to change onramp.lock
    #[arg(long, global = true)]
    pub locked: bool,
    /// How long to wait for a service or a server: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", default_value = "60s", global = true)]
    pub timeout: Span,
}

/// When to use colours.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A length of time as people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = crate::text::parse_span(text)?;
        Duration::try_from(span).map(Self).map_err(|_| "a time cannot be negative".to_owned())
    }
}

/// In the order in which a newcomer meets them.
#[derive(Subcommand)]
enum Command {
    Playground(playground::Arguments),
    Join(join::Arguments),
    Doctor(doctor::Arguments),
    Catalog(catalog::Arguments),
    New(new::Arguments),
    Init(init::Arguments),
    Add(add::Arguments),
    Remove(remove::Arguments),
    Update(update::Arguments),
    Outdated(outdated::Arguments),
    Adopt(adopt::Arguments),
    Contribute(contribute::Arguments),
    Campaign(campaign::Arguments),
    Trust(trust::Arguments),
    Image(image::Arguments),
    Up(up::Arguments),
    Down(down::Arguments),
    Status(status::Arguments),
    Hostnames(hostnames::Arguments),
    Snapshot(snapshot::Arguments),
    List(list::Arguments),
    Prune(prune::Arguments),
    Test(test::Arguments),
    Watch(watch::Arguments),
    Logs(logs::Arguments),
    Exec(exec::Arguments),
    Shell(shell::Arguments),
    Parity(parity::Arguments),
    Export(export::Arguments),
    Rehearse(rehearse::Arguments),
    Deploy(deploy::Arguments),
    Promote(promote::Arguments),
    Rollback(rollback::Arguments),
    Pr(pr::Arguments),
    Release(release::Arguments),
    State(state::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    XdebugRelay(xdebug::Arguments),
    Gate(gate::Arguments),
    Relay(relay::Arguments),
    Router(router::Arguments),
}

/// The whole command line, styled: for parsing, man pages, completions and the reference.
pub fn command() -> clap::Command {
    fn style(command: clap::Command) -> clap::Command {
        command.help_template(HELP).mut_subcommands(style)
    }
    style(Cli::command()).subcommand_required(true).arg_required_else_help(true).after_long_help(exit_codes())
}

/// The exit codes, for the help and the manual of the whole program.
fn exit_codes() -> String {
    let mut text = "Exit codes:\n    0  done\n".to_owned();
    for class in Class::ALL {
        text.push_str(&format!("  {:>3}  {}: {}\n", class.exit_code(), class.name(), class.meaning()));
    }
    text
}

/// Parses the arguments, runs the command, reports; the process's exit code.
pub fn main() -> ExitCode {
    // Where parsing fails it cannot tell whether JSON was asked for.
    let asked_json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, asked_json),
    };
    let json = cli.global.json;
    match cli.global.color {
        Color::Auto => {}
        choice => {
            console::set_colors_enabled(matches!(choice, Color::Always));
            console::set_colors_enabled_stderr(matches!(choice, Color::Always));
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // The memory of a thread that waits for more work is free for no other one.
        .thread_keep_alive(Duration::ZERO)
        .enable_all()
        .build()
        .expect("the system gives threads to a new process");
    let left = match cli.command {
        // By now all of it is taken back, and whoever took it back has said so.
        Command::New(_) | Command::Add(_) | Command::Update(_) | Command::Remove(_) | Command::Adopt(_) => {
            "the project's files are as they were before; the same command begins again"
        }
        Command::Rehearse(_) => "what was made for it is taken away; the same command begins again",
        _ => "what was begun stays; the same command brings it to its end",
    };
    // What goes on until it is interrupted ends by itself then.
    let endless = matches!(cli.command, Command::Watch(_));
    let command = async {
        tokio::select! {
            outcome = run(cli) => outcome,
            number = interrupted(), if !endless => Err(Failure::new(Class::Signal(number), "interrupted").hint(left)),
            place = exhausted() => Err(Failure::new(Class::Config, format!("{place} takes too long or too much memory"))
                .hint("nothing was changed; the template's owner can correct it")),
        }
    };
    // The panic's own words are on stderr by then, with the place in onramp's code.
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)))
        .unwrap_or_else(|_| Err(Failure::new(Class::Bug, "onramp made a mistake").hint("please report what you ran")));
    // A thread that waits for input cannot be joined; what is written is written.
    runtime.shutdown_background();
    match outcome {
        Ok(Verdict::Ok) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(Class::Failed.exit_code()),
        Ok(Verdict::Code(code)) => ExitCode::from(code),
        Err(failure) => report(&failure, json),
    }
}

async fn run(cli: Cli) -> Result<Verdict, Failure> {
    let cx = Context::resolve(&cli.global)?;
    let outcome = perform(cli.command, &cx).await;
    for (registry, text) in cx.registries.warnings() {
        cx.observer.note(&format!("the registry {registry} says: {text}"));
    }
    outcome
}

async fn perform(command: Command, cx: &Context) -> Result<Verdict, Failure> {
    match command {
        Command::Playground(arguments) => arguments.run(cx).await,
        Command::Join(arguments) => arguments.run(cx).await,
        Command::Doctor(arguments) => arguments.run(cx).await,
        Command::Catalog(arguments) => arguments.run(cx).await,
        Command::New(arguments) => arguments.run(cx).await,
        Command::Init(arguments) => arguments.run(cx).await,
        Command::Add(arguments) => arguments.run(cx).await,
        Command::Remove(arguments) => arguments.run(cx).await,
        Command::Update(arguments) => arguments.run(cx).await,
        Command::Outdated(arguments) => arguments.run(cx).await,
        Command::Adopt(arguments) => arguments.run(cx).await,
        Command::Contribute(arguments) => arguments.run(cx).await,
        Command::Campaign(arguments) => arguments.run(cx).await,
        Command::Trust(arguments) => arguments.run(cx),
        Command::Image(arguments) => arguments.run(cx).await,
        Command::Up(arguments) => arguments.run(cx).await,
        Command::Down(arguments) => arguments.run(cx).await,
        Command::Status(arguments) => arguments.run(cx).await,
        Command::Hostnames(arguments) => arguments.run(cx).await,
        Command::Snapshot(arguments) => arguments.run(cx).await,
        Command::List(arguments) => arguments.run(cx).await,
        Command::Prune(arguments) => arguments.run(cx).await,
        Command::Test(arguments) => arguments.run(cx).await,
        Command::Watch(arguments) => arguments.run(cx).await,
        Command::Logs(arguments) => arguments.run(cx).await,
        Command::Exec(arguments) => arguments.run(cx).await,
        Command::Shell(arguments) => arguments.run(cx).await,
        Command::Parity(arguments) => arguments.run(cx).await,
        Command::Export(arguments) => arguments.run(cx).await,
        Command::Rehearse(arguments) => arguments.run(cx).await,
        Command::Deploy(arguments) => arguments.run(cx).await,
        Command::Promote(arguments) => arguments.run(cx).await,
        Command::Rollback(arguments) => arguments.run(cx).await,
        Command::Pr(arguments) => arguments.run(cx).await,
        Command::Release(arguments) => arguments.run(cx).await,
        Command::State(arguments) => arguments.run(cx).await,
        Command::Completions(arguments) => Ok(arguments.run(cx)),
        Command::Man(arguments) => arguments.run(cx),
        Command::XdebugRelay(arguments) => arguments.run(cx).await,
        Command::Gate(arguments) => arguments.run(cx).await,
        Command::Relay(arguments) => arguments.run().await,
        Command::Router(arguments) => arguments.run(cx).await,
    }
}

/// Waits for SIGINT or SIGTERM; the signal's number.
async fn interrupted() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    }
}

/// Waits for a template that takes what no honest one does; where in it.
async fn exhausted() -> String {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        if let Some(place) = room::exhausted() {
            return place;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if json {
        output::print(&output::json(&failure.json(), output::Lines::Several));
    } else {
        output::say(failure.text().trim_end());
    }
    ExitCode::from(failure.class.exit_code())
}

/// clap's own errors: help and version are results, the rest is USAGE.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() {
        output::print(&coloured(error, console::colors_enabled()));
        return ExitCode::SUCCESS;
    }
    if json {
        let message = error.render().to_string();
        let message = message.trim_start_matches("error: ").trim_end();
        return report(&Failure::usage(message).next("onramp --help"), true);
    }
    output::say(coloured(error, console::colors_enabled_stderr()).trim_end());
    ExitCode::from(Class::Usage.exit_code())
}

fn coloured(error: &clap::Error, colours: bool) -> String {
    let text = error.render();
    if colours { text.ansi().to_string() } else { text.to_string() }
}
