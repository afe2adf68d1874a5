//! Hashes, base 64 and names made of hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Error, State, Value};
use sha2::Digest;

use super::super::args::{Args, fail};

/// The namespace of `to_uuid`, as Ansible has it.
const NAMESPACE: u128 = 0x2085_1c88_ac15_449f_9ee7_7482_9105_da86;

/// `hash`: by the name of the algorithm; none of one that is unknown.
pub fn hash(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let algorithm = args.text(0, "hashtype")?.unwrap_or_else(|| "sha1".to_owned());
    Ok(of(&algorithm, &value.to_string()).map_or_else(|| Value::from(()), Value::from))
}

/// `md5`.
pub fn md5(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(hex(&md5::Md5::digest(value.to_string())).into())
}

/// `sha1`, `checksum`.
pub fn sha1(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(hex(&sha1::Sha1::digest(value.to_string())).into())
}

/// `to_uuid`: the name-based one of version 5.
pub fn to_uuid(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let mut hash = sha1::Sha1::new();
    hash.update(NAMESPACE.to_be_bytes());
    hash.update(value.to_string());
    let mut bytes: Vec<u8> = hash.finalize()[..16].to_vec();
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into())
}

/// `b64encode`.
pub fn b64encode(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(STANDARD.encode(value.to_string()).into())
}

/// `b64decode`.
pub fn b64decode(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let bytes = STANDARD.decode(value.to_string()).map_err(|error| fail(format!("b64decode: {error}")))?;
    String::from_utf8(bytes).map(Value::from).map_err(|_| fail("b64decode: the result is not UTF-8 text"))
}

fn of(algorithm: &str, text: &str) -> Option<String> {
    Some(match algorithm.to_ascii_lowercase().as_str() {
        "md5" => hex(&md5::Md5::digest(text)),
        "sha1" => hex(&sha1::Sha1::digest(text)),
        "sha224" => hex(&sha2::Sha224::digest(text)),
        "sha256" => hex(&sha2::Sha256::digest(text)),
        "sha384" => hex(&sha2::Sha384::digest(text)),
        "sha512" => hex(&sha2::Sha512::digest(text)),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        hex.push_str(&format!("{byte:02x}"));
        hex
    })
}
