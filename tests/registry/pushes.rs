//! Pushing: to a real registry, in parts, again after a fault, and nowhere else.

use onramp::error::{Class, Fault};
use onramp::reference::Digest;
use onramp::registry::{Error, Registry, Upload};

use crate::registry_parts::liar::{Liar, Reply};
use crate::registry_parts::real::{RealRegistry, Sample};
use crate::{LIMIT, ann, client, failed, noise, read};

#[tokio::test]
async fn a_real_registry_takes_what_is_pushed_and_gives_it_back_in_ranges() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    let sample = Sample::new("amd64", "x");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layer");
    std::fs::write(&file, sample.layer()).unwrap();
    let (layer, config) = (sample.layer(), sample.config());
    let digest = Digest::of(&layer);
    assert!(!registry.has_blob("base/php", &digest).await.unwrap());
    for _ in 0..2 {
        registry.push_blob("base/php", &digest, layer.len() as u64, Upload::File(file.clone())).await.unwrap();
    }
    assert!(registry.has_blob("base/php", &digest).await.unwrap());
    let size = config.len() as u64;
    registry.push_blob("base/php", &Digest::of(&config), size, config.clone().into()).await.unwrap();
    let image = real.image("base/php:1");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let pushed = registry.push_manifest(&image, media_type, sample.manifest()).await.unwrap();

    let found = registry.facts(&image).await.unwrap();
    assert_eq!((&found.digest, &found.id), (&pushed, &Digest::of(&config)));
    assert_eq!(found.config.rootfs.diff_ids, std::slice::from_ref(&digest));
    let blob = &crate::layer(&layer);
    assert_eq!(found.layers, [(blob.digest.clone(), blob.size)]);
    let mut whole = registry.blob("base/php", blob, None).await.unwrap();
    assert_eq!((whole.offset(), read(&mut whole).await.unwrap()), (0, layer.clone()));
    let mut part = registry.blob("base/php", blob, Some(512..700)).await.unwrap();
    assert_eq!((part.offset(), read(&mut part).await.unwrap()), (512, layer[512..700].to_vec()));
    assert_eq!(registry.small_blob("base/php", &Digest::of(&config), 4096).await.unwrap(), config);
}

#[tokio::test]
async fn a_large_file_goes_in_parts() {
    let real = RealRegistry::private().await;
    let registry = Registry::new(real.host(), Some(ann()), LIMIT).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layer");
    let bytes = noise(70_000_000);
    std::fs::write(&file, &bytes).unwrap();
    let digest = Digest::of(&bytes);
    registry.push_blob("base/php", &digest, bytes.len() as u64, Upload::File(file.clone())).await.unwrap();
    let blob = crate::layer(&bytes);
    let mut stream = registry.blob("base/php", &blob, None).await.unwrap();
    assert!(read(&mut stream).await.unwrap() == bytes);

    // Other bytes than the digest's are refused by the registry, from memory as from a file.
    let wrong = Digest::of(b"something else");
    let refused = failed(registry.push_blob("base/php", &wrong, 1000, noise(1000).into()).await);
    assert!(matches!(refused, Error::Protocol { .. }) && refused.to_string().contains("DIGEST_INVALID"), "{refused}");
    assert!(!registry.has_blob("base/php", &wrong).await.unwrap());
    let nobody = Registry::new(real.host(), None, LIMIT).unwrap();
    assert_eq!(failed(nobody.push_blob("base/php", &wrong, 1, b"x".to_vec().into()).await).class(), Class::Auth);
    let gone = Upload::File(dir.path().join("gone"));
    let missing = failed(registry.push_blob("base/php", &wrong, 1000, gone).await);
    assert_eq!(missing.class(), Class::Io, "{missing}");
}

/// A session of one upload: `POST`, then `PUT` to a place that is relative to it.
fn session(method: &str) -> Reply {
    match method {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("Location", "/up/1?state=a"),
        _ => Reply::status(201),
    }
}

#[tokio::test]
async fn a_push_that_breaks_begins_again() {
    let liar = Liar::start(|seen| match (seen.method.as_str(), seen.number) {
        ("PUT", 2) => Reply::silence(),
        ("PUT", 4) => Reply::status(404),
        ("PUT", 6) => Reply::status(503),
        (method, _) => session(method),
    })
    .await;
    let digest = Digest::of(b"bytes");
    client(&liar, None).push_blob("a/b", &digest, 5, b"bytes".to_vec().into()).await.unwrap();
    let seen = liar.seen();
    let methods: Vec<&str> = seen.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT", "POST", "PUT", "POST", "PUT", "POST", "PUT"]);
    assert_eq!(seen[8].target, format!("/up/1?state=a&digest={}", digest.to_string().replace(':', "%3A")));
    assert_eq!((seen[8].body.as_str(), seen[8].header("content-length")), ("bytes", Some("5")));
}

#[tokio::test]
async fn a_manifest_goes_again_where_a_registry_read_a_link_that_was_just_being_written() {
    let torn = |seen: usize, times: usize| match seen {
        seen if seen < times => {
            Reply::status(400).body(br#"{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}"#)
        }
        _ => Reply::status(201),
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = Sample::new("amd64", "x").manifest();
    let liar = Liar::start(move |seen| torn(seen.number, 2)).await;
    let pushed = client(&liar, None).push_manifest(&liar.image("a/b:1"), media_type, manifest.clone()).await.unwrap();
    assert_eq!((pushed, liar.seen().len()), (Digest::of(&manifest), 3));
    let liar = Liar::start(move |seen| torn(seen.number, 100)).await;
    let error = failed(client(&liar, None).push_manifest(&liar.image("a/b:1"), media_type, manifest).await);
    assert!(error.to_string().contains("DIGEST_INVALID no match"), "{error}");
    assert_eq!(liar.seen().len(), 4, "and not for ever");
}

#[tokio::test]
async fn what_is_pushed_goes_to_the_registry_itself() {
    let elsewhere = Liar::start(|_| Reply::status(201)).await;
    let place = format!("http://{}/up", elsewhere.host());
    let liar = Liar::start(move |seen| match seen.method.as_str() {
        "POST" => Reply::status(202).header("Location", &place),
        method => session(method),
    })
    .await;
    let digest = Digest::of(b"bytes");
    let error = failed(client(&liar, Some(ann())).push_blob("a/b", &digest, 5, b"bytes".to_vec().into()).await);
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!((error.class(), elsewhere.seen().len()), (Class::Security, 0));
    // Nor is a manifest's or a part's redirect followed.
    let place = format!("http://{}/up", elsewhere.host());
    let liar = Liar::start(move |_| Reply::status(307).header("Location", &place)).await;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = Sample::new("amd64", "x").manifest();
    failed(client(&liar, Some(ann())).push_manifest(&liar.image("a/b:1"), media_type, manifest).await);
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_registry_that_claims_another_digest_is_not_believed() {
    let liar = Liar::start(|seen| match seen.method.as_str() {
        "PUT" => Reply::status(201).header("Docker-Content-Digest", Digest::of(b"other").as_str()),
        method => session(method),
    })
    .await;
    let registry = client(&liar, None);
    let error = failed(registry.push_blob("a/b", &Digest::of(b"bytes"), 5, b"bytes".to_vec().into()).await);
    assert_eq!(error.class(), Class::Security, "{error}");
    let (image, media_type) = (liar.image("a/b:1"), "application/vnd.oci.image.manifest.v1+json");
    let manifest = Sample::new("amd64", "x").manifest();
    let error = failed(registry.push_manifest(&image, media_type, manifest.clone()).await);
    assert_eq!(error.class(), Class::Security, "{error}");
    // What is no manifest, or not the one of the digest, is not sent at all.
    let before = liar.seen().len();
    failed(registry.push_manifest(&image, media_type, b"{}".to_vec()).await);
    failed(registry.push_manifest(&image.at(Digest::of(b"other")), media_type, manifest).await);
    assert_eq!(liar.seen().len(), before);
}
