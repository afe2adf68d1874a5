//! Blobs as streams: broken, stalled, too long, too short, elsewhere, and whole in the end.

use std::time::{Duration, Instant};

use onramp::error::{Class, Fault};
use onramp::reference::Digest;
use onramp::registry::{Error, Registry};

use crate::registry_parts::liar::{Liar, Reply, Seen};
use crate::registry_parts::real::Sample;
use crate::{ann, client, failed, layer, noise, read};

#[tokio::test]
async fn a_blob_is_followed_without_credentials_and_a_manifest_is_not() {
    let sample = Sample::new("amd64", "x");
    let (manifest, config) = (sample.manifest(), sample.config());
    let storage = Liar::start(move |_| Reply::json(std::str::from_utf8(&config).unwrap())).await;
    let place = format!("http://{}/store?signature=s3cret", storage.host());
    let served = manifest.clone();
    let liar = Liar::start(move |seen| match (seen.header("authorization"), seen.target.contains("/blobs/")) {
        (None, _) => Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
        (Some(_), true) => Reply::status(307).header("Location", &place),
        (Some(_), false) => Reply::manifest(&served),
    })
    .await;
    let resolved = client(&liar, Some(ann())).resolve(&liar.image("a/b:1")).await.unwrap();
    assert_eq!(resolved.digest, Digest::of(&manifest));
    let followed: Vec<Seen> = storage.seen();
    assert_eq!(followed.len(), 1);
    assert_eq!(followed[0].header("authorization"), None);

    let elsewhere = format!("http://{}/", storage.host());
    let liar = Liar::start(move |_| Reply::status(302).header("Location", &elsewhere)).await;
    assert_eq!(failed(client(&liar, None).manifest(&liar.image("a/b:1")).await).class(), Class::Net);
    assert_eq!(storage.seen().len(), 1, "nobody asked there for a manifest");
}

#[tokio::test]
async fn a_blob_is_not_followed_into_the_network_or_in_circles() {
    for (place, class) in [
        ("http://blobs.acme.test/x", Class::Security),
        ("ftp://127.0.0.1/x", Class::Security),
        ("/v2/a/b/blobs/again", Class::Net),
        ("http://[bad", Class::Net),
    ] {
        let liar = Liar::start(move |_| Reply::status(302).header("Location", place)).await;
        let registry = client(&liar, None);
        let error = failed(registry.config("a/b", &Digest::of(b"x")).await);
        assert_eq!(error.class(), class, "{place}: {error}");
    }
}

#[tokio::test]
async fn a_storage_whose_url_ran_out_is_asked_for_anew() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let storage = Liar::start(move |seen| match seen.path() {
        "/2" => Reply::blob(seen, &served),
        _ => Reply::status(403).body(b"expired"),
    })
    .await;
    let place = storage.host();
    let liar =
        Liar::start(move |seen| Reply::status(307).header("Location", &format!("http://{place}/{}", seen.number + 1)))
            .await;
    let mut stream = client(&liar, None).blob("a/b", &layer(&bytes), None).await.unwrap();
    assert!(read(&mut stream).await.unwrap() == bytes);
    assert_eq!(liar.seen().len(), 2);
}

#[tokio::test]
async fn a_reset_at_sixty_percent_goes_on_where_it_was() {
    let bytes = noise(1_000_000);
    for heeds_ranges in [true, false] {
        let served = bytes.clone();
        let liar = Liar::start(move |seen| match (seen.number, heeds_ranges) {
            (0, _) => Reply::status(200).body(&served).cut_after(600_000),
            (1, true) => Reply::blob(seen, &served).cut_after(100_000),
            (_, true) => Reply::blob(seen, &served),
            (_, false) => Reply::status(200).body(&served),
        })
        .await;
        let mut stream = client(&liar, None).blob("a/b", &layer(&bytes), None).await.unwrap();
        assert!(read(&mut stream).await.unwrap() == bytes, "{heeds_ranges}");
        let starts: Vec<Option<usize>> = liar.seen().iter().map(|seen| seen.range().map(|(start, _)| start)).collect();
        let expected: &[Option<usize>] =
            if heeds_ranges { &[None, Some(600_000), Some(700_000)] } else { &[None, Some(600_000)] };
        assert_eq!(starts, expected);
    }
}

#[tokio::test]
async fn a_registry_that_always_breaks_is_left() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let liar = Liar::start(move |seen| match seen.number {
        0 => Reply::blob(seen, &served).cut_after(600),
        _ => Reply::silence(),
    })
    .await;
    let mut stream = client(&liar, None).blob("a/b", &layer(&bytes), None).await.unwrap();
    let error = failed(read(&mut stream).await);
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("of a/b"), "{error}");
}

#[tokio::test]
async fn a_body_that_stands_still_is_asked_for_once_more_and_then_ends() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let liar = Liar::start(move |seen| match seen.number {
        0 => Reply::blob(seen, &served).hold_after(600),
        _ => Reply::blob(seen, &served),
    })
    .await;
    let registry = Registry::new(&liar.host(), None, Duration::from_millis(300)).unwrap();
    let mut stream = registry.blob("a/b", &layer(&bytes), None).await.unwrap();
    assert!(read(&mut stream).await.unwrap() == bytes);

    let served = bytes.clone();
    let liar = Liar::start(move |seen| match seen.number {
        0 => Reply::blob(seen, &served).hold_after(600),
        _ => Reply::blob(seen, &served).hold_after(0),
    })
    .await;
    let registry = Registry::new(&liar.host(), None, Duration::from_millis(300)).unwrap();
    let mut stream = registry.blob("a/b", &layer(&bytes), None).await.unwrap();
    let began = Instant::now();
    let error = failed(read(&mut stream).await);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((error.class(), error.next()), (Class::Net, vec!["onramp doctor".to_owned()]));
    let told = format!(
        "the registry {} sent nothing more of blob {} of a/b for 0.3 s, after 600 B of 1.0 KB",
        liar.host(),
        Digest::of(&bytes).short()
    );
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn no_more_is_read_than_the_descriptor_says() {
    let (short, long) = (noise(1000), noise(2000));
    let served = long.clone();
    let declared = Liar::start(move |_| Reply::status(200).body(&served)).await;
    let error = failed(client(&declared, None).blob("a/b", &layer(&short), None).await.map(|_| ()));
    assert!(matches!(error, Error::TooLarge { cap: 1000, .. }), "{error}");
    let endless = Liar::start(move |_| Reply::status(200).body(&long).endless()).await;
    let mut stream = client(&endless, None).blob("a/b", &layer(&short), None).await.unwrap();
    let error = failed(read(&mut stream).await);
    assert!(matches!(error, Error::TooLarge { cap: 1000, .. }), "{error}");
    assert_eq!(error.class(), Class::Security);
}

#[tokio::test]
async fn a_body_that_ends_early_and_calls_it_whole_is_no_blob() {
    let (short, long) = (noise(1000), noise(2000));
    for chunked in [true, false] {
        let served = short.clone();
        let liar = Liar::start(move |_| {
            let reply = Reply::status(200).body(&served);
            if chunked { reply.chunked() } else { reply }
        })
        .await;
        let mut stream = client(&liar, None).blob("a/b", &layer(&long), None).await.unwrap();
        let error = failed(read(&mut stream).await);
        assert!(matches!(error, Error::Truncated { received: 1000, expected: 2000, .. }), "{error}");
        assert_eq!((error.class(), liar.seen().len()), (Class::Net, 1));
    }
}

#[tokio::test]
async fn ranges_are_checked_and_a_server_that_ignores_them_is_understood() {
    let bytes = noise(1000);
    let blob = layer(&bytes);
    let served = bytes.clone();
    let ignores = Liar::start(move |_| Reply::status(200).body(&served)).await;
    let mut stream = client(&ignores, None).blob("a/b", &blob, Some(500..600)).await.unwrap();
    assert_eq!(stream.offset(), 0);
    assert!(read(&mut stream).await.unwrap() == bytes);
    for (status, told) in [
        (206, "bytes 0-99/1000"),
        (206, "bytes 500-599/999"),
        (206, "bytes 500-600/1000"),
        (206, "x"),
        (416, ""),
        (204, ""),
    ] {
        let liar = Liar::start(move |_| Reply::status(status).header("Content-Range", told).body(&[0; 100])).await;
        let error = failed(client(&liar, None).blob("a/b", &blob, Some(500..600)).await.map(|_| ()));
        assert!(matches!(error, Error::Protocol { .. }), "{told}: {error}");
    }
    // A part that nobody asked for.
    let liar = Liar::start(|_| Reply::status(206).header("Content-Range", "bytes 0-9/1000").body(&[0; 10])).await;
    let error = failed(client(&liar, None).blob("a/b", &blob, None).await.map(|_| ()));
    assert!(error.to_string().contains("206 Partial Content instead of its bytes"), "{error}");
}

#[tokio::test]
async fn a_flipped_byte_is_found_in_what_is_read_whole() {
    let bytes = noise(1000);
    let mut flipped = bytes.clone();
    flipped[600] ^= 1;
    let liar = Liar::start(move |seen| Reply::blob(seen, &flipped)).await;
    let error = failed(client(&liar, None).small_blob("a/b", &Digest::of(&bytes), 4096).await);
    assert_eq!((error.class(), error.next()), (Class::Security, vec!["onramp doctor".to_owned()]));
}
