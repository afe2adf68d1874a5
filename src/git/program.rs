//! The `git` program, run so that it asks nobody, runs no helper of a repository's choosing, and leaks nothing.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::url::redact;
use super::{Error, RepoUrl};

/// What is kept of git's words, in bytes.
const WORDS: u64 = 16 * 1024;

/// `git version`, like `2.39.5`.
pub fn version() -> Result<String, Error> {
    let output = Command::new("git").arg("--version").output().map_err(Error::NoProgram)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().nth(2).unwrap_or("unknown").to_owned())
}

/// Runs git on a repository about a remote one, and sorts its failure.
pub(super) fn run(repository: &Path, verb: &'static str, arguments: &[String], url: &RepoUrl) -> Result<(), Error> {
    ended(command(repository, verb, arguments).stdout(Stdio::null()), verb, url, |_| Ok(()))
}

/// Runs git on a repository and hands what it says to `read`, as it comes.
pub(super) fn read(
    repository: &Path,
    verb: &'static str,
    arguments: &[String],
    url: &RepoUrl,
    read: impl FnOnce(&mut dyn BufRead) -> std::io::Result<()>,
) -> Result<(), Error> {
    ended(command(repository, verb, arguments).stdout(Stdio::piped()), verb, url, read)
}

fn command(repository: &Path, verb: &'static str, arguments: &[String]) -> Command {
    let mut command = Command::new("git");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"] {
        command.env_remove(variable);
    }
    command
        .arg("--git-dir")
        .arg(repository)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "gc.auto=0"])
        // What somebody likes to see in a log is not what is read here.
        .args(["-c", "log.showSignature=false", "-c", "log.showRoot=true", "-c", "log.follow=false"])
        .args(["-c", "http.followRedirects=initial", "-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=30"])
        .arg(verb)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file:http:https:ssh")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn ended(
    command: &mut Command,
    verb: &'static str,
    url: &RepoUrl,
    read: impl FnOnce(&mut dyn BufRead) -> std::io::Result<()>,
) -> Result<(), Error> {
    let mut child = command.spawn().map_err(Error::NoProgram)?;
    let words = child.stderr.take().map(|stderr| std::thread::spawn(move || first_words(stderr)));
    let heard = match child.stdout.take() {
        // What is not read to its end is closed here, so that git does not stop on a full pipe.
        Some(stdout) => read(&mut BufReader::new(stdout)),
        None => Ok(()),
    };
    let status = child.wait().map_err(Error::NoProgram)?;
    let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(sort(verb, url, &String::from_utf8_lossy(&words)));
    }
    heard.map_err(|error| Error::Program { verb, url: redact(url.as_str()), detail: error.to_string() })
}

/// The beginning of what it says to people. The rest is read and dropped.
fn first_words(stderr: impl Read) -> Vec<u8> {
    let mut words = Vec::new();
    let mut stderr = stderr.take(WORDS);
    let _ = stderr.read_to_end(&mut words);
    let _ = std::io::copy(&mut stderr.into_inner(), &mut std::io::sink());
    words
}

fn sort(verb: &'static str, url: &RepoUrl, words: &str) -> Error {
    let url = redact(url.as_str());
    let said = redact(&crate::text::neutral(words));
    let telling = |line: &&str| ["fatal:", "error:", "remote:", " ! ["].iter().any(|p| line.trim_end().starts_with(p));
    let detail = said.lines().find(telling).or_else(|| said.lines().next()).unwrap_or("no words").trim();
    let detail = crate::text::neutral_line(detail.trim_start_matches("fatal: "), 300);
    let has = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
    if has(&[
        "stale info",
        "non-fast-forward",
        "fetch first",
        "cannot lock ref",
        "failed to update ref",
        "atomic push failed",
    ]) {
        Error::Moved { url, detail }
    } else if has(&[
        "Authentication failed",
        "could not read Username",
        "Permission denied",
        "returned error: 401",
        "returned error: 403",
        "insufficient permission",
    ]) {
        Error::Refused { url, detail }
    } else if has(&[
        "does not appear to be a git repository",
        "Could not resolve",
        "unable to access",
        "Connection",
        "not found",
        "does not exist",
        "Could not read from remote",
        "timed out",
        "early EOF",
        "hung up",
    ]) {
        Error::Unreachable { url, detail }
    } else {
        Error::Program { verb, url, detail }
    }
}
