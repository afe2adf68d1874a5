//! A real registry (Debian's `docker-registry`) as a process on loopback, filled over HTTP so that no engine is needed.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onramp::reference::{Digest, ImageRef};
use serde_json::json;

/// Where Debian's package `docker-registry` puts it.
const PROGRAM: &str = "/usr/bin/docker-registry";
/// An htpasswd file: user `ann`, password `s3cret`, bcrypt.
const ANN: &str = "ann:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

/// The process; killed with the test.
pub struct RealRegistry {
    process: Child,
    host: String,
    dir: tempfile::TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An image of one small layer.
pub struct Sample {
    architecture: &'static str,
    content: &'static str,
}

impl Sample {
    pub fn new(architecture: &'static str, content: &'static str) -> Self {
        Self { architecture, content }
    }

    /// An uncompressed tar with one file.
    pub fn layer(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(self.content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "etc/sample", self.content.as_bytes()).unwrap();
        tar.into_inner().unwrap()
    }

    pub fn config(&self) -> Vec<u8> {
        let config = json!({
            "architecture": self.architecture, "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": {
                "Env": ["PATH=/bin"], "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}},
                "Labels": {"org.acme.team": "web"},
            },
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&self.layer()).as_str()]},
        });
        serde_json::to_vec(&config).unwrap()
    }

    pub fn manifest(&self) -> Vec<u8> {
        let (config, layer) = (self.config(), self.layer());
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes).as_str(), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        serde_json::to_vec(&manifest).unwrap()
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a layer is packed to.
pub fn gzipped(layer: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(layer).unwrap();
    encoder.finish().unwrap()
}

/// The config of an image with these layers, by what they unpack to.
pub fn config_of(unpacked: &[Digest]) -> Vec<u8> {
    let unpacked: Vec<&str> = unpacked.iter().map(Digest::as_str).collect();
    let rootfs = json!({"type": "layers", "diff_ids": unpacked});
    serde_json::to_vec(&json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})).unwrap()
}

/// An index of images by architecture: their digests, and the sizes of their manifests.
pub fn index_of(images: &[(&str, &Digest, usize)]) -> Vec<u8> {
    let entry = |(architecture, digest, size): &(&str, &Digest, usize)| {
        json!({"mediaType": MANIFEST, "digest": digest.as_str(), "size": size,
               "platform": {"os": "linux", "architecture": architecture}})
    };
    let manifests: Vec<_> = images.iter().map(entry).collect();
    serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})).unwrap()
}

impl RealRegistry {
    /// Starts one that lets everybody in.
    pub async fn open() -> Self {
        Self::start(false).await
    }

    /// Starts one that lets in `ann` with the password `s3cret`, and nobody else.
    pub async fn private() -> Self {
        Self::start(true).await
    }

    async fn start(private: bool) -> Self {
        assert!(std::path::Path::new(PROGRAM).exists(), "run scripts/setup: docker-registry is not installed");
        let dir = tempfile::tempdir().unwrap();
        // Another process may take the port before the registry does: then it ends, and the next one is tried.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let host = format!("127.0.0.1:{port}");
            let mut config = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{delete: {{enabled: true}}, filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
                dir.path().join("data").display()
            );
            if private {
                let file = dir.path().join("htpasswd");
                std::fs::write(&file, ANN).unwrap();
                config = format!("{config}auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display());
            }
            let path = dir.path().join("config.yml");
            std::fs::write(&path, config).unwrap();
            let mut process = Command::new(PROGRAM)
                .arg("serve")
                .arg(&path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(20) {
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                if tokio::net::TcpStream::connect(&host).await.is_ok() {
                    return Self { process, host, dir };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("the registry did not start");
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where its files lie.
    pub fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub fn image(&self, rest: &str) -> ImageRef {
        format!("{}/{rest}", self.host).parse().unwrap()
    }

    /// Pushes a sample; the digest of its manifest.
    pub async fn push(&self, path: &str, tag: &str, sample: &Sample) -> Digest {
        for blob in [sample.layer(), sample.config()] {
            self.put_blob(path, blob).await;
        }
        self.put_manifest(path, tag, &sample.manifest(), MANIFEST).await
    }

    /// Pushes an image of these layers, tars that are packed here; the digest of its manifest.
    pub async fn push_layers(&self, path: &str, tag: &str, layers: &[Vec<u8>]) -> Digest {
        let packed: Vec<_> = layers.iter().map(|layer| (gzipped(layer), Digest::of(layer))).collect();
        self.push_packed(path, tag, &packed).await
    }

    /// Pushes an image of these layers, each with the digest of what it unpacks to; the digest of its manifest.
    pub async fn push_packed(&self, path: &str, tag: &str, layers: &[(Vec<u8>, Digest)]) -> Digest {
        let unpacked: Vec<Digest> = layers.iter().map(|(_, unpacked)| unpacked.clone()).collect();
        let config = config_of(&unpacked);
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes).as_str(), "size": bytes.len()});
        let layer = |(packed, _): &(Vec<u8>, Digest)| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        for blob in layers.iter().map(|(packed, _)| packed).chain([&config]) {
            self.put_blob(path, blob.clone()).await;
        }
        self.put_manifest(path, tag, &serde_json::to_vec(&manifest).unwrap(), MANIFEST).await
    }

    /// Puts a blob.
    pub async fn put_blob(&self, path: &str, blob: Vec<u8>) {
        let url = format!("http://{}/v2/{path}/blobs/uploads/", self.host);
        let begun = http().post(url).send().await.unwrap().error_for_status().unwrap();
        let place = begun.headers()["location"].to_str().unwrap();
        let target = format!("{place}&digest={}", Digest::of(&blob));
        http().put(target).body(blob).send().await.unwrap().error_for_status().unwrap();
    }

    /// Puts an index of images that are here, by architecture; its digest.
    pub async fn put_index(&self, path: &str, tag: &str, images: &[(&str, &Digest)]) -> Digest {
        let mut entries = Vec::new();
        for (architecture, digest) in images {
            let url = format!("http://{}/v2/{path}/manifests/{digest}", self.host);
            let accept = format!("{MANIFEST}, {INDEX}");
            let there = http().get(url).header("Accept", accept).send().await.unwrap().error_for_status().unwrap();
            entries.push((*architecture, *digest, there.bytes().await.unwrap().len()));
        }
        self.put_manifest(path, tag, &index_of(&entries), INDEX).await
    }

    /// Takes a manifest away.
    pub async fn delete(&self, path: &str, digest: &Digest) {
        let url = format!("http://{}/v2/{path}/manifests/{digest}", self.host);
        http().delete(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// Puts a manifest or index under a tag; its digest.
    pub async fn put_manifest(&self, path: &str, tag: &str, bytes: &[u8], media_type: &str) -> Digest {
        let url = format!("http://{}/v2/{path}/manifests/{tag}", self.host);
        let put = http().put(url).header("Content-Type", media_type).body(bytes.to_vec());
        let answer = put.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        Digest::of(bytes)
    }
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}
