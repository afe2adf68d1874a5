//! Signatures that were found before, kept in the cache by the digest that they are about. They are proved again on each
//! use, so that nothing need be believed of what lies there; and so an image can be verified without its registry.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Identity, Payload, PublicKey, Signed, payload};
use crate::files::{self, FileError};
use crate::reference::Digest;

/// How many signatures of one image are kept: more than one key may be asked for.
const MOST: usize = 8;
/// The largest file, in bytes.
const CAP: u64 = 2 * payload::CAP * MOST as u64;

/// Signatures with their payloads, of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    digest: Digest,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    payload: String,
    signature: String,
}

impl Evidence {
    /// None yet of this manifest or index.
    pub fn of(digest: &Digest) -> Self {
        Self { digest: digest.clone(), pieces: Vec::new() }
    }

    /// What the cache holds; none where it holds nothing that can be read.
    pub fn load(cache: &Path, digest: &Digest) -> Option<Self> {
        let bytes = files::read(&place(cache, digest), CAP).ok()?;
        let pieces = serde_json::from_slice(&bytes).ok()?;
        Some(Self { digest: digest.clone(), pieces })
    }

    /// Adds a signature, newest first.
    pub fn add(&mut self, payload: &[u8], signature: &[u8]) {
        let piece = Piece { payload: STANDARD.encode(payload), signature: STANDARD.encode(signature) };
        self.pieces.retain(|other| *other != piece);
        self.pieces.insert(0, piece);
        self.pieces.truncate(MOST);
    }

    /// Keeps it, beside what the cache held. Nothing is written for nothing.
    pub fn save(mut self, cache: &Path) -> Result<(), FileError> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let before = Self::load(cache, &self.digest).map(|before| before.pieces).unwrap_or_default();
        for piece in &before {
            if self.pieces.len() < MOST && !self.pieces.contains(piece) {
                self.pieces.push(piece.clone());
            }
        }
        if self.pieces == before {
            return Ok(());
        }
        let path = place(cache, &self.digest);
        let directory = path.parent().unwrap_or(cache);
        files::private_directory(directory)?;
        files::write(&path, &serde_json::to_vec(&self.pieces).expect("evidence is plain data"))
    }

    /// The first signature in it that is by one of these keys, about this digest, and names a repository that is meant.
    pub fn proves(&self, keys: &[&PublicKey], named: &dyn Fn(&Identity) -> bool) -> Option<Signed> {
        self.pieces.iter().find_map(|piece| {
            let (payload, signature) = (STANDARD.decode(&piece.payload).ok()?, STANDARD.decode(&piece.signature).ok()?);
            let key = keys.iter().find(|key| key.signed(&Digest::of(&payload).bytes(), &signature))?;
            let payload = Payload::parse(&payload).ok()?;
            (payload.digest == self.digest && named(&payload.identity)).then(|| Signed::new(key, payload))
        })
    }
}

fn place(cache: &Path, digest: &Digest) -> PathBuf {
    cache.join("signatures").join(digest.hex())
}
