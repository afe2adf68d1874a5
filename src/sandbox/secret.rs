//! Values for the secrets that an environment names: made for one machine, the same in every sandbox, stored nowhere.

mod files;

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

pub use files::Files;

use super::mask::MaskKey;
use crate::files::FileError;
use crate::project::service::{EnvValue, Service};

/// The key that this machine's sandbox secrets are derived from.
pub struct SandboxKey([u8; 32]);

impl SandboxKey {
    /// Reads the key, or makes one on first use; only its owner may read the file.
    pub fn open(state: &Path) -> Result<Self, FileError> {
        let path = state.join("sandbox.key");
        loop {
            match std::fs::read(&path) {
                Ok(bytes) if bytes.len() == 32 => return Ok(Self(bytes.try_into().expect("32 bytes were read"))),
                Ok(_) => std::fs::remove_file(&path).map_err(FileError::io("replace", &path))?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::io("read", &path)(error)),
            }
            Self::make(state, &path)?;
        }
    }

    /// Whoever comes first makes it; the others read that one.
    fn make(state: &Path, path: &Path) -> Result<(), FileError> {
        use std::io::{Read, Write};
        let attempt = || -> std::io::Result<()> {
            std::fs::create_dir_all(state)?;
            let mut key = [0; 32];
            std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
            let mut file = tempfile::Builder::new().prefix(".onramp-").tempfile_in(state)?;
            file.write_all(&key)?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(path) {
                Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.error),
                _ => Ok(()),
            }
        };
        attempt().map_err(FileError::io("write", path))
    }

    /// The value of a named secret: 32 hexadecimal digits. Data that one sandbox made is cloned into another one, and the
    /// passwords in it with it; sandboxes cannot reach each other all the same.
    pub fn value(&self, secret: &str) -> String {
        // A hash keyed at its front; the value is truncated, which rules out extension.
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(secret);
        crate::reference::Digest::from_hash(&hash.finalize()).hex()[..32].to_owned()
    }
}

impl SandboxKey {
    /// The key of the masks of a project's dumps: who has not this machine's key cannot look up what a value was.
    pub fn of_masks(&self, project: &str) -> MaskKey {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        hash.update(b"masks ").update(project.as_bytes());
        MaskKey::new(*hash.finalize().as_bytes())
    }
}

/// The secrets that a service is told on this machine.
pub fn of(service: &Service, key: &SandboxKey) -> BTreeMap<String, String> {
    let named = service.env.values().filter_map(|value| match value {
        EnvValue::Secret(secret) => Some(&secret.secret),
        EnvValue::Plain(_) => None,
    });
    named.map(|name| (name.clone(), key.value(name))).collect()
}

/// Secrets of another machine, to be written on data that they are in; none where there are none.
pub fn label(secrets: &BTreeMap<String, String>) -> Option<String> {
    (!secrets.is_empty()).then(|| serde_json::json!(secrets).to_string())
}

/// What [`label`] wrote.
pub fn lent(label: Option<&str>) -> BTreeMap<String, String> {
    label.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_here_and_different_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let value = |state: &Path, name: &str| SandboxKey::open(state).unwrap().value(name);
        assert_eq!(value(dir.path(), "shop/db"), value(dir.path(), "shop/db"));
        assert_ne!(value(dir.path(), "shop/db"), value(elsewhere.path(), "shop/db"));
        assert_ne!(value(dir.path(), "shop/db"), value(dir.path(), "shop/dc"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join("sandbox.key")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
