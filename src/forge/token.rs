//! Tokens: where one for a forge's host is found, and that it is never shown.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long another program may take to say a token.
const PATIENCE: Duration = Duration::from_secs(10);

/// A token for one host. It is shown nowhere: not in debug output, errors or logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    /// Where it was found: a variable's name, `gh`, `git credential`.
    pub origin: String,
}

impl Token {
    /// The token with this secret, from there. None where the secret is empty or could not stand in a header.
    pub fn new(secret: &str, origin: impl Into<String>) -> Option<Self> {
        let secret = secret.trim();
        let fits = !secret.is_empty() && secret.len() <= 8192 && secret.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self { secret: secret.to_owned(), origin: origin.into() })
    }

    /// For the one header that carries it.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(***, from {})", self.origin)
    }
}

/// The variables that hold a token for a host, first one first, as `gh` reads them: a token for github.com is never
/// given to another server.
pub fn variables(host: &str) -> [&'static str; 2] {
    if host == "github.com" || host.ends_with(".ghe.com") {
        ["GH_TOKEN", "GITHUB_TOKEN"]
    } else {
        ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
    }
}

/// Finds the token for a host: variables, then `gh`, then git's credential helpers. `host` may carry a port.
pub async fn find(host: &str, variable: &(dyn Fn(&str) -> Option<String> + Sync)) -> Option<Token> {
    let set = |name: &&str| Token::new(&variable(name)?, *name);
    if let Some(token) = variables(host).iter().find_map(set) {
        return Some(token);
    }
    if let Some(token) = gh(host).await {
        return Some(token);
    }
    credential(host).await
}

/// What `gh auth login` keeps, in its own file or the system's key ring.
async fn gh(host: &str) -> Option<Token> {
    let mut command = Command::new("gh");
    command.args(["auth", "token", "--hostname", host]).env("GH_PROMPT_DISABLED", "1");
    // gh prefers these over what it keeps, and not all of them are meant for this host.
    for name in ["GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"] {
        command.env_remove(name);
    }
    Token::new(&ask(command, "").await?, "gh")
}

/// What git would use to push over https; never asks anybody.
async fn credential(host: &str) -> Option<Token> {
    let mut command = Command::new("git");
    command
        .args(["-c", "core.askPass=", "-c", "credential.interactive=false", "credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_ASKPASS")
        .env_remove("SSH_ASKPASS");
    let answer = ask(command, &format!("protocol=https\nhost={host}\n\n")).await?;
    let password = answer.lines().find_map(|line| line.strip_prefix("password="))?;
    Token::new(password, "git's credential helper")
}

/// A program's answer to one question, if it has one within a few seconds.
async fn ask(mut command: Command, question: &str) -> Option<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let conversation = async {
        let mut child = command.spawn().ok()?;
        let mut stdin = child.stdin.take()?;
        // A program that does not listen may still answer.
        let _ = stdin.write_all(question.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.ok()?;
        output.status.success().then_some(output.stdout)
    };
    let answer = tokio::time::timeout(PATIENCE, conversation).await.ok()??;
    String::from_utf8(answer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_goes_to_its_own_host_only() {
        let both = |name: &str| match name {
            "GITHUB_TOKEN" => Some("for-github".to_owned()),
            "GH_ENTERPRISE_TOKEN" => Some("for-acme".to_owned()),
            _ => None,
        };
        let found = |host| async move { find(host, &both).await.map(|t| (t.secret().to_owned(), t.origin)) };
        assert_eq!(found("github.com").await.unwrap(), ("for-github".into(), "GITHUB_TOKEN".into()));
        assert_eq!(found("git.acme.test").await.unwrap(), ("for-acme".into(), "GH_ENTERPRISE_TOKEN".into()));
        assert_eq!(found("github.com.evil.test").await.unwrap().0, "for-acme");
    }

    #[test]
    fn a_token_is_never_shown_and_never_breaks_a_header() {
        let token = Token::new("ghp_secret\n", "gh").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***, from gh)");
        assert!(Token::new("", "gh").is_none());
        assert!(Token::new("a\r\nX-Evil: 1", "gh").is_none());
    }
}
