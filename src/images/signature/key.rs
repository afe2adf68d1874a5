//! Keys: ECDSA on P-256, the kind that cosign makes; public ones as SPKI, private ones as PKCS#8 or encrypted by cosign.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{DerSignature, Signature, VerifyingKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::der::pem;
use p256::pkcs8::der::zeroize::Zeroizing;
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Error, sealed};
use crate::files::FileError;
use crate::text::neutral_line;

/// The largest file with a key, in bytes.
pub const CAP: u64 = 16 * 1024;

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";

/// A key's name: `SHA256:` and the sha256 hash of its SPKI in base64, as ssh shows its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&neutral_line(&self.0, 60))
    }
}

/// A key that signatures are checked with, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    fingerprint: Fingerprint,
    /// What people know it by: the file that it was read from.
    pub place: String,
}

impl PublicKey {
    /// The key in a PEM text. `place` is what errors call it.
    pub fn read(text: &str, place: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::NoKey { place: neutral_line(place, 200), wanted: "public key", why };
        let (label, der) = document(text).map_err(wrong)?;
        if label != PUBLIC {
            return Err(wrong(format!("it holds `{}`", neutral_line(&label, 60))));
        }
        let key = VerifyingKey::from_public_key_der(&der)
            .map_err(|_| wrong("it holds a key of another kind than ECDSA P-256".to_owned()))?;
        Ok(Self::of(key, place))
    }

    fn of(key: VerifyingKey, place: &str) -> Self {
        let der = key.to_public_key_der().expect("a key on a curve has a DER form");
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(der.as_bytes())));
        Self { key, fingerprint: Fingerprint(fingerprint), place: place.to_owned() }
    }

    /// The key's name.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The key as PEM.
    pub fn to_pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).expect("a key on a curve has a DER form")
    }

    /// Whether this is a signature (DER) of this key on a text with this sha256 hash. The text itself is not needed.
    pub fn signed(&self, hash: &[u8; 32], signature: &[u8]) -> bool {
        Signature::from_der(signature).is_ok_and(|signature| self.key.verify_prehash(hash, &signature).is_ok())
    }
}

/// A key that makes signatures. It is wiped from memory when it is dropped.
pub struct SigningKey {
    key: SecretKey,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(self.public.fingerprint()).finish()
    }
}

impl SigningKey {
    /// A new key.
    pub fn generate(place: &str) -> Self {
        Self::of(SecretKey::generate(), place)
    }

    fn of(key: SecretKey, place: &str) -> Self {
        let public = PublicKey::of(key.public_key().into(), place);
        Self { key, public }
    }

    /// Whether a PEM text holds a key that needs a passphrase.
    pub fn is_encrypted(text: &str) -> bool {
        document(text).is_ok_and(|(label, _)| sealed::LABELS.contains(&label.as_str()))
    }

    /// The key in a PEM text; one that cosign encrypted is opened with the passphrase. `place` is what errors call it.
    pub fn read(text: &str, place: &str, passphrase: &[u8]) -> Result<Self, Error> {
        let place = neutral_line(place, 200);
        let wrong = |why: String| Error::NoKey { place: place.clone(), wanted: "private key", why };
        let (label, contents) = document(text).map_err(wrong)?;
        let contents = Zeroizing::new(contents);
        let der = match label.as_str() {
            PRIVATE => contents,
            label if sealed::LABELS.contains(&label) => match sealed::open(&contents, passphrase) {
                Ok(der) => der,
                Err(sealed::Locked::Passphrase) => return Err(Error::Passphrase { place }),
                Err(sealed::Locked::Form(why)) => return Err(wrong(why)),
            },
            "EC PRIVATE KEY" => {
                return Err(wrong("it is SEC1; `openssl pkcs8 -topk8 -nocrypt -in FILE` makes it PKCS#8".to_owned()));
            }
            other => return Err(wrong(format!("it holds `{}`", neutral_line(other, 60)))),
        };
        let key = SecretKey::from_pkcs8_der(&der)
            .map_err(|_| wrong("it holds a key of another kind than ECDSA P-256".to_owned()))?;
        Ok(Self::of(key, &place))
    }

    /// The key as PEM, encrypted as cosign does it.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> String {
        let der = self.key.to_pkcs8_der().expect("a key on a curve has a DER form");
        let sealed = sealed::seal(der.as_bytes(), passphrase);
        pem::encode_string(sealed::LABELS[0], LineEnding::LF, &sealed).expect("a label of letters")
    }

    /// Writes the key, encrypted and for its owner's eyes, and the key that checks its signatures. Neither file may be there.
    pub fn save(&self, private: &Path, public: &Path, passphrase: &[u8]) -> Result<(), Error> {
        for path in [private, public] {
            if path.symlink_metadata().is_ok() {
                return Err(Error::Exists { place: path.display().to_string() });
            }
        }
        create(private, 0o600, &self.to_encrypted_pem(passphrase))?;
        create(public, 0o644, &self.public.to_pem())
    }

    /// The key that checks its signatures.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a text (ECDSA with SHA-256, DER).
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        let signature: DerSignature = p256::ecdsa::SigningKey::from(&self.key).sign(text);
        signature.as_bytes().to_vec()
    }
}

/// Writes a file that was not there.
fn create(path: &Path, mode: u32, text: &str) -> Result<(), Error> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists { place: path.display().to_string() });
        }
        opened => opened.map_err(FileError::io("create", path))?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    Ok(written.map_err(FileError::io("write", path))?)
}

/// The label and the bytes of a PEM text's one document. Lines may be of any length, as other programs wrap them.
fn document(text: &str) -> Result<(String, Vec<u8>), String> {
    let wrong = |_| "it is not PEM".to_owned();
    // Only one: with two, another program could mean the other.
    if text.matches("-----BEGIN ").count() > 1 {
        return Err("it holds more than one key".to_owned());
    }
    let mut decoder = pem::Decoder::new_detect_wrap(text.trim().as_bytes()).map_err(wrong)?;
    let mut bytes = Vec::new();
    decoder.decode_to_end(&mut bytes).map_err(wrong)?;
    Ok((decoder.type_label().to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key, a payload and a signature that cosign made, as sigstore-rs publishes them (`crypto/verification_key.rs`).
    const COSIGN_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENptdY/l3nB0yqkXLBWkZWQwo6+cu
OSWS1X9vPavpiQOoTTGC0xX57OojUadxF1cdQmrsiReWg2Wn4FneJfa8xw==
-----END PUBLIC KEY-----";
    const COSIGN_PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"registry-testing.svc.lan/busybox"},"image":{"docker-manifest-digest":"sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b"},"type":"cosign container image signature"},"optional":null}"#;
    const COSIGN_SIGNATURE: &str =
        "MEUCIQD6q/COgzOyW0YH1Dk+CCYSt4uAhm3FDHUwvPI55zwnlwIgE0ZK58ZOWpZw8YVmBapJhBqCfdPekIknimuO0xH8Jh8=";
    /// A key that cosign encrypted with the empty passphrase, from sigstore-rs (`tests/data/keys`).
    const COSIGN_PRIVATE: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJFY3pJR3Z0bnpFcCsxaEpudERnbGI1UnoxN3gwQVMy
YklvWGRNcDQrU1NJPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJtSVVKbG1OMzNINExvZ0dhaG5MamdmK3R4SmJwci93MCJ9LCJj
aXBoZXJ0ZXh0IjoiM3FtS2FidXRuYm1WT1IvTkZGM2NDaUErTXp1WWQ5L0VERDVI
MVlUSGhQVzZsSzAvdjVqdDZCQzlsME12NGV5am9qZkl0d3B6a2JJOXQrZGx5VXZ3
VUgvMWZjbkFZT2dEdXRLQzkvSkNiOE02SVY2VHpVaDF5c0ZFWDFzeG9xb1FzeUpL
bjM0UVlldFNlaVdDaGtmUHUyZXByQjFEV0pwekdzTGZIakxNVTkzOEdmNk1xM1A0
N0ZSd2syZzY1cFZnSGMwVWV1L1N1OUs0Zmc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
";

    fn hash(text: &[u8]) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    #[test]
    fn cosigns_own_signature_holds_and_no_other() {
        use base64::engine::general_purpose::STANDARD;
        let key = PublicKey::read(COSIGN_KEY, "cosign.pub").unwrap();
        let signature = STANDARD.decode(COSIGN_SIGNATURE).unwrap();
        assert!(key.signed(&hash(COSIGN_PAYLOAD.as_bytes()), &signature));
        let payload = super::super::Payload::parse(COSIGN_PAYLOAD.as_bytes()).unwrap();
        let bytes = super::super::Payload::bytes(&payload.identity, &payload.digest);
        assert_eq!(bytes, COSIGN_PAYLOAD.as_bytes(), "ours is the same to the byte");
        assert!(!key.signed(&hash(&COSIGN_PAYLOAD.as_bytes()[1..]), &signature));
        let other = SigningKey::generate("other");
        assert!(!other.public().signed(&hash(COSIGN_PAYLOAD.as_bytes()), &signature));
        for at in 0..signature.len() {
            let mut damaged = signature.clone();
            damaged[at] ^= 1;
            assert!(!key.signed(&hash(COSIGN_PAYLOAD.as_bytes()), &damaged), "byte {at}");
        }
        for length in 0..signature.len() {
            assert!(!key.signed(&hash(COSIGN_PAYLOAD.as_bytes()), &signature[..length]));
        }
        assert!(!key.signed(&hash(COSIGN_PAYLOAD.as_bytes()), &[&signature[..], &[0]].concat()));
    }

    #[test]
    fn cosigns_own_encrypted_key_opens_with_its_passphrase_only() {
        let key = SigningKey::read(COSIGN_PRIVATE, "cosign.key", b"").unwrap();
        assert!(key.public().signed(&hash(b"x"), &key.sign(b"x")));
        assert!(matches!(SigningKey::read(COSIGN_PRIVATE, "cosign.key", b" "), Err(Error::Passphrase { .. })));
        assert!(SigningKey::is_encrypted(COSIGN_PRIVATE));
        let mut damaged = super::document(COSIGN_PRIVATE).unwrap().1;
        let at = damaged.len() - 10;
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = pem::encode_string(sealed::LABELS[0], LineEnding::LF, &damaged).unwrap();
        assert!(matches!(SigningKey::read(&damaged, "cosign.key", b""), Err(Error::Passphrase { .. })));
    }

    #[test]
    fn a_key_is_encrypted_and_comes_back() {
        let key = SigningKey::generate("new.key");
        let text = key.to_encrypted_pem("pässword".as_bytes());
        assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{text}");
        let back = SigningKey::read(&text, "new.key", "pässword".as_bytes()).unwrap();
        assert_eq!(back.public(), key.public());
        assert!(matches!(SigningKey::read(&text, "new.key", b"password"), Err(Error::Passphrase { .. })));
        assert_eq!(PublicKey::read(&key.public().to_pem(), "new.key").unwrap(), *key.public());
    }

    #[test]
    fn a_file_that_would_cost_too_much_is_not_opened() {
        let (_, bytes) = document(COSIGN_PRIVATE).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("65536", "1073741824"),
            ("\"r\":8", "\"r\":4294967295"),
            ("scrypt", "argon2"),
            ("nacl/secretbox", "none"),
            ("\"p\":1", "\"p\":0"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert!(matches!(sealed::open(changed.as_bytes(), b""), Err(sealed::Locked::Form(_))), "{to}");
        }
    }

    #[test]
    fn what_is_no_key_says_what_it_is() {
        let why = |text: &str| match PublicKey::read(text, "x.pub") {
            Err(error) => error.to_string(),
            Ok(key) => panic!("{}", key.fingerprint()),
        };
        assert_eq!(why(""), "x.pub is no public key: it is not PEM");
        assert_eq!(why(COSIGN_PRIVATE), "x.pub is no public key: it holds `ENCRYPTED SIGSTORE PRIVATE KEY`");
        assert_eq!(why(&format!("{COSIGN_KEY}\n{COSIGN_KEY}")), "x.pub is no public key: it holds more than one key");
        // The same length of DER for another curve.
        let other = COSIGN_KEY.replace("KoZIzj0DAQc", "KoZIzj0DAQY");
        assert_eq!(why(&other), "x.pub is no public key: it holds a key of another kind than ECDSA P-256");
        let place = "a\u{1b}[2Jb";
        assert!(!PublicKey::read("", place).unwrap_err().to_string().contains('\u{1b}'));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in ".*", bytes: Vec<u8>) {
            let _ = PublicKey::read(&text, "x");
            let _ = SigningKey::read(&text, "x", b"");
            let _ = sealed::open(&bytes, b"");
            let key = PublicKey::read(COSIGN_KEY, "cosign.pub").unwrap();
            proptest::prop_assert!(!key.signed(&hash(&bytes), &bytes));
        }
    }
}
