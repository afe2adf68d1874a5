//! Proofs: which ones go where, how often a token is fetched, and what happens when it runs out.

use futures_util::future::try_join_all;
use onramp::error::{Class, Fault};
use onramp::registry::{Credentials, Error};

use crate::registry_parts::liar::{Liar, Reply, Seen};
use crate::registry_parts::real::Sample;
use crate::{ann, client, failed, layer, noise, read};

/// Where the token service is.
fn bearer(host: &str) -> String {
    format!(r#"Bearer realm="http://{host}/token",service="reg""#)
}

fn tokens(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.path() == "/token").count()
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
async fn a_token_that_ran_out_is_replaced_before_it_is_refused() {
    let manifest = Sample::new("amd64", "x").manifest();
    let liar = Liar::start_with(move |seen, host| match (seen.path(), seen.header("authorization")) {
        ("/token", _) => Reply::json(&format!(r#"{{"token":"t{}","expires_in":0.000001}}"#, seen.number)),
        (_, Some(_)) => Reply::manifest(&manifest),
        _ => Reply::status(401).header("WWW-Authenticate", &bearer(host)),
    })
    .await;
    let registry = client(&liar, None);
    for _ in 0..2 {
        registry.manifest(&liar.image("a/b:1")).await.unwrap();
    }
    let seen = liar.seen();
    assert_eq!((seen.len(), tokens(&seen)), (5, 2), "one 401 in all");
    assert_eq!(seen[4].header("authorization"), Some("Bearer t3"));
}

#[tokio::test]
async fn many_who_wait_fetch_one_token() {
    let manifest = Sample::new("amd64", "x").manifest();
    let liar = Liar::start_with(move |seen, host| match (seen.path(), seen.header("authorization")) {
        ("/token", _) => Reply::json(r#"{"token":"t"}"#),
        (_, Some("Bearer t")) => Reply::manifest(&manifest),
        _ => Reply::status(401).header("WWW-Authenticate", &bearer(host)),
    })
    .await;
    let (registry, image) = (client(&liar, Some(ann())), liar.image("a/b:1"));
    try_join_all((0..16).map(|_| registry.manifest(&image))).await.unwrap();
    assert_eq!(tokens(&liar.seen()), 1);
}

#[tokio::test]
async fn a_blob_goes_on_when_its_token_is_refused_in_the_middle() {
    let bytes = noise(200_000);
    let served = bytes.clone();
    let liar = Liar::start_with(move |seen, host| match (seen.path(), seen.header("authorization"), seen.number) {
        ("/token", _, number) => Reply::json(&format!(r#"{{"token":"t{number}","expires_in":3600}}"#)),
        (_, Some("Bearer t1"), 2) => Reply::blob(seen, &served).cut_after(120_000),
        (_, Some("Bearer t4"), _) => Reply::blob(seen, &served),
        _ => Reply::status(401).header("WWW-Authenticate", &bearer(host)),
    })
    .await;
    let registry = client(&liar, None);
    let mut stream = registry.blob("a/b", &layer(&bytes), None).await.unwrap();
    assert!(read(&mut stream).await.unwrap() == bytes);
    assert_eq!((liar.seen().len(), tokens(&liar.seen())), (6, 2));
}

#[tokio::test]
async fn a_push_asks_for_a_token_that_lets_it_push() {
    let liar = Liar::start_with(|seen, host| match (seen.path(), seen.header("authorization")) {
        ("/token", _) => Reply::json(r#"{"token":"t"}"#),
        (_, Some("Bearer t")) => Reply::status(200),
        _ => Reply::status(401).header("WWW-Authenticate", &bearer(host)),
    })
    .await;
    let digest = onramp::reference::Digest::of(b"x");
    client(&liar, None).push_blob("a/b", &digest, 1, b"x".to_vec().into()).await.unwrap();
    assert_eq!(liar.seen()[1].target, "/token?service=reg&scope=repository%3Aa%2Fb%3Apull%2Cpush");
}

#[tokio::test]
async fn a_token_service_that_talks_without_end_is_cut_off() {
    let liar = Liar::start_with(|seen, host| match seen.path() {
        "/token" => Reply::json("[0,").endless(),
        _ => Reply::status(401).header("WWW-Authenticate", &bearer(host)),
    })
    .await;
    let error = failed(client(&liar, Some(ann())).ping().await);
    assert!(matches!(error, Error::TooLarge { cap: 65_536, .. }), "{error}");
    assert_eq!(error.class(), Class::Security);
}
