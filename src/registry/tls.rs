//! Whom a registry's certificate must come from: the system's authorities, and those that docker is told of for one
//! registry (docker documentation, "Verify repository client with certificates": `certs.d/<host[:port]>/*.crt`).

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};

use crate::files;
use crate::text::neutral_line;

/// Where docker keeps what the machine trusts, one directory a registry.
const MACHINE: &str = "/etc/docker/certs.d";
/// The same in a user's directory of docker's settings.
const USER: &str = "certs.d";
/// The largest file of certificates that is read, in bytes, and how many files of a directory.
const CAP: u64 = 1024 * 1024;
const FILES: usize = 50;

/// What is trusted for one registry beyond the system's authorities, and what proves us to it.
#[derive(Clone, Default)]
pub struct Trust {
    /// Authorities.
    pub authorities: Vec<Certificate>,
    /// Our own certificate and key.
    pub identity: Option<Identity>,
    /// What could not be used, neutral.
    pub troubles: Vec<String>,
}

impl Trust {
    /// What the machine and the user's docker say about a registry, `host[:port]`.
    pub fn of(host: &str, docker: Option<&Path>) -> Self {
        let mut trust = Self::default();
        let user = docker.map(|directory| directory.join(USER));
        for directory in [Some(PathBuf::from(MACHINE)), user].into_iter().flatten() {
            trust.read(&directory.join(host));
        }
        trust
    }

    fn read(&mut self, directory: &Path) {
        // Most registries have none.
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let mut paths: Vec<PathBuf> = entries.take(FILES).filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort_unstable();
        for path in paths {
            let used = match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authority(&path),
                Some("cert") => self.client(&path),
                _ => continue,
            };
            if let Err(why) = used {
                self.troubles.push(format!("{} {why}", neutral_line(&path.display().to_string(), 160)));
            }
        }
    }

    fn authority(&mut self, path: &Path) -> Result<(), &'static str> {
        let text = files::read_text(path, CAP).map_err(|_| "cannot be read")?;
        let found = Certificate::from_pem_bundle(text.as_bytes()).map_err(|_| "holds no certificate")?;
        if found.is_empty() {
            return Err("holds no certificate");
        }
        self.authorities.extend(found);
        Ok(())
    }

    /// `client.cert` and `client.key`: the first pair that is whole.
    fn client(&mut self, path: &Path) -> Result<(), &'static str> {
        if self.identity.is_some() {
            return Ok(());
        }
        let certificate = files::read_text(path, CAP).map_err(|_| "cannot be read")?;
        let key = files::read_text(&path.with_extension("key"), CAP).map_err(|_| "has no key beside it")?;
        let pair = Identity::from_pem(format!("{certificate}\n{key}").as_bytes());
        self.identity = Some(pair.map_err(|_| "and its key are no pair of certificate and key")?);
        Ok(())
    }
}

/// Why a certificate was refused, where that is what failed: rustls's own words.
pub fn refused(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error hides what it wraps from `source`.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(why)) = inner.or_else(|| error.downcast_ref()) {
            return Some(neutral_line(&why.to_string(), 200));
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_told_and_what_is_for_another_registry_is_not_read() {
        let docker = tempfile::tempdir().unwrap();
        let own = docker.path().join("certs.d/registry.acme.test:5000");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("ca.crt"), "nonsense").unwrap();
        std::fs::write(own.join("client.cert"), "nonsense").unwrap();
        std::fs::write(own.join("README"), "nonsense").unwrap();
        let trust = Trust::of("registry.acme.test:5000", Some(docker.path()));
        assert_eq!(trust.troubles.len(), 2, "{:?}", trust.troubles);
        assert!(trust.troubles[0].ends_with("ca.crt holds no certificate"), "{:?}", trust.troubles);
        assert!(trust.troubles[1].ends_with("client.cert has no key beside it"), "{:?}", trust.troubles);
        assert!(Trust::of("registry.acme.test", Some(docker.path())).troubles.is_empty());
    }
}
