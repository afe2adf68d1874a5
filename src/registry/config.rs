//! What an image's config says: what it is and how it runs (OCI image specification 1.1, "Image Configuration").

use std::collections::BTreeMap;

use serde::Deserialize;

use super::json::{self, Keys, Wrong};
use crate::reference::Digest;

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v8`.
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    /// `linux/amd64`, `linux/arm/v7`.
    pub fn name(&self) -> String {
        let mut name = format!("{}/{}", self.os, self.architecture);
        if let Some(variant) = self.variant.as_deref().filter(|v| !v.is_empty()) {
            name.push('/');
            name.push_str(variant);
        }
        crate::text::neutral_line(&name, 60)
    }
}

/// An image's config: what it is and how it runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// What it runs on.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was made.
    #[serde(default)]
    pub created: Option<jiff::Timestamp>,
    /// How it runs.
    #[serde(default)]
    pub config: Option<Runtime>,
    /// Its file system.
    #[serde(default)]
    pub rootfs: RootFs,
}

impl Config {
    /// A config that was kept. The error says what is wrong.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        parse(bytes).map_err(Wrong::detail)
    }
}

/// An image's file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RootFs {
    /// The digests of its layers, unpacked, lowest first.
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

/// How an image's containers run unless told otherwise. Missing and `null` are the same here: builders write both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Runtime {
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    /// `80/tcp`.
    #[serde(deserialize_with = "null_is_empty")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// The program.
    #[serde(deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    /// Its arguments, or the program where there is no entrypoint.
    #[serde(deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
    /// Who runs it; empty is root.
    #[serde(deserialize_with = "null_is_empty")]
    pub user: String,
    /// Where it starts.
    #[serde(deserialize_with = "null_is_empty")]
    pub working_dir: String,
    /// Directories that outlive a container.
    #[serde(deserialize_with = "null_is_empty")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// What its makers say about it.
    #[serde(deserialize_with = "null_is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Parses a config.
pub fn parse(bytes: &[u8]) -> Result<Config, Wrong> {
    json::check(bytes, Keys::Config)?;
    serde_json::from_slice(bytes).map_err(Wrong::malformed)
}

/// Missing and `null` are the same: builders write both.
pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_write_null_for_nothing() {
        let text = r#"{"os":"linux","architecture":"amd64","created":null,
            "config":{"Env":null,"Cmd":["sh"],"Entrypoint":null,"Labels":null,"ExposedPorts":{"80/tcp":{}}}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let runtime = config.config.unwrap();
        assert_eq!((runtime.cmd, runtime.env), (vec!["sh".to_owned()], vec![]));
        assert_eq!(runtime.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp"]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
