//! Values for the secrets that an environment names: made for one sandbox, the same at every start, stored nowhere.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::SandboxId;
use crate::files::FileError;

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

    /// The value of a named secret in a sandbox: 32 hexadecimal digits.
    pub fn value(&self, sandbox: &SandboxId, secret: &str) -> String {
        // A hash over fixed-length and length-prefixed parts keyed at its front; the value is truncated, which also rules
        // out extension.
        let mut hash = Sha256::new();
        hash.update(self.0);
        for part in [sandbox.as_str(), secret] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        crate::reference::Digest::from_hash(&hash.finalize()).hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_here_and_different_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let id = |path: &str| SandboxId::new(&"shop".parse().unwrap(), None, Path::new(path));
        let value = |path: &str, name: &str| SandboxKey::open(dir.path()).unwrap().value(&id(path), name);
        assert_eq!(value("/a", "shop/db"), value("/a", "shop/db"));
        assert_ne!(value("/a", "shop/db"), value("/b", "shop/db"));
        assert_ne!(value("/a", "shop/db"), value("/a", "shop/dc"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join("sandbox.key")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
