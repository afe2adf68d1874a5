//! Commands of a template run as processes: in a group of their own, which ends with onramp; with nothing to read; what
//! they say is shown line by line.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Action, Error, PROJECT, Plan, Planned, SOURCE, script};
use crate::event::Observer;
use crate::files::{self, FileError};
use crate::template::Template;
use crate::text::neutral_line;
use crate::tree::{Cap, Tree, disk};

/// How many of its last lines a failure shows.
const LAST: usize = 20;
/// The longest line that is shown as one, in bytes.
const LINE: usize = 4096;
/// The most lines of one command that are shown.
const MOST_LINES: usize = 10_000;
/// How long is waited for what a command's own children still say when it has ended.
const DRAIN: Duration = Duration::from_millis(500);

/// Where and how commands run.
pub struct Surroundings<'a> {
    /// The project's directory.
    pub directory: &'a Path,
    /// The environment; what steers git and onramp is left out of it.
    pub environment: Vec<(OsString, OsString)>,
    /// How long one command may take.
    pub limit: Duration,
    /// Who is told what they say.
    pub observer: &'a dyn Observer,
}

impl Plan {
    /// Runs the commands in order. The first that fails is the last that runs. Where this is dropped, the command that
    /// runs is killed, and everything that it started.
    pub async fn run(&self, template: &Template, surroundings: &Surroundings<'_>) -> Result<(), Error> {
        let mut source = None;
        for command in &self.commands {
            if command.action.names(SOURCE) && source.is_none() {
                source = Some(write_out(&template.source)?);
            }
            let place = source.as_ref().map(|directory: &TempDir| directory.path().to_string_lossy().into_owned());
            command.run(place.as_deref().unwrap_or_default(), surroundings).await?;
        }
        Ok(())
    }
}

/// Runs Cookiecutter's `pre_prompt` hooks in a copy of the template, and gives what they made of it. They are not rendered.
pub async fn pre_prompt(template: &Template, surroundings: &Surroundings<'_>) -> Result<Tree, Error> {
    let copy = write_out(&template.source)?;
    let inside = Surroundings {
        directory: copy.path(),
        environment: surroundings.environment.clone(),
        limit: surroundings.limit,
        observer: surroundings.observer,
    };
    for hook in template.actions.hooks.iter().filter(|hook| hook.name == "pre_prompt") {
        let Ok(contents) = script(template, &hook.path) else { continue };
        Planned::script(&hook.path, contents.into()).run("", &inside).await?;
    }
    Ok(disk::read(copy.path(), Cap::TEMPLATE)?)
}

fn write_out(tree: &Tree) -> Result<TempDir, FileError> {
    let directory = tempfile::Builder::new().prefix("onramp-template-").tempdir();
    let directory = directory.map_err(FileError::io("create", &std::env::temp_dir()))?;
    disk::write(tree, directory.path())?;
    Ok(directory)
}

impl Planned {
    async fn run(&self, source: &str, surroundings: &Surroundings<'_>) -> Result<(), Error> {
        let root = surroundings.directory;
        let directory = files::confined(root, &self.directory)?;
        let root = root.canonicalize().map_err(FileError::io("read", root))?;
        let real = |word: &str| word.replace(SOURCE, source).replace(PROJECT, &root.to_string_lossy());
        // Removed when the command has ended.
        let mut kept = None;
        let words = match &self.action {
            Action::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), real(line)],
            Action::Words(words) => words.iter().map(|word| real(word)).collect(),
            Action::Script { name, contents } => {
                let (directory, words) = written(name, contents)?;
                kept = Some(directory);
                words
            }
        };
        let task = format!("run {}", neutral_line(&self.shown.words, 60));
        surroundings.observer.started(&task);
        let done = self.process(&words, &directory, &task, surroundings).await;
        match &done {
            Ok(()) => surroundings.observer.finished(&task, "done"),
            Err(_) => surroundings.observer.ended(&task),
        }
        drop(kept);
        done
    }

    async fn process(
        &self,
        words: &[String],
        directory: &Path,
        task: &str,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Error> {
        let (command, place) = (self.shown.words.clone(), self.shown.place.clone());
        let missing = |program: &str, source| Error::NoProgram {
            program: neutral_line(program, 100),
            command: command.clone(),
            place: place.clone(),
            source,
        };
        let Some((program, arguments)) = words.split_first() else {
            return Err(missing("", std::io::Error::other("the command is empty")));
        };
        let kept = surroundings.environment.iter().filter(|(name, _)| {
            let name = name.to_string_lossy();
            !name.starts_with("GIT_") && !name.starts_with("ONRAMP_")
        });
        let spawned = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .envs(kept.map(|(name, value)| (name, value)))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|source| missing(program, source))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let heard = Mutex::new(Heard { task, observer: surroundings.observer, lines: 0, last: VecDeque::new() });
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut listening = std::pin::pin!(async { tokio::join!(listen(out, &heard), listen(err, &heard)) });
        let ending = async {
            let mut waiting = std::pin::pin!(child.wait());
            tokio::select! {
                status = &mut waiting => {
                    let _ = tokio::time::timeout(DRAIN, &mut listening).await;
                    status
                }
                _ = &mut listening => waiting.await,
            }
        };
        let ended = tokio::time::timeout(surroundings.limit, ending).await;
        let said = || heard.lock().map(|heard| heard.last.iter().cloned().collect()).unwrap_or_default();
        match ended {
            Ok(Ok(status)) if status.success() => {
                group.leave();
                Ok(())
            }
            Ok(Ok(status)) => Err(Error::Failed { said: said(), command, place, how: how(status) }),
            Ok(Err(source)) => Err(missing(program, source)),
            Err(_) => Err(Error::TooLong { said: said(), command, place, limit: surroundings.limit }),
        }
    }
}

impl Action {
    fn names(&self, what: &str) -> bool {
        match self {
            Self::Shell(line) => line.contains(what),
            Self::Words(words) => words.iter().any(|word| word.contains(what)),
            Self::Script { .. } => false,
        }
    }
}

/// A script in a file of its own, and what runs it: Python by its name, else its first line, else the shell by its name.
fn written(name: &str, contents: &str) -> Result<(TempDir, Vec<String>), FileError> {
    let directory = tempfile::Builder::new().prefix("onramp-hook-").tempdir();
    let directory = directory.map_err(FileError::io("create", &std::env::temp_dir()))?;
    let path = directory.path().join(name);
    std::fs::write(&path, contents).map_err(FileError::io("write", &path))?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&path, mode).map_err(FileError::io("write", &path))?;
    let ends = |end: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(end));
    let mut words = vec![path.to_string_lossy().into_owned()];
    if ends("py") {
        words.insert(0, "python3".to_owned());
    } else if !contents.starts_with("#!") && ends("sh") {
        words.insert(0, "/bin/sh".to_owned());
    }
    Ok((directory, words))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "it ended, and nobody knows how".to_owned(),
    }
}

/// A command and everything that it started. Dropping it kills them all.
struct Group(Option<Pid>);

impl Group {
    /// The command has ended well; what it left running may go on.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Nobody of the group may be left, which is well.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

struct Heard<'a> {
    task: &'a str,
    observer: &'a dyn Observer,
    lines: usize,
    last: VecDeque<String>,
}

impl Heard<'_> {
    fn line(&mut self, bytes: &[u8]) {
        let line = neutral_line(String::from_utf8_lossy(bytes).trim_end(), 300);
        if line.is_empty() {
            return;
        }
        self.lines += 1;
        if self.lines <= MOST_LINES {
            self.observer.step(self.task, &line);
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

async fn listen(pipe: Option<impl AsyncRead + Unpin>, heard: &Mutex<Heard<'_>>) {
    let Some(mut pipe) = pipe else { return };
    let mut bytes = vec![0; 8192];
    let mut line = Vec::new();
    let tell = |line: &mut Vec<u8>| {
        if let Ok(mut heard) = heard.lock() {
            heard.line(line);
        }
        line.clear();
    };
    while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
        for byte in &bytes[..count] {
            if matches!(byte, b'\n' | b'\r') || line.len() >= LINE {
                tell(&mut line);
            }
            if !matches!(byte, b'\n' | b'\r') {
                line.push(*byte);
            }
        }
    }
    tell(&mut line);
}
