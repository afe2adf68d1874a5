//! Tokens: where one for a forge's host is found, and that it is never shown.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::settings::ForgeKind;

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

/// The variables that hold a token for a host, first one first: a token is never given to another server than the one that
/// it is for. gh's names mean github.com; everything else is named by a second variable, which says the server.
pub fn variables(kind: ForgeKind, host: &str) -> Vec<&'static str> {
    match kind {
        ForgeKind::Github if is_github(host) => vec!["GH_TOKEN", "GITHUB_TOKEN"],
        ForgeKind::Github => vec!["GH_ENTERPRISE_TOKEN (with GH_HOST)", "GITHUB_ENTERPRISE_TOKEN (with GH_HOST)"],
        ForgeKind::Gitlab if host == GITLAB => vec!["GITLAB_TOKEN"],
        ForgeKind::Gitlab => vec!["GITLAB_TOKEN (with GITLAB_HOST)"],
        ForgeKind::Gitea => vec!["GITEA_SERVER_TOKEN (with GITEA_SERVER_URL)"],
        ForgeKind::Local => Vec::new(),
    }
}

/// Whether GitHub itself runs this host.
fn is_github(host: &str) -> bool {
    host == "github.com" || host.ends_with(".ghe.com")
}

/// The program that signs people in at this kind of forge.
pub fn program(kind: ForgeKind) -> &'static str {
    match kind {
        ForgeKind::Gitlab => "glab",
        ForgeKind::Gitea => "tea",
        ForgeKind::Github | ForgeKind::Local => "gh",
    }
}

/// The command that signs in, at `host` where one is known.
pub fn login(kind: ForgeKind, host: Option<&str>) -> String {
    match (kind, host) {
        (ForgeKind::Gitea, Some(host)) => format!("tea login add --url https://{host}"),
        (ForgeKind::Gitea, None) => "tea login add".to_owned(),
        (_, Some(host)) => format!("{} auth login --hostname {host}", program(kind)),
        (_, None) => format!("{} auth login", program(kind)),
    }
}

/// The command that says who one is signed in as.
pub fn status(kind: ForgeKind, host: &str) -> String {
    match kind {
        ForgeKind::Gitea => "tea login list".to_owned(),
        _ => format!("{} auth status --hostname {host}", program(kind)),
    }
}

const GITLAB: &str = "gitlab.com";

/// A token for a forge's host: from the environment (`variable` reads it), from the forge's own program, from git's
/// credential helpers. `host` may carry a port.
pub async fn find(kind: ForgeKind, host: &str, variable: &(dyn Fn(&str) -> Option<String> + Sync)) -> Option<Token> {
    if let Some(token) = set(kind, host, variable) {
        return Some(token);
    }
    let own = match kind {
        ForgeKind::Github => gh(host).await,
        ForgeKind::Gitlab => glab(host).await,
        ForgeKind::Gitea => tea(host).await,
        ForgeKind::Local => None,
    };
    match own {
        Some(token) => Some(token),
        None => credential(host).await,
    }
}

/// What the environment has for this host.
fn set(kind: ForgeKind, host: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<Token> {
    let names: &[&str] = match kind {
        ForgeKind::Github if is_github(host) => &["GH_TOKEN", "GITHUB_TOKEN"],
        ForgeKind::Github if names_host(&variable("GH_HOST")?, host) => {
            &["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
        }
        ForgeKind::Gitlab if names_host(variable("GITLAB_HOST").as_deref().unwrap_or(GITLAB), host) => {
            &["GITLAB_TOKEN"]
        }
        ForgeKind::Gitea if names_host(&variable("GITEA_SERVER_URL")?, host) => &["GITEA_SERVER_TOKEN"],
        _ => &[],
    };
    names.iter().find_map(|name| Token::new(&variable(name)?, *name))
}

/// Whether a server's name or URL is this host.
fn names_host(server: &str, host: &str) -> bool {
    let bare = server.trim().trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(host))
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

/// What `glab auth login` keeps for this host.
async fn glab(host: &str) -> Option<Token> {
    let mut command = Command::new("glab");
    command.args(["config", "get", "token", "--host", host]);
    // As with gh.
    for name in ["GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN"] {
        command.env_remove(name);
    }
    Token::new(&ask(command, "").await?, "glab")
}

/// What `tea login add` keeps for this host: tea is a credential helper of git's, whether git was told so or not.
async fn tea(host: &str) -> Option<Token> {
    let mut command = Command::new("tea");
    command.args(["login", "helper", "get"]).env_remove("GITEA_SERVER_TOKEN");
    let answer = ask(command, &format!("protocol=https\nhost={host}\n\n")).await?;
    Token::new(password(&answer)?, "tea")
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
    Token::new(password(&answer)?, "git's credential helper")
}

/// The password in what a credential helper says.
fn password(answer: &str) -> Option<&str> {
    answer.lines().find_map(|line| line.strip_prefix("password="))
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
            "GH_HOST" => Some("git.acme.test".to_owned()),
            _ => None,
        };
        let found =
            |host| async move { find(ForgeKind::Github, host, &both).await.map(|t| (t.secret().to_owned(), t.origin)) };
        assert_eq!(found("github.com").await.unwrap(), ("for-github".into(), "GITHUB_TOKEN".into()));
        assert_eq!(found("git.acme.test").await.unwrap(), ("for-acme".into(), "GH_ENTERPRISE_TOKEN".into()));
        assert_eq!(found("github.com.evil.test").await, None);
    }

    #[test]
    fn the_tokens_of_glab_and_tea_are_for_the_server_that_is_named() {
        let with = |kind, host: &str, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            set(kind, host, &variable).map(|token| token.origin)
        };
        let (gitlab, gitea) = (ForgeKind::Gitlab, ForgeKind::Gitea);
        let token = ("GITLAB_TOKEN", "secret");
        assert_eq!(with(gitlab, "gitlab.com", &[token]).unwrap(), "GITLAB_TOKEN");
        assert_eq!(with(gitlab, "git.acme.test", &[token]), None);
        assert!(with(gitlab, "git.acme.test", &[token, ("GITLAB_HOST", "https://git.acme.test/")]).is_some());
        assert_eq!(with(gitlab, "gitlab.com", &[token, ("GITLAB_HOST", "git.acme.test")]), None);
        let token = ("GITEA_SERVER_TOKEN", "secret");
        assert_eq!(with(gitea, "git.acme.test:3000", &[token]), None);
        let url = ("GITEA_SERVER_URL", "https://git.acme.test:3000/");
        assert!(with(gitea, "git.acme.test:3000", &[token, url]).is_some());
        assert_eq!(with(gitea, "git.acme.test.evil.test:3000", &[token, url]), None);
    }

    #[test]
    fn a_token_is_never_shown_and_never_breaks_a_header() {
        let token = Token::new("ghp_secret\n", "gh").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***, from gh)");
        assert!(Token::new("", "gh").is_none());
        assert!(Token::new("a\r\nX-Evil: 1", "gh").is_none());
    }
}
