//! Statements about tests beside images in a real registry: made, found, and passed over; with openssl as the other side.

mod registry_parts;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onramp::images::signature::{Envelope, PublicKey, SigningKey, envelope, sign};
use onramp::reference::{Digest, ImageRef};
use onramp::registry::{Access, Document, Registry};
use onramp::release::proof::{self, Proofs, Wanted};
use onramp::release::statement::{About, PAYLOAD_TYPE, Statement, Subject};

use registry_parts::real::{RealRegistry, Sample};

const LIMIT: Duration = Duration::from_secs(20);

/// A registry with the images of an app, and the key of its CI.
struct Bench {
    // It ends with the test.
    registry: RealRegistry,
    web: ImageRef,
    db: ImageRef,
    ci: SigningKey,
}

fn access() -> Access {
    Access::new(LIMIT, std::collections::BTreeMap::new())
}

impl Bench {
    async fn new() -> Self {
        let registry = RealRegistry::open().await;
        let mut images = Vec::new();
        for of in ["web", "db"] {
            let path = format!("apps/{of}");
            let digest = registry.push(&path, "1", &Sample::new("amd64", of)).await;
            images.push(registry.image(&format!("{path}:1")).at(digest));
        }
        let db = images.pop().unwrap();
        Self { registry, web: images.pop().unwrap(), db, ci: SigningKey::generate("keys/ci.pub") }
    }

    fn statement(images: &[&ImageRef], tests: &[(&str, bool)]) -> Statement {
        Statement {
            subjects: images.iter().filter_map(|image| Subject::of(image)).collect(),
            tests: tests.iter().map(|(name, passed)| (name.parse().unwrap(), *passed)).collect(),
            about: About { app: Some("shop".parse().unwrap()), ..About::default() },
        }
    }

    async fn attest(&self, images: &[&ImageRef], tests: &[(&str, bool)], key: &SigningKey) {
        proof::attest(&access(), images[0], &Self::statement(images, tests), key).await.unwrap();
    }

    /// Puts an envelope beside the web server's image, whatever it says.
    async fn put(&self, bytes: Vec<u8>) {
        let client = Registry::new(self.registry.host(), None, LIMIT).unwrap();
        let document = Document { media_type: envelope::MEDIA_TYPE, bytes, annotations: [].into() };
        client.attach_document(&self.web, document).await.unwrap();
    }

    async fn found(&self, images: &[&ImageRef], wanted: &Wanted) -> Proofs {
        let images: BTreeSet<ImageRef> = images.iter().map(|image| (*image).clone()).collect();
        proof::find(&access(), &"shop".parse().unwrap(), &images, wanted).await.unwrap()
    }

    /// The tests that CI says have passed on these images.
    async fn passed(&self, images: &[&ImageRef]) -> Vec<String> {
        let wanted = Wanted { testers: vec![self.ci.public().clone()], ..Wanted::default() };
        self.found(images, &wanted).await.tests.keys().map(ToString::to_string).collect()
    }
}

#[tokio::test]
async fn what_ci_says_of_images_is_found_beside_them() {
    let bench = Bench::new().await;
    let (web, db) = (&bench.web, &bench.db);
    assert_eq!(bench.passed(&[web]).await, Vec::<String>::new());
    bench.attest(&[web], &[("unit", true), ("smoke", false)], &bench.ci).await;
    assert_eq!(bench.passed(&[web]).await, ["unit"]);
    assert_eq!(bench.passed(&[web, db]).await, Vec::<String>::new(), "it does not say that they ran together");
    bench.attest(&[web, db], &[("smoke", true)], &bench.ci).await;
    assert_eq!(bench.passed(&[web, db]).await, ["smoke"]);
    assert_eq!(bench.passed(&[web]).await, ["smoke", "unit"], "a test that was red may be run again");
    let other = web.at(Digest::of(b"never pushed"));
    assert_eq!(bench.passed(&[&other]).await, Vec::<String>::new());
}

#[tokio::test]
async fn only_the_word_of_a_wanted_key_counts() {
    let bench = Bench::new().await;
    let web = &bench.web;
    let anybody = SigningKey::generate("anybody");
    bench.attest(&[web], &[("unit", true)], &anybody).await;
    let sealed = |payload: Vec<u8>, kind: &str| Envelope::seal(kind, payload, &bench.ci);
    let passed = Bench::statement(&[web], &[("unit", true)]).bytes();
    // CI's own signature, over something else.
    let of_other = Bench::statement(&[&bench.db], &[("unit", true)]).bytes();
    bench.put(sealed(of_other.clone(), PAYLOAD_TYPE).bytes()).await;
    bench.put(sealed(passed.clone(), "text/plain").bytes()).await;
    let mut swapped: serde_json::Value = serde_json::from_slice(&sealed(of_other, PAYLOAD_TYPE).bytes()).unwrap();
    swapped["payload"] = STANDARD.encode(&passed).into();
    bench.put(swapped.to_string().into_bytes()).await;
    bench.put(sealed(b"{}".to_vec(), PAYLOAD_TYPE).bytes()).await;
    let auths = About { app: Some("auth".parse().unwrap()), ..About::default() };
    let auths = Statement { about: auths, ..Bench::statement(&[web], &[("unit", true)]) };
    bench.put(sealed(auths.bytes(), PAYLOAD_TYPE).bytes()).await;
    bench.put(b"no envelope".to_vec()).await;
    bench.put(vec![b' '; usize::try_from(envelope::CAP).unwrap() + 1]).await;
    assert_eq!(bench.passed(&[web]).await, Vec::<String>::new());
    // What does not count stands in nobody's way.
    bench.put(sealed(passed, PAYLOAD_TYPE).bytes()).await;
    assert_eq!(bench.passed(&[web]).await, ["unit"]);
}

#[tokio::test]
async fn a_registry_says_whether_it_has_an_image_who_signed_it_and_when_it_was_made() {
    let bench = Bench::new().await;
    let client = Registry::new(bench.registry.host(), None, LIMIT).unwrap();
    sign::sign(&client, &bench.web, &bench.ci).await.unwrap();
    let other = bench.db.at(Digest::of(b"never pushed"));
    let wanted = Wanted { signers: vec![bench.ci.public().clone()], age: true, ..Wanted::default() };
    let found = bench.found(&[&bench.web, &bench.db, &other], &wanted).await.images;
    let told = |image: &ImageRef| (found[image].there, found[image].signed, found[image].made.is_some());
    assert_eq!(told(&bench.web), (true, true, true));
    assert_eq!(told(&bench.db), (true, false, true));
    assert_eq!(told(&other), (false, false, false));
    assert_eq!(bench.found(&[&other], &Wanted::default()).await, Proofs::default(), "nothing asked, nobody asked");
}

/// The other way round: what onramp signs openssl verifies, over what the specification says is signed.
#[tokio::test]
async fn openssl_verifies_what_is_signed() {
    let bench = Bench::new().await;
    let statement = Bench::statement(&[&bench.web], &[("unit", true)]).bytes();
    let sealed = Envelope::seal(PAYLOAD_TYPE, statement.clone(), &bench.ci);
    let document: serde_json::Value = serde_json::from_slice(&sealed.bytes()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let head = format!("DSSEv1 28 {PAYLOAD_TYPE} {} ", statement.len());
    let signed = file("signed", &[head.as_bytes(), &statement].concat());
    let signature = STANDARD.decode(document["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    let (signature, key) = (file("signature", &signature), file("key", bench.ci.public().to_pem().as_bytes()));
    let verify = |of: &std::path::Path| {
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-verify"]).arg(&key).arg("-signature").arg(&signature).arg(of);
        openssl.output().unwrap().status.success()
    };
    assert!(verify(&signed));
    assert!(!verify(&file("statement", &statement)), "the text alone is not what is signed");
    let read = PublicKey::read(&bench.ci.public().to_pem(), "key").unwrap();
    assert_eq!(Envelope::parse(&sealed.bytes()).unwrap().signers(std::slice::from_ref(&read)).len(), 1);
}
