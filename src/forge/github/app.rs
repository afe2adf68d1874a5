//! A GitHub App: how CI is somebody of its own, with a token for one repository that lives an hour.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>. The app says who it is by a token
//! that its private key signs (RFC 7519, RS256); the key stays here.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Method;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use crate::files;
use crate::forge::token::Token;
use crate::forge::{Error, Place};
use crate::task::blocking;
use crate::text::neutral_line;

/// The variables that name an app, the file with its private key, and the host that it is an app of where that is not
/// github.com: what it signs goes to no other.
pub const VARIABLES: [&str; 3] = ["ONRAMP_GITHUB_APP_ID", "ONRAMP_GITHUB_APP_KEY", "ONRAMP_GITHUB_APP_HOST"];
/// The most of a key's file that is read, in bytes.
const KEY_CAP: u64 = 64 * 1024;
/// How long what the app signs holds, in seconds; GitHub takes ten minutes at most. Its clock may be behind ours a little.
const HOLDS: i64 = 540;
const BEHIND: i64 = 60;

#[derive(Deserialize)]
struct RawInstallation {
    id: u64,
}

#[derive(Deserialize)]
struct RawToken {
    token: String,
}

/// A token of the app that the environment names, for the repository at `place`. None where it names none for that host.
pub(in crate::forge) async fn token(
    place: &Place,
    timeout: Duration,
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Option<Token>, Error> {
    let [id, key, host] = VARIABLES.map(|name| variable(name).filter(|value| !value.is_empty()));
    if host.as_deref().unwrap_or("github.com") != place.host() {
        return Ok(None);
    }
    match (id, key) {
        (None, None) => Ok(None),
        (Some(id), Some(key)) => of(place, &id, Path::new(&key), timeout).await.map(Some),
        _ => Err(wrong(format!("{} and {} go together", VARIABLES[0], VARIABLES[1]))),
    }
}

/// A token of the app `id`, whose private key lies at `key`, for the repository at `place`.
pub async fn of(place: &Place, id: &str, key: &Path, timeout: Duration) -> Result<Token, Error> {
    let pem = {
        let key = key.to_owned();
        blocking(move || files::read(&key, KEY_CAP)).await.map_err(|error| wrong(error.to_string()))?
    };
    let unfit = || wrong(format!("`{}` is no id of a GitHub App", neutral_line(id, 80)));
    if id.len() > 80 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(unfit());
    }
    let signed = Token::new(&signed(id, &pem, Timestamp::now())?, VARIABLES[1]).ok_or_else(unfit)?;
    let http = GitHub::new(place.clone(), signed, timeout)?.http;
    let installation: RawInstallation = http.get(place.url(&["installation"]), "find the app's installation").await?;
    let url = place.above(&["app", "installations", &installation.id.to_string(), "access_tokens"]);
    // A token that may do less than the app.
    let body = json!({ "repositories": [place.name()] });
    let raw: RawToken = http.send_to(Method::POST, url, "give the app a token", &body).await?;
    Token::new(&raw.token, format!("the GitHub App {id}"))
        .ok_or_else(|| http.unreachable("give the app a token", "what it gave is none"))
}

fn wrong(detail: String) -> Error {
    Error::Setting { detail }
}

/// Who the app is, signed with its RSA key (PKCS #1, as GitHub gives it, or PKCS #8).
fn signed(id: &str, pem: &[u8], now: Timestamp) -> Result<String, Error> {
    let no_key = || wrong(format!("{} leads to no RSA key in PEM", VARIABLES[1]));
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| no_key())?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| no_key())?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(no_key)?;
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = now.as_second();
    let claims = json!({ "iat": now - BEHIND, "exp": now + HOLDS, "iss": id });
    let text = format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
    let signature = signer.sign(text.as_bytes()).map_err(|_| no_key())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
