//! The documents of a snapshot in a registry: an OCI 1.1 artifact with one layer for the data of each service.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Error;
use crate::reference::{Digest, ImageRef};
use crate::registry::{Content, Descriptor, Manifest};
use crate::sandbox::ServiceId;
use crate::text::{bytes, neutral_line};

/// What the artifact is.
pub const ARTIFACT: &str = "application/vnd.onramp.snapshot.v1";
/// What its config is: [`Contents`].
pub const CONFIG: &str = "application/vnd.onramp.snapshot.config.v1+json";
/// What a layer is: a tar of a service's data, packed with zstd.
pub const LAYER: &str = "application/vnd.onramp.snapshot.data.v1.tar+zstd";
/// The media type of its manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The largest config, in bytes.
pub const CAP: u64 = 256 * 1024;
/// The most services of a snapshot.
const MOST: usize = 200;
/// The largest data of one service, as a tar, in bytes.
pub const LARGEST: u64 = 1024 * 1024 * 1024 * 1024;
/// The longest text of a config that is shown or kept.
const LONGEST: usize = 512;
/// Annotations of the OCI image specification.
const CREATED: &str = "org.opencontainers.image.created";
const TITLE: &str = "org.opencontainers.image.title";
/// The service whose data a layer is.
const SERVICE: &str = "dev.onramp.service";

/// What a snapshot holds: the artifact's config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// 1.
    pub schema: u32,
    /// The project's name.
    pub project: String,
    /// What it was called where it was saved.
    pub snapshot: String,
    /// When it was saved, RFC 3339.
    pub made: String,
    /// The data of its services, by service.
    pub services: Vec<Part>,
    /// The sandbox's own secrets that are in the data: what its services were told, never what an environment has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

/// The data of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The service.
    pub service: ServiceId,
    /// The image that it ran, by digest; none where it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// Where in the container the data lies.
    pub data: String,
    /// The digest of the seeds that filled it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// The layer's digest.
    pub layer: Digest,
    /// How large the layer is when it is unpacked: a tar, in bytes.
    pub bytes: u64,
}

impl Contents {
    /// The config's bytes, the same for the same contents.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a config is plain data")
    }

    /// The manifest with these layers' sizes.
    pub fn manifest(&self, sizes: &BTreeMap<Digest, u64>) -> Vec<u8> {
        let config = self.to_bytes();
        let layer = |part: &Part| {
            json!({
                "mediaType": LAYER,
                "digest": part.layer,
                "size": sizes[&part.layer],
                "annotations": { SERVICE: part.service.to_string() },
            })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": { "mediaType": CONFIG, "digest": Digest::of(&config), "size": config.len() },
            "layers": self.services.iter().map(layer).collect::<Vec<_>>(),
            "annotations": { CREATED: self.made, TITLE: self.snapshot },
        });
        serde_json::to_vec(&manifest).expect("a manifest is plain data")
    }

    /// Reads a config and holds it against its manifest: each part is a layer of it, and no layer is no part.
    pub fn read(at: &ImageRef, config: &[u8], layers: &[Descriptor]) -> Result<Self, Error> {
        let wrong = |why: String| Error::Damaged { reference: at.to_string(), why };
        let contents: Self = serde_json::from_slice(config)
            .map_err(|error| wrong(format!("its config says {}", neutral_line(&error.to_string(), 200))))?;
        if contents.schema != 1 {
            return Err(wrong(format!("it has schema {}; this onramp knows schema 1", contents.schema)));
        }
        let services: BTreeSet<&ServiceId> = contents.services.iter().map(|part| &part.service).collect();
        if services.len() != contents.services.len() || services.is_empty() || services.len() > MOST {
            return Err(wrong("it names no service, one twice, or too many".to_owned()));
        }
        let plain = |text: &str| text.len() <= LONGEST && !text.chars().any(char::is_control);
        let texts = [&contents.project, &contents.snapshot, &contents.made].into_iter();
        let texts =
            texts.chain(contents.services.iter().flat_map(|part| std::iter::once(&part.data).chain(&part.seed)));
        let secrets = contents.secrets.iter().flat_map(|(name, value)| [name, value]);
        if contents.secrets.len() > MOST || !texts.chain(secrets).all(|text| plain(text)) {
            return Err(wrong("a text of it is longer than any of ours, or not plain".to_owned()));
        }
        let digests = |digests: &mut dyn Iterator<Item = &Digest>| digests.cloned().collect::<BTreeSet<Digest>>();
        let parts = digests(&mut contents.services.iter().map(|part| &part.layer));
        if parts != digests(&mut layers.iter().map(|layer| &layer.digest))
            || layers.iter().any(|l| l.media_type != LAYER)
        {
            return Err(wrong("its layers are not the data that its config names".to_owned()));
        }
        match contents.services.iter().find(|part| part.bytes > LARGEST) {
            Some(part) => Err(wrong(format!("the data of {} is said to have {}", part.service, bytes(part.bytes)))),
            None => Ok(contents),
        }
    }
}

/// The config and the layers of a manifest that is a snapshot's.
pub fn parts_of<'a>(at: &ImageRef, manifest: &'a Manifest) -> Result<(&'a Descriptor, &'a [Descriptor]), Error> {
    let other = |what: &str| Error::NoSnapshotThere { reference: at.to_string(), what: neutral_line(what, 120) };
    match &manifest.content {
        Content::Index(_) => Err(other("an index of images")),
        Content::Image { config, layers } if config.media_type == CONFIG => Ok((config, layers)),
        Content::Image { config, .. } => {
            Err(other(&format!("`{}`", manifest.artifact_type.as_deref().unwrap_or(&config.media_type))))
        }
    }
}

/// When the snapshot of a manifest was saved.
pub fn made(manifest: &Manifest) -> Option<&str> {
    manifest.annotations.get(CREATED).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn contents() -> Contents {
        let part = Part {
            service: "shop/db".parse().unwrap(),
            image: None,
            data: "/var/lib/mysql".to_owned(),
            seed: None,
            layer: Digest::of(b"a"),
            bytes: 10,
        };
        let (project, snapshot) = ("shop".to_owned(), "five".to_owned());
        let made = "2026-01-05T12:00:00.000Z".to_owned();
        let secrets = [("shop/db".to_owned(), "0123".to_owned())].into();
        Contents { schema: 1, project, snapshot, made, services: vec![part], secrets }
    }

    fn at() -> ImageRef {
        "registry.acme.test/snapshots/shop:five".parse().unwrap()
    }

    fn layers(contents: &Contents) -> Vec<Descriptor> {
        let sizes = [(Digest::of(b"a"), 1)].into();
        let manifest = Manifest::of(contents.manifest(&sizes)).unwrap();
        assert_eq!(manifest.artifact_type.as_deref(), Some(ARTIFACT));
        assert_eq!(made(&manifest), Some(contents.made.as_str()));
        parts_of(&at(), &manifest).unwrap().1.to_vec()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let contents = contents();
        let layers = layers(&contents);
        assert_eq!(Contents::read(&at(), &contents.to_bytes(), &layers).unwrap(), contents);
    }

    #[test]
    fn what_no_onramp_wrote_is_refused() {
        let layers = layers(&contents());
        let told = |change: &dyn Fn(&mut Contents)| {
            let mut other = contents();
            change(&mut other);
            let error = Contents::read(&at(), &other.to_bytes(), &layers).unwrap_err();
            assert_eq!(crate::error::Fault::class(&error), Class::Security);
            error.to_string()
        };
        let service = |other: &mut Contents| other.services.push(other.services[0].clone());
        assert!(told(&service).contains("one twice"));
        assert!(told(&|other| other.services.clear()).contains("names no service"));
        assert!(told(&|other| other.schema = 2).contains("schema 2"));
        assert!(told(&|other| other.services[0].bytes = u64::MAX).contains("is said to have"));
        assert!(told(&|other| other.services[0].layer = Digest::of(b"b")).contains("are not the data"));
        assert!(told(&|other| other.made = "\u{1b}[2J".to_owned()).contains("not plain"));
        assert!(told(&|other| other.snapshot = "x".repeat(600)).contains("longer than any"));
        let value = |other: &mut Contents| drop(other.secrets.insert("a".to_owned(), "b\nc".to_owned()));
        assert!(told(&value).contains("not plain"));
        let unknown = Contents::read(&at(), br#"{"schema":1,"more":1}"#, &layers).unwrap_err();
        assert!(unknown.to_string().contains("unknown field"), "{unknown}");
    }
}
