//! A layer as an image: its config, and the archive in which the engine takes both.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::io::AsyncReadExt;

use std::collections::BTreeMap;

use super::rootfs::Layer;
use crate::reference::Digest;
use crate::registry;

/// The config of an image of one layer (OCI image specification 1.1, image configuration). The same layer, labels and time
/// give the same bytes.
pub fn config(layer: &Digest, made: Timestamp, labels: &BTreeMap<String, String>) -> Vec<u8> {
    let config = json!({
        "architecture": registry::architecture(),
        "config": { "Cmd": ["bash"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Labels": labels },
        "created": made.to_string(),
        "history": [{ "created": made.to_string(), "created_by": "onramp: Debian packages" }],
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [layer.as_str()] },
    });
    serde_json::to_vec(&config).expect("a config is plain data")
}

/// An image of one layer as `docker load` takes it, streamed: the layer is never held in memory.
pub fn archive(
    layer: &Layer,
    config: Vec<u8>,
    name: &str,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
    let id = Digest::of(&config);
    let tar = format!("{}/layer.tar", layer.digest.hex());
    let manifest = json!([{ "Config": format!("{}.json", id.hex()), "RepoTags": [name], "Layers": [tar] }]);
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
    let mut head = member(&format!("{}.json", id.hex()), config.len() as u64);
    head.extend(padded(config));
    head.extend(member("manifest.json", manifest.len() as u64));
    head.extend(padded(manifest));
    head.extend(member(&tar, layer.size));
    // The layer's own padding, and the two empty blocks that end a tar.
    let tail = vec![0; padding(layer.size) + 1024];
    let (path, size) = (layer.path.clone(), layer.size);
    let body = stream::once(async move { tokio::fs::File::open(path).await });
    let body = futures_util::TryStreamExt::try_flatten(futures_util::TryStreamExt::map_ok(body, move |file| {
        stream::try_unfold(file.take(size), |mut file| async move {
            let mut buffer = vec![0; 256 * 1024];
            let read = file.read(&mut buffer).await?;
            buffer.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(buffer), file)))
        })
    }));
    let whole = |bytes: Vec<u8>| stream::once(std::future::ready(Ok(Bytes::from(bytes))));
    futures_util::StreamExt::chain(futures_util::StreamExt::chain(whole(head), body), whole(tail))
}

fn member(name: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len() + padding(bytes.len() as u64), 0);
    bytes
}

/// How many bytes fill the last block of a tar's member.
fn padding(size: u64) -> usize {
    usize::try_from((512 - size % 512) % 512).expect("less than a block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use std::io::Read;

    #[tokio::test]
    async fn an_archive_is_a_tar_of_config_manifest_and_layer() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0_usize, 1, 511, 512, 513, 300_000] {
            let contents = vec![7; size];
            let path = dir.path().join("layer");
            std::fs::write(&path, &contents).unwrap();
            let layer = Layer { path, digest: Digest::of(&contents), size: size as u64, made: Timestamp::UNIX_EPOCH };
            let config = config(&layer.digest, layer.made, &BTreeMap::new());
            let chunks: Vec<Bytes> = archive(&layer, config.clone(), "a:1").try_collect().await.unwrap();
            let whole = chunks.concat();
            let mut members = BTreeMap::new();
            for entry in tar::Archive::new(&whole[..]).entries().unwrap() {
                let mut entry = entry.unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                members.insert(entry.path().unwrap().display().to_string(), bytes);
            }
            assert_eq!(members[&format!("{}/layer.tar", layer.digest.hex())], contents);
            assert_eq!(members[&format!("{}.json", Digest::of(&config).hex())], config);
            assert_eq!(members.len(), 3);
        }
    }
}
