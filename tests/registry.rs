//! The registry client against a real registry, and against one that lies, stumbles and leads astray.

mod registry_parts;

use std::time::{Duration, Instant};

use onramp::error::{Class, Fault};
use onramp::reference::Digest;
use onramp::registry::{BlobStream, Credentials, Descriptor, Error, Registry, Upload};

use registry_parts::liar::{Liar, Reply, Seen};
use registry_parts::real::{RealRegistry, Sample, index_of};

const LIMIT: Duration = Duration::from_secs(20);

fn ann() -> Credentials {
    Credentials::Password { username: "ann".to_owned(), password: "s3cret".to_owned() }
}

fn client(liar: &Liar, credentials: Option<Credentials>) -> Registry {
    Registry::new(&liar.host(), credentials, LIMIT).unwrap()
}

/// The failure of a call, which names no secret.
fn failed<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Error {
    let error = outcome.unwrap_err();
    let told = format!("{} {:?} {:?} {error:?}", onramp::error::chain(&error), error.hint(), error.next());
    assert!(!told.contains("s3cret"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
    error
}

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

/// Everything that a stream gives, to its end.
async fn read(stream: &mut BlobStream) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

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

    let found = registry.image(&image, "linux/amd64").await.unwrap();
    assert_eq!((&found.top, &found.manifest.digest), (&pushed, &pushed));
    assert_eq!(found.config.rootfs.diff_ids, std::slice::from_ref(&digest));
    let foreign = failed(registry.image(&image, "linux/s390x").await);
    assert_eq!(foreign.class(), Class::Config);
    assert!(foreign.to_string().ends_with("has base/php:1 for linux/amd64, not for linux/s390x"), "{foreign}");

    let blob: &Descriptor = &found.layers[0];
    let mut whole = registry.blob("base/php", blob, None).await.unwrap();
    assert_eq!((whole.offset(), read(&mut whole).await.unwrap()), (0, layer.clone()));
    let mut part = registry.blob("base/php", blob, Some(512..700)).await.unwrap();
    assert_eq!((part.offset(), read(&mut part).await.unwrap()), (512, layer[512..700].to_vec()));
    assert_eq!(registry.small_blob("base/php", &Digest::of(&config), 4096).await.unwrap(), config);
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
    let index = index_of(&[("amd64", &amd), ("arm64", &arm)]);
    let digest = real.put_manifest("base/php", "8.2", &index, "application/vnd.oci.image.index.v1+json").await;
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
}

#[tokio::test]
async fn nonsense_is_called_nonsense() {
    let deep = "[".repeat(100_000);
    for body in ["", "{", "null", "[]", "{\"schemaVersion\":1}", "\u{1b}[2J", &deep] {
        let answer = body.to_owned();
        let liar = Liar::start(move |_| Reply::json(&answer)).await;
        let error = failed(client(&liar, None).manifest(&liar.image("a/b:1")).await);
        assert!(matches!(error, Error::Protocol { .. }), "{body:.20}: {error}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_only_for_what_we_want() {
    let manifest = Sample::new("amd64", "x").manifest();
    let liar = Liar::start_with(move |seen, host| {
        let want = format!(r#"Bearer realm="http://{host}/token",service="reg",scope="repository:other:push""#);
        match (seen.path(), seen.header("authorization")) {
            ("/token", Some("Basic YW5uOnMzY3JldA==")) => Reply::json(r#"{"access_token":"t0ken"}"#),
            (_, Some("Bearer t0ken")) => Reply::manifest(&manifest),
            _ => Reply::status(401).header("WWW-Authenticate", &want),
        }
    })
    .await;
    let registry = client(&liar, Some(ann()));
    for _ in 0..2 {
        registry.manifest(&liar.image("a/b:1")).await.unwrap();
    }
    let targets: Vec<String> = liar.seen().into_iter().map(|seen| seen.target).collect();
    let token = "/token?service=reg&scope=repository%3Aa%2Fb%3Apull";
    assert_eq!(targets, ["/v2/a/b/manifests/1", token, "/v2/a/b/manifests/1", "/v2/a/b/manifests/1"]);
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let liar = Liar::start_with(|seen, host| match (seen.path(), seen.header("authorization")) {
        ("/token", None) => {
            let fields = "service=reg&grant_type=refresh_token&refresh_token=s3cret%26&client_id=onramp";
            assert_eq!((seen.method.as_str(), seen.body.as_str()), ("POST", fields));
            Reply::json(r#"{"access_token":"t0ken"}"#)
        }
        (_, Some("Bearer t0ken")) => Reply::json("{}"),
        _ => {
            let want = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
            Reply::status(401).header("WWW-Authenticate", &want)
        }
    })
    .await;
    client(&liar, Some(Credentials::IdentityToken("s3cret&".to_owned()))).ping().await.unwrap();
}

#[tokio::test]
async fn a_registry_that_is_never_content_is_left() {
    let liar = Liar::start_with(|seen, host| {
        if seen.path() == "/token" {
            return Reply::json(r#"{"token":"t"}"#);
        }
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"\u001b[31mno"}]}"#;
        let want = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
        Reply::status(401).header("WWW-Authenticate", &want).body(body.as_bytes())
    })
    .await;
    let refused = failed(client(&liar, Some(ann())).ping().await);
    assert_eq!(refused.class(), Class::Auth);
    assert_eq!(liar.seen().len(), 3, "asked, fetched a token, asked again");
    assert!(refused.to_string().contains("\\u{1b}[31mno"), "{refused}");
}

#[tokio::test]
async fn credentials_go_nowhere_they_do_not_belong() {
    // The realm decides where the password goes: not to plain http elsewhere, not to a URL with a user in it, and
    // not to a service that has no name.
    for realm in [
        "http://auth.acme.test/token",
        "http://ann@127.0.0.1:1/token",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://auth.acme.test/token",
    ] {
        let want = format!("Bearer realm=\"{realm}\"");
        let liar = Liar::start(move |_| Reply::status(401).header("WWW-Authenticate", &want)).await;
        let refused = failed(client(&liar, Some(ann())).ping().await);
        assert_eq!(refused.class(), Class::Security, "{realm}: {refused}");
    }
    let liar = Liar::start(|_| Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"not a URL\"")).await;
    assert_eq!(failed(client(&liar, Some(ann())).ping().await).class(), Class::Net);
}

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
    assert_eq!((error.class(), liar.seen().len()), (Class::Net, 3));
    let liar = Liar::start(|_| Reply::status(400)).await;
    failed(client(&liar, None).ping().await);
    assert_eq!(liar.seen().len(), 1, "what is wrong stays wrong");
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
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
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
