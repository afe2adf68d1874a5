//! Registries: the OCI distribution API (specification 1.1), in our words.
//!
//! Everything a registry answers is capped, every digest is verified over the bytes that came, and credentials go to its
//! own origin and to the token service that it names, nowhere else. Layers are streamed, and whoever reads one
//! hashes it.

mod attach;
mod blob;
mod challenge;
mod client;
mod credentials;
mod error;
mod manifest;
mod origin;
mod referrers;
mod transport;
mod upload;
mod warning;

pub use blob::BlobStream;
pub use client::{Facts, Image, Registry, Resolved, here};
pub use credentials::Credentials;
pub use error::Error;
pub use manifest::{Config, Content, Descriptor, IndexEntry, Manifest, Platform, RootFs, Runtime};
pub use referrers::Referrer;
pub use upload::Upload;

/// The user's credentials for a registry: those of `docker login`.
pub async fn credentials_of_user(host: &str) -> Option<Credentials> {
    credentials::of_user(host).await.credentials
}
