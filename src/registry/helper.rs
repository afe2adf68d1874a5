//! Docker's credential helpers: programs that speak a small protocol (docker/docker-credential-helpers).

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::credentials::Credentials;
use crate::text::neutral_line;

/// How long a helper may take: some wait for a keychain that nobody unlocks.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest answer of a helper, in bytes.
const CAP: u64 = 64 * 1024;
/// The user name that says that the secret is an identity token.
const TOKEN: &str = "<token>";
/// What a helper says that has nothing for a registry.
const NOT_FOUND: &[u8] = b"credentials not found";

/// What a helper has.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Credentials.
    Found(Credentials),
    /// Nothing for this registry.
    Nothing,
    /// It failed; why.
    Failed(String),
}

/// Asks `docker-credential-<name> get` for a registry. Its output may hold secrets: only its name is repeated.
pub async fn ask(name: &str, registry: &str, path: &OsStr) -> Answer {
    ask_within(name, registry, path, LIMIT).await
}

async fn ask_within(name: &str, registry: &str, path: &OsStr, limit: Duration) -> Answer {
    let program = format!("docker-credential-{name}");
    let shown = neutral_line(&program, 60);
    let Some(place) = on_path(&program, path) else {
        return Answer::Failed(format!("docker's settings name {shown}, which is not there"));
    };
    let started = Command::new(place)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: what it started ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            return Answer::Failed(format!("{shown} cannot be run: {}", neutral_line(&error.to_string(), 80)));
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let spoken = tokio::time::timeout(limit, speak(&mut child, registry)).await;
    if !matches!(spoken, Ok(Ok(_)))
        && let Some(group) = group
    {
        // It may have ended by itself meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    match spoken {
        Ok(Ok((status, answer))) => answered(&shown, status, &answer),
        Ok(Err(_)) => Answer::Failed(format!("{shown} could not be spoken with")),
        Err(_) => Answer::Failed(format!("{shown} took longer than {} s", limit.as_secs_f64())),
    }
}

/// A program in the directories of `PATH`. A name that leads elsewhere is none.
fn on_path(program: &str, path: &OsStr) -> Option<PathBuf> {
    if program.contains(['/', '\\', '\0']) {
        return None;
    }
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(program)).find(|file| file.is_file())
}

async fn speak(child: &mut Child, registry: &str) -> io::Result<(ExitStatus, Vec<u8>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that answers without listening closes its end.
        let _ = stdin.write_all(registry.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(CAP).read_to_end(&mut answer).await?;
    }
    Ok((child.wait().await?, answer))
}

fn answered(shown: &str, status: ExitStatus, answer: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Told {
        username: String,
        secret: String,
    }
    if !status.success() {
        return if answer.starts_with(NOT_FOUND) {
            Answer::Nothing
        } else {
            Answer::Failed(format!("{shown} failed ({status})"))
        };
    }
    match serde_json::from_slice::<Told>(answer) {
        Ok(told) if told.secret.is_empty() => Answer::Nothing,
        Ok(told) if told.username == TOKEN => Answer::Found(Credentials::IdentityToken(told.secret)),
        Ok(told) => Answer::Found(Credentials::Password { username: told.username, password: told.secret }),
        Err(_) => Answer::Failed(format!("{shown} answered nonsense")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    /// Asks a helper whose script this is.
    async fn asked(script: &str, limit: Duration) -> Answer {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("docker-credential-test");
        std::fs::write(&file, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        ask_within("test", "registry.acme.test", dir.path().as_os_str(), limit).await
    }

    #[tokio::test]
    async fn helpers_are_understood() {
        let told = r#"[ "$1 $(cat)" = "get registry.acme.test" ] && echo '{"ServerURL":"x","Username":"ann","Secret":"s3cret"}'"#;
        let ann = Credentials::Password { username: "ann".into(), password: "s3cret".into() };
        assert_eq!(asked(told, LIMIT).await, Answer::Found(ann));
        let token = r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}'"#;
        assert_eq!(asked(token, LIMIT).await, Answer::Found(Credentials::IdentityToken("t".into())));
        let none = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(asked(none, LIMIT).await, Answer::Nothing);
        for (script, why) in [
            ("echo s3cret; echo s3cret >&2; exit 3", "docker-credential-test failed (exit status: 3)"),
            ("echo s3cret", "docker-credential-test answered nonsense"),
            // One that never ends is not listened to for ever.
            ("yes s3cret", "docker-credential-test failed (exit status: 141)"),
        ] {
            let Answer::Failed(told) = asked(script, LIMIT).await else { panic!("{script}") };
            assert_eq!(told, why);
        }
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let began = Instant::now();
        let Answer::Failed(why) = asked(&script, Duration::from_secs(1)).await else { panic!() };
        assert_eq!(why, "docker-credential-test took longer than 1 s");
        assert!(began.elapsed() < Duration::from_secs(4));
        let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        // Killed; its entry may stay until somebody collects it, then as a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }

    #[tokio::test]
    async fn a_helpers_name_leads_nowhere_else() {
        let Answer::Failed(why) = ask("../../bin/sh", "x", OsStr::new("/usr/bin")).await else { panic!() };
        assert!(why.ends_with("which is not there"), "{why}");
    }
}
