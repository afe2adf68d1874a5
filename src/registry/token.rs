//! Proving who we are: passwords, and tokens that are fetched once for all who wait and again when they run out
//! (distribution's token specification, and its `OAuth2` variant for identity tokens).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::Error;
use super::challenge::{self, Challenge};
use super::credentials::Credentials;
use super::json::{self, Keys};
use super::origin::shown;
use super::retry::Trouble;
use super::transport::{Request, SMALL_CAP, Transport};
use super::upload::{Outgoing, Upload};

/// How long a token holds that does not say it (the specification's 60 s), and the longest that is believed.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// What an `Authorization` header is made of.
#[derive(Clone)]
pub enum Proof {
    /// `Basic`
    Password { username: String, password: String },
    /// `Bearer`
    Token(String),
}

/// A proof that a registry took, and until when it will.
#[derive(Clone)]
pub struct Held {
    pub proof: Proof,
    until: Option<Instant>,
    /// Which of a scope's proofs it is.
    number: u64,
}

/// Where the proofs of one scope stand. Whoever fetches one holds the lock, so that all others wait for that one.
type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// The proofs of one registry.
#[derive(Default)]
pub struct Proofs {
    /// What the registry asked for last.
    challenge: Mutex<Option<Challenge>>,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl Proofs {
    fn slot(&self, scope: &str) -> Slot {
        self.slots.lock().expect("no panic while held").entry(scope.to_owned()).or_default().clone()
    }

    fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().expect("no panic while held").clone()
    }
}

impl Transport {
    /// The proof to begin with: one that holds, or a fresh one where it is known how to get one.
    pub async fn proof(&self, request: &Request<'_>) -> Result<Option<Held>, Trouble> {
        let slot = self.proofs().slot(request.scope);
        let mut slot = slot.lock().await;
        if let Some(held) = slot.as_ref().filter(|held| held.until.is_none_or(|until| Instant::now() < until)) {
            return Ok(Some(held.clone()));
        }
        let Some(challenge) = self.proofs().challenge() else { return Ok(None) };
        let number = slot.as_ref().map_or(0, |held| held.number + 1);
        let held = self.prove(request, &challenge, number).await?;
        Ok(Some(slot.insert(held).clone()))
    }

    /// The proof after a 401: another's newer one, or a fresh one as the answer's headers ask.
    pub async fn renewed(
        &self,
        request: &Request<'_>,
        refused: Option<&Held>,
        headers: &HeaderMap,
    ) -> Result<Held, Trouble> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenge::parse(texts) else {
            return Err(self.unauthorized(request.what, "401, and it does not say how to sign in").into());
        };
        *self.proofs().challenge.lock().expect("no panic while held") = Some(challenge.clone());
        let slot = self.proofs().slot(request.scope);
        let mut slot = slot.lock().await;
        match (slot.as_ref(), refused) {
            (Some(held), None) => return Ok(held.clone()),
            (Some(held), Some(refused)) if held.number != refused.number => return Ok(held.clone()),
            _ => {}
        }
        let number = slot.as_ref().map_or(0, |held| held.number + 1);
        let held = self.prove(request, &challenge, number).await?;
        Ok(slot.insert(held).clone())
    }

    /// A proof as the registry wants it.
    async fn prove(&self, request: &Request<'_>, challenge: &Challenge, number: u64) -> Result<Held, Trouble> {
        let refused = |detail: &str| Err(self.unauthorized(request.what, detail).into());
        match (challenge, self.credentials()) {
            (Challenge::Bearer { realm, service }, _) => {
                let (token, life) = self.token(request, realm, service.as_deref()).await?;
                // A little earlier, so that it holds while it is on its way.
                let until = Instant::now().checked_add(life.mul_f64(0.9));
                Ok(Held { proof: Proof::Token(token), until, number })
            }
            (Challenge::Basic, Some(Credentials::Password { username, password })) => {
                let proof = Proof::Password { username: username.clone(), password: password.clone() };
                Ok(Held { proof, until: None, number })
            }
            (Challenge::Basic, Some(Credentials::IdentityToken(_))) => {
                refused("it wants a password, and docker holds a token")
            }
            (Challenge::Basic, None) => refused("it wants a user name and password"),
        }
    }

    /// Gets a token for a scope that *we* choose: what the registry's challenge asks for is not looked at.
    ///
    /// The registry could have asked for the same credentials itself, so its token service may have them, too; but over
    /// https only (or on loopback with a loopback registry), and on another host than the registry's only where the
    /// challenge names the service that the token is for.
    async fn token(
        &self,
        request: &Request<'_>,
        realm: &str,
        service: Option<&str>,
    ) -> Result<(String, Duration), Trouble> {
        let mut url = Url::parse(realm).map_err(|_| self.wrong(request.what, "its token service has no URL"))?;
        self.origin().allows_realm(&url).map_err(|error| error.about(request.what))?;
        if service.is_none() && !self.origin().same_host(&url) && self.credentials().is_some() {
            let (host, why) = (self.origin().host().to_owned(), "a token service elsewhere must say what it serves");
            return Err(Error::Refused { host, what: request.what.to_owned(), target: shown(&url), why }.into());
        }
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(service.map(|service| ("service", service)));
        pairs.extend((!request.scope.is_empty()).then_some(("scope", request.scope)));
        let response = match self.credentials() {
            Some(Credentials::IdentityToken(token)) => {
                pairs.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "onramp")]);
                let mut form = url.clone();
                form.query_pairs_mut().clear().extend_pairs(&pairs);
                let form = Upload::from(form.query().unwrap_or_default().as_bytes().to_vec());
                let body = Outgoing::new("application/x-www-form-urlencoded", &form);
                let ask = Request { method: Method::POST, ..Request::get(request.what, url.clone(), "") };
                self.send(&Request { body: Some(&body), ..ask }, url, None).await?
            }
            credentials => {
                url.query_pairs_mut().extend_pairs(&pairs);
                let proof = match credentials {
                    Some(Credentials::Password { username, password }) => {
                        Some(Proof::Password { username: username.clone(), password: password.clone() })
                    }
                    _ => None,
                };
                self.send(&Request::get(request.what, url.clone(), ""), url, proof.as_ref()).await?
            }
        };
        if response.status().is_redirection() || response.status() == StatusCode::NOT_FOUND {
            return Err(self.wrong(request.what, "its token service is not where it says").into());
        }
        let response = self.accepted(request.what, response).await?;
        let body = self.body(request.what, SMALL_CAP, response).await?;
        token_of(&body).ok_or_else(|| self.wrong(request.what, "its token service gives no token").into())
    }
}

/// A token service's answer: the token, and how long it holds. A life that is no number is none.
fn token_of(body: &[u8]) -> Option<(String, Duration)> {
    #[derive(Deserialize)]
    struct Told {
        token: Option<String>,
        access_token: Option<String>,
        #[serde(default)]
        expires_in: serde_json::Value,
    }
    json::check(body, Keys::Exact).ok()?;
    let told: Told = serde_json::from_slice(body).ok()?;
    let token = told.token.or(told.access_token).filter(|token| !token.is_empty())?;
    let life = told.expires_in.as_f64().filter(|seconds| *seconds > 0.0);
    let life = life.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())));
    token.bytes().all(|byte| byte.is_ascii_graphic()).then_some((token, life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_services_write_them() {
        let cases = [
            (r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#, Some(("t", 300))),
            (r#"{"access_token":"t"}"#, Some(("t", 60))),
            (r#"{"token":"t","access_token":"u"}"#, Some(("t", 60))),
            (r#"{"token":"t","expires_in":-5}"#, Some(("t", 60))),
            (r#"{"token":"t","expires_in":0}"#, Some(("t", 60))),
            (r#"{"token":"t","expires_in":1e300}"#, Some(("t", 86_400))),
            (r#"{"token":"t","expires_in":"soon"}"#, Some(("t", 60))),
            (r#"{"token":"t\r\nx: y"}"#, None),
            (r#"{"token":""}"#, None),
            (r#"{"token":"t","token":"u"}"#, None),
            (r#"{"token":null}"#, None),
            ("t", None),
        ];
        for (body, expected) in cases {
            let read = token_of(body.as_bytes());
            let read = read.as_ref().map(|(token, life)| (token.as_str(), life.as_secs()));
            assert_eq!(read, expected, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body: Vec<u8>, life: f64) {
            let _ = token_of(&body);
            let _ = token_of(format!(r#"{{"token":"t","expires_in":{life:e}}}"#).as_bytes());
        }
    }
}
