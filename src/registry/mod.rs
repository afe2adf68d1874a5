//! Registries: the OCI distribution API (specification 1.1), in our words.
//!
//! Everything a registry answers is capped, every digest is verified over the bytes that came, and credentials go to its
//! own origin and to the token service that it names, nowhere else. Layers are streamed, and whoever reads one
//! hashes it.

mod access;
mod amend;
mod attach;
mod blob;
mod challenge;
mod client;
mod clients;
mod config;
mod credentials;
mod error;
mod helper;
mod images;
mod json;
mod listing;
mod manifest;
mod origin;
mod referrers;
mod retry;
mod source;
mod tls;
mod token;
mod transport;
mod upload;
mod warning;

pub use access::Access;
pub use amend::Amended;
pub use attach::Document;
pub use blob::BlobStream;
pub use client::{Registry, Resolved};
pub use config::{Config, Platform, RootFs, Runtime};
pub use credentials::Credentials;
pub use error::Error;
pub use images::{Facts, architecture, here};
pub use manifest::{Content, Descriptor, IndexEntry, Manifest};
pub use referrers::Referrer;
pub use upload::Upload;

/// The user's credentials for a registry: those of `docker login`.
pub async fn credentials_of_user(host: &str) -> Option<Credentials> {
    credentials::find(host, &credentials::Docker::of_user()).await.credentials
}
