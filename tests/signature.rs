//! Signatures on images in a real registry: made, found and refused; with openssl as the other side.

mod registry_parts;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onramp::error::{Class, Fault};
use onramp::images::policy::{self, Policy, Rule};
use onramp::images::signature::sign::{self, Outcome};
use onramp::images::signature::{Found, Identity, Payload, PublicKey, SigningKey, find};
use onramp::paths::Paths;
use onramp::reference::{Digest, ImageRef};
use onramp::registry::{Content, Registry};
use serde_json::{Value, json};

use registry_parts::liar::{Liar, Reply};
use registry_parts::real::{RealRegistry, Sample, index_of};

const LIMIT: Duration = Duration::from_secs(20);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// A registry with one image, and a key.
struct Bench {
    registry: RealRegistry,
    client: Registry,
    image: ImageRef,
    key: SigningKey,
}

impl Bench {
    async fn new() -> Self {
        let registry = RealRegistry::open().await;
        let digest = registry.push("base/php", "8.2", &Sample::new("amd64", "one")).await;
        let image = registry.image("base/php:8.2").at(digest);
        let client = Registry::new(registry.host(), None, LIMIT).unwrap();
        Self { registry, client, image, key: SigningKey::generate("platform.pub") }
    }

    fn digest(&self) -> &Digest {
        self.image.digest().unwrap()
    }

    fn tag(&self) -> String {
        format!("sha256-{}.sig", self.digest().hex())
    }

    async fn sign(&self, key: &SigningKey) -> Outcome {
        sign::sign(&self.client, &self.image, key).await.unwrap()
    }

    /// What the image's signatures say to somebody who trusts this key.
    async fn found(&self, key: &PublicKey) -> Found {
        let own = Identity::of(&self.image);
        find(&self.client, &self.image, &[key], &|identity| *identity == own).await.unwrap()
    }

    /// Puts signatures where cosign does, without onramp: payloads with what stands in the annotation.
    async fn put(&self, signatures: &[(&[u8], String)]) {
        let config = b"{}".to_vec();
        self.registry.put_blob("base/php", config.clone()).await;
        let mut layers = Vec::new();
        for (payload, annotation) in signatures {
            self.registry.put_blob("base/php", payload.to_vec()).await;
            layers.push(layer(payload, annotation));
        }
        self.put_layers(&layers).await;
    }

    async fn put_layers(&self, layers: &[Value]) {
        let config = b"{}";
        self.registry.put_blob("base/php", config.to_vec()).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(config), "size": config.len()},
            "layers": layers,
        });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        self.registry.put_manifest("base/php", &self.tag(), &bytes, MANIFEST).await;
    }
}

fn layer(payload: &[u8], annotation: &str) -> Value {
    json!({
        "mediaType": PAYLOAD, "digest": Digest::of(payload), "size": payload.len(),
        "annotations": {"dev.cosignproject.cosign/signature": annotation},
    })
}

fn payload(repository: &str, digest: &Digest) -> Vec<u8> {
    Payload::bytes(&repository.parse().unwrap(), digest)
}

fn openssl(directory: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(directory).output().expect("openssl runs: run scripts/setup");
    output.status.success()
}

#[tokio::test]
async fn openssl_verifies_what_onramp_signed_in_both_places() {
    let bench = Bench::new().await;
    assert_eq!(bench.sign(&bench.key).await, Outcome::Signed);
    assert_eq!(bench.sign(&bench.key).await, Outcome::Present);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("key.pub", bench.key.public().to_pem().as_bytes());

    let tagged = bench.client.manifest(&bench.registry.image(&format!("base/php:{}", bench.tag()))).await.unwrap();
    let referring = bench.client.referrers("base/php", bench.digest(), None).await.unwrap();
    assert_eq!(referring.len(), 1);
    let at = bench.image.at(referring[0].descriptor.digest.clone());
    let referring = bench.client.manifest(&at).await.unwrap();
    let document: Value = serde_json::from_slice(&referring.bytes).unwrap();
    assert_eq!(document["subject"]["digest"], bench.digest().as_str());
    assert_eq!(document["artifactType"], "application/vnd.dev.cosign.artifact.sig.v1+json");
    assert_eq!(document["config"]["mediaType"], document["artifactType"], "where cosign looks for it");
    for manifest in [tagged, referring] {
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        let layers = document["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        let payload: Digest = layers[0]["digest"].as_str().unwrap().parse().unwrap();
        let signature = layers[0]["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
        write("payload", &bench.client.small_blob("base/php", &payload, 4096).await.unwrap());
        write("signature", &STANDARD.decode(signature).unwrap());
        let verify = ["dgst", "-sha256", "-verify", "key.pub", "-signature", "signature", "payload"];
        assert!(openssl(dir.path(), &verify));
        write("payload", b"something else");
        assert!(!openssl(dir.path(), &verify));
    }
}

#[tokio::test]
async fn either_place_of_a_signature_is_enough() {
    let bench = Bench::new().await;
    bench.sign(&bench.key).await;
    let tag = bench.registry.image(&format!("base/php:{}", bench.tag()));
    let tagged = bench.client.manifest(&tag).await.unwrap().digest;
    let referring = bench.client.referrers("base/php", bench.digest(), None).await.unwrap();
    // As OCI 1.1 has it, without the tag.
    bench.registry.delete("base/php", &tagged).await;
    assert!(bench.client.manifest(&tag).await.is_err());
    assert_eq!(bench.found(bench.key.public()).await.signed.len(), 1);
    bench.registry.delete("base/php", &referring[0].descriptor.digest).await;
    assert_eq!(bench.found(bench.key.public()).await.signed.len(), 0, "it was the only one");
}

#[tokio::test]
async fn onramp_verifies_what_openssl_signed_and_signs_with_its_keys() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let made = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem"];
    assert!(openssl(dir.path(), &made));
    assert!(openssl(dir.path(), &["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]));
    let text = payload(&bench.image.repository(), bench.digest());
    std::fs::write(dir.path().join("payload"), &text).unwrap();
    assert!(openssl(dir.path(), &["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "payload"]));
    let signature = STANDARD.encode(std::fs::read(dir.path().join("signature")).unwrap());
    bench.put(&[(&text, signature)]).await;

    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let public = PublicKey::read(&read("key.pub"), "key.pub").unwrap();
    let found = bench.found(&public).await;
    assert_eq!((found.signed.len(), found.unknown, found.damaged), (1, 0, 0));
    assert_eq!(found.signed[0].identity.as_str(), bench.image.repository());
    let private = SigningKey::read(&read("key.pem"), "key.pem", b"").unwrap();
    assert_eq!(private.public().fingerprint(), public.fingerprint());
    assert_eq!(bench.sign(&private).await, Outcome::Present, "openssl's signature is this key's");
}

#[tokio::test]
async fn what_does_not_count_is_told_apart() {
    let bench = Bench::new().await;
    let (key, stranger) = (&bench.key, SigningKey::generate("stranger"));
    let own = payload(&bench.image.repository(), bench.digest());
    let signed = |key: &SigningKey, text: &[u8]| STANDARD.encode(key.sign(text));
    let other_image = payload(&bench.image.repository(), &Digest::of(b"another image"));
    let other_repository = payload(&format!("{}/debug/php", bench.image.registry()), bench.digest());
    let no_payload = b"{\"critical\":{}}".to_vec();
    let mut damaged = key.sign(&own);
    damaged[10] ^= 1;
    bench
        .put(&[
            (&own, signed(&stranger, &own)),
            (&other_image, signed(key, &other_image)),
            (&other_repository, signed(key, &other_repository)),
            // A signature of the right text beside another payload.
            (&other_image, signed(key, &own)),
            (&no_payload, signed(key, &no_payload)),
            (&own, STANDARD.encode(&damaged)),
            (&own, "no base64".to_owned()),
            (&own, "A".repeat(10_000)),
            (&own, String::new()),
        ])
        .await;
    let found = bench.found(key.public()).await;
    assert!(found.signed.is_empty());
    let counts = (found.unknown, found.damaged, found.of_other_image, found.as_other.len());
    assert_eq!(counts, (4, 3, 1, 1), "{found}");
    let host = bench.registry.host();
    assert_eq!(
        found.to_string().replace(host, "HOST"),
        "none of its signatures counts: 1 of a trusted key are about another image, a trusted one is for HOST/debug/php, \
         4 are by keys that do not count, 3 are damaged"
    );
    // The one that counts is found among them.
    assert_eq!(bench.sign(key).await, Outcome::Signed);
    let found = bench.found(key.public()).await;
    assert_eq!((found.signed.len(), found.unknown), (1, 4));
    assert_eq!(bench.found(stranger.public()).await.signed.len(), 1, "each for whom trusts it");
}

#[tokio::test]
async fn ten_thousand_signatures_hide_none_and_fetch_nothing() {
    let bench = Bench::new().await;
    let own = payload(&bench.image.repository(), bench.digest());
    bench.registry.put_blob("base/php", own.clone()).await;
    // Well-formed, each another: SEQUENCE of two small INTEGERs.
    let junk = |i: u32| {
        let [_, a, b, c] = i.to_be_bytes();
        STANDARD.encode([0x30, 10, 2, 4, 1, a, b, c, 2, 2, 1, c])
    };
    let mut layers: Vec<Value> = (0..9_999).map(|i| layer(&own, &junk(i))).collect();
    layers.insert(5_000, layer(&own, &STANDARD.encode(bench.key.sign(&own))));
    bench.put_layers(&layers).await;
    let found = bench.found(bench.key.public()).await;
    assert_eq!((found.signed.len(), found.unknown, found.left_out), (1, 9_999, 0));
}

#[tokio::test]
async fn payloads_of_strangers_are_never_asked_for_and_huge_ones_not_read() {
    let (key, stranger) = (SigningKey::generate("k"), SigningKey::generate("s"));
    let huge = vec![b' '; 10_000_000];
    let layers = |texts: &[(&SigningKey, &[u8], usize)]| {
        let one = |(key, text, size): &(&SigningKey, &[u8], usize)| {
            let mut layer = layer(text, &STANDARD.encode(key.sign(text)));
            layer["size"] = json!(size);
            layer
        };
        texts.iter().map(one).collect::<Vec<_>>()
    };
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "config": {"mediaType": "x", "digest": Digest::of(b"{}"), "size": 2},
        "layers": layers(&[(&stranger, b"{}", 2), (&key, &huge, huge.len()), (&key, &huge, 200)]),
    }))
    .unwrap();
    let liar = Liar::start(move |seen| match seen.path() {
        path if path.contains(".sig") => Reply::manifest(&manifest),
        path if path.contains("/blobs/") => Reply::status(200).body(&huge).chunked(),
        _ => Reply::status(404),
    })
    .await;
    let image = liar.image("a:1").at(Digest::of(b"image"));
    let client = Registry::new(&liar.host(), None, LIMIT).unwrap();
    let found = find(&client, &image, &[key.public()], &|_| true).await.unwrap();
    assert_eq!((found.signed.len(), found.unknown, found.damaged), (0, 1, 2));
    let blobs = liar.seen().iter().filter(|seen| seen.path().contains("/blobs/")).count();
    assert_eq!(blobs, 1, "only the one that a trusted key signed and that says it is small");
}

#[tokio::test]
async fn a_tag_that_moved_has_no_signature() {
    let bench = Bench::new().await;
    bench.sign(&bench.key).await;
    let moved = bench.registry.push("base/php", "8.2", &Sample::new("amd64", "two")).await;
    assert_ne!(moved, *bench.digest());
    let now = bench.image.at(moved);
    let found = find(&bench.client, &now, &[bench.key.public()], &|_| true).await.unwrap();
    assert_eq!(found.to_string(), "it has no signature");
    assert_eq!(bench.found(bench.key.public()).await.signed.len(), 1, "what was signed stays so");
    // Nor does anybody make one of it by putting the old signatures under its name.
    let old = payload(&bench.image.repository(), bench.digest());
    let stolen = Bench { image: now, ..bench };
    stolen.put(&[(&old, STANDARD.encode(stolen.key.sign(&old)))]).await;
    let found = stolen.found(stolen.key.public()).await;
    assert_eq!((found.signed.len(), found.of_other_image), (0, 1));
    let tagged = stolen.registry.image("base/php:8.2");
    let error = sign::sign(&stolen.client, &tagged, &stolen.key).await.unwrap_err();
    assert_eq!(error.class(), Class::Usage, "a tag alone is never signed");
}

#[tokio::test]
async fn a_signed_index_does_not_sign_its_platforms_for_those_who_name_them() {
    let bench = Bench::new().await;
    let arm = bench.registry.push("base/php", "arm", &Sample::new("arm64", "one")).await;
    let index = bench.registry.put_index("base/php", "all", &[("amd64", bench.digest()), ("arm64", &arm)]).await;
    let all = bench.registry.image("base/php:all");
    let digests = sign::digests(&bench.client, &all, false).await.unwrap();
    assert_eq!(digests, std::slice::from_ref(&index));
    sign::sign(&bench.client, &all.at(index.clone()), &bench.key).await.unwrap();
    let signed = async |digest: &Digest| {
        let image = all.at(digest.clone());
        find(&bench.client, &image, &[bench.key.public()], &|_| true).await.unwrap().signed.len()
    };
    assert_eq!((signed(&index).await, signed(&arm).await, signed(bench.digest()).await), (1, 0, 0));
    for digest in sign::digests(&bench.client, &all, true).await.unwrap() {
        sign::sign(&bench.client, &all.at(digest), &bench.key).await.unwrap();
    }
    assert_eq!((signed(&index).await, signed(&arm).await, signed(bench.digest()).await), (1, 1, 1));
}

#[tokio::test]
async fn each_keys_signature_is_added_to_those_that_are_there() {
    let bench = Bench::new().await;
    let keys = ["one", "two", "three"].map(SigningKey::generate);
    for key in &keys {
        assert_eq!(bench.sign(key).await, Outcome::Signed);
    }
    for key in &keys {
        let found = bench.found(key.public()).await;
        assert_eq!((found.signed.len(), found.unknown), (1, 2), "what lies in both places counts once");
        assert_eq!(bench.sign(key).await, Outcome::Present);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_sign_at_once_undo_nobody() {
    let bench = Bench::new().await;
    let keys = ["one", "two", "three", "four"].map(SigningKey::generate);
    let signed = futures_util::future::join_all(keys.iter().map(|key| bench.sign(key))).await;
    assert_eq!(signed, [Outcome::Signed; 4]);
    // In the tag as in the list of what refers to the image.
    let tag = bench.client.manifest(&bench.registry.image(&format!("base/php:{}", bench.tag()))).await.unwrap();
    let Content::Image { layers, .. } = &tag.content else { panic!("a manifest") };
    let referrers = bench.client.referrers("base/php", bench.digest(), None).await.unwrap();
    assert_eq!((layers.len(), referrers.len()), (4, 4));
    for key in &keys {
        let found = bench.found(key.public()).await;
        assert_eq!((found.signed.len(), found.unknown), (1, 3));
    }
}

#[tokio::test]
async fn what_lies_under_the_tag_of_signatures_and_holds_none_stays() {
    let bench = Bench::new().await;
    let index = index_of(&[("amd64", bench.digest(), 500)]);
    let sample = Sample::new("amd64", "an image of that name").manifest();
    for (bytes, media_type) in [(&index, INDEX), (&sample, MANIFEST)] {
        bench.registry.push("base/php", "other", &Sample::new("amd64", "an image of that name")).await;
        let foreign = bench.registry.put_manifest("base/php", &bench.tag(), bytes, media_type).await;
        let error = sign::sign(&bench.client, &bench.image, &bench.key).await.unwrap_err();
        let text = error.to_string();
        assert!(error.class() == Class::Conflict && text.contains(&bench.tag()), "{text}");
        let at = bench.registry.image(&format!("base/php:{}", bench.tag()));
        assert_eq!(bench.client.manifest(&at).await.unwrap().digest, foreign);
    }
    bench.registry.put_manifest("base/php", &bench.tag(), &index, INDEX).await;
    assert_eq!(bench.found(bench.key.public()).await.damaged, 1, "it is not taken for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_others_change_each_time_ends_in_a_conflict() {
    // Whatever is pushed, somebody else's list is there when we look.
    let index = index_of(&[]);
    let sample = Sample::new("amd64", "one").manifest();
    let subject = Digest::of(&sample);
    let by_digest = format!("/v2/a/b/manifests/{subject}");
    let liar = Liar::start(move |seen| match (seen.method.as_str(), seen.path()) {
        ("GET", path) if path == by_digest => Reply::manifest(&sample),
        ("GET", path) if path.contains(".sig") => Reply::status(404),
        ("GET", path) if path.contains("/referrers/") => Reply::status(200).header("Content-Type", INDEX).body(&index),
        ("GET", _) => Reply::status(200).header("Content-Type", INDEX).body(&index),
        ("HEAD", _) => Reply::status(200),
        _ => Reply::status(201),
    })
    .await;
    let client = Registry::new(&liar.host(), None, LIMIT).unwrap();
    let error =
        sign::sign(&client, &liar.image("a/b:1").at(subject.clone()), &SigningKey::generate("x")).await.unwrap_err();
    let text = error.to_string();
    assert!(error.class() == Class::Conflict && text.contains(&format!("a/b:sha256-{}", subject.hex())), "{text}");
    let written = liar
        .seen()
        .iter()
        .filter(|seen| seen.path().ends_with(&format!("sha256-{}", subject.hex())) && seen.method == "PUT")
        .count();
    assert!((2..=20).contains(&written), "{written}");
}

/// A user's directories, and a policy that requires a signature of everything in `base/`.
fn required(bench: &Bench, dir: &Path) -> Policy {
    let place = |name: &str| dir.join(name);
    let paths =
        Paths { settings: place("settings.toml"), cache: place("cache"), data: place("data"), state: place("state") };
    let scope = format!("{}/base/**", bench.registry.host()).parse().unwrap();
    let keys = vec![bench.key.public().clone()];
    let rule = Rule { scope, require_signature: true, keys, signed_as: Vec::new() };
    Policy::of("https://git.acme.test/catalog.git", vec![rule], &paths).unwrap()
}

#[tokio::test]
async fn what_was_found_is_proved_again_without_its_registry() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let policy = required(&bench, dir.path());
    let refused = policy.check(&bench.client, &bench.image).await.unwrap_err();
    assert_eq!(refused.class(), Class::Security);
    let text = refused.to_string().replace(bench.registry.host(), "HOST").replace(bench.digest().hex(), "HEX");
    assert_eq!(text, "HOST/base/php@sha256:HEX is refused: HOST/base/** must be signed, and it has no signature");
    assert!(refused.next()[1].starts_with("onramp image sign "), "{:?}", refused.next());
    let offline = |images: Vec<ImageRef>| {
        let policy = policy.clone();
        async move { policy.check_all(&images, true, LIMIT).await }
    };
    assert_eq!(offline(vec![bench.image.clone()]).await.unwrap_err().class(), Class::Net);
    let elsewhere = bench.registry.image("apps/shop:1").at(bench.digest().clone());
    assert!(offline(vec![elsewhere]).await.unwrap()[0].signed.is_none(), "no rule is about it");

    bench.sign(&bench.key).await;
    assert!(policy.check(&bench.client, &bench.image).await.unwrap().signed.is_some());
    let image = bench.image.clone();
    let (hex, stranger) = (bench.digest().hex().to_owned(), SigningKey::generate("stranger"));
    let own = payload(&bench.image.repository(), bench.digest());
    drop(bench);
    assert!(offline(vec![image.clone()]).await.unwrap()[0].signed.is_some());
    // The file is only evidence: what is written into it proves nothing by itself.
    let file = dir.path().join("cache/signatures").join(hex);
    let forged = json!([{"payload": STANDARD.encode(&own), "signature": STANDARD.encode(stranger.sign(&own))}]);
    for text in [forged.to_string(), "[]".to_owned(), "nonsense".to_owned()] {
        std::fs::write(&file, text).unwrap();
        let error = offline(vec![image.clone()]).await.unwrap_err();
        assert!(matches!(error, policy::Error::Offline { .. }), "{error}");
    }
}
