//! Secrets as a Compose file has them: variables that must be set, and files that Compose puts into a container.

use std::collections::BTreeMap;

use crate::project::service::{EnvValue, Service};

/// Where Compose puts the files of secrets.
pub(super) const DIRECTORY: &str = "/run/secrets/";
/// What the message of a variable begins with whose value is a secret.
const MESSAGE: &str = "secret ";

/// The secret that a value is: what [`Variables::text`] writes.
pub(super) fn of_value(value: &str) -> Option<String> {
    let inside = value.strip_prefix("${")?.strip_suffix('}')?;
    let (_, secret) = inside.split_once(":?")?;
    let secret = secret.strip_prefix(MESSAGE)?;
    is_plain(secret).then(|| secret.to_owned())
}

/// Whether a secret's name can stand in a message as it is.
fn is_plain(secret: &str) -> bool {
    !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'))
}

/// The variables that stand for the secrets of a Compose file.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// One for each secret of these services, named after it.
    pub fn of<'a>(services: impl Iterator<Item = &'a Service>) -> Self {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for value in services.flat_map(|service| service.env.values()) {
            let EnvValue::Secret(secret) = value else { continue };
            if names.contains_key(&secret.secret) {
                continue;
            }
            let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            let plain: String = secret.secret.chars().map(letter).collect();
            // `a/b-c` and `a-b/c` are two.
            let mut name =
                format!("{}{plain}", if plain.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "_" });
            while names.values().any(|taken| *taken == name) {
                name.push('_');
            }
            names.insert(secret.secret.clone(), name);
        }
        Self(names)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the variable that stands for a secret.
    pub fn name(&self, secret: &str) -> &str {
        &self.0[secret]
    }

    /// The value that stands for a secret: Compose refuses to start where the variable is not set.
    pub fn text(&self, secret: &str) -> String {
        let message = if is_plain(secret) { secret } else { "that has no plain name" };
        format!("${{{}:?{MESSAGE}{message}}}", self.0[secret])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::service::Secret;

    #[test]
    fn every_secret_has_a_variable_of_its_own() {
        let secrets = ["shop/db-password", "shop-db/password", "1/x", "a }b", ""];
        let env = secrets.iter().enumerate().map(|(i, secret)| {
            let secret = (*secret).to_owned();
            (format!("V{i}"), EnvValue::Secret(Secret { secret, file: false }))
        });
        let service = Service { env: env.collect(), ..Service::default() };
        let variables = Variables::of(std::iter::once(&service));
        let texts = secrets.map(|secret| variables.text(secret));
        assert_eq!(texts[0], "${SHOP_DB_PASSWORD:?secret shop/db-password}");
        assert_eq!(texts[1], "${SHOP_DB_PASSWORD_:?secret shop-db/password}");
        assert_eq!(texts[3], "${A__B:?secret that has no plain name}");
        let read: Vec<Option<String>> = texts.iter().map(|text| of_value(text)).collect();
        assert_eq!(read[..3], [Some("shop/db-password".into()), Some("shop-db/password".into()), Some("1/x".into())]);
        assert_eq!(read[3..], [None, None]);
    }
}
