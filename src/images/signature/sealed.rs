//! A private key as cosign encrypts it: scrypt makes a key of the passphrase, a secret box of `NaCl` holds the PKCS#8.
//!
//! The form is go-securesystemslib's `encrypted`; the box is `XSalsa20` and `Poly1305` (<https://nacl.cr.yp.to/secretbox.html>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::subtle::ConstantTimeEq as _;
use p256::pkcs8::der::zeroize::Zeroizing;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};

/// What stands at the head of such a file: as cosign writes it now, and as it did before 2022.
pub const LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
/// scrypt's N: what cosign uses now, and what it used before. Others would let a file take any memory and time.
const COSTS: [u32; 2] = [65536, 32768];
const BLOCK: u32 = 8;
const LANES: u32 = 1;
/// Bytes that Poly1305 puts before a box.
const TAG: usize = 16;

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: Base64,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Cost,
    salt: Base64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: Base64,
}

/// Bytes, as Go writes them into JSON.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Base64(Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        STANDARD.decode(text).map(Self)
    }
}

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        STANDARD.encode(bytes.0)
    }
}

impl Clone for Base64 {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Why a file cannot be opened.
#[derive(Debug)]
pub enum Locked {
    /// It is not of this form.
    Form(String),
    /// The passphrase is another one, or the file was changed.
    Passphrase,
}

/// What is in it.
pub fn open(file: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Locked> {
    let form = |why: &str| Locked::Form(why.to_owned());
    let sealed: Sealed =
        serde_json::from_slice(file).map_err(|_| form("it is encrypted in a form that cosign has not"))?;
    let Cost { n, r, p } = sealed.kdf.params;
    if sealed.kdf.name != KDF || !COSTS.contains(&n) || (r, p) != (BLOCK, LANES) {
        return Err(form("its key derivation is not cosign's"));
    }
    if sealed.cipher.name != CIPHER || sealed.cipher.nonce.0.len() != 24 {
        return Err(form("its cipher is not cosign's"));
    }
    let (nonce, sealed_bytes) = (&sealed.cipher.nonce.0, &sealed.ciphertext.0);
    let Some((tag, text)) = sealed_bytes.split_at_checked(TAG) else { return Err(form("it is cut short")) };
    let key = derive(passphrase, &sealed.kdf.salt.0, n);
    let (mut stream, expected) = secret_box(&key, nonce, text);
    if !bool::from(expected.as_slice().ct_eq(tag)) {
        return Err(Locked::Passphrase);
    }
    let mut opened = Zeroizing::new(text.to_vec());
    stream.apply_keystream(&mut opened);
    Ok(opened)
}

/// The file that holds it.
pub fn seal(contents: &[u8], passphrase: &[u8]) -> Vec<u8> {
    let (salt, nonce) = (<[u8; 32]>::generate(), <[u8; 24]>::generate());
    let key = derive(passphrase, &salt, COSTS[0]);
    let mut text = contents.to_vec();
    let (mut stream, _) = secret_box(&key, &nonce, &[]);
    stream.apply_keystream(&mut text);
    let (_, tag) = secret_box(&key, &nonce, &text);
    let sealed = Sealed {
        kdf: Kdf {
            name: KDF.to_owned(),
            params: Cost { n: COSTS[0], r: BLOCK, p: LANES },
            salt: Base64(salt.to_vec()),
        },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: Base64(nonce.to_vec()) },
        ciphertext: Base64([tag.as_slice(), &text].concat()),
    };
    serde_json::to_vec(&sealed).expect("a key's file is plain data")
}

fn derive(passphrase: &[u8], salt: &[u8], n: u32) -> Zeroizing<[u8; 32]> {
    let log_n = u8::try_from(n.ilog2()).expect("a logarithm is small");
    let params = scrypt::Params::new(log_n, BLOCK, LANES).expect("cosign's costs are possible");
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase, salt, &params, &mut *key).expect("32 bytes can be derived");
    key
}

/// The stream that opens a box, and the tag that its sealed text should have. The stream's first 32 bytes are the tag's key.
fn secret_box(key: &[u8; 32], nonce: &[u8], sealed: &[u8]) -> (XSalsa20, poly1305::Tag) {
    let nonce: &[u8; 24] = nonce.try_into().expect("24 bytes were checked");
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut tag_key = Zeroizing::new([0; 32]);
    stream.apply_keystream(&mut *tag_key);
    let tag = Poly1305::new((&*tag_key).into()).compute_unpadded(sealed);
    (stream, tag)
}
