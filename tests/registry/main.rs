//! The registry client against a real registry, and against one that lies, stumbles and leads astray.

#[path = "../registry_parts/mod.rs"]
mod registry_parts;

mod answers;
mod blobs;
mod mirrors;
mod pushes;
mod tokens;
mod user;

use std::time::Duration;

use onramp::error::Fault;
use onramp::reference::Digest;
use onramp::registry::{BlobStream, Credentials, Descriptor, Error, Registry};

use registry_parts::liar::Liar;

/// For one call.
const LIMIT: Duration = Duration::from_secs(20);

fn ann() -> Credentials {
    Credentials::Password { username: "ann".to_owned(), password: "s3cret".to_owned() }
}

fn client(liar: &Liar, credentials: Option<Credentials>) -> Registry {
    Registry::new(&liar.host(), credentials, LIMIT).unwrap()
}

/// The failure of a call, which names no secret.
fn failed<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Error {
    let error = outcome.unwrap_err();
    let told = format!("{} {:?} {:?} {error:?}", onramp::error::chain(&error), error.hint(), error.next());
    assert!(!told.contains("s3cret"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
    error
}

/// A blob's descriptor.
fn layer(bytes: &[u8]) -> Descriptor {
    let text = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}"#,
        Digest::of(bytes),
        bytes.len()
    );
    serde_json::from_str(&text).unwrap()
}

/// Bytes that do not repeat.
fn noise(len: u32) -> Vec<u8> {
    (0..len).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(len as usize).collect()
}

/// Everything that a stream gives, to its end.
async fn read(stream: &mut BlobStream) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
