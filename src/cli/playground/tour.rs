//! `onramp playground tour`

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Serialize;
use tokio::process::Command;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{self, Report, Verdict};
use super::page;
use crate::error::Class;
use crate::files::{self, FileError};
use crate::git::Identity;
use crate::playground::{Error, Playground};
use crate::sandbox::ready;
use crate::task::blocking;

/// Play a newcomer's first day: every command and its real output, until the first thing that fails.
///
/// It works in a directory of its own and with settings of its own; yours stay as they are.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp playground tour
  onramp playground tour --step    wait for Enter between the steps
")]
pub struct Arguments {
    /// Wait for Enter between the steps
    #[arg(long)]
    step: bool,
}

/// The page's title before the tour edits it.
const TITLE: &str = "Our products";

/// A tour under way.
struct Tour<'a> {
    cx: &'a Context,
    step: bool,
    home: PathBuf,
    directory: PathBuf,
    program: PathBuf,
    identity: Option<Identity>,
    played: Vec<Played>,
}

#[derive(Serialize)]
struct Played {
    command: String,
    output: String,
}

#[derive(Serialize)]
struct Day {
    steps: Vec<Played>,
}

impl Report for Day {
    fn text(&self) -> String {
        "\nThat was the day. Your own: onramp join, onramp new, onramp up, onramp test, onramp deploy.\n".to_owned()
    }
}

impl Arguments {
    /// Plays every step.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.dry_run {
            return Err(Failure::usage("a tour has no plan; `onramp playground tour --help` says what it plays"));
        }
        if self.step && !cx.interactive {
            return Err(Failure::usage("--step waits for Enter, and nobody is here to press it"));
        }
        let playground = Playground::find(&cx.paths)?.ok_or(Error::NotUp)?;
        let make = tempfile::Builder::new().prefix("tour-").tempdir_in(&playground.home);
        // Kept until the day ended well: whatever ends it earlier, its sandbox can be found by its directory.
        let home = make.map_err(FileError::io("create", &playground.home))?.keep();
        let program = std::env::current_exe().map_err(FileError::io("find", Path::new("onramp")))?;
        let known = Identity::find(&cx.dir).is_ok();
        let newcomer = Identity { name: "Ada Newcomer".to_owned(), email: "ada@acme.test".to_owned() };
        let mut tour = Tour {
            cx,
            step: self.step,
            home: home.clone(),
            directory: home.clone(),
            program,
            identity: (!known).then_some(newcomer),
            played: Vec::new(),
        };
        let played = tour.play(&playground).await;
        if let Err(failure) = played {
            // What failed is left to be looked at.
            let project = home.join("shop");
            let project = project.display();
            return Err(failure
                .next(format!("onramp -C {project} logs"))
                .next(format!("onramp -C {project} down --data")));
        }
        std::fs::remove_dir_all(&home).map_err(FileError::io("remove", &home))?;
        cx.report(&Day { steps: tour.played });
        Ok(Verdict::Ok)
    }
}

impl Tour<'_> {
    async fn play(&mut self, playground: &Playground) -> Result<(), Failure> {
        self.onramp(&["join", &playground.catalog().display().to_string()]).await?;
        self.onramp(&["doctor"]).await?;
        self.onramp(&["catalog", "list"]).await?;
        self.onramp(&["new", "php-web", "shop", "--defaults"]).await?;
        self.directory = self.home.join("shop");
        self.say("cd shop").await;
        self.onramp(&["image", "pull"]).await?;
        self.onramp(&["up"]).await?;
        self.look(&[TITLE, "Fountain pen", "Signed in as ada"]).await?;
        let title = format!("{TITLE}, {}", jiff::Zoned::now().strftime("%H:%M:%S"));
        self.edit("src/index.php", TITLE, &title).await?;
        self.look(&[&title]).await?;
        self.onramp(&["test"]).await?;
        self.run("git", &["commit", "--quiet", "--all", "--message", "Say when"]).await?;
        self.onramp(&["deploy", "test"]).await?;
        let number = self.open_pull_request().await?;
        self.onramp(&["pr", "show", &number]).await?;
        self.onramp(&["pr", "merge", &number]).await?;
        self.onramp(&["release", "status"]).await?;
        self.onramp(&["down", "--data", "--yes"]).await?;
        Ok(())
    }

    /// Shows a command line as it would be typed.
    async fn say(&mut self, command: &str) {
        if self.step && !self.played.is_empty() {
            output::say("(Enter)");
            // Where it holds up nothing: Ctrl-C must end the wait.
            let _ = blocking(|| std::io::stdin().read_line(&mut String::new())).await;
        }
        if !self.cx.json {
            output::print(&format!("\n{} {}\n", console::style("$").bold(), console::style(command).bold()));
        }
        self.played.push(Played { command: command.to_owned(), output: String::new() });
    }

    fn show(&mut self, text: &str) {
        if !self.cx.json {
            output::print(text);
        }
        if let Some(step) = self.played.last_mut() {
            step.output.push_str(text);
        }
    }

    async fn onramp(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        self.run("onramp", arguments).await
    }

    async fn run(&mut self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        self.say(&format!("{program} {}", arguments.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "))).await;
        let mut command = self.command(program, arguments);
        let failed = |code: Option<i32>| {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            Failure::new(Class::Failed, format!("the tour stopped at `{program} {}` ({code})", arguments.join(" ")))
        };
        let status = if self.cx.json {
            let output = command.output().await.map_err(FileError::io("run", Path::new(program)))?;
            self.show(&String::from_utf8_lossy(&output.stdout));
            output.status
        } else {
            command.status().await.map_err(FileError::io("run", Path::new(program)))?
        };
        if status.success() { Ok(()) } else { Err(failed(status.code())) }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(if program == "onramp" { self.program.as_path() } else { Path::new(program) });
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).kill_on_drop(true);
        // The newcomer's own settings stay out of it, and so do variables that stand above them.
        command.env("ONRAMP_CONFIG", self.home.join("settings.toml"));
        for (variable, _) in crate::settings::VARIABLES {
            command.env_remove(variable);
        }
        if let Some(Identity { name, email }) = &self.identity {
            for (who, value) in [("NAME", name), ("EMAIL", email)] {
                command.env(format!("GIT_AUTHOR_{who}"), value).env(format!("GIT_COMMITTER_{who}"), value);
            }
        }
        command
    }

    /// What a command says with `--json`.
    async fn ask(&self, arguments: &[&str]) -> Result<serde_json::Value, Failure> {
        let mut command = self.command("onramp", arguments);
        let output = command.arg("--json").output().await.map_err(FileError::io("run", &self.program))?;
        let wrong = |_| Failure::new(Class::Failed, format!("`onramp {}` printed no JSON", arguments.join(" ")));
        serde_json::from_slice(&output.stdout).map_err(wrong)
    }

    /// Opens the page and looks for words on it.
    async fn look(&mut self, wanted: &[&str]) -> Result<(), Failure> {
        let status = self.ask(&["status"]).await?;
        let services = status["services"].as_array().cloned().unwrap_or_default();
        let address = services.iter().find(|s| s["service"] == "shop/web").and_then(|s| s["address"].as_str());
        let address = address.ok_or_else(|| Failure::new(Class::Failed, "shop/web has no address"))?;
        self.say(&format!("curl http://{address}/")).await;
        let wrong = |_| Failure::new(Class::Failed, format!("shop/web has the address {address}"));
        let at = address.parse().map_err(wrong)?;
        let (_, html) = ready::get(at, "/").await.map_err(FileError::io("read", Path::new("the page")))?;
        let words = page::words(&html);
        self.show(&words);
        match wanted.iter().find(|word| !words.contains(**word)) {
            Some(missing) => Err(Failure::new(Class::Failed, format!("the page does not say `{missing}`"))),
            None => Ok(()),
        }
    }

    async fn edit(&mut self, file: &str, from: &str, to: &str) -> Result<(), Failure> {
        self.say(&format!("sed -i 's/{from}/{to}/' {file}")).await;
        let path = self.directory.join(file);
        let text = files::read_text(&path, crate::document::CAP)?;
        // In place, as an editor with a simple save does: the container sees the same file.
        let written = std::fs::write(&path, text.replacen(from, to, 1));
        Ok(written.map_err(FileError::io("write", &path))?)
    }

    async fn open_pull_request(&self) -> Result<String, Failure> {
        let list = self.ask(&["pr", "list"]).await?;
        let pulls = list["pulls"].as_array().cloned().unwrap_or_default();
        let ours = pulls.iter().find(|pull| pull["head_branch"] == "deploy/test/shop");
        let number = ours.and_then(|pull| pull["number"].as_u64());
        number.map(|n| n.to_string()).ok_or_else(|| Failure::new(Class::Failed, "no pull request for shop is open"))
    }
}

/// As a shell would need it.
fn quoted(argument: &str) -> String {
    if argument.contains(' ') { format!("'{argument}'") } else { argument.to_owned() }
}
