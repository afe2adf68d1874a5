//! Documents and listings: what a real registry tells, and what is refused of one that lies and stumbles.

use std::time::{Duration, Instant};

use onramp::error::{Class, Fault};
use onramp::reference::Digest;
use onramp::registry::{Credentials, Error, Registry};

use crate::registry_parts::liar::{Liar, Reply};
use crate::registry_parts::real::{RealRegistry, Sample, index_of};
use crate::{LIMIT, ann, client, failed};

#[tokio::test]
async fn a_real_registry_tells_what_was_pushed_to_it() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    registry.ping().await.unwrap();
    assert_eq!(registry.repositories("base/").await.unwrap(), Vec::<String>::new());

    let php = real.push("base/php-apache", "8.2", &Sample::new("amd64", "php 8.2")).await;
    real.push("base/php-apache", "8.3", &Sample::new("amd64", "php 8.3")).await;
    real.push("apps/shop", "1", &Sample::new("amd64", "shop")).await;
    assert_eq!(registry.repositories("base/").await.unwrap(), ["base/php-apache"]);
    assert_eq!(registry.tags("base/php-apache").await.unwrap(), ["8.2", "8.3"]);

    let image = real.image("base/php-apache:8.2");
    let resolved = registry.resolve(&image).await.unwrap();
    assert_eq!(resolved.digest, php);
    assert_eq!(resolved.platforms, [("linux/amd64".to_owned(), php.clone())].into());

    let facts = registry.facts(&image.at(php.clone())).await.unwrap();
    assert_eq!((facts.digest, facts.platform.as_str()), (php, "linux/amd64"));
    assert_eq!(facts.labels["org.acme.team"], "web");
    assert_eq!(facts.layers.len(), 1);
    assert_eq!(facts.config.config.unwrap().exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp"]);

    assert!(registry.find(&real.image("base/php-apache:9")).await.unwrap().is_none());
    let missing = failed(registry.resolve(&real.image("base/php-apache:9")).await);
    assert_eq!((missing.class(), missing.next()), (Class::Config, vec!["onramp image list".to_owned()]));
}

#[tokio::test]
async fn what_refers_to_an_image_is_found_by_the_fallback_tag() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    let image = real.push("base/php", "1", &Sample::new("amd64", "x")).await;
    assert!(registry.referrers("base/php", &image, None).await.unwrap().is_empty());
    let signature = real.push("base/php", "signature", &Sample::new("amd64", "signature")).await;
    let list = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": signature.as_str(), "size": 500,
        "artifactType": "application/x.signature", "annotations": {"by": "ann"},
    }]});
    let tag = format!("sha256-{}", image.hex());
    let bytes = serde_json::to_vec(&list).unwrap();
    real.put_manifest("base/php", &tag, &bytes, "application/vnd.oci.image.index.v1+json").await;
    let found = registry.referrers("base/php", &image, Some("application/x.signature")).await.unwrap();
    assert_eq!((found.len(), &found[0].descriptor.digest, found[0].annotations["by"].as_str()), (1, &signature, "ann"));
    assert!(registry.referrers("base/php", &image, Some("application/x.other")).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_index_of_two_platforms_is_told_apart() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    let amd = real.push("base/php", "amd64", &Sample::new("amd64", "a")).await;
    let arm = real.push("base/php", "arm64", &Sample::new("arm64", "b")).await;
    let digest = real.put_index("base/php", "8.2", &[("amd64", &amd), ("arm64", &arm)]).await;
    let resolved = registry.resolve(&real.image("base/php:8.2")).await.unwrap();
    assert_eq!(resolved.digest, digest);
    assert_eq!(resolved.platforms, [("linux/amd64".to_owned(), amd), ("linux/arm64".to_owned(), arm)].into());
    let facts = registry.facts(&real.image("base/php:8.2")).await.unwrap();
    assert!(facts.platforms.contains_key(&facts.platform));
}

#[tokio::test]
async fn a_real_registry_with_passwords_lets_the_right_one_in() {
    let real = RealRegistry::private().await;
    let nobody = failed(Registry::new(real.host(), None, LIMIT).unwrap().ping().await);
    assert_eq!((nobody.class(), nobody.next()), (Class::Auth, vec![format!("docker login {}", real.host())]));
    let wrong = Credentials::Password { username: "ann".to_owned(), password: "guess".to_owned() };
    let refused = failed(Registry::new(real.host(), Some(wrong), LIMIT).unwrap().ping().await);
    assert_eq!(refused.class(), Class::Auth);
    Registry::new(real.host(), Some(ann()), LIMIT).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn many_repositories_come_page_by_page() {
    let liar = Liar::start(|seen| {
        let page =
            |names: &str, next: &str| Reply::json(&format!(r#"{{"repositories":[{names}]}}"#)).header("Link", next);
        match seen.target.as_str() {
            "/v2/_catalog?n=1000" => page(r#""base/b","../../x""#, r#"</v2/_catalog?last=b&n=1000>; rel="next""#),
            "/v2/_catalog?last=b&n=1000" => page(r#""base/a","apps/z""#, r#"<?last=z>; rel="next""#),
            "/v2/_catalog?last=z" => Reply::json(r#"{"repositories":null}"#),
            other => panic!("{other}"),
        }
    })
    .await;
    assert_eq!(client(&liar, None).repositories("base/").await.unwrap(), ["base/a", "base/b"]);
}

#[tokio::test]
async fn a_listing_neither_leads_astray_nor_goes_on_for_ever() {
    for link in ["<http://127.0.0.1:1/v2/_catalog>; rel=\"next\"", "</v2/x/tags/list>; rel=\"next\""] {
        let liar = Liar::start(move |_| Reply::json(r#"{"repositories":[]}"#).header("Link", link)).await;
        assert_eq!(failed(client(&liar, None).repositories("").await).class(), Class::Net);
        assert_eq!(liar.seen().len(), 1);
    }
    let same = "</v2/_catalog?n=1000>; rel=\"next\"";
    let liar = Liar::start(move |_| Reply::json(r#"{"repositories":[]}"#).header("Link", same)).await;
    let endless = failed(client(&liar, None).repositories("").await);
    assert!(endless.to_string().contains("more pages than any honest listing has"), "{endless}");
}

#[tokio::test]
async fn other_bytes_than_those_asked_for_are_refused() {
    let manifest = Sample::new("amd64", "x").manifest();
    let bytes = manifest.clone();
    let liar = Liar::start(move |_| Reply::manifest(&bytes)).await;
    let wanted = liar.image("a/b:1").at(Digest::of(b"something else"));
    let refused = failed(client(&liar, None).manifest(&wanted).await);
    assert_eq!(refused.class(), Class::Security);
    assert!(refused.to_string().contains(Digest::of(&manifest).as_str()), "{refused}");

    // By tag nothing was asked for; what the registry claims must hold all the same.
    let bytes = manifest.clone();
    let claim = Digest::of(b"claimed").to_string();
    let liar = Liar::start(move |_| Reply::manifest(&bytes).header("Docker-Content-Digest", &claim)).await;
    assert_eq!(failed(client(&liar, None).manifest(&liar.image("a/b:1")).await).class(), Class::Security);

    // And a config that was exchanged behind a true manifest.
    let liar =
        Liar::start(
            move |seen| {
                if seen.target.contains("/manifests/") { Reply::manifest(&manifest) } else { Reply::json("{}") }
            },
        )
        .await;
    assert_eq!(failed(client(&liar, None).resolve(&liar.image("a/b:1")).await).class(), Class::Security);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let liar = Liar::start(|_| Reply::json(&" ".repeat(5_000_000))).await;
    let declared = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
    assert!(matches!(declared, Error::TooLarge { cap: 4_194_304, .. }), "{declared}");
    let liar = Liar::start(|_| Reply::json(&" ".repeat(5_000_000)).chunked()).await;
    let undeclared = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
    assert!(matches!(undeclared, Error::TooLarge { .. }), "{undeclared}");
    assert_eq!(undeclared.class(), Class::Security);
    // A long error page is still an error page.
    let liar = Liar::start(|_| Reply::status(500).body("<html>".repeat(100_000).as_bytes())).await;
    let page = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
    assert_eq!(page.class(), Class::Net);
    assert!(page.to_string().contains("500 Internal Server Error"), "{page}");
    // Without an end it is read as far as an error may go, and no further.
    let liar = Liar::start(|_| Reply::status(400).body("<html>".repeat(10_000).as_bytes()).endless()).await;
    let page = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
    assert!(matches!(page, Error::Protocol { .. }) && page.to_string().ends_with("400 Bad Request"), "{page}");
    assert_eq!(liar.seen().len(), 1);
}

#[tokio::test]
async fn nonsense_is_called_nonsense() {
    let deep = "[".repeat(100_000);
    for body in ["", "{", "null", "[]", "{\"schemaVersion\":1}", "\u{1b}[2J"] {
        let answer = body.to_owned();
        let liar = Liar::start(move |_| Reply::json(&answer)).await;
        let error = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
        assert!(matches!(error, Error::Protocol { .. }), "{body:.20}: {error}");
        assert!(error.to_string().contains("image a/b:1"), "{error}");
    }
    let liar = Liar::start(move |_| Reply::json(&deep)).await;
    let error = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_that_two_readers_could_read_differently_is_refused() {
    let whole = String::from_utf8(Sample::new("amd64", "x").manifest()).unwrap();
    let open = &whole[..whole.len() - 1];
    for body in [
        format!("{open},\"manifests\":[]}}"),
        format!("{open},\"config\":{{}}}}"),
        format!("{open},\"Layers\":[]}}"),
        whole.replace("\"size\":", "\"urls\":[\"https://evil.test/x\"],\"size\":"),
        whole.replace("image.layer.v1.tar", "image.layer.nondistributable.v1.tar"),
    ] {
        let answer = body.clone();
        let liar = Liar::start(move |_| Reply::manifest(answer.as_bytes())).await;
        let error = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
        assert_eq!((error.class(), liar.seen().len()), (Class::Security, 1), "{body}: {error}");
        assert!(error.to_string().contains("image a/b:1"), "{error}");
        assert_eq!(error.next(), ["onramp doctor"]);
    }
    for (what, instead) in [("sha256:", "sha256:../../"), ("sha256:", "md5:"), ("\"size\":", "\"size\":-")] {
        let answer = whole.replace(what, instead);
        let liar = Liar::start(move |_| Reply::manifest(answer.as_bytes())).await;
        let error = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
        assert_eq!(error.class(), Class::Net, "{error}");
    }
}

#[tokio::test]
async fn an_index_that_says_another_size_than_comes_is_refused() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    let sample = Sample::new("amd64", "x");
    let digest = real.push("base/php", "amd64", &sample).await;
    for (tag, size) in [("more", sample.manifest().len() + 1), ("less", 0)] {
        let index = index_of(&[("amd64", &digest, size)]);
        real.put_manifest("base/php", tag, &index, "application/vnd.oci.image.index.v1+json").await;
        let error = failed(registry.facts(&real.image(&format!("base/php:{tag}"))).await);
        assert_eq!(error.class(), Class::Security, "{error}");
        assert!(error.to_string().contains(&format!("image base/php:{tag} ")), "{error}");
    }
}

#[tokio::test]
async fn an_index_inside_an_index_is_named_and_a_foreign_platform_is_told() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    let image = real.push("base/php", "s390x", &Sample::new("s390x", "x")).await;
    let inner = real.put_index("base/php", "inner", &[("s390x", &image)]).await;
    let foreign = registry.facts(&real.image("base/php:inner")).await.unwrap();
    assert_eq!(foreign.platform, "linux/s390x");

    real.put_index("base/php", "outer", &[("amd64", &inner)]).await;
    let nested = failed(registry.facts(&real.image("base/php:outer")).await);
    assert!(
        nested.to_string().ends_with("answered image base/php:outer wrongly: an index inside an index"),
        "{nested}"
    );
}

#[tokio::test]
async fn what_is_no_image_is_named_and_not_listed() {
    let real = RealRegistry::open().await;
    let registry = Registry::new(real.host(), None, LIMIT).unwrap();
    real.push("base/php", "1", &Sample::new("amd64", "x")).await;
    let whole = String::from_utf8(Sample::new("amd64", "x").manifest()).unwrap();
    let chart = whole.replace("vnd.oci.image.config.v1+json", "vnd.acme.chart");
    real.put_manifest("base/php", "chart", chart.as_bytes(), "application/vnd.oci.image.manifest.v1+json").await;
    let image = real.image("base/php:chart");
    let error = failed(registry.facts(&image).await);
    assert_eq!((error.class(), error.next()), (Class::Config, vec!["onramp image list".to_owned()]));
    assert!(error.to_string().contains("it is `application/vnd.acme.chart`"), "{error}");
    assert_eq!(registry.find(&image).await.unwrap(), None);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_says() {
    let sample = Sample::new("amd64", "x").manifest();
    let liar = Liar::start(move |seen| match seen.number {
        0 => Reply::status(429).header("Retry-After", "1"),
        1 => Reply::status(503),
        _ => Reply::manifest(&sample),
    })
    .await;
    let began = Instant::now();
    client(&liar, None).manifest(&liar.image("a/b:1")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());

    let liar = Liar::start(|_| Reply::status(502)).await;
    let error = failed(client(&liar, None).ping().await);
    assert_eq!((error.class(), liar.seen().len()), (Class::Net, 4));
    let liar = Liar::start(|_| Reply::status(400)).await;
    failed(client(&liar, None).ping().await);
    assert_eq!(liar.seen().len(), 1, "what is wrong stays wrong");
}

#[tokio::test]
async fn no_form_of_retry_after_ends_in_nonsense() {
    for asked in [
        "0",
        "-5",
        "soon",
        "1e9",
        "",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "Friday, 31-Dec-99 23:59:59 GMT",
        "Fri Dec 31 23:59:59 1999",
        "Fri, 31 Foo 1999",
        "0x10",
    ] {
        let sample = Sample::new("amd64", "x").manifest();
        let liar = Liar::start(move |seen| match seen.number {
            0 => Reply::status(429).header("Retry-After", asked),
            _ => Reply::manifest(&sample),
        })
        .await;
        let began = Instant::now();
        client(&liar, None).manifest(&liar.image("a/b:1")).await.unwrap();
        assert_eq!(liar.seen().len(), 2, "{asked}");
        assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(5), "{asked}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_tried_again() {
    let sample = Sample::new("amd64", "x").manifest();
    let liar = Liar::start(move |seen| match seen.number {
        0 => Reply::manifest(&sample).cut_after(40),
        1 => Reply::silence(),
        _ => Reply::manifest(&sample),
    })
    .await;
    client(&liar, None).manifest(&liar.image("a/b:1")).await.unwrap();
    let liar = Liar::start(|_| Reply::silence()).await;
    assert!(matches!(failed(client(&liar, None).ping().await), Error::Unreachable { .. }));
}

#[tokio::test]
async fn nobody_waits_longer_than_asked() {
    let liar = Liar::start(|_| Reply::status(429).header("Retry-After", "3600")).await;
    let registry = Registry::new(&liar.host(), None, Duration::from_millis(700)).unwrap();
    let began = Instant::now();
    let error = failed(registry.ping().await);
    assert!(error.to_string().ends_with("429 Too Many Requests; it asks to wait 3600 s"), "{error}");
    assert_eq!((error.class(), liar.seen().len()), (Class::Net, 1));
    assert!(began.elapsed() < Duration::from_secs(3));
    // One that takes the connection and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let error = failed(Registry::new(&host, None, Duration::from_millis(300)).unwrap().ping().await);
    assert_eq!((error.class(), error.hint()), (Class::Net, Some("--timeout sets how long to wait".to_owned())));
}

#[tokio::test]
async fn nobody_there_is_said_quickly() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let began = Instant::now();
    let error = failed(Registry::new(&free.to_string(), None, LIMIT).unwrap().ping().await);
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3));
}
