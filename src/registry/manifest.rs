//! What a registry answers about an image: manifest, index, config. OCI image specification 1.1, and Docker's schema 2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reference::Digest;

/// The media types that onramp understands, as an `Accept` header.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

pub(super) const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
/// What an index calls the platform of what is no image: build attestations.
const UNKNOWN_PLATFORM: &str = "unknown";

/// A manifest, its bytes verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// As received: what the digest is about.
    pub bytes: Vec<u8>,
    /// What the bytes say.
    pub content: Content,
    /// What its makers say about it.
    pub annotations: BTreeMap<String, String>,
    /// What it is, where it is no image: a signature, a bill of materials.
    pub artifact_type: Option<String>,
    /// The manifest that it refers to.
    pub subject: Option<Descriptor>,
}

/// The two kinds of manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One image for several platforms.
    Index(Vec<IndexEntry>),
    /// One image for one platform.
    Image {
        /// Its config.
        config: Descriptor,
        /// Its layers, lowest first.
        layers: Vec<Descriptor>,
    },
}

/// What points to a blob or manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Of the content.
    pub media_type: String,
    /// Of the content.
    pub digest: Digest,
    /// In bytes, as it lies in the registry.
    pub size: u64,
    /// What its makers say about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image in an index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IndexEntry {
    /// Its manifest.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What it runs on.
    pub platform: Option<Platform>,
    /// What it is, where it is no image.
    #[serde(default, rename = "artifactType")]
    pub artifact_type: Option<String>,
}

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

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The fields of both kinds, before it is known which one it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<IndexEntry>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
}

/// Parses a manifest whose bytes have this digest. `content_type` is the header's. The error says what is wrong.
pub fn parse(bytes: Vec<u8>, digest: Digest, content_type: Option<&str>) -> Result<Manifest, String> {
    let header = content_type.map(|t| t.split(';').next().unwrap_or(t).trim().to_owned());
    if header.as_deref().is_some_and(|t| t.starts_with(SCHEMA_1)) {
        return Err("it is an image of schema 1, which no engine of today runs; push it again".to_owned());
    }
    let document: Document =
        serde_json::from_slice(&bytes).map_err(|error| crate::text::neutral_line(&error.to_string(), 160))?;
    if document.schema_version != 2 {
        return Err(format!("schemaVersion is {}, not 2", document.schema_version));
    }
    let known = |t: &String| INDEXES.contains(&t.as_str()) || IMAGES.contains(&t.as_str());
    let header = header.filter(known);
    // The specification wants both to be the same; where they differ, two readers could see two images (CVE-2021-41190).
    if let (Some(header), Some(body)) = (&header, &document.media_type)
        && header != body
    {
        return Err("its Content-Type and its mediaType differ".to_owned());
    }
    let content = match (document.manifests, document.config, document.layers) {
        (Some(entries), None, None) => Content::Index(entries),
        (None, Some(config), Some(layers)) => Content::Image { config, layers },
        _ => return Err("it is neither an index nor an image manifest".to_owned()),
    };
    let (expected, default) = match content {
        Content::Index(_) => (INDEXES, INDEXES[0]),
        Content::Image { .. } => (IMAGES, IMAGES[0]),
    };
    let media_type = header.or(document.media_type).unwrap_or_else(|| default.to_owned());
    if !expected.contains(&media_type.as_str()) {
        return Err("its content is not what its mediaType says".to_owned());
    }
    let Document { annotations, artifact_type, subject, .. } = document;
    Ok(Manifest { digest, media_type, bytes, content, annotations, artifact_type, subject })
}

impl Manifest {
    /// A manifest that was kept. The error says what is wrong.
    pub fn of(bytes: Vec<u8>) -> Result<Self, String> {
        let digest = Digest::of(&bytes);
        parse(bytes, digest, None)
    }

    /// The images of an index by platform, the first where a platform stands twice; empty for one image's manifest,
    /// which only its config tells.
    pub fn platforms(&self) -> BTreeMap<String, Digest> {
        let Content::Index(entries) = &self.content else { return BTreeMap::new() };
        let mut platforms = BTreeMap::new();
        for entry in entries {
            if let Some(platform) = entry.platform.as_ref().filter(|p| p.os != UNKNOWN_PLATFORM) {
                platforms.entry(platform.name()).or_insert_with(|| entry.descriptor.digest.clone());
            }
        }
        platforms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, content_type: Option<&str>) -> Result<Manifest, String> {
        parse(text.as_bytes().to_vec(), Digest::of(text.as_bytes()), content_type)
    }

    fn descriptor(of: &str) -> String {
        format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, Digest::of(of.as_bytes()))
    }

    #[test]
    fn an_index_tells_its_platforms_and_not_its_attestations() {
        let entry = |of: &str, os: &str, arch: &str| {
            let d = descriptor(of);
            format!(r#"{},"platform":{{"os":"{os}","architecture":"{arch}"}}}}"#, &d[..d.len() - 1])
        };
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{},{}]}}"#,
            entry("a", "linux", "amd64"),
            entry("b", "linux", "arm64"),
            entry("c", "unknown", "unknown"),
            entry("d", "linux", "amd64"),
        );
        let index = parsed(&text, Some("application/vnd.oci.image.index.v1+json; charset=utf-8")).unwrap();
        let expected =
            [("linux/amd64".to_owned(), Digest::of(b"a")), ("linux/arm64".to_owned(), Digest::of(b"b"))].into();
        assert_eq!(index.platforms(), expected);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let d = descriptor("x");
        let image = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}]}}"#);
        assert!(parsed(&image, None).is_ok());
        assert!(parsed(&image, Some(INDEXES[0])).is_err(), "Content-Type says index");
        let both = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}],"manifests":[]}}"#);
        assert!(parsed(&both, Some(IMAGES[0])).is_err());
        let lying = format!(r#"{{"schemaVersion":2,"mediaType":"{}","config":{d},"layers":[]}}"#, INDEXES[0]);
        assert!(parsed(&lying, None).is_err());
        assert!(parsed(&lying, Some(IMAGES[0])).is_err());
        assert!(parsed(r#"{"schemaVersion":1}"#, None).is_err());
        assert!(parsed("{}", Some("application/vnd.docker.distribution.manifest.v1+prettyjws")).is_err());
    }

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
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, header in proptest::option::of(".*")) {
            let digest = Digest::of(&bytes);
            let _ = parse(bytes, digest, header.as_deref());
        }
    }
}
