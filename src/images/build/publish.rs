//! A file system made from packages, published without the engine, whose own archives differ from day to day: the same
//! packages and labels give the same digest.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::definition::{Definition, Rootfs};
use super::rootfs;
use super::workshop::{Target, Workshop};
use super::{Error, load};
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::registry::Upload;
use crate::task::blocking;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Pushes a definition's file system as an image; its digest.
pub async fn file_system(
    workshop: &Workshop<'_>,
    target: &Target<'_>,
    definition: &Definition,
    rootfs: &Rootfs,
    image: &ImageRef,
    labels: &BTreeMap<String, String>,
    task: &str,
) -> Result<Digest, Error> {
    let layer = rootfs::make(definition, rootfs, workshop.home, &**workshop.observer, task).await?;
    workshop.observer.step(task, "packing the layer");
    let source = layer.path.clone();
    let packed = blocking(move || pack(&source)).await?;
    let config = load::config(&layer.digest, layer.made, labels);
    workshop.note(Digest::of(&config).as_str(), &workshop.local_name(definition))?;
    let digest = push(target, image, &packed, config).await;
    for done in [&layer.path, &packed.path] {
        let _ = std::fs::remove_file(done);
    }
    digest
}

async fn push(target: &Target<'_>, image: &ImageRef, packed: &Packed, config: Vec<u8>) -> Result<Digest, Error> {
    let (path, config_digest) = (image.path(), Digest::of(&config));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest, "size": config.len() },
        "layers": [{ "mediaType": LAYER, "digest": packed.digest, "size": packed.size }],
    });
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
    target.registry.push_blob(path, &packed.digest, packed.size, Upload::File(packed.path.clone())).await?;
    target.registry.push_blob(path, &config_digest, config.len() as u64, config.into()).await?;
    Ok(target.registry.push_manifest(image, MANIFEST, manifest).await?)
}

/// A layer as it lies in a registry.
struct Packed {
    path: PathBuf,
    digest: Digest,
    size: u64,
}

/// Packs a tar with gzip, whose header says neither when nor what.
fn pack(layer: &Path) -> Result<Packed, FileError> {
    let path = layer.with_extension("tar.gz");
    let write = || -> std::io::Result<Packed> {
        let mut from = std::fs::File::open(layer)?;
        let to = Counted { file: std::fs::File::create(&path)?, hash: Sha256::new(), size: 0 };
        let mut packing = GzBuilder::new().mtime(0).operating_system(255).write(to, Compression::new(6));
        std::io::copy(&mut from, &mut packing)?;
        let Counted { file, hash, size } = packing.finish()?;
        file.sync_all()?;
        Ok(Packed { path: path.clone(), digest: Digest::from_hash(&hash.finalize()), size })
    };
    write().map_err(FileError::io("write", &path))
}

/// What is written, counted and hashed.
struct Counted {
    file: std::fs::File,
    hash: Sha256,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tar_is_packed_the_same_way() {
        let dir = tempfile::tempdir().unwrap();
        let tar = dir.path().join("layer.tar");
        std::fs::write(&tar, vec![42; 300_000]).unwrap();
        let (first, second) = (pack(&tar).unwrap().digest, pack(&tar).unwrap());
        assert_eq!(first, second.digest);
        let bytes = std::fs::read(&second.path).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (second.digest, second.size));
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, vec![42; 300_000]);
    }
}
