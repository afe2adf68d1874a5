//! Names of images as Docker reads them: what is short is of Docker Hub.

use crate::reference::{ImageRef, is_registry};

/// Where images live that name no registry.
const HUB: &str = "docker.io";

/// The whole reference that a name means. Without a tag and a digest it has the tag `latest`.
pub fn whole(name: &str) -> Result<ImageRef, crate::reference::ParseError> {
    let repository = name.split('@').next().unwrap_or_default();
    let mut whole = match repository.split_once('/') {
        Some((registry, _)) if is_registry(registry) => name.to_owned(),
        Some(_) => format!("{HUB}/{name}"),
        None => format!("{HUB}/library/{name}"),
    };
    if !is_pinned(name) {
        whole.push_str(":latest");
    }
    whole.parse()
}

/// Whether a name says a tag or a digest.
pub(super) fn is_pinned(name: &str) -> bool {
    name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_of_docker_hub() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let cases = [
            ("mariadb:10.11", "docker.io/library/mariadb:10.11".to_owned()),
            ("php", "docker.io/library/php:latest".to_owned()),
            ("acme/shop:1", "docker.io/acme/shop:1".to_owned()),
            ("localhost/shop", "localhost/shop:latest".to_owned()),
            ("registry.acme.test/base/php:8.2", "registry.acme.test/base/php:8.2".to_owned()),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest".to_owned()),
            (&format!("redis@{digest}"), format!("docker.io/library/redis@{digest}")),
        ];
        for (name, expected) in cases {
            assert_eq!(whole(name).unwrap().to_string(), expected, "{name}");
        }
        for bad in ["", "A/b:1", "php:", "a b", "-x/y/z"] {
            assert!(whole(bad).is_err(), "{bad}");
        }
    }
}
