//! Keys that sign, and their passphrases.

use std::path::Path;

use super::context::Context;
use super::failure::Failure;
use super::prompt;
use crate::files;
use crate::images::signature::{SigningKey, key};

/// How a passphrase is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// One that is there already.
    Once,
    /// A new one, against slips.
    Twice,
}

/// The private key in a file.
pub fn signing_key(cx: &Context, file: &Path, passphrase_file: Option<&Path>) -> Result<SigningKey, Failure> {
    let text = files::read_text(&cx.dir.join(file), key::CAP)?;
    let encrypted = SigningKey::is_encrypted(&text);
    let passphrase = if encrypted { passphrase(cx, passphrase_file, Ask::Once)? } else { Vec::new() };
    Ok(SigningKey::read(&text, &file.display().to_string(), &passphrase)?)
}

/// The passphrase: of the file, of `COSIGN_PASSWORD` (which may be empty, as cosign has it), or as it is typed.
pub fn passphrase(cx: &Context, file: Option<&Path>, ask: Ask) -> Result<Vec<u8>, Failure> {
    if let Some(file) = file {
        let text = files::read_text(&cx.dir.join(file), key::CAP)?;
        return Ok(text.strip_suffix('\n').unwrap_or(&text).as_bytes().to_vec());
    }
    if let Ok(text) = std::env::var("COSIGN_PASSWORD") {
        return Ok(text.into_bytes());
    }
    if !cx.interactive {
        let message = match ask {
            Ask::Once => "the key has a passphrase, and nobody is here to be asked for it",
            Ask::Twice => "a new key needs a passphrase, and nobody is here to be asked for one",
        };
        return Err(Failure::usage(message).hint("--passphrase-file names a file with it, COSIGN_PASSWORD holds it"));
    }
    Ok(prompt::passphrase("Passphrase of the key (--passphrase-file)", ask == Ask::Twice)?.into_bytes())
}
