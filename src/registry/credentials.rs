//! The user's credentials for a registry: those of `docker login`, read and never asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::helper::{self, Answer};
use crate::files;
use crate::task::blocking;
use crate::text::neutral_line;

/// What Docker Hub is called in docker's settings, whatever its API's host is.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The largest `config.json` that is read, in bytes.
const CAP: u64 = 1024 * 1024;

/// What proves to a registry who we are. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user's name and password, or a token that stands for one.
    Password {
        /// The user.
        username: String,
        /// Secret.
        password: String,
    },
    /// An `OAuth2` refresh token, which a token service takes; secret.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => write!(f, "Password({username:?}, …)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

/// What docker's settings say about one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The credentials; none is anonymous.
    pub credentials: Option<Credentials>,
    /// Why there are none although docker's settings name some.
    pub trouble: Option<String>,
}

/// Where docker's command line keeps its settings, and where its helpers are found.
#[derive(Clone, Debug)]
pub struct Docker {
    /// The directory of `config.json`; none where the user has no home.
    pub directory: Option<PathBuf>,
    /// The directories of programs.
    pub path: OsString,
}

impl Docker {
    /// This user's: `DOCKER_CONFIG`, else `~/.docker`.
    pub fn of_user() -> Self {
        let set = std::env::var_os("DOCKER_CONFIG").filter(|set| !set.is_empty()).map(PathBuf::from);
        let directory = set.or_else(|| Some(etcetera::home_dir().ok()?.join(".docker")));
        Self { directory, path: std::env::var_os("PATH").unwrap_or_default() }
    }
}

/// Docker's `config.json`, as far as it is about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// What the file itself holds for a registry.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// Looks a registry (`host[:port]`) up: its own helper before the store for all, and both before the file.
///
/// Whatever fails means anonymous, with the reason beside it: the registry may well be public.
pub async fn find(host: &str, docker: &Docker) -> Found {
    let key = if matches!(host, "docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { host };
    let Some(directory) = docker.directory.clone() else { return Found::default() };
    let mut config = match blocking(move || read(&directory.join("config.json"))).await {
        Ok(config) => config,
        Err(why) => return trouble(why),
    };
    let asked = match config.cred_helpers.get(key).or(config.creds_store.as_ref()).filter(|name| !name.is_empty()) {
        Some(name) => helper::ask(name, key, &docker.path).await,
        None => Answer::Nothing,
    };
    let kept = config.auths.iter().find(|(name, _)| is_for(name, key)).map(|(name, _)| name.clone());
    let kept = kept.and_then(|name| config.auths.remove(&name)).map_or(Ok(None), Entry::credentials);
    match (asked, kept) {
        (Answer::Found(credentials), _) | (_, Ok(Some(credentials))) => {
            Found { credentials: Some(credentials), trouble: None }
        }
        (Answer::Failed(why), _) | (Answer::Nothing, Err(why)) => trouble(why),
        (Answer::Nothing, Ok(None)) => Found::default(),
    }
}

fn trouble(why: String) -> Found {
    Found { credentials: None, trouble: Some(why) }
}

/// Reads the file; a missing one is empty. Its text may hold secrets, so that no error repeats any of it.
fn read(path: &Path) -> Result<Config, String> {
    let shown = || neutral_line(&path.display().to_string(), 120);
    match files::read_text(path, CAP) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            format!("{} is not as docker writes it (line {}, column {})", shown(), error.line(), error.column())
        }),
        Err(error) if error.is_not_found() => Ok(Config::default()),
        Err(_) => Err(format!("{} cannot be read", shown())),
    }
}

/// Whether an entry's name means the registry: exactly it, or the URL of its API as old logins wrote it. Never a part of it.
fn is_for(name: &str, key: &str) -> bool {
    if name == key {
        return true;
    }
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    host == key && matches!(path, "" | "v1" | "v1/" | "v2" | "v2/")
}

impl Entry {
    fn credentials(self) -> Result<Option<Credentials>, String> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = some(self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        let password = |username: String, password: String| Ok(Some(Credentials::Password { username, password }));
        if let Some(auth) = some(self.auth) {
            let damaged = || "the credentials in docker's config.json are damaged".to_owned();
            let text =
                String::from_utf8(STANDARD.decode(auth.trim()).map_err(|_| damaged())?).map_err(|_| damaged())?;
            let (user, secret) = text.split_once(':').ok_or_else(damaged)?;
            return password(user.to_owned(), secret.trim_end_matches('\0').to_owned());
        }
        match (some(self.username), some(self.password)) {
            (Some(user), Some(secret)) => password(user, secret),
            // With a store, docker leaves an empty entry in the file.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docker(config: &str) -> (tempfile::TempDir, Docker) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let docker = Docker { directory: Some(dir.path().to_owned()), path: dir.path().into() };
        (dir, docker)
    }

    fn ann(password: &str) -> Credentials {
        Credentials::Password { username: "ann".to_owned(), password: password.to_owned() }
    }

    #[test]
    fn secrets_are_not_shown() {
        let token = Credentials::IdentityToken("s3cret".into());
        assert_eq!(format!("{:?} {token:?}", ann("s3cret")), "Password(\"ann\", …) IdentityToken(…)");
    }

    #[tokio::test]
    async fn a_registrys_entry_is_its_own() {
        let (_dir, docker) = docker(
            r#"{"auths":{
                "registry.acme.test":{"auth":"YW5uOnMzOmNyZXQ="},
                "https://old.acme.test/v2/":{"username":"ann","password":"x"},
                "tok.acme.test":{"auth":"YW5uOg==","identitytoken":"t"},
                "broken.acme.test":{"auth":"!s3cret!"},
                "stored.acme.test":{},
                "https://index.docker.io/v1/":{"auth":"YW5uOmg="}
            },"HttpHeaders":{"x":"y"}}"#,
        );
        let of = async |host: &str| find(host, &docker).await;
        assert_eq!(of("registry.acme.test").await.credentials, Some(ann("s3:cret")));
        assert_eq!(of("old.acme.test").await.credentials, Some(ann("x")));
        assert_eq!(of("tok.acme.test").await.credentials, Some(Credentials::IdentityToken("t".into())));
        assert_eq!(of("docker.io").await.credentials, Some(ann("h")));
        // Look-alikes, parts and other ports are other registries.
        for other in [
            "registry.acme.test.evil.test",
            "evil-registry.acme.test",
            "registry.acme.test:443",
            "acme.test",
            "xn--rgistry-cva.acme.test",
            "stored.acme.test",
        ] {
            assert_eq!(of(other).await, Found::default(), "{other}");
        }
        let broken = of("broken.acme.test").await.trouble.unwrap();
        assert_eq!(broken, "the credentials in docker's config.json are damaged");
    }

    #[tokio::test]
    async fn a_file_that_is_none_is_told_and_not_repeated() {
        let (dir, docker) = docker("{\"auths\": s3cret}");
        let why = find("registry.acme.test", &docker).await.trouble.unwrap();
        assert!(why.contains("config.json is not as docker writes it (line 1, column 11)"), "{why}");
        std::fs::remove_file(dir.path().join("config.json")).unwrap();
        assert_eq!(find("registry.acme.test", &docker).await, Found::default());
    }

    #[tokio::test]
    async fn a_missing_helper_means_anonymous_unless_the_file_knows() {
        let (_dir, docker) = docker(
            r#"{"auths":{"a.test":{"auth":"YW5uOng="}},"credHelpers":{"b.test":"other"},"credsStore":"nowhere"}"#,
        );
        assert_eq!(find("a.test", &docker).await.credentials, Some(ann("x")));
        let why = find("b.test", &docker).await.trouble.unwrap();
        assert_eq!(why, "docker's settings name docker-credential-other, which is not there");
        assert!(find("c.test", &docker).await.trouble.unwrap().contains("docker-credential-nowhere"));
    }
}
