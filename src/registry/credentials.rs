//! The user's credentials for a registry: those of `docker login`, read and never asked for.

use std::fmt;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::text::neutral_line;

/// How long a credential helper may take: some wait for a keychain that nobody unlocks.
const HELPER_LIMIT: Duration = Duration::from_secs(5);
/// What Docker Hub is called in docker's settings, whatever its API's host is.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

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

/// Looks a registry (`host[:port]`) up in docker's `config.json` and its credential helpers.
///
/// A missing or failing helper means anonymous, with the reason beside it: the registry may well be public. A helper
/// that hangs is left behind after five seconds.
pub async fn of_user(host: &str) -> Found {
    let key = if matches!(host, "docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { host }.to_owned();
    let lookup = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key));
    match tokio::time::timeout(HELPER_LIMIT, lookup).await {
        Ok(Ok(result)) => found(result),
        Ok(Err(_)) => trouble("docker's settings could not be read".to_owned()),
        Err(_) => trouble(format!("docker's credential helper took longer than {} s", HELPER_LIMIT.as_secs())),
    }
}

fn found(result: Result<DockerCredential, CredentialRetrievalError>) -> Found {
    match result {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Found { credentials: Some(Credentials::Password { username, password }), trouble: None }
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            Found { credentials: Some(Credentials::IdentityToken(token)), trouble: None }
        }
        // No file, or a file that nobody could read, says nothing about this registry.
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Found::default(),
        // A helper's output may hold secrets: only its name is repeated.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            trouble(format!("{} has no credentials for it, or failed", neutral_line(&helper, 60)))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            trouble("docker's settings name a credential helper that cannot be run".to_owned())
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            trouble("docker's credential helper answered nonsense".to_owned())
        }
        Err(CredentialRetrievalError::CredentialDecodingError | CredentialRetrievalError::CredentialMismatchError) => {
            trouble("the credentials in docker's settings are damaged".to_owned())
        }
    }
}

fn trouble(why: String) -> Found {
    Found { credentials: None, trouble: Some(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let password = Credentials::Password { username: "ann".into(), password: "s3cret".into() };
        let token = Credentials::IdentityToken("s3cret".into());
        assert_eq!(format!("{password:?} {token:?}"), "Password(\"ann\", …) IdentityToken(…)");
        let failure = CredentialRetrievalError::HelperFailure {
            helper: "docker-credential-x".into(),
            stdout: "s3cret".into(),
            stderr: "s3cret".into(),
        };
        let found = found(Err(failure));
        assert_eq!(found.trouble.as_deref(), Some("docker-credential-x has no credentials for it, or failed"));
    }
}
