//! Manifests and indexes, by their grammar. OCI image specification 1.1, and Docker's schema 2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::{Platform, null_is_empty};
use super::json::{self, Keys, Wrong};
use crate::reference::Digest;
use crate::text::neutral_line;

/// The media types that onramp understands, as an `Accept` header.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

pub(super) const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
/// What the config of an image is; that of anything else is an artifact's.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// What the layers of an image are.
const LAYERS: [&str; 5] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];
/// More layers than any engine mounts: overlay file systems end at 128.
const MOST_LAYERS: usize = 512;
/// More than any honest manifest points to: an index to images, a signature's manifest to signatures.
const MOST_ENTRIES: usize = 10_000;
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// What is read of it must be safe to show, to count and to ask for.
    fn check(&self) -> Result<(), Wrong> {
        let shown = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\');
        if self.media_type.is_empty() || self.media_type.len() > 255 || !self.media_type.chars().all(shown) {
            return Err(Wrong::malformed(format!("`{}` is no media type", self.media_type)));
        }
        if i64::try_from(self.size).is_err() {
            return Err(Wrong::malformed(format!("{} has a size of {} bytes", self.digest, self.size)));
        }
        // Such layers lie elsewhere ("foreign layers"); `urls` that say where are refused with the document.
        if self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.") {
            let why = "lies outside of the registry (a foreign layer), where onramp does not follow";
            return Err(Wrong::refused(format!("{} {why}", self.digest)));
        }
        Ok(())
    }
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
pub fn parse(bytes: Vec<u8>, digest: Digest, content_type: Option<&str>) -> Result<Manifest, Wrong> {
    let header = content_type.map(|t| t.split(';').next().unwrap_or(t).trim().to_owned());
    if header.as_deref().is_some_and(|t| t.starts_with(SCHEMA_1)) {
        return Err(Wrong::malformed("it is an image of schema 1, which no engine of today runs; push it again"));
    }
    json::check(&bytes, Keys::Manifest)?;
    let document: Document = serde_json::from_slice(&bytes).map_err(Wrong::malformed)?;
    if document.schema_version != 2 {
        return Err(Wrong::malformed(format!("schemaVersion is {}, not 2", document.schema_version)));
    }
    let known = |t: &String| INDEXES.contains(&t.as_str()) || IMAGES.contains(&t.as_str());
    if let Some(unknown) = document.media_type.as_ref().filter(|t| !known(t)) {
        return Err(Wrong::malformed(format!("its mediaType is `{unknown}`, which onramp does not know")));
    }
    let header = header.filter(known);
    // The specification wants both to be the same; where they differ, two readers could see two images (CVE-2021-41190).
    if let (Some(header), Some(body)) = (&header, &document.media_type)
        && header != body
    {
        return Err(Wrong::refused("its Content-Type and its mediaType differ"));
    }
    let content = match (document.manifests, document.config, document.layers) {
        (Some(entries), None, None) => Content::Index(entries),
        (None, Some(config), Some(layers)) => Content::Image { config, layers },
        (Some(_), ..) => return Err(Wrong::refused("it is an index and an image at once")),
        _ => return Err(Wrong::malformed("it is neither an index nor an image manifest")),
    };
    check(&content)?;
    document.subject.iter().try_for_each(Descriptor::check)?;
    let (expected, default) = match content {
        Content::Index(_) => (INDEXES, INDEXES[0]),
        Content::Image { .. } => (IMAGES, IMAGES[0]),
    };
    let media_type = header.or(document.media_type).unwrap_or_else(|| default.to_owned());
    if !expected.contains(&media_type.as_str()) {
        return Err(Wrong::refused("its content is not what its mediaType says"));
    }
    let Document { annotations, artifact_type, subject, .. } = document;
    Ok(Manifest { digest, media_type, bytes, content, annotations, artifact_type, subject })
}

/// Checks what a manifest points to, each and all together.
fn check(content: &Content) -> Result<(), Wrong> {
    let all: Vec<&Descriptor> = match content {
        Content::Index(entries) if entries.len() > MOST_ENTRIES => {
            return Err(Wrong::refused(format!("it lists {} manifests, more than {MOST_ENTRIES}", entries.len())));
        }
        Content::Index(entries) => entries.iter().map(|entry| &entry.descriptor).collect(),
        Content::Image { layers, .. } if layers.len() > MOST_ENTRIES => {
            return Err(Wrong::refused(format!("it has {} layers, more than {MOST_ENTRIES}", layers.len())));
        }
        Content::Image { config, layers } => std::iter::once(config).chain(layers).collect(),
    };
    let mut sum = 0_i64;
    for descriptor in all {
        descriptor.check()?;
        let size = i64::try_from(descriptor.size).unwrap_or(i64::MAX);
        sum = sum.checked_add(size).ok_or_else(|| Wrong::malformed("its sizes sum up to more bytes than there are"))?;
    }
    Ok(())
}

impl Manifest {
    /// A manifest that was kept. The error says what is wrong.
    pub fn of(bytes: Vec<u8>) -> Result<Self, String> {
        let digest = Digest::of(&bytes);
        parse(bytes, digest, None).map_err(Wrong::detail)
    }

    /// Checks a manifest that this index lists: one digest names one size.
    pub(super) fn check_listed(&self, listed: &Self) -> Result<(), Wrong> {
        let Content::Index(entries) = &self.content else { return Ok(()) };
        let own = entries.iter().map(|entry| &entry.descriptor).filter(|own| own.digest == listed.digest);
        let size = listed.bytes.len() as u64;
        match own.into_iter().find(|own| own.size != size) {
            Some(own) => {
                let (short, told) = (own.digest.short(), own.size);
                Err(Wrong::refused(format!("its index says that {short} has {told} bytes, and it has {size}")))
            }
            None => Ok(()),
        }
    }

    /// Whether an engine can make a container of it; else what it is instead, or has instead of a layer.
    pub fn is_runnable(&self) -> Result<(), String> {
        let Content::Image { config, layers } = &self.content else { return Ok(()) };
        if !CONFIGS.contains(&config.media_type.as_str()) {
            let what = self.artifact_type.as_deref().unwrap_or(&config.media_type);
            return Err(format!("it is `{}`", neutral_line(what, 120)));
        }
        if layers.len() > MOST_LAYERS {
            return Err(format!("it has {} layers, more than {MOST_LAYERS}", layers.len()));
        }
        match layers.iter().find(|layer| !LAYERS.contains(&layer.media_type.as_str())) {
            Some(layer) => {
                let (short, media_type) = (layer.digest.short(), neutral_line(&layer.media_type, 120));
                Err(format!("its layer {short} is `{media_type}`, which onramp does not know"))
            }
            None => Ok(()),
        }
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

    fn parsed(text: &str, content_type: Option<&str>) -> Result<Manifest, Wrong> {
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
        let refused = |text: &str, header| matches!(parsed(text, header), Err(Wrong::Refused(_)));
        let both = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}],"manifests":[]}}"#);
        assert!(refused(&both, Some(IMAGES[0])));
        let lying = format!(r#"{{"schemaVersion":2,"mediaType":"{}","config":{d},"layers":[]}}"#, INDEXES[0]);
        assert!(parsed(&lying, None).is_err());
        assert!(parsed(&lying, Some(IMAGES[0])).is_err());
        assert!(parsed(r#"{"schemaVersion":1}"#, None).is_err());
        assert!(parsed("{}", Some("application/vnd.docker.distribution.manifest.v1+prettyjws")).is_err());
    }

    #[test]
    fn numbers_names_and_places_are_checked() {
        let digest = Digest::of(b"x");
        let layer = |rest: &str| format!(r#"{{"mediaType":"{}","digest":"{digest}",{rest}}}"#, LAYERS[1]);
        let image = |layers: &str| {
            parsed(&format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layers}]}}"#, descriptor("c")), None)
        };
        assert!(image(&layer(r#""size":1"#)).is_ok());
        let most = layer(&format!(r#""size":{}"#, i64::MAX));
        for malformed in [
            layer(r#""size":-1"#),
            layer(r#""size":1.5"#),
            layer(r#""size":9223372036854775808"#),
            layer(r#""size":99999999999999999999999"#),
            layer(r#""size":"1""#),
            format!("{most},{most}"),
            descriptor("x").replace("\"x\"", "\"a\u{202e}b\""),
            descriptor("x").replace("\"x\"", "\"\""),
            descriptor("x").replace("sha256:", "sha512:"),
            descriptor("x").replace("sha256:", "sha256:../"),
            descriptor("x").replace("sha256:", "SHA256:"),
        ] {
            assert!(matches!(image(&malformed), Err(Wrong::Malformed(_))), "{malformed}");
        }
        let many = vec![layer(r#""size":1"#); MOST_ENTRIES + 1].join(",");
        let foreign = layer(r#""size":1"#).replace("oci.image.layer.v1", "oci.image.layer.nondistributable.v1");
        for refused in [&layer(r#""size":1,"urls":["https://evil.test/x"]"#), &foreign, &many] {
            assert!(matches!(image(refused), Err(Wrong::Refused(_))), "{refused:.300}");
        }
        assert!(image(&layer(r#""size":1,"urls":null,"annotations":null"#)).is_ok());
    }

    #[test]
    fn what_is_no_image_is_told() {
        let of = |config: &str, layer: &str| {
            let (config, layer) = (
                descriptor("c").replace("\"x\"", &format!("\"{config}\"")),
                descriptor("l").replace("\"x\"", &format!("\"{layer}\"")),
            );
            parsed(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#), None)
                .unwrap()
                .is_runnable()
        };
        assert_eq!(of(CONFIGS[0], LAYERS[2]), Ok(()));
        assert_eq!(of("application/x.chart", LAYERS[0]), Err("it is `application/x.chart`".to_owned()));
        let told = of(CONFIGS[1], "application/x.layer+xz").unwrap_err();
        assert!(told.ends_with("is `application/x.layer+xz`, which onramp does not know"), "{told}");
        let (config, layer) = (descriptor("c").replace("\"x\"", &format!("\"{}\"", CONFIGS[0])), descriptor("l"));
        let layers = vec![layer; MOST_LAYERS + 1].join(",");
        let many = parsed(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#), None).unwrap();
        assert_eq!(many.is_runnable(), Err("it has 513 layers, more than 512".to_owned()));
        let odd = r#"{"schemaVersion":2,"mediaType":"text/html","manifests":[]}"#;
        assert_eq!(
            parsed(odd, None),
            Err(Wrong::malformed("its mediaType is `text/html`, which onramp does not know"))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, header in proptest::option::of(".*")) {
            let digest = Digest::of(&bytes);
            let _ = parse(bytes, digest, header.as_deref());
        }
    }
}
