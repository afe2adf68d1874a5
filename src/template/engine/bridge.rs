//! Templates whose Jinja extensions are Python: a `python3` that has Jinja renders their texts. It runs what the template
//! brings, so it is started only for those whom the user trusts.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::FILE_CAP;
use crate::template::{Dialect, Template, Undefined};
use crate::tree::{Entry, Tree};

/// What the process runs.
const PROGRAM: &str = include_str!("bridge.py");
/// How long one text may take.
const TEXT_LIMIT: Duration = Duration::from_secs(20);
/// How long all of them may take.
const WHOLE_LIMIT: Duration = Duration::from_mins(5);

/// The Python of those who say nothing else: the one that the user's `PATH` leads to.
pub const PROGRAM_OF_USER: &str = "python3";

/// Whether Python of a template may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Python {
    /// It may not: a template that needs it is refused.
    #[default]
    Refused,
    /// The user trusts the template.
    Allowed {
        /// The Python to run: one that has Jinja and the template's extensions.
        program: PathBuf,
    },
}

/// What Python said is wrong with a text.
#[derive(Debug)]
pub struct Wrong {
    /// What it said.
    pub message: String,
    /// The line of the text.
    pub line: Option<u64>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None }
    }
}

/// The process, and the template's files where its extensions find them.
pub struct Bridge {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    until: Instant,
    stale: bool,
    files: TempDir,
}

impl Bridge {
    /// Starts a process for a template.
    pub fn start(template: &Template, program: &Path) -> Result<Self, Wrong> {
        let files = unpacked(&template.source).map_err(|error| Wrong::new(format!("its files: {error}")))?;
        let mut command = Command::new(program);
        // What steers git and onramp is nothing to a template.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("GIT_") || name.starts_with("ONRAMP_")) {
                command.env_remove(name);
            }
        }
        let spawned = command
            .args(["-B", "-c", PROGRAM])
            .current_dir(files.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = spawned.map_err(|error| Wrong::new(format!("{} does not run: {error}", program.display())))?;
        let (Some(requests), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Wrong::new("python has no pipes"));
        };
        let (heard, answers) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            // A letter takes six bytes at most in JSON. What is longer, or ends early, ends the conversation.
            let most = (FILE_CAP * 6 + 1024) as u64;
            loop {
                let mut line = Vec::new();
                let read = output.by_ref().take(most).read_until(b'\n', &mut line);
                let Some(line) = read.ok().and_then(|_| String::from_utf8(line).ok()) else { break };
                if !line.ends_with('\n') || heard.send(line).is_err() {
                    break;
                }
            }
        });
        let until = Instant::now() + WHOLE_LIMIT;
        let mut bridge = Self { child, requests, answers, until, stale: true, files };
        let root = bridge.files.path().to_string_lossy().into_owned();
        bridge.ask(&setup(template, &root))?;
        Ok(bridge)
    }

    /// The variables have changed.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    /// Renders a text. `variables` are asked for where Python does not know them yet.
    pub fn render(
        &mut self,
        name: &str,
        text: &str,
        more: &Map<String, Value>,
        variables: impl FnOnce() -> Map<String, Value>,
    ) -> Result<String, Wrong> {
        let mut request = json!({ "name": name, "text": text, "more": more });
        if std::mem::take(&mut self.stale) {
            request["variables"] = variables().into();
        }
        let rendered = self.ask(&request)?;
        if rendered.len() > FILE_CAP {
            return Err(Wrong::new(format!("the output is larger than {}", crate::text::bytes(FILE_CAP as u64))));
        }
        Ok(rendered)
    }

    fn ask(&mut self, request: &Value) -> Result<String, Wrong> {
        let ended = || Wrong::new("python ended, or said more than a file may hold");
        writeln!(self.requests, "{request}").and_then(|()| self.requests.flush()).map_err(|_| ended())?;
        let limit = TEXT_LIMIT.min(self.until.saturating_duration_since(Instant::now()));
        let line = self.answers.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => Wrong::new("python takes too long"),
            RecvTimeoutError::Disconnected => ended(),
        })?;
        let answer: Value = serde_json::from_str(&line).map_err(|_| Wrong::new("python said what is no JSON"))?;
        match (answer["text"].as_str(), answer["error"].as_str()) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(error)) => Err(Wrong { message: error.to_owned(), line: answer["line"].as_u64() }),
            (None, None) => Err(Wrong::new("python said nothing")),
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The template's files on disk, for extensions that lie beside it. Links stay out: no file leads elsewhere.
fn unpacked(source: &Tree) -> std::io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for (path, entry) in source.iter() {
        let Entry::File { contents, .. } = entry else { continue };
        // What no file system takes needs no extension, either.
        if path.check().is_err() {
            continue;
        }
        let file = directory.path().join(path.as_str());
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, contents.bytes())?;
    }
    Ok(directory)
}

fn setup(template: &Template, root: &str) -> Value {
    let rules = &template.rules;
    let syntax = &rules.syntax;
    let cookiecutter = template.dialect == Dialect::Cookiecutter;
    let (usual, directories) = if cookiecutter {
        let usual = ["Jsonify", "RandomString", "Slugify", "Time", "UUID"];
        let usual = usual.map(|name| format!("cookiecutter.extensions.{name}Extension")).to_vec();
        (usual, vec![rules.subdirectory.clone(), "templates".to_owned()])
    } else {
        (vec!["jinja2_ansible_filters.AnsibleCoreFiltersExtension".to_owned()], vec![String::new()])
    };
    let mut options = json!({
        "block_start_string": syntax.block.0, "block_end_string": syntax.block.1,
        "variable_start_string": syntax.variable.0, "variable_end_string": syntax.variable.1,
        "comment_start_string": syntax.comment.0, "comment_end_string": syntax.comment.1,
        "trim_blocks": syntax.trim_blocks, "lstrip_blocks": syntax.lstrip_blocks,
        "keep_trailing_newline": syntax.keep_trailing_newline,
    });
    if let Some(prefix) = &syntax.line_statement {
        options["line_statement_prefix"] = prefix.as_str().into();
    }
    if let Some(prefix) = &syntax.line_comment {
        options["line_comment_prefix"] = prefix.as_str().into();
    }
    json!({
        "root": root,
        "directories": directories,
        "usual": usual,
        "extensions": rules.extensions.iter().map(|extension| &extension.name).collect::<Vec<_>>(),
        "strict": rules.undefined == Undefined::Strict,
        "sandbox": !cookiecutter,
        "options": options,
    })
}
