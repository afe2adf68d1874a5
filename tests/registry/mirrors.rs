//! Mirrors: what may come from them, and what happens when they fail or lie.

use onramp::error::{Class, Fault};
use onramp::reference::Digest;
use onramp::registry::{Access, Manifest, Registry};
use onramp::settings::Mirror;

use crate::registry_parts::liar::{Liar, Reply};
use crate::registry_parts::real::Sample;
use crate::{LIMIT, failed, layer, noise, read};

/// A registry with this mirror before it.
async fn behind(registry: &Liar, mirror: &Liar, tags: bool) -> Registry {
    let mirror = Mirror { at: format!("{}/hub", mirror.host()), tags };
    let access = Access::new(LIMIT, [(registry.host(), mirror)].into());
    Registry::of_user(&registry.host(), &access).await.unwrap()
}

/// An honest server of one image; what it has lies under this path.
async fn serves(path: &'static str) -> Liar {
    let sample = Sample::new("amd64", "x");
    let (manifest, config, layer) = (sample.manifest(), sample.config(), sample.layer());
    Liar::start(move |seen| {
        let config_at = format!("/v2/{path}/blobs/{}", Digest::of(&config));
        let layer_at = format!("/v2/{path}/blobs/{}", Digest::of(&layer));
        match seen.path() {
            place if place.starts_with(&format!("/v2/{path}/manifests/")) => Reply::manifest(&manifest),
            place if place == config_at => Reply::blob(seen, &config),
            place if place == layer_at => Reply::blob(seen, &layer),
            _ => Reply::status(404),
        }
    })
    .await
}

#[tokio::test]
async fn tags_come_from_the_registry_and_what_a_digest_names_from_its_mirror() {
    let (own, mirror) = (serves("a/b").await, serves("hub/a/b").await);
    let registry = behind(&own, &mirror, false).await;
    let image = own.image("a/b:1");
    let found = registry.facts(&image).await.unwrap();
    registry.manifest(&image.at(found.digest)).await.unwrap();
    let mut stream = registry.blob("a/b", &layer(&Sample::new("amd64", "x").layer()), None).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap(), Sample::new("amd64", "x").layer());
    let targets: Vec<String> = own.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/v2/a/b/manifests/1"]);
    assert_eq!(mirror.seen().len(), 3);
    assert!(registry.warnings().is_empty());

    // Unless the settings believe it.
    behind(&own, &mirror, true).await.manifest(&image).await.unwrap();
    assert_eq!((own.seen().len(), mirror.seen().len()), (1, 4));
}

#[tokio::test]
async fn what_is_changed_is_read_from_the_registry_itself() {
    let own = serves("a/b").await;
    let behind_it = Liar::start(|_| Reply::manifest(&Sample::new("amd64", "as it was before").manifest())).await;
    let registry = behind(&own, &behind_it, true).await;
    let mut found = None;
    let look = |there: Option<&Manifest>| {
        found = there.map(|there| there.digest.clone());
        Ok(None)
    };
    registry.amend(&own.image("a/b:1"), "x/y", look).await.unwrap();
    assert_eq!(found, Some(Digest::of(&Sample::new("amd64", "x").manifest())));
    assert!(behind_it.seen().is_empty());
}

#[tokio::test]
async fn a_mirror_that_fails_or_lies_is_left_for_the_registry() {
    for status in [200, 401, 403, 500, 302] {
        let own = serves("a/b").await;
        let mirror = Liar::start(move |_| {
            Reply::status(status)
                .header("WWW-Authenticate", "Basic realm=\"x\"")
                .header("Location", "http://evil.test/")
                .body(b"other bytes")
        })
        .await;
        let registry = behind(&own, &mirror, false).await;
        let found = registry.facts(&own.image("a/b:1")).await.unwrap();
        let asked = mirror.seen().len();
        registry.manifest(&own.image("a/b:1").at(found.digest)).await.unwrap();
        assert_eq!(mirror.seen().len(), asked, "{status}: it is not asked again");
        assert!(mirror.seen().iter().all(|seen| seen.header("authorization").is_none()));
        let warnings = registry.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(&mirror.host()), "{status}: {warnings:?}");
    }
}

#[tokio::test]
async fn what_a_mirror_lacks_comes_from_the_registry() {
    let own = serves("a/b").await;
    let mirror = Liar::start(|_| Reply::status(404)).await;
    let registry = behind(&own, &mirror, false).await;
    let found = registry.facts(&own.image("a/b:1")).await.unwrap();
    registry.manifest(&own.image("a/b:1").at(found.digest)).await.unwrap();
    assert_eq!((mirror.seen().len(), registry.warnings().len()), (2, 0));
}

#[tokio::test]
async fn a_mirror_that_breaks_in_the_middle_of_a_blob_is_left_there() {
    let bytes = noise(100_000);
    let (served, broken) = (bytes.clone(), bytes.clone());
    let own = Liar::start(move |seen| Reply::blob(seen, &served)).await;
    let mirror = Liar::start(move |seen| Reply::blob(seen, &broken).cut_after(60_000)).await;
    let registry = behind(&own, &mirror, false).await;
    let mut stream = registry.blob("a/b", &layer(&bytes), None).await.unwrap();
    assert!(read(&mut stream).await.unwrap() == bytes);
    assert_eq!(own.seen()[0].range(), Some((60_000, 99_999)));
    assert!(!registry.has_mirror());
    // Whoever finds wrong bytes in a stream says so.
    let fresh = behind(&own, &mirror, false).await;
    assert!(fresh.has_mirror() && fresh.warnings().is_empty());
    fresh.mirror_lied();
    fresh.mirror_lied();
    assert_eq!((fresh.has_mirror(), fresh.warnings().len()), (false, 1));
}

#[tokio::test]
async fn no_mirror_stands_in_for_a_registry_that_is_down() {
    let down = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let mirror = serves("a/b").await;
    let settings = Mirror { at: mirror.host(), tags: false };
    let access = Access::new(LIMIT, [(down.clone(), settings)].into());
    let registry = Registry::of_user(&down, &access).await.unwrap();
    let error = failed(registry.resolve(&format!("{down}/a/b:1").parse().unwrap()).await);
    assert_eq!((error.class(), mirror.seen().len()), (Class::Net, 0));
    assert!(error.to_string().contains("for image a/b:1"), "{error}");
}
